//! OTLP/JSON in, and what an independent protobuf decoder (prost) reads from the result.

mod numbers;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::*;
use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
use crate::protobuf::validate::validate;

fn request(span: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

fn span(json: &str) -> Result<Span, JsonError> {
    let wire = transcode(request(json).as_bytes(), &EXPORT_TRACES)?;
    assert!(validate(&wire, &EXPORT_TRACES).is_ok(), "what is written is well formed");
    let mut request =
        ExportTraceServiceRequest::decode(wire.as_slice()).expect("prost reads what is written");
    Ok(request.resource_spans[0].scope_spans[0].spans.remove(0))
}

/// The value of one attribute written as JSON.
fn value(json: &str) -> Result<Option<Any>, JsonError> {
    let span = span(&format!(r#"{{"attributes":[{{"key":"k","value":{json}}}]}}"#))?;
    Ok(span.attributes[0].value.clone().and_then(|value| value.value))
}

#[test]
fn ids_are_hex_in_either_case() {
    for text in ["0aFf0aFf0aFf0aFf0aFf0aFf0aFf0aFf", "0AFF0AFF0AFF0AFF0AFF0AFF0AFF0AFF"] {
        let span = span(&format!(r#"{{"traceId":"{text}","spanId":"","parentSpanId":"00ff"}}"#));
        let span = span.expect("hex ids are valid");
        assert_eq!(span.trace_id, [0x0a, 0xff].repeat(8));
        assert_eq!((span.span_id, span.parent_span_id), (vec![], vec![0x00, 0xff]));
    }
}

#[test]
fn ids_that_are_not_hex_are_refused() {
    let base64 = "W47/95gDgQPSabYzgT/GDA==";
    for text in [base64, "abc", "0x0aff0aff", "0aff 0aff", "+1", "é"] {
        let error = span(&format!(r#"{{"traceId":"{text}"}}"#)).expect_err(text).to_string();
        assert!(error.contains("traceId") && error.contains("hex"), "{error}");
    }
}

#[test]
fn enums_are_numbers_known_or_not() {
    assert_eq!(span(r#"{"kind":2}"#).map(|span| span.kind), Ok(2));
    assert_eq!(span(r#"{"kind":99}"#).map(|span| span.kind), Ok(99));
    assert_eq!(span(r#"{"kind":-1}"#).map(|span| span.kind), Ok(-1));
    for bad in [r#""SPAN_KIND_SERVER""#, r#""2""#, "2.5", "2147483648", "true"] {
        assert!(span(&format!(r#"{{"kind":{bad}}}"#)).is_err(), "{bad}");
    }
}

#[test]
fn unknown_names_are_ignored_at_every_level() {
    let json = r#"{"new":1,"resourceSpans":[{"new":{"deep":[[{}]]},"resource":{"new":null},"scopeSpans":[{"new":"x",
        "spans":[{"name":"n","new":[1,{"a":"\u00e9"}],"attributes":[{"key":"k","value":{"new":{},"stringValue":"v"}}]}]}]}]}"#;
    let wire = transcode(json.as_bytes(), &EXPORT_TRACES).expect("unknown fields are no error");
    let request = ExportTraceServiceRequest::decode(wire.as_slice()).expect("prost reads what is written");
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "n");
    assert_eq!(
        span.attributes[0].value.as_ref().and_then(|value| value.value.clone()),
        Some(Any::StringValue("v".into()))
    );
}

#[test]
fn snake_case_is_unknown() {
    let span = span(r#"{"dropped_attributes_count":3,"droppedEventsCount":4}"#).expect("unknown is ignored");
    assert_eq!((span.dropped_attributes_count, span.dropped_events_count), (0, 4));
}

#[test]
fn null_is_unset() {
    let span =
        span(r#"{"name":null,"traceId":null,"attributes":null,"status":null,"kind":null,"flags":null}"#);
    assert_eq!(span, Ok(Span::default()));
    assert_eq!(value("null"), Ok(None));
    assert_eq!(value("{}"), Ok(None));
    assert_eq!(value(r#"{"stringValue":null,"intValue":"1"}"#), Ok(Some(Any::IntValue(1))));
}

#[test]
fn null_in_a_list_is_refused() {
    assert!(transcode(br#"{"resourceSpans":[null]}"#, &EXPORT_TRACES).is_err());
}

#[test]
fn doubles_take_numbers_names_and_numeric_text() {
    let double = |json: &str| match value(&format!(r#"{{"doubleValue":{json}}}"#)) {
        Ok(Some(Any::DoubleValue(value))) => Some(value.to_bits()),
        _ => None,
    };
    let cases = [
        ("0.1", 0.1),
        ("1", 1.0),
        ("-0.0", -0.0),
        (r#""Infinity""#, f64::INFINITY),
        (r#""-Infinity""#, f64::NEG_INFINITY),
        (r#""1.5e3""#, 1500.0),
        // A double that a parser without correct rounding gets wrong by one bit.
        ("122.416294033786585", 122.416_294_033_786_58),
        ("5e-324", 5e-324),
    ];
    for (json, want) in cases {
        assert_eq!(double(json), Some(want.to_bits()), "{json}");
    }
    assert!(matches!(value(r#"{"doubleValue":"NaN"}"#), Ok(Some(Any::DoubleValue(value))) if value.is_nan()));
    for bad in
        ["NaN", "Infinity", r#""inf""#, r#""nan""#, r#""""#, r#""1.5x""#, "1e999", r#""1e999""#, "true"]
    {
        assert_eq!(double(bad), None, "{bad}");
    }
}

#[test]
fn base64_may_be_of_either_alphabet_and_padding() {
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        let bytes = value(&format!(r#"{{"bytesValue":"{text}"}}"#));
        assert_eq!(bytes, Ok(Some(Any::BytesValue(vec![0xfb, 0xff]))), "{text}");
    }
    for bad in ["*", "+_8=", "A", "====", "AA==AA"] {
        assert!(value(&format!(r#"{{"bytesValue":"{bad}"}}"#)).is_err(), "{bad}");
    }
}

#[test]
fn text_that_is_not_one_json_object_is_refused() {
    let cases: [&[u8]; 12] = [
        b"",
        b"[]",
        b"1",
        b"null",
        b"{} {}",
        b"{}x",
        b"\xef\xbb\xbf{}",
        b"{\"resourceSpans\":[],}",
        b"{\"resourceSpans\":[{}",
        b"{\"a\":\"\xff\"}",
        b"{\"resourceSpans\":[{\"schemaUrl\":\"\\ud800\"}]}",
        b"{resourceSpans:[]}",
    ];
    for bad in cases {
        assert!(transcode(bad, &EXPORT_TRACES).is_err(), "{}", String::from_utf8_lossy(bad));
    }
    assert_eq!(transcode(b"  {} \n", &EXPORT_TRACES), Ok(vec![]));
    assert_eq!(transcode(b"{\"a\":\"\xff\"}", &EXPORT_TRACES), Err(JsonError::NotUtf8(6)));
}

#[test]
fn of_a_key_given_twice_the_last_holds() {
    assert_eq!(span(r#"{"name":"a","name":"b"}"#).map(|span| span.name), Ok("b".to_owned()));
    assert_eq!(value(r#"{"stringValue":"a","intValue":"1"}"#), Ok(Some(Any::IntValue(1))));
    assert_eq!(value(r#"{"intValue":"1","stringValue":"a"}"#), Ok(Some(Any::StringValue("a".into()))));
}

#[test]
fn depth_is_bounded_at_the_named_limit() {
    let nested = |levels: usize, open: &str, close: &str| {
        let depth = levels - 1;
        let value = format!("{}{}{}", open.repeat(depth), r#"{"intValue":1}"#, close.repeat(depth));
        // Not read by prost, whose own limit is lower.
        transcode(
            request(&format!(r#"{{"attributes":[{{"key":"k","value":{value}}}]}}"#)).as_bytes(),
            &EXPORT_TRACES,
        )
    };
    for (open, close) in [
        (r#"{"arrayValue":{"values":["#, "]}}"),
        (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}"),
    ] {
        let deepest = nested(VALUE_DEPTH_MAX, open, close).expect("as deep as may be");
        assert!(validate(&deepest, &EXPORT_TRACES).is_ok());
        let error = nested(VALUE_DEPTH_MAX + 1, open, close).expect_err("too deep");
        assert!(error.to_string().contains("deeper than 100"), "{error}");
    }
    let ignored = format!(r#"{{"new":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(transcode(ignored.as_bytes(), &EXPORT_TRACES).is_ok(), "what is ignored needs no stack");
}

#[test]
fn lists_of_small_numbers_cannot_blow_up_the_payload() {
    let head =
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":["#;
    let zeros = "0,".repeat(WIRE_BYTES_MAX / 8);
    let json = format!("{head}{zeros}0]}}]}}}}]}}]}}]}}");
    assert_eq!(transcode(json.as_bytes(), &EXPORT_METRICS), Err(JsonError::TooLarge));
}

#[test]
fn metric_points_are_written_by_their_types() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"g","gauge":{"dataPoints":[{"asInt":"-5","timeUnixNano":"7"},{"asDouble":0}]}},
        {"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":"3","sum":1.5,"bucketCounts":["1",2],"explicitBounds":[0.5]}]}},
        {"name":"e","exponentialHistogram":{"dataPoints":[{"scale":-2,"positive":{"offset":-7,"bucketCounts":["300",1]}}]}}
    ]}]}]}"#;
    let wire = transcode(json.as_bytes(), &EXPORT_METRICS).expect("valid");
    let mut request =
        ExportMetricsServiceRequest::decode(wire.as_slice()).expect("prost reads what is written");
    let metrics = request.resource_metrics.remove(0).scope_metrics.remove(0).metrics;
    let Some(Data::Gauge(gauge)) = &metrics[0].data else { panic!("no gauge: {:?}", metrics[0]) };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsInt(-5)));
    assert_eq!(gauge.data_points[1].value, Some(number_data_point::Value::AsDouble(0.0)), "0 is a value");
    let Some(Data::Histogram(histogram)) = &metrics[1].data else { panic!("no histogram") };
    assert_eq!(histogram.data_points[0].bucket_counts, [1, 2]);
    assert_eq!(histogram.data_points[0].explicit_bounds, [0.5]);
    assert_eq!((histogram.aggregation_temporality, histogram.data_points[0].sum), (2, Some(1.5)));
    let Some(Data::ExponentialHistogram(exponential)) = &metrics[2].data else { panic!("no exponential") };
    let point = &exponential.data_points[0];
    let buckets = point.positive.as_ref().expect("positive buckets were sent");
    assert_eq!(
        (point.scale, buckets.offset, buckets.bucket_counts.as_slice()),
        (-2, -7, [300, 1].as_slice())
    );
}

/// The examples of the OpenTelemetry protocol repository, read here and by the serde derives of
/// `opentelemetry-proto`, are the same messages.
#[test]
fn the_protocols_own_examples_are_read_as_by_another_program() {
    let traces = include_str!("../../../../../../tests/data/otlp-json/trace.json");
    let wire = transcode(traces.as_bytes(), &EXPORT_TRACES).expect("valid");
    let want: ExportTraceServiceRequest = serde_json::from_str(traces).expect("valid");
    assert_eq!(ExportTraceServiceRequest::decode(wire.as_slice()), Ok(want));

    let logs = include_str!("../../../../../../tests/data/otlp-json/logs.json");
    let wire = transcode(logs.as_bytes(), &EXPORT_LOGS).expect("valid");
    let want: ExportLogsServiceRequest = serde_json::from_str(logs).expect("valid");
    assert_eq!(ExportLogsServiceRequest::decode(wire.as_slice()), Ok(want));

    let metrics = include_str!("../../../../../../tests/data/otlp-json/metrics.json");
    let wire = transcode(metrics.as_bytes(), &EXPORT_METRICS).expect("valid");
    let want: ExportMetricsServiceRequest = serde_json::from_str(metrics).expect("valid");
    assert_eq!(ExportMetricsServiceRequest::decode(wire.as_slice()), Ok(want));
}

/// Every prefix of a payload and every change of one byte gives a result, not a panic.
#[test]
fn no_bytes_make_it_panic() {
    let json = include_str!("../../../../../../tests/data/otlp-json/trace.json").as_bytes();
    for end in 0..json.len() {
        assert!(transcode(&json[..end], &EXPORT_TRACES).is_err(), "cut at {end}");
    }
    for at in 0..json.len() {
        for with in [0x00, b'"', b'{', b'}', b'[', b',', b'\\', b'9', 0xff] {
            let mut changed = json.to_vec();
            changed[at] = with;
            let result = transcode(&changed, &EXPORT_TRACES);
            assert!(result.is_err() || result.is_ok_and(|wire| validate(&wire, &EXPORT_TRACES).is_ok()));
        }
    }
}
