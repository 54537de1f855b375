//! Derives the rows of `traces` from spans, and merges such rows.
//!
//! Pure code in this crate, because three must agree on it to the bit: a flush derives rows from the spans it
//! writes, a query derives them from the spans that are not flushed yet, compaction merges rows of several
//! flushes. A span counts as a part of one and both roads add parts up in the same place (`parts.rs`), hence
//! `derive(a and b) = merge(derive(a), derive(b))`, in any order and grouping.
//!
//! Limits: the lists of services of one result hold at most 2 GiB of text; more is an error.

mod rows;
mod parts;

use std::ops::Range;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use thiserror::Error;

use crate::batch::TableBatch;
use crate::names::{Keys, Names};
use crate::outcome::Outcome;
use crate::tables::Table;
use parts::{Key, Part, Parts, Root};
use rows::finish;

/// OTLP StatusCode ERROR.
const STATUS_ERROR: i32 = 2;

/// Why there are no rows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TracesError {
    /// Half as many spans or rows at a time will do.
    #[error("{bytes} bytes of text in one column of traces")]
    TooLarge { bytes: usize },
}

/// One row per tenant, trace and window of start times of `spans`, sorted by the table's sort key, then tenant.
///
/// # Errors
/// [`TracesError::TooLarge`], which takes more spans than a buffer holds.
///
/// # Panics
/// When a batch is not of `spans`.
pub fn derive(spans: &[TableBatch]) -> Result<TableBatch, TracesError> {
    let mut parts = Parts::default();
    for batch in spans {
        assert_eq!(batch.table(), Table::Spans, "traces are derived from spans");
        add_spans(&mut parts, batch.rows());
    }
    finish(parts)
}

/// One row per tenant, trace and window of `rows`, which are rows of `traces`; sorted as by [`derive`].
///
/// # Errors
/// [`TracesError::TooLarge`] when what comes out would not fit one batch.
///
/// # Panics
/// When a batch is not of `traces`.
pub fn merge(rows: &[TableBatch]) -> Result<TableBatch, TracesError> {
    let mut parts = Parts::default();
    for batch in rows {
        assert_eq!(batch.table(), Table::Traces, "only parts of traces are merged");
        add_rows(&mut parts, batch.rows());
    }
    finish(parts)
}

fn add_spans<'a>(parts: &mut Parts<'a>, rows: &'a RecordBatch) {
    let (trace_ids, parents) = (texts(rows, "trace_id"), texts(rows, "parent_span_id"));
    let (ingest, times) = (micros(rows, "ingest_time"), micros(rows, "time"));
    let (starts, durations) = (integers(rows, "time_unix_nano"), integers(rows, "duration_nano"));
    let statuses = column(rows, "status_code").as_primitive::<Int32Type>().values();
    let http_statuses = column(rows, "http_response_status_code").as_primitive::<Int64Type>();
    let keys = |name| Keys::of(rows, name);
    let (mut tenants, mut services, mut outcomes) = (keys("tenant"), keys("service_name"), keys("outcome"));
    let (mut namespaces, mut operations) = (keys("service_namespace"), keys("name"));
    let error = parts.names.number(Outcome::Error.name());
    for row in 0..rows.num_rows() {
        let names = &mut parts.names;
        let service = services.number(row, names);
        let outcome = outcomes.number(row, names);
        let root = parents.is_null(row).then(|| Root {
            time_nanos: starts[row],
            duration_nanos: durations[row],
            service,
            service_namespace: namespaces.number(row, names),
            name: operations.number(row, names),
            status_code: statuses[row],
            outcome,
            http_status: http_statuses.is_valid(row).then(|| http_statuses.value(row)),
        });
        let part = Part {
            ingest_micros: ingest[row],
            time_micros: times[row],
            time_nanos: starts[row],
            end_nanos: starts[row].saturating_add(durations[row].max(0)),
            last_start_nanos: starts[row],
            span_count: 1,
            error_count: i64::from(outcome == Some(error)),
            status_error_count: i64::from(statuses[row] == STATUS_ERROR),
            services_truncated: false,
            root,
        };
        let tenant = tenants.number(row, names).expect("a row has a tenant");
        let position = parts.add(Key::new(trace_ids.value(row), tenant, times[row]), &part);
        if let Some(service) = service {
            parts.add_service(position, service);
        }
    }
}

fn add_rows<'a>(parts: &mut Parts<'a>, rows: &'a RecordBatch) {
    let trace_ids = texts(rows, "trace_id");
    let (ingest, times) = (micros(rows, "ingest_time"), micros(rows, "time"));
    let (starts, ends) = (integers(rows, "time_unix_nano"), integers(rows, "end_unix_nano"));
    let last_starts = integers(rows, "last_start_unix_nano");
    let (spans, errors) = (integers(rows, "span_count"), integers(rows, "error_count"));
    let status_errors = integers(rows, "status_error_count");
    let truncated = column(rows, "services_truncated").as_boolean();
    let lists = column(rows, "services").as_list::<i32>();
    let services = lists.values().as_string::<i32>();
    let mut tenants = Keys::of(rows, "tenant");
    let mut roots = Roots::of(rows);
    for row in 0..rows.num_rows() {
        let part = Part {
            ingest_micros: ingest[row],
            time_micros: times[row],
            time_nanos: starts[row],
            end_nanos: ends[row],
            last_start_nanos: last_starts[row],
            span_count: spans[row],
            error_count: errors[row],
            status_error_count: status_errors[row],
            services_truncated: truncated.value(row),
            root: roots.root(row, &mut parts.names),
        };
        let tenant = tenants.number(row, &mut parts.names).expect("a row has a tenant");
        let position = parts.add(Key::new(trace_ids.value(row), tenant, times[row]), &part);
        for service in list(lists, row) {
            let service = parts.names.number(services.value(service));
            parts.add_service(position, service);
        }
    }
}

/// The root columns of a batch of `traces`.
struct Roots<'a> {
    times: &'a Int64Array,
    durations: &'a Int64Array,
    services: Keys<'a>,
    service_namespaces: Keys<'a>,
    names: Keys<'a>,
    status_codes: &'a Int32Array,
    outcomes: Keys<'a>,
    http_statuses: &'a Int64Array,
}

impl<'a> Roots<'a> {
    fn of(rows: &'a RecordBatch) -> Self {
        let integers = |name| column(rows, name).as_primitive::<Int64Type>();
        Roots {
            times: integers("root_time_unix_nano"),
            durations: integers("root_duration_nano"),
            services: Keys::of(rows, "root_service"),
            service_namespaces: Keys::of(rows, "root_service_namespace"),
            names: Keys::of(rows, "root_name"),
            status_codes: column(rows, "root_status_code").as_primitive::<Int32Type>(),
            outcomes: Keys::of(rows, "root_outcome"),
            http_statuses: integers("root_http_response_status_code"),
        }
    }

    fn root(&mut self, row: usize, names: &mut Names<'a>) -> Option<Root> {
        self.times.is_valid(row).then(|| Root {
            time_nanos: self.times.value(row),
            duration_nanos: self.durations.value(row),
            service: self.services.number(row, names),
            service_namespace: self.service_namespaces.number(row, names),
            name: self.names.number(row, names),
            status_code: self.status_codes.value(row),
            outcome: self.outcomes.number(row, names),
            http_status: self.http_statuses.is_valid(row).then(|| self.http_statuses.value(row)),
        })
    }
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    rows.column_by_name(name).expect("a proven batch has its table's columns")
}

fn texts<'a>(rows: &'a RecordBatch, name: &str) -> &'a StringArray {
    column(rows, name).as_string()
}

fn integers<'a>(rows: &'a RecordBatch, name: &str) -> &'a [i64] {
    column(rows, name).as_primitive::<Int64Type>().values()
}

fn micros<'a>(rows: &'a RecordBatch, name: &str) -> &'a [i64] {
    column(rows, name).as_primitive::<TimestampMicrosecondType>().values()
}

/// Where a row's entries are among the values of `lists`.
fn list(lists: &ListArray, row: usize) -> Range<usize> {
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

#[cfg(test)]
pub(crate) mod tests;
