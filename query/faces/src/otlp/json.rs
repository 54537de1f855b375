//! OTLP as JSON: protobuf's own mapping, but for ids, which are hexadecimal.
//!
//! `opentelemetry-proto` can be serialised too, but writes null for a double that is no number, where the mapping has a
//! string. Enums are numbers, as OTLP's JSON wants them; fields with their default are left out, as the mapping allows.
//!
//! Sources: OTLP specification, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format".

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde_json::{Map, Value, json};

/// One `ResourceSpans`.
pub fn to_json(spans: &ResourceSpans) -> Value {
    let mut fields = Fields::default();
    let resource = spans.resource.as_ref().map(|resource| {
        let mut fields = Fields::default();
        fields.list("attributes", &resource.attributes, attribute);
        fields.number("droppedAttributesCount", resource.dropped_attributes_count);
        fields.done()
    });
    fields.put("resource", resource);
    fields.list("scopeSpans", &spans.scope_spans, scope_spans);
    fields.text("schemaUrl", &spans.schema_url);
    fields.done()
}

fn scope_spans(spans: &ScopeSpans) -> Value {
    let mut fields = Fields::default();
    let scope = spans.scope.as_ref().map(|scope| {
        let mut fields = Fields::default();
        fields.text("name", &scope.name);
        fields.text("version", &scope.version);
        fields.list("attributes", &scope.attributes, attribute);
        fields.number("droppedAttributesCount", scope.dropped_attributes_count);
        fields.done()
    });
    fields.put("scope", scope);
    fields.list("spans", &spans.spans, span);
    fields.text("schemaUrl", &spans.schema_url);
    fields.done()
}

fn span(span: &Span) -> Value {
    let mut fields = Fields::default();
    fields.id("traceId", &span.trace_id);
    fields.id("spanId", &span.span_id);
    fields.text("traceState", &span.trace_state);
    fields.id("parentSpanId", &span.parent_span_id);
    fields.number("flags", span.flags);
    fields.text("name", &span.name);
    fields.enumeration("kind", span.kind);
    fields.put("startTimeUnixNano", Some(json!(span.start_time_unix_nano.to_string())));
    fields.put("endTimeUnixNano", Some(json!(span.end_time_unix_nano.to_string())));
    fields.list("attributes", &span.attributes, attribute);
    fields.number("droppedAttributesCount", span.dropped_attributes_count);
    fields.list("events", &span.events, event);
    fields.number("droppedEventsCount", span.dropped_events_count);
    fields.list("links", &span.links, link);
    fields.number("droppedLinksCount", span.dropped_links_count);
    let status = span.status.as_ref().map(|status| {
        let mut fields = Fields::default();
        fields.text("message", &status.message);
        fields.enumeration("code", status.code);
        fields.done()
    });
    fields.put("status", status);
    fields.done()
}

fn event(event: &Event) -> Value {
    let mut fields = Fields::default();
    fields.put("timeUnixNano", Some(json!(event.time_unix_nano.to_string())));
    fields.text("name", &event.name);
    fields.list("attributes", &event.attributes, attribute);
    fields.number("droppedAttributesCount", event.dropped_attributes_count);
    fields.done()
}

fn link(link: &Link) -> Value {
    let mut fields = Fields::default();
    fields.id("traceId", &link.trace_id);
    fields.id("spanId", &link.span_id);
    fields.text("traceState", &link.trace_state);
    fields.list("attributes", &link.attributes, attribute);
    fields.number("droppedAttributesCount", link.dropped_attributes_count);
    fields.number("flags", link.flags);
    fields.done()
}

fn attribute(attribute: &KeyValue) -> Value {
    let value = attribute.value.as_ref().map_or_else(|| json!({}), any_value);
    json!({"key": attribute.key, "value": value})
}

fn any_value(value: &AnyValue) -> Value {
    match &value.value {
        None => json!({}),
        Some(Any::StringValue(text)) => json!({"stringValue": text}),
        Some(Any::BoolValue(value)) => json!({"boolValue": value}),
        // A string: JavaScript would round it.
        Some(Any::IntValue(number)) => json!({"intValue": number.to_string()}),
        Some(Any::DoubleValue(number)) => json!({"doubleValue": double(*number)}),
        Some(Any::BytesValue(bytes)) => json!({"bytesValue": STANDARD.encode(bytes)}),
        Some(Any::ArrayValue(array)) => {
            let values: Vec<Value> = array.values.iter().map(any_value).collect();
            json!({"arrayValue": {"values": values}})
        }
        Some(Any::KvlistValue(list)) => {
            let values: Vec<Value> = list.values.iter().map(attribute).collect();
            json!({"kvlistValue": {"values": values}})
        }
        // Of profiles alone: there is no table of strings beside spans.
        Some(Any::StringValueStrindex(_)) => json!({}),
    }
}

fn double(number: f64) -> Value {
    match number {
        number if number.is_finite() => json!(number),
        number if number.is_nan() => json!("NaN"),
        number if number > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    }
}

/// An object without fields that have their default.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.put(name, (!text.is_empty()).then(|| json!(text)));
    }

    fn id(&mut self, name: &str, bytes: &[u8]) {
        let mut digits = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            write!(digits, "{byte:02x}").expect("writing to a String cannot fail");
        }
        self.text(name, &digits);
    }

    fn number(&mut self, name: &str, number: u32) {
        self.put(name, (number != 0).then(|| json!(number)));
    }

    fn enumeration(&mut self, name: &str, number: i32) {
        self.put(name, (number != 0).then(|| json!(number)));
    }

    fn list<T>(&mut self, name: &str, elements: &[T], to_json: impl Fn(&T) -> Value) {
        let value = || Value::Array(elements.iter().map(to_json).collect());
        self.put(name, (!elements.is_empty()).then(value));
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::Status;

    use super::*;

    fn spans(value: Any) -> ResourceSpans {
        let attributes = vec![KeyValue {
            key: "k".to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }];
        let span = Span {
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            kind: 2,
            start_time_unix_nano: u64::MAX,
            attributes,
            links: vec![Link { span_id: vec![2; 8], ..Link::default() }],
            status: Some(Status { code: 2, message: String::new() }),
            ..Span::default()
        };
        let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() }
    }

    /// By the specification: ids in hexadecimal, 64-bit integers as strings, lowerCamelCase names, enums as numbers.
    #[test]
    fn spans_are_written_by_the_specification() {
        let want = json!({"scopeSpans": [{"spans": [{
            "traceId": "abababababababababababababababab", "spanId": "0101010101010101",
            "kind": 2, "startTimeUnixNano": "18446744073709551615", "endTimeUnixNano": "0",
            "attributes": [{"key": "k", "value": {"intValue": "-5"}}],
            "links": [{"spanId": "0202020202020202"}],
            "status": {"code": 2},
        }]}]});
        assert_eq!(to_json(&spans(Any::IntValue(-5))), want);
    }

    /// What another program's reader of the mapping makes of it is what was written.
    #[test]
    fn every_value_reads_back() {
        let values = [
            Any::StringValue("a\"\u{1}é".to_owned()),
            Any::BoolValue(false),
            Any::IntValue(i64::MIN),
            Any::DoubleValue(0.1),
            Any::BytesValue(vec![0, 255]),
            Any::ArrayValue(Default::default()),
            Any::KvlistValue(Default::default()),
        ];
        for value in values {
            let spans = spans(value);
            let read: ResourceSpans = serde_json::from_value(to_json(&spans)).expect("OTLP");
            assert_eq!(read, spans);
        }
        for (number, want) in
            [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")]
        {
            assert_eq!(
                any_value(&AnyValue { value: Some(Any::DoubleValue(number)) }),
                json!({"doubleValue": want})
            );
        }
        assert_eq!(any_value(&AnyValue { value: None }), json!({}));
    }
}
