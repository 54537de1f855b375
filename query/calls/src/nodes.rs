//! What the nodes of a picture are, and what they are called.

use crate::party::Marks;
use crate::services::Service;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Service,
    Gateway,
    Database,
    Messaging,
    /// A callee that is not of the mesh.
    External,
    /// Callers that nothing identifies, of one callee.
    Client,
}

impl NodeKind {
    pub const fn name(self) -> &'static str {
        match self {
            NodeKind::Service => "service",
            NodeKind::Gateway => "gateway",
            NodeKind::Database => "database",
            NodeKind::Messaging => "messaging",
            NodeKind::External => "external",
            NodeKind::Client => "client",
        }
    }

    /// Whether the node can tell what it saw, so that two views of a call can be compared.
    pub fn reports(self) -> bool {
        matches!(self, NodeKind::Service | NodeKind::Gateway)
    }

    /// The kind of a service by what is known of it; the first that applies.
    pub fn of(service: &Service) -> NodeKind {
        let has = |marks| service.marks.has(marks);
        if has(Marks::CALLER) {
            NodeKind::Client
        } else if has(Marks::GATEWAY) {
            NodeKind::Gateway
        } else if has(Marks::MESSAGING) {
            NodeKind::Messaging
        } else if has(Marks::DATABASE) {
            NodeKind::Database
        } else if has(Marks::OUTSIDE) && !has(Marks::OBSERVED) && service.namespace.is_none() {
            NodeKind::External
        } else {
            NodeKind::Service
        }
    }
}

/// Which node it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Unique in the picture: `namespace/name`, `name` or `name@owner`, with `:version` where versions are apart.
    pub id: String,
    pub name: String,
    pub namespace: Option<String>,
    pub version: Option<String>,
    pub kind: NodeKind,
}
