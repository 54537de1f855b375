//! Requests of spans in the shape of Jaeger's trace generator, as its ClickHouse benchmark ran it.
//!
//! A trace is a root and 9 children of one service, one after another; a child has 11 attributes whose keys and
//! values are counted through 97 keys and 1,000 values, so every pair of the two is equally common (1,020
//! spans of 10 million) and none is on any list of well-known attributes. The traces are of ten days, and
//! each day's begin one after another. Sources: jaegertracing/jaeger, `BENCHMARKING.md` of its ClickHouse
//! storage for the data set, `internal/tracegen` for what a span looks like; the code is our own.
//!
//! Limits: children there sleep a microsecond and last as long as the operating system makes of it; here
//! they last 52 to 90 microseconds.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::attributes::text;
use crate::random::Random;

/// Spans of a trace, the root included.
pub const TRACE_SPANS: usize = 1 + CHILDREN as usize;
const CHILDREN: u64 = 9;
const SERVICES: u64 = 10;
const DAYS: u64 = 10;
const ATTRIBUTES: u64 = 11;
const KEYS: u64 = 97;
const VALUES: u64 = 1_000;

const DAY_NANOS: u64 = 86_400_000_000_000;
/// From the start of a trace to that of the next, longer than any trace: one worker makes them in turn.
const TRACE_NANOS: u64 = 850_000;
const CHILD_NANOS_MIN: u64 = 52_000;
const CHILD_NANOS_MAX: u64 = 90_000;
const _: () = assert!(CHILDREN * CHILD_NANOS_MAX < TRACE_NANOS, "traces of a day do not overlap");

/// A request of these traces, of the `total` that there are; the last day's end before `now`.
pub fn request(
    random: &mut Random,
    traces: std::ops::Range<u64>,
    total: u64,
    now: u64,
) -> ExportTraceServiceRequest {
    let mut by_service: Vec<Vec<Span>> = vec![Vec::new(); SERVICES as usize];
    for number in traces {
        by_service[(number % SERVICES) as usize].extend(trace(random, number, start(number, total, now)));
    }
    let services = (0..SERVICES).zip(by_service).filter(|(_, spans)| !spans.is_empty());
    let resource_spans = services.map(|(service, spans)| {
        let name = format!("tracegen-{service:02}");
        let scope = InstrumentationScope { name: name.clone(), ..InstrumentationScope::default() };
        ResourceSpans {
            resource: Some(Resource { attributes: resource(name), ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

/// When a trace begins: the same share of them on each day, the oldest first.
fn start(number: u64, total: u64, now: u64) -> u64 {
    let per_day = total.div_ceil(DAYS).max(1);
    let (day, in_day) = (number / per_day, number % per_day);
    let before_now = (DAYS - 1).saturating_sub(day) * DAY_NANOS + (per_day - in_day) * TRACE_NANOS;
    now.saturating_sub(before_now)
}

fn resource(service: String) -> Vec<KeyValue> {
    vec![
        text("host.name", "bench"),
        text("os.type", "linux"),
        text("service.name", service),
        text("telemetry.sdk.language", "go"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "1.43.0"),
    ]
}

fn trace(random: &mut Random, number: u64, start: u64) -> Vec<Span> {
    let (trace_id, root_id) = (random.id(16), random.id(8));
    let mut spans = vec![Span::default()];
    let mut end = start;
    for child in 0..CHILDREN {
        let begin = end;
        end += CHILD_NANOS_MIN + random.below(CHILD_NANOS_MAX - CHILD_NANOS_MIN);
        spans.push(Span {
            trace_id: trace_id.clone(),
            span_id: random.id(8),
            parent_span_id: root_id.clone(),
            flags: 0x101,
            name: format!("child-span-{child:02}"),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: begin,
            end_time_unix_nano: end,
            attributes: attributes((number * CHILDREN + child) * ATTRIBUTES),
            ..Span::default()
        });
    }
    spans[0] = Span {
        trace_id,
        span_id: root_id,
        flags: 0x101,
        name: "lets-go".to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: vec![text("peer.service", "tracegen-server"), text("peer.host.ipv4", "1.1.1.1")],
        ..Span::default()
    };
    spans
}

/// Those of a child, of which `before` were given out earlier.
fn attributes(before: u64) -> Vec<KeyValue> {
    let attribute = |n: u64| text(&format!("attr_{:02}", n % KEYS), format!("val_{:02}", n % VALUES));
    (before..before + ATTRIBUTES).map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    fn spans(traces: std::ops::Range<u64>, total: u64) -> Vec<(String, Span)> {
        let request = request(&mut Random::new(1), traces, total, NOW);
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        let named = scopes.flat_map(|scope| {
            let name = scope.scope.map(|scope| scope.name).unwrap_or_default();
            scope.spans.into_iter().map(move |span| (name.clone(), span))
        });
        named.collect()
    }

    #[test]
    fn a_trace_is_a_root_and_nine_children_of_one_service() {
        let spans = spans(3..4, 100);
        assert_eq!(spans.len(), TRACE_SPANS);
        assert!(spans.iter().all(|(service, _)| service == "tracegen-03"));
        let (root, children) = spans.split_first().expect("ten spans");
        assert!(children.iter().all(|(_, child)| child.parent_span_id == root.1.span_id));
        let ends: Vec<u64> = children.iter().map(|(_, child)| child.end_time_unix_nano).collect();
        assert!(ends.is_sorted());
        assert_eq!(ends.last(), Some(&root.1.end_time_unix_nano));
    }

    #[test]
    fn keys_and_values_are_counted_through() {
        let attributes: Vec<_> = spans(0..1_000, 1_000)
            .into_iter()
            .filter(|(_, span)| !span.parent_span_id.is_empty())
            .map(|(_, span)| span.attributes)
            .collect();
        assert!(attributes.iter().all(|attributes| attributes.len() == 11));
        let keys: HashSet<_> = attributes.iter().flatten().map(|attribute| &attribute.key).collect();
        assert_eq!(keys.len(), 97);
        // 1,000 traces of 9 children of 11 are 99,000, of 97 * 1,000 pairs: all of them, 2,000 twice.
        let pairs: HashSet<_> =
            attributes.iter().flatten().map(|attribute| format!("{attribute:?}")).collect();
        assert_eq!(pairs.len(), 97_000);
    }

    #[test]
    fn the_traces_are_of_ten_days_and_end_before_now() {
        let spans = spans(0..1_000, 1_000);
        let days: HashSet<u64> =
            spans.iter().map(|(_, span)| (NOW - span.start_time_unix_nano) / DAY_NANOS).collect();
        assert_eq!(days.len(), 10);
        assert!(spans.iter().all(|(_, span)| span.end_time_unix_nano <= NOW));
    }
}
