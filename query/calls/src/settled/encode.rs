//! Writes a book in which all is told apart as rows of a settled table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use meshlake_schema::{BatchError, LatencyHistogram, Table, TableBatch, UnixNanos};

use super::ends::End;
use super::entries;
use super::numbers::{histogram_columns, wide};
use crate::cell_key::CellKey;
use crate::cells::Book;
use crate::detail::Detail;
use crate::entry::Entry;
use crate::measure::{Measure, SUMS, Sizes};

/// What a row is told apart by, in the order of rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    destination: End<'a>,
    source: End<'a>,
    detail: String,
    time_micros: i64,
    evidence: &'static str,
    entry: &'static str,
    protocol: &'static str,
}

#[derive(Debug, Default)]
struct Value {
    measure: Measure,
    sizes: Sizes,
}

/// The cells of `book` as rows of `table`, sorted by callee, caller and time, made at `now`.
///
/// # Errors
/// A bug of ours: the columns are not the table's.
///
/// # Panics
/// When the table has no cells.
pub fn rows(book: &Book, table: Table, tenant: &str, now: UnixNanos) -> Result<TableBatch, BatchError> {
    let cells = cells(book, table);
    let columns = table.columns().iter().map(|column| array(column.name, &cells, tenant, now)).collect();
    let rows = RecordBatch::try_new(Arc::clone(table.schema()), columns)
        .expect("columns are of the table's types; tested for every table");
    TableBatch::try_new(table, rows)
}

fn cells(book: &Book, table: Table) -> BTreeMap<Key<'_>, Value> {
    let seconds = i64::from(table.cell_seconds().expect("a settled table"));
    let is_fine = table.columns().iter().any(|column| column.name == "operation");
    let mut cells: BTreeMap<Key<'_>, Value> = BTreeMap::new();
    for (key, measure) in book.cells() {
        let start = book.range.bucket_start(key.at.bucket).micros().div_euclid(1_000_000);
        let key_of_row = Key {
            destination: End::of(key.destination, book.parties.party(key.destination)),
            source: End::of(key.source, book.parties.party(key.source)),
            detail: detail_of_row(book, key, is_fine),
            time_micros: start.div_euclid(seconds) * seconds * 1_000_000,
            evidence: key.evidence.name(),
            entry: entries::name(key.entry),
            protocol: key.protocol.name(),
        };
        let value = cells.entry(key_of_row).or_default();
        value.measure.merge(measure);
        if let Some(sizes) = book.sizes(key) {
            value.sizes.merge(sizes);
        }
    }
    cells
}

/// What the table tells apart of a cell. An instance is the callee's, so that only where it told of itself there is one.
fn detail_of_row(book: &Book, key: &CellKey, is_fine: bool) -> String {
    let mut detail = Detail::read(book.detail_text(key.detail).unwrap_or_default());
    if key.entry == Entry::Alias {
        detail = Detail::default();
    }
    if key.entry.is_edge() {
        (detail.instance, detail.proxy_version) = (None, None);
    }
    if !is_fine {
        detail = Detail { operation: None, ..detail.of_any_instance() };
    }
    let mut text = String::new();
    detail.write(&mut text);
    text
}

fn array(column: &str, cells: &BTreeMap<Key<'_>, Value>, tenant: &str, now: UnixNanos) -> ArrayRef {
    let keys = || cells.keys();
    let text = |of: &dyn Fn(&Key<'_>) -> &'static str| texts(keys().map(|key| Some(of(key))));
    let time = |micros: Vec<i64>| TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC");
    match column {
        "tenant" => texts(keys().map(|_| Some(tenant))),
        "ingest_time" => Arc::new(time(vec![now.micros(); cells.len()])),
        "time" => Arc::new(time(keys().map(|key| key.time_micros).collect())),
        "evidence" => text(&|key| key.evidence),
        "entry" => text(&|key| key.entry),
        "protocol" => text(&|key| key.protocol),
        "observer" => text(&|key| Detail::read(&key.detail).observer.name()),
        _ => end_array(column, cells)
            .or_else(|| detail_array(column, cells))
            .or_else(|| sum_array(column, cells))
            .unwrap_or_else(|| histogram_array(column, cells)),
    }
}

fn end_array(column: &str, cells: &BTreeMap<Key<'_>, Value>) -> Option<ArrayRef> {
    let (end, part) = column.split_once('_')?;
    let ends = || cells.keys().map(|key| if end == "source" { &key.source } else { &key.destination });
    let int = |of: &dyn Fn(&End<'_>) -> Option<i64>| -> ArrayRef {
        Arc::new(ends().map(|end| of(end).map(|number| number as i32)).collect::<Int32Array>())
    };
    if !["source", "destination"].contains(&end) {
        return None;
    }
    let array: ArrayRef = match part {
        "naming" => texts(ends().map(|end| end.naming)),
        "name" => texts(ends().map(|end| end.name)),
        "namespace" => texts(ends().map(|end| end.namespace)),
        "workload" => texts(ends().map(|end| end.workload)),
        "version" => texts(ends().map(|end| end.version)),
        "port" => int(&|end| end.port),
        "marks" => int(&|end| end.marks),
        "is_scoped" => Arc::new(ends().map(|end| end.is_scoped).collect::<BooleanArray>()),
        _ => return None,
    };
    Some(array)
}

fn detail_array(column: &str, cells: &BTreeMap<Key<'_>, Value>) -> Option<ArrayRef> {
    let details = || cells.keys().map(|key| Detail::read(&key.detail));
    let int = |of: &dyn Fn(&Detail<'_>) -> Option<i64>| -> ArrayRef {
        let numbers = details().map(|detail| of(&detail).and_then(|number| i32::try_from(number).ok()));
        Arc::new(numbers.collect::<Int32Array>())
    };
    let array = match column {
        "operation" => texts(details().map(|detail| detail.operation)),
        "route" => texts(details().map(|detail| detail.route)),
        "host" => texts(details().map(|detail| detail.host)),
        "destination_instance" => texts(details().map(|detail| detail.instance)),
        "destination_proxy_version" => texts(details().map(|detail| detail.proxy_version)),
        "source_cluster" => texts(details().map(|detail| detail.source_cluster)),
        "source_principal" => texts(details().map(|detail| detail.source_principal)),
        "destination_cluster" => texts(details().map(|detail| detail.destination_cluster)),
        "destination_principal" => texts(details().map(|detail| detail.destination_principal)),
        "response_flags" => texts(details().map(|detail| detail.response_flags)),
        "connection_security_policy" => texts(details().map(|detail| detail.security)),
        "refusal" => texts(details().map(|detail| detail.refusal)),
        "catch_all" => texts(details().map(|detail| detail.catch_all)),
        "response_code" => int(&|detail| detail.response_code),
        "grpc_status" => int(&|detail| detail.grpc_status),
        _ => return None,
    };
    Some(array)
}

fn sum_array(column: &str, cells: &BTreeMap<Key<'_>, Value>) -> Option<ArrayRef> {
    let place = SUMS.iter().position(|name| *name == column)?;
    let sums = cells.values().map(|value| wide(value.measure.sums()[place]));
    Some(Arc::new(Int64Array::from_iter_values(sums)))
}

fn histogram_array(column: &str, cells: &BTreeMap<Key<'_>, Value>) -> ArrayRef {
    let latency = || cells.values().map(|value| value.measure.latency());
    let bound = |of: fn(&LatencyHistogram) -> Option<u64>| -> ArrayRef {
        Arc::new(latency().map(|held| of(held).map(wide)).collect::<Int64Array>())
    };
    let (name, part) = column.rsplit_once("_zero_milli").map_or_else(
        || column.rsplit_once("_buckets").map_or((column, 2), |(name, _)| (name, 1)),
        |(name, _)| (name, 0),
    );
    let [zeros, buckets, counts] = match name.split("_counts").next().unwrap_or(name) {
        "latency_min_nano" => return bound(LatencyHistogram::min_nano),
        "latency_max_nano" => return bound(LatencyHistogram::max_nano),
        "latency" => histogram_columns(&latency()),
        "request_size" => histogram_columns(&cells.values().map(|value| &value.sizes.request)),
        "response_size" => histogram_columns(&cells.values().map(|value| &value.sizes.response)),
        other => panic!("no cell has a column {other}; every column is tested"),
    };
    [zeros, buckets, counts].into_iter().nth(part).expect("there are three parts")
}

fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
}
