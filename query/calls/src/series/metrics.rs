//! Which metrics there are: their labels, and which amounts of a chunk each is read of.
//!
//! Metrics of one family have the same labels, but for `le`, and are read of the same label sets. Amounts are whole numbers,
//! of calls in thousandths, so that no order of adding changes a sum; they become numbers when a metric is read.
//! Sources: Istio, "Istio Standard Metrics"; Tempo, "Service graphs" and "Span metrics"; Kiali, its appender of extensions.

use super::bounds::{ENVOY, SERVICE_GRAPH, SPAN_METRICS};

/// The label of a bucket's upper bound.
pub const BUCKET_BOUND: &str = "le";

/// Metrics that share label sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Istio's of requests.
    Requests,
    /// Istio's of connections.
    Connections,
    /// Kiali's of what no sidecar saw.
    Extension,
    /// Tempo's service graph.
    Graph,
    /// What reports itself.
    Services,
    /// Tempo's span metrics.
    Spans,
}

impl Family {
    pub const ALL: [Family; 6] = [
        Family::Requests,
        Family::Connections,
        Family::Extension,
        Family::Graph,
        Family::Services,
        Family::Spans,
    ];

    /// Whether label sets name operations, of which there may be many.
    pub const fn by_operation(self) -> bool {
        matches!(self, Family::Spans)
    }

    /// Names of labels, sorted.
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Family::Requests => REQUEST_LABELS,
            Family::Connections => CONNECTION_LABELS,
            Family::Extension => EXTENSION_LABELS,
            Family::Graph => GRAPH_LABELS,
            Family::Services => &["job", "service", "service_namespace"],
            Family::Spans => &["service", "service_namespace", "span_kind", "span_name", "status_code"],
        }
    }
}

const REQUEST_LABELS: &[&str] = &[
    "connection_security_policy",
    "destination_app",
    "destination_canonical_revision",
    "destination_canonical_service",
    "destination_cluster",
    "destination_principal",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_version",
    "destination_workload",
    "destination_workload_namespace",
    "grpc_response_status",
    "reporter",
    "request_protocol",
    "response_code",
    "response_flags",
    "source_app",
    "source_canonical_revision",
    "source_canonical_service",
    "source_cluster",
    "source_principal",
    "source_version",
    "source_workload",
    "source_workload_namespace",
];

/// As of requests, without how they ended.
const CONNECTION_LABELS: &[&str] = &[
    "connection_security_policy",
    "destination_app",
    "destination_canonical_revision",
    "destination_canonical_service",
    "destination_cluster",
    "destination_principal",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_version",
    "destination_workload",
    "destination_workload_namespace",
    "reporter",
    "request_protocol",
    "response_flags",
    "source_app",
    "source_canonical_revision",
    "source_canonical_service",
    "source_cluster",
    "source_principal",
    "source_version",
    "source_workload",
    "source_workload_namespace",
];

const EXTENSION_LABELS: &[&str] = &[
    "dest_cluster",
    "dest_name",
    "dest_namespace",
    "extension",
    "flags",
    "protocol",
    "secure",
    "source_cluster",
    "source_is_root",
    "source_name",
    "source_namespace",
    "status_code",
];

const GRAPH_LABELS: &[&str] = &[
    "client",
    "client_service_namespace",
    "connection_type",
    "server",
    "server_service_namespace",
    "virtual_node",
];

/// Amounts of a histogram: their sum, then one for each bucket, without those of the buckets below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Histogram {
    /// The field of the sum.
    pub first: u8,
    /// Upper bounds, in the metric's unit; above the last is one bucket more.
    pub bounds: &'static [f64],
    /// How many units of the sketch are one of the metric's.
    pub unit: f64,
    /// How many of the sum's units are one of the metric's.
    pub sum_per: u64,
}

impl Histogram {
    /// The fields of buckets from the lowest up to one.
    pub fn fields_up_to(&self, place: usize) -> (u8, u8) {
        (self.first + 1, self.first + 1 + place as u8)
    }

    /// The text of an upper bound; of the one above the last, infinity's.
    pub fn bound_text(&self, place: usize) -> String {
        self.bounds.get(place).map_or_else(|| "+Inf".to_owned(), f64::to_string)
    }

    const fn next(&self) -> u8 {
        self.first + self.bounds.len() as u8 + 2
    }
}

/// What a metric is read of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// One amount, so many of which are one.
    Amount {
        field: u8,
        per: u64,
    },
    Buckets(&'static Histogram),
    Sum(&'static Histogram),
    Count(&'static Histogram),
    /// One, for as long as the label set is there.
    One,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub family: Family,
    pub reading: Reading,
}

/// What people are told of a metric: its type, unit and meaning. Parts of a histogram are told of as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    pub metric: &'static str,
    /// Prometheus's word: counter, histogram, gauge.
    pub kind: &'static str,
    pub unit: &'static str,
    pub help: &'static str,
}

/// Calls of every family, in thousandths; of connections, those that were opened.
pub const CALLS: u8 = 0;
/// Of connections: bytes towards the caller, and towards the callee.
pub const SENT: u8 = 1;
pub const RECEIVED: u8 = 2;
/// Of the service graph: calls that failed.
pub const FAILED: u8 = 1;

const MILLI: u64 = 1_000;
const NANOS_PER_MILLI: f64 = 1e6;
const NANOS_PER_SECOND: f64 = 1e9;
/// Durations are summed in thousandths of microseconds.
const SUM_PER_MILLI: u64 = 1_000_000;
const SUM_PER_SECOND: u64 = 1_000_000_000;

pub const DURATION: Histogram =
    Histogram { first: 1, bounds: ENVOY, unit: NANOS_PER_MILLI, sum_per: SUM_PER_MILLI };
pub const REQUEST_BYTES: Histogram =
    Histogram { first: DURATION.next(), bounds: ENVOY, unit: 1.0, sum_per: MILLI };
pub const RESPONSE_BYTES: Histogram =
    Histogram { first: REQUEST_BYTES.next(), bounds: ENVOY, unit: 1.0, sum_per: MILLI };
pub const SERVER_SECONDS: Histogram =
    Histogram { first: 2, bounds: SERVICE_GRAPH, unit: NANOS_PER_SECOND, sum_per: SUM_PER_SECOND };
pub const CLIENT_SECONDS: Histogram = Histogram { first: SERVER_SECONDS.next(), ..SERVER_SECONDS };
pub const LATENCY: Histogram =
    Histogram { first: 1, bounds: SPAN_METRICS, unit: NANOS_PER_SECOND, sum_per: SUM_PER_SECOND };

/// Every metric, sorted by name.
pub const METRICS: &[Metric] = &[
    of(Family::Requests, "istio_request_bytes_bucket", Reading::Buckets(&REQUEST_BYTES)),
    of(Family::Requests, "istio_request_bytes_count", Reading::Count(&REQUEST_BYTES)),
    of(Family::Requests, "istio_request_bytes_sum", Reading::Sum(&REQUEST_BYTES)),
    of(Family::Requests, "istio_request_duration_milliseconds_bucket", Reading::Buckets(&DURATION)),
    of(Family::Requests, "istio_request_duration_milliseconds_count", Reading::Count(&DURATION)),
    of(Family::Requests, "istio_request_duration_milliseconds_sum", Reading::Sum(&DURATION)),
    of(Family::Requests, "istio_requests_total", CALLED),
    of(Family::Requests, "istio_response_bytes_bucket", Reading::Buckets(&RESPONSE_BYTES)),
    of(Family::Requests, "istio_response_bytes_count", Reading::Count(&RESPONSE_BYTES)),
    of(Family::Requests, "istio_response_bytes_sum", Reading::Sum(&RESPONSE_BYTES)),
    of(Family::Connections, "istio_tcp_connections_closed_total", CALLED),
    of(Family::Connections, "istio_tcp_connections_opened_total", CALLED),
    of(Family::Connections, "istio_tcp_received_bytes_total", bytes(RECEIVED)),
    of(Family::Connections, "istio_tcp_sent_bytes_total", bytes(SENT)),
    of(Family::Extension, "kiali_ext_requests_total", CALLED),
    of(Family::Graph, "traces_service_graph_connection_info", Reading::One),
    of(
        Family::Graph,
        "traces_service_graph_request_client_seconds_bucket",
        Reading::Buckets(&CLIENT_SECONDS),
    ),
    of(Family::Graph, "traces_service_graph_request_client_seconds_count", Reading::Count(&CLIENT_SECONDS)),
    of(Family::Graph, "traces_service_graph_request_client_seconds_sum", Reading::Sum(&CLIENT_SECONDS)),
    of(
        Family::Graph,
        "traces_service_graph_request_failed_total",
        Reading::Amount { field: FAILED, per: MILLI },
    ),
    of(
        Family::Graph,
        "traces_service_graph_request_server_seconds_bucket",
        Reading::Buckets(&SERVER_SECONDS),
    ),
    of(Family::Graph, "traces_service_graph_request_server_seconds_count", Reading::Count(&SERVER_SECONDS)),
    of(Family::Graph, "traces_service_graph_request_server_seconds_sum", Reading::Sum(&SERVER_SECONDS)),
    of(Family::Graph, "traces_service_graph_request_total", CALLED),
    of(Family::Spans, "traces_spanmetrics_calls_total", CALLED),
    of(Family::Spans, "traces_spanmetrics_latency_bucket", Reading::Buckets(&LATENCY)),
    of(Family::Spans, "traces_spanmetrics_latency_count", Reading::Count(&LATENCY)),
    of(Family::Spans, "traces_spanmetrics_latency_sum", Reading::Sum(&LATENCY)),
    of(Family::Services, "traces_target_info", Reading::One),
];

const CALLED: Reading = Reading::Amount { field: CALLS, per: MILLI };

const fn of(family: Family, name: &'static str, reading: Reading) -> Metric {
    Metric { name, family, reading }
}

const fn bytes(field: u8) -> Reading {
    Reading::Amount { field, per: MILLI }
}

/// What people are told, one for each counter, gauge and histogram.
pub const ABOUT: &[About] = &[
    counter("istio_requests_total", "", "Requests, by who reported them."),
    histogram("istio_request_duration_milliseconds", "milliseconds", "How long requests took."),
    histogram("istio_request_bytes", "bytes", "Sizes of bodies of requests."),
    histogram("istio_response_bytes", "bytes", "Sizes of bodies of responses."),
    counter("istio_tcp_connections_opened_total", "", "Connections, where they began."),
    counter("istio_tcp_connections_closed_total", "", "Connections that have ended, where they began."),
    counter("istio_tcp_sent_bytes_total", "bytes", "Bytes of connections towards the caller."),
    counter("istio_tcp_received_bytes_total", "bytes", "Bytes of connections towards the callee."),
    counter(
        "kiali_ext_requests_total",
        "",
        "Calls that no sidecar saw: of databases, queues, hosts outside.",
    ),
    gauge("traces_service_graph_connection_info", "One for each two services that call each other."),
    counter("traces_service_graph_request_total", "", "Calls from one service to another."),
    counter(
        "traces_service_graph_request_failed_total",
        "",
        "Calls from one service to another that failed.",
    ),
    histogram("traces_service_graph_request_server_seconds", "seconds", "How long calls took the callee."),
    histogram("traces_service_graph_request_client_seconds", "seconds", "How long calls took the caller."),
    counter("traces_spanmetrics_calls_total", "", "Calls, by operation and by side."),
    histogram("traces_spanmetrics_latency", "seconds", "How long calls took, by operation and by side."),
    gauge("traces_target_info", "One for each service that tells of itself."),
];

const fn counter(metric: &'static str, unit: &'static str, help: &'static str) -> About {
    About { metric, kind: "counter", unit, help }
}

const fn histogram(metric: &'static str, unit: &'static str, help: &'static str) -> About {
    About { metric, kind: "histogram", unit, help }
}

const fn gauge(metric: &'static str, help: &'static str) -> About {
    About { metric, kind: "gauge", unit: "", help }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn metrics_are_sorted() {
        assert!(METRICS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn labels_are_sorted_and_unlike() {
        for family in Family::ALL {
            assert!(family.labels().is_sorted_by(|a, b| a < b), "{family:?}");
        }
    }

    /// The 25 labels of Istio's metrics of requests, and 23 of connections.
    #[test]
    fn istio_has_all_of_its_labels() {
        let rest: BTreeSet<_> = REQUEST_LABELS.iter().filter(|l| !CONNECTION_LABELS.contains(l)).collect();
        assert_eq!((REQUEST_LABELS.len(), CONNECTION_LABELS.len()), (25, 23));
        assert_eq!(rest, BTreeSet::from([&"grpc_response_status", &"response_code"]));
    }

    /// No two amounts of a family share a field.
    #[test]
    fn every_metric_is_told_of_once_and_reads_its_own_fields() {
        for metric in METRICS {
            let is_part = |about: &&About| {
                let parts = ["_bucket", "_count", "_sum"].map(|part| format!("{}{part}", about.metric));
                about.metric == metric.name
                    || (about.kind == "histogram" && parts.iter().any(|p| p == metric.name))
            };
            assert_eq!(ABOUT.iter().filter(is_part).count(), 1, "{}", metric.name);
        }
        let fields = |histogram: &Histogram| histogram.first..histogram.next();
        let requests = [&DURATION, &REQUEST_BYTES, &RESPONSE_BYTES].map(fields);
        assert_eq!(requests, [1..22, 22..43, 43..64]);
        assert_eq!([&SERVER_SECONDS, &CLIENT_SECONDS].map(fields), [2..12, 12..22]);
    }
}
