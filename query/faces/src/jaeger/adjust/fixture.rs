//! Traces for tests: a span a line.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::warnings::taken;

pub const SERVER: i32 = 2;
pub const CLIENT: i32 = 3;

/// The id of eight bytes that ends in `id`; none for 0.
pub fn id(id: u8) -> Vec<u8> {
    if id == 0 { Vec::new() } else { vec![0, 0, 0, 0, 0, 0, 0, id] }
}

/// A span from `start` to `end`, nanoseconds; 0 is no parent.
pub fn span(own: u8, parent: u8, kind: i32, (start, end): (u64, u64)) -> Span {
    Span {
        span_id: id(own),
        parent_span_id: id(parent),
        kind,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..Span::default()
    }
}

pub fn text(key: &str, text: &str) -> KeyValue {
    attribute(key, Value::StringValue(text.to_owned()))
}

pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Spans of one resource.
pub fn of(attributes: Vec<KeyValue>, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

/// The last byte of each span's id, and its warnings.
pub fn told(trace: &mut [ResourceSpans]) -> Vec<(u8, Vec<String>)> {
    let spans = super::spans_mut(trace);
    spans.map(|span| (span.span_id.last().copied().unwrap_or_default(), taken(span))).collect()
}
