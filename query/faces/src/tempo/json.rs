//! Messages as the JSON that Tempo answers with: protobuf's mapping, of Go's `jsonpb`.
//!
//! Numbers of 64 bits are strings, ids of spans in traces base64, words of enums their names; what has its default is left
//! out. Grafana reads some of it strictly: a field that Tempo does not know fails the whole answer.
//!
//! Source: protobuf.dev, "ProtoJSON Format"; `gogo/protobuf` jsonpb.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Map, Value, json};

use super::messages::{
    Exemplar, PARTIAL, QueryInstantResponse, QueryRangeResponse, SearchMetrics, SearchResponse, SpanSet,
    TraceSearchMetadata,
};
use crate::otlp::to_json;

/// Without what has its default.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let is_default = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    };
    let fields = fields.into_iter().filter(|(_, value)| !is_default(value));
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A number of 64 bits, which JSON of protobuf writes as text.
fn long(number: impl Into<i128>) -> Value {
    let number: i128 = number.into();
    Value::String(number.to_string())
}

pub fn search(response: &SearchResponse) -> Value {
    let traces: Vec<Value> = response.traces.iter().map(found_trace).collect();
    // Kiali and scripts look into the list without asking whether it is there.
    json!({"traces": traces, "metrics": response.metrics.as_ref().map(metrics)})
}

fn metrics(metrics: &SearchMetrics) -> Value {
    object([
        ("inspectedTraces", json!(metrics.inspected_traces)),
        ("completedJobs", json!(metrics.completed_jobs)),
        ("totalJobs", json!(metrics.total_jobs)),
        ("inspectedSpans", long(metrics.inspected_spans)),
    ])
}

fn found_trace(trace: &TraceSearchMetadata) -> Value {
    let stats = trace.service_stats.iter().map(|(name, stats)| {
        let stats =
            object([("spanCount", json!(stats.span_count)), ("errorCount", json!(stats.error_count))]);
        (name.clone(), stats)
    });
    object([
        ("traceID", json!(trace.trace_id)),
        ("rootServiceName", json!(trace.root_service_name)),
        ("rootTraceName", json!(trace.root_trace_name)),
        ("startTimeUnixNano", long(trace.start_time_unix_nano)),
        ("durationMs", json!(trace.duration_ms)),
        ("spanSet", trace.span_set.as_ref().map_or(Value::Null, span_set)),
        ("spanSets", trace.span_sets.iter().map(span_set).collect()),
        ("serviceStats", Value::Object(stats.collect())),
    ])
}

fn span_set(set: &SpanSet) -> Value {
    let span = |span: &super::messages::FoundSpan| {
        object([
            ("spanID", json!(span.span_id)),
            ("name", json!(span.name)),
            ("startTimeUnixNano", long(span.start_time_unix_nano)),
            ("durationNanos", long(span.duration_nanos)),
            ("attributes", attributes(&span.attributes)),
        ])
    };
    object([
        ("spans", set.spans.iter().map(span).collect()),
        ("matched", json!(set.matched)),
        ("attributes", attributes(&set.attributes)),
    ])
}

fn attributes(attributes: &[KeyValue]) -> Value {
    let of = |attribute: &KeyValue| json!({"key": attribute.key, "value": attribute.value.as_ref().map(any_value)});
    attributes.iter().map(of).collect()
}

/// What values of the language can be.
fn any_value(value: &AnyValue) -> Value {
    match &value.value {
        Some(Any::StringValue(text)) => json!({"stringValue": text}),
        Some(Any::IntValue(value)) => json!({"intValue": value.to_string()}),
        Some(Any::DoubleValue(value)) => json!({"doubleValue": double(*value)}),
        Some(Any::BoolValue(value)) => json!({"boolValue": value}),
        Some(Any::ArrayValue(items)) => {
            json!({"arrayValue": {"values": items.values.iter().map(any_value).collect::<Vec<_>>()}})
        }
        _ => json!({}),
    }
}

fn double(value: f64) -> Value {
    let word = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    serde_json::Number::from_f64(value).map_or_else(|| json!(word), Value::Number)
}

pub fn query_range(response: &QueryRangeResponse) -> Value {
    let series = response.series.iter().map(|series| {
        let sample = |sample: &super::messages::Sample| {
            object([("timestampMs", long(sample.timestamp_ms)), ("value", double(sample.value))])
        };
        object([
            ("labels", attributes(&series.labels)),
            ("samples", series.samples.iter().map(sample).collect()),
            ("exemplars", series.exemplars.iter().map(exemplar).collect()),
        ])
    });
    json!({
        "series": series.collect::<Vec<_>>(),
        "metrics": response.metrics.as_ref().map(metrics),
        "status": status(response.status),
        "message": response.message,
    })
}

fn exemplar(exemplar: &Exemplar) -> Value {
    object([
        ("labels", attributes(&exemplar.labels)),
        ("value", double(exemplar.value)),
        ("timestampMs", long(exemplar.timestamp_ms)),
    ])
}

pub fn query_instant(response: &QueryInstantResponse) -> Value {
    let series = response
        .series
        .iter()
        .map(|series| object([("labels", attributes(&series.labels)), ("value", double(series.value))]));
    json!({
        "series": series.collect::<Vec<_>>(),
        "metrics": response.metrics.as_ref().map(metrics),
        "status": status(response.status),
        "message": response.message,
    })
}

/// `PartialStatus` by name.
pub fn status(status: i32) -> &'static str {
    if status == PARTIAL { "PARTIAL" } else { "COMPLETE" }
}

/// Spans of one resource, as Tempo writes them: OTLP's JSON but for ids and enums.
pub fn resource_spans(spans: &ResourceSpans) -> Value {
    let mut written = to_json(spans);
    let scopes = written.get_mut("scopeSpans").and_then(Value::as_array_mut);
    for scope in scopes.into_iter().flatten() {
        for span in scope.get_mut("spans").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(span) = span {
                as_tempo(span);
            }
        }
    }
    written
}

fn as_tempo(span: &mut Map<String, Value>) {
    for id in ["traceId", "spanId", "parentSpanId"] {
        span.get_mut(id).into_iter().for_each(base64_id);
    }
    for link in span.get_mut("links").and_then(Value::as_array_mut).into_iter().flatten() {
        for id in ["traceId", "spanId"] {
            link.get_mut(id).into_iter().for_each(base64_id);
        }
    }
    named(span.get_mut("kind"), |code| SpanKind::try_from(code).ok().map(|kind| kind.as_str_name()));
    let code = span.get_mut("status").and_then(|status| status.get_mut("code"));
    named(code, |code| StatusCode::try_from(code).ok().map(|code| code.as_str_name()));
}

fn base64_id(id: &mut Value) {
    if let Value::String(id) = id {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16);
        let bytes: Result<Vec<u8>, _> = id.as_bytes().chunks(2).map(byte).collect();
        if let Ok(bytes) = bytes {
            *id = STANDARD.encode(bytes);
        }
    }
}

fn named(code: Option<&mut Value>, name: impl Fn(i32) -> Option<&'static str>) {
    if let Some(code) = code
        && let Some(name) = code.as_i64().and_then(|code| i32::try_from(code).ok()).and_then(name)
    {
        *code = json!(name);
    }
}
