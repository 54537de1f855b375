//! What of all calls a picture shows.
//!
//! Names and evidence are chosen by all that was counted, whatever is shown, so that a part of a picture has the figures
//! that it has in the whole; but what is told apart, and held with its latencies, is only what is shown: the operations
//! of one service by minute are some thousand cells, those of all services a million.

use crate::nodes::NodeIdentity;

/// What is shown: nodes, edges or both; of all services or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    service: Option<String>,
    has_nodes: bool,
    has_edges: bool,
}

impl Frame {
    /// Every node and every edge.
    pub fn whole() -> Frame {
        Frame { service: None, has_nodes: true, has_edges: true }
    }

    /// All of the nodes called `service`, by id or by name, and of the edges that begin or end there; without one, everything.
    pub fn whole_of(service: Option<&str>) -> Frame {
        Frame { service: service.map(str::to_owned), ..Frame::whole() }
    }

    /// What nodes received: those called `service`, by id or by name, and parts of it; without one, all.
    pub fn nodes(service: Option<&str>) -> Frame {
        Frame { has_edges: false, ..Frame::whole_of(service) }
    }

    /// Edges that begin or end at a node called `service`; without one, all.
    pub fn edges(service: Option<&str>) -> Frame {
        Frame { has_nodes: false, ..Frame::whole_of(service) }
    }

    /// Whether it shows the calls of one service only.
    pub fn is_narrow(&self) -> bool {
        self.service.is_some()
    }

    /// Whether `node` is what is shown, or a part of it.
    pub(super) fn is_of(&self, node: &NodeIdentity) -> bool {
        self.service.as_deref().is_none_or(|service| node.id == service || node.is_of(service))
    }

    pub(super) fn has_nodes(&self) -> bool {
        self.has_nodes
    }

    pub(super) fn has_edges(&self) -> bool {
        self.has_edges
    }
}
