//! Decides which observation of a call counts, once per service and once per edge, for the whole range.
//!
//! Sources are chosen, never summed: a proxy and an SDK that saw the same call would make two of it. The
//! choice holds for the whole range, so that buckets add up to the total.
//! ```text
//! node, auto   rows of its own proxy if there are any (proxies do not sample), else its received spans,
//!              else the sum of the edges into it without what was refused on the way
//! edge, auto   into a node that counts by rows: the edge's rows, or spans for messages, which proxies do not see
//!              else: the caller's proxy's rows of whole requests, else spans, else rows of connections
//! rows of one edge    the client side's, else the server side's
//! spans of one edge   calls made, and calls received that no made call stands for
//! ```

use std::collections::HashMap;

use crate::cells::{CellKey, Evidence, Side};
use crate::measure::{Measure, Protocol};
use crate::services::ServiceId;

/// What an answer may be derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Rows of proxies where they are complete, spans elsewhere.
    #[default]
    Auto,
    Requests,
    Spans,
}

impl Source {
    fn allows(self, evidence: Evidence) -> bool {
        match self {
            Source::Auto => true,
            Source::Requests => evidence == Evidence::Requests,
            Source::Spans => evidence == Evidence::Spans,
        }
    }
}

/// How much more spans than rows make the answer say so: 5 %.
const SPANS_EXCESS_TOLD: f64 = 1.05;

/// A cell with its ends, each brought to its service. No source: the call is on no edge.
pub struct Placed<'a> {
    pub key: &'a CellKey,
    pub measure: &'a Measure,
    pub source: Option<ServiceId>,
    pub target: ServiceId,
    /// The grouping asked for needs a name (a version, a workload) that this cell lacks.
    pub is_blind: bool,
}

/// Where a node's numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeChoice {
    Own(Evidence),
    EdgesIn,
}

/// Where an edge's numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeChoice {
    pub evidence: Evidence,
    sides: &'static [Side],
}

impl EdgeChoice {
    /// Whether the cell is one of those that add up to the edge.
    pub fn counts(&self, key: &CellKey) -> bool {
        key.evidence == self.evidence && self.sides.contains(&key.side)
    }
}

/// All choices of one answer.
#[derive(Debug, Default)]
pub struct Choices {
    nodes: HashMap<ServiceId, NodeChoice>,
    edges: HashMap<(ServiceId, ServiceId), EdgeChoice>,
    /// Services whose spans exceed their rows by 5 %: (service, by spans, by rows), sorted by service.
    pub excess: Vec<(ServiceId, f64, f64)>,
    /// Calls on edges that only spans saw, into services that count by rows.
    pub left_out: f64,
}

impl Choices {
    pub fn node(&self, service: ServiceId) -> NodeChoice {
        self.nodes.get(&service).copied().unwrap_or(NodeChoice::EdgesIn)
    }

    /// `None` when no evidence that is allowed saw the edge.
    pub fn edge(&self, source: ServiceId, target: ServiceId) -> Option<EdgeChoice> {
        self.edges.get(&(source, target)).copied()
    }
}

#[derive(Default)]
struct NodeTotals {
    rows: f64,
    spans: f64,
}

#[derive(Default)]
struct EdgeTotals {
    client_rows: f64,
    client_blind: f64,
    server_rows: f64,
    server_blind: f64,
    /// Rows of either side that are requests and not connections.
    whole_requests: f64,
    spans: f64,
    messages: f64,
    from_callers: bool,
}

/// Chooses for every service and edge that the cells speak of.
pub fn choose(cells: &[Placed<'_>], source: Source, is_caller: impl Fn(ServiceId) -> bool) -> Choices {
    let mut nodes: HashMap<ServiceId, NodeTotals> = HashMap::new();
    let mut edges: HashMap<(ServiceId, ServiceId), EdgeTotals> = HashMap::new();
    for cell in cells.iter().filter(|cell| source.allows(cell.key.evidence)) {
        if cell.key.side == Side::Server {
            let node = nodes.entry(cell.target).or_default();
            match cell.key.evidence {
                Evidence::Requests => node.rows += cell.measure.requests,
                Evidence::Spans => node.spans += cell.measure.requests,
            }
        }
        if let Some(caller) = cell.source {
            let edge = edges.entry((caller, cell.target)).or_default();
            edge.from_callers = is_caller(caller);
            edge.add(cell);
        }
    }
    let mut choices = Choices::default();
    for (service, totals) in &nodes {
        let evidence = if totals.rows > 0.0 { Evidence::Requests } else { Evidence::Spans };
        choices.nodes.insert(*service, NodeChoice::Own(evidence));
        if totals.rows > 0.0 && totals.spans > totals.rows * SPANS_EXCESS_TOLD {
            choices.excess.push((*service, totals.spans, totals.rows));
        }
    }
    choices.excess.sort_by_key(|(service, ..)| *service);
    for ((caller, target), totals) in edges {
        let by_rows = choices.node(target) == NodeChoice::Own(Evidence::Requests);
        match totals.choose(by_rows) {
            Some(choice) => {
                choices.edges.insert((caller, target), choice);
            }
            None if !totals.from_callers => choices.left_out += totals.spans,
            None => {}
        }
    }
    choices
}

impl EdgeTotals {
    fn add(&mut self, cell: &Placed<'_>) {
        let (requests, blind) =
            (cell.measure.requests, if cell.is_blind { cell.measure.requests } else { 0.0 });
        match (cell.key.evidence, cell.key.side) {
            (Evidence::Requests, Side::Client) => {
                self.client_rows += requests;
                self.client_blind += blind;
                self.whole_requests += cell.measure.requests_not_connections();
            }
            (Evidence::Requests, _) => {
                self.server_rows += requests;
                self.server_blind += blind;
                self.whole_requests += cell.measure.requests_not_connections();
            }
            (Evidence::Spans, Side::Client | Side::Unclaimed) => {
                self.spans += requests;
                if cell.measure.protocol() == Protocol::Messaging {
                    self.messages += requests;
                }
            }
            (Evidence::Spans, Side::Server) => {}
        }
    }

    fn choose(&self, target_counts_by_rows: bool) -> Option<EdgeChoice> {
        let rows = self.client_rows + self.server_rows > 0.0;
        let by_rows = rows && (target_counts_by_rows || self.whole_requests > 0.0 || self.spans == 0.0);
        if by_rows {
            return Some(EdgeChoice { evidence: Evidence::Requests, sides: self.side_of_rows() });
        }
        let by_spans = self.spans > 0.0 && (!target_counts_by_rows || self.messages > 0.0);
        by_spans.then_some(EdgeChoice { evidence: Evidence::Spans, sides: &[Side::Client, Side::Unclaimed] })
    }

    /// The client side's rows, unless the server side's know more of the names that the grouping needs.
    fn side_of_rows(&self) -> &'static [Side] {
        let share = |blind: f64, rows: f64| if rows > 0.0 { blind / rows } else { f64::INFINITY };
        let client = share(self.client_blind, self.client_rows);
        let server = share(self.server_blind, self.server_rows);
        if client <= server { &[Side::Client] } else { &[Side::Server] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::Grain;
    use crate::fixture::{
        CALL, CLIENT, CONSUMER, PRODUCER, Request, SERVED, SERVER, SPAN, Span, edges, nodes, picture,
        picture_of,
    };
    use crate::picture::By;

    const A: (&str, &str) = ("default", "a");
    const B: (&str, &str) = ("default", "b");

    /// One call of a to b as spans, in a trace of its own.
    fn traced(trace: u128) -> [Span; 2] {
        let made = Span { trace, kind: CLIENT, service: A, ..SPAN };
        [made, Span { id: 2, parent: 1, kind: SERVER, service: B, ..made }]
    }

    fn evidence(source: Source) -> (Vec<String>, Vec<String>) {
        // Two calls by proxies, one of them traced.
        let picture = picture_of(&[CALL, CALL, SERVED, SERVED], &traced(1), source, By::Service, Grain::Node);
        (edges(&picture), nodes(&picture))
    }

    #[test]
    fn proxies_and_spans_are_never_summed() {
        let two = (vec!["default/a -> default/b 2/0".to_owned()], vec!["default/b 2/0".to_owned()]);
        let one = (vec!["default/a -> default/b 1/0".to_owned()], vec!["default/b 1/0".to_owned()]);
        assert_eq!(evidence(Source::Auto), two);
        assert_eq!(evidence(Source::Requests), two);
        assert_eq!(evidence(Source::Spans), one);
    }

    #[test]
    fn both_kinds_of_evidence_are_told_beside_the_choice() {
        let picture = picture(&[CALL, CALL, SERVED, SERVED], &traced(1));
        let edge = &picture.edge_cells[0];
        assert_eq!((edge.evidence, edge.by_requests, edge.by_spans), (Evidence::Requests, 2.0, 1.0));
    }

    /// 20 calls by proxies: 21 by spans is 5 % more and is let pass, 22 is told.
    #[test]
    fn spans_that_exceed_rows_by_five_percent_are_told() {
        for (traces, told) in [(21, 0), (22, 1)] {
            let spans: Vec<Span> = (1..=traces).flat_map(traced).collect();
            let picture = picture(&[SERVED; 20], &spans);
            assert_eq!(nodes(&picture), ["default/b 20/0"]);
            assert_eq!(picture.warnings.len(), told, "{traces}: {:?}", picture.warnings);
        }
    }

    #[test]
    fn without_a_proxy_at_the_callee_spans_count_there() {
        // The caller's proxy sees whole requests, so the edge is counted from it; the node from its spans.
        let spans: Vec<Span> = (1..=3).flat_map(traced).collect();
        let picture = picture(&[CALL; 4], &spans);
        assert_eq!(edges(&picture), ["default/a -> default/b 4/0"]);
        assert_eq!(nodes(&picture), ["default/b 3/0"]);
        assert_eq!(picture.node_cells[0].evidence, Evidence::Spans);
    }

    /// A pooled connection carries many queries: the proxy sees one connection, the client three queries.
    #[test]
    fn queries_are_counted_and_not_connections() {
        let connection = Request { destination: ("default", "mysql"), layer: "l4", millis: 60_000, ..CALL };
        let query = Span { kind: CLIENT, db_system: "mysql", server_address: "mysql", service: A, ..SPAN };
        let queries = [query, Span { id: 2, ..query }, Span { id: 3, ..query }];
        let with_spans = picture(&[connection], &queries);
        assert_eq!(edges(&with_spans), ["default/a -> default/mysql 3/0"]);
        assert_eq!(with_spans.edge_cells[0].by_requests, 1.0);
        let without = picture(&[connection], &[]);
        assert_eq!(edges(&without), ["default/a -> default/mysql 1/0"]);
        assert_eq!(without.edge_cells[0].measure.quantile_ms(0.5), None);
    }

    #[test]
    fn messages_are_on_the_graph_beside_the_rows_of_proxies() {
        let sent = Span { kind: PRODUCER, service: A, queue: "orders", ..SPAN };
        let taken = Span { id: 2, parent: 1, kind: CONSUMER, service: B, ..sent };
        let picture = picture(&[SERVED], &[sent, taken]);
        assert_eq!(
            edges(&picture),
            ["default/a -> default/b 1/0", "default/a -> orders 1/0", "orders -> default/b 1/0"]
        );
        assert_eq!(nodes(&picture), ["default/b 1/0", "orders 1/0"]);
    }

    #[test]
    fn a_path_that_only_spans_saw_into_a_proxied_service_is_left_out_and_told() {
        // Proxies saw gateway -> b; spans saw a -> b, for the gateway is not traced. It is one call.
        let through = Request { source: ("istio-system", "gateway"), ..SERVED };
        let picture = picture(&[through], &traced(1));
        assert_eq!(edges(&picture), ["istio-system/gateway -> default/b 1/0"]);
        assert_eq!(picture.warnings.len(), 1, "{:?}", picture.warnings);
        assert!(picture.warnings[0].starts_with("1 calls that only spans saw"));
    }

    #[test]
    fn a_node_without_reports_is_the_sum_of_its_edges() {
        let from = |caller| Request { source: ("default", caller), destination: ("", "api.example"), ..CALL };
        let picture = picture(&[from("a"), from("c"), Request { outcome: "error", ..from("c") }], &[]);
        assert_eq!(nodes(&picture), ["api.example 3/1"]);
    }
}
