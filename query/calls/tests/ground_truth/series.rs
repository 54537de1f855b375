//! Series of metrics are the calls of the graph: what is counted of edges and nodes in each minute, and of cells as of rows.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::time::Duration;

use meshlake_calls::series::chunk::Chunk;
use meshlake_calls::series::metrics::{CALLS, FAILED, Family};
use meshlake_calls::{By, Fold, Grain, NodeIdentity, Picture, Question, Range, Source};
use meshlake_schema::UnixNanos;

use crate::oracle::{FROM, TO};
use crate::rows::Rows;

/// Calls and errors, in thousandths, by what they are of and the minute of the range.
type Sums = BTreeMap<(String, i64), [i64; 2]>;

const MINUTE_MILLIS: i64 = 60_000;
const MILLI: f64 = 1_000.0;

/// The question of series in slots of so many seconds.
pub fn question(slot_seconds: u32, by_operation: bool) -> Question {
    let step = Some(Duration::from_secs(slot_seconds.into()));
    let range = Range::new(UnixNanos(FROM), UnixNanos(TO), step).expect("the range is not empty");
    Question { range, by: By::Whole, grain: Grain::Labels { by_operation }, source: Source::Auto }
}

/// What the series of these rows and their graph differ in.
pub fn differences(rows: &Rows) -> Vec<String> {
    let picture = picture(rows);
    let chunks = [false, true].map(|by_operation| chunk(rows, by_operation));
    let mut found = Vec::new();
    found.extend(compared("edge", &edges_of_series(&chunks[0]), &edges_of_picture(&picture)));
    let nodes = nodes_of_series(&chunks);
    found.extend(compared("node", &nodes, &nodes_of_picture(&picture, &nodes)));
    found.extend(empty_labels(&chunks[0]));
    found
}

/// Everything that a chunk tells, a line for each amount.
pub fn shown(chunk: &Chunk) -> Vec<String> {
    let mut lines = Vec::new();
    for family in Family::ALL {
        let sets = chunk.sets(family);
        for set in 0..sets.len() {
            let labels = labels(chunk, family, set);
            let entries = sets.entries(set, (0, u8::MAX)).iter();
            lines.extend(
                entries.map(|e| format!("{family:?} {labels:?} {} {}: {}", e.field, e.slot, e.amount)),
            );
        }
    }
    lines.sort_unstable();
    lines
}

fn chunk(rows: &Rows, by_operation: bool) -> Chunk {
    let mut fold = Fold::new(question(10, by_operation));
    rows.requests.iter().for_each(|batch| fold.add_requests(batch));
    rows.spans.iter().for_each(|batch| fold.add_spans(batch));
    fold.finish_series(10, &RandomState::new()).expect("a story is small")
}

fn picture(rows: &Rows) -> Picture {
    let step = Some(Duration::from_secs(60));
    let range = Range::new(UnixNanos(FROM), UnixNanos(TO), step).expect("the range is not empty");
    let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
    let mut fold = Fold::new(question);
    rows.requests.iter().for_each(|batch| fold.add_requests(batch));
    rows.spans.iter().for_each(|batch| fold.add_spans(batch));
    fold.finish().expect("a story is small")
}

fn compared(what: &str, series: &Sums, picture: &Sums) -> Option<String> {
    let names = series.keys().chain(picture.keys());
    let differs = |name: &&(String, i64)| series.get(*name) != picture.get(*name);
    let name = names.into_iter().find(differs)?;
    let (series, picture) = (series.get(name), picture.get(name));
    Some(format!("{what} {name:?}: series say {series:?}, the picture {picture:?}"))
}

fn labels(chunk: &Chunk, family: Family, set: usize) -> BTreeMap<&'static str, &str> {
    let values = chunk.sets(family).values(set).iter().map(|value| &*chunk.texts()[*value as usize]);
    family.labels().iter().copied().zip(values).collect()
}

fn add_calls(chunk: &Chunk, (family, set): (Family, usize), name: &str, sums: &mut Sums) {
    let failed = if family == Family::Graph { FAILED } else { CALLS };
    for entry in chunk.sets(family).entries(set, (CALLS, failed)) {
        let minute = i64::from(entry.slot) * chunk.slot / MINUTE_MILLIS;
        sums.entry((name.to_owned(), minute)).or_default()[usize::from(entry.field)] += entry.amount as i64;
    }
}

fn edges_of_series(chunk: &Chunk) -> Sums {
    let mut sums = Sums::new();
    for set in 0..chunk.sets(Family::Graph).len() {
        let labels = labels(chunk, Family::Graph, set);
        let end = |namespace: &str, name: &str| format!("{}/{}", labels[namespace], labels[name]);
        let ends = [("client_service_namespace", "client"), ("server_service_namespace", "server")];
        let [client, server] = ends.map(|(namespace, name)| end(namespace, name));
        add_calls(chunk, (Family::Graph, set), &format!("{client} -> {server}"), &mut sums);
    }
    sums
}

/// Requests and messages that were received, told by operation, and connections.
fn nodes_of_series([plain, by_operation]: &[Chunk; 2]) -> Sums {
    let mut sums = Sums::new();
    for (chunk, family, is_asked) in [
        (by_operation, Family::Spans, ("span_kind", ["SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER"])),
        (plain, Family::Connections, ("reporter", ["destination", "destination"])),
    ] {
        for set in 0..chunk.sets(family).len() {
            let labels = labels(chunk, family, set);
            if !is_asked.1.contains(&labels[is_asked.0]) {
                continue;
            }
            let name = |namespace: &str, name: &str| format!("{}/{}", labels[namespace], labels[name]);
            let name = match family {
                Family::Spans => name("service_namespace", "service"),
                _ => {
                    name("destination_service_namespace", "destination_service_name").replace("unknown/", "/")
                }
            };
            add_calls(chunk, (family, set), &name, &mut sums);
        }
    }
    // Errors of nodes are told by status, and asked of edges.
    sums.values_mut().for_each(|sum| sum[1] = 0);
    sums.retain(|_, sum| sum[0] > 0);
    sums
}

/// What series call a node.
fn label(node: &NodeIdentity) -> String {
    match node.id.split_once('@') {
        Some(_) => format!("/{}", node.id),
        None => format!("{}/{}", node.namespace.as_deref().unwrap_or_default(), node.name),
    }
}

fn edges_of_picture(picture: &Picture) -> Sums {
    let mut sums = Sums::new();
    for edge in &picture.edge_cells {
        let ends = [edge.source, edge.target].map(|node| label(&picture.nodes[node]));
        let sum = sums.entry((ends.join(" -> "), i64::from(edge.bucket))).or_default();
        sum[0] += (edge.measure.requests() * MILLI).round() as i64;
        sum[1] += (edge.measure.errors() * MILLI).round() as i64;
    }
    sums
}

/// Nodes that tell what they received. Those that do not are the sum of the edges into them, without what was refused
/// there: nothing is received at a destination that reports nothing.
fn nodes_of_picture(picture: &Picture, told: &Sums) -> Sums {
    let mut sums = Sums::new();
    let of_services = picture.node_cells.iter().filter(|cell| picture.nodes[cell.node].kind.reports());
    for cell in of_services {
        let label = label(&picture.nodes[cell.node]);
        let is_told = told.keys().any(|(name, _)| *name == label);
        let edges =
            picture.edge_cells.iter().filter(|edge| (edge.target, edge.bucket) == (cell.node, cell.bucket));
        let brought: f64 = edges.map(|edge| edge.measure.requests() - edge.refused).sum();
        if is_told || (brought - cell.measure.requests()).abs() * MILLI > 0.5 {
            let sum = sums.entry((label, i64::from(cell.bucket))).or_default();
            sum[0] += (cell.measure.requests() * MILLI).round() as i64;
        }
    }
    sums
}

/// Labels of Istio's metrics without a value: Kiali would not see their series.
fn empty_labels(chunk: &Chunk) -> Option<String> {
    for family in [Family::Requests, Family::Connections, Family::Extension] {
        for set in 0..chunk.sets(family).len() {
            let labels = labels(chunk, family, set);
            if labels.values().any(|value| value.is_empty()) {
                return Some(format!("a series of {family:?} lacks a label: {labels:?}"));
            }
        }
    }
    None
}
