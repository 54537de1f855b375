//! `/api/traces/{id}` and `/api/v2/traces/{id}`: a trace, whole, as JSON or protobuf by what is accepted.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use meshlake_query::QueryError;
use meshlake_query::trace::{SPANS_MAX, trace};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use serde_json::{Value, json};

use super::error::ApiError;
use super::json;
use super::messages::{PARTIAL, Trace, TraceByIdResponse};
use super::parameters::Parameters;
use crate::FaceState;
use crate::otlp::resource_spans;

const PROTOBUF: &str = "application/protobuf";

/// Digits of a W3C trace id.
const ID_DIGITS: usize = 32;

/// The first version has a list of batches, each of one resource and one scope: some clients read no further.
pub async fn first_version(
    State(state): State<FaceState>,
    parameters: Parameters,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (spans, _) = found(&state, &parameters.tenant, &id).await?;
    let batches: Vec<ResourceSpans> = spans.into_iter().flat_map(by_scope).collect();
    if accepts_protobuf(&headers) {
        return Ok(protobuf(&Trace { resource_spans: batches }));
    }
    let batches: Vec<Value> = batches.iter().map(json::resource_spans).collect();
    Ok(Json(json!({"batches": batches})).into_response())
}

pub async fn second_version(
    State(state): State<FaceState>,
    parameters: Parameters,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (resource_spans, message) = found(&state, &parameters.tenant, &id).await?;
    let status = if message.is_some() { PARTIAL } else { 0 };
    let message = message.unwrap_or_default();
    if accepts_protobuf(&headers) {
        let trace = Some(Trace { resource_spans });
        return Ok(protobuf(&TraceByIdResponse { trace, status, message }));
    }
    let spans: Vec<Value> = resource_spans.iter().map(json::resource_spans).collect();
    let mut answer = json!({"trace": {"resourceSpans": spans}, "metrics": {}});
    if status == PARTIAL {
        answer["status"] = json!(json::status(status));
        answer["message"] = json!(message);
    }
    Ok(Json(answer).into_response())
}

/// The spans of a trace, and what is to be said of them.
async fn found(
    state: &FaceState,
    tenant: &str,
    id: &str,
) -> Result<(Vec<ResourceSpans>, Option<String>), ApiError> {
    let id = trace_id(id)?;
    let query = state.engine.begin(tenant).await?;
    let trace = trace(&query, &id).await?;
    let spans =
        resource_spans(&trace.spans).map_err(|error| QueryError::Internal(format!("read spans: {error}")))?;
    if spans.is_empty() {
        return Err(ApiError::not_found("trace not found"));
    }
    let message = || format!("the trace has more than {SPANS_MAX} spans; these are the earliest");
    Ok((spans, trace.is_truncated.then(message)))
}

fn by_scope(spans: ResourceSpans) -> Vec<ResourceSpans> {
    let ResourceSpans { resource, scope_spans, schema_url } = spans;
    let of_scope = |scope| ResourceSpans {
        resource: resource.clone(),
        scope_spans: vec![scope],
        schema_url: schema_url.clone(),
    };
    scope_spans.into_iter().map(of_scope).collect()
}

fn accepts_protobuf(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains(PROTOBUF))
}

fn protobuf(message: &impl prost::Message) -> Response {
    ([(header::CONTENT_TYPE, PROTOBUF)], message.encode_to_vec()).into_response()
}

/// An id of up to 32 hexadecimal digits, filled up with zeros from the left.
fn trace_id(text: &str) -> Result<String, ApiError> {
    if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
        let text =
            format!("trace IDs can only contain hex characters: invalid character at position {}", at + 1);
        return Err(ApiError::bad_request(text));
    }
    if text.len() > ID_DIGITS {
        return Err(ApiError::bad_request("trace IDs can't be larger than 128 bits"));
    }
    Ok(format!("{:0>ID_DIGITS$}", text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_filled_up_and_checked() {
        let whole = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(whole).as_deref(), Ok(whole));
        assert_eq!(trace_id(&whole[1..].to_uppercase()).as_deref(), Ok(whole));
        for text in ["xyz", "a'", &"a".repeat(33)] {
            assert_eq!(trace_id(text).expect_err("no id").status.as_u16(), 400, "{text}");
        }
    }
}
