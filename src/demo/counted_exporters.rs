//! The OTLP exporters, with a count of what the receiver has accepted.
//!
//! The SDK drops what it cannot export and says so only in its own log, so a loss would falsify the truth
//! unseen. These wrappers count each span and point whose export was acknowledged and keep the first error.
//! Limit: a partial success is no error to the SDK's exporter and counts as accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as SpanExport};

/// What became of all exports of one provider.
#[derive(Debug, Clone, Default)]
pub struct Accepted(Arc<AcceptedState>);

#[derive(Debug, Default)]
struct AcceptedState {
    count: AtomicU64,
    first_error: OnceLock<String>,
}

impl Accepted {
    /// Spans or data points that the receiver acknowledged.
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// Why the first failed export failed.
    pub fn error(&self) -> Option<&str> {
        self.0.first_error.get().map(String::as_str)
    }

    fn record(&self, count: u64, result: &OTelSdkResult) {
        match result {
            Ok(()) => {
                self.0.count.fetch_add(count, Ordering::AcqRel);
            }
            // Only the first error is kept: the later ones follow from it.
            Err(error) => drop(self.0.first_error.set(error.to_string())),
        }
    }
}

/// Exports spans and counts them.
#[derive(Debug)]
pub struct CountedSpans {
    pub exporter: SpanExporter,
    pub accepted: Accepted,
}

impl SpanExport for CountedSpans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        self.accepted.record(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Exports metrics and counts their data points.
pub struct CountedMetrics {
    pub exporter: MetricExporter,
    pub accepted: Accepted,
}

impl PushMetricExporter for CountedMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.accepted.record(points_of(metrics), &result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

fn points_of(metrics: &ResourceMetrics) -> u64 {
    let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    let points = metrics.map(|metric| match metric.data() {
        AggregatedMetrics::F64(data) => points_in(data),
        AggregatedMetrics::I64(data) => points_in(data),
        AggregatedMetrics::U64(data) => points_in(data),
    });
    points.sum::<usize>() as u64
}

fn points_in<T>(data: &MetricData<T>) -> usize {
    match data {
        MetricData::Gauge(gauge) => gauge.data_points().count(),
        MetricData::Sum(sum) => sum.data_points().count(),
        MetricData::Histogram(histogram) => histogram.data_points().count(),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn only_what_was_acknowledged_is_counted() {
        let accepted = Accepted::default();
        accepted.record(3, &Ok(()));
        accepted.record(5, &Err(OTelSdkError::AlreadyShutdown));
        accepted.record(7, &Err(OTelSdkError::InternalFailure("later".to_owned())));
        accepted.record(4, &Ok(()));
        assert_eq!(accepted.count(), 7);
        assert_eq!(accepted.error(), Some(OTelSdkError::AlreadyShutdown.to_string().as_str()));
    }
}
