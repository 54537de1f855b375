//! Rows of the four metric tables, whatever format they came in: one file a shape of point, what all shapes share in
//! `point`.
//!
//! They take no wire types. Whoever reads a point pushes what its shape has (`push_own`) and what every point has to the
//! columns that all share, then ends the metric and the scope that it belongs to.

pub(crate) mod numbers;
pub(crate) mod histograms;
pub(crate) mod exp_histograms;
mod summaries;
pub(crate) mod point;
pub(crate) mod exemplars;
pub(crate) mod series;

pub use exp_histograms::ExpHistogramBuilder;
pub use histograms::HistogramBuilder;
pub use numbers::PointBuilder;
pub use summaries::SummaryBuilder;

use meshlake_schema::TableBatch;

use crate::columns::origin::{Resource, Scope};
use crate::tally::Arrival;

/// The builders of the four metric tables.
#[derive(Debug, Default)]
pub struct MetricBuilders {
    pub points: PointBuilder,
    pub histograms: HistogramBuilder,
    pub exp_histograms: ExpHistogramBuilder,
    pub summaries: SummaryBuilder,
}

impl MetricBuilders {
    /// Rows of all four since the last batches.
    pub fn rows(&self) -> usize {
        self.points.rows() + self.histograms.rows() + self.exp_histograms.rows() + self.summaries.rows()
    }

    /// Takes all rows, one batch for each table that has any.
    pub fn finish(&mut self) -> Vec<TableBatch> {
        let batches = [
            self.points.finish(),
            self.histograms.finish(),
            self.exp_histograms.finish(),
            self.summaries.finish(),
        ];
        batches.into_iter().flatten().collect()
    }

    pub(crate) fn begin_resource(&mut self) {
        self.points.columns.begin_resource();
        self.histograms.columns.begin_resource();
        self.exp_histograms.columns.begin_resource();
        self.summaries.columns.begin_resource();
    }

    pub(crate) fn end_metric(&mut self, metric: &Metric<'_>) {
        self.points.columns.end_metric(metric);
        self.histograms.columns.end_metric(metric);
        self.exp_histograms.columns.end_metric(metric);
        self.summaries.columns.end_metric(metric);
    }

    pub(crate) fn end_scope(&mut self, arrival: &Arrival<'_>, resource: &Resource, scope: &Scope) {
        self.points.columns.end_scope(arrival, resource, scope);
        self.histograms.columns.end_scope(arrival, resource, scope);
        self.exp_histograms.columns.end_scope(arrival, resource, scope);
        self.summaries.columns.end_scope(arrival, resource, scope);
    }
}

/// What a metric says once for all its points; what it does not say is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) unit: Option<&'a str>,
    /// JSON object and types.
    pub(crate) metadata: Option<(&'a str, &'a str)>,
}
