//! `GET /api/v1/dark?service=&from=&to=&source=`: traffic that the mesh does not see whole or does not protect, see
//! `meshlake_query::operate::dark`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;

use super::{HeadJson, OF_SERVICE, OfService, warned};
use crate::FaceState;
use crate::native::calls::{Number, parameters, range, source};
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::NodeIdentity;
use meshlake_query::answers::dark::DarkEdge;
use meshlake_query::operate::dark::{Asked, load};

/// The answer. Edges with most dark calls come first.
#[derive(Serialize)]
pub struct DarkJson {
    #[serde(flatten)]
    head: HeadJson,
    /// Calls on all edges of the range.
    requests: Number,
    edges: Vec<EdgeJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct EdgeJson {
    source: EndJson,
    target: EndJson,
    /// All calls of the edge.
    requests: Number,
    bytes: Option<Number>,
    dark: Vec<DarkCallsJson>,
}

#[derive(Serialize)]
struct EndJson {
    id: String,
    kind: &'static str,
}

#[derive(Serialize)]
struct DarkCallsJson {
    kind: &'static str,
    requests: Number,
    how: &'static str,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<DarkJson>, ApiError> {
    let given: OfService = parameters(&uri)?;
    let service = given.service.filter(|service| !service.is_empty());
    let source = source(given.source.as_deref())?;
    let asked = Asked { service: service.as_deref(), range: range(asked, None)?, source };
    let query = state.engine.begin(&tenant).await?;
    let found = load(&query, &asked).await?;
    Ok(Json(DarkJson {
        requests: Number(found.requests),
        edges: found.edges.into_iter().map(edge_json).collect(),
        head: HeadJson::new(found.range, source, service),
        warnings: warned(found.warnings, &uri, &OF_SERVICE),
    }))
}

fn edge_json(edge: DarkEdge) -> EdgeJson {
    let end = |node: NodeIdentity| EndJson { id: node.id, kind: node.kind.name() };
    let dark = edge.dark.into_iter().map(|dark| DarkCallsJson {
        kind: dark.darkness.name(),
        requests: Number(dark.requests),
        how: dark.darkness.how(),
    });
    EdgeJson {
        source: end(edge.source),
        target: end(edge.target),
        requests: Number(edge.requests),
        bytes: edge.bytes.map(Number),
        dark: dark.collect(),
    }
}
