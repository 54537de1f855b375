//! A span of OTLP as a span of Jaeger.
//!
//! Source: OpenTelemetry specification, "OpenTelemetry to Jaeger Transformation", with what the collector's translator, and
//! so Jaeger itself, does where the specification leaves it open: a resource without attributes has a name of its own, and
//! an array or a list of keys is a string of JSON. Limits: Jaeger has no place for dropped counts, flags, schema URLs and
//! attributes of links and scopes; v3 has all of them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue as Attribute};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans};

use super::adjust::warnings_taken;
use super::model::{KeyValue, Log, Process, Span, SpanRef, SpanRefType, Stamp, ValueType};
use crate::attributes::{SERVICE_NAME, attribute_of, plain_value, service_name};

/// What the collector calls the service of a resource that says nothing at all.
const NO_RESOURCE: &str = "OTLPResourceNoServiceName";

/// The attribute of a link that says it is a child's.
const REF_TYPE: &str = "opentracing.ref_type";

/// The field of a log that is the name of its event.
const EVENT: &str = "event";

/// The spans of a trace, with the process of each.
pub fn translated(trace: Vec<ResourceSpans>) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in trace {
        let process = process(resource.resource.as_ref());
        for scope in resource.scope_spans {
            let told = scope.scope.as_ref().map(scope_tags).unwrap_or_default();
            for span in scope.spans {
                spans.push(Span { process: Some(process.clone()), ..span_of(span, &told) });
            }
        }
    }
    spans
}

fn process(resource: Option<&Resource>) -> Process {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    if attributes.is_empty() {
        return Process { service_name: NO_RESOURCE.to_owned(), tags: Vec::new() };
    }
    let tags = attributes.iter().filter(|attribute| attribute.key != SERVICE_NAME).map(tag).collect();
    Process { service_name: service_name(resource).unwrap_or_default(), tags }
}

fn span_of(mut span: otlp::Span, scope: &[KeyValue]) -> Span {
    let warnings = warnings_taken(&mut span);
    let start = span.start_time_unix_nano as i64;
    Span {
        references: references(&span),
        start_time: Some(Stamp::of(start)),
        duration: Some(Stamp::of((span.end_time_unix_nano as i64).saturating_sub(start))),
        tags: tags(&span, scope),
        logs: span.events.iter().map(log).collect(),
        trace_id: span.trace_id,
        span_id: span.span_id,
        operation_name: span.name,
        process: None,
        warnings,
    }
}

/// The parent first, where clients look for it; then the links. A link to the parent says of what kind it is.
fn references(span: &otlp::Span) -> Vec<SpanRef> {
    let mut references = Vec::new();
    if !span.parent_span_id.is_empty() {
        let to_parent = |link: &&Link| link.trace_id == span.trace_id && link.span_id == span.parent_span_id;
        let kind = span.links.iter().rfind(to_parent).map_or(SpanRefType::ChildOf, ref_type);
        references.push(reference(&span.trace_id, &span.parent_span_id, kind));
    }
    let others = span.links.iter().filter(|link| {
        span.parent_span_id.is_empty()
            || link.trace_id != span.trace_id
            || link.span_id != span.parent_span_id
    });
    references.extend(others.map(|link| reference(&link.trace_id, &link.span_id, ref_type(link))));
    references
}

fn reference(trace_id: &[u8], span_id: &[u8], kind: SpanRefType) -> SpanRef {
    SpanRef { trace_id: trace_id.to_vec(), span_id: span_id.to_vec(), ref_type: kind as i32 }
}

fn ref_type(link: &Link) -> SpanRefType {
    match attribute_of(&link.attributes, REF_TYPE) {
        Some(Value::StringValue(kind)) if kind == "child_of" => SpanRefType::ChildOf,
        _ => SpanRefType::FollowsFrom,
    }
}

fn scope_tags(scope: &InstrumentationScope) -> Vec<KeyValue> {
    let told = [("otel.scope.name", &scope.name), ("otel.scope.version", &scope.version)];
    told.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| text_tag(key, text)).collect()
}

fn tags(span: &otlp::Span, scope: &[KeyValue]) -> Vec<KeyValue> {
    let mut tags = scope.to_vec();
    tags.extend(span.attributes.iter().map(tag));
    tags.extend(kind_name(span.kind).map(|kind| text_tag("span.kind", kind)));
    let (code, message) =
        span.status.as_ref().map_or((0, ""), |status| (status.code, status.message.as_str()));
    if code == StatusCode::Ok as i32 {
        tags.push(text_tag("otel.status_code", "OK"));
    }
    if code == StatusCode::Error as i32 {
        tags.push(text_tag("otel.status_code", "ERROR"));
        let v_type = ValueType::Bool as i32;
        tags.push(KeyValue { key: "error".to_owned(), v_type, v_bool: true, ..KeyValue::default() });
    }
    if !message.is_empty() {
        tags.push(text_tag("otel.status_description", message));
    }
    if !span.trace_state.is_empty() {
        tags.push(text_tag("w3c.tracestate", &span.trace_state));
    }
    tags
}

/// OpenTracing's name of a kind of span; none for one that is not told.
pub fn kind_name(kind: i32) -> Option<&'static str> {
    match SpanKind::try_from(kind).ok()? {
        SpanKind::Unspecified => None,
        SpanKind::Internal => Some("internal"),
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
    }
}

fn log(event: &Event) -> Log {
    let is_named = event.name.is_empty() || attribute_of(&event.attributes, EVENT).is_some();
    let name = (!is_named).then(|| text_tag(EVENT, &event.name));
    let fields = name.into_iter().chain(event.attributes.iter().map(tag)).collect();
    Log { timestamp: Some(Stamp::of(event.time_unix_nano as i64)), fields }
}

fn text_tag(key: &str, text: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), v_str: text.to_owned(), ..KeyValue::default() }
}

fn tag(attribute: &Attribute) -> KeyValue {
    let key = attribute.key.clone();
    let tag = |v_type: ValueType| KeyValue { key, v_type: v_type as i32, ..KeyValue::default() };
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::BoolValue(value)) => KeyValue { v_bool: *value, ..tag(ValueType::Bool) },
        Some(Value::IntValue(number)) => KeyValue { v_int64: *number, ..tag(ValueType::Int64) },
        Some(Value::DoubleValue(number)) => KeyValue { v_float64: *number, ..tag(ValueType::Float64) },
        Some(Value::BytesValue(bytes)) => KeyValue { v_binary: bytes.clone(), ..tag(ValueType::Binary) },
        value => KeyValue { v_str: value.map(plain_value).unwrap_or_default(), ..tag(ValueType::String) },
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Status};

    use super::*;

    fn attribute(key: &str, value: Value) -> Attribute {
        Attribute {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..Attribute::default()
        }
    }

    fn text(key: &str, text: &str) -> Attribute {
        attribute(key, Value::StringValue(text.to_owned()))
    }

    fn one(resource: Option<Resource>, scope: InstrumentationScope, span: otlp::Span) -> Span {
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() }];
        let trace = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        translated(trace).pop().expect("one span")
    }

    fn told(tags: &[KeyValue]) -> Vec<String> {
        let value = |tag: &KeyValue| match ValueType::try_from(tag.v_type) {
            Ok(ValueType::String) => format!("{:?}", tag.v_str),
            Ok(ValueType::Bool) => tag.v_bool.to_string(),
            Ok(ValueType::Int64) => tag.v_int64.to_string(),
            Ok(ValueType::Float64) => format!("{:?}", tag.v_float64),
            Ok(ValueType::Binary) => format!("{:?}", tag.v_binary),
            Err(_) => "?".to_owned(),
        };
        tags.iter().map(|tag| format!("{}={}", tag.key, value(tag))).collect()
    }

    /// By the tables of the specification: scope, attributes, kind, status.
    #[test]
    fn what_a_span_says_is_in_its_tags() {
        let array = ArrayValue {
            values: vec![AnyValue { value: Some(Value::IntValue(1)) }, AnyValue { value: None }],
        };
        let span = otlp::Span {
            kind: 2,
            trace_state: "a=b".to_owned(),
            attributes: vec![
                text("s", "x"),
                attribute("b", Value::BoolValue(true)),
                attribute("i", Value::IntValue(-1)),
                attribute("d", Value::DoubleValue(0.5)),
                attribute("y", Value::BytesValue(vec![1])),
                attribute("l", Value::ArrayValue(array)),
            ],
            status: Some(Status { code: 2, message: "no".to_owned() }),
            ..otlp::Span::default()
        };
        let scope =
            InstrumentationScope { name: "lib".to_owned(), version: "1".to_owned(), ..Default::default() };
        let want = [
            "otel.scope.name=\"lib\"",
            "otel.scope.version=\"1\"",
            "s=\"x\"",
            "b=true",
            "i=-1",
            "d=0.5",
            "y=[1]",
            "l=\"[1,null]\"",
            "span.kind=\"server\"",
            "otel.status_code=\"ERROR\"",
            "error=true",
            "otel.status_description=\"no\"",
            "w3c.tracestate=\"a=b\"",
        ];
        assert_eq!(told(&one(None, scope, span).tags), want);
        let fine =
            otlp::Span { status: Some(Status { code: 1, ..Status::default() }), ..otlp::Span::default() };
        assert_eq!(told(&one(None, Default::default(), fine).tags), ["otel.status_code=\"OK\""]);
    }

    #[test]
    fn a_resource_is_a_process() {
        let process = |attributes: Vec<Attribute>| {
            let resource = Resource { attributes, ..Resource::default() };
            let process =
                one(Some(resource), Default::default(), otlp::Span::default()).process.expect("a process");
            (process.service_name, told(&process.tags))
        };
        let named = process(vec![text("a", "1"), text("service.name", "web")]);
        assert_eq!(named, ("web".to_owned(), vec!["a=\"1\"".to_owned()]));
        assert_eq!(process(vec![text("a", "1")]).0, "");
        assert_eq!(process(vec![]).0, NO_RESOURCE);
    }

    #[test]
    fn events_are_logs_and_their_name_is_a_field() {
        let event = |name: &str, attributes| Event {
            time_unix_nano: 5,
            name: name.to_owned(),
            attributes,
            ..Event::default()
        };
        let events =
            vec![event("e", vec![text("k", "v")]), event("e", vec![text("event", "own")]), event("", vec![])];
        let span = one(None, Default::default(), otlp::Span { events, ..otlp::Span::default() });
        let fields: Vec<_> = span.logs.iter().map(|log| told(&log.fields)).collect();
        assert_eq!(fields, [vec!["event=\"e\"", "k=\"v\""], vec!["event=\"own\""], vec![]]);
        assert_eq!(span.logs[0].timestamp, Some(Stamp { seconds: 0, nanos: 5 }));
    }

    #[test]
    fn the_parent_is_the_first_reference_and_links_follow() {
        let link = |trace: u8, span: u8, attributes| Link {
            trace_id: vec![trace],
            span_id: vec![span],
            attributes,
            ..Link::default()
        };
        let span = |parent: Vec<u8>, links| otlp::Span {
            trace_id: vec![1],
            parent_span_id: parent,
            links,
            ..otlp::Span::default()
        };
        let told = |given| {
            let references = one(None, Default::default(), given).references;
            references.iter().map(|to| (to.trace_id[0], to.span_id[0], to.ref_type)).collect::<Vec<_>>()
        };
        assert_eq!(told(span(vec![], vec![])), []);
        assert_eq!(told(span(vec![9], vec![link(2, 3, vec![])])), [(1, 9, 0), (2, 3, 1)]);
        let child = vec![text("opentracing.ref_type", "child_of")];
        assert_eq!(told(span(vec![], vec![link(2, 3, child)])), [(2, 3, 0)]);
        // A link to the parent is the same reference, of the link's kind.
        assert_eq!(told(span(vec![9], vec![link(1, 9, vec![])])), [(1, 9, 1)]);
    }

    #[test]
    fn times_are_seconds_and_nanoseconds() {
        let span = otlp::Span {
            start_time_unix_nano: 1_500_000_001,
            end_time_unix_nano: 1_500_000_003,
            ..otlp::Span::default()
        };
        let span = one(None, Default::default(), span);
        assert_eq!(span.start_time, Some(Stamp { seconds: 1, nanos: 500_000_001 }));
        assert_eq!(span.duration, Some(Stamp { seconds: 0, nanos: 2 }));
    }
}
