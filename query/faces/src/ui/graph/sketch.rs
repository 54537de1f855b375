//! What is drawn of a graph, in words and colours: its nodes and edges, or its namespaces and the calls between them.

use std::collections::BTreeMap;

use meshlake_query::NodeKind;
use meshlake_query::graph::{Graph, GraphEdge, GraphNode};

use super::super::asked::Asked;
use super::super::words::Words;
use super::super::{format, severity};

/// A graph of more nodes is drawn by namespace unless it is asked for whole.
pub const NODES_WHOLE_MAX: usize = 60;

/// Most nodes that are drawn: what a layout in a third of a second and a page of some megabytes allow.
pub const NODES_DRAWN_MAX: usize = 1_500;

/// What an edge says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Rate,
    Errors,
    P50,
    P95,
    P99,
    Retries,
    Bytes,
}

impl Label {
    pub const ALL: [Label; 7] =
        [Label::Rate, Label::Errors, Label::P50, Label::P95, Label::P99, Label::Retries, Label::Bytes];

    /// As it stands in the address.
    pub const fn name(self) -> &'static str {
        match self {
            Label::Rate => "rate",
            Label::Errors => "errors",
            Label::P50 => "p50",
            Label::P95 => "p95",
            Label::P99 => "p99",
            Label::Retries => "retries",
            Label::Bytes => "bytes",
        }
    }

    /// The one of that name; the rate of calls where there is none.
    pub fn named(name: Option<&str>) -> Label {
        Label::ALL.into_iter().find(|label| Some(label.name()) == name).unwrap_or(Label::Rate)
    }

    fn of(self, edge: &GraphEdge) -> [String; 2] {
        let figures = &edge.figures;
        let (rate, errors) = (format::rate(figures.rate), format::percent(figures.error_ratio));
        let first = match self {
            Label::Rate => return [rate, format!("{errors} · {}", format::duration(figures.p99_ms))],
            Label::Errors => errors,
            Label::P50 => format::duration(figures.p50_ms),
            Label::P95 => format::duration(figures.p95_ms),
            Label::P99 => format::duration(figures.p99_ms),
            Label::Retries => format::count(edge.retries),
            Label::Bytes => {
                let both = figures.bytes_in.map(|bytes| bytes + figures.bytes_out.unwrap_or(0.0));
                format::bytes(both)
            }
        };
        [first, rate]
    }
}

/// A box.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    /// Its kind, and where it is.
    pub place: String,
    /// The calls that it received; empty where there were none.
    pub figures: String,
    /// All that is known, for a tooltip.
    pub title: String,
    pub link: String,
    /// How it looks: by kind and by how it fares.
    pub class: String,
    pub is_outside: bool,
}

/// An arrow.
#[derive(Debug)]
pub struct Line {
    /// Places in [`Sketch::nodes`].
    pub ends: (usize, usize),
    pub label: [String; 2],
    pub title: String,
    pub link: String,
    pub severity: &'static str,
    /// Calls a second: how wide it is.
    pub rate: f64,
}

/// What is drawn.
#[derive(Debug, Default)]
pub struct Sketch {
    pub nodes: Vec<Node>,
    pub lines: Vec<Line>,
    /// Nodes that are not drawn, the least busy ones.
    pub left_out: usize,
    /// Nodes stand for namespaces.
    pub is_by_namespace: bool,
}

impl Sketch {
    /// Of every node, or of namespaces where there are too many and `whole` is not asked for.
    pub fn of(graph: &Graph, label: Label, whole: bool, asked: &Asked) -> Sketch {
        if graph.nodes.len() > NODES_WHOLE_MAX && !whole {
            return by_namespace(graph, asked);
        }
        let drawn = busiest(graph);
        let words = asked.words();
        let nodes = drawn.iter().map(|at| node(&graph.nodes[*at], asked)).collect();
        let place = |node: usize| drawn.binary_search(&node).ok();
        let lines = graph.edges.iter().filter_map(|edge| {
            let ends = (place(edge.source)?, place(edge.target)?);
            let [client, server] =
                [edge.source, edge.target].map(|end| graph.nodes[end].identity.id.as_str());
            Some(Line {
                ends,
                label: label.of(edge),
                title: format!("{client} → {server}\n{}", edge_words(edge, words)),
                link: asked.link("/edge", &[("client", client), ("server", server)]),
                severity: severity(edge.figures.error_ratio),
                rate: edge.figures.rate,
            })
        });
        let left_out = graph.nodes.len() - drawn.len();
        Sketch { nodes, lines: lines.collect(), left_out, is_by_namespace: false }
    }
}

/// The places of the nodes with the most calls in and out, ascending.
fn busiest(graph: &Graph) -> Vec<usize> {
    let mut calls = vec![0.0; graph.nodes.len()];
    for edge in &graph.edges {
        calls[edge.source] += edge.figures.requests;
        calls[edge.target] += edge.figures.requests;
    }
    let mut order: Vec<usize> = (0..graph.nodes.len()).collect();
    order.sort_by(|a, b| calls[*b].total_cmp(&calls[*a]).then(a.cmp(b)));
    order.truncate(NODES_DRAWN_MAX);
    order.sort_unstable();
    order
}

fn node(node: &GraphNode, asked: &Asked) -> Node {
    let (identity, figures, words) = (&node.identity, &node.figures, asked.words());
    let kind = words.kind(identity.kind);
    let is_known = node.evidence.is_some();
    let part = identity.version.as_deref().or(identity.workload.as_deref());
    let place = [Some(kind), identity.namespace.as_deref(), part].into_iter().flatten().collect::<Vec<_>>();
    let shown = if is_known {
        let (rate, errors) = (format::rate(figures.rate), format::percent(figures.error_ratio));
        format!("{rate} · {errors} · {}", format::duration(figures.p99_ms))
    } else {
        String::new()
    };
    let title = format!(
        "{} ({kind})\n{} {}, {} {}\np50 {} · p90 {} · p99 {}",
        identity.id,
        format::count(figures.requests),
        words.calls,
        format::count(figures.errors),
        words.errors,
        format::duration(figures.p50_ms),
        format::duration(figures.p90_ms),
        format::duration(figures.p99_ms),
    );
    let fares = if is_known { severity(figures.error_ratio) } else { "good" };
    let is_client = identity.kind == NodeKind::Client;
    Node {
        name: if is_client { words.outside_callers.to_owned() } else { identity.name.clone() },
        place: place.join(" · "),
        figures: shown,
        title,
        link: asked.link("/service", &[("name", &identity.id)]),
        class: format!("{} {fares}", identity.kind.name()),
        is_outside: is_client || identity.kind == NodeKind::External,
    }
}

fn edge_words(edge: &GraphEdge, words: &Words) -> String {
    let figures = &edge.figures;
    let mut text = format!(
        "{} · {} {}, {} {}, {} {}, {} {}\np50 {} · p90 {} · p99 {}\n{} {}",
        edge.protocol.name(),
        format::count(figures.requests),
        words.calls,
        format::count(figures.errors),
        words.errors,
        format::count(edge.retries),
        words.retries,
        format::count(edge.refused),
        words.refused,
        format::duration(figures.p50_ms),
        format::duration(figures.p90_ms),
        format::duration(figures.p99_ms),
        words.counted_from,
        edge.evidence.name(),
    );
    if let Some(completeness) = edge.completeness {
        text.push_str(&format!(", {} {}", words.both_ends_agree, format::percent(completeness)));
    }
    text
}

/// Sums of calls, which add up as latencies do not.
#[derive(Default)]
struct Sum {
    requests: f64,
    errors: f64,
    rate: f64,
    members: usize,
}

impl Sum {
    fn add(&mut self, figures: &meshlake_query::Figures) {
        self.requests += figures.requests;
        self.errors += figures.errors;
        self.rate += figures.rate;
    }

    fn error_ratio(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }

    fn title(&self, words: &Words) -> String {
        let (requests, errors) = (format::count(self.requests), format::count(self.errors));
        format!("{requests} {}, {errors} {}", words.calls, words.errors)
    }
}

/// A node for each namespace, and one for what has none. Calls within a namespace are the node's own.
fn by_namespace(graph: &Graph, asked: &Asked) -> Sketch {
    let words = asked.words();
    let namespace = |node: usize| graph.nodes[node].identity.namespace.as_deref();
    let mut groups: BTreeMap<Option<&str>, Sum> = BTreeMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let sum = groups.entry(namespace(at)).or_default();
        sum.add(&node.figures);
        sum.members += 1;
    }
    let mut between: BTreeMap<(Option<&str>, Option<&str>), Sum> = BTreeMap::new();
    for edge in &graph.edges {
        let ends = (namespace(edge.source), namespace(edge.target));
        if ends.0 != ends.1 {
            between.entry(ends).or_default().add(&edge.figures);
        }
    }
    let places: BTreeMap<Option<&str>, usize> = groups.keys().copied().zip(0..).collect();
    let whole = || asked.here(&[("collapse", Some("none"))]);
    let shown = |name: Option<&str>| name.unwrap_or(words.no_namespace).to_owned();
    let nodes = groups.iter().map(|(name, sum)| Node {
        name: shown(*name),
        place: format!("{} {}", sum.members, words.nodes),
        figures: format!("{} · {}", format::rate(sum.rate), format::percent(sum.error_ratio())),
        title: format!("{}\n{}", shown(*name), sum.title(words)),
        link: match name {
            Some(name) => asked.here(&[("namespace", Some(name))]),
            None => whole(),
        },
        class: format!("namespace {}", severity(sum.error_ratio())),
        is_outside: false,
    });
    let lines = between.iter().map(|((from, to), sum)| Line {
        ends: (places[from], places[to]),
        label: [format::rate(sum.rate), format::percent(sum.error_ratio())],
        title: format!("{} → {}\n{}", shown(*from), shown(*to), sum.title(words)),
        link: to.map_or_else(whole, |to| asked.here(&[("namespace", Some(to))])),
        severity: severity(sum.error_ratio()),
        rate: sum.rate,
    });
    Sketch { nodes: nodes.collect(), lines: lines.collect(), left_out: 0, is_by_namespace: true }
}
