//! A span of OTLP as a span of Zipkin's v2 JSON.
//!
//! Source: OpenTelemetry specification, "OpenTelemetry to Zipkin Transformation". Attributes of the resource are tags too, as the
//! collector writes them, and give way to the span's own. Limits: Zipkin has no links, and times are microseconds.

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use serde_json::{Map, Value, json};

use crate::attributes::{attribute_of, hex, plain, service_name};

const NANOS_PER_MICRO: u64 = 1_000;

/// What names the far end of a call, strongest first. Source: the specification's table of ranks.
const REMOTE_NAMES: [&str; 10] = [
    "peer.service",
    "server.address",
    "net.peer.name",
    "network.peer.address",
    "server.socket.domain",
    "server.socket.address",
    "net.sock.peer.name",
    "net.sock.peer.addr",
    "peer.hostname",
    "peer.address",
];

/// The spans of a trace.
pub fn translated(trace: &[ResourceSpans]) -> Vec<Value> {
    let mut spans = Vec::new();
    for resource in trace {
        let service = service_name(resource.resource.as_ref()).unwrap_or_default();
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                spans.push(span_json(span, &service, attributes, scope.scope.as_ref()));
            }
        }
    }
    spans
}

fn span_json(
    span: &Span,
    service: &str,
    resource: &[KeyValue],
    scope: Option<&InstrumentationScope>,
) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| _ = fields.insert(name.to_owned(), value);
    put("traceId", json!(hex(&span.trace_id)));
    put("id", json!(hex(&span.span_id)));
    if !span.parent_span_id.is_empty() {
        put("parentId", json!(hex(&span.parent_span_id)));
    }
    if let Some(kind) = kind(span.kind) {
        put("kind", json!(kind));
    }
    put("name", json!(span.name));
    put("timestamp", json!(span.start_time_unix_nano / NANOS_PER_MICRO));
    let nanos = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    // A duration of nothing is none in Zipkin: what is less than a microsecond is one.
    put("duration", json!((nanos / NANOS_PER_MICRO).max(1)));
    put("localEndpoint", json!({"serviceName": service}));
    let remote = matches!(kind(span.kind), Some("CLIENT" | "PRODUCER")).then(|| remote(span)).flatten();
    if let Some(remote) = remote {
        put("remoteEndpoint", json!({"serviceName": remote}));
    }
    if !span.events.is_empty() {
        put("annotations", span.events.iter().map(annotation).collect());
    }
    put("tags", Value::Object(tags(span, resource, scope)));
    Value::Object(fields)
}

fn kind(kind: i32) -> Option<&'static str> {
    match SpanKind::try_from(kind).ok()? {
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Server => Some("SERVER"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
        SpanKind::Internal | SpanKind::Unspecified => None,
    }
}

fn remote(span: &Span) -> Option<String> {
    let value = REMOTE_NAMES.iter().find_map(|key| attribute_of(&span.attributes, key))?;
    Some(plain(&AnyValue { value: Some(value.clone()) }))
}

/// The name of an event alone, or with its attributes as JSON.
fn annotation(event: &Event) -> Value {
    let value = match event.attributes.as_slice() {
        [] => event.name.clone(),
        attributes => {
            let attributes: Map<String, Value> = attributes
                .iter()
                .map(|attribute| (attribute.key.clone(), json!(text_of(attribute))))
                .collect();
            format!("{}: {}", json!(event.name), Value::Object(attributes))
        }
    };
    json!({"timestamp": event.time_unix_nano / NANOS_PER_MICRO, "value": value})
}

fn text_of(attribute: &KeyValue) -> String {
    attribute.value.as_ref().map(plain).unwrap_or_default()
}

fn tags(span: &Span, resource: &[KeyValue], scope: Option<&InstrumentationScope>) -> Map<String, Value> {
    let mut tags = Map::new();
    let mut put = |key: &str, text: String| _ = tags.insert(key.to_owned(), json!(text));
    for attribute in
        resource.iter().filter(|attribute| attribute.key != "service.name").chain(&span.attributes)
    {
        put(&attribute.key, text_of(attribute));
    }
    let scope = scope.map_or(["", ""], |scope| [scope.name.as_str(), scope.version.as_str()]);
    for (key, text) in ["otel.scope.name", "otel.scope.version"].into_iter().zip(scope) {
        if !text.is_empty() {
            put(key, text.to_owned());
        }
    }
    let dropped = [
        ("otel.dropped_attributes_count", span.dropped_attributes_count),
        ("otel.dropped_events_count", span.dropped_events_count),
        ("otel.dropped_links_count", span.dropped_links_count),
    ];
    for (key, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
        put(key, count.to_string());
    }
    if let Some(status) = &span.status {
        if status.code == StatusCode::Ok as i32 {
            put("otel.status_code", "OK".to_owned());
        }
        if status.code == StatusCode::Error as i32 {
            put("otel.status_code", "ERROR".to_owned());
            // Zipkin's page takes a span with this tag, whatever it says, for a failed one.
            put("error", status.message.clone());
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Status};

    use super::*;

    fn attribute(key: &str, value: Any) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn text(key: &str, text: &str) -> KeyValue {
        attribute(key, Any::StringValue(text.to_owned()))
    }

    fn one(span: Span) -> Value {
        let resource = Resource {
            attributes: vec![
                text("service.name", "web"),
                text("host.name", "h"),
                text("k", "of the resource"),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope { name: "lib".to_owned(), ..Default::default() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() }];
        let trace = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
        translated(&[trace]).remove(0)
    }

    /// By the tables of the specification.
    #[test]
    fn a_span_is_written_as_zipkin_reads_it() {
        let event = |attributes| Event {
            name: "e".to_owned(),
            time_unix_nano: 5_000,
            attributes,
            ..Event::default()
        };
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            parent_span_id: vec![3; 8],
            name: "GET".to_owned(),
            kind: 3,
            start_time_unix_nano: 1_999,
            end_time_unix_nano: 7_000,
            attributes: vec![text("k", "v"), attribute("n", Any::IntValue(5)), text("peer.service", "cart")],
            events: vec![event(vec![]), event(vec![text("a", "b")])],
            dropped_links_count: 1,
            status: Some(Status { code: 2, message: "no".to_owned() }),
            ..Span::default()
        };
        let want = json!({
            "traceId": "01".repeat(16), "id": "02".repeat(8), "parentId": "03".repeat(8), "kind": "CLIENT",
            "name": "GET", "timestamp": 1, "duration": 5,
            "localEndpoint": {"serviceName": "web"}, "remoteEndpoint": {"serviceName": "cart"},
            "annotations": [{"timestamp": 5, "value": "e"}, {"timestamp": 5, "value": "\"e\": {\"a\":\"b\"}"}],
            "tags": {
                "host.name": "h", "k": "v", "n": "5", "peer.service": "cart", "otel.scope.name": "lib",
                "otel.dropped_links_count": "1", "otel.status_code": "ERROR", "error": "no",
            },
        });
        assert_eq!(one(span), want);
    }

    #[test]
    fn what_is_not_told_is_left_out() {
        let span = Span { kind: 1, attributes: vec![text("peer.service", "cart")], ..Span::default() };
        let told = one(span);
        assert_eq!((told.get("kind"), told.get("parentId"), told.get("annotations")), (None, None, None));
        // Only who calls out has a far end that it names so; and no span lasted no time.
        assert_eq!((told.get("remoteEndpoint"), &told["duration"]), (None, &json!(1)));
    }

    #[test]
    fn the_strongest_name_of_the_far_end_counts() {
        let attributes = vec![text("network.peer.address", "10.0.0.1"), text("server.address", "cart.shop")];
        let told = one(Span { kind: 4, attributes, ..Span::default() });
        assert_eq!(told["remoteEndpoint"], json!({"serviceName": "cart.shop"}));
    }
}
