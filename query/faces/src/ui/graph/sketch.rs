//! What is drawn of a graph, in words and colours: its nodes and edges, or its namespaces and the calls between them.

use std::collections::BTreeSet;

use meshlake_query::answers::changes::Change;
use meshlake_query::graph::{Graph, GraphEdge, GraphNode};
use meshlake_query::{Evidence, NodeKind};

use super::super::asked::Asked;
use super::super::{format, severity};
use super::fewer::{EDGES_DEFAULT, Worth, fewer};
use super::figures::{Sum, edge_words, node_words};
use super::grouped::{Group, Grouped, grouped};
use super::label::{Label, Protection};

/// A graph of more nodes is drawn by namespace unless it is asked for whole, or in part where there are none.
pub const NODES_WHOLE_MAX: usize = 60;

/// Below this both ends do not agree, and the edge says so. Of a range that is not over some calls are always on their way.
const AGREEING_MIN: f64 = 0.95;

/// A box.
#[derive(Debug)]
pub struct Node {
    /// What it is known by from one drawing to the next.
    pub key: String,
    pub name: String,
    /// Its kind, and where it is.
    pub place: String,
    pub figures: String,
    /// All of it, in words.
    pub title: String,
    pub link: String,
    pub class: String,
    /// Outside of the mesh: drawn round.
    pub is_outside: bool,
}

/// An arrow.
#[derive(Debug)]
pub struct Line {
    pub key: String,
    /// Places among the nodes.
    pub ends: (usize, usize),
    pub label: [String; 2],
    pub title: String,
    pub link: String,
    /// Its severity, what it was counted from, and what became of it.
    pub class: String,
    pub severity: &'static str,
    /// Calls a second: how wide it is.
    pub rate: f64,
}

/// What is drawn.
#[derive(Debug, Default)]
pub struct Sketch {
    pub nodes: Vec<Node>,
    pub lines: Vec<Line>,
    /// Boxes that are not drawn, the least busy ones.
    pub left_out: usize,
    /// Edges that are not drawn between those that are, or to those that are not.
    pub edges_left_out: usize,
    /// Some boxes stand for namespaces.
    pub is_by_namespace: bool,
    /// Edges are told apart by what became of them.
    pub is_compared: bool,
}

/// How a graph is looked at.
pub struct View<'a> {
    pub label: Label,
    /// Every node for itself, however many there are.
    pub is_whole: bool,
    /// At most so many edges, the most telling ones; none leaves it to how many boxes there are.
    pub edges_max: Option<usize>,
    /// Namespaces whose nodes are shown where the others are not.
    pub opened: BTreeSet<&'a str>,
    pub protection: Option<&'a Protection>,
    /// By edge, what became of it.
    pub changes: Option<&'a [Option<Change>]>,
}

impl View<'_> {
    /// Every node for itself, with the rates of calls on edges.
    pub fn whole() -> View<'static> {
        let (label, opened) = (Label::Rate, BTreeSet::new());
        View { label, is_whole: true, edges_max: None, opened, protection: None, changes: None }
    }
}

/// A graph, and how it is looked at.
struct Sketched<'a> {
    graph: &'a Graph,
    view: &'a View<'a>,
    asked: &'a Asked,
}

impl Sketch {
    pub fn of(graph: &Graph, view: &View<'_>, asked: &Asked) -> Sketch {
        let is_by_namespace = graph.nodes.len() > NODES_WHOLE_MAX && !view.is_whole && has_namespaces(graph);
        let all = grouped(graph, is_by_namespace.then_some(&view.opened));
        let sketched = Sketched { graph, view, asked };
        let default = if all.boxes.len() > NODES_WHOLE_MAX { EDGES_DEFAULT } else { usize::MAX };
        let edges_max = view.edges_max.unwrap_or(default);
        let (all, edges_left_out) = fewer(all, edges_max, |edges| sketched.worth(edges));
        let Grouped { boxes, between, left_out } = all;
        let nodes = boxes.iter().map(|(group, members)| match group {
            Group::Space(name) => sketched.space(*name, members),
            Group::Member(at) => sketched.node(&graph.nodes[*at]),
        });
        let lines = between.iter().map(|(ends, edges)| match (boxes[ends.0].0, boxes[ends.1].0) {
            (Group::Member(_), Group::Member(_)) => sketched.line(*ends, edges[0]),
            (source, target) => sketched.bundle(*ends, (source, target), edges),
        });
        Sketch {
            nodes: nodes.collect(),
            lines: lines.collect(),
            left_out,
            edges_left_out,
            is_by_namespace,
            is_compared: view.changes.is_some(),
        }
    }
}

/// Whether there are namespaces to draw it by: one is all of it, and tells nothing.
fn has_namespaces(graph: &Graph) -> bool {
    let names: BTreeSet<&str> =
        graph.nodes.iter().filter_map(|node| node.identity.namespace.as_deref()).collect();
    names.len() > 1
}

impl Sketched<'_> {
    fn worth(&self, edges: &[usize]) -> Worth {
        let sum = Sum::of(edges.iter().map(|at| &self.graph.edges[*at].figures));
        let is_of_note = self.change(edges).is_some() || severity(sum.error_ratio()) != "good";
        Worth { is_of_note, requests: sum.requests }
    }

    fn node(&self, node: &GraphNode) -> Node {
        let (identity, figures, words) = (&node.identity, &node.figures, self.asked.words());
        let is_known = node.evidence.is_some();
        let part = identity.version.as_deref().or(identity.workload.as_deref());
        let place = [Some(words.kind(identity.kind)), identity.namespace.as_deref(), part];
        let shown = if is_known {
            let (rate, errors) = (format::rate(figures.rate), format::percent(figures.error_ratio));
            format!("{rate} · {errors} · {}", format::duration(figures.p99_ms))
        } else {
            String::new()
        };
        let fares = if is_known { severity(figures.error_ratio) } else { "good" };
        let is_client = identity.kind == NodeKind::Client;
        Node {
            key: format!("n {}", identity.id),
            name: if is_client { words.outside_callers.to_owned() } else { identity.name.clone() },
            place: place.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            figures: shown,
            title: node_words(node, words),
            link: self.asked.link("/service", &[("name", &identity.id)]),
            class: format!("{} {fares}", identity.kind.name()),
            is_outside: is_client || identity.kind == NodeKind::External,
        }
    }

    fn line(&self, ends: (usize, usize), at: usize) -> Line {
        let edge = &self.graph.edges[at];
        let [client, server] = [edge.source, edge.target].map(|end| &self.graph.nodes[end].identity);
        let services = || (client.service.clone(), server.service.clone());
        let protected = self.view.protection.and_then(|shares| shares.get(&services()).copied());
        let change = self.change(&[at]);
        let said = change
            .map_or(String::new(), |change| format!("\n{}", self.asked.words().of_mesh.change_of(change)));
        Line {
            key: format!("{} → {}", client.id, server.id),
            ends,
            label: self.view.label.of(edge, protected),
            title: format!(
                "{} → {}\n{}{said}",
                client.id,
                server.id,
                edge_words(edge, protected, self.asked.words())
            ),
            link: self.asked.link("/edge", &[("client", &client.id), ("server", &server.id)]),
            class: classes(severity(edge.figures.error_ratio), &[edge], change),
            severity: severity(edge.figures.error_ratio),
            rate: edge.figures.rate,
        }
    }

    /// The worst of what became of these edges.
    fn change(&self, edges: &[usize]) -> Option<Change> {
        let changes = self.view.changes?;
        edges.iter().filter_map(|at| changes[*at]).min()
    }

    /// A namespace, which opens in its place.
    fn space(&self, name: Option<&str>, members: &[usize]) -> Node {
        let words = self.asked.words();
        let sum = Sum::of(members.iter().map(|at| &self.graph.nodes[*at].figures));
        let shown = self.shown(name);
        Node {
            key: format!("s {shown}"),
            place: format!("{} {}", members.len(), words.nodes),
            figures: format!("{} · {}", format::rate(sum.rate), format::percent(sum.error_ratio())),
            title: format!("{shown}\n{}\n{}", sum.words(words), words.of_mesh.opens),
            link: self.opening(name),
            class: format!("namespace {}", severity(sum.error_ratio())),
            is_outside: false,
            name: shown,
        }
    }

    fn bundle(&self, ends: (usize, usize), groups: (Group<'_>, Group<'_>), edges: &[usize]) -> Line {
        let of_edges = || edges.iter().map(|at| &self.graph.edges[*at]);
        let sum = Sum::of(of_edges().map(|edge| &edge.figures));
        let name = |group: Group<'_>| match group {
            Group::Space(name) => self.shown(name),
            Group::Member(at) => self.graph.nodes[at].identity.id.clone(),
        };
        let closed = match groups {
            (_, Group::Space(name)) | (Group::Space(name), Group::Member(_)) => name,
            (Group::Member(_), Group::Member(_)) => None,
        };
        let between = format!("{} → {}", name(groups.0), name(groups.1));
        let severity = severity(sum.error_ratio());
        let edges_of_it: Vec<&GraphEdge> = of_edges().collect();
        Line {
            ends,
            label: [format::rate(sum.rate), format::percent(sum.error_ratio())],
            title: format!("{between}\n{}", sum.words(self.asked.words())),
            link: self.opening(closed),
            class: classes(severity, &edges_of_it, self.change(edges)),
            severity,
            rate: sum.rate,
            key: between,
        }
    }

    fn shown(&self, name: Option<&str>) -> String {
        name.unwrap_or(self.asked.words().no_namespace).to_owned()
    }

    /// This page with a namespace opened beside those that are; nodes without one are opened by opening everything.
    fn opening(&self, name: Option<&str>) -> String {
        let Some(name) = name else { return self.asked.here(&[("collapse", Some("none"))]) };
        let opened = self.view.opened.iter().copied().chain([name]);
        let opened: Vec<(&str, Option<&str>)> = opened.map(|name| ("open", Some(name))).collect();
        self.asked.here(&opened)
    }
}

/// How edges that are drawn as one look.
fn classes(severity: &'static str, edges: &[&GraphEdge], change: Option<Change>) -> String {
    let by_spans = edges.iter().all(|edge| edge.evidence == Evidence::Spans);
    let is_partial =
        edges.iter().any(|edge| edge.completeness.is_some_and(|completeness| completeness < AGREEING_MIN));
    let classes = [
        Some(severity),
        by_spans.then_some("spans"),
        is_partial.then_some("partial"),
        change.map(Change::name),
    ];
    classes.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
