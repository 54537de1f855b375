//! `index/volume` and `index/volume_range`: bytes of lines by labels, the most first.
//!
//! Source: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-log-volume>. A range tells whole steps from its start
//! on, each at its end.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use meshlake_query::logql::Steps;
use meshlake_query::logql::tree::log::Log;
use meshlake_query::logs::{self, Volume, Volumes};
use serde_json::{Value, json};

use super::error::ApiError;
use super::parameters::{Parameters, QUERY_NANOS};
use crate::FaceState;

/// Volumes of an answer that names no limit: Loki's. More than are drawn are never asked for.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 5_000;

/// Steps of a range that names none, about: Loki's of queries.
const STEPS: i64 = 250;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// `index/volume`: of the whole range.
pub async fn whole(State(state): State<FaceState>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let (from, to) = parameters.range(QUERY_NANOS)?;
    let length = to.0.saturating_sub(from.0).max(1);
    let asked = asked(&parameters, length, Steps::instant(to.0)).await?;
    let found = logs::volumes(&state.engine, &parameters.tenant, asked).await?;
    let of_volume = |volume: &Volume| {
        let bytes = volume.bytes.values().sum::<f64>();
        json!({"metric": metric(volume), "value": [seconds(to.0), bytes.to_string()]})
    };
    Ok(answer("vector", found.iter().map(of_volume).collect()))
}

/// `index/volume_range`: of each step.
pub async fn range(State(state): State<FaceState>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let (from, to) = parameters.range(QUERY_NANOS)?;
    let length = to.0.saturating_sub(from.0).max(1);
    let default = (length / NANOS_PER_SECOND / STEPS).max(1) * NANOS_PER_SECOND;
    let step = parameters.length("step")?.unwrap_or(default).min(length);
    let steps = Steps::range(from.0.saturating_add(step), to.0.max(from.0.saturating_add(step)), step)?;
    let found =
        logs::volumes(&state.engine, &parameters.tenant, asked(&parameters, step, steps).await?).await?;
    let of_volume = |volume: &Volume| {
        let values =
            volume.bytes.iter().map(|(at, bytes)| json!([seconds(steps.time(*at)), bytes.to_string()]));
        json!({"metric": metric(volume), "values": values.collect::<Vec<_>>()})
    };
    Ok(answer("matrix", found.iter().map(of_volume).collect()))
}

async fn asked(parameters: &Parameters, range_nano: i64, steps: Steps) -> Result<Volumes, ApiError> {
    // Any stream, which other questions refuse to ask for.
    let is_any = parameters.first("query").is_none_or(|query| query.replace(char::is_whitespace, "") == "{}");
    let any = || Log { matchers: Vec::new(), stages: Vec::new() };
    let log = if is_any { any() } else { parameters.selector().await?.unwrap_or_else(any) };
    if !log.stages.is_empty() {
        return Err(ApiError::bad_request("only label matchers are supported"));
    }
    let names = parameters.first("targetLabels").unwrap_or_default().split(',').map(str::trim);
    let are_of_labels = match parameters.first("aggregateBy") {
        None | Some("series") => false,
        Some("labels") => true,
        Some(other) => return Err(ApiError::bad_request(format!("invalid aggregation option: {other}"))),
    };
    let limit = match parameters.first("limit") {
        None => LIMIT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| ApiError::bad_request("limit must be a positive value"))?,
    };
    let labels = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(Volumes { log, labels, are_of_labels, range_nano, steps, limit: limit.min(LIMIT_MAX) })
}

fn metric(volume: &Volume) -> BTreeMap<&str, &str> {
    volume.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn seconds(nanos: i64) -> f64 {
    (nanos / 1_000_000) as f64 / 1e3
}

fn answer(kind: &str, result: Vec<Value>) -> Json<Value> {
    Json(json!({"status": "success", "data": {"resultType": kind, "result": result, "stats": {}}}))
}
