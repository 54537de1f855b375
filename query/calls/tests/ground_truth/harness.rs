//! The only file that knows the crate under test: batches in, figures by node and edge out.

use std::collections::BTreeMap;
use std::time::Duration;

use meshlake_calls::GoldenBy;
use meshlake_calls::golden::{Subject, golden};
use meshlake_calls::graph::graph;
use meshlake_calls::shown::Wanted;
use meshlake_calls::{By, Figures, Fold, Grain, NodeIdentity, NodeKind, Picture, Question, Range, Source};
use meshlake_schema::UnixNanos;

use crate::listed;
use crate::oracle::{Evidence, FROM, TO};
use crate::rows::Rows;

/// What an answer says of a node or an edge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    pub requests: f64,
    pub errors: f64,
    pub client_errors: f64,
    pub aborted: f64,
    pub retries: f64,
    pub refused: f64,
    /// Of edges: how far both ends agree.
    pub completeness: Option<f64>,
    /// Milliseconds of the shares in [`QUANTILES`], then the longest.
    pub quantiles: Vec<Option<f64>>,
}

impl Told {
    /// What a table and a graph both tell.
    pub fn figures(&self) -> Told {
        Told { completeness: None, ..self.clone() }
    }
}

pub const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// Nodes and edges by `kind name`, and by those of both ends.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub nodes: Vec<(String, Told)>,
    pub edges: Vec<(String, Told)>,
}

/// Ways in which the same calls may be grouped; the sums are to be the same.
pub const GROUPINGS: [&str; 5] = ["operation", "version", "instance", "workload", "minute"];

/// The graph.
pub fn answer(rows: &Rows, evidence: Evidence) -> Answer {
    let picture = picture(rows, None, By::Service, Grain::Node, evidence);
    let graph = graph(&picture, &Wanted::default());
    let label = |node: usize| label(&graph.nodes[node].identity);
    let nodes = graph.nodes.iter().map(|node| (self::label(&node.identity), told(&node.figures, 0.0, 0.0)));
    let edges = graph.edges.iter().map(|edge| {
        let ends = format!("{} -> {}", label(edge.source), label(edge.target));
        let told = told(&edge.figures, edge.retries, edge.refused);
        (ends, Told { completeness: edge.completeness, ..told })
    });
    Answer { nodes: nodes.collect(), edges: edges.collect() }
}

/// The table of golden metrics by service and by edge, in the same words as the graph.
pub fn table(rows: &Rows) -> Answer {
    let picture = picture_by(rows, "service");
    let mut answer = Answer::default();
    for by in [GoldenBy::Service, GoldenBy::Edge] {
        for row in golden(&picture, by, None) {
            match row.subject {
                Subject::Group(_) => unreachable!("neither groups by namespace nor by cluster"),
                Subject::Node { node, .. } => answer.nodes.push((label(&node), told(&row.figures, 0.0, 0.0))),
                Subject::Edge { client, server } => {
                    let ends = format!("{} -> {}", label(&client), label(&server));
                    let (retries, refused) = row.edge.map_or((0.0, 0.0), |e| (e.retries, e.refused));
                    answer.edges.push((ends, told(&row.figures, retries, refused)));
                }
            }
        }
    }
    answer
}

/// Calls, errors, client errors and aborted ones of every node and edge, summed up from groups of another kind.
pub fn grouped(rows: &Rows, grouping: &str) -> BTreeMap<String, [f64; 4]> {
    let picture = picture_by(rows, grouping);
    let label = |node: usize| label(&picture.nodes[node]);
    let nodes = picture.node_cells.iter().map(|cell| (label(cell.node), &cell.measure));
    let edges = picture
        .edge_cells
        .iter()
        .map(|cell| (format!("{} -> {}", label(cell.source), label(cell.target)), &cell.measure));
    let mut sums: BTreeMap<String, [f64; 4]> = BTreeMap::new();
    for (label, measure) in nodes.chain(edges) {
        let figures = [measure.requests(), measure.errors(), measure.client_errors(), measure.aborted()];
        sums.entry(label).or_default().iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
    }
    sums
}

/// What every service received by version or by instance.
pub fn parts(rows: &Rows, grouping: &str) -> BTreeMap<(String, String), f64> {
    let picture = picture_by(rows, grouping);
    let mut parts = BTreeMap::new();
    for cell in &picture.node_cells {
        let node = &picture.nodes[cell.node];
        let part = if grouping == "version" { &node.version } else { &cell.detail };
        let key = (label(node), part.clone().unwrap_or_default());
        *parts.entry(key).or_default() += cell.measure.requests();
    }
    parts
}

fn picture_by(rows: &Rows, grouping: &str) -> Picture {
    let (by, grain) = match grouping {
        "operation" => (By::Service, Grain::Operation),
        "instance" => (By::Service, Grain::Instance),
        "version" => (By::Version, Grain::Node),
        "workload" => (By::Workload, Grain::Node),
        _ => (By::Service, Grain::Node),
    };
    let step = (grouping == "minute").then_some(Duration::from_secs(60));
    picture(rows, step, by, grain, Evidence::Best)
}

fn picture(rows: &Rows, step: Option<Duration>, by: By, grain: Grain, evidence: Evidence) -> Picture {
    let range = Range::new(UnixNanos(FROM), UnixNanos(TO), step).expect("the range is not empty");
    let source = match evidence {
        Evidence::Best => Source::Auto,
        Evidence::Spans => Source::Spans,
        Evidence::AccessLogs => Source::Requests,
    };
    let mut fold =
        Fold::new(Question { range, by, grain, source }).listing(listed::CALLS_OF_A_STORY_MAX).on_threads(2);
    rows.requests.iter().for_each(|batch| fold.add_requests(batch));
    rows.spans.iter().for_each(|batch| fold.add_spans(batch));
    let picture = fold.finish().expect("a story is small");
    listed::check(&picture, &rows.requests, &rows.spans);
    picture
}

fn told(figures: &Figures, retries: f64, refused: f64) -> Told {
    Told {
        requests: figures.requests,
        errors: figures.errors,
        client_errors: figures.client_errors,
        aborted: figures.aborted,
        retries,
        refused,
        completeness: None,
        quantiles: vec![figures.p50_ms, figures.p90_ms, figures.p95_ms, figures.p99_ms, figures.max_ms],
    }
}

/// `kind namespace/name`, the same for all versions of a service, and for what only one service knows under
/// its name, whose it is. In a story a workload is called like its service.
pub fn label(node: &NodeIdentity) -> String {
    let owned = node.kind == NodeKind::Client || node.id.contains('@');
    let whole = node.version.as_ref().and_then(|version| node.id.strip_suffix(&format!(":{version}")));
    let name = match (&node.namespace, owned) {
        (_, true) => whole.unwrap_or(&node.id).to_owned(),
        (Some(namespace), _) => format!("{namespace}/{}", node.name),
        (None, _) => node.name.clone(),
    };
    format!("{} {name}", node.kind.name())
}
