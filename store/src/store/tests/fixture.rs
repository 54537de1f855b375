//! Stores of these tests, what is put into them, and what a reader finds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt as _;
use meshlake_schema::{SystemClock, Table, TableBatch, TimeRange, derived};
use object_store::ObjectStoreExt as _;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::task::spawn_blocking;

use crate::group::{AppendError, Group, Lsn};
use crate::maintain::MaintainConfig;
use crate::snapshot::{HotScan, Snapshot};
use crate::store::{Store, StoreConfig};
use crate::test_rows::{ledger_rows, span_rows};

pub(super) fn config(dir: &Path) -> StoreConfig {
    // Flushes happen only when a test asks.
    let flush_age_max = Duration::from_secs(3_600);
    let maintain = MaintainConfig { is_automatic: false, ..MaintainConfig::default() };
    StoreConfig {
        data_dir: dir.to_owned(),
        flush_age_max,
        segment_bytes: 1 << 20,
        maintain,
        free_bytes_min: 1 << 20,
        ..StoreConfig::default()
    }
}

pub(super) async fn open(dir: &Path) -> Store {
    Store::open(config(dir), Arc::new(SystemClock)).await.expect("the store opens")
}

pub(super) async fn append(store: &Store, batches: Vec<TableBatch>) -> Result<Lsn, AppendError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let writer = store.writer();
    let group = Group { batches, exports: Vec::new() };
    let taken = spawn_blocking(move || writer.append(group, Box::new(|r| drop(done.send(r))))).await;
    taken.expect("no panic")?;
    result.await.expect("every group is answered")
}

pub(super) async fn append_span(store: &Store, time: i64) -> Lsn {
    append(store, vec![span_rows(&[time]), ledger_rows(&[(time, 1)])]).await.expect("durable")
}

/// The times of all rows of a snapshot's table, sorted: first those in files, then those in memory.
pub(super) async fn times(snapshot: &Snapshot, table: Table) -> (Vec<i64>, Vec<i64>) {
    values(snapshot, table, "time").await
}

/// An integer column of all rows of a snapshot's table, sorted: first in files, then in memory.
pub(super) async fn values(snapshot: &Snapshot, table: Table, column: &str) -> (Vec<i64>, Vec<i64>) {
    let mut in_files = Vec::new();
    for file in snapshot.table(table).files.iter() {
        let object = snapshot.object_store().get(&file.path).await.expect("the file exists");
        in_files.extend(values_in_file(object.bytes().await.expect("the file is readable"), column));
    }
    let hot = snapshot.table(table).hot.iter();
    let mut in_memory: Vec<i64> = hot.flat_map(|hot| values_in(hot.batch.rows(), column)).collect();
    in_files.sort_unstable();
    in_memory.sort_unstable();
    (in_files, in_memory)
}

pub(super) fn values_in_file(parquet: bytes::Bytes, column: &str) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).expect("Parquet");
    let only = ProjectionMask::columns(reader.parquet_schema(), [column]);
    let reader = reader.with_projection(only).build().expect("reader");
    reader.flat_map(|batch| values_in(&batch.expect("readable"), column)).collect()
}

pub(super) fn values_in(rows: &RecordBatch, column: &str) -> Vec<i64> {
    let values = cast(rows.column_by_name(column).expect("a column"), &DataType::Int64).expect("integers");
    values.as_primitive::<Int64Type>().values().to_vec()
}

pub(super) async fn spans(store: &Store) -> (Vec<i64>, Vec<i64>) {
    times(&store.reader().snapshot().await.expect("in this process"), Table::Spans).await
}

pub(super) async fn all_spans(store: &Store) -> Vec<i64> {
    let (mut all, hot) = spans(store).await;
    all.extend(hot);
    all.sort_unstable();
    all
}

pub(super) async fn ledger_total(store: &Store) -> i64 {
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let (in_files, in_memory) = values(&snapshot, Table::Ledger, "records").await;
    in_files.into_iter().chain(in_memory).sum()
}

/// Spans that `traces` counts: in its files, and in what is derived from buffered spans.
pub(super) async fn traced(snapshot: &Snapshot) -> (i64, i64) {
    counted(snapshot, Table::Traces).await
}

/// Source rows that a derived table counts: in its files, and in what is derived from buffered rows.
pub(super) async fn counted(snapshot: &Snapshot, table: Table) -> (i64, i64) {
    let count = derived::of(table).expect("a derived table").count;
    let (in_files, _) = values(snapshot, table, count).await;
    (in_files.iter().sum(), derived_now(snapshot, table).await)
}

/// Source rows that are counted in what is derived from buffered rows.
pub(super) async fn derived_now(snapshot: &Snapshot, table: Table) -> i64 {
    let count = derived::of(table).expect("a derived table").count;
    let mut all = 0;
    for tenant in ["tenant-0", "tenant-1", "tenant-2"] {
        let scan = HotScan {
            table,
            columns: vec![count.to_owned()],
            tenant: tenant.to_owned(),
            range: TimeRange::ALL,
            filter: None,
        };
        let rows: Vec<RecordBatch> =
            snapshot.hot(&scan).expect("a column").try_collect().await.expect("no bug");
        all += rows.iter().flat_map(|rows| values_in(rows, count)).sum::<i64>();
    }
    all
}

pub(super) async fn traced_now(store: &Store) -> (i64, i64) {
    traced(&store.reader().snapshot().await.expect("in this process")).await
}
