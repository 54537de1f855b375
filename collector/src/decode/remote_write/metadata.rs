//! What a sender says of a metric beside its samples: its type, a help text, a unit.
//!
//! The type is kept in its own words as `metric_metadata` under `prometheus.type`, the key that OpenTelemetry gives it. A
//! counter is a monotonic cumulative sum, and what can go up and down a gauge; the samples of other types (a histogram's
//! buckets, a summary's quantiles) are each of another kind and say so by the type alone.
//!
//! Source: prompb/io/prometheus/write/v2/types.proto, `Metadata.MetricType`; the numbers of 1.0 are the same.

use crate::metric_rows::numbers::NumberShape;

/// OTLP `AggregationTemporality` CUMULATIVE: all that Prometheus knows.
pub(super) const CUMULATIVE: i32 = 2;

/// The types of the values in the JSON of a type: one string.
const JSON_TYPES: &str = "s";

/// The type of a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum MetricType {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl MetricType {
    /// The type of a number on the wire; one that is not known says nothing.
    pub(super) fn of(number: u64) -> Self {
        match number {
            1 => MetricType::Counter,
            2 => MetricType::Gauge,
            3 => MetricType::Histogram,
            4 => MetricType::GaugeHistogram,
            5 => MetricType::Summary,
            6 => MetricType::Info,
            7 => MetricType::StateSet,
            _ => MetricType::Unknown,
        }
    }

    /// What the float samples of the metric are.
    pub(super) fn shape(self) -> NumberShape {
        match self {
            MetricType::Counter => NumberShape::Sum { temporality: CUMULATIVE, is_monotonic: true },
            MetricType::Gauge | MetricType::Info | MetricType::StateSet => NumberShape::Gauge,
            MetricType::Unknown
            | MetricType::Histogram
            | MetricType::GaugeHistogram
            | MetricType::Summary => NumberShape::Unknown,
        }
    }

    /// As metadata of the metric: a JSON object and the types of its values.
    pub(super) fn json(self) -> Option<(&'static str, &'static str)> {
        let json = match self {
            MetricType::Unknown => return None,
            MetricType::Counter => r#"{"prometheus.type":"counter"}"#,
            MetricType::Gauge => r#"{"prometheus.type":"gauge"}"#,
            MetricType::Histogram => r#"{"prometheus.type":"histogram"}"#,
            MetricType::GaugeHistogram => r#"{"prometheus.type":"gaugehistogram"}"#,
            MetricType::Summary => r#"{"prometheus.type":"summary"}"#,
            MetricType::Info => r#"{"prometheus.type":"info"}"#,
            MetricType::StateSet => r#"{"prometheus.type":"stateset"}"#,
        };
        Some((json, JSON_TYPES))
    }
}

/// What is said of a metric; what is not said is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Metadata<'a> {
    pub(super) metric_type: MetricType,
    pub(super) help: &'a [u8],
    pub(super) unit: &'a [u8],
}
