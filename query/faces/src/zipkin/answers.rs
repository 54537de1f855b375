//! What each path answers.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use futures::StreamExt as _;
use meshlake_query::dependencies as counted;
use meshlake_query::{Range, operations};
use serde_json::{Value, json};

use super::error::ApiError;
use super::parameters::{Parameters, TRACES_DEFAULT, TRACES_MAX};
use super::translate::translated;
use crate::FaceState;
use crate::found::{WholeTrace, trace_of, traces_of};
use crate::trace_id;

/// How far back calls are counted when the request does not say: Zipkin's default, milliseconds.
const DEPENDENCIES_LOOKBACK_MILLIS: i64 = 86_400_000;

/// How far back Zipkin's page looks at first: its default.
const PAGE_LOOKBACK_MILLIS: i64 = 900_000;

/// Spans of an answer, after which no more traces come: it is one document, which is made in memory.
const SPANS_MAX: usize = 100_000;

type Answer = Result<Json<Value>, ApiError>;

pub async fn health() -> Json<Value> {
    Json(json!({"status": "UP"}))
}

/// What Zipkin's page reads first. Source: zipkin-server's README, "UI".
pub async fn config() -> Json<Value> {
    Json(json!({
        "environment": "",
        "queryLimit": TRACES_DEFAULT,
        "defaultLookback": PAGE_LOOKBACK_MILLIS,
        "searchEnabled": true,
        "logsUrl": null,
        "supportUrl": null,
        "archivePostUrl": null,
        "archiveUrl": null,
        "dependency": {"enabled": true, "lowErrorRate": 0.5, "highErrorRate": 0.75},
    }))
}

pub async fn services(State(state): State<FaceState>, given: Parameters) -> Answer {
    let query = state.engine.begin(&given.tenant).await?;
    Ok(Json(json!(operations::services(&query).await?)))
}

pub async fn spans(State(state): State<FaceState>, given: Parameters) -> Answer {
    let query = state.engine.begin(&given.tenant).await?;
    let operations = operations::operations(&query, given.required("serviceName")?).await?;
    let names: BTreeSet<String> = operations.into_iter().map(|operation| operation.name).collect();
    Ok(Json(json!(names)))
}

pub async fn remote_services(State(state): State<FaceState>, given: Parameters) -> Answer {
    let query = state.engine.begin(&given.tenant).await?;
    Ok(Json(json!(operations::peers(&query, given.required("serviceName")?).await?)))
}

pub async fn traces(State(state): State<FaceState>, given: Parameters) -> Answer {
    let (query, range, limit) = given.search()?;
    let mut found = traces_of(&state, &given.tenant, query, range, limit).await?;
    let (mut traces, mut spans) = (Vec::new(), 0);
    while let Some(WholeTrace { spans: trace, .. }) = found.next().await.transpose()? {
        let trace = translated(&trace);
        spans += trace.len();
        traces.push(trace);
        if spans > SPANS_MAX {
            break;
        }
    }
    Ok(Json(json!(traces)))
}

pub async fn trace(State(state): State<FaceState>, Path(asked): Path<String>, given: Parameters) -> Answer {
    let trace_id = id(&asked)?;
    let found = trace_of(&state, &given.tenant, &trace_id).await?;
    let found = found.ok_or_else(|| ApiError::no_trace(&asked))?;
    Ok(Json(json!(translated(&found.spans))))
}

/// Those of the traces that are there.
pub async fn many(State(state): State<FaceState>, given: Parameters) -> Answer {
    let asked: BTreeSet<&str> = given.required("traceIds")?.split(',').collect();
    if asked.len() > TRACES_MAX {
        return Err(ApiError::bad_request(format!("at most {TRACES_MAX} traces can be asked for")));
    }
    let mut traces = Vec::new();
    for asked in asked {
        let found = trace_of(&state, &given.tenant, &id(asked)?).await?;
        traces.extend(found.map(|found| translated(&found.spans)));
    }
    Ok(Json(json!(traces)))
}

pub async fn dependencies(State(state): State<FaceState>, given: Parameters) -> Answer {
    given.required("endTs")?;
    let range = given.range(DEPENDENCIES_LOOKBACK_MILLIS)?;
    let range = Range::new(range.from, range.to, None);
    let range = range.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let found = counted::dependencies(&state.engine, &given.tenant, range).await?;
    let link = |found: &counted::Dependency| {
        json!({
            "parent": found.parent,
            "child": found.child,
            "callCount": found.calls,
            "errorCount": found.errors,
        })
    };
    Ok(Json(found.iter().map(link).collect()))
}

/// No key is completed; Zipkin has none either unless it is told which.
pub async fn keys(_: Parameters) -> Json<Value> {
    Json(json!([]))
}

pub async fn values(given: Parameters) -> Answer {
    given.required("key")?;
    Ok(Json(json!([])))
}

fn id(text: &str) -> Result<String, ApiError> {
    let not_an_id =
        || ApiError::bad_request(format!("{text} should be 1 to 32 hexadecimal digits, not all zero"));
    trace_id::parse(text).ok_or_else(not_an_id)
}
