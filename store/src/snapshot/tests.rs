//! What a snapshot hands out of the buffer: whose rows, which of them, and what is derived from them.

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, DictionaryArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use futures::executor::block_on;
use futures::{StreamExt as _, TryStreamExt as _};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, TimeRange, UnixNanos};
use object_store::memory::InMemory;

use super::*;
use crate::test_rows::{ledger_rows, rows, span_rows};

fn hot(lsn_first: Lsn, lsn_last: Lsn, batch: TableBatch) -> HotBatch {
    HotBatch { lsn_first, ..HotBatch::of(lsn_last, batch) }
}

/// A snapshot in which `table` buffers `batches`; of `traces` rows up to the watermark are in files.
fn snapshot(table: Table, batches: Vec<HotBatch>, traces_watermark: Lsn) -> Snapshot {
    let mut tables = PerTable::<TableSnapshot>::default();
    tables[table].hot = Arc::new(batches);
    tables[Table::Traces].watermark = traces_watermark;
    Snapshot::new(tables, Arc::new(InMemory::new()))
}

fn scan(table: Table, columns: &[&str]) -> HotScan {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    HotScan { table, columns, tenant: "tenant-0".to_owned(), range: TimeRange::ALL, filter: None }
}

fn read(snapshot: &Snapshot, scan: &HotScan) -> Result<Vec<RecordBatch>, ReadError> {
    block_on(snapshot.hot(scan)?.try_collect())
}

fn times(batches: &[RecordBatch]) -> Vec<i64> {
    let times = |batch: &RecordBatch| {
        let times = batch.column_by_name("time").expect("it is asked for").clone();
        times.as_primitive::<TimestampMicrosecondType>().values().to_vec()
    };
    batches.iter().flat_map(times).collect()
}

#[test]
fn no_row_of_another_tenant_comes() {
    // Row i is of tenant-(i % 3).
    let snapshot = snapshot(Table::Spans, vec![hot(1, 1, span_rows(&[10, 11, 12, 13, 14]))], 0);
    let mut asked = scan(Table::Spans, &["time", "tenant"]);
    let batches = read(&snapshot, &asked).expect("columns of spans");
    assert_eq!(times(&batches), [10, 13]);
    let tenants =
        batches[0].column(1).as_dictionary::<Int32Type>().downcast_dict::<arrow::array::StringArray>();
    assert!(tenants.expect("text").into_iter().all(|tenant| tenant == Some("tenant-0")));
    asked.tenant = "tenant-9".to_owned();
    assert!(read(&snapshot, &asked).expect("columns of spans").is_empty());
}

#[test]
fn the_columns_come_in_the_order_asked_for_and_a_wrong_one_is_named() {
    let snapshot = snapshot(Table::Spans, vec![hot(1, 1, span_rows(&[10]))], 0);
    let batches = read(&snapshot, &scan(Table::Spans, &["trace_id", "time", "name"])).expect("columns");
    let names: Vec<_> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["trace_id", "time", "name"]);
    assert!(matches!(batches[0].column(2).data_type(), DataType::Dictionary(..)), "as in memory");
    let error = read(&snapshot, &scan(Table::Spans, &["trace_ids"])).expect_err("there is no such column");
    assert!(error.to_string().ends_with("table spans has no column trace_ids"), "{error}");
}

#[test]
fn a_batch_of_one_tenant_is_not_copied() {
    let batch = span_rows(&[10]);
    let buffer = batch.rows().column_by_name("trace_id").expect("a column").to_data().buffers()[1].as_ptr();
    let snapshot = snapshot(Table::Spans, vec![hot(1, 1, batch)], 0);
    let batches = read(&snapshot, &scan(Table::Spans, &["trace_id"])).expect("a column");
    assert_eq!(batches[0].column(0).to_data().buffers()[1].as_ptr(), buffer);
}

#[test]
fn batches_outside_of_the_range_are_left_out_whole() {
    let batches = vec![hot(1, 1, span_rows(&[10])), hot(2, 2, span_rows(&[20])), hot(3, 3, span_rows(&[30]))];
    let snapshot = snapshot(Table::Spans, batches, 0);
    let range = TimeRange { from: UnixNanos::from_micros(20), to: UnixNanos::from_micros(30) };
    let asked = HotScan { range, ..scan(Table::Spans, &["time"]) };
    assert_eq!(times(&read(&snapshot, &asked).expect("a column")), [20]);
}

/// Of the second batch one span is a proxy's.
#[test]
fn batches_of_which_nothing_is_true_that_is_asked_for_are_left_out_whole() {
    let of_proxies = |batch: &TableBatch, are: &[bool]| {
        let fields = batch.rows().schema();
        let columns = fields.fields().iter().zip(batch.rows().columns()).map(|(field, column)| {
            let are: ArrayRef = Arc::new(BooleanArray::from(are.to_vec()));
            if field.name() == "is_proxy" { are } else { Arc::clone(column) }
        });
        let rows = RecordBatch::try_new(Arc::clone(&fields), columns.collect()).expect("as many rows");
        TableBatch::try_new(Table::Spans, rows).expect("columns of spans")
    };
    let batches = vec![
        hot(1, 1, of_proxies(&span_rows(&[10]), &[false])),
        hot(2, 2, of_proxies(&span_rows(&[20]), &[true])),
    ];
    let snapshot = snapshot(Table::Spans, batches, 0);
    let asked = |is_proxy| {
        let filter = Filter::And(vec![Filter::equals("is_proxy", Value::Boolean(is_proxy))]);
        times(
            &read(&snapshot, &HotScan { filter: Some(filter), ..scan(Table::Spans, &["time"]) })
                .expect("a column"),
        )
    };
    assert_eq!((asked(true), asked(false)), (vec![20], vec![10, 20]));
}

#[test]
fn the_last_record_of_each_minute_is_told() {
    let minute = |minute: i64| UnixNanos::from_micros(minute * 60_000_000);
    let at = |minute: i64| minute * 60_000_000 + 1;
    let batches = vec![hot(4, 4, span_rows(&[at(7), at(8)])), hot(5, 5, span_rows(&[at(8), at(20)]))];
    let told = snapshot(Table::Spans, batches, 0);
    let records = |from, to| told.last_records(TimeRange { from: minute(from), to: minute(to) });
    assert_eq!(records(0, 20), [(7, 4), (8, 5)].into());
    assert_eq!(records(8, 21), [(8, 5), (20, 5)].into());
    assert_eq!(records(9, 20), [].into());
}

#[test]
fn where_rows_may_start_is_told_by_the_minute() {
    let minute = |minute: i64| UnixNanos::from_micros(minute * 60_000_000);
    let told = snapshot(Table::Spans, vec![hot(4, 4, span_rows(&[7 * 60_000_000 + 1]))], 0);
    let may = |table, from, to| told.may_start(table, TimeRange { from: minute(from), to: minute(to) });
    assert_eq!(
        [may(Table::Spans, 5, 7), may(Table::Spans, 7, 8), may(Table::Spans, 8, 9)],
        [false, true, false]
    );
    assert!(told.may_start(Table::Spans, TimeRange::ALL) && !told.may_start(Table::Requests, TimeRange::ALL));
}

fn span_counts(batches: &[RecordBatch]) -> Vec<i64> {
    let counts = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(counts).collect()
}

#[test]
fn traces_are_derived_from_spans_above_their_own_watermark() {
    let batches = vec![hot(1, 1, span_rows(&[10])), hot(2, 3, span_rows(&[20, 21, 22, 23]))];
    let asked = scan(Table::Traces, &["span_count"]);
    // Each span is of a trace of its own; of the second batch rows 0 and 3 are tenant-0's. All first rows are
    // of one trace.
    for (watermark, want) in [(0, 3), (1, 2), (3, 0)] {
        let snapshot = snapshot(Table::Spans, batches.clone(), watermark);
        let counts = span_counts(&read(&snapshot, &asked).expect("a column of traces"));
        assert_eq!(counts.iter().sum::<i64>(), want, "above {watermark}");
    }
    let error = read(&snapshot(Table::Spans, batches, 2), &asked).expect_err("half of a batch is in files");
    assert!(error.to_string().contains("2..=3 straddle watermark 2"), "{error}");
}

#[test]
fn a_trace_asked_for_comes_alone() {
    let snapshot = snapshot(Table::Spans, vec![hot(1, 1, span_rows(&[20, 21, 22, 23]))], 0);
    let by_id = |id: &str| Some(Filter::equals("trace_id", Value::Text(id.to_owned())));
    let asked = |filter| HotScan { filter, ..scan(Table::Traces, &["span_count"]) };
    assert_eq!(span_counts(&read(&snapshot, &asked(by_id("trace_id-0"))).expect("a column")), [1]);
    assert!(read(&snapshot, &asked(by_id("none"))).expect("a column").is_empty());
}

#[test]
fn nothing_is_done_before_it_is_read() {
    let broken = vec![hot(1, 2, span_rows(&[10]))];
    let mut rows = snapshot(Table::Spans, broken, 1).hot(&scan(Table::Traces, &["time"])).expect("columns");
    assert!(block_on(rows.next()).expect("one answer").is_err(), "it straddles");
}

#[test]
fn accepted_records_count_as_unflushed_while_their_tables_buffer_rows_before_them() {
    let accepted = |signal: &str, records| {
        let same = ledger_rows(&[(0, records)]);
        let schema = same.rows().schema();
        let columns = schema.fields().iter().zip(same.rows().columns());
        let columns = columns.map(|(field, column)| match field.name().as_str() {
            "event" => text("accepted"),
            "signal" => text(signal),
            _ => Arc::clone(column),
        });
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("text for text");
        TableBatch::try_new(Table::Ledger, rows).expect("columns of the ledger")
    };
    let mut tables = PerTable::<TableSnapshot>::default();
    let ledger = [
        (4, accepted("logs", 7)),
        (6, accepted("logs", 8)),
        (7, accepted("traces", 9)),
        (8, accepted("new", 1)),
    ];
    tables[Table::Ledger].hot = Arc::new(ledger.map(|(lsn, rows)| hot(lsn, lsn, rows)).into());
    tables[Table::Logs].hot = Arc::new(vec![hot(5, 6, rows(Table::Logs, &[0]))]);
    let snapshot = Snapshot::new(tables, Arc::new(InMemory::new()));
    let unflushed = block_on(snapshot.unflushed("same")).expect("columns of the ledger");
    let of =
        |signal: &str, records| Unflushed { signal: signal.to_owned(), source: "same".to_owned(), records };
    // No span is buffered; a signal that nobody knows waits for every table.
    assert_eq!(unflushed, [of("logs", 8), of("new", 1)]);
    assert!(block_on(snapshot.unflushed("other")).expect("columns of the ledger").is_empty());
}

fn text(text: &str) -> ArrayRef {
    Arc::new(std::iter::once(text).collect::<DictionaryArray<Int32Type>>())
}
