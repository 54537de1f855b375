//! A consistent view over everything that is durable: files and buffered batches, each row exactly once.
//!
//! A snapshot is taken at one instant over all tables and never changes; holding one keeps its batches in
//! memory, so hold it for a query, not for ever.

use std::sync::Arc;

use async_trait::async_trait;
use meshlake_schema::{PerTable, Table, TableBatch};
use object_store::ObjectStore;
use object_store::path::Path;
use thiserror::Error;

use crate::group::Lsn;

/// One Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it lies in [`Snapshot::object_store`].
    pub path: Path,
    pub size_bytes: u64,
    pub rows: u64,
    /// The partition: days since 1970-01-01 of every row's `time`.
    pub date_days: i32,
    /// Bounds of `time`, microseconds since the epoch, both inclusive; of a file of another writer perhaps up to a
    /// millisecond too wide, or its whole date.
    pub time_min_micros: i64,
    pub time_max_micros: i64,
    /// Of a file of `spans`: every row of it is counted in `traces`. False for files from before that table
    /// was there, and for files of other writers.
    pub is_in_traces: bool,
}

/// Rows that are durable in the WAL and not yet in a file.
#[derive(Debug, Clone)]
pub struct HotBatch {
    /// The records that the rows came in, both inclusive.
    pub lsn_first: Lsn,
    pub lsn_last: Lsn,
    pub batch: TableBatch,
}

/// One table's part of a snapshot: rows of `files` have LSNs up to `watermark`, rows of `hot` above it.
#[derive(Debug, Clone, Default)]
pub struct TableSnapshot {
    pub files: Arc<Vec<DataFile>>,
    /// In LSN order.
    pub hot: Arc<Vec<HotBatch>>,
    pub watermark: Lsn,
}

/// All tables at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    tables: PerTable<TableSnapshot>,
    object_store: Arc<dyn ObjectStore>,
}

impl Snapshot {
    pub fn new(tables: impl Into<PerTable<TableSnapshot>>, object_store: Arc<dyn ObjectStore>) -> Self {
        Snapshot { tables: tables.into(), object_store }
    }

    pub fn table(&self, table: Table) -> &TableSnapshot {
        &self.tables[table]
    }

    /// Where the files lie.
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.object_store
    }
}

/// Why no snapshot could be taken; trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("take a snapshot: {0}")]
pub struct ReadError(pub String);

/// Where snapshots come from: the store in this process, or (later) a collector in another one.
#[async_trait]
pub trait Reader: Send + Sync + 'static {
    /// Everything acknowledged before this call is in the snapshot.
    async fn snapshot(&self) -> Result<Snapshot, ReadError>;
}
