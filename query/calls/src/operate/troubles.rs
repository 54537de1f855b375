//! What is wrong in a mesh now: services that fail, edges whose calls are refused, services that became slow or fell
//! silent. Worst first.
//!
//! Failing is judged by itself; slow and silent against the same mesh before, as nothing is known of anybody's objectives.
//! Few calls prove nothing: below the floors here a service is not judged at all, and an answer without troubles says no
//! more than that none was found. Limits: percentiles are within 1.09 %, far below what is called slower.

use crate::graph::{Graph, GraphEdge, GraphNode};
use crate::{Figures, NodeIdentity};

/// The share of errors or refusals from which it is a trouble, and from which it is a grave one. Common alerting practice.
pub const SHARE_MIN: f64 = 0.01;
pub const SHARE_GRAVE: f64 = 0.05;

/// So many calls must have failed, so that a single one of ten is no alarm.
pub const FAILED_MIN: f64 = 3.0;

/// Calls on both sides of a comparison of latencies: the 95th percentile of a hundred rests on the five slowest.
pub const COMPARED_MIN: f64 = 100.0;

/// How much slower the 95th percentile must be to be told, and by how many milliseconds at least: half as slow again is
/// seen by people, and a millisecond more is not.
pub const SLOWER_RATIO: f64 = 1.5;
pub const SLOWER_MS: f64 = 5.0;

/// Calls that were to be expected of a service, by its rate before, to call it silent without any: by chance (Poisson) it
/// would have none once in 22,000 times.
pub const EXPECTED_MIN: f64 = 10.0;

/// What is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// Of the calls that a node received, so many failed.
    Failing { node: NodeIdentity, errors: f64, share: f64 },
    /// Calls that never left the client's side.
    Refused { client: NodeIdentity, server: NodeIdentity, refused: f64, share: f64 },
    /// The 95th percentile, now and before.
    Slower { node: NodeIdentity, now_ms: f64, before_ms: f64 },
    /// No calls where there were so many a second.
    Silent { node: NodeIdentity, rate_before: f64 },
}

impl Trouble {
    /// Whether somebody should look at once.
    pub fn is_grave(&self) -> bool {
        self.weight() >= 1.0
    }

    /// How bad: 1 is the threshold of what is grave, so that kinds can be compared.
    fn weight(&self) -> f64 {
        match self {
            Trouble::Failing { share, .. } | Trouble::Refused { share, .. } => share / SHARE_GRAVE,
            Trouble::Slower { now_ms, before_ms, .. } => now_ms / before_ms / (SLOWER_RATIO * 2.0),
            Trouble::Silent { .. } => 1.0,
        }
    }
}

/// The troubles of `now`, which is `seconds` long, against `before`, which may be empty where nothing is known of it. Both are
/// whole graphs by service.
pub fn troubles(now: &Graph, seconds: f64, before: &Graph) -> Vec<Trouble> {
    let of_before = |id: &str| {
        let found = before.nodes.binary_search_by(|node| node.identity.id.as_str().cmp(id));
        found.ok().map(|at| &before.nodes[at].figures)
    };
    let mut found: Vec<Trouble> = Vec::new();
    for node in &now.nodes {
        found.extend(failing(node));
        found.extend(of_before(&node.identity.id).and_then(|before| slower(node, before)));
    }
    found.extend(now.edges.iter().filter_map(|edge| refused(now, edge)));
    found.extend(before.nodes.iter().filter_map(|node| silent(node, now, seconds)));
    found.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    found
}

fn failing(node: &GraphNode) -> Option<Trouble> {
    let Figures { errors, error_ratio: share, .. } = node.figures;
    let is_trouble = errors >= FAILED_MIN && share >= SHARE_MIN;
    is_trouble.then(|| Trouble::Failing { node: node.identity.clone(), errors, share })
}

fn refused(graph: &Graph, edge: &GraphEdge) -> Option<Trouble> {
    let refused = edge.refused;
    let share = if edge.figures.requests > 0.0 { refused / edge.figures.requests } else { 0.0 };
    let identity = |node: usize| graph.nodes[node].identity.clone();
    (refused >= FAILED_MIN && share >= SHARE_MIN).then(|| Trouble::Refused {
        client: identity(edge.source),
        server: identity(edge.target),
        refused,
        share,
    })
}

fn slower(node: &GraphNode, before: &Figures) -> Option<Trouble> {
    let (now_ms, before_ms) = (node.figures.p95_ms?, before.p95_ms?);
    let is_told = node.figures.requests >= COMPARED_MIN && before.requests >= COMPARED_MIN;
    let is_slower = now_ms >= before_ms * SLOWER_RATIO && now_ms - before_ms >= SLOWER_MS;
    (is_told && is_slower).then(|| Trouble::Slower { node: node.identity.clone(), now_ms, before_ms })
}

fn silent(node: &GraphNode, now: &Graph, seconds: f64) -> Option<Trouble> {
    let rate_before = node.figures.rate;
    let found = now.nodes.iter().find(|other| other.identity.id == node.identity.id);
    let is_silent = found.is_none_or(|found| found.figures.requests == 0.0);
    (is_silent && rate_before * seconds >= EXPECTED_MIN)
        .then(|| Trouble::Silent { node: node.identity.clone(), rate_before })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Measure, Protocol};
    use crate::{Evidence, NodeKind};

    /// A minute of so many calls.
    fn figures(requests: f64, errors: f64, p95_ms: f64) -> Figures {
        let error_ratio = if requests > 0.0 { errors / requests } else { 0.0 };
        let none = Figures::of(&Measure::default(), Evidence::Requests, 60.0);
        Figures { requests, rate: requests / 60.0, errors, error_ratio, p95_ms: Some(p95_ms), ..none }
    }

    fn node(id: &str, figures: Figures) -> GraphNode {
        let identity = NodeIdentity {
            id: id.to_owned(),
            name: id.to_owned(),
            namespace: None,
            version: None,
            workload: None,
            kind: NodeKind::Service,
            service: id.to_owned(),
        };
        GraphNode { identity, figures, evidence: Some(Evidence::Requests), hidden_requests: 0.0 }
    }

    fn graph(nodes: Vec<GraphNode>) -> Graph {
        Graph { nodes, ..Graph::default() }
    }

    fn told(now: Vec<GraphNode>, before: Vec<GraphNode>) -> Vec<String> {
        let found = troubles(&graph(now), 60.0, &graph(before));
        let words = found.iter().map(|trouble| match trouble {
            Trouble::Failing { node, errors, .. } => format!("{} fails {errors}", node.id),
            Trouble::Refused { client, server, refused, .. } => {
                format!("{} to {} refused {refused}", client.id, server.id)
            }
            Trouble::Slower { node, now_ms, before_ms } => format!("{} {before_ms} to {now_ms}", node.id),
            Trouble::Silent { node, .. } => format!("{} is silent", node.id),
        });
        words.collect()
    }

    #[test]
    fn errors_are_a_trouble_from_one_percent_and_three_calls() {
        let fails = |requests, errors| told(vec![node("a", figures(requests, errors, 1.0))], Vec::new());
        assert_eq!(fails(300.0, 3.0), ["a fails 3"]);
        assert!(fails(301.0, 3.0).is_empty(), "less than one percent");
        assert!(fails(10.0, 2.0).is_empty(), "two calls");
        assert!(fails(0.0, 0.0).is_empty());
    }

    #[test]
    fn slower_is_half_as_slow_again_and_five_milliseconds() {
        let slower = |calls, now, before| {
            told(vec![node("a", figures(calls, 0.0, now))], vec![node("a", figures(100.0, 0.0, before))])
        };
        assert_eq!(slower(100.0, 30.0, 20.0), ["a 20 to 30"]);
        assert!(slower(99.0, 30.0, 20.0).is_empty(), "too few calls");
        assert!(slower(100.0, 29.0, 20.0).is_empty(), "less than half as slow again");
        assert!(slower(100.0, 6.0, 2.0).is_empty(), "four milliseconds");
    }

    /// Ten calls were to be expected of a minute at ten a minute.
    #[test]
    fn silent_is_none_where_ten_were_to_be_expected() {
        let silent = |before| told(Vec::new(), vec![node("a", figures(before, 0.0, 1.0))]);
        assert_eq!(silent(10.0), ["a is silent"]);
        assert!(silent(9.0).is_empty());
        let there = vec![node("a", figures(1.0, 0.0, 1.0))];
        assert!(told(there, vec![node("a", figures(100.0, 0.0, 1.0))]).is_empty());
    }

    #[test]
    fn the_worst_comes_first() {
        let now = vec![
            node("few", figures(100.0, 3.0, 1.0)),
            node("many", figures(100.0, 50.0, 1.0)),
            node("slow", figures(100.0, 0.0, 40.0)),
        ];
        let before = vec![node("gone", figures(60.0, 0.0, 1.0)), node("slow", figures(100.0, 0.0, 10.0))];
        assert_eq!(told(now, before), ["many fails 50", "slow 10 to 40", "gone is silent", "few fails 3"]);
    }

    #[test]
    fn refusals_are_of_an_edge() {
        let mut graph = graph(vec![node("a", figures(0.0, 0.0, 1.0)), node("b", figures(80.0, 0.0, 1.0))]);
        graph.edges.push(GraphEdge {
            source: 0,
            target: 1,
            protocol: Protocol::Http,
            figures: figures(100.0, 20.0, 1.0),
            evidence: Evidence::Requests,
            retries: 0.0,
            refused: 20.0,
            seen_by_client: true,
            seen_by_server: true,
            by_spans: 0.0,
            by_requests: 100.0,
            completeness: None,
        });
        let found = troubles(&graph, 60.0, &Graph::default());
        assert!(matches!(&found[..], [Trouble::Refused { refused: 20.0, share, .. }] if *share == 0.2));
        assert!(found[0].is_grave());
    }
}
