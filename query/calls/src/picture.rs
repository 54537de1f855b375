//! The calls of a range as nodes and edges, each call once: what golden metrics and the graph are cut from.

use std::collections::{BTreeMap, HashMap};

use crate::cells::{Book, CellKey, Evidence, Side};
use crate::choice::{Choices, NodeChoice, Placed, Source, choose};
use crate::measure::Measure;
use crate::nodes::{NodeIdentity, NodeKind};
use crate::party::{Marks, Party, PartyId, PartyName};
use crate::range::Range;
use crate::services::{Service, ServiceId, Services};

/// What makes a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    #[default]
    Service,
    /// Deployments. Spans do not name them, so a service seen by spans alone stays whole.
    Workload,
    /// Versions of a service; what has no version stays whole.
    Version,
}

/// Calls that a node received in one bucket, by operation or instance if asked for.
#[derive(Debug, Clone)]
pub struct NodeCell {
    /// Place in [`Picture::nodes`].
    pub node: usize,
    pub detail: Option<String>,
    pub bucket: u16,
    pub evidence: Evidence,
    pub measure: Measure,
}

/// Calls of an edge in one bucket.
#[derive(Debug, Clone)]
pub struct EdgeCell {
    /// Places in [`Picture::nodes`].
    pub source: usize,
    pub target: usize,
    pub bucket: u16,
    /// What `measure` was counted from.
    pub evidence: Evidence,
    pub measure: Measure,
    /// Of those, refused before they reached the target.
    pub refused: f64,
    /// Calls that the client side saw, by the evidence counted from.
    pub client: f64,
    /// Tries that left the client, as far as the client side knows.
    pub sent: f64,
    /// Calls that the server side saw.
    pub server: f64,
    /// Calls by spans, and by rows of `requests`, each alone.
    pub by_spans: f64,
    pub by_requests: f64,
}

/// Nodes and edges of a range.
#[derive(Debug, Clone)]
pub struct Picture {
    pub range: Range,
    /// Sorted by id.
    pub nodes: Vec<NodeIdentity>,
    /// Sorted by node, detail, bucket.
    pub node_cells: Vec<NodeCell>,
    /// Sorted by source, target, bucket.
    pub edge_cells: Vec<EdgeCell>,
    pub warnings: Vec<String>,
}

/// Groups all cells of `book`, choosing among observations.
pub(super) fn picture(
    book: &mut Book,
    services: &mut Services,
    source: Source,
    by: By,
    mut warnings: Vec<String>,
) -> Picture {
    let owners = Owners::add(book, services);
    let cells = place(book, services, &owners, by);
    let is_caller = |service| services.service(service).marks.has(Marks::CALLER);
    let choices = choose(&cells, source, is_caller);
    warnings.extend(told(&choices, services));
    let mut drawing =
        Drawing { book, services, by, nodes: Vec::new(), places: HashMap::new(), by_id: HashMap::new() };
    let mut node_cells = BTreeMap::new();
    let mut edge_cells = BTreeMap::new();
    for cell in &cells {
        drawing.add_to_node(cell, &choices, &mut node_cells);
        drawing.add_to_edge(cell, &choices, &mut edge_cells);
    }
    // An edge that only the side not chosen saw under these names has no calls.
    edge_cells.retain(|_, edge: &mut EdgeCell| edge.measure.requests > 0.0);
    sorted(book.range, &drawing.nodes, node_cells, edge_cells, warnings)
}

/// The nodes that stand for unknown ends, each owned by the known end.
struct Owners {
    callers: HashMap<ServiceId, ServiceId>,
    unknown: HashMap<ServiceId, ServiceId>,
}

impl Owners {
    fn add(book: &mut Book, services: &mut Services) -> Owners {
        let mut owners = Owners { callers: HashMap::new(), unknown: HashMap::new() };
        let keys: Vec<CellKey> = book.cells().map(|(key, _)| *key).collect();
        for key in keys {
            for (end, other, map) in [
                (key.source, key.destination, &mut owners.callers),
                (key.destination, key.source, &mut owners.unknown),
            ] {
                if end != PartyId::CALLERS && end != PartyId::UNKNOWN {
                    continue;
                }
                let owner = services.service_of(other);
                map.entry(owner).or_insert_with(|| {
                    let scope = services.service(owner).id();
                    let Party { name, marks, .. } = book.parties.party(end).clone();
                    let name = PartyName { name: &name, scope: Some(&scope), ..PartyName::default() };
                    let party = services.add(&mut book.parties, &name, marks);
                    services.service_of(party)
                });
            }
        }
        owners
    }
}

fn place<'a>(book: &'a Book, services: &Services, owners: &Owners, by: By) -> Vec<Placed<'a>> {
    let named = |party: PartyId| {
        let party = book.parties.party(party);
        match by {
            By::Service => true,
            By::Workload => party.workload.is_some(),
            By::Version => party.version.is_some(),
        }
    };
    let mut cells: Vec<Placed<'a>> = book
        .cells()
        .map(|(key, measure)| {
            let (source, target) = (services.service_of(key.source), services.service_of(key.destination));
            Placed {
                key,
                measure,
                source: match key.source {
                    PartyId::NOBODY => None,
                    PartyId::CALLERS => Some(owners.callers.get(&target).copied().unwrap_or(source)),
                    _ => Some(source),
                },
                target: match key.destination {
                    PartyId::UNKNOWN => owners.unknown.get(&source).copied().unwrap_or(target),
                    _ => target,
                },
                is_blind: !(named(key.source) && named(key.destination)),
            }
        })
        .collect();
    // Sums of weights are not associative to the last bit; a fixed order makes the same question give the
    // same answer.
    cells.sort_by_key(|cell| cell.key);
    cells
}

fn told(choices: &Choices, services: &Services) -> Vec<String> {
    let excess = choices.excess.iter().map(|(service, spans, rows)| {
        format!(
            "{}: spans tell of {spans:.0} calls, proxies of {rows:.0}; some calls may not pass its proxy",
            services.service(*service).id()
        )
    });
    let left_out = (choices.left_out > 0.0).then(|| {
        format!(
            "{:.0} calls that only spans saw are left out, into services counted from proxies; ask with source=spans",
            choices.left_out
        )
    });
    excess.chain(left_out).collect()
}

struct Drawing<'a> {
    book: &'a Book,
    services: &'a Services,
    by: By,
    nodes: Vec<NodeIdentity>,
    places: HashMap<(ServiceId, Option<String>), usize>,
    by_id: HashMap<String, usize>,
}

type NodeCells = BTreeMap<(usize, Option<String>, u16), NodeCell>;
type EdgeCells = BTreeMap<(usize, usize, u16), EdgeCell>;

impl Drawing<'_> {
    fn add_to_node(&mut self, cell: &Placed<'_>, choices: &Choices, cells: &mut NodeCells) {
        let counts = match choices.node(cell.target) {
            NodeChoice::Own(evidence) => cell.key.side == Side::Server && cell.key.evidence == evidence,
            NodeChoice::EdgesIn => {
                let edge = cell.source.and_then(|source| choices.edge(source, cell.target));
                !cell.key.refused && edge.is_some_and(|edge| edge.counts(cell.key))
            }
        };
        if !counts {
            return;
        }
        let node = self.node(cell.target, cell.key.destination);
        let detail = self.book.detail_text(cell.key.detail).map(str::to_owned);
        let held = cells.entry((node, detail.clone(), cell.key.bucket)).or_insert_with(|| NodeCell {
            node,
            detail,
            bucket: cell.key.bucket,
            evidence: cell.key.evidence,
            measure: Measure::default(),
        });
        // A node that sums its edges may have edges of both kinds; rows are the stronger word.
        held.evidence = held.evidence.min(cell.key.evidence);
        held.measure.merge(cell.measure);
    }

    fn add_to_edge(&mut self, cell: &Placed<'_>, choices: &Choices, cells: &mut EdgeCells) {
        let Some(source) = cell.source else { return };
        let Some(choice) = choices.edge(source, cell.target) else { return };
        let (from, to) = (self.node(source, cell.key.source), self.node(cell.target, cell.key.destination));
        let edge = cells.entry((from, to, cell.key.bucket)).or_insert_with(|| EdgeCell {
            source: from,
            target: to,
            bucket: cell.key.bucket,
            evidence: choice.evidence,
            measure: Measure::default(),
            refused: 0.0,
            client: 0.0,
            sent: 0.0,
            server: 0.0,
            by_spans: 0.0,
            by_requests: 0.0,
        });
        edge.add(cell, choice.counts(cell.key));
    }

    /// The place of the node that a party of a service belongs to.
    fn node(&mut self, service: ServiceId, party: PartyId) -> usize {
        let held = self.services.service(service);
        let party = self.book.parties.party(party);
        let part = match self.by {
            By::Service => None,
            By::Workload => party.workload.clone(),
            By::Version => party.version.clone(),
        };
        if let Some(place) = self.places.get(&(service, part.clone())) {
            return *place;
        }
        let mut identity = NodeIdentity {
            id: held.id(),
            name: held.name.clone(),
            namespace: held.namespace.clone(),
            version: None,
            kind: NodeKind::of(held),
        };
        if let Some(part) = &part {
            if self.by == By::Version {
                identity.id = format!("{}:{part}", identity.id);
                identity.version = Some(part.clone());
            } else {
                let workload = Service { name: part.clone(), ..held.clone() };
                identity = NodeIdentity { id: workload.id(), name: part.clone(), ..identity };
            }
        }
        // Two services can run in one workload: they are one node then.
        let place = *self.by_id.entry(identity.id.clone()).or_insert(self.nodes.len());
        if place == self.nodes.len() {
            self.nodes.push(identity);
        }
        self.places.insert((service, part), place);
        place
    }
}

impl EdgeCell {
    fn add(&mut self, cell: &Placed<'_>, counts: bool) {
        let (key, requests) = (cell.key, cell.measure.requests);
        if key.evidence == self.evidence {
            match key.side {
                Side::Client => {
                    self.client += requests;
                    self.sent += cell.measure.sent;
                }
                Side::Server => self.server += requests,
                Side::Unclaimed => {}
            }
        }
        match (key.evidence, key.side) {
            (Evidence::Spans, Side::Client | Side::Unclaimed) => self.by_spans += requests,
            (Evidence::Requests, _) if counts => self.by_requests += requests,
            // Beside an edge counted from spans, rows are told as the client side saw them.
            (Evidence::Requests, Side::Client) if self.evidence == Evidence::Spans => {
                self.by_requests += requests;
            }
            _ => {}
        }
        if counts {
            self.measure.merge(cell.measure);
            self.refused += if key.refused { requests } else { 0.0 };
        }
    }
}

fn sorted(
    range: Range,
    nodes: &[NodeIdentity],
    node_cells: NodeCells,
    edge_cells: EdgeCells,
    warnings: Vec<String>,
) -> Picture {
    let mut is_used = vec![false; nodes.len()];
    node_cells.values().for_each(|cell| is_used[cell.node] = true);
    edge_cells.values().flat_map(|edge| [edge.source, edge.target]).for_each(|end| is_used[end] = true);
    let mut order: Vec<usize> = (0..nodes.len()).filter(|place| is_used[*place]).collect();
    order.sort_by(|a, b| nodes[*a].id.cmp(&nodes[*b].id));
    let new_place: HashMap<usize, usize> = order.iter().enumerate().map(|(new, old)| (*old, new)).collect();
    let mut node_cells: Vec<NodeCell> =
        node_cells.into_values().map(|cell| NodeCell { node: new_place[&cell.node], ..cell }).collect();
    node_cells.sort_by(|a, b| (a.node, &a.detail, a.bucket).cmp(&(b.node, &b.detail, b.bucket)));
    let mut edge_cells: Vec<EdgeCell> = edge_cells
        .into_values()
        .map(|edge| EdgeCell { source: new_place[&edge.source], target: new_place[&edge.target], ..edge })
        .collect();
    edge_cells.sort_by_key(|edge| (edge.source, edge.target, edge.bucket));
    let nodes = order.into_iter().map(|place| nodes[place].clone()).collect();
    Picture { range, nodes, node_cells, edge_cells, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::Grain;
    use crate::fixture::{CALL, Request, SERVED, kind, nodes, picture, picture_of};

    #[test]
    fn services_may_be_called_like_the_nodes_of_the_unknown() {
        let named = |name| Request { source: ("", name), destination: ("", name), ..SERVED };
        let unknown = Request { source: ("", ""), ..SERVED };
        let picture = picture(&[named("client"), named("unknown"), unknown], &[]);
        assert_eq!(nodes(&picture), ["client 1/0", "default/b 1/0", "unknown 1/0"]);
        assert_eq!(kind(&picture, "client"), Some("service"));
        assert_eq!(kind(&picture, "unknown"), Some("service"));
        assert_eq!(kind(&picture, "client@default/b"), Some("client"));
    }

    #[test]
    fn a_service_is_one_node_with_and_without_its_namespace() {
        let picture = picture(&[SERVED, Request { destination: ("", "b"), ..SERVED }], &[]);
        assert_eq!(nodes(&picture), ["default/b 2/0"]);
    }

    #[test]
    fn the_same_rows_in_another_order_are_the_same_picture() {
        let calls: Vec<Request> = (0..50).map(|i| Request { millis: i * 7 % 13, ..CALL }).collect();
        let turned: Vec<Request> = calls.iter().rev().copied().collect();
        let sums = |rows: &[Request]| {
            let picture = picture(rows, &[]);
            picture.edge_cells.iter().map(|edge| edge.measure.clone()).collect::<Vec<_>>()
        };
        assert_eq!(sums(&calls), sums(&turned));
    }

    #[test]
    fn versions_of_a_service_are_nodes_when_asked() {
        let rows = ["v1", "v2", "v2"].map(|version| Request { version, ..SERVED });
        let picture = picture_of(&rows, &[], Source::Auto, By::Version, Grain::Node);
        assert_eq!(nodes(&picture), ["default/b:v1 1/0", "default/b:v2 2/0"]);
    }
}
