//! Writes a book in which all is told apart as rows of a settled table.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use meshlake_schema::{BatchError, LatencyHistogram, Table, TableBatch, UnixNanos};

use super::ends::End;
use super::entries;
use super::numbers::{histogram_columns, wide};
use crate::cell_key::{CellKey, DetailId};
use crate::cells::Book;
use crate::detail::Detail;
use crate::entry::Entry;
use crate::hashing::NumberMap;
use crate::measure::{SUMS, Sizes};
use crate::sums::Sum;

/// What a row is told apart by, in the order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Place among the ends, and below among the details.
    destination: u32,
    source: u32,
    detail: u32,
    time_micros: i64,
    evidence: &'static str,
    entry: &'static str,
    protocol: &'static str,
}

/// Rows in order. Names are compared once each and not once a row, and what is one cell is not copied: there are a hundred
/// thousand of them.
struct Cells<'a> {
    /// Ascending, each once.
    ends: Vec<End<'a>>,
    details: Vec<String>,
    rows: Vec<(Key, Cow<'a, Sum>)>,
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

fn cells(book: &Book, table: Table) -> Cells<'_> {
    let micros = i64::from(table.cell_seconds().expect("a settled table")) * 1_000_000;
    let is_fine = table.columns().iter().any(|column| column.name == "operation");
    let keys = || book.sums().iter().map(|(key, _)| key);
    let parties = keys().flat_map(|key| [key.source, key.destination]).collect();
    let (ends, end_of) = ranked(parties, |id| End::of(id, book.parties.party(id)));
    let details = keys().map(|key| (key.detail, key.entry)).collect();
    let (details, detail_of) = ranked(details, |(detail, entry)| detail_of_row(book, detail, entry, is_fine));
    let key_of_row = |key: &CellKey| Key {
        destination: end_of[&key.destination],
        source: end_of[&key.source],
        detail: detail_of[&(key.detail, key.entry)],
        time_micros: book.range.bucket_start(key.at.bucket).micros().div_euclid(micros) * micros,
        evidence: key.evidence.name(),
        entry: entries::name(key.entry),
        protocol: key.protocol.name(),
    };
    let mut sums: Vec<(Key, &Sum)> = book.sums().iter().map(|(key, sum)| (key_of_row(key), sum)).collect();
    sums.sort_unstable_by_key(|(key, _)| *key);
    let rows = sums.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, sum_of(same))).collect();
    Cells { ends, details, rows }
}

/// The values of these keys, ascending and each once, and the place of each.
fn ranked<K: Copy + Eq + Hash, V: Ord>(
    keys: HashSet<K>,
    value: impl Fn(K) -> V,
) -> (Vec<V>, NumberMap<K, u32>) {
    let mut pairs: Vec<(V, K)> = keys.into_iter().map(|key| (value(key), key)).collect();
    pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let (mut values, mut places) = (Vec::new(), NumberMap::default());
    for (value, key) in pairs {
        if values.last() != Some(&value) {
            values.push(value);
        }
        places.insert(key, u32::try_from(values.len() - 1).expect("fewer values than cells"));
    }
    (values, places)
}

fn sum_of<'a>(cells: &[(Key, &'a Sum)]) -> Cow<'a, Sum> {
    let [(_, first), others @ ..] = cells else { return Cow::default() };
    let mut sum = Cow::Borrowed(*first);
    others.iter().for_each(|(_, other)| sum.to_mut().merge(other));
    sum
}

/// What the table tells apart of a cell. An instance is the callee's, so that only where it told of itself there is one.
fn detail_of_row(book: &Book, detail: DetailId, entry: Entry, is_fine: bool) -> String {
    let mut detail = Detail::read(book.detail_text(detail).unwrap_or_default());
    if entry == Entry::Alias {
        detail = Detail::default();
    }
    if entry.is_edge() {
        (detail.instance, detail.proxy_version) = (None, None);
    }
    if !is_fine {
        detail = Detail { operation: None, ..detail.of_any_instance() };
    }
    let mut text = String::new();
    detail.write(&mut text);
    text
}

impl Cells<'_> {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.rows.iter().map(|(key, _)| key)
    }

    fn sums(&self) -> impl Iterator<Item = &Sum> + Clone {
        self.rows.iter().map(|(_, sum)| sum.as_ref())
    }

    fn details(&self) -> impl Iterator<Item = Detail<'_>> {
        self.keys().map(|key| Detail::read(&self.details[key.detail as usize]))
    }
}

fn array(column: &str, cells: &Cells<'_>, tenant: &str, now: UnixNanos) -> ArrayRef {
    let keys = || cells.keys();
    let text = |of: &dyn Fn(&Key) -> &'static str| texts(keys().map(|key| Some(of(key))));
    let time = |micros: Vec<i64>| TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC");
    match column {
        "tenant" => texts(keys().map(|_| Some(tenant))),
        "ingest_time" => Arc::new(time(vec![now.micros(); cells.rows.len()])),
        "time" => Arc::new(time(keys().map(|key| key.time_micros).collect())),
        "evidence" => text(&|key| key.evidence),
        "entry" => text(&|key| key.entry),
        "protocol" => text(&|key| key.protocol),
        "observer" => texts(cells.details().map(|detail| Some(detail.observer.name()))),
        _ => end_array(column, cells)
            .or_else(|| detail_array(column, cells))
            .or_else(|| sum_array(column, cells))
            .unwrap_or_else(|| histogram_array(column, cells)),
    }
}

fn end_array(column: &str, cells: &Cells<'_>) -> Option<ArrayRef> {
    let (end, part) = column.split_once('_')?;
    let place = |key: &Key| if end == "source" { key.source } else { key.destination };
    let ends = || cells.keys().map(|key| &cells.ends[place(key) as usize]);
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

fn detail_array(column: &str, cells: &Cells<'_>) -> Option<ArrayRef> {
    let details = || cells.details();
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

fn sum_array(column: &str, cells: &Cells<'_>) -> Option<ArrayRef> {
    let place = SUMS.iter().position(|name| *name == column)?;
    let sums = cells.sums().map(|sum| wide(sum.measure.sums()[place]));
    Some(Arc::new(Int64Array::from_iter_values(sums)))
}

fn histogram_array(column: &str, cells: &Cells<'_>) -> ArrayRef {
    let latency = || cells.sums().map(|sum| sum.measure.latency());
    let none = Sizes::default();
    let sizes = || cells.sums().map(|sum| sum.sizes.as_deref().unwrap_or(&none));
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
        "request_size" => histogram_columns(&sizes().map(|sizes| &sizes.request)),
        "response_size" => histogram_columns(&sizes().map(|sizes| &sizes.response)),
        other => panic!("no cell has a column {other}; every column is tested"),
    };
    [zeros, buckets, counts].into_iter().nth(part).expect("there are three parts")
}

fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
}
