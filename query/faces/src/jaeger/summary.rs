//! A trace in a few numbers, as v3 lists traces without their spans.
//!
//! Source: `TraceSummary` of `jaeger.api_v3`. A span whose parent is not there is an orphan; the root is the earliest span
//! without a parent, or if there is none, the earliest.

use std::collections::{BTreeMap, HashSet};

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use serde_json::{Value, json};

use crate::attributes::{hex, service_name};

/// A trace in numbers. Times are nanoseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub trace_id: String,
    pub root_service: String,
    pub root_operation: String,
    pub start: u64,
    pub end: u64,
    pub spans: i32,
    pub errors: i32,
    pub orphans: i32,
    /// Spans and errors of each service.
    pub services: BTreeMap<String, (i32, i32)>,
}

impl Summary {
    /// Of all spans of a trace.
    pub fn of(trace: &[ResourceSpans]) -> Summary {
        let spans: Vec<(&ResourceSpans, &Span)> = trace
            .iter()
            .flat_map(|resource| {
                let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
                spans.map(move |span| (resource, span))
            })
            .collect();
        let ids: HashSet<&[u8]> = spans.iter().map(|(_, span)| span.span_id.as_slice()).collect();
        let mut summary = Summary { start: u64::MAX, ..Summary::default() };
        for (resource, span) in &spans {
            let service = service_name(resource.resource.as_ref()).unwrap_or_default();
            let is_error = span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
            let of_service = summary.services.entry(service).or_default();
            of_service.0 += 1;
            of_service.1 += i32::from(is_error);
            summary.spans += 1;
            summary.errors += i32::from(is_error);
            summary.orphans +=
                i32::from(!span.parent_span_id.is_empty() && !ids.contains(span.parent_span_id.as_slice()));
            summary.start = summary.start.min(span.start_time_unix_nano);
            summary.end = summary.end.max(span.end_time_unix_nano);
        }
        let earliest_root_first = |(_, span): &&(&ResourceSpans, &Span)| {
            (!span.parent_span_id.is_empty(), span.start_time_unix_nano)
        };
        if let Some((resource, root)) = spans.iter().min_by_key(earliest_root_first) {
            summary.trace_id = hex(&root.trace_id);
            summary.root_service = service_name(resource.resource.as_ref()).unwrap_or_default();
            summary.root_operation.clone_from(&root.name);
        }
        summary
    }

    /// By protobuf's mapping: 64-bit numbers are strings, and what is zero is left out.
    pub fn to_json(&self) -> Value {
        let mut fields = json!({
            "traceId": self.trace_id,
            "rootServiceName": self.root_service,
            "rootOperationName": self.root_operation,
            "minStartTimeUnixNano": self.start.to_string(),
            "maxEndTimeUnixNano": self.end.to_string(),
        });
        let put = |object: &mut Value, name: &str, count: i32| {
            if count != 0 {
                object[name] = json!(count);
            }
        };
        put(&mut fields, "spanCount", self.spans);
        put(&mut fields, "errorSpanCount", self.errors);
        put(&mut fields, "orphanSpanCount", self.orphans);
        let services = self.services.iter().map(|(name, (spans, errors))| {
            let mut service = json!({"name": name});
            put(&mut service, "spanCount", *spans);
            put(&mut service, "errorSpanCount", *errors);
            service
        });
        let services: Vec<Value> = services.collect();
        fields["services"] = json!(services);
        fields
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::Status;

    use super::super::adjust::fixture::{SERVER, of, span, text};
    use super::*;

    #[test]
    fn a_trace_is_told_in_numbers() {
        let failed = Status { code: 2, ..Status::default() };
        let mut spans = vec![span(2, 1, SERVER, (15, 30)), span(3, 9, 1, (5, 12))];
        spans[1].status = Some(failed);
        let mut root = span(1, 0, SERVER, (10, 40));
        root.name = "GET /".to_owned();
        root.trace_id = vec![7; 16];
        let trace =
            [of(vec![text("service.name", "b")], spans), of(vec![text("service.name", "a")], vec![root])];
        let want = json!({
            "traceId": "07".repeat(16), "rootServiceName": "a", "rootOperationName": "GET /",
            "minStartTimeUnixNano": "5", "maxEndTimeUnixNano": "40", "spanCount": 3, "errorSpanCount": 1,
            "orphanSpanCount": 1,
            "services": [{"name": "a", "spanCount": 1}, {"name": "b", "spanCount": 2, "errorSpanCount": 1}],
        });
        assert_eq!(Summary::of(&trace).to_json(), want);
    }
}
