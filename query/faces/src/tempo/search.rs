//! `/api/search`: traces with spans that a query, or tags, select.

use axum::Json;
use axum::extract::State;
use meshlake_query::traceql::{ANY_DURATION, Error, Found, FoundSpanset, FoundTrace, Search, search};
use meshlake_query::traceql_language::tree;
use meshlake_schema::{TimeRange, UnixNanos};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde_json::Value;

use super::error::ApiError;
use super::json;
use super::legacy::{self, Tags};
use super::messages::{
    FoundSpan, SearchMetrics, SearchRequest, SearchResponse, ServiceStats, SpanSet, TraceSearchMetadata,
};
use super::parameters::{Parameters, query, range};
use super::values::key_value;
use crate::FaceState;

/// Traces and spans of each set that are told if a request does not say: Tempo's defaults.
const LIMIT: u32 = 20;
const SPANS: u32 = 3;

/// Traces of one answer at most; more is refused as Tempo does with a limit of its own. Grafana asks for hundreds.
pub const LIMIT_MAX: u32 = 1_000;

/// Spans of each set at most; 0 asks for all of them.
const SPANS_MAX: u32 = 10_000;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Tempo's words for a trace whose root is not there.
const NO_ROOT: &str = "<root span not yet received>";

/// Parameters that are no tags.
const RESERVED: [&str; 8] = ["q", "tags", "minDuration", "maxDuration", "limit", "spss", "start", "end"];

pub async fn answer(State(state): State<FaceState>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let asked = asked(&parameters).await?;
    let found = found(&state, &parameters.tenant, &asked).await?;
    Ok(Json(json::search(&response(found))))
}

/// What a message asks for.
///
/// # Errors
/// 400.
pub async fn of_message(message: &SearchRequest) -> Result<Search, ApiError> {
    let seconds = |seconds: u32| Some(UnixNanos::from_seconds(i64::from(seconds)));
    let tags: Tags = message.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let text = match (message.query.is_empty(), tags.is_empty()) {
        (false, _) => message.query.clone(),
        (true, false) => legacy::query(&tags),
        (true, true) => "{ }".to_owned(),
    };
    let or_default = |number: u32, default| if number == 0 { default } else { number };
    made(Wanted {
        query: query(text).await?,
        range: range(seconds(message.start), seconds(message.end))?,
        limit: or_default(message.limit, LIMIT),
        spans: or_default(message.spans_per_span_set, SPANS),
        millis: [message.min_duration_ms, message.max_duration_ms]
            .map(|millis| Some(i64::from(millis)).filter(|ms| *ms > 0)),
    })
}

/// Traces that are found.
///
/// # Errors
/// Those of [`search`].
pub async fn found(state: &FaceState, tenant: &str, asked: &Search) -> Result<Found, Error> {
    let query = state.engine.begin(tenant).await?;
    search(&query, asked).await
}

async fn asked(parameters: &Parameters) -> Result<Search, ApiError> {
    let tags = match (parameters.first("q"), parameters.first("tags")) {
        (Some(_), Some(_)) => {
            let text = "invalid request: can't specify tags and q in the same query";
            return Err(ApiError::bad_request(text));
        }
        (_, Some(tags)) => legacy::tags(tags)?,
        (Some(_), None) => Tags::new(),
        (None, None) => bare_tags(parameters),
    };
    let text = match parameters.first("q") {
        Some(query) => query.to_owned(),
        None if tags.is_empty() => "{ }".to_owned(),
        None => legacy::query(&tags),
    };
    let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let [least, most] = [parameters.duration("minDuration")?, parameters.duration("maxDuration")?];
    made(Wanted {
        query: query(text).await?,
        range: parameters.range()?,
        limit: parameters.number("limit")?.unwrap_or(LIMIT),
        spans: parameters.number("spss")?.unwrap_or(SPANS),
        millis: [least.map(millis), most.map(millis)],
    })
}

/// Tags as single parameters, which requests have that name neither a query nor times.
fn bare_tags(parameters: &Parameters) -> Tags {
    if parameters.first("start").is_some() || parameters.first("end").is_some() {
        return Tags::new();
    }
    let pairs = parameters.pairs().iter();
    pairs.filter(|(key, value)| !RESERVED.contains(&key.as_str()) && !value.is_empty()).cloned().collect()
}

struct Wanted {
    query: tree::Query,
    range: TimeRange,
    limit: u32,
    spans: u32,
    /// Least and greatest duration of a trace.
    millis: [Option<i64>; 2],
}

fn made(wanted: Wanted) -> Result<Search, ApiError> {
    if wanted.limit == 0 {
        return Err(ApiError::bad_request("invalid limit: must be a positive number"));
    }
    if wanted.limit > LIMIT_MAX {
        return Err(ApiError::bad_request(format!("limit {} exceeds max limit {LIMIT_MAX}", wanted.limit)));
    }
    let [least, most] =
        wanted.millis.map(|millis| millis.map(|millis| millis.saturating_mul(NANOS_PER_MILLI)));
    let durations = least.unwrap_or(*ANY_DURATION.start())..=most.unwrap_or(*ANY_DURATION.end());
    if durations.is_empty() {
        return Err(ApiError::bad_request("invalid maxDuration: must be greater than minDuration"));
    }
    let spans = if wanted.spans == 0 { SPANS_MAX } else { wanted.spans.min(SPANS_MAX) };
    Ok(Search {
        query: wanted.query,
        range: wanted.range,
        traces_max: wanted.limit as usize,
        spans_max: spans as usize,
        durations,
    })
}

/// The message of what was found.
pub fn response(found: Found) -> SearchResponse {
    let metrics = SearchMetrics {
        inspected_traces: count(found.inspected_traces),
        completed_jobs: u32::from(found.warnings.is_empty()),
        total_jobs: 1,
        inspected_spans: found.inspected_spans as u64,
    };
    SearchResponse { traces: found.traces.into_iter().map(of_trace).collect(), metrics: Some(metrics) }
}

fn of_trace(trace: FoundTrace) -> TraceSearchMetadata {
    let span_sets: Vec<SpanSet> = trace.spansets.iter().map(of_set).collect();
    let stats = trace.services.into_iter().map(|(name, stats)| {
        let stats = ServiceStats { span_count: count(stats.spans), error_count: count(stats.errors) };
        (name, stats)
    });
    TraceSearchMetadata {
        trace_id: trace.trace_id,
        root_service_name: match trace.root_name {
            None => NO_ROOT.to_owned(),
            Some(_) => trace.root_service.unwrap_or_default(),
        },
        root_trace_name: trace.root_name.unwrap_or_default(),
        start_time_unix_nano: unsigned(trace.start_nano),
        duration_ms: u32::try_from(trace.duration_nano / NANOS_PER_MILLI).unwrap_or(u32::MAX),
        span_set: span_sets.first().cloned(),
        span_sets,
        service_stats: stats.collect(),
    }
}

fn of_set(set: &FoundSpanset) -> SpanSet {
    let attributes =
        |attributes: &[(String, meshlake_query::traceql_language::Value<'static>)]| -> Vec<KeyValue> {
            attributes.iter().map(|(key, value)| key_value(key, value)).collect()
        };
    let spans = set.spans.iter().map(|span| FoundSpan {
        span_id: span.span_id.clone(),
        name: span.name.clone(),
        start_time_unix_nano: unsigned(span.start_nano),
        duration_nanos: unsigned(span.duration_nano),
        attributes: attributes(&span.attributes),
    });
    SpanSet { spans: spans.collect(), matched: count(set.matched), attributes: attributes(&set.attributes) }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Times before the epoch, and durations of clocks that were set back, are 0 there.
fn unsigned(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or_default()
}
