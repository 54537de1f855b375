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
    /// Instances, each with the release of the proxy beside it, as the text of a [`crate::detail::Detail`].
    InstanceAndProxy,
    /// Parts of what settled cells tell, as the text of a [`crate::detail::Detail`]; of a node also who called it.
    Told(Told),
    /// The cluster of the callee.
    Cluster,
    /// What rows say under a key.
    Attribute(AttributeKey),
    /// All that is told apart in settled cells; see `detail.rs`.
    Whole,
    /// What labels of series tell: of all that, neither route, host, instance nor refusal, and operations where asked for.
    Labels {
        by_operation: bool,
    },
}

impl Grain {
    /// Whether `part` of what settled cells tell is told apart.
    pub const fn tells(self, part: Told) -> bool {
        match self {
            Grain::Told(told) => told.has(part),
            Grain::Whole => true,
            Grain::Labels { .. } => Told::OF_LABELS.has(part),
            Grain::InstanceAndProxy => part.0 == Told::INSTANCE.0,
            Grain::Node | Grain::Operation | Grain::Instance | Grain::Cluster | Grain::Attribute(_) => false,
        }
    }

    /// Whether nothing but instances of the callee is told apart, so that on edges nothing is.
    pub const fn is_by_instance(self) -> bool {
        matches!(self, Grain::Instance | Grain::InstanceAndProxy)
    }

    /// Whether instances are told apart.
    pub const fn tells_instances(self) -> bool {
        self.is_by_instance() || self.tells(Told::INSTANCE)
    }

    /// Whether releases of proxies are told apart.
    pub const fn tells_proxies(self) -> bool {
        matches!(self, Grain::InstanceAndProxy | Grain::Whole)
    }

    /// Whether what a node received is told apart by who called it.
    pub const fn tells_callers(self) -> bool {
        matches!(self, Grain::Told(_)) || self.tells_ends()
    }

    /// Whether clusters and identities of both ends are told apart, and protocols; sizes are kept besides.
    pub const fn tells_ends(self) -> bool {
        matches!(self, Grain::Whole | Grain::Labels { .. })
    }

    /// Whether operations are told apart.
    pub const fn tells_operations(self) -> bool {
        matches!(self, Grain::Operation | Grain::Whole | Grain::Labels { by_operation: true })
    }
}

/// Which parts of what settled cells tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told(u8);

impl Told {
    /// Nothing but who called whom.
    pub const NOTHING: Told = Told(0);
    pub const ROUTE: Told = Told(1);
    pub const HOST: Told = Told(2);
    /// Of the callee.
    pub const INSTANCE: Told = Told(4);
    pub const CODE: Told = Told(8);
    pub const FLAGS: Told = Told(16);
    pub const REFUSAL: Told = Told(32);
    /// Whether it came by mutual TLS, by the callee's word.
    pub const SECURITY: Told = Told(64);
    pub const CATCH_ALL: Told = Told(128);

    const OF_LABELS: Told = Told::CODE.with(Told::FLAGS).with(Told::SECURITY).with(Told::CATCH_ALL);

    /// Their columns in settled tables.
    const COLUMNS: [(Told, &'static str); 9] = [
        (Told::ROUTE, "route"),
        (Told::HOST, "host"),
        (Told::INSTANCE, "destination_instance"),
        (Told::CODE, "response_code"),
        (Told::CODE, "grpc_status"),
        (Told::FLAGS, "response_flags"),
        (Told::REFUSAL, "refusal"),
        (Told::SECURITY, "connection_security_policy"),
        (Told::CATCH_ALL, "catch_all"),
    ];

    #[must_use]
    pub const fn with(self, other: Told) -> Told {
        Told(self.0 | other.0)
    }

    pub const fn has(self, part: Told) -> bool {
        self.0 & part.0 == part.0
    }

    /// The columns of settled tables that tell them.
    pub fn columns(self) -> impl Iterator<Item = &'static str> {
        Told::COLUMNS.into_iter().filter(move |(part, _)| self.has(*part)).map(|(_, column)| column)
    }
}
