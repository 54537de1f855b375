//! What a Prometheus tells of itself, as far as clients need it.
//!
//! Clients read from `buildinfo` what the server can do; they are told the release of Prometheus whose answers these are
//! like, and that it is Meshlake. No `features` are named, as Grafana takes a server with any for one with rules of its
//! own. Kiali reads the interval between samples from `config`, and how far back it may ask from `runtimeinfo`. There are
//! no scrapes, rules and alerts here: their lists are empty.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use meshlake_query::prometheus::{Statistics, statistics};
use meshlake_query::promql::Options;
use serde_json::{Value, json};

use super::error::ApiError;
use super::parameters::Parameters;
use super::written::{Notes, data};
use crate::FaceState;

/// The release of Prometheus whose answers these are like.
const LIKE_PROMETHEUS: &str = "3.16.0";

/// At least as often as this there is a sample of a counter of calls. Kiali takes it for its shortest rates.
const CONFIG: &str = "global:\n  scrape_interval: 15s\n  scrape_timeout: 10s\n  evaluation_interval: 1m\n";

/// Entries of each list of `tsdb` if nobody names a number; Prometheus's.
const STATISTICS_ENTRIES: usize = 10;
const STATISTICS_ENTRIES_MAX: usize = 10_000;

/// For ever, as far as clients can read it.
const FOR_EVER: &str = "100y";

fn success(value: &Value) -> Response {
    data(value, Notes::default())
}

/// `/-/healthy`.
pub async fn healthy() -> &'static str {
    "Meshlake is healthy.\n"
}

/// `/-/ready`: whether the collector answers, which questions need.
pub async fn ready(State(state): State<FaceState>) -> Response {
    match state.engine.status().await {
        Ok(_) => "Meshlake is ready.\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "say whether questions can be answered");
            (StatusCode::SERVICE_UNAVAILABLE, "the collector does not answer\n").into_response()
        }
    }
}

/// `status/buildinfo`.
pub async fn build() -> Response {
    success(&json!({
        "version": LIKE_PROMETHEUS,
        "revision": env!("CARGO_PKG_VERSION"),
        "branch": "meshlake",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// `status/runtimeinfo`.
pub async fn runtime(State(state): State<FaceState>) -> Response {
    success(&json!({
        "serverTime": state.engine.clock().now().to_rfc3339(),
        "reloadConfigSuccess": true,
        "corruptionCount": 0,
        "storageRetention": retention(&state),
    }))
}

fn retention(state: &FaceState) -> String {
    match state.calls_days {
        0 => FOR_EVER.to_owned(),
        days => format!("{days}d"),
    }
}

/// `status/config`.
pub async fn config() -> Response {
    success(&json!({"yaml": CONFIG}))
}

/// `status/flags`: those that a question is bounded by.
pub async fn flags(State(state): State<FaceState>) -> Response {
    let (engine, options) = (state.engine.config(), Options::default());
    success(&json!({
        "query.lookback-delta": format!("{}s", options.lookback / 1_000),
        "query.max-concurrency": engine.concurrent_queries_max.to_string(),
        "query.max-samples": options.samples_max.to_string(),
        "query.timeout": format!("{}s", engine.timeout_seconds),
        "storage.tsdb.retention.time": retention(&state),
    }))
}

/// `status/tsdb`.
pub async fn database(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let limit = parameters.first("limit").map_or(Ok(STATISTICS_ENTRIES), str::parse);
    let Some(limit) = limit.ok().filter(|limit| *limit > 0) else {
        return Err(ApiError::bad_data("limit must be a positive number"));
    };
    if limit > STATISTICS_ENTRIES_MAX {
        return Err(ApiError::bad_data(format!("limit must not exceed {STATISTICS_ENTRIES_MAX}")));
    }
    let now = parameters.now;
    let statistics: Statistics = statistics(&state.prometheus, &parameters.tenant, now, limit).await?;
    let list = |entries: &[(String, usize)]| -> Vec<Value> {
        entries.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    Ok(success(&json!({
        "headStats": {
            "numSeries": statistics.series,
            "numLabelPairs": statistics.label_pairs,
            "chunkCount": 0,
            "minTime": statistics.from,
            "maxTime": statistics.to,
        },
        "seriesCountByMetricName": list(&statistics.series_of_metric),
        "labelValueCountByLabelName": list(&statistics.values_of_label),
        "memoryInBytesByLabelName": list(&statistics.bytes_of_label),
        "seriesCountByLabelValuePair": list(&statistics.series_of_pair),
    })))
}

/// `rules`: of one `type` or of both, which are none.
pub async fn rules(parameters: Parameters) -> Result<Response, ApiError> {
    match parameters.first("type").map(str::to_lowercase).as_deref() {
        None | Some("alert" | "record") => Ok(success(&json!({"groups": []}))),
        Some(other) => Err(ApiError::invalid("type", format_args!("not supported value {other:?}"))),
    }
}

/// `alerts`.
pub async fn alerts() -> Response {
    success(&json!({"alerts": []}))
}

/// `alertmanagers`.
pub async fn alertmanagers() -> Response {
    success(&json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}))
}

/// `targets`.
pub async fn targets() -> Response {
    success(&json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}))
}

/// `targets/metadata`.
pub async fn target_metadata() -> Response {
    success(&json!([]))
}

/// `scrape_pools`.
pub async fn scrape_pools() -> Response {
    success(&json!({"scrapePools": []}))
}
