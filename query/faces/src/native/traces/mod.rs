//! `GET /api/v1/traces/{trace_id}`: a trace as its spans, sorted by start.

mod span;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{ApiError, Tenant};
use crate::FaceState;
use meshlake_query::QueryError;
use meshlake_query::trace::{SPANS_MAX, trace};

/// Digits of a W3C trace id.
const TRACE_ID_DIGITS: usize = 32;

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
    let digits =
        (1..=TRACE_ID_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = format!("{:0>TRACE_ID_DIGITS$}", text.to_ascii_lowercase());
    if digits && id.bytes().any(|digit| digit != b'0') {
        return Ok(id);
    }
    Err(ApiError::bad_request(format!("trace id {text:?} is not 1 to 32 hexadecimal digits, or all zero")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal_and_filled_up() {
        let whole = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(parse_trace_id(whole).as_deref(), Ok(whole));
        assert_eq!(parse_trace_id(&whole.to_uppercase()).as_deref(), Ok(whole));
        assert_eq!(parse_trace_id(&whole[1..]).as_deref(), Ok(whole));
        for bad in ["", "xyz", "0", &"0".repeat(32), &"a".repeat(33), "a' OR 1=1"] {
            assert!(parse_trace_id(bad).is_err(), "{bad}");
        }
    }
}
