//! The requests of a load, made before the clock starts: OTLP messages, encoded, perhaps compressed, ready to be sent.
//!
//! Shaped like the load that other programs were measured with: 20 services of 3 pods, 100 routes, 15 resource
//! attributes, 12 to 18 span attributes, 60 resources in a request of 1,000 spans (what a gateway
//! collector sends), 10.5 spans a trace, about 790 bytes a span. No two requests are equal. Spans can also be
//! made in the shape of another project's benchmark, see `tracegen`, or of a mesh whose calls are known, see `mesh`, or over a day, see `day`; access logs
//! also as Envoy's log service carries them, see `als`.
//! Limits: the requests taken at a time are held in memory (a million spans take 800 MB).

mod traces;
mod tracegen;
mod logs;
mod metrics;
pub mod day;
pub mod mesh;
pub mod als;
/// What the demo's proxies send: one declaration of these messages is enough.
#[path = "../../../src/demo/envoy_messages.rs"]
mod envoy_messages;
mod resources;
mod attributes;
mod body;

use anyhow::ensure;
use bytes::Bytes;

pub use body::{Compression, Protocol};
pub use envoy_messages::{STREAM_ACCESS_LOGS, StreamAccessLogsResponse};

use crate::random::Random;

/// Spans, log records or data points that share a resource when a request is large: 1,000 records come
/// from 60 pods.
const RECORDS_PER_RESOURCE: usize = 16;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Signal {
    Traces,
    /// Spans as Jaeger's generator makes them.
    Tracegen,
    Logs,
    Metrics,
}

impl Signal {
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces | Signal::Tracegen => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }

    /// What one record is called.
    pub fn record(self) -> &'static str {
        match self {
            Signal::Traces | Signal::Tracegen => "span",
            Signal::Logs => "log record",
            Signal::Metrics => "data point",
        }
    }

    /// Where its requests are sent: the gRPC method, or the path of OTLP/HTTP.
    pub fn path(self, protocol: Protocol) -> &'static str {
        let (grpc, http) = match self {
            Signal::Traces | Signal::Tracegen => {
                ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/v1/traces")
            }
            Signal::Logs => ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "/v1/logs"),
            Signal::Metrics => {
                ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/v1/metrics")
            }
        };
        if protocol == Protocol::Grpc { grpc } else { http }
    }
}

/// What the requests of a load are like.
#[derive(Debug, Clone)]
pub struct Shape {
    pub signal: Signal,
    pub requests: usize,
    pub records_per_request: usize,
    pub protocol: Protocol,
    pub compression: Compression,
    pub seed: u64,
    /// The records begin in the minute before this, nanoseconds since the epoch.
    pub now: u64,
}

/// Some requests of a load.
#[derive(Debug)]
pub struct Payloads {
    /// Each as it is sent: for gRPC with the frame around it.
    pub bodies: Vec<Bytes>,
    /// Bytes of all messages before compression.
    pub message_bytes: u64,
}

/// Makes the requests of a load in turn.
#[derive(Debug)]
pub struct Maker {
    shape: Shape,
    random: Random,
    made: usize,
}

impl Maker {
    /// # Errors
    /// When spans of [`Signal::Tracegen`] do not make whole traces.
    pub fn new(shape: &Shape) -> anyhow::Result<Self> {
        let is_whole = shape.records_per_request.is_multiple_of(tracegen::TRACE_SPANS);
        ensure!(
            shape.signal != Signal::Tracegen || is_whole,
            "a trace of this shape has {} spans: send a multiple of that a request",
            tracegen::TRACE_SPANS
        );
        Ok(Maker { shape: shape.clone(), random: Random::new(shape.seed), made: 0 })
    }

    /// The next `count` requests, fewer at the end, none after it.
    ///
    /// # Errors
    /// When a message is too long for a frame (4 GiB).
    pub fn take(&mut self, count: usize) -> anyhow::Result<Payloads> {
        let count = count.min(self.shape.requests - self.made);
        let mut payloads = Payloads { bodies: Vec::with_capacity(count), message_bytes: 0 };
        for _ in 0..count {
            let message = self.message()?;
            payloads.message_bytes += message.len() as u64;
            payloads.bodies.push(body::packed(message, self.shape.protocol, self.shape.compression)?);
            self.made += 1;
        }
        Ok(payloads)
    }

    fn message(&mut self) -> anyhow::Result<Vec<u8>> {
        const MINUTE: u64 = 60_000_000_000;
        let (random, records, now) = (&mut self.random, self.shape.records_per_request, self.shape.now);
        let made = self.made as u64;
        let start = now.saturating_sub(MINUTE) + made * (MINUTE / self.shape.requests.max(1) as u64);
        let protocol = self.shape.protocol;
        match self.shape.signal {
            Signal::Traces => body::encoded(&traces::request(random, records, start), protocol),
            Signal::Tracegen => {
                let traces = (records / tracegen::TRACE_SPANS) as u64;
                let total = traces * self.shape.requests as u64;
                let request = tracegen::request(random, made * traces..(made + 1) * traces, total, now);
                body::encoded(&request, protocol)
            }
            Signal::Logs => body::encoded(&logs::request(random, records, start), protocol),
            Signal::Metrics => body::encoded(&metrics::request(random, records, start), protocol),
        }
    }
}

/// A message of gRPC, not compressed.
///
/// # Errors
/// When it is too long for a frame (4 GiB).
pub fn packed_message(message: &[u8]) -> anyhow::Result<Bytes> {
    body::packed(message.to_vec(), Protocol::Grpc, Compression::None)
}

/// Makes all requests of the shape.
///
/// # Errors
/// As for [`Maker`].
pub fn payloads(shape: &Shape) -> anyhow::Result<Payloads> {
    Maker::new(shape)?.take(shape.requests)
}

/// How many pods the records of a request come from.
fn resources_of(records: usize) -> usize {
    records.div_ceil(RECORDS_PER_RESOURCE).clamp(1, resources::PODS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use prost::Message as _;

    use super::*;

    fn shape(signal: Signal, records_per_request: usize) -> Shape {
        Shape {
            signal,
            requests: 4,
            records_per_request,
            protocol: Protocol::Grpc,
            compression: Compression::None,
            seed: 42,
            now: 1_700_000_000_000_000_000,
        }
    }

    fn traces(shape: &Shape) -> Vec<ExportTraceServiceRequest> {
        let payloads = payloads(shape).expect("small requests");
        let decode = |body: &Bytes| ExportTraceServiceRequest::decode(&body[5..]).expect("a request");
        payloads.bodies.iter().map(decode).collect()
    }

    #[test]
    fn a_request_of_a_thousand_spans_is_like_a_gateways() {
        for request in traces(&shape(Signal::Traces, 1_000)) {
            assert_eq!(request.resource_spans.len(), 60);
            let attributes = |r: &opentelemetry_proto::tonic::trace::v1::ResourceSpans| {
                r.resource.as_ref().map_or(0, |resource| resource.attributes.len())
            };
            assert!(request.resource_spans.iter().all(|resource| attributes(resource) == 15));
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            let spans: Vec<_> = scopes.flat_map(|scope| scope.spans).collect();
            assert_eq!(spans.len(), 1_000);
            assert!(spans.iter().all(|span| (12..=18).contains(&span.attributes.len())));
            let traces: HashSet<_> = spans.iter().map(|span| &span.trace_id).collect();
            // 1,000 spans / 10.5 spans a trace = 95 traces.
            assert!((85..=105).contains(&traces.len()), "{} traces", traces.len());
            let ids: HashSet<_> = spans.iter().map(|span| &span.span_id).collect();
            assert!(
                spans.iter().all(|span| span.parent_span_id.is_empty() || ids.contains(&span.parent_span_id))
            );
        }
    }

    #[test]
    fn a_span_is_about_790_bytes() {
        let payloads = payloads(&shape(Signal::Traces, 1_000)).expect("small requests");
        let bytes_per_span = payloads.message_bytes / 4_000;
        assert!((760..=820).contains(&bytes_per_span), "{bytes_per_span} bytes a span");
    }

    #[test]
    fn a_small_request_comes_from_one_pod() {
        assert!(traces(&shape(Signal::Traces, 5)).iter().all(|request| request.resource_spans.len() == 1));
    }

    #[test]
    fn no_two_requests_are_equal_and_a_seed_repeats_them() {
        let first = payloads(&shape(Signal::Traces, 10)).expect("small requests").bodies;
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 4);
        assert_eq!(first, payloads(&shape(Signal::Traces, 10)).expect("small requests").bodies);
    }

    #[test]
    fn a_load_taken_in_parts_is_the_same_load() {
        for signal in [Signal::Traces, Signal::Tracegen] {
            let shape = shape(signal, 10);
            let mut maker = Maker::new(&shape).expect("whole traces");
            let mut parts = || maker.take(3).expect("small requests").bodies;
            let (first, second) = (parts(), parts());
            assert_eq!((first.len(), second.len(), parts().len()), (3, 1, 0));
            assert_eq!([first, second].concat(), payloads(&shape).expect("small requests").bodies);
        }
    }

    #[test]
    fn a_request_of_half_a_trace_is_refused() {
        assert!(payloads(&shape(Signal::Tracegen, 5)).is_err());
    }

    #[test]
    fn log_records_and_points_are_counted() {
        let logs = payloads(&shape(Signal::Logs, 100)).expect("small requests");
        let request = ExportLogsServiceRequest::decode(&logs.bodies[0][5..]).expect("a request");
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        assert_eq!(scopes.map(|scope| scope.log_records.len()).sum::<usize>(), 100);

        let metrics = payloads(&shape(Signal::Metrics, 100)).expect("small requests");
        let request = ExportMetricsServiceRequest::decode(&metrics.bodies[0][5..]).expect("a request");
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        let points = scopes.flat_map(|scope| &scope.metrics).map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => sum.data_points.len(),
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            Some(Data::Histogram(histogram)) => histogram.data_points.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(points.sum::<usize>(), 100);
    }
}
