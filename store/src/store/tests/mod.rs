//! The store from append to snapshot; crashes at the steps of a flush are in `crash.rs`, merging, retention
//! and vacuum in `maintain.rs`, power cuts at any operation of the disk in `simulated.rs`.
//!
//! Rows are told apart by their time, so "each row once" is a comparison of lists.

mod fixture;
mod reader;
mod stop;
mod crash;
mod maintain;
mod minutes;
mod full;
mod simulated;
mod settle;
mod golden;
mod inspect;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use deltalake_core::DeltaTableBuilder;
use meshlake_schema::{SystemClock, Table, TableBatch};
use object_store::ObjectStoreExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::group::{ExportEntry, Group, Lsn, StoredExport};
use crate::snapshot::Snapshot;
use crate::test_rows::{MIDNIGHT, ledger_rows, span_rows};
use fixture::{
    all_spans, append, append_span, config, ledger_total, open, spans, times, traced, traced_now, values_in,
    values_in_file,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appended_rows_are_in_the_next_snapshot_and_move_to_files() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    for i in 0..5 {
        append_span(&store, MIDNIGHT + i).await;
    }
    let want: Vec<i64> = (0..5).map(|i| MIDNIGHT + i).collect();
    assert_eq!(spans(&store).await, (vec![], want.clone()));
    assert_eq!(traced_now(&store).await, (0, 5));
    store.flush_all().await.expect("flush");
    assert_eq!(spans(&store).await, (want, vec![]));
    assert_eq!(traced_now(&store).await, (5, 0));
    assert_eq!(ledger_total(&store).await, 5);
    assert_eq!(store.stats().buffer_bytes, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_and_opening_keeps_every_row_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    append_span(&store, MIDNIGHT + 1).await;
    store.flush_all().await.expect("flush");
    let last = append_span(&store, MIDNIGHT + 2).await;
    store.close().await;

    let store = open(dir.path()).await;
    assert_eq!(spans(&store).await, (vec![MIDNIGHT + 1], vec![MIDNIGHT + 2]));
    assert_eq!(ledger_total(&store).await, 2);
    assert!(append_span(&store, MIDNIGHT + 3).await > last);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_go_on_above_the_tables_when_the_log_is_deleted() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    for i in 1..=3 {
        append_span(&store, MIDNIGHT + i).await;
    }
    store.flush_all().await.expect("flush");
    store.close().await;
    fs::remove_dir_all(dir.path().join("wal")).expect("remove");

    let store = open(dir.path()).await;
    assert_eq!(append_span(&store, MIDNIGHT + 4).await, 4);
    store.flush_all().await.expect("flush");
    assert_eq!(spans(&store).await, ((1..=4).map(|i| MIDNIGHT + i).collect(), vec![]));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_store_on_the_directory_is_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let second = Store::open(config(dir.path()), Arc::new(SystemClock)).await;
    let Err(StoreError::DataDir(error)) = second else { panic!("two stores on one directory") };
    assert!(error.to_string().contains("is in use by another meshlake process"), "{error}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_cut_when_all_tables_have_its_rows() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    // 40 groups of 1,000 rows fill several segments of 1 MiB.
    let rows: Vec<i64> = (0..1_000).map(|i| MIDNIGHT + i).collect();
    for _ in 0..40 {
        append(&store, vec![span_rows(&rows)]).await.expect("durable");
    }
    let before = store.stats().wal.wal.segments;
    assert!(before > 3, "{before} segments");
    store.flush_all().await.expect("flush");
    append_span(&store, MIDNIGHT).await;
    assert!(store.stats().wal.wal.segments <= 2, "{:?}", store.stats().wal.wal);
    store.close().await;
}

/// A thread appends numbered rows while the test flushes and takes snapshots: what was acknowledged before
/// a snapshot is in it, and nothing is in it twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_during_flushes_misses_and_doubles_nothing() {
    const GROUPS: u64 = 400;
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let acked = Arc::new(AtomicU64::new(0));
    let is_done = Arc::new(AtomicBool::new(false));
    let appender = std::thread::spawn({
        let (writer, acked, is_done) = (store.writer(), Arc::clone(&acked), Arc::clone(&is_done));
        move || {
            for i in 0..GROUPS {
                let (done, result) = mpsc::channel();
                let group = Group { batches: vec![span_rows(&[MIDNIGHT + i as i64])], exports: Vec::new() };
                writer.append(group, Box::new(move |r| done.send(r).expect("awaited"))).expect("open");
                result.recv().expect("answered").expect("durable");
                acked.store(i + 1, Ordering::SeqCst);
            }
            is_done.store(true, Ordering::SeqCst);
        }
    });
    let flushing = async {
        while !is_done.load(Ordering::SeqCst) {
            store.flush_all().await.expect("flush");
        }
    };
    let reading = async {
        let mut snapshots = 0;
        while !is_done.load(Ordering::SeqCst) {
            let acked_before = acked.load(Ordering::SeqCst);
            let snapshot = store.reader().snapshot().await.expect("in this process");
            let (mut rows, hot) = times(&snapshot, Table::Spans).await;
            rows.extend(hot);
            rows.sort_unstable();
            let (in_files, derived) = traced(&snapshot).await;
            assert_eq!(in_files + derived, rows.len() as i64, "snapshot {snapshots}");
            let want: Vec<i64> = (0..rows.len() as i64).map(|i| MIDNIGHT + i).collect();
            assert_eq!(rows, want, "snapshot {snapshots}");
            assert!(rows.len() as u64 >= acked_before, "{} rows, {acked_before} acknowledged", rows.len());
            snapshots += 1;
        }
    };
    futures::future::join(flushing, reading).await;
    appender.join().expect("no panic");
    assert_eq!(all_spans(&store).await.len() as u64, GROUPS);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_larger_than_the_budget_goes_to_files() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let rows: Vec<i64> = (0..500).map(|i| MIDNIGHT + i).collect();
    for _ in 0..10 {
        append(&store, vec![span_rows(&rows), ledger_rows(&[(MIDNIGHT, 500)])]).await.expect("durable");
    }
    let bytes = store.stats().buffer_bytes;
    store.close().await;
    let small = StoreConfig { buffer_bytes_max: bytes / 2, ..config(dir.path()) };
    let store = Store::open(small, Arc::new(SystemClock)).await.expect("the store opens");
    let (in_files, in_memory) = spans(&store).await;
    assert!(!in_files.is_empty());
    assert_eq!(in_files.len() + in_memory.len(), 5_000);
    assert_eq!(traced_now(&store).await, (in_files.len() as i64, in_memory.len() as i64));
    assert_eq!(ledger_total(&store).await, 5_000);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_buffer_is_flushed_without_being_asked() {
    let dir = tempfile::tempdir().expect("temporary directory");
    // One row is more than half of this.
    let tiny = StoreConfig { buffer_bytes_max: 100, ..config(dir.path()) };
    let store = Store::open(tiny, Arc::new(SystemClock)).await.expect("the store opens");
    append(&store, vec![span_rows(&[MIDNIGHT])]).await.expect("durable");
    while spans(&store).await.0.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!store.status().is_over_budget(0));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_row_is_flushed_without_being_asked() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let hasty = StoreConfig { flush_age_max: Duration::from_millis(1), ..config(dir.path()) };
    let store = Store::open(hasty, Arc::new(SystemClock)).await.expect("the store opens");
    append_span(&store, MIDNIGHT).await;
    while spans(&store).await.0.is_empty() {
        tokio::task::yield_now().await;
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_delta_reader_sees_protocol_schema_files_and_txn() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let last = append_span(&store, MIDNIGHT + 7).await;
    store.flush_all().await.expect("flush");
    let app_id = format!("{:032x}/0", store.collector_id());
    store.close().await;

    let url = url::Url::from_directory_path(dir.path().join("tables/spans")).expect("an absolute path");
    let table = DeltaTableBuilder::from_url(url).expect("a URL").load().await.expect("a Delta table");
    let state = table.snapshot().expect("loaded");
    assert_eq!((state.protocol().min_reader_version(), state.protocol().min_writer_version()), (1, 2));
    let txn = state.transaction_version(table.log_store().as_ref(), app_id).await.expect("readable");
    assert_eq!(txn, Some(last as i64));
    assert_eq!(state.metadata().partition_columns(), &["date".to_owned()]);
    let configuration = state.metadata().configuration();
    assert_eq!(configuration.get("delta.logRetentionDuration").map(String::as_str), Some("interval 1 day"));
    let names: Vec<String> = state.schema().fields().map(|field| field.name().clone()).collect();
    let want: Vec<String> =
        Table::Spans.open_schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, want);
    let uris: Vec<String> = table.get_file_uris().expect("files").collect();
    assert_eq!(uris.len(), 1);
    assert!(uris[0].contains("date=2026-11-23/0000-"), "{uris:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_derived_table_has_a_watermark_of_its_own_kind() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let last = append_span(&store, MIDNIGHT + 7).await;
    store.flush_all().await.expect("flush");
    let app_id = format!("{:032x}/0/spans", store.collector_id());
    store.close().await;

    let url = url::Url::from_directory_path(dir.path().join("tables/traces")).expect("an absolute path");
    let table = DeltaTableBuilder::from_url(url).expect("a URL").load().await.expect("a Delta table");
    let state = table.snapshot().expect("loaded");
    let txn = state.transaction_version(table.log_store().as_ref(), app_id).await.expect("readable");
    assert_eq!(txn, Some(last as i64));
    let uris: Vec<String> = table.get_file_uris().expect("files").collect();
    assert_eq!(uris.len(), 1);
    assert!(uris[0].contains("date=2026-11-23/0000-"), "{uris:?}");
}

/// A data directory from before the table was there: it is made, old spans are not in it and say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_without_traces_gets_them_from_then_on() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    append_span(&store, MIDNIGHT + 1).await;
    store.flush_all().await.expect("flush");
    append_span(&store, MIDNIGHT + 2).await;
    store.close().await;
    fs::remove_dir_all(dir.path().join("tables/traces")).expect("remove");
    // Nor did the files of that time say anything about it, and entries had no checksum.
    let entry = dir.path().join("tables/spans/_delta_log/00000000000000000001.json");
    let text = fs::read_to_string(&entry).expect("readable");
    assert!(text.contains("in_traces"), "{text}");
    let older = text.replace("in_traces", "another_tag").replace("meshlakeCrc32c", "another_key");
    fs::write(&entry, older).expect("writable");

    let store = open(dir.path()).await;
    assert_eq!(traced_now(&store).await, (0, 1));
    append_span(&store, MIDNIGHT + 3).await;
    store.flush_all().await.expect("flush");
    assert_eq!(spans(&store).await.0.len(), 3);
    assert_eq!(traced_now(&store).await, (2, 0));
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let mut known: Vec<(u64, bool)> =
        snapshot.table(Table::Spans).files.iter().map(|file| (file.rows, file.is_derived_from)).collect();
    known.sort_unstable();
    assert_eq!(known, [(1, false), (2, true)]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_the_log_come_back_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let export = ExportEntry { hash: 77, rows: vec![(Table::Spans, 1)] };
    let group = Group { batches: vec![span_rows(&[MIDNIGHT])], exports: vec![export] };
    let (done, result) = mpsc::channel();
    store.writer().append(group, Box::new(move |r| done.send(r).expect("awaited"))).expect("open");
    result.recv().expect("answered").expect("durable");
    store.close().await;
    let mut store = open(dir.path()).await;
    assert_eq!(store.take_recovered_exports(), [StoredExport { hash: 77, rows: 1, seconds: 0 }]);
    assert!(store.take_recovered_exports().is_empty());
    assert_eq!(store.recovered().records, 1);
    store.close().await;
}
