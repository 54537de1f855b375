//! What is wrong in a mesh now: services that fail, edges whose calls are refused, services that became slow or fell silent,
//! versions that are worse than others, and records of which nothing can be told as they were not taken. Worst first.
//!
//! Failing is judged by itself; slow and silent against the same mesh before, as nothing is known of anybody's objectives.
//! Few calls prove nothing: below the floors here a service is not judged at all, and an answer without troubles says no
//! more than that none was found. Limits: percentiles are within 1.09 %, far below what is called slower.

use super::floors::{
    COMPARED_MIN, EXPECTED_MIN, FAILED_MIN, SHARE_GRAVE, SHARE_MIN, SLOWER_MS, SLOWER_RATIO,
};
use super::worse_versions::WorseVersion;
use crate::graph::{Graph, GraphEdge, GraphNode};
use crate::{Figures, NodeIdentity};

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
    /// A version, as a canary.
    WorseVersion(WorseVersion),
    /// Records that came and were not stored.
    Lost(Lost),
}

/// Records of one kind that were rejected for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// traces, logs, metrics or requests.
    pub signal: String,
    /// The way in.
    pub source: String,
    pub reason: String,
    pub records: u64,
    /// All that came of that signal that way, at least as many.
    pub received: u64,
}

impl Lost {
    /// Of what came, 0..=1.
    pub fn share(&self) -> f64 {
        if self.received == 0 { 1.0 } else { self.records as f64 / self.received as f64 }
    }
}

/// What is looked at.
pub struct Seen<'a> {
    /// The whole graph by service.
    pub now: &'a Graph,
    /// How long that is.
    pub seconds: f64,
    /// The same of the time before; empty where nothing is known of it.
    pub before: &'a Graph,
    pub worse_versions: Vec<WorseVersion>,
    pub lost: Vec<Lost>,
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
            Trouble::WorseVersion(found) => found.how.weight(),
            Trouble::Lost(lost) => lost.share() / SHARE_GRAVE,
        }
    }
}

/// What is wrong, worst first. Any loss is: what was not stored is missing in all other answers.
pub fn troubles(seen: Seen<'_>) -> Vec<Trouble> {
    let Seen { now, seconds, before, worse_versions, lost } = seen;
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
    found.extend(worse_versions.into_iter().map(Trouble::WorseVersion));
    found.extend(lost.into_iter().map(Trouble::Lost));
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
    use crate::operate::worse_versions::Worse;
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

    fn seen<'a>(now: &'a Graph, before: &'a Graph) -> Seen<'a> {
        Seen { now, seconds: 60.0, before, worse_versions: Vec::new(), lost: Vec::new() }
    }

    fn told(now: Vec<GraphNode>, before: Vec<GraphNode>) -> Vec<String> {
        let found = troubles(seen(&graph(now), &graph(before)));
        let words = found.iter().map(|trouble| match trouble {
            Trouble::Failing { node, errors, .. } => format!("{} fails {errors}", node.id),
            Trouble::Refused { client, server, refused, .. } => {
                format!("{} to {} refused {refused}", client.id, server.id)
            }
            Trouble::Slower { node, now_ms, before_ms } => format!("{} {before_ms} to {now_ms}", node.id),
            Trouble::Silent { node, .. } => format!("{} is silent", node.id),
            Trouble::WorseVersion(found) => format!("{} {} is worse", found.service, found.version),
            Trouble::Lost(lost) => format!("{} {} lost", lost.records, lost.signal),
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
        let found = troubles(seen(&graph, &Graph::default()));
        assert!(matches!(&found[..], [Trouble::Refused { refused: 20.0, share, .. }] if *share == 0.2));
        assert!(found[0].is_grave());
    }

    /// One of a hundred spans, and all of two requests: of what came, the other way round.
    #[test]
    fn loss_and_versions_stand_among_the_others() {
        let lost = |signal: &str, records, received| Lost {
            signal: signal.to_owned(),
            source: "otlp_grpc".to_owned(),
            reason: "bad_id".to_owned(),
            records,
            received,
        };
        let how = Worse::Slower { p95_ms: 400.0, than_ms: 10.0 };
        let version = |text: &str| text.to_owned();
        let worse = WorseVersion { service: version("b"), version: version("v3"), than: version("v1"), how };
        let now = graph(vec![node("few", figures(100.0, 3.0, 1.0))]);
        let lost = vec![lost("traces", 1, 100), lost("requests", 2, 2)];
        let found = troubles(Seen { lost, worse_versions: vec![worse], ..seen(&now, &Graph::default()) });
        assert!(
            matches!(
                &found[..],
                [
                    Trouble::Lost(Lost { records: 2, .. }),
                    Trouble::WorseVersion(_),
                    Trouble::Failing { .. },
                    Trouble::Lost(Lost { records: 1, .. })
                ]
            ),
            "{found:?}"
        );
        assert!(found[1].is_grave() && !found[3].is_grave());
    }
}
