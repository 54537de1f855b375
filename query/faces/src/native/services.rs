//! `GET /api/v1/services?from&to`: which services were heard of in a range; see `meshlake_query::services`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use meshlake_query::services::{Service, services};
use serde_json::{Value, json};

use super::{ApiError, Tenant, TimeRange};
use crate::FaceState;

/// Answers `{"from","to","services":[...]}`, sorted by name and namespace.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    range: TimeRange,
) -> Result<Response, ApiError> {
    let services = services(&state.engine, &tenant, range.from, range.to).await?;
    let services: Vec<Value> = services.iter().map(row).collect();
    let (from, to) = (range.from.to_rfc3339(), range.to.to_rfc3339());
    Ok(Json(json!({"from": from, "to": to, "services": services})).into_response())
}

fn row(service: &Service) -> Value {
    json!({
        "service": service.service,
        "namespace": service.namespace,
        "first_seen": service.first_seen.to_rfc3339(),
        "last_seen": service.last_seen.to_rfc3339(),
        "spans": service.spans,
        "requests": service.requests,
    })
}
