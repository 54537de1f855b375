//! What was really sent, summed up the way the answers must sum it up.
//!
//! For each node and edge every observer's numbers are kept apart, and beside them stand the numbers that
//! the API must give: a call is counted once, never as a sum of observers. An edge's calls are those that
//! the caller's side saw, else those of the callee's side; a node's are those that its own side saw, else the sum
//! of its edges in; proxies (which see every call) before spans. The gateway is its own and only observer,
//! and the edge into it from outside is the same rows.
//! Percentiles are exact, by nearest rank over all durations; beyond [`DURATIONS_MAX`] durations they
//! are given up and absent, because an endless demo must not keep every duration it ever made.

use std::collections::BTreeMap;

use meshlake_schema::UnixNanos;
use serde::Serialize;

use super::mesh::{DATABASE, EXTERNAL, Instance, Mesh, QUEUE};
use super::model::{AppSpan, Attempt, Call, Callee, Fate, ProxyReport, Visit};
use super::operations::{Operations, OperationsTruth};
use super::rollouts::RolloutTruth;

/// Name of the callers that nothing identifies. Their node belongs to the one they call, `client@callee`,
/// because one node for all unknown callers would join what has nothing to do with each other.
const CALLERS: &str = "client";

/// Durations kept for exact percentiles over all observers: 8 bytes each, so 64 MiB; some two hours at the default
/// rate. Tests and comparisons send far less.
const DURATIONS_MAX: usize = 8 * 1024 * 1024;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLISECOND: f64 = 1e6;

/// The sums. Serialised as JSON for whoever compares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    pub seed: u64,
    /// Whole seconds, RFC 3339; every start lies in the half-open range `from..to`.
    pub from: String,
    pub to: String,
    pub sent: Sent,
    pub services: Vec<NodeTruth>,
    /// The same by version; only nodes inside the mesh have one.
    pub versions: Vec<NodeTruth>,
    pub edges: Vec<EdgeTruth>,
    /// In order of time.
    pub rollouts: Vec<RolloutTruth>,
    #[serde(flatten)]
    pub operations: OperationsTruth,
}

/// How much was handed to the receivers and accepted by them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub visits: u64,
    pub spans: u64,
    pub log_entries: u64,
    pub metric_points: u64,
}

/// A service, or one version of it, or something outside of the mesh.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeTruth {
    pub id: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub kind: &'static str,
    /// The observer that the answer is taken from: `requests`, `spans`, or `edges` for the sum of the edges in.
    pub source: &'static str,
    #[serde(flatten)]
    pub answer: Golden,
    pub server_proxy: Option<Golden>,
    pub server_span: Option<Golden>,
}

/// Calls from one node to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeTruth {
    pub source: String,
    pub target: String,
    #[serde(flatten)]
    pub answer: Golden,
    /// Attempts after the first, by the caller's proxy.
    pub retries: u64,
    pub client_proxy: Option<Golden>,
    pub server_proxy: Option<Golden>,
    pub client_span: Option<Golden>,
    pub server_span: Option<Golden>,
}

/// Golden metrics of one observer, exact.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Golden {
    pub requests: u64,
    pub errors: u64,
    pub client_errors: u64,
    pub aborted: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub p50_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// One observer's calls so far.
#[derive(Debug, Clone, Default)]
struct Tally {
    golden: Golden,
    durations: Vec<u64>,
}

#[derive(Debug, Clone, Default)]
struct Observers {
    client_proxy: Tally,
    server_proxy: Tally,
    client_span: Tally,
    server_span: Tally,
    retries: u64,
}

/// What is outside of the mesh or, with its namespace and version, inside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    id: String,
    name: String,
    namespace: Option<String>,
    version: Option<String>,
    kind: &'static str,
}

/// Adds up visits as they are sent.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    nodes: BTreeMap<Node, Observers>,
    edges: BTreeMap<(Node, Node), Observers>,
    first: Option<i64>,
    last: Option<i64>,
    durations: usize,
    operations: Operations,
}

impl Ledger {
    /// Adds a visit that started at `start`, nanoseconds since the epoch.
    pub fn add(&mut self, mesh: &Mesh, visit: &Visit, start: i64) {
        self.operations.add(mesh, visit);
        self.add_call(mesh, &visit.entry, start);
    }

    fn add_call(&mut self, mesh: &Mesh, call: &Call, start: i64) {
        let caller = mesh.instance(call.caller);
        let source = node(caller);
        let target = callee(mesh, call);
        if let (true, Some(seen)) = (caller.is_gateway(), &call.outbound) {
            self.add_gateway(caller, seen);
        }
        self.see(call.outbound.map(|seen| seen.start), start);
        self.see(call.client_span.map(|span| span.start), start);
        let kept = self.durations < DURATIONS_MAX;
        let edge = self.edges.entry((source, target.clone())).or_default();
        if let Some(seen) = &call.outbound {
            edge.client_proxy.add_report(seen, kept);
            edge.retries += u64::from(seen.attempts.saturating_sub(1));
        }
        if let Some(span) = &call.client_span {
            edge.client_span.add_span(span, kept);
        }
        self.durations += 2;
        for attempt in &call.attempts {
            self.add_attempt(mesh, call, attempt, &target, start);
        }
    }

    /// The gateway's row is the node's own, and that of the edge into it.
    fn add_gateway(&mut self, gateway: &Instance, seen: &ProxyReport) {
        let kept = self.durations < DURATIONS_MAX;
        let callers = Node { id: callers_of(&gateway.node()), ..outside(CALLERS, "client") };
        self.edges.entry((callers, node(gateway))).or_default().server_proxy.add_report(seen, kept);
        for version in [None, Some(gateway.version.to_owned())] {
            let observers = self.nodes.entry(Node { version, ..node(gateway) }).or_default();
            observers.server_proxy.add_report(seen, kept);
        }
        self.durations += 3;
    }

    fn add_attempt(&mut self, mesh: &Mesh, call: &Call, attempt: &Attempt, target: &Node, start: i64) {
        let server = mesh.instance(attempt.server);
        self.see(attempt.inbound.map(|seen| seen.start), start);
        self.see(attempt.server_span.map(|span| span.start), start);
        // A message's second edge leads from the queue to its consumer.
        let edge = match call.callee {
            Callee::Queue => (target.clone(), node(server)),
            _ => (node(mesh.instance(call.caller)), target.clone()),
        };
        let kept = self.durations < DURATIONS_MAX;
        self.edges.entry(edge).or_default().add_server_side(attempt, kept);
        for version in [None, Some(server.version.to_owned())] {
            self.nodes.entry(Node { version, ..node(server) }).or_default().add_server_side(attempt, kept);
        }
        self.durations += 6;
        attempt.calls.iter().for_each(|inner| self.add_call(mesh, inner, start));
    }

    fn see(&mut self, offset: Option<u64>, start: i64) {
        let Some(offset) = offset else { return };
        let at = start + i64::try_from(offset).expect("a visit lasts seconds, not centuries");
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// The sums of all that was added.
    pub fn truth(&self, mesh: &Mesh, seed: u64, sent: Sent, rollouts: Vec<RolloutTruth>) -> Truth {
        let exact = self.durations < DURATIONS_MAX;
        let edges: Vec<_> =
            self.edges.iter().map(|((from, to), seen)| edge_truth(from, to, seen, exact)).collect();
        let mut services = Vec::new();
        let mut versions = Vec::new();
        for (node, seen) in &self.nodes {
            let into = if node.version.is_some() { &mut versions } else { &mut services };
            into.push(node_truth(node, seen, exact));
        }
        for ((_, to), seen) in &self.edges {
            if to.namespace.is_none() {
                services.push(reached_truth(to, seen, exact));
            }
        }
        services.sort_by(|a: &NodeTruth, b| a.id.cmp(&b.id));
        let second = |nanos: i64| nanos.div_euclid(NANOS_PER_SECOND);
        let from = time_text(second(self.first.unwrap_or_default()));
        let to = time_text(second(self.last.unwrap_or_default()) + 1);
        let operations = self.operations.truth(mesh);
        Truth { seed, from, to, sent, services, versions, edges, rollouts, operations }
    }
}

fn time_text(unix_seconds: i64) -> String {
    UnixNanos::from_seconds(unix_seconds).to_rfc3339()
}

impl Observers {
    fn add_server_side(&mut self, attempt: &Attempt, kept: bool) {
        if let Some(seen) = &attempt.inbound {
            self.server_proxy.add_report(seen, kept);
        }
        if let Some(span) = &attempt.server_span {
            self.server_span.add_span(span, kept);
        }
    }
}

impl Tally {
    fn add_report(&mut self, seen: &ProxyReport, kept: bool) {
        self.golden.request_bytes += seen.request_bytes;
        self.golden.response_bytes += seen.response_bytes;
        self.add(seen.fate(), seen.duration, kept);
    }

    fn add_span(&mut self, span: &AppSpan, kept: bool) {
        self.add(span.fate(), span.duration, kept);
    }

    fn add(&mut self, fate: Fate, duration: u64, kept: bool) {
        self.golden.requests += 1;
        match fate {
            Fate::Ok => {}
            Fate::ClientError => self.golden.client_errors += 1,
            Fate::Error => self.golden.errors += 1,
            Fate::Aborted => self.golden.aborted += 1,
        }
        if kept {
            self.durations.push(duration);
        }
    }

    /// The observer's numbers; `None` when it saw nothing.
    fn golden(&self, exact: bool) -> Option<Golden> {
        if self.golden.requests == 0 {
            return None;
        }
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        let ms = |ratio| {
            nearest_rank(&sorted, ratio).filter(|_| exact).map(|nanos| nanos as f64 / NANOS_PER_MILLISECOND)
        };
        Some(Golden {
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p95_ms: ms(0.95),
            p99_ms: ms(0.99),
            max_ms: ms(1.0),
            ..self.golden.clone()
        })
    }
}

/// The smallest value that at least `ratio` of all values do not exceed; `None` of none.
/// Source: the nearest-rank definition, rank = ceil(ratio * n).
fn nearest_rank(sorted: &[u64], ratio: f64) -> Option<u64> {
    // The product may come out a hair above a whole number (0.95 * 20 does not, 0.07 * 100 does).
    let rank = (ratio * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

fn node(instance: &Instance) -> Node {
    Node {
        id: instance.node(),
        name: instance.service.to_owned(),
        namespace: Some(instance.namespace.to_owned()),
        version: None,
        kind: if instance.is_gateway() { "gateway" } else { "service" },
    }
}

fn callers_of(node: &str) -> String {
    format!("{CALLERS}@{node}")
}

fn outside(name: &str, kind: &'static str) -> Node {
    Node { id: name.to_owned(), name: name.to_owned(), namespace: None, version: None, kind }
}

fn callee(mesh: &Mesh, call: &Call) -> Node {
    match call.callee {
        Callee::Service { name, subset } => {
            let pods = mesh.pods_of(name, subset);
            node(mesh.instance(*pods.first().expect("the mesh has pods for every service it calls")))
        }
        Callee::Database => outside(DATABASE, "database"),
        Callee::Queue => outside(QUEUE, "messaging"),
        Callee::External => outside(EXTERNAL, "external"),
    }
}

fn edge_truth(from: &Node, to: &Node, seen: &Observers, exact: bool) -> EdgeTruth {
    let client_proxy = seen.client_proxy.golden(exact);
    let server_proxy = seen.server_proxy.golden(exact);
    let client_span = seen.client_span.golden(exact);
    let server_span = seen.server_span.golden(exact);
    let by_proxies = client_proxy.as_ref().or(server_proxy.as_ref());
    let answer = by_proxies.or(client_span.as_ref()).or(server_span.as_ref()).cloned().unwrap_or_default();
    let (source, target) = (from.id.clone(), to.id.clone());
    EdgeTruth {
        source,
        target,
        answer,
        retries: seen.retries,
        client_proxy,
        server_proxy,
        client_span,
        server_span,
    }
}

fn node_truth(node: &Node, seen: &Observers, exact: bool) -> NodeTruth {
    let server_proxy = seen.server_proxy.golden(exact);
    let server_span = seen.server_span.golden(exact);
    let source = if server_proxy.is_some() { "requests" } else { "spans" };
    let answer = server_proxy.as_ref().or(server_span.as_ref()).cloned().unwrap_or_default();
    described(node, source, answer, server_proxy, server_span)
}

/// A node that nothing observes from inside. Each of them has one edge in, so its sum is that edge.
fn reached_truth(node: &Node, seen: &Observers, exact: bool) -> NodeTruth {
    let answer = seen.client_proxy.golden(exact).or(seen.client_span.golden(exact)).unwrap_or_default();
    described(node, "edges", answer, None, None)
}

fn described(
    node: &Node,
    source: &'static str,
    answer: Golden,
    server_proxy: Option<Golden>,
    server_span: Option<Golden>,
) -> NodeTruth {
    let Node { id, name, namespace, version, kind } = node.clone();
    NodeTruth { id, name, namespace, version, kind, source, answer, server_proxy, server_span }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::model::Model;

    fn truth_of(seed: u64, visits: usize) -> Truth {
        let mut model = Model::new(seed);
        let mesh = model.mesh().clone();
        let mut ledger = Ledger::default();
        for n in 0..visits {
            ledger.add(&mesh, &model.visit(), 1_700_000_000_000_000_000 + n as i64 * 20_000_000);
        }
        ledger.truth(&mesh, seed, Sent::default(), Vec::new())
    }

    fn sum_of(edges: &[EdgeTruth], select: impl Fn(&EdgeTruth) -> Option<&Golden>) -> u64 {
        edges.iter().filter_map(select).map(|golden| golden.requests).sum()
    }

    #[test]
    fn nearest_ranks_of_a_list() {
        // Ranks of n = 5: ceil(2.5) = 3, ceil(4.5) = 5; the textbook's list.
        let five = [15, 20, 35, 40, 50];
        let cases = [(0.05, 15), (0.30, 20), (0.40, 20), (0.50, 35), (0.90, 50), (1.0, 50)];
        for (ratio, want) in cases {
            assert_eq!(nearest_rank(&five, ratio), Some(want), "ratio {ratio}");
        }
        let hundred: Vec<u64> = (1..=100).collect();
        for percent in 1..=100u64 {
            assert_eq!(nearest_rank(&hundred, percent as f64 / 100.0), Some(percent));
        }
        assert_eq!(nearest_rank(&[], 0.5), None);
    }

    #[test]
    fn each_node_has_the_calls_of_its_edges() {
        let truth = truth_of(42, 3_000);
        for service in &truth.services {
            let edges_in: Vec<_> =
                truth.edges.iter().filter(|edge| edge.target == service.id).cloned().collect();
            assert!(!edges_in.is_empty(), "{} has an edge in", service.id);
            let by_proxies = service.server_proxy.as_ref().map_or(0, |golden| golden.requests);
            assert_eq!(sum_of(&edges_in, |edge| edge.server_proxy.as_ref()), by_proxies, "{}", service.id);
            let by_spans = service.server_span.as_ref().map_or(0, |golden| golden.requests);
            assert_eq!(sum_of(&edges_in, |edge| edge.server_span.as_ref()), by_spans, "{}", service.id);
        }
    }

    #[test]
    fn an_edge_and_its_node_differ_by_retries_and_refusals() {
        let truth = truth_of(42, 3_000);
        let edge = |target: &str| truth.edges.iter().find(|e| e.target == target).expect("edge");
        let service = |id: &str| truth.services.iter().find(|s| s.id == id).expect("service");
        // Nothing is refused or tried twice on the way to details.
        assert_eq!(edge("default/details").answer.requests, service("default/details").answer.requests);
        // Each retry is one more call at ratings; each call refused by the circuit breaker is one less.
        let to_ratings = edge("default/ratings");
        let arrived = service("default/ratings").answer.requests;
        assert!(to_ratings.retries > 0);
        let refused = to_ratings.answer.requests + to_ratings.retries - arrived;
        assert!(refused > 0 && refused <= to_ratings.answer.errors, "{refused} refused");
        // Every attempt that reached a pod has a SERVER span there; the page's rate limit keeps some away.
        assert_eq!(service("default/ratings").server_span.as_ref().map(|g| g.requests), Some(arrived));
        let page = service("default/productpage");
        let limited = page.answer.requests - page.server_span.as_ref().expect("the page has spans").requests;
        assert!(limited > 0 && limited <= page.answer.client_errors);
    }

    #[test]
    fn the_gateway_counts_every_visit_once() {
        let truth = truth_of(1, 500);
        let gateway = "istio-system/istio-ingressgateway";
        let edge = |source: &str, target: &str| {
            let found = truth.edges.iter().find(|e| e.source == source && e.target == target);
            found.expect("edge").answer.clone()
        };
        let entered = edge("client@istio-system/istio-ingressgateway", gateway);
        assert_eq!(entered.requests, 500);
        assert_eq!(edge(gateway, "default/productpage"), entered);
    }

    #[test]
    fn versions_add_up_to_their_service() {
        let truth = truth_of(9, 1_000);
        for service in truth.services.iter().filter(|service| service.namespace.is_some()) {
            let versions = truth.versions.iter().filter(|version| version.id == service.id);
            assert_eq!(
                versions.map(|v| v.answer.requests).sum::<u64>(),
                service.answer.requests,
                "{}",
                service.id
            );
        }
    }

    #[test]
    fn the_range_holds_every_start() {
        // 100 visits, 20 ms apart: the last one begins 1.98 s in, and its calls a little later.
        let truth = truth_of(3, 100);
        assert_eq!(truth.from, time_text(1_700_000_000));
        let ends: Vec<_> = (2..=6).map(|second| time_text(1_700_000_000 + second)).collect();
        assert!(ends.contains(&truth.to), "{}", truth.to);
    }

    #[test]
    fn what_nothing_observes_is_known_by_its_callers() {
        let truth = truth_of(42, 2_000);
        let found = |id: &str| truth.services.iter().find(|s| s.id == id).map(|s| (s.kind, s.source));
        assert_eq!(found(DATABASE), Some(("database", "edges")));
        assert_eq!(found(QUEUE), Some(("messaging", "edges")));
        assert_eq!(found(EXTERNAL), Some(("external", "edges")));
        assert_eq!(found("default/shipping"), Some(("service", "spans")));
    }
}
