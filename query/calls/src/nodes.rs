//! What the nodes of a picture are, and what they are called.
//!
//! A node's id is `namespace/name`, `name`, or `name@owner` for what only one node knows under this name, with
//! `:version` where versions are apart. Where two nodes would share an id, what reports itself keeps it, and the
//! others get their port (`db:5433`) or what they are (`messaging:orders`).

use std::collections::HashMap;

use crate::party::{Marks, Naming};
use crate::services::{Service, ServiceId, Services};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    pub const ALL: [NodeKind; 6] = [
        NodeKind::Service,
        NodeKind::Gateway,
        NodeKind::Database,
        NodeKind::Messaging,
        NodeKind::External,
        NodeKind::Client,
    ];

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

    /// The kind of a service by what is known of it; the first that applies. What reports itself is a service,
    /// whatever its callers take it for.
    pub fn of(service: &Service) -> NodeKind {
        let has = |marks| service.marks.has(marks);
        if has(Marks::CALLER) {
            NodeKind::Client
        } else if has(Marks::GATEWAY) {
            NodeKind::Gateway
        } else if service.naming == Naming::Queue {
            NodeKind::Messaging
        } else if has(Marks::OBSERVED) {
            NodeKind::Service
        } else if has(Marks::DATABASE) {
            NodeKind::Database
        } else if has(Marks::OUTSIDE) && !has(Marks::MESH) && service.namespace.is_none() {
            NodeKind::External
        } else {
            NodeKind::Service
        }
    }
}

/// Which node it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Unique in the picture.
    pub id: String,
    pub name: String,
    pub namespace: Option<String>,
    pub version: Option<String>,
    /// The workload, where parts of a service are told apart by it and by version.
    pub workload: Option<String>,
    pub kind: NodeKind,
    /// The id of the service that it is, or is a part of.
    pub service: String,
}

impl NodeIdentity {
    /// Whether that is its id or its name.
    pub fn is_called(&self, node: &str) -> bool {
        self.id == node || self.name == node
    }

    /// Whether it is the service called `service`, by id or by name, or a part of it.
    pub fn is_of(&self, service: &str) -> bool {
        self.service == service || self.name == service
    }
}

/// The ids of services, unique among those asked for.
pub fn ids(services: &Services, used: &[ServiceId]) -> HashMap<ServiceId, String> {
    let mut alike: HashMap<String, Vec<ServiceId>> = HashMap::new();
    for id in used {
        alike.entry(services.plain_id(*id)).or_default().push(*id);
    }
    let mut ids = HashMap::new();
    for (plain, mut members) in alike {
        let held = |id: &ServiceId| services.service(*id);
        members.sort_by_key(|id| (NodeKind::of(held(id)), held(id).port));
        let with_port = |id: &ServiceId| match held(id).port {
            0 => plain.clone(),
            port => format!("{plain}:{port}"),
        };
        let keeps = members.len() == 1 || NodeKind::of(held(&members[0])).reports();
        let mut taken: Vec<String> = Vec::new();
        for (place, id) in members.iter().enumerate() {
            let mut unique = if place == 0 && keeps { plain.clone() } else { with_port(id) };
            let kind = NodeKind::of(held(id)).name();
            if taken.contains(&unique) {
                unique = format!("{kind}:{}", with_port(id));
            }
            if taken.contains(&unique) {
                unique = format!("{unique}#{place}");
            }
            taken.push(unique.clone());
            ids.insert(*id, unique);
        }
    }
    ids
}
