//! Rows from spans by arithmetic, and the law that lets anyone derive and merge in any order.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    BooleanArray, DictionaryArray, Float64Array, MapArray, StructArray, TimestampMicrosecondArray,
    new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::*;
use crate::tables::{Column, Kind, SERVICE_NAME_BYTES_MAX, SERVICES_MAX};
use crate::time::WINDOW_MICROS;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// What a test says about a span; times in microseconds.
#[derive(Debug, Clone)]
struct Span {
    tenant: &'static str,
    trace_id: String,
    parent: Option<&'static str>,
    start: i64,
    duration: i64,
    service: Option<String>,
    name: String,
    is_error: bool,
    http_status: Option<i64>,
}

fn span(trace_id: &str, start: i64, duration: i64, service: &str) -> Span {
    Span {
        tenant: "default",
        trace_id: trace_id.to_owned(),
        parent: Some("00f067aa0ba902b7"),
        start,
        duration,
        service: Some(service.to_owned()),
        name: "GET /".to_owned(),
        is_error: false,
        http_status: None,
    }
}

fn root(trace_id: &str, start: i64, duration: i64, service: &str, name: &str) -> Span {
    let child = span(trace_id, start, duration, service);
    Span { parent: None, name: name.to_owned(), http_status: Some(503), is_error: true, ..child }
}

fn batch(spans: &[Span]) -> TableBatch {
    let columns = Table::Spans.columns().iter().map(|column| values(column, spans)).collect();
    let rows = RecordBatch::try_new(Table::Spans.schema().clone(), columns).expect("columns fit");
    TableBatch::try_new(Table::Spans, rows).expect("columns are the table's")
}

/// One span of each trace id.
pub(crate) fn spans(trace_ids: &[&str]) -> TableBatch {
    batch(&trace_ids.iter().map(|id| span(id, 1, 1, "a")).collect::<Vec<_>>())
}

fn values(column: &Column, spans: &[Span]) -> ArrayRef {
    let integers = |value: fn(&Span) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(spans.iter().map(value)))
    };
    let texts = |value: fn(&Span) -> Option<&str>| {
        let texts: StringArray = spans.iter().map(value).collect();
        cast(&texts, &column.kind.hot_type()).expect("text becomes what the column holds")
    };
    match column.name {
        "tenant" => texts(|span| Some(span.tenant)),
        "trace_id" => texts(|span| Some(&span.trace_id)),
        "parent_span_id" => texts(|span| span.parent),
        "service_name" => texts(|span| span.service.as_deref()),
        "name" => texts(|span| Some(&span.name)),
        "outcome" => texts(|span| Some(if span.is_error { "error" } else { "ok" })),
        "time_unix_nano" => integers(|span| span.start * 1_000),
        "duration_nano" => integers(|span| span.duration * 1_000),
        "http_response_status_code" => Arc::new(spans.iter().map(|s| s.http_status).collect::<Int64Array>()),
        "status_code" => {
            Arc::new(Int32Array::from_iter_values(spans.iter().map(|s| if s.is_error { 2 } else { 0 })))
        }
        "time" | "ingest_time" => {
            let times = spans.iter().map(|span| span.start);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        _ if column.nullable => new_null_array(&column.kind.hot_type(), spans.len()),
        _ => blank(column.kind, spans.len()),
    }
}

/// A column whose values do not matter.
pub(crate) fn blank(kind: Kind, count: usize) -> ArrayRef {
    match kind.hot_type() {
        DataType::Utf8 => Arc::new(StringArray::from(vec![""; count])),
        DataType::Dictionary(..) => {
            Arc::new(vec![""; count].into_iter().collect::<DictionaryArray<Int32Type>>())
        }
        DataType::Int32 => Arc::new(Int32Array::from(vec![0; count])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![0; count])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![0.0; count])),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![false; count])),
        DataType::List(element) => {
            let values = new_empty_array(element.data_type());
            Arc::new(ListArray::new(element, OffsetBuffer::new_zeroed(count), values, None))
        }
        DataType::Map(entry, sorted) => {
            let entries = StructArray::from(new_empty_array(entry.data_type()).to_data());
            Arc::new(MapArray::new(entry, OffsetBuffer::new_zeroed(count), entries, None, sorted))
        }
        other => panic!("spans have no column of {other}"),
    }
}

fn derived(spans: &[Span]) -> TableBatch {
    derive(&[batch(spans)]).expect("few spans")
}

/// The columns `names` of the rows, each row as text, null as an empty text.
pub(crate) fn shown(rows: &TableBatch, names: &[&str]) -> Vec<String> {
    let columns = names.iter().map(|name| match column(rows.rows(), name) {
        // Only builds with a database of time zones show `UTC`.
        times if times.data_type().is_temporal() => cast(times, &DataType::Int64).expect("to microseconds"),
        column => Arc::clone(column),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let cell = |column: &ArrayRef, row: usize| {
        arrow::util::display::array_value_to_string(column, row).expect("every kind has a text")
    };
    (0..rows.row_count())
        .map(|row| columns.iter().map(|column| cell(column, row)).collect::<Vec<_>>().join(" "))
        .collect()
}

/// All columns of the rows: equal exactly if the rows are, dictionaries compared by text.
fn all(rows: &TableBatch) -> Vec<String> {
    let names: Vec<&str> = Table::Traces.columns().iter().map(|column| column.name).collect();
    shown(rows, &names)
}

#[test]
fn a_row_holds_bounds_counts_root_and_services() {
    let spans = [
        span(B, 50, 10, "billing"),
        span(A, 130, 900, "cart"),
        root(A, 100, 500, "shop", "GET /cart"),
        span(A, 120, 10, "auth"),
        span(A, 140, 20, "cart"),
    ];
    let rows = derived(&spans);
    let times = ["time_unix_nano", "end_unix_nano", "last_start_unix_nano", "duration_nano"];
    // A ends with the cart's span, at 130 + 900; B has one span.
    assert_eq!(shown(&rows, &times), ["100000 1030000 140000 930000", "50000 60000 50000 10000"]);
    assert_eq!(shown(&rows, &["trace_id", "span_count"]), [format!("{A} 4"), format!("{B} 1")]);
    let counts = ["error_count", "status_error_count", "services", "services_truncated"];
    assert_eq!(shown(&rows, &counts), ["1 1 [auth, cart, shop] false", "0 0 [billing] false"]);
    let of_root = ["root_time_unix_nano", "root_duration_nano", "root_service", "root_name"];
    assert_eq!(shown(&rows, &of_root), ["100000 500000 shop GET /cart", "   "]);
    let of_root = ["root_status_code", "root_outcome", "root_http_response_status_code"];
    assert_eq!(shown(&rows, &of_root), ["2 error 503", "  "]);
}

#[test]
fn tenants_and_windows_have_rows_of_their_own() {
    let spans = [
        span(A, 5, 1, "a"),
        Span { tenant: "other", ..span(A, 6, 1, "b") },
        span(A, WINDOW_MICROS - 1, 1, "c"),
        span(A, WINDOW_MICROS, 1, "d"),
    ];
    let rows = shown(&derived(&spans), &["tenant", "time_unix_nano", "span_count", "services"]);
    assert_eq!(rows, ["default 5000 2 [a, c]", "other 6000 1 [b]", "default 900000000000 1 [d]"]);
}

#[test]
fn an_end_before_the_start_is_no_end() {
    let rows = derived(&[span(A, 10, -5, "a"), span(A, 12, -3, "a")]);
    assert_eq!(shown(&rows, &["end_unix_nano", "duration_nano"]), ["12000 2000"]);
}

#[test]
fn the_earliest_root_is_the_root_whoever_comes_first() {
    let (early, late) = (root(A, 1, 5, "early", "x"), root(A, 2, 9, "late", "y"));
    let twin = root(A, 1, 5, "earlier by name", "x");
    for spans in [[early.clone(), late.clone(), twin.clone()], [twin, late, early]] {
        let rows = derived(&spans);
        assert_eq!(shown(&rows, &["root_service", "root_name"]), ["earlier by name x"]);
    }
}

#[test]
fn a_span_without_a_service_is_counted_and_lists_none() {
    let rows = derived(&[Span { service: None, ..span(A, 1, 1, "") }]);
    assert_eq!(shown(&rows, &["span_count", "services"]), ["1 []"]);
}

#[test]
fn services_beyond_the_limit_are_left_out_and_that_is_said() {
    let name = |i: usize| format!("service-{i:03}");
    for (count, truncated) in [(SERVICES_MAX, "false"), (SERVICES_MAX + 1, "true")] {
        // The last by name comes first.
        let spans: Vec<Span> = (0..count).rev().map(|i| span(A, 1, 1, &name(i))).collect();
        let rows = derived(&spans);
        let want: Vec<String> = (0..SERVICES_MAX).map(name).collect();
        assert_eq!(shown(&rows, &["services"]), [format!("[{}]", want.join(", "))]);
        assert_eq!(shown(&rows, &["services_truncated", "span_count"]), [format!("{truncated} {count}")]);
    }
}

#[test]
fn a_long_service_name_is_cut_and_that_is_said() {
    let long = "x".repeat(SERVICE_NAME_BYTES_MAX + 1);
    let rows = derived(&[span(A, 1, 1, &long), span(A, 1, 1, &format!("{long}y"))]);
    let want = format!("[{}] true", &long[1..]);
    assert_eq!(shown(&rows, &["services", "services_truncated"]), [want]);
}

#[test]
fn nothing_makes_no_row() {
    assert_eq!(derive(&[]).expect("no spans").row_count(), 0);
    assert_eq!(derived(&[]).row_count(), 0);
    assert_eq!(merge(&[]).expect("no rows").row_count(), 0);
}

/// Numbers that repeat with the seed: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// A span of few traces, services and times, so that everything meets everything, ties included.
    fn span(&mut self) -> Span {
        let service = (self.below(9) > 0).then(|| format!("s{}", self.below(90)));
        Span {
            tenant: ["one", "two"][self.below(2) as usize],
            trace_id: format!("{:032x}", self.below(5)),
            parent: (self.below(4) > 0).then_some("00f067aa0ba902b7"),
            start: self.below(3) as i64 * WINDOW_MICROS / 2 + self.below(4) as i64,
            duration: self.below(6) as i64 - 2,
            service,
            name: format!("n{}", self.below(3)),
            is_error: self.below(5) == 0,
            http_status: (self.below(2) == 0).then(|| 200 + self.below(2) as i64),
        }
    }
}

/// `derive(a and b) = merge(derive(a), derive(b))` however the spans are split, grouped and ordered, and
/// what `traces` counts is what `spans` has.
#[test]
fn deriving_and_merging_in_any_order_gives_the_same_rows() {
    for seed in 1..=40 {
        let mut random = Random(seed);
        // Up to 800 spans of five traces: lists of services overflow in some of them.
        let count = random.below(800) as usize;
        let spans: Vec<Span> = (0..count).map(|_| random.span()).collect();
        let want = derived(&spans);

        let mut pieces: Vec<TableBatch> = Vec::new();
        let mut rest = spans.as_slice();
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(1 + random.below(rest.len() as u64) as usize);
            pieces.push(batch(piece));
            rest = others;
        }
        assert_eq!(all(&derive(&pieces).expect("few spans")), all(&want), "batches, seed {seed}");

        let mut rows: Vec<TableBatch> =
            pieces.iter().map(|piece| derive(std::slice::from_ref(piece)).expect("few spans")).collect();
        while rows.len() > 1 {
            let taken = rows.swap_remove(random.below(rows.len() as u64) as usize);
            let other = random.below(rows.len() as u64) as usize;
            let both = [rows[other].clone(), taken];
            rows[other] = merge(&both).expect("few rows");
        }
        let merged = rows.pop().map_or_else(Vec::new, |rows| all(&rows));
        assert_eq!(merged, all(&want), "merged, seed {seed}");
        assert_eq!(
            all(&merge(std::slice::from_ref(&want)).expect("few rows")),
            all(&want),
            "merged alone, seed {seed}"
        );

        let counted: i64 = integers(want.rows(), "span_count").iter().sum();
        assert_eq!(counted, count as i64, "seed {seed}");
        let keys: BTreeSet<(&str, &str, i64)> = spans
            .iter()
            .map(|span| (span.tenant, span.trace_id.as_str(), span.start / WINDOW_MICROS))
            .collect();
        assert_eq!(want.row_count(), keys.len(), "one row per key, seed {seed}");
    }
}
