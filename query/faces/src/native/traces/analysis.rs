//! `GET /api/v1/traces/{trace_id}/analysis` and `GET /api/v1/traces/compare?base=&other=`; see `meshlake_query::analysis`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use meshlake_query::analysis::TraceSpan;
use meshlake_query::analysis::anatomy::{Anatomy, OperationTime, Origin, anatomy};
use meshlake_query::analysis::compared::{Difference, Side, compared};
use meshlake_query::trace::kind_name;
use meshlake_schema::UnixNanos;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::parse_trace_id;
use crate::FaceState;
use crate::native::calls::{parameters, unknown_parameters};
use crate::native::{ApiError, Tenant};

const NANOS_PER_MILLI: f64 = 1e6;

/// Answers what one trace is made of.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    Path(trace_id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let trace_id = parse_trace_id(&trace_id)?;
    let query = state.engine.begin(&tenant).await?;
    let found = anatomy(&query, &trace_id).await?.ok_or_else(|| no_span(&trace_id))?;
    let path = found.critical_path.iter().map(|step| {
        let mut told = span_json(&step.span);
        told["critical_ms"] = json!(millis(step.critical_nanos));
        told
    });
    let warnings: Vec<&String> = found.warnings.iter().collect();
    let unknown = unknown_parameters(&uri, &[]);
    Ok(Json(json!({
        "trace_id": trace_id,
        "duration_ms": millis(found.duration),
        "spans": found.spans,
        "errors": found.errors,
        "operations": found.operations.iter().map(OperationJson::from).collect::<Vec<_>>(),
        "critical_path": path.collect::<Vec<_>>(),
        "error_origins": found.error_origins.iter().map(origin_json).collect::<Vec<_>>(),
        "warnings": warnings.into_iter().chain(&unknown).collect::<Vec<_>>(),
    })))
}

#[derive(Deserialize)]
struct Given {
    base: Option<String>,
    other: Option<String>,
}

/// Answers what differs between two traces.
pub async fn compare(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let given: Given = parameters(&uri)?;
    let id = |name: &str, given: Option<String>| {
        let given = given.ok_or_else(|| ApiError::bad_request(format!("{name}= names no trace")))?;
        parse_trace_id(&given)
    };
    let (base, other) = (id("base", given.base)?, id("other", given.other)?);
    let query = state.engine.begin(&tenant).await?;
    let found = compared(&query, &base, &other).await?.map_err(no_span)?;
    let side = |trace_id: &str, anatomy: &Anatomy| {
        json!({
            "trace_id": trace_id,
            "duration_ms": millis(anatomy.duration),
            "spans": anatomy.spans,
            "errors": anatomy.errors,
        })
    };
    let warnings = found.base.warnings.iter().chain(&found.other.warnings).cloned();
    Ok(Json(json!({
        "base": side(&base, &found.base),
        "other": side(&other, &found.other),
        "operations": found.differences.iter().map(difference_json).collect::<Vec<_>>(),
        "warnings": warnings.chain(unknown_parameters(&uri, &["base", "other"])).collect::<Vec<_>>(),
    })))
}

fn no_span(trace_id: &str) -> ApiError {
    ApiError::not_found(format!("there is no span of trace {trace_id}"))
}

/// An operation of one trace.
#[derive(Serialize)]
struct OperationJson<'a> {
    service: &'a str,
    name: &'a str,
    spans: usize,
    errors: usize,
    self_ms: f64,
    critical_ms: f64,
}

impl<'a> From<&'a OperationTime> for OperationJson<'a> {
    fn from(operation: &'a OperationTime) -> Self {
        OperationJson {
            service: &operation.service,
            name: &operation.name,
            spans: operation.spans,
            errors: operation.errors,
            self_ms: millis(operation.self_nanos),
            critical_ms: millis(operation.critical_nanos),
        }
    }
}

fn span_json(span: &TraceSpan) -> Value {
    json!({
        "span_id": span.span_id,
        "service": span.service,
        "name": span.name,
        "kind": kind_name(Some(span.kind)),
        "time": UnixNanos(span.start).to_rfc3339(),
        "duration_ms": millis(span.duration),
    })
}

fn origin_json(origin: &Origin) -> Value {
    let mut told = span_json(&origin.span);
    told["status_message"] = json!(origin.span.status_message);
    told["depth"] = json!(origin.depth);
    told["failed_ancestors"] = json!(origin.failed_ancestors);
    told["reached_root"] = json!(origin.reached_root);
    told
}

fn difference_json(difference: &Difference) -> Value {
    let side = |side: &Side| {
        json!({
            "spans": side.spans,
            "errors": side.errors,
            "self_ms": millis(side.self_nanos),
            "critical_ms": millis(side.critical_nanos),
        })
    };
    json!({
        "service": difference.service,
        "name": difference.name,
        "change": difference.change().name(),
        "base": side(&difference.base),
        "other": side(&difference.other),
        "self_ms_more": millis(difference.self_nanos()),
    })
}

fn millis(nanos: i64) -> f64 {
    nanos as f64 / NANOS_PER_MILLI
}
