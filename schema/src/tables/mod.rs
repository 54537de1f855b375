//! The tables: names, ids, and the columns of each with unit, origin and meaning.
//!
//! A table has two schemas. The *hot* one ([`Table::schema`]) is what decoders build, the WAL frames and
//! the buffer holds: strings that repeat are dictionaries. The *open* one ([`Table::open_schema`]) is what
//! Parquet files and the Delta log declare to every other reader: dictionaries become plain strings, and
//! the `date` partition column is added. Columns are only ever added, never renamed or dropped, because
//! the Delta tables stay on writer version 2 without column mapping.

mod ledger;
mod logs;
mod metrics;
mod requests;
mod spans;
mod traces;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

pub use spans::{OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};
pub use traces::{SERVICE_NAME_BYTES_MAX, SERVICES_MAX};

/// The partition column of every open table: the UTC day of `time`.
pub const DATE_COLUMN: &str = "date";

/// Every table that is stored: received ones, and those derived from them ([`Table::source`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Spans,
    Logs,
    MetricPoints,
    MetricHistograms,
    MetricExpHistograms,
    MetricSummaries,
    Requests,
    /// The loss ledger, one row per change. It is flushed after all others; see `ledger.rs`.
    Ledger,
    /// When each trace was and who took part, derived from spans; see `traces.rs`.
    Traces,
}

impl Table {
    pub const ALL: [Table; 9] = [
        Table::Spans,
        Table::Logs,
        Table::MetricPoints,
        Table::MetricHistograms,
        Table::MetricExpHistograms,
        Table::MetricSummaries,
        Table::Requests,
        Table::Ledger,
        Table::Traces,
    ];

    /// The number that stands for the table in WAL records. On disk for ever: never reuse one.
    pub const fn id(self) -> u16 {
        match self {
            Table::Spans => 0,
            Table::Logs => 1,
            Table::MetricPoints => 2,
            Table::MetricHistograms => 3,
            Table::MetricExpHistograms => 4,
            Table::MetricSummaries => 5,
            Table::Requests => 6,
            Table::Ledger => 7,
            Table::Traces => 8,
        }
    }

    pub fn from_id(id: u16) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.id() == id)
    }

    /// The name in SQL, in the data directory and in the Delta log.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Spans => "spans",
            Table::Logs => "logs",
            Table::MetricPoints => "metric_points",
            Table::MetricHistograms => "metric_histograms",
            Table::MetricExpHistograms => "metric_exp_histograms",
            Table::MetricSummaries => "metric_summaries",
            Table::Requests => "requests",
            Table::Ledger => "ledger",
            Table::Traces => "traces",
        }
    }

    /// One sentence for people: what a row is.
    pub const fn doc(self) -> &'static str {
        match self {
            Table::Spans => "One row per span received over OTLP.",
            Table::Logs => "One row per log record received over OTLP.",
            Table::MetricPoints => "One row per gauge or sum data point.",
            Table::MetricHistograms => "One row per explicit-bucket histogram data point.",
            Table::MetricExpHistograms => "One row per exponential histogram data point.",
            Table::MetricSummaries => "One row per summary data point.",
            Table::Requests => "One row per call that a proxy observed and logged.",
            Table::Ledger => "One row per change of what was received, accepted, rejected or deduplicated.",
            Table::Traces => {
                "One row per part of a trace: its spans of one 15-minute window. Group by trace_id."
            }
        }
    }

    /// The table that this one's rows are computed from; none for a table whose rows are received.
    ///
    /// Derived rows are never in the WAL nor buffered: a flush of the source commits them first.
    pub const fn source(self) -> Option<Table> {
        match self {
            Table::Traces => Some(Table::Spans),
            Table::Spans
            | Table::Logs
            | Table::MetricPoints
            | Table::MetricHistograms
            | Table::MetricExpHistograms
            | Table::MetricSummaries
            | Table::Requests
            | Table::Ledger => None,
        }
    }

    /// The tables whose rows are computed from this one's.
    pub fn derived(self) -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(move |table| table.source() == Some(self))
    }

    /// The tables whose rows are received.
    pub fn received() -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(|table| table.source().is_none())
    }

    /// The columns in their order, documented.
    pub fn columns(self) -> &'static [Column] {
        static COLUMNS: LazyLock<[Vec<Column>; Table::ALL.len()]> = LazyLock::new(|| {
            [
                spans::columns(),
                logs::columns(),
                metrics::point_columns(),
                metrics::histogram_columns(),
                metrics::exp_histogram_columns(),
                metrics::summary_columns(),
                requests::columns(),
                ledger::columns(),
                traces::columns(),
            ]
        });
        &COLUMNS[usize::from(self.id())]
    }

    /// The columns that order a file: rows that are read together lie together. The first names
    /// what is asked for (service, metric, trace), the last is always `time`.
    pub const fn sort_key(self) -> &'static [&'static str] {
        match self {
            Table::Spans => &["service_name", "name", "time"],
            Table::Logs => &["service_name", "time"],
            Table::MetricPoints
            | Table::MetricHistograms
            | Table::MetricExpHistograms
            | Table::MetricSummaries => &["metric_name", "series_id", "time"],
            Table::Requests => &["destination_service", "route", "time"],
            Table::Ledger => &["tenant", "signal", "time"],
            Table::Traces => &["trace_id", "time"],
        }
    }

    /// The schema of batches in memory and in the WAL.
    pub fn schema(self) -> &'static SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; Table::ALL.len()]> = LazyLock::new(|| {
            Table::ALL.map(|table| {
                let fields: Vec<Field> = table.columns().iter().map(Column::hot_field).collect();
                Arc::new(Schema::new(fields))
            })
        });
        &SCHEMAS[usize::from(self.id())]
    }

    /// The schema that other readers see: plain strings, and the partition column `date` at the end.
    pub fn open_schema(self) -> &'static SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; Table::ALL.len()]> = LazyLock::new(|| {
            Table::ALL.map(|table| {
                let date = Field::new(DATE_COLUMN, DataType::Date32, true);
                let fields: Vec<Field> =
                    table.columns().iter().map(Column::open_field).chain([date]).collect();
                Arc::new(Schema::new(fields))
            })
        });
        &SCHEMAS[usize::from(self.id())]
    }
}

/// One column: its name, its kind, whether it may be null, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
    /// Meaning, unit, origin; when null.
    pub doc: &'static str,
}

/// What a column can hold. Nested kinds have fixed shapes so that files of all tables agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string that rarely repeats: ids, paths, bodies.
    Text,
    /// A string that repeats: a dictionary in memory, plain text in the open schema.
    Dictionary,
    Int32,
    Int64,
    Float64,
    Boolean,
    /// Microseconds since the epoch, UTC.
    Timestamp,
    /// Attribute keys and values as text; see `attributes.rs` for how values are written.
    Attributes,
    /// Distinct strings, sorted.
    TextList,
    Int64List,
    Float64List,
    Events,
    Links,
    Exemplars,
    Quantiles,
}

impl Column {
    fn hot_field(&self) -> Field {
        Field::new(self.name, self.kind.hot_type(), self.nullable)
    }

    fn open_field(&self) -> Field {
        let kind = if self.kind == Kind::Dictionary { Kind::Text } else { self.kind };
        Field::new(self.name, kind.hot_type(), self.nullable)
    }
}

impl Kind {
    /// The Arrow type in memory. Field names inside lists and maps are those that Parquet and Delta
    /// prescribe (`element`; `key_value` with `key` and `value`), so that no reader has to rename.
    pub fn hot_type(self) -> DataType {
        match self {
            Kind::Text => DataType::Utf8,
            Kind::Dictionary => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::Float64 => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Attributes => attributes_type(),
            Kind::TextList => list_of(DataType::Utf8),
            Kind::Int64List => list_of(DataType::Int64),
            Kind::Float64List => list_of(DataType::Float64),
            Kind::Events => list_of(DataType::Struct(event_fields())),
            Kind::Links => list_of(DataType::Struct(link_fields())),
            Kind::Exemplars => list_of(DataType::Struct(exemplar_fields())),
            Kind::Quantiles => list_of(DataType::Struct(quantile_fields())),
        }
    }
}

fn attributes_type() -> DataType {
    let entry = DataType::Struct(Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]));
    DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, false)))
}

/// Fields of one span event, in order. Source: opentelemetry/proto/trace/v1/trace.proto, `Span.Event`.
pub fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("attributes", attributes_type(), false),
        Field::new("attribute_types", DataType::Utf8, false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
    ])
}

/// Fields of one span link, in order. Source: trace.proto, `Span.Link`.
pub fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new("trace_id", DataType::Utf8, false),
        Field::new("span_id", DataType::Utf8, false),
        Field::new("trace_state", DataType::Utf8, false),
        Field::new("attributes", attributes_type(), false),
        Field::new("attribute_types", DataType::Utf8, false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
        Field::new("flags", DataType::Int64, false),
    ])
}

/// Fields of one exemplar, in order. Source: metrics.proto, `Exemplar`. `value_int` is set exactly when
/// the value was sent as an integer; `value` holds it as a double in either case.
pub fn exemplar_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, false),
        Field::new("value", DataType::Float64, true),
        Field::new("value_int", DataType::Int64, true),
        Field::new("trace_id", DataType::Utf8, true),
        Field::new("span_id", DataType::Utf8, true),
        Field::new("attributes", attributes_type(), false),
        Field::new("attribute_types", DataType::Utf8, false),
    ])
}

/// Fields of one summary quantile, in order. Source: metrics.proto, `SummaryDataPoint.ValueAtQuantile`.
pub fn quantile_fields() -> Fields {
    Fields::from(vec![
        Field::new("quantile", DataType::Float64, false),
        Field::new("value", DataType::Float64, false),
    ])
}

const fn column(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: false, doc }
}

const fn nullable(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: true, doc }
}

/// Columns that say whose row it is and when it came; the same in every table.
const ARRIVAL: [Column; 2] = [
    column("tenant", Kind::Dictionary, "Whose data this is: the X-Scope-OrgID header, or `default`."),
    column("ingest_time", Kind::Timestamp, "When the collector took the row in, by its own clock."),
];

/// Columns that OTLP sends once per resource and scope; the same in spans, logs and metrics.
const RESOURCE_AND_SCOPE: [Column; 14] = [
    nullable(
        "service_name",
        Kind::Dictionary,
        "Resource attribute service.name; null when absent, empty or no plain value.",
    ),
    nullable(
        "service_namespace",
        Kind::Dictionary,
        "Resource attribute service.namespace, else k8s.namespace.name.",
    ),
    nullable("service_version", Kind::Dictionary, "Resource attribute service.version."),
    nullable(
        "service_instance_id",
        Kind::Dictionary,
        "Resource attribute service.instance.id, else k8s.pod.name.",
    ),
    column(
        "resource",
        Kind::Dictionary,
        "All resource attributes as one canonical JSON object, keys sorted.",
    ),
    column(
        "resource_types",
        Kind::Dictionary,
        "The OTLP type of each value in `resource`, in the same order.",
    ),
    column(
        "resource_id",
        Kind::Int64,
        "xxh3-64 of `resource`, a zero byte and `resource_types`; equal ids mean equal resources.",
    ),
    nullable("resource_schema_url", Kind::Dictionary, "schema_url beside the resource; null when empty."),
    column("resource_dropped_attributes_count", Kind::Int64, "Resource attributes that the sender dropped."),
    nullable("scope_name", Kind::Dictionary, "Instrumentation scope name; null when empty."),
    nullable("scope_version", Kind::Dictionary, "Instrumentation scope version; null when empty."),
    nullable(
        "scope_attributes",
        Kind::Dictionary,
        "Scope attributes as canonical JSON; null when there are none.",
    ),
    nullable(
        "scope_attribute_types",
        Kind::Dictionary,
        "The OTLP type of each value in `scope_attributes`; null when there are none.",
    ),
    nullable("scope_schema_url", Kind::Dictionary, "schema_url beside the scope; null when empty."),
];

const SCOPE_DROPPED: Column =
    column("scope_dropped_attributes_count", Kind::Int64, "Scope attributes that the sender dropped.");

/// The row's own attributes; the same in every table that has them.
const ATTRIBUTES: [Column; 2] = [
    column("attributes", Kind::Attributes, "Attributes that have no column of their own, values as text."),
    column(
        "attribute_types",
        Kind::Dictionary,
        "The OTLP type of each entry of `attributes`, in the same order.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_and_names_are_unique_and_come_back() {
        let names: HashSet<_> = Table::ALL.iter().map(|t| t.name()).collect();
        assert_eq!(names.len(), Table::ALL.len());
        for (position, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(table.id()), position, "columns() and schema() index by id");
            assert_eq!(Table::from_id(table.id()), Some(table));
        }
        assert_eq!(Table::from_id(99), None);
    }

    #[test]
    fn every_column_is_documented_once() {
        for table in Table::ALL {
            let names: HashSet<_> = table.columns().iter().map(|c| c.name).collect();
            assert_eq!(names.len(), table.columns().len(), "{} repeats a column", table.name());
            for column in table.columns() {
                assert!(column.doc.ends_with('.'), "{}.{} has no sentence", table.name(), column.name);
                assert!(!names.contains(DATE_COLUMN), "{DATE_COLUMN} is the partition column");
            }
            for key in table.sort_key() {
                assert!(names.contains(key), "{} has no sort column {key}", table.name());
            }
        }
    }

    #[test]
    fn the_open_schema_has_no_dictionaries_and_ends_with_the_date() {
        for table in Table::ALL {
            let open = table.open_schema();
            assert_eq!(open.fields().len(), table.schema().fields().len() + 1);
            assert_eq!(open.fields().last().map(|f| f.name().as_str()), Some(DATE_COLUMN));
            assert!(open.fields().iter().all(|f| !matches!(f.data_type(), DataType::Dictionary(..))));
        }
    }
}
