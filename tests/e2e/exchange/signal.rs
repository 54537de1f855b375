//! Signals and transports, and the names that OTLP gives them.

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Grpc,
    Protobuf,
    Json,
}

impl Signal {
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The method that exports it.
    pub fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// Where it is posted.
    pub fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }

    /// The tables that its records go to, the usual one first.
    pub fn tables(self) -> &'static [&'static str] {
        match self {
            Signal::Traces => &["spans"],
            Signal::Metrics => {
                &["metric_points", "metric_histograms", "metric_exp_histograms", "metric_summaries"]
            }
            Signal::Logs => &["logs"],
        }
    }

    /// The lists in an export request, from the outermost: of resources, of scopes, of records.
    pub fn list_names(self) -> [&'static str; 3] {
        match self {
            Signal::Traces => ["resourceSpans", "scopeSpans", "spans"],
            Signal::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
            Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
        }
    }

    /// The count in a partial success, by its name in JSON.
    pub fn rejected_name(self) -> &'static str {
        match self {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        }
    }
}

impl Transport {
    pub const ALL: [Transport; 3] = [Transport::Grpc, Transport::Protobuf, Transport::Json];

    pub fn media_type(self) -> &'static str {
        match self {
            Transport::Grpc => "application/grpc",
            Transport::Protobuf => "application/x-protobuf",
            Transport::Json => "application/json",
        }
    }
}
