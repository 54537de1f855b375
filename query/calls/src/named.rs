//! Brings the ends of counted calls to the nodes that they are, named as the grouping names them.

use std::collections::HashMap;

use crate::cells::Book;
use crate::grouping::By;
use crate::hashing::NumberMap;
use crate::nodes::{NodeIdentity, NodeKind};
use crate::party::PartyId;
use crate::services::{ServiceId, Services};

/// What tells a part of a service from the others, as far as the grouping does: a book keeps no more of its parties.
#[derive(Debug)]
struct Part {
    version: Option<String>,
    workload: Option<String>,
}

/// Nodes in the order in which they were met.
pub struct Named<'a> {
    book: &'a Book,
    services: &'a Services,
    /// Ids of services.
    names: &'a HashMap<ServiceId, String>,
    nodes: Vec<NodeIdentity>,
    places: NumberMap<(ServiceId, PartyId), usize>,
    by_id: HashMap<String, usize>,
}

impl<'a> Named<'a> {
    pub fn of(book: &'a Book, services: &'a Services, names: &'a HashMap<ServiceId, String>) -> Self {
        let (nodes, places, by_id) = (Vec::new(), NumberMap::default(), HashMap::new());
        Named { book, services, names, nodes, places, by_id }
    }

    /// The place of the node that a party of a service belongs to.
    pub fn node(&mut self, service: ServiceId, party: PartyId) -> usize {
        if let Some(place) = self.places.get(&(service, party)) {
            return *place;
        }
        let held = self.book.parties.party(party);
        let part = Part { version: held.version.clone(), workload: held.workload.clone() };
        let identity = self.identity(service, &part);
        // Many parties are one part of a service; and two services can run in one workload: they are one node then.
        let place = *self.by_id.entry(identity.id.clone()).or_insert(self.nodes.len());
        if place == self.nodes.len() {
            self.nodes.push(identity);
        }
        self.places.insert((service, party), place);
        place
    }

    /// All of them, in the order in which they were met.
    pub fn into_nodes(self) -> Vec<NodeIdentity> {
        self.nodes
    }

    /// What a part of a service is called.
    fn identity(&self, service: ServiceId, part: &Part) -> NodeIdentity {
        let (held, id) = (self.services.service(service), &self.names[&service]);
        let mut identity = NodeIdentity {
            id: id.clone(),
            name: held.name.clone(),
            namespace: held.namespace.clone(),
            version: part.version.clone(),
            workload: None,
            kind: NodeKind::of(held),
            service: id.clone(),
        };
        match (self.book.by, &part.version, &part.workload) {
            (By::Workload, _, Some(workload)) => {
                let namespace = held.namespace.as_ref().map_or_else(String::new, |n| format!("{n}/"));
                let (id, name) = (format!("{namespace}{workload}"), workload.clone());
                NodeIdentity { id, name, ..identity }
            }
            (_, version, workload) => {
                let parts = [(':', version), ('%', workload)];
                for (before, part) in parts.into_iter().filter_map(|(b, part)| Some((b, part.as_ref()?))) {
                    identity.id.push(before);
                    identity.id.push_str(part);
                }
                NodeIdentity { workload: workload.clone(), ..identity }
            }
        }
    }
}

/// Those of `nodes` at places that `is_used`, sorted by id, and the new place of each old one.
pub fn sorted(nodes: &[NodeIdentity], is_used: impl Fn(usize) -> bool) -> (Vec<NodeIdentity>, Vec<usize>) {
    let mut order: Vec<usize> = (0..nodes.len()).filter(|place| is_used(*place)).collect();
    order.sort_by(|a, b| nodes[*a].id.cmp(&nodes[*b].id));
    let mut new_place = vec![0; nodes.len()];
    order.iter().enumerate().for_each(|(new, old)| new_place[*old] = new);
    (order.into_iter().map(|place| nodes[place].clone()).collect(), new_place)
}
