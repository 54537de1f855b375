//! Requests of data points: a third each of sums, gauges and histograms, of few metrics with many label sets.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};

use super::attributes::{integer, text};
use super::{resources, resources_of};
use crate::random::Random;

/// Bounds of HTTP durations in seconds, by the semantic conventions.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const STATUSES: [u64; 5] = [200, 201, 404, 500, 503];
/// A counter's stream began this long before its points.
const HOUR: u64 = 3_600_000_000_000;

/// A request of this many data points of the time `start`.
pub fn request(random: &mut Random, points: usize, start: u64) -> ExportMetricsServiceRequest {
    let resources = resources_of(points);
    let first = random.below(resources::PODS as u64) as usize;
    let resource_metrics = (0..resources).map(|n| {
        let count = points / resources + usize::from(n < points % resources);
        let pod = (first + n) % resources::PODS;
        let metrics = metrics(random, count, start, resources::service_of(pod));
        ResourceMetrics {
            resource: Some(resources::resource(pod)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(resources::scope()),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

fn metrics(random: &mut Random, points: usize, time: u64, service: &str) -> Vec<Metric> {
    let (sums, gauges) = (points / 3, points / 3);
    let sum = Sum {
        data_points: (0..sums).map(|_| number(random, time, service)).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    let gauge = Gauge { data_points: (0..gauges).map(|_| number(random, time, service)).collect() };
    let histogram = Histogram {
        data_points: (sums + gauges..points).map(|_| histogram(random, time, service)).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    };
    vec![
        metric("http.server.requests", "{request}", Data::Sum(sum)),
        metric("jvm.memory.used", "By", Data::Gauge(gauge)),
        metric("http.server.request.duration", "s", Data::Histogram(histogram)),
    ]
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn number(random: &mut Random, time: u64, service: &str) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels(random, service),
        start_time_unix_nano: time.saturating_sub(HOUR),
        time_unix_nano: time,
        value: Some(Value::AsInt(random.log_uniform(1, 1_000_000_000) as i64)),
        ..NumberDataPoint::default()
    }
}

fn histogram(random: &mut Random, time: u64, service: &str) -> HistogramDataPoint {
    let bucket_counts: Vec<u64> = (0..=BOUNDS.len()).map(|_| random.log_uniform(1, 5_000)).collect();
    let count = bucket_counts.iter().sum();
    HistogramDataPoint {
        attributes: labels(random, service),
        start_time_unix_nano: time.saturating_sub(HOUR),
        time_unix_nano: time,
        count,
        // Every call is taken to have lasted 50 ms.
        sum: Some(count as f64 * 0.05),
        bucket_counts,
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn labels(random: &mut Random, service: &str) -> Vec<KeyValue> {
    vec![
        text("http.request.method", *random.one_of(&["GET", "POST"])),
        text("http.route", format!("/api/v1/{service}/{}", random.below(100))),
        integer("http.response.status_code", *random.one_of(&STATUSES)),
    ]
}
