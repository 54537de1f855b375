//! `/api/metrics/query_range` and `/api/metrics/query`: series of what a query selects.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use meshlake_query::traceql::{Error, Series, series};
use meshlake_query::traceql_language as language;
use meshlake_query::traceql_language::tree::{self, Body, Hint};
use meshlake_query::traceql_language::{Line, Steps, Value};
use meshlake_schema::UnixNanos;
use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::error::ApiError;
use super::json;
use super::messages::{
    Exemplar, InstantSeries, PARTIAL, QueryInstantResponse, QueryRangeResponse, Sample, SearchMetrics,
    TimeSeries,
};
use super::parameters::{Parameters, duration, query};
use super::values::key_value;
use crate::FaceState;

/// How far back a question without a start goes: Tempo's default.
const SINCE: Duration = Duration::from_secs(3_600);

/// Steps of a range whose step is not said: as many as a panel draws points. Guess, not measured.
const STEPS: i64 = 120;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

pub async fn range(
    State(state): State<FaceState>,
    parameters: Parameters,
) -> Result<Json<serde_json::Value>, ApiError> {
    let (start, end) = bounds(&parameters)?;
    let step = match parameters.first("step") {
        None => default_step(start, end),
        Some(text) => step(text).ok_or_else(|| ApiError::bad_request(format!("invalid step: {text:?}")))?,
    };
    let tree = with_exemplars(asked(&parameters).await?, parameters.number("exemplars")?.unwrap_or_default());
    let found = of_range(&state, &parameters.tenant, &tree, [start.0, end.0, step]).await?;
    Ok(Json(json::query_range(&found)))
}

pub async fn instant(
    State(state): State<FaceState>,
    parameters: Parameters,
) -> Result<Json<serde_json::Value>, ApiError> {
    let (start, end) = bounds(&parameters)?;
    let tree = asked(&parameters).await?;
    let found = of_instant(&state, &parameters.tenant, &tree, [start.0, end.0]).await?;
    Ok(Json(json::query_instant(&found)))
}

/// Both names are in use.
async fn asked(parameters: &Parameters) -> Result<tree::Query, ApiError> {
    let text = parameters.first("query").or_else(|| parameters.first("q")).unwrap_or_default();
    query(text.to_owned()).await
}

fn bounds(parameters: &Parameters) -> Result<(UnixNanos, UnixNanos), ApiError> {
    let end = parameters.time("end")?.unwrap_or(parameters.now);
    let since = parameters.duration("since")?.unwrap_or(SINCE);
    let start = parameters.time("start")?.unwrap_or_else(|| end.min(parameters.now).minus(since));
    Ok((start, end))
}

/// Seconds, or a duration; nanoseconds.
fn step(text: &str) -> Option<i64> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let step = seconds.or_else(|| duration(text))?;
    i64::try_from(step.as_nanos()).ok().filter(|nanos| *nanos > 0)
}

/// Whole seconds.
fn default_step(start: UnixNanos, end: UnixNanos) -> i64 {
    let seconds = end.0.saturating_sub(start.0) / NANOS_PER_SECOND;
    (seconds / STEPS).max(1) * NANOS_PER_SECOND
}

/// With so many exemplars if the query itself says nothing of them.
pub fn with_exemplars(mut tree: tree::Query, exemplars: u32) -> tree::Query {
    const NAME: &str = "exemplars";
    if exemplars > 0 && tree.hint(NAME).is_none() {
        tree.hints.push(Hint { name: NAME.to_owned(), value: Value::Integer(i64::from(exemplars)) });
    }
    tree
}

/// Why there are no series, for either way out.
pub enum Failure {
    Asked(language::Error),
    Answered(Error),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Asked(error) => ApiError::bad_request(error.to_string()),
            Failure::Answered(error) => error.into(),
        }
    }
}

/// Series of a range: start, end and step in nanoseconds. A step of 0 is chosen.
///
/// # Errors
/// For steps that cannot be, and those of [`series`].
pub async fn of_range(
    state: &FaceState,
    tenant: &str,
    tree: &tree::Query,
    [start, end, step]: [i64; 3],
) -> Result<QueryRangeResponse, Failure> {
    let step = if step == 0 { default_step(UnixNanos(start), UnixNanos(end)) } else { step };
    let steps = Steps::range(start, end, step).map_err(Failure::Asked)?;
    let (found, metrics, message) = found(state, tenant, tree, steps).await?;
    let instants: Vec<i64> = steps.instants().map(|nano| nano / NANOS_PER_MILLI).collect();
    let of_line = |line: &Line| TimeSeries {
        labels: labels(line, tree),
        samples: instants
            .iter()
            .zip(&line.values)
            .filter_map(|(at, value)| Some(Sample { value: (*value)?, timestamp_ms: *at }))
            .collect(),
        exemplars: line.exemplars.iter().map(exemplar).collect(),
    };
    let series = found.lines.iter().map(of_line).collect();
    Ok(QueryRangeResponse { series, metrics: Some(metrics), status: status(&message), message })
}

/// One value a series, of all from start to end.
///
/// # Errors
/// As [`of_range`].
pub async fn of_instant(
    state: &FaceState,
    tenant: &str,
    tree: &tree::Query,
    [start, end]: [i64; 2],
) -> Result<QueryInstantResponse, Failure> {
    let steps = Steps::instant(start, end).map_err(Failure::Asked)?;
    let (found, metrics, message) = found(state, tenant, tree, steps).await?;
    let of_line = |line: &Line| {
        let value = line.values.first().copied().flatten()?;
        Some(InstantSeries { labels: labels(line, tree), value })
    };
    let series = found.lines.iter().filter_map(of_line).collect();
    Ok(QueryInstantResponse { series, metrics: Some(metrics), status: status(&message), message })
}

async fn found(
    state: &FaceState,
    tenant: &str,
    tree: &tree::Query,
    steps: Steps,
) -> Result<(Series, SearchMetrics, String), Failure> {
    let query = state.engine.begin(tenant).await.map_err(|error| Failure::Answered(error.into()))?;
    let found = series(&query, tree, steps).await.map_err(Failure::Answered)?;
    let metrics = SearchMetrics {
        inspected_traces: 0,
        completed_jobs: 1,
        total_jobs: 1,
        inspected_spans: found.inspected_spans as u64,
    };
    let message = found.warnings.join(", ");
    Ok((found, metrics, message))
}

fn status(message: &str) -> i32 {
    if message.is_empty() { 0 } else { PARTIAL }
}

/// A series without labels is named by its function, as Tempo does.
fn labels(line: &Line, tree: &tree::Query) -> Vec<KeyValue> {
    let function = match &tree.body {
        Body::Series(series) => series.over_time().first().map(|over_time| over_time.function.word()),
        Body::Spans(_) => None,
    };
    match function.filter(|_| line.labels.is_empty()) {
        Some(word) => vec![key_value("__name__", &Value::text(word))],
        None => line.labels.iter().map(|(name, value)| key_value(name, value)).collect(),
    }
}

fn exemplar(exemplar: &language::Exemplar) -> Exemplar {
    Exemplar {
        labels: vec![
            key_value("trace:id", &Value::text(&exemplar.trace_id)),
            key_value("span:id", &Value::text(&exemplar.span_id)),
        ],
        value: exemplar.value,
        timestamp_ms: exemplar.time_nano / NANOS_PER_MILLI,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_seconds_or_durations() {
        assert_eq!(step("15"), Some(15 * NANOS_PER_SECOND));
        assert_eq!(step("1m"), Some(60 * NANOS_PER_SECOND));
        assert_eq!(step("0.5"), Some(NANOS_PER_SECOND / 2));
        assert_eq!(step("500ms"), Some(NANOS_PER_SECOND / 2));
        for text in ["0", "-1", "x", "", "NaN", "1e300"] {
            assert_eq!(step(text), None, "{text}");
        }
        let hours = |hours: i64| UnixNanos(hours * 3_600 * NANOS_PER_SECOND);
        assert_eq!(default_step(hours(0), hours(24)), 720 * NANOS_PER_SECOND);
        assert_eq!(default_step(hours(5), hours(5)), NANOS_PER_SECOND);
    }
}
