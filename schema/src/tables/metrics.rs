//! Columns of the four metric tables: one per shape of data point, because a shape that does not apply
//! would otherwise be a column of nulls in every row.
//!
//! Source: opentelemetry/proto/metrics/v1/metrics.proto.

use super::{
    ARRIVAL, ATTRIBUTES, Column, Declared, Kind, Origin, RESOURCE_AND_SCOPE, SCOPE_DROPPED, Table, column,
    nullable,
};

const SORT_KEY: &[&str] = &["metric_name", "series_id", "time"];

pub(super) const POINTS: Declared = Declared {
    table: Table::MetricPoints,
    name: "metric_points",
    doc: "One row per gauge or sum data point.",
    origin: Origin::Received { log_id: 2 },
    sort_key: SORT_KEY,
    columns: point_columns,
};

pub(super) const HISTOGRAMS: Declared = Declared {
    table: Table::MetricHistograms,
    name: "metric_histograms",
    doc: "One row per explicit-bucket histogram data point.",
    origin: Origin::Received { log_id: 3 },
    sort_key: SORT_KEY,
    columns: histogram_columns,
};

pub(super) const EXP_HISTOGRAMS: Declared = Declared {
    table: Table::MetricExpHistograms,
    name: "metric_exp_histograms",
    doc: "One row per exponential histogram data point.",
    origin: Origin::Received { log_id: 4 },
    sort_key: SORT_KEY,
    columns: exp_histogram_columns,
};

pub(super) const SUMMARIES: Declared = Declared {
    table: Table::MetricSummaries,
    name: "metric_summaries",
    doc: "One row per summary data point.",
    origin: Origin::Received { log_id: 5 },
    sort_key: SORT_KEY,
    columns: summary_columns,
};

/// What every data point has, whatever its shape.
const POINT: [Column; 11] = [
    column("time", Kind::Timestamp, "The point's time_unix_nano."),
    column("time_unix_nano", Kind::Int64, "When the point was taken, nanoseconds since the epoch, as sent."),
    nullable(
        "start_time_unix_nano",
        Kind::Int64,
        "Start of the interval, nanoseconds since the epoch, as sent; null when unset.",
    ),
    column("metric_name", Kind::Dictionary, "Name of the metric."),
    nullable("metric_description", Kind::Dictionary, "Description; null when empty."),
    nullable("metric_unit", Kind::Dictionary, "Unit (UCUM); null when empty."),
    nullable(
        "metric_metadata",
        Kind::Dictionary,
        "Metric metadata as canonical JSON; null when there is none.",
    ),
    nullable(
        "metric_metadata_types",
        Kind::Dictionary,
        "The OTLP type of each value in metric_metadata; null when there is none.",
    ),
    column(
        "series_id",
        Kind::Int64,
        "xxh3-64 over metric name, resource id, scope name and the point's attributes as sent, sorted by key: equal ids mean the same series.",
    ),
    column(
        "flags",
        Kind::Int64,
        "Data point flags; bit 0 means that no value was recorded, and is set for Prometheus' stale marker too.",
    ),
    nullable(
        "exemplars",
        Kind::Exemplars,
        "Exemplars in the order sent, time_unix_nano 0 where the sender set none; null where the shape has none.",
    ),
];

/// How points of a counting shape relate to those before.
const TEMPORALITY: Column = nullable(
    "aggregation_temporality",
    Kind::Int32,
    "OTLP: 0 unspecified, 1 delta, 2 cumulative; null for a gauge and where no type was told.",
);

/// Columns that all histogram shapes share.
const DISTRIBUTION: [Column; 4] = [
    column("count", Kind::Int64, "Number of values in the population; 0 when no value was recorded."),
    nullable("sum", Kind::Float64, "Sum of the values; null when not sent or no value was recorded."),
    nullable("min", Kind::Float64, "Smallest value; null when not sent."),
    nullable("max", Kind::Float64, "Largest value; null when not sent."),
];

fn table(own: &[Column]) -> Vec<Column> {
    ARRIVAL
        .iter()
        .chain(&POINT)
        .chain(own)
        .chain(&RESOURCE_AND_SCOPE)
        .chain([&SCOPE_DROPPED])
        .chain(&ATTRIBUTES)
        .copied()
        .collect()
}

fn point_columns() -> Vec<Column> {
    table(&[
        column(
            "metric_type",
            Kind::Dictionary,
            "gauge, sum, or unknown: a Prometheus sample of which no type was told, or one of another type.",
        ),
        TEMPORALITY,
        nullable("is_monotonic", Kind::Boolean, "Whether the sum only grows; null for all but sums."),
        nullable(
            "value",
            Kind::Float64,
            "The value as a double; null when no value was recorded, and in a row that only carries exemplars.",
        ),
        nullable("value_int", Kind::Int64, "The exact value when it was sent as an integer; else null."),
    ])
}

/// What a Prometheus histogram may say and an OTLP one may not.
const COUNT_DOUBLE: Column = nullable(
    "count_double",
    Kind::Float64,
    "The exact count where it or that of a bucket has a fraction (Prometheus float histograms); the integer counts beside are then rounded. Else null.",
);
const RESET_HINT: Column = nullable(
    "reset_hint",
    Kind::Int32,
    "What a Prometheus sender knows of resets: 1 the first after one, 2 none since the one before, 3 a gauge histogram; null when not told.",
);

fn histogram_columns() -> Vec<Column> {
    let own = [
        column("explicit_bounds", Kind::Float64List, "Upper bounds of the buckets but the last, ascending."),
        column("bucket_counts", Kind::Int64List, "Values per bucket; one more than bounds, or empty."),
        COUNT_DOUBLE,
        nullable(
            "bucket_counts_double",
            Kind::Float64List,
            "As bucket_counts, exact, where count_double is set.",
        ),
        RESET_HINT,
    ];
    table(&[&[TEMPORALITY], DISTRIBUTION.as_slice(), &own].concat())
}

fn exp_histogram_columns() -> Vec<Column> {
    let own = [
        column("scale", Kind::Int32, "Bucket bounds are powers of 2^(2^-scale)."),
        column("zero_count", Kind::Int64, "Values whose magnitude is at most zero_threshold."),
        column("zero_threshold", Kind::Float64, "Width of the zero bucket."),
        column("positive_offset", Kind::Int32, "Index of the first positive bucket."),
        column("positive_bucket_counts", Kind::Int64List, "Values per positive bucket."),
        column("negative_offset", Kind::Int32, "Index of the first negative bucket."),
        column("negative_bucket_counts", Kind::Int64List, "Values per negative bucket."),
        COUNT_DOUBLE,
        nullable("zero_count_double", Kind::Float64, "As zero_count, exact, where count_double is set."),
        nullable(
            "positive_bucket_counts_double",
            Kind::Float64List,
            "As positive_bucket_counts, exact, where count_double is set.",
        ),
        nullable(
            "negative_bucket_counts_double",
            Kind::Float64List,
            "As negative_bucket_counts, exact, where count_double is set.",
        ),
        RESET_HINT,
    ];
    table(&[&[TEMPORALITY], DISTRIBUTION.as_slice(), &own].concat())
}

fn summary_columns() -> Vec<Column> {
    table(&[
        column("count", Kind::Int64, "Number of values in the population; 0 when no value was recorded."),
        column("sum", Kind::Float64, "Sum of the values; 0 when no value was recorded."),
        column("quantiles", Kind::Quantiles, "Quantile values in the order sent."),
    ])
}
