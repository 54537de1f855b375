//! Requests of spans: whole traces whose spans are spread over the pods of the request.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::attributes::{boolean, integer, text};
use super::{resources, resources_of};
use crate::random::Random;

/// Five routes of each service.
const RESOURCES: [&str; 5] = ["items", "orders", "profiles", "events", "quotes"];
/// A trace has 5 to 16 spans, 10.5 on average.
const TRACE_SPANS_MIN: u64 = 5;
const TRACE_SPANS_RANGE: u64 = 12;
const STATUSES: [u64; 16] = [200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 204, 302, 400, 404, 500, 503];
const METHODS: [&str; 4] = ["GET", "GET", "POST", "PUT"];
const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.7444.48 Mobile Safari/537.36",
];

/// A request of this many spans that begin at `start` or within a second after it.
pub fn request(random: &mut Random, spans: usize, start: u64) -> ExportTraceServiceRequest {
    let pods = pods_of_request(random, spans);
    let mut by_pod: Vec<Vec<Span>> = vec![Vec::new(); pods.len()];
    let mut left = spans;
    let mut made = 0;
    while left > 0 {
        let size = ((TRACE_SPANS_MIN + random.below(TRACE_SPANS_RANGE)) as usize).min(left);
        left -= size;
        for span in trace(random, size, start, |n| pods[(made + n) % pods.len()]) {
            by_pod[made % pods.len()].push(span);
            made += 1;
        }
    }
    let resource_spans = pods.iter().zip(by_pod).map(|(pod, spans)| ResourceSpans {
        resource: Some(resources::resource(*pod)),
        scope_spans: vec![ScopeSpans { scope: Some(resources::scope()), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

/// Different pods, beginning anywhere.
fn pods_of_request(random: &mut Random, records: usize) -> Vec<usize> {
    let first = random.below(resources::PODS as u64) as usize;
    (0..resources_of(records)).map(|n| (first + n) % resources::PODS).collect()
}

/// Spans of one trace, a parent before its children; `pod_of` tells where the n-th runs.
fn trace(random: &mut Random, size: usize, start: u64, pod_of: impl Fn(usize) -> usize) -> Vec<Span> {
    let trace_id = random.id(16);
    let begin = start + random.below(1_000_000_000);
    let mut spans: Vec<Span> = Vec::with_capacity(size);
    for n in 0..size {
        let parent = if n == 0 { Vec::new() } else { spans[random.below(n as u64) as usize].span_id.clone() };
        let kind = if n % 2 == 0 { SpanKind::Server } else { SpanKind::Client };
        let at = begin + n as u64 * random.log_uniform(20_000, 2_000_000);
        spans.push(span(random, &trace_id, parent, kind, at, resources::service_of(pod_of(n))));
    }
    spans
}

fn span(
    random: &mut Random,
    trace_id: &[u8],
    parent_span_id: Vec<u8>,
    kind: SpanKind,
    start: u64,
    service: &str,
) -> Span {
    let method = *random.one_of(&METHODS);
    let status = *random.one_of(&STATUSES);
    let route = format!("/api/v1/{service}/{}/{{id}}/details", random.one_of(&RESOURCES));
    let code = if status >= 500 { StatusCode::Error } else { StatusCode::Unset };
    Span {
        trace_id: trace_id.to_vec(),
        span_id: random.id(8),
        parent_span_id,
        flags: 0x101,
        name: format!("{method} {route}"),
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.log_uniform(200_000, 800_000_000),
        attributes: attributes(random, method, &route, status, service),
        status: Some(Status { code: code.into(), message: String::new() }),
        ..Span::default()
    }
}

/// 12 that every span has, and up to 6 more.
fn attributes(random: &mut Random, method: &str, route: &str, status: u64, service: &str) -> Vec<KeyValue> {
    let path = route.replace("{id}", &random.below(1_000_000).to_string());
    let mut attributes = vec![
        text("http.request.method", method),
        text("http.route", route),
        text("url.path", path),
        text("url.scheme", "https"),
        integer("http.response.status_code", status),
        text("server.address", format!("{service}.shop.svc.cluster.local")),
        integer("server.port", 8443),
        text("client.address", format!("10.{}.{}.{}", random.below(4), random.below(256), random.below(256))),
        text("network.protocol.version", "1.1"),
        text("user_agent.original", *random.one_of(&USER_AGENTS)),
        text("tenant.id", format!("tenant-{:03}", random.below(200))),
        integer("thread.id", random.below(200)),
    ];
    let more = [
        text("session.id", format!("{:016x}{:016x}", random.bits(), random.bits())),
        integer("http.response.body.size", random.log_uniform(20, 200_000)),
        text("enduser.id", format!("user-{}", random.below(100_000))),
        text("thread.name", format!("http-nio-8443-exec-{}", random.below(200))),
        text("feature_flag.key", "checkout-redesign"),
        boolean("cache.hit", random.below(2) == 0),
    ];
    let count = random.below(more.len() as u64 + 1) as usize;
    attributes.extend(more.into_iter().take(count));
    attributes
}
