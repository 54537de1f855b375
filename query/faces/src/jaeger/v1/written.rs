//! A trace in the JSON of Jaeger's own page, which Grafana and Kiali read too.
//!
//! Source: `internal/uimodel` of Jaeger 1.76. Times and durations are microseconds, cut; ids are digits, a trace's id of 64 bits
//! sixteen of them; whole numbers beyond what JavaScript holds exactly are strings, and so is a double that is no number,
//! which JSON has no word for.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde_json::{Map, Value, json};

use crate::attributes::hex;
use crate::jaeger::model::{KeyValue, Log, Span, SpanRef, SpanRefType, Stamp, ValueType};

/// `Number.MAX_SAFE_INTEGER`.
const JAVASCRIPT_INTEGER_MAX: u64 = (1 << 53) - 1;

const NANOS_PER_MICRO: i64 = 1_000;

/// A trace of these spans; `warnings` are of the trace.
pub fn trace(spans: &[Span], warnings: &[String]) -> Value {
    let mut processes = Map::new();
    let mut known: HashMap<Vec<u8>, String> = HashMap::new();
    let mut written = Vec::with_capacity(spans.len());
    for span in spans {
        let process = span.process.clone().unwrap_or_default();
        let next = format!("p{}", known.len() + 1);
        let id = known.entry(process.encode_to_vec()).or_insert_with(|| {
            let tags = tags(&process.tags);
            processes.insert(next.clone(), json!({"serviceName": process.service_name, "tags": tags}));
            next
        });
        written.push(span_json(span, id));
    }
    let trace_id = spans.first().map(|span| trace_id(&span.trace_id)).unwrap_or_default();
    json!({"traceID": trace_id, "spans": written, "processes": processes, "warnings": list(warnings)})
}

/// Sixteen digits of an id whose upper half is zero, else all of them.
pub fn trace_id(bytes: &[u8]) -> String {
    let digits = hex(bytes);
    match digits.strip_prefix("0000000000000000") {
        Some(lower) if lower.len() == 16 => lower.to_owned(),
        _ => digits,
    }
}

fn span_json(span: &Span, process: &str) -> Value {
    json!({
        "traceID": trace_id(&span.trace_id),
        "spanID": hex(&span.span_id),
        "operationName": span.operation_name,
        "references": span.references.iter().map(reference).collect::<Vec<_>>(),
        "startTime": micros(span.start_time),
        "duration": micros(span.duration),
        "tags": tags(&span.tags),
        "logs": span.logs.iter().map(log).collect::<Vec<_>>(),
        "processID": process,
        "warnings": list(&span.warnings),
    })
}

/// Go writes a list that was never made as null, and clients know both.
fn list(texts: &[String]) -> Value {
    if texts.is_empty() { Value::Null } else { json!(texts) }
}

fn reference(to: &SpanRef) -> Value {
    let kind = match SpanRefType::try_from(to.ref_type) {
        Ok(SpanRefType::FollowsFrom) => "FOLLOWS_FROM",
        _ => "CHILD_OF",
    };
    json!({"refType": kind, "traceID": trace_id(&to.trace_id), "spanID": hex(&to.span_id)})
}

fn log(log: &Log) -> Value {
    json!({"timestamp": micros(log.timestamp), "fields": tags(&log.fields)})
}

fn micros(stamp: Option<Stamp>) -> i64 {
    stamp.map_or(0, |stamp| stamp.total().max(0) / NANOS_PER_MICRO)
}

fn tags(tags: &[KeyValue]) -> Vec<Value> {
    tags.iter().map(tag).collect()
}

fn tag(tag: &KeyValue) -> Value {
    let (kind, value) = match ValueType::try_from(tag.v_type) {
        Ok(ValueType::Bool) => ("bool", json!(tag.v_bool)),
        Ok(ValueType::Int64) if tag.v_int64.unsigned_abs() > JAVASCRIPT_INTEGER_MAX => {
            ("int64", json!(tag.v_int64.to_string()))
        }
        Ok(ValueType::Int64) => ("int64", json!(tag.v_int64)),
        Ok(ValueType::Float64) if !tag.v_float64.is_finite() => ("float64", json!(tag.v_float64.to_string())),
        Ok(ValueType::Float64) => ("float64", json!(tag.v_float64)),
        Ok(ValueType::Binary) => ("binary", json!(STANDARD.encode(&tag.v_binary))),
        Ok(ValueType::String) | Err(_) => ("string", json!(tag.v_str)),
    };
    json!({"key": tag.key, "type": kind, "value": value})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jaeger::model::Process;

    fn span(own: u8, service: &str) -> Span {
        Span {
            trace_id: vec![1; 16],
            span_id: vec![own; 8],
            operation_name: "op".to_owned(),
            start_time: Some(Stamp::of(1_000_001_999)),
            duration: Some(Stamp::of(2_999)),
            process: Some(Process { service_name: service.to_owned(), tags: vec![] }),
            ..Span::default()
        }
    }

    #[test]
    fn spans_of_one_process_name_it() {
        let written = trace(&[span(1, "a"), span(2, "b"), span(3, "a")], &[]);
        let processes = written["spans"].as_array().expect("a list").iter().map(|span| &span["processID"]);
        assert_eq!(processes.collect::<Vec<_>>(), ["p1", "p2", "p1"]);
        let process = |name: &str| json!({"serviceName": name, "tags": []});
        assert_eq!(written["processes"], json!({"p1": process("a"), "p2": process("b")}));
        assert_eq!((&written["traceID"], &written["warnings"]), (&json!("01".repeat(16)), &Value::Null));
    }

    #[test]
    fn a_span_is_written_as_the_page_reads_it() {
        let reference = SpanRef { trace_id: vec![2; 16], span_id: vec![3; 8], ref_type: 1 };
        let log = Log { timestamp: Some(Stamp::of(5_000)), fields: vec![] };
        let given = Span {
            references: vec![reference],
            logs: vec![log],
            warnings: vec!["w".to_owned()],
            ..span(1, "a")
        };
        let want = json!({
            "traceID": "01".repeat(16), "spanID": "01".repeat(8), "operationName": "op",
            "references": [{"refType": "FOLLOWS_FROM", "traceID": "02".repeat(16), "spanID": "03".repeat(8)}],
            "startTime": 1_000_001, "duration": 2, "tags": [], "logs": [{"timestamp": 5, "fields": []}],
            "processID": "p1", "warnings": ["w"],
        });
        assert_eq!(trace(&[given], &[])["spans"][0], want);
    }

    #[test]
    fn tags_have_their_type_and_no_number_is_rounded() {
        let tag_of = |v_type: ValueType| KeyValue {
            key: "k".to_owned(),
            v_type: v_type as i32,
            ..KeyValue::default()
        };
        let int = |v_int64| KeyValue { v_int64, ..tag_of(ValueType::Int64) };
        let float = |v_float64| KeyValue { v_float64, ..tag_of(ValueType::Float64) };
        let cases = [
            (KeyValue { v_str: "s".to_owned(), ..tag_of(ValueType::String) }, json!("string"), json!("s")),
            (KeyValue { v_bool: true, ..tag_of(ValueType::Bool) }, json!("bool"), json!(true)),
            (int(9_007_199_254_740_991), json!("int64"), json!(9_007_199_254_740_991_i64)),
            (int(-9_007_199_254_740_992), json!("int64"), json!("-9007199254740992")),
            (float(0.5), json!("float64"), json!(0.5)),
            (float(f64::NAN), json!("float64"), json!("NaN")),
            (KeyValue { v_binary: vec![0, 1], ..tag_of(ValueType::Binary) }, json!("binary"), json!("AAE=")),
        ];
        for (given, kind, value) in cases {
            assert_eq!(tag(&given), json!({"key": "k", "type": kind, "value": value}));
        }
    }

    #[test]
    fn an_id_of_64_bits_has_sixteen_digits() {
        assert_eq!(trace_id(&[[0; 8], [7; 8]].concat()), "07".repeat(8));
        assert_eq!(trace_id(&[7; 16]), "07".repeat(16));
        assert_eq!(trace_id(&[7; 8]), "07".repeat(8));
    }
}
