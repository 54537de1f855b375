//! `GET /api/v1/traces/{trace_id}`: a trace as its spans, sorted by start.

pub mod analysis;
mod span;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{ApiError, Tenant};
use crate::FaceState;
use crate::trace_id;
use meshlake_query::QueryError;
use meshlake_query::trace::{SPANS_MAX, trace};

/// Answers the trace; 404 when the tenant has no span of it, 400 when the id is none.
///
/// Hexadecimal digits may be upper or lower case; an id of fewer digits (Jaeger shows some without leading
/// zeros) is filled up.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    Path(trace_id): Path<String>,
) -> Result<Response, ApiError> {
    let trace_id = parse_trace_id(&trace_id)?;
    let query = state.engine.begin(&tenant).await?;
    let trace = trace(&query, &trace_id).await?;
    let mut spans: Vec<Value> = Vec::new();
    for batch in &trace.spans {
        let read = span::spans_to_json(batch);
        spans.extend(read.map_err(|error| QueryError::Internal(format!("read spans: {error}")))?);
    }
    if spans.is_empty() {
        return Err(ApiError::not_found(format!("there is no span of trace {trace_id}")));
    }
    let mut answer = json!({"trace_id": trace_id, "spans": spans});
    if trace.is_truncated {
        answer["warnings"] =
            json!([format!("the trace has more than {SPANS_MAX} spans; these are the earliest")]);
    }
    Ok(Json(answer).into_response())
}

fn parse_trace_id(text: &str) -> Result<String, ApiError> {
    trace_id::parse(text).ok_or_else(|| {
        ApiError::bad_request(format!("trace id {text:?} is not 1 to 32 hexadecimal digits, or all zero"))
    })
}

#[cfg(test)]
mod tests;
