//! Columns of the four tables of series: which series a metric table has, without a look at its points.
//!
//! One table a metric table, all with the same columns, so that each is derived from one source with one watermark
//! (docs/decisions/011). A row is a part of a series: its points of one 15-minute window that came in one flush, until
//! compaction merges parts. It keeps what was sent, not the labels of Prometheus that are made of it, so that rules for
//! labels may change. A series that changes its unit, say, or its buckets has a row for each.

use super::{
    ARRIVAL, ATTRIBUTES, Column, Declared, Kind, Origin, RESOURCE_AND_SCOPE, Table, column, nullable,
};

pub(super) const POINTS: Declared = Declared {
    table: Table::MetricPointsSeries,
    name: "metric_points_series",
    doc: "One row per part of a series of metric_points: its points of one 15-minute window. Group by series_id.",
    origin: Origin::AtFlush { source: Table::MetricPoints },
    sort_key: SORT_KEY,
    columns,
};

pub(super) const HISTOGRAMS: Declared = Declared {
    table: Table::MetricHistogramsSeries,
    name: "metric_histograms_series",
    doc: "As metric_points_series, of metric_histograms.",
    origin: Origin::AtFlush { source: Table::MetricHistograms },
    ..POINTS
};

pub(super) const EXP_HISTOGRAMS: Declared = Declared {
    table: Table::MetricExpHistogramsSeries,
    name: "metric_exp_histograms_series",
    doc: "As metric_points_series, of metric_exp_histograms.",
    origin: Origin::AtFlush { source: Table::MetricExpHistograms },
    ..POINTS
};

pub(super) const SUMMARIES: Declared = Declared {
    table: Table::MetricSummariesSeries,
    name: "metric_summaries_series",
    doc: "As metric_points_series, of metric_summaries.",
    origin: Origin::AtFlush { source: Table::MetricSummaries },
    ..POINTS
};

const SORT_KEY: &[&str] = &["metric_name", "series_id", "time"];

/// Columns of sources that may differ from one point of a series to the next and name nothing.
const NOT_OF_SERIES: [&str; 2] = ["resource_schema_url", "resource_dropped_attributes_count"];

fn columns() -> Vec<Column> {
    let own = [
        column("time", Kind::Timestamp, "Earliest time of a point."),
        column("time_unix_nano", Kind::Int64, "Earliest time of a point, nanoseconds since the epoch."),
        column("last_time_unix_nano", Kind::Int64, "Latest time of a point, nanoseconds since the epoch."),
        column("metric_name", Kind::Dictionary, "Name of the metric."),
        nullable("metric_description", Kind::Dictionary, "Description; null when empty."),
        nullable("metric_unit", Kind::Dictionary, "Unit (UCUM); null when empty."),
        nullable("metric_metadata", Kind::Dictionary, "As in the metric's table."),
        nullable("metric_metadata_types", Kind::Dictionary, "As in the metric's table."),
        column("series_id", Kind::Int64, "As in the metric's table: equal ids mean the same series."),
        nullable("metric_type", Kind::Dictionary, "As in metric_points; null for other shapes."),
        nullable("aggregation_temporality", Kind::Int32, "As in the metric's table; null for a summary."),
        nullable("is_monotonic", Kind::Boolean, "As in metric_points; null for other shapes."),
        column(
            "marks",
            Kind::Float64List,
            "What tells apart the series that Prometheus has of one: bounds of a histogram's buckets, quantiles of a summary; else empty.",
        ),
        column("point_count", Kind::Int64, "Points of this part."),
        column("sum_count", Kind::Int64, "Points of this part that told a sum, of histograms and summaries."),
    ];
    let resource_and_scope = RESOURCE_AND_SCOPE.iter().filter(|column| !NOT_OF_SERIES.contains(&column.name));
    ARRIVAL.iter().chain(&own).chain(resource_and_scope).chain(&ATTRIBUTES).copied().collect()
}
