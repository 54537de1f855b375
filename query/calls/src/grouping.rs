//! What an answer tells apart: nodes, and what is told apart at each.
//!
//! Both are asked for before any row is read, because rows are read and summed no finer than the answer needs.

use crate::attribute::AttributeKey;

/// What makes a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    #[default]
    Service,
    /// Deployments. Spans do not name them, so a service seen by spans alone stays whole.
    Workload,
    /// Versions of a service; what has no version stays whole.
    Version,
    /// Parts of a service by version and workload at once.
    Subset,
    /// All that rows tell of both ends, as cells are settled.
    Whole,
}

impl By {
    /// Those that an answer can be grouped by.
    pub const ALL: [By; 3] = [By::Service, By::Workload, By::Version];

    pub const fn name(self) -> &'static str {
        match self {
            By::Service => "service",
            By::Workload => "workload",
            By::Version => "version",
            By::Subset => "subset",
            By::Whole => "whole",
        }
    }

    /// Whether workloads are told apart.
    pub const fn tells_workloads(self) -> bool {
        matches!(self, By::Workload | By::Subset | By::Whole)
    }

    /// Whether versions are told apart.
    pub const fn tells_versions(self) -> bool {
        matches!(self, By::Version | By::Subset | By::Whole)
    }
}

/// What is told apart at a node beside the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    Node,
    Operation,
    Instance,
    /// The cluster of the callee.
    Cluster,
    /// What rows say under a key.
    Attribute(AttributeKey),
    /// All that is told apart in settled cells; see `settled/detail.rs`.
    Whole,
}
