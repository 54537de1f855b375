//! `GET /api/v1/calls?from=&to=&service=&source=&limit=`: calls one by one, see `meshlake_query::calls::list`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::{Number, parameters, range, source, unknown_parameters};
use crate::FaceState;
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::calls::LoadError;
use meshlake_query::calls::list::{Asked, list};
use meshlake_query::list::{CALLS_DEFAULT, CALLS_MAX, ListedCall};

const PARAMETERS: [&str; 5] = ["from", "to", "service", "source", "limit"];

#[derive(Deserialize)]
struct Given {
    service: Option<String>,
    source: Option<String>,
    limit: Option<usize>,
}

/// The answer. Calls are sorted by time, newest first.
#[derive(Serialize)]
pub struct CallsJson {
    from: String,
    to: String,
    service: Option<String>,
    source: &'static str,
    limit: usize,
    calls: Vec<CallJson>,
    warnings: Vec<String>,
}

/// A call. What nobody told is null.
#[derive(Serialize)]
struct CallJson {
    time: String,
    /// Ids of nodes.
    source: Option<String>,
    target: String,
    /// What names the target: `own`, `address`, `alias` or `caller`.
    identity_source: &'static str,
    protocol: &'static str,
    operation: Option<String>,
    response_code: Option<i64>,
    grpc_status: Option<i64>,
    outcome: &'static str,
    fault_class: Option<String>,
    refused: bool,
    attempts: u64,
    /// How many calls it stands for, as spans are sampled.
    requests: Number,
    client_ms: Option<Number>,
    server_ms: Option<Number>,
    overhead_ms: Option<Number>,
    seen_by: &'static str,
    evidence: &'static str,
    trace_id: Option<String>,
    request_id: Option<String>,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<CallsJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let source = source(given.source.as_deref())?;
    let range = range(asked, None)?;
    let service = given.service.filter(|service| !service.is_empty());
    let limit = given.limit.unwrap_or(CALLS_DEFAULT);
    if !(1..=CALLS_MAX).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit={limit} is not between 1 and {CALLS_MAX}")));
    }
    let query = state.engine.begin(&tenant).await.map_err(LoadError::from)?;
    let asked = Asked { range, source, service: service.as_deref(), most: limit };
    let found = list(&query, &asked).await?;
    Ok(Json(CallsJson {
        from: range.from().to_rfc3339(),
        to: range.to().to_rfc3339(),
        source: source.name(),
        limit,
        calls: found.calls.into_iter().map(call_json).collect(),
        warnings: found.warnings.into_iter().chain(unknown_parameters(&uri, &PARAMETERS)).collect(),
        service,
    }))
}

fn call_json(call: ListedCall) -> CallJson {
    let (overhead_nano, seen_by) = (call.overhead_nano(), call.seen_by());
    let millis = |nanos: Option<i64>| nanos.map(|nanos| Number(nanos as f64 / 1e6));
    CallJson {
        time: call.time.to_rfc3339(),
        source: call.source,
        target: call.target,
        identity_source: call.named_by.name(),
        protocol: call.protocol.name(),
        operation: call.operation,
        response_code: call.response_code,
        grpc_status: call.grpc_status,
        outcome: call.outcome.name(),
        fault_class: call.fault_class,
        refused: call.is_refused,
        attempts: call.attempts,
        requests: Number(call.requests),
        client_ms: millis(call.client_nano),
        server_ms: millis(call.server_nano),
        overhead_ms: millis(overhead_nano),
        seen_by,
        evidence: call.evidence.name(),
        trace_id: call.trace_id,
        request_id: call.request_id,
    }
}
