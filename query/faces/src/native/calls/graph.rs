//! `GET /api/v1/graph?by=&from=&to=&focus=&depth=&namespace=&min_rate=&errors_only=&kind=&protocol=&source=`: the service
//! graph, see `meshlake_query::graph`, and what of it is shown, see `meshlake_query::shown`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::{FiguresJson, Number, one_of, parameters, range, source, unknown_parameters};
use crate::FaceState;
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::calls::load;
use meshlake_query::graph::{Graph, GraphEdge, GraphNode, frame, graph};
use meshlake_query::measure::Protocol;
use meshlake_query::shown::{DEPTH_DEFAULT, Focus, Wanted};
use meshlake_query::{By, Evidence, Grain, NodeKind, Question};

const PARAMETERS: [&str; 11] = [
    "by",
    "from",
    "to",
    "focus",
    "depth",
    "namespace",
    "min_rate",
    "errors_only",
    "kind",
    "protocol",
    "source",
];

const YES_OR_NO: [(&str, bool); 4] = [("false", false), ("true", true), ("0", false), ("1", true)];

#[derive(Deserialize)]
struct Given {
    by: Option<String>,
    focus: Option<String>,
    depth: Option<usize>,
    namespace: Option<String>,
    min_rate: Option<String>,
    errors_only: Option<String>,
    kind: Option<String>,
    protocol: Option<String>,
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
    hidden: HiddenJson,
    warnings: Vec<String>,
}

/// What is in the graph of the range and not in the answer, because only a part was asked for.
#[derive(Serialize)]
struct HiddenJson {
    nodes: usize,
    edges: usize,
    /// Calls on those edges.
    requests: Number,
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
    /// Calls on the edges into it that are not in the answer.
    hidden_requests: Number,
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

impl Given {
    fn wanted(&self) -> Result<Wanted<'_>, ApiError> {
        let focus = self.focus.as_deref().filter(|node| !node.is_empty());
        let errors_only = one_of("errors_only", self.errors_only.as_deref(), &YES_OR_NO)?;
        Ok(Wanted {
            focus: focus.map(|node| Focus { node, depth: self.depth.unwrap_or(DEPTH_DEFAULT) }),
            namespace: self.namespace.as_deref().filter(|namespace| !namespace.is_empty()),
            rate_min: rate_min(self.min_rate.as_deref())?,
            errors_only,
            kind: one_or_all("kind", self.kind.as_deref(), &NodeKind::ALL.map(|kind| (kind.name(), kind)))?,
            protocol: one_or_all(
                "protocol",
                self.protocol.as_deref(),
                &Protocol::ALL.map(|p| (p.name(), p)),
            )?,
        })
    }
}

/// The value of that name; none where none is given.
fn one_or_all<T: Copy>(
    parameter: &str,
    given: Option<&str>,
    known: &[(&'static str, T)],
) -> Result<Option<T>, ApiError> {
    let given = given.filter(|given| !given.is_empty());
    given.map(|given| one_of(parameter, Some(given), known)).transpose()
}

/// Requests a second; none is 0, which every rate reaches.
fn rate_min(given: Option<&str>) -> Result<f64, ApiError> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(0.0) };
    let rate = given.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| {
        ApiError::bad_request(format!("min_rate={given} is not a number of requests a second"))
    })
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
    let wanted = given.wanted()?;
    let question = Question { range, by, grain: Grain::Node, source };
    let picture = load(&state.engine, &tenant, question, frame(&wanted)).await?;
    let graph = graph(&picture, &wanted);
    Ok(Json(GraphJson {
        from: picture.range.from().to_rfc3339(),
        to: picture.range.to().to_rfc3339(),
        observed_from: picture.range.observed_from().to_rfc3339(),
        observed_to: picture.range.observed_to().to_rfc3339(),
        by: by.name(),
        source: source.name(),
        nodes: graph.nodes.iter().map(node_json).collect(),
        edges: graph.edges.iter().map(|edge| edge_json(&graph, edge)).collect(),
        hidden: HiddenJson {
            nodes: graph.hidden.nodes,
            edges: graph.hidden.edges,
            requests: Number(graph.hidden.requests),
        },
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
        hidden_requests: Number(node.hidden_requests),
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
