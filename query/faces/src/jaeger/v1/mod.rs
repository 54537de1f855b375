//! v1 of Jaeger's API, in JSON: what Jaeger's page up to 2.14, Grafana and Kiali ask over HTTP. Searches and names, which Jaeger
//! itself answers no longer in v1, are answered here.

mod search;
mod written;
mod error;

use axum::Json;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::routing::get;
use meshlake_query::dependencies::Dependency;
use serde_json::{Value, json};

use super::asking::{self, WholeTrace, kind_of};
use super::failure::Failure;
use super::parameters::Parameters;
use super::{ids, monitoring};
use crate::FaceState;

pub use error::{ApiError, not_found};

use error::envelope;

/// How far back dependencies are counted when the request does not say: Jaeger's default.
const DEPENDENCIES_LOOKBACK_MILLIS: i64 = 24 * 60 * 60 * 1_000;

type Answer = Result<Json<Value>, ApiError>;

/// The paths below `/jaeger/api`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/services", get(services))
        .route("/services/{service}/operations", get(operation_names))
        .route("/operations", get(operations))
        .route("/traces", get(search::answer))
        .route("/traces/{trace_id}", get(trace))
        .route("/dependencies", get(dependencies))
        .route("/metrics/latencies", get(latencies))
        .route("/metrics/calls", get(calls))
        .route("/metrics/errors", get(errors))
        .route("/metrics/minstep", get(step_min))
}

impl FromRequestParts<FaceState> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &FaceState) -> Result<Self, ApiError> {
        Ok(Parameters::of(parts, state)?)
    }
}

async fn services(State(state): State<FaceState>, given: Parameters) -> Answer {
    let services = asking::services(&state, &given.tenant).await?;
    Ok(Json(envelope(&json!(services), services.len(), &Value::Null)))
}

async fn operation_names(
    State(state): State<FaceState>,
    Path(service): Path<String>,
    given: Parameters,
) -> Answer {
    let operations = asking::operations_of(&state, &given.tenant, &service, None).await?;
    let mut names: Vec<String> = operations.into_iter().map(|operation| operation.name).collect();
    names.dedup();
    Ok(Json(envelope(&json!(names), names.len(), &Value::Null)))
}

async fn operations(State(state): State<FaceState>, given: Parameters) -> Answer {
    let service = given.first("service").ok_or_else(service_required)?;
    let operations = asking::operations_of(&state, &given.tenant, service, given.first("spanKind")).await?;
    let operations: Vec<Value> = operations
        .iter()
        .map(|operation| json!({"name": operation.name, "spanKind": kind_of(operation)}))
        .collect();
    Ok(Json(envelope(&json!(operations), operations.len(), &Value::Null)))
}

fn service_required() -> Failure {
    Failure::Asker("parameter 'service' is required".to_owned())
}

/// `start` and `end` are hints that Jaeger's storages need; here the table `traces` knows.
async fn trace(State(state): State<FaceState>, Path(trace_id): Path<String>, given: Parameters) -> Answer {
    let trace_id = ids::of_hex(&trace_id)?;
    given.time("start")?;
    given.time("end")?;
    let trace = asking::trace_of(&state, &given.tenant, &trace_id, given.boolean("raw")?).await?;
    Ok(Json(envelope(&json!([written(trace)]), 0, &Value::Null)))
}

fn written(trace: WholeTrace) -> Value {
    let WholeTrace { spans, warnings } = trace;
    written::trace(&super::translate::translated(spans), &warnings)
}

async fn dependencies(State(state): State<FaceState>, given: Parameters) -> Answer {
    let end = given.time("endTs")?.unwrap_or(given.now);
    let lookback = given.integer("lookback")?.unwrap_or(DEPENDENCIES_LOOKBACK_MILLIS);
    let lookback = u64::try_from(lookback).map_err(|error| Failure::unparsed("lookback", error))?;
    let lookback = std::time::Duration::from_millis(lookback);
    let mut found = asking::dependencies(&state, &given.tenant, end, lookback).await?;
    if let Some(service) = given.first("service") {
        found.retain(|dependency| dependency.parent == service || dependency.child == service);
    }
    let link =
        |found: &Dependency| json!({"parent": found.parent, "child": found.child, "callCount": found.calls});
    Ok(Json(envelope(&found.iter().map(link).collect(), 0, &Value::Null)))
}

async fn latencies(State(state): State<FaceState>, given: Parameters) -> Answer {
    let asked = given.first("quantile").unwrap_or_default();
    let quantile = asked.parse().ok().filter(|quantile| (0.0..=1.0).contains(quantile));
    let why = format_args!("{asked:?} is not a number from 0 to 1").to_string();
    let quantile = quantile.ok_or_else(|| Failure::unparsed("quantile", why))?;
    Ok(Json(monitoring::latencies(&state, &given, quantile).await?))
}

async fn calls(State(state): State<FaceState>, given: Parameters) -> Answer {
    Ok(Json(monitoring::calls(&state, &given).await?))
}

async fn errors(State(state): State<FaceState>, given: Parameters) -> Answer {
    Ok(Json(monitoring::errors(&state, &given).await?))
}

async fn step_min() -> Json<Value> {
    Json(envelope(&json!(monitoring::STEP_MIN_MILLIS), 0, &Value::Null))
}
