//! Rows from points by arithmetic, and the law that lets anyone derive and merge in any order.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::*;
use crate::tables::Column;
use crate::time::WINDOW_MICROS;
use crate::traces::tests::{blank, shown};

/// What a test says about a point; times in microseconds.
#[derive(Debug, Clone)]
struct Point {
    tenant: &'static str,
    metric: &'static str,
    unit: Option<&'static str>,
    series_id: i64,
    resource: String,
    time: i64,
    bounds: Vec<f64>,
    sum: Option<f64>,
}

fn point(metric: &'static str, series_id: i64, time: i64) -> Point {
    let (resource, bounds) = ("{}".to_owned(), vec![]);
    Point { tenant: "default", metric, unit: None, series_id, resource, time, bounds, sum: None }
}

fn batch(table: Table, points: &[Point]) -> TableBatch {
    let columns = table.columns().iter().map(|column| values(column, points)).collect();
    let rows = RecordBatch::try_new(table.schema().clone(), columns).expect("columns fit");
    TableBatch::try_new(table, rows).expect("columns are the table's")
}

fn values(column: &Column, points: &[Point]) -> ArrayRef {
    let texts = |value: fn(&Point) -> Option<&str>| {
        let texts: StringArray = points.iter().map(value).collect();
        cast(&texts, &column.kind.hot_type()).expect("text becomes what the column holds")
    };
    match column.name {
        "tenant" => texts(|point| Some(point.tenant)),
        "metric_name" => texts(|point| Some(point.metric)),
        "metric_unit" => texts(|point| point.unit),
        "resource" => texts(|point| Some(&point.resource)),
        "series_id" => Arc::new(Int64Array::from_iter_values(points.iter().map(|point| point.series_id))),
        "time_unix_nano" => {
            Arc::new(Int64Array::from_iter_values(points.iter().map(|point| point.time * 1_000)))
        }
        "time" | "ingest_time" => {
            let times = points.iter().map(|point| point.time);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        "sum" => Arc::new(points.iter().map(|point| point.sum).collect::<Float64Array>()),
        "explicit_bounds" => lists(&column.kind.hot_type(), points),
        "quantiles" => lists(&column.kind.hot_type(), points),
        _ if column.nullable => new_null_array(&column.kind.hot_type(), points.len()),
        _ => blank(column.kind, points.len()),
    }
}

/// The bounds of points as doubles, or as quantiles whose values are 0.
fn lists(list: &DataType, points: &[Point]) -> ArrayRef {
    let DataType::List(element) = list else { panic!("a list") };
    let offsets = OffsetBuffer::from_lengths(points.iter().map(|point| point.bounds.len()));
    let marks: ArrayRef =
        Arc::new(points.iter().flat_map(|point| point.bounds.clone()).collect::<Float64Array>());
    let values = match element.data_type() {
        DataType::Struct(fields) => {
            let zeros = Arc::new(Float64Array::from(vec![0.0; marks.len()]));
            Arc::new(StructArray::new(fields.clone(), vec![marks, zeros], None)) as ArrayRef
        }
        _ => marks,
    };
    Arc::new(ListArray::new(Arc::clone(element), offsets, values, None))
}

/// One point of each metric, of `metric_points`.
pub(crate) fn points(metrics: &[&'static str]) -> TableBatch {
    batch(Table::MetricPoints, &metrics.iter().map(|metric| point(metric, 1, 1)).collect::<Vec<_>>())
}

fn derived(table: Table, points: &[Point]) -> TableBatch {
    let source = table.source().expect("a derived table");
    derive(table, &[batch(source, points)]).expect("few points")
}

/// All columns of the rows: equal exactly if the rows are, dictionaries compared by text.
fn all(rows: &TableBatch) -> Vec<String> {
    let names: Vec<&str> = rows.table().columns().iter().map(|column| column.name).collect();
    shown(rows, &names)
}

const NAMED: [&str; 6] =
    ["metric_name", "series_id", "time_unix_nano", "last_time_unix_nano", "point_count", "marks"];

#[test]
fn a_row_holds_ends_and_counts_of_a_series_in_a_window() {
    let second = 1_000_000;
    let points = [
        point("b", 7, 2 * second),
        point("a", 9, 5 * second),
        point("a", 3, 30 * second),
        point("a", 9, second),
        point("a", 9, WINDOW_MICROS),
    ];
    let rows = derived(Table::MetricPointsSeries, &points);
    let want = [
        "a 3 30000000000 30000000000 1 []",
        "a 9 1000000000 5000000000 2 []",
        "a 9 900000000000 900000000000 1 []",
        "b 7 2000000000 2000000000 1 []",
    ];
    assert_eq!(shown(&rows, &NAMED), want);
}

#[test]
fn what_a_series_is_called_by_tells_rows_apart() {
    let one = point("a", 1, 1);
    let others = [
        Point { tenant: "other", ..one.clone() },
        Point { unit: Some("s"), ..one.clone() },
        Point { resource: r#"{"a":"b"}"#.to_owned(), ..one.clone() },
        Point { bounds: vec![1.0], ..one.clone() },
    ];
    for other in others {
        let rows = derived(Table::MetricHistogramsSeries, &[one.clone(), other.clone(), one.clone()]);
        assert_eq!(rows.row_count(), 2, "{other:?}");
    }
}

#[test]
fn marks_are_bounds_or_quantiles_and_sums_are_counted() {
    let told = |sum| Point { bounds: vec![0.5, 2.0], sum, ..point("a", 1, 1) };
    let points = [told(Some(3.0)), told(None), told(Some(4.0))];
    let shown_of = |table| shown(&derived(table, &points), &["marks", "point_count", "sum_count"]);
    assert_eq!(shown_of(Table::MetricHistogramsSeries), ["[0.5, 2.0] 3 2"]);
    assert_eq!(shown_of(Table::MetricPointsSeries), ["[] 3 0"]);
    assert_eq!(shown_of(Table::MetricExpHistogramsSeries), ["[] 3 2"]);
    let summaries = points.map(|point| Point { sum: Some(0.0), ..point });
    let rows = derived(Table::MetricSummariesSeries, &summaries);
    assert_eq!(shown(&rows, &["marks", "point_count", "sum_count"]), ["[0.5, 2.0] 3 3"]);
}

#[test]
fn nothing_makes_no_row() {
    for table in Table::ALL
        .into_iter()
        .filter(|table| table.sort_key()[0] == "metric_name" && table.source().is_some())
    {
        assert_eq!(derive(table, &[]).expect("no points").row_count(), 0);
        assert_eq!(derived(table, &[]).row_count(), 0);
        assert_eq!(merge(table, &[]).expect("no rows").row_count(), 0);
    }
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

    /// A point of few series and times, so that everything meets everything, ties included.
    fn point(&mut self) -> Point {
        Point {
            tenant: ["one", "two"][self.below(2) as usize],
            metric: ["a", "b", "c"][self.below(3) as usize],
            unit: (self.below(3) == 0).then_some("s"),
            series_id: self.below(4) as i64,
            resource: format!("{{\"n\":{}}}", self.below(2)),
            time: self.below(3) as i64 * WINDOW_MICROS / 2 + self.below(4) as i64,
            bounds: [vec![], vec![1.0], vec![f64::NAN]][self.below(3) as usize].clone(),
            sum: (self.below(2) == 0).then_some(1.0),
        }
    }
}

/// `derive(a and b) = merge(derive(a), derive(b))` however the points are split, grouped and ordered, and what the table
/// counts is what there is.
#[test]
fn deriving_and_merging_in_any_order_gives_the_same_rows() {
    let table = Table::MetricHistogramsSeries;
    for seed in 1..=20 {
        let mut random = Random(seed);
        let count = random.below(400) as usize;
        let points: Vec<Point> = (0..count).map(|_| random.point()).collect();
        let want = derived(table, &points);
        let mut pieces: Vec<TableBatch> = Vec::new();
        let mut rest = points.as_slice();
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(1 + random.below(rest.len() as u64) as usize);
            pieces.push(batch(Table::MetricHistograms, piece));
            rest = others;
        }
        assert_eq!(all(&derive(table, &pieces).expect("few points")), all(&want), "batches, seed {seed}");
        let derive_one = |piece: &TableBatch| derive(table, std::slice::from_ref(piece)).expect("few points");
        let mut rows: Vec<TableBatch> = pieces.iter().map(derive_one).collect();
        while rows.len() > 1 {
            let taken = rows.swap_remove(random.below(rows.len() as u64) as usize);
            let other = random.below(rows.len() as u64) as usize;
            rows[other] = merge(table, &[rows[other].clone(), taken]).expect("few rows");
        }
        let merged = rows.pop().map_or_else(Vec::new, |rows| all(&rows));
        assert_eq!(merged, all(&want), "merged, seed {seed}");
        let counts: i64 = crate::derived::of(table).expect("it is derived").source_rows(&want);
        assert_eq!(counts, count as i64, "seed {seed}");
    }
}
