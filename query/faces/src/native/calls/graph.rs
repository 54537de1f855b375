//! `GET /api/v1/graph?by=&from=&to=&focus=&depth=&source=`: the service graph, see `meshlake_query::graph`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::{FiguresJson, Number, one_of, parameters, range, source, unknown_parameters};
use crate::FaceState;
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::calls::load;
use meshlake_query::graph::{DEPTH_DEFAULT, Focus, Graph, GraphEdge, GraphNode, graph};
use meshlake_query::{By, Evidence, Grain, Question};

const PARAMETERS: [&str; 6] = ["by", "from", "to", "focus", "depth", "source"];

#[derive(Deserialize)]
struct Given {
    by: Option<String>,
    focus: Option<String>,
    depth: Option<usize>,
    source: Option<String>,
}

/// The answer. Nodes are sorted by id, edges by source and target.
#[derive(Serialize)]
pub struct GraphJson {
    from: String,
    to: String,
    /// The part of the range that rates are over; see `meshlake_calls::range`.
    observed_from: String,
    observed_to: String,
    by: &'static str,
    source: &'static str,
    nodes: Vec<NodeJson>,
    edges: Vec<EdgeJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct NodeJson {
    id: String,
    name: String,
    namespace: Option<String>,
    version: Option<String>,
    kind: &'static str,
    #[serde(flatten)]
    figures: FiguresJson,
    /// What the figures were counted from; null for a node that received nothing.
    counted_from: Option<&'static str>,
}

#[derive(Serialize)]
struct EdgeJson {
    source: String,
    target: String,
    protocol: &'static str,
    #[serde(flatten)]
    figures: FiguresJson,
    retries: Number,
    /// Calls that never left the client's side.
    refused: Number,
    seen_by: Vec<&'static str>,
    evidence: EvidenceJson,
    counted_from: &'static str,
    completeness: Option<Number>,
}

/// Calls by each kind of evidence alone; two views of the same calls, never to be added.
#[derive(Serialize)]
struct EvidenceJson {
    spans: Number,
    requests: Number,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<GraphJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let by = one_of("by", given.by.as_deref(), &By::ALL.map(|by| (by.name(), by)))?;
    let source = source(given.source.as_deref())?;
    let range = range(asked, None)?;
    let question = Question { range, by, grain: Grain::Node, source };
    let picture = load(&state.engine, &tenant, question, None).await?;
    let focus = given.focus.as_deref().filter(|node| !node.is_empty());
    let focus = focus.map(|node| Focus { node, depth: given.depth.unwrap_or(DEPTH_DEFAULT) });
    let graph = graph(&picture, focus);
    Ok(Json(GraphJson {
        from: picture.range.from().to_rfc3339(),
        to: picture.range.to().to_rfc3339(),
        observed_from: picture.range.observed_from().to_rfc3339(),
        observed_to: picture.range.observed_to().to_rfc3339(),
        by: by.name(),
        source: source.name(),
        nodes: graph.nodes.iter().map(node_json).collect(),
        edges: graph.edges.iter().map(|edge| edge_json(&graph, edge)).collect(),
        warnings: graph.warnings.into_iter().chain(unknown_parameters(&uri, &PARAMETERS)).collect(),
    }))
}

fn node_json(node: &GraphNode) -> NodeJson {
    NodeJson {
        id: node.identity.id.clone(),
        name: node.identity.name.clone(),
        namespace: node.identity.namespace.clone(),
        version: node.identity.version.clone(),
        kind: node.identity.kind.name(),
        figures: FiguresJson::from(&node.figures),
        counted_from: node.evidence.map(Evidence::name),
    }
}

fn edge_json(graph: &Graph, edge: &GraphEdge) -> EdgeJson {
    let id = |node: usize| graph.nodes[node].identity.id.clone();
    let sides = [("client", edge.seen_by_client), ("server", edge.seen_by_server)];
    EdgeJson {
        source: id(edge.source),
        target: id(edge.target),
        protocol: edge.protocol.name(),
        figures: FiguresJson::from(&edge.figures),
        retries: Number(edge.retries),
        refused: Number(edge.refused),
        seen_by: sides.into_iter().filter(|(_, seen)| *seen).map(|(side, _)| side).collect(),
        evidence: EvidenceJson { spans: Number(edge.by_spans), requests: Number(edge.by_requests) },
        counted_from: edge.evidence.name(),
        completeness: edge.completeness.map(Number),
    }
}
