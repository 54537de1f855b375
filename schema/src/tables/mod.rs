//! The tables: names, ids, and the columns of each with unit, origin and meaning.
//!
//! A table has two schemas. The *hot* one ([`Table::schema`]) is what decoders build, the WAL frames and
//! the buffer holds: strings that repeat are dictionaries. The *open* one ([`Table::open_schema`]) is what
//! Parquet files and the Delta log declare to every other reader: dictionaries become plain strings, and
//! the `date` partition column is added. Columns are only ever added, never renamed or dropped, because
//! the Delta tables stay on writer version 2 without column mapping.

mod calls;
mod ledger;
mod logs;
mod metrics;
mod requests;
mod spans;
mod traces;
mod series;
mod kinds;
mod per_table;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use serde::{Deserialize, Serialize};

use kinds::{column, nullable};

pub use calls::SETTLE_MARGIN_MINUTES;
pub use kinds::{Column, Kind, event_fields, exemplar_fields, link_fields, quantile_fields};
pub use per_table::PerTable;
pub use spans::{KEYS_BY_KIND, OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType, Spans};
pub use traces::{SERVICE_NAME_BYTES_MAX, SERVICES_MAX};

/// The partition column of every open table: the UTC day of `time`.
pub const DATE_COLUMN: &str = "date";

/// Every table that is stored: received ones, and those derived from them ([`Table::origin`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Calls that are counted, in cells of ten seconds, a minute and ten minutes; see `calls.rs`.
    Calls10s,
    Calls1m,
    Calls10m,
    /// Which series each metric table has, derived from its points; see `series.rs`.
    MetricPointsSeries,
    MetricHistogramsSeries,
    MetricExpHistogramsSeries,
    MetricSummariesSeries,
}

impl Table {
    pub const ALL: [Table; 16] = [
        Table::Spans,
        Table::Logs,
        Table::MetricPoints,
        Table::MetricHistograms,
        Table::MetricExpHistograms,
        Table::MetricSummaries,
        Table::Requests,
        Table::Ledger,
        Table::Traces,
        Table::Calls10s,
        Table::Calls1m,
        Table::Calls10m,
        Table::MetricPointsSeries,
        Table::MetricHistogramsSeries,
        Table::MetricExpHistogramsSeries,
        Table::MetricSummariesSeries,
    ];

    /// Where the table stands in [`Table::ALL`], for arrays with a place per table. Never stored: it changes
    /// with every table that is added before others.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The number that stands for the table in WAL records; none for a table whose rows are never logged.
    pub const fn log_id(self) -> Option<u16> {
        match self.declared().origin {
            Origin::Received { log_id } => Some(log_id),
            Origin::AtFlush { .. } | Origin::Settled { .. } => None,
        }
    }

    pub fn from_log_id(id: u16) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.log_id() == Some(id))
    }

    /// The name in SQL, in the data directory and in the Delta log.
    pub const fn name(self) -> &'static str {
        self.declared().name
    }

    /// One sentence for people: what a row is.
    pub const fn doc(self) -> &'static str {
        self.declared().doc
    }

    /// How rows come into the table.
    pub const fn origin(self) -> Origin {
        self.declared().origin
    }

    /// The table that this one's rows are computed from at a flush; none for any other.
    pub const fn source(self) -> Option<Table> {
        match self.declared().origin {
            Origin::AtFlush { source } => Some(source),
            Origin::Received { .. } | Origin::Settled { .. } => None,
        }
    }

    /// How many seconds a cell of a settled table spans; none for any other table.
    pub const fn cell_seconds(self) -> Option<u32> {
        match self.declared().origin {
            Origin::Settled { cell_seconds } => Some(cell_seconds),
            Origin::Received { .. } | Origin::AtFlush { .. } => None,
        }
    }

    /// The tables whose rows are computed from this one's at a flush.
    pub fn derived(self) -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(move |table| table.source() == Some(self))
    }

    /// The tables whose rows are cells of calls, the finest first.
    pub fn settled() -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(|table| table.cell_seconds().is_some())
    }

    /// The tables whose rows are received: those that are logged and buffered.
    pub fn received() -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(|table| table.log_id().is_some())
    }

    /// The columns in their order, documented.
    pub fn columns(self) -> &'static [Column] {
        static COLUMNS: LazyLock<PerTable<Vec<Column>>> =
            LazyLock::new(|| PerTable::of(|table| (table.declared().columns)()));
        &COLUMNS[self]
    }

    /// The columns that order a file: rows that are read together lie together. The first names
    /// what is asked for (service, metric, trace), the last is always `time`.
    pub const fn sort_key(self) -> &'static [&'static str] {
        self.declared().sort_key
    }

    /// The schema of batches in memory and in the WAL.
    pub fn schema(self) -> &'static SchemaRef {
        static SCHEMAS: LazyLock<PerTable<SchemaRef>> = LazyLock::new(|| {
            PerTable::of(|table| {
                let fields: Vec<Field> = table.columns().iter().map(Column::hot_field).collect();
                Arc::new(Schema::new(fields))
            })
        });
        &SCHEMAS[self]
    }

    /// The schema that other readers see: plain strings, and the partition column `date` at the end.
    pub fn open_schema(self) -> &'static SchemaRef {
        static SCHEMAS: LazyLock<PerTable<SchemaRef>> = LazyLock::new(|| {
            PerTable::of(|table| {
                let date = Field::new(DATE_COLUMN, DataType::Date32, true);
                let fields: Vec<Field> =
                    table.columns().iter().map(Column::open_field).chain([date]).collect();
                Arc::new(Schema::new(fields))
            })
        });
        &SCHEMAS[self]
    }

    const fn declared(self) -> &'static Declared {
        &DECLARED[self.index()]
    }
}

/// How rows come into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A sender's, or the ledger's of what senders sent: logged, buffered, flushed.
    Received {
        /// The number of the table in WAL records. On disk for ever: never reuse one, nor 8, which was once
        /// set aside for `traces`.
        log_id: u16,
    },
    /// Computed from the rows of another table when those are flushed; see [`crate::derived`]. Never logged nor
    /// buffered: a flush of the source commits them first.
    AtFlush { source: Table },
    /// Counted by maintenance from the rows of `spans` and `requests` once a minute of them is over, and once more when
    /// late rows reached it. The cells of a minute are replaced as a whole. Never logged nor buffered.
    Settled { cell_seconds: u32 },
}

/// What a table is, in its own file.
struct Declared {
    table: Table,
    name: &'static str,
    doc: &'static str,
    origin: Origin,
    sort_key: &'static [&'static str],
    columns: fn() -> Vec<Column>,
}

/// In the order of [`Table::ALL`].
static DECLARED: [Declared; Table::ALL.len()] = [
    spans::SPANS,
    logs::LOGS,
    metrics::POINTS,
    metrics::HISTOGRAMS,
    metrics::EXP_HISTOGRAMS,
    metrics::SUMMARIES,
    requests::REQUESTS,
    ledger::LEDGER,
    traces::TRACES,
    calls::CALLS_10S,
    calls::CALLS_1M,
    calls::CALLS_10M,
    series::POINTS,
    series::HISTOGRAMS,
    series::EXP_HISTOGRAMS,
    series::SUMMARIES,
];

const _: () = {
    let mut at = 0;
    while at < DECLARED.len() {
        assert!(DECLARED[at].table.index() == at && Table::ALL[at].index() == at, "both are in one order");
        at += 1;
    }
};

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
        let ids: HashSet<_> = Table::received().map(Table::log_id).collect();
        assert_eq!(ids.len(), Table::received().count());
        for table in Table::received() {
            assert_eq!(table.log_id().and_then(Table::from_log_id), Some(table));
        }
        assert_eq!((Table::from_log_id(8), Table::from_log_id(99)), (None, None));
    }

    #[test]
    fn a_derived_table_is_not_logged_and_its_source_is() {
        for table in Table::ALL {
            let is_made = table.source().is_some() != table.cell_seconds().is_some();
            assert_eq!(table.log_id().is_none(), is_made, "{}", table.name());
            assert!(table.source().is_none_or(|source| source.log_id().is_some()), "{}", table.name());
        }
        let derived = |table: Table| table.derived().collect::<Vec<_>>();
        assert_eq!(derived(Table::Spans), [Table::Traces]);
        assert_eq!(derived(Table::MetricSummaries), [Table::MetricSummariesSeries]);
        assert_eq!(derived(Table::Requests), []);
    }

    /// A cell of each table is a whole number of the one before, and a minute is settled as a whole.
    #[test]
    fn settled_tables_get_coarser_and_tell_less() {
        let seconds: Vec<_> = Table::settled().filter_map(Table::cell_seconds).collect();
        assert_eq!(seconds, [10, 60, 600]);
        let names = |table: Table| table.columns().iter().map(|c| c.name).collect::<HashSet<_>>();
        assert_eq!(names(Table::Calls10s), names(Table::Calls1m));
        let fine = names(Table::Calls1m);
        let lost: HashSet<_> = fine.difference(&names(Table::Calls10m)).copied().collect();
        assert_eq!(
            lost,
            HashSet::from([
                "operation",
                "route",
                "host",
                "destination_instance",
                "destination_proxy_version"
            ])
        );
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
