//! v3 of Jaeger's API over HTTP: OTLP's JSON in an envelope, as Jaeger's page of today and Grafana ask it.
//!
//! Traces are written one after the other, each when the one before is on its way, so that an answer of any size holds one.
//!
//! Source: `apiv3` of Jaeger 2.20. Differences: dependencies, which Jaeger has over gRPC only; no `query.filter`.

mod parameters;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::stream::{self, BoxStream, StreamExt as _};
use meshlake_query::dependencies::Dependency;
use serde_json::{Value, json};

use super::asking::{self, WholeTrace};
use super::failure::Failure;
use super::ids;
use super::parameters::Parameters;
use super::summary::Summary;
use crate::FaceState;
use crate::otlp::to_json;
use parameters::{first_of, question, range};

/// What Jaeger calls the kind of an operation that has none.
pub const NO_KIND: &str = "internal";

/// Parameters whose failures are told as v3 tells them.
struct Given(Parameters);

/// A failed request: `{"error": {"httpCode", "message"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ApiError(Failure);

type Answer = Result<Json<Value>, ApiError>;

/// The paths below `/jaeger/api/v3`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/services", get(services))
        .route("/operations", get(operations))
        .route("/traces", get(traces))
        .route("/traces/{trace_id}", get(trace))
        .route("/trace-summaries", get(summaries))
        .route("/dependencies", get(dependencies))
}

impl FromRequestParts<FaceState> for Given {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &FaceState) -> Result<Self, ApiError> {
        Ok(Given(Parameters::of(parts, state)?))
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        ApiError(failure)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.0.http();
        let error = json!({"httpCode": status.as_u16(), "message": self.0.to_string()});
        (status, Json(json!({"error": error}))).into_response()
    }
}

async fn services(State(state): State<FaceState>, Given(given): Given) -> Answer {
    let services = asking::services(&state, &given.tenant).await?;
    Ok(Json(json!({"services": services})))
}

async fn operations(State(state): State<FaceState>, Given(given): Given) -> Answer {
    let service = given.first("service").unwrap_or_default();
    let kind = first_of(&given, ["spanKind", "span_kind"]).map(|(_, kind)| kind);
    let operations = asking::operations_of(&state, &given.tenant, service, kind).await?;
    let operation = |operation| {
        let kind = Some(asking::kind_of(operation)).filter(|kind| !kind.is_empty()).unwrap_or(NO_KIND);
        json!({"name": operation.name, "spanKind": kind})
    };
    let operations: Vec<Value> = operations.iter().map(operation).collect();
    Ok(Json(json!({"operations": operations})))
}

async fn trace(
    State(state): State<FaceState>,
    Path(trace_id): Path<String>,
    Given(given): Given,
) -> Result<Response, ApiError> {
    let trace_id = ids::of_hex_or_base64(&trace_id)?;
    // Hints that Jaeger's storages need; here the table `traces` knows.
    range(&given, ["startTime", "start_time"], ["endTime", "end_time"])?;
    let is_raw = parameters::boolean(&given, ["rawTraces", "raw_traces"])?;
    let trace = asking::trace_of(&state, &given.tenant, &trace_id, is_raw).await;
    let trace =
        trace.map_err(|failure| if failure == Failure::NoTrace { Failure::NoTraces } else { failure })?;
    Ok(streamed(trace, stream::empty().boxed()))
}

async fn traces(State(state): State<FaceState>, Given(given): Given) -> Result<Response, ApiError> {
    let question = question(&given)?;
    let mut traces = asking::traces_of(&state, &given.tenant, &question).await?;
    let first = traces.next().await.transpose()?.ok_or(Failure::NoTraces)?;
    Ok(streamed(first, traces))
}

async fn summaries(State(state): State<FaceState>, Given(given): Given) -> Answer {
    let question = question(&given)?;
    let mut traces = asking::traces_of(&state, &given.tenant, &question).await?;
    let mut summaries = Vec::new();
    while let Some(trace) = traces.next().await.transpose()? {
        summaries.push(Summary::of(&trace.spans).to_json());
    }
    Ok(Json(json!({"summaries": summaries})))
}

async fn dependencies(State(state): State<FaceState>, Given(given): Given) -> Answer {
    let (from, to) = range(&given, ["startTime", "start_time"], ["endTime", "end_time"])?;
    let (Some(from), Some(to)) = (from, to) else {
        return Err(Failure::Asker("startTime and endTime are required".to_owned()).into());
    };
    let lookback = std::time::Duration::from_nanos(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0));
    let found = asking::dependencies(&state, &given.tenant, to, lookback).await?;
    let dependency = |found: &Dependency| json!({"parent": found.parent, "child": found.child, "callCount": found.calls.to_string()});
    Ok(Json(json!({"dependencies": found.iter().map(dependency).collect::<Vec<_>>()})))
}

/// `{"result": {"resourceSpans": [...]}}` of all traces. What fails when part of it is written ends the connection, and JSON
/// without its end reads as no answer.
fn streamed(first: WholeTrace, rest: BoxStream<'static, Result<WholeTrace, Failure>>) -> Response {
    let head = stream::iter([Ok(Bytes::from_static(b"{\"result\":{\"resourceSpans\":["))]);
    let traces = stream::iter([Ok(first)]).chain(rest).enumerate();
    let written = traces.map(|(at, trace)| trace.map(|trace| written(&trace, at > 0)));
    let tail = stream::iter([Ok(Bytes::from_static(b"]}}"))]);
    let mut response = Response::new(Body::from_stream(head.chain(written).chain(tail)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn written(trace: &WholeTrace, is_behind_another: bool) -> Bytes {
    let mut text = String::new();
    for (at, spans) in trace.spans.iter().enumerate() {
        if at > 0 || is_behind_another {
            text.push(',');
        }
        text += &to_json(spans).to_string();
    }
    text.into()
}
