//! `graph_nodes(by, from, to, focus, depth, source)` and `graph_edges(...)`: the service graph as two tables; see
//! `meshlake_calls::graph`.
//!
//! The first columns are those that Grafana's node graph panel takes, so that `SELECT *` is a graph there: the inner
//! number is the rate, the outer the 99th percentile, and the ring is how calls ended.
//!
//! Source: Grafana's documentation, "Node graph", "Data API": `id`, `title`, `subtitle`, `mainstat`, `secondarystat`,
//! `arc__*` (which add up to 1); of edges `id`, `source`, `target`.

use meshlake_calls::graph::{Graph, GraphEdge, GraphNode, graph};
use meshlake_calls::shown::{DEPTH_DEFAULT, Focus, Wanted};
use meshlake_calls::{By, Evidence, Figures, Frame, Grain, Question};
use meshlake_engine::{Arguments, Parameter, ParameterKind, Query, QueryError};

use super::{Column, Function, Value, failed, one_of, parameter, range, source};
use crate::calls::load_from;

const NODE_COLUMNS: &[Column<GraphNode>] = &[
    Column { name: "id", value: Value::Text(|node| Some(&node.identity.id)) },
    Column { name: "title", value: Value::Text(|node| Some(&node.identity.name)) },
    Column { name: "subtitle", value: Value::Text(|node| node.identity.namespace.as_deref()) },
    Column { name: "mainstat", value: Value::Number(|node| Some(node.figures.rate)) },
    Column { name: "secondarystat", value: Value::Number(|node| node.figures.p99_ms) },
    Column { name: "arc__ok", value: Value::Number(|node| Some(ring(&node.figures)?.ok)) },
    Column {
        name: "arc__client_errors",
        value: Value::Number(|node| Some(ring(&node.figures)?.client_errors)),
    },
    Column { name: "arc__errors", value: Value::Number(|node| Some(ring(&node.figures)?.errors)) },
    Column { name: "version", value: Value::Text(|node| node.identity.version.as_deref()) },
    Column { name: "kind", value: Value::Text(|node| Some(node.identity.kind.name())) },
    Column { name: "requests", value: Value::Number(|node| Some(node.figures.requests)) },
    Column { name: "rate", value: Value::Number(|node| Some(node.figures.rate)) },
    Column { name: "errors", value: Value::Number(|node| Some(node.figures.errors)) },
    Column { name: "error_ratio", value: Value::Number(|node| Some(node.figures.error_ratio)) },
    Column { name: "client_errors", value: Value::Number(|node| Some(node.figures.client_errors)) },
    Column { name: "aborted", value: Value::Number(|node| Some(node.figures.aborted)) },
    Column { name: "p50_ms", value: Value::Number(|node| node.figures.p50_ms) },
    Column { name: "p90_ms", value: Value::Number(|node| node.figures.p90_ms) },
    Column { name: "p95_ms", value: Value::Number(|node| node.figures.p95_ms) },
    Column { name: "p99_ms", value: Value::Number(|node| node.figures.p99_ms) },
    Column { name: "max_ms", value: Value::Number(|node| node.figures.max_ms) },
    Column { name: "counted_from", value: Value::Text(|node| node.evidence.map(Evidence::name)) },
];

/// An edge with the ids of its ends.
pub(super) struct Edge {
    id: String,
    source: String,
    target: String,
    edge: GraphEdge,
}

impl Edge {
    fn of(graph: &Graph, edge: &GraphEdge) -> Edge {
        let end = |node: usize| graph.nodes[node].identity.id.clone();
        let (source, target) = (end(edge.source), end(edge.target));
        Edge { id: format!("{source} -> {target}"), source, target, edge: edge.clone() }
    }

    fn figures(&self) -> &Figures {
        &self.edge.figures
    }
}

const EDGE_COLUMNS: &[Column<Edge>] = &[
    Column { name: "id", value: Value::Text(|row| Some(&row.id)) },
    Column { name: "source", value: Value::Text(|row| Some(&row.source)) },
    Column { name: "target", value: Value::Text(|row| Some(&row.target)) },
    Column { name: "mainstat", value: Value::Number(|row| Some(row.figures().rate)) },
    Column { name: "secondarystat", value: Value::Number(|row| row.figures().p99_ms) },
    Column { name: "protocol", value: Value::Text(|row| Some(row.edge.protocol.name())) },
    Column { name: "requests", value: Value::Number(|row| Some(row.figures().requests)) },
    Column { name: "rate", value: Value::Number(|row| Some(row.figures().rate)) },
    Column { name: "errors", value: Value::Number(|row| Some(row.figures().errors)) },
    Column { name: "error_ratio", value: Value::Number(|row| Some(row.figures().error_ratio)) },
    Column { name: "client_errors", value: Value::Number(|row| Some(row.figures().client_errors)) },
    Column { name: "aborted", value: Value::Number(|row| Some(row.figures().aborted)) },
    Column { name: "p50_ms", value: Value::Number(|row| row.figures().p50_ms) },
    Column { name: "p90_ms", value: Value::Number(|row| row.figures().p90_ms) },
    Column { name: "p95_ms", value: Value::Number(|row| row.figures().p95_ms) },
    Column { name: "p99_ms", value: Value::Number(|row| row.figures().p99_ms) },
    Column { name: "max_ms", value: Value::Number(|row| row.figures().max_ms) },
    Column { name: "retries", value: Value::Number(|row| Some(row.edge.retries)) },
    Column { name: "refused", value: Value::Number(|row| Some(row.edge.refused)) },
    Column { name: "seen_by_client", value: Value::Boolean(|row| Some(row.edge.seen_by_client)) },
    Column { name: "seen_by_server", value: Value::Boolean(|row| Some(row.edge.seen_by_server)) },
    Column { name: "completeness", value: Value::Number(|row| row.edge.completeness) },
    Column { name: "counted_from", value: Value::Text(|row| Some(row.edge.evidence.name())) },
];

/// The parts of a node's ring.
struct Ring {
    ok: f64,
    client_errors: f64,
    errors: f64,
}

/// None for a node that received nothing. What was aborted is as good as ok: nobody says that it failed.
fn ring(figures: &Figures) -> Option<Ring> {
    if figures.requests <= 0.0 {
        return None;
    }
    let (client_errors, errors) = (figures.client_errors / figures.requests, figures.error_ratio);
    Some(Ring { ok: (1.0 - client_errors - errors).max(0.0), client_errors, errors })
}

const PARAMETERS: [Parameter; 6] = [
    parameter("by", ParameterKind::Text),
    parameter("from", ParameterKind::Time),
    parameter("to", ParameterKind::Time),
    parameter("focus", ParameterKind::Text),
    parameter("depth", ParameterKind::Count),
    parameter("source", ParameterKind::Text),
];

pub(super) const NODES: Function<GraphNode> = Function {
    name: "graph_nodes",
    parameters: &PARAMETERS,
    columns: NODE_COLUMNS,
    answer: |query, arguments| Box::pin(async move { Ok(answer(&query, &arguments).await?.nodes) }),
};

pub(super) const EDGES: Function<Edge> = Function {
    name: "graph_edges",
    parameters: &PARAMETERS,
    columns: EDGE_COLUMNS,
    answer: |query, arguments| {
        Box::pin(async move {
            let graph = answer(&query, &arguments).await?;
            Ok(graph.edges.iter().map(|edge| Edge::of(&graph, edge)).collect())
        })
    },
};

async fn answer(query: &Query, given: &Arguments) -> Result<Graph, QueryError> {
    let by = one_of("by", given.text("by"), &By::ALL.map(|by| (by.name(), by)))?;
    let source = source(given)?;
    let range = range(query, given, None)?;
    let question = Question { range, by, grain: Grain::Node, source };
    let picture = load_from(query, question, Frame::whole()).await.map_err(failed)?;
    let depth =
        given.count("depth").map_or(DEPTH_DEFAULT, |depth| usize::try_from(depth).unwrap_or(usize::MAX));
    let focus = given.text("focus").map(|node| Focus { node, depth });
    Ok(graph(&picture, &Wanted { focus, ..Wanted::default() }))
}
