//! A consistent view over everything that is durable: files and buffered rows, each row exactly once.
//!
//! A snapshot is what can be told to another process: per table the files, the watermark up to which they hold
//! every row, and the way to ask for the rows above it, by [`Snapshot::hot`]. Files are read by whoever reads,
//! from the object store; buffered rows are handed out by the collector, for one tenant at a time.
//!
//! ```text
//!   rows with LSN <= watermark   in files: Snapshot::files, read from Snapshot::object_store
//!   rows with LSN  > watermark   buffered: Snapshot::hot
//! ```
//! Both halves are of one instant over all tables: a flush moves rows from one to the other in one step, so a
//! reader that takes both from one snapshot sees each row once, and one that mixes two snapshots may miss rows
//! or see them twice. A snapshot never changes; it keeps the buffered batches of its instant in memory, here or in the
//! collector's process ([`Snapshot::remote`]), so hold it for a query, not for ever.

mod remote;
mod hot;
mod open;
mod own;
mod unflushed;

use std::sync::Arc;

use meshlake_schema::{PerTable, Table, TableBatch};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::group::Lsn;
use crate::minutes::MinuteLsns;

pub use hot::{HotScan, HotStream};
pub(crate) use open::{Window, window_minutes};
pub(crate) use own::Own;
use remote::Remote;
pub use remote::{RemoteRows, RemoteTable};
pub use unflushed::Unflushed;

/// One Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Where it lies in [`Snapshot::object_store`].
    #[serde(with = "path_text")]
    pub path: Path,
    pub size_bytes: u64,
    pub rows: u64,
    /// The partition: days since 1970-01-01 of every row's `time`.
    pub date_days: i32,
    /// Bounds of `time`, microseconds since the epoch, both inclusive; of a file of another writer perhaps up to a
    /// millisecond too wide, or its whole date.
    pub time_min_micros: i64,
    pub time_max_micros: i64,
    /// Of a file of a table that another is derived from: every row of it is counted there. False for files from before
    /// that table was there, and for files of other writers.
    pub is_derived_from: bool,
    /// Of a file of requests: the date on which the last of its rows came, where that was more than a day after they were
    /// logged. Its age counts from there: who imports an old log wants to keep it.
    pub came_days: Option<i32>,
    /// Of a file of spans or requests: the highest record by minute of start. Of a file of cells: what the folds of its
    /// minutes saw. None of other files.
    pub minutes: MinuteLsns,
}

/// Rows that are durable in the WAL and not yet in a file.
#[derive(Debug, Clone)]
pub struct HotBatch {
    /// The records that the rows came in, both inclusive.
    pub lsn_first: Lsn,
    pub lsn_last: Lsn,
    /// The highest record by minute of start, of spans and requests.
    pub minutes: MinuteLsns,
    pub batch: TableBatch,
}

impl HotBatch {
    /// The rows of one record.
    pub fn of(lsn: Lsn, batch: TableBatch) -> Self {
        HotBatch { lsn_first: lsn, lsn_last: lsn, minutes: MinuteLsns::of_rows(&batch, lsn), batch }
    }
}

/// One table's part of a snapshot: rows of `files` have LSNs up to `watermark`, rows of `hot` above it.
#[derive(Debug, Clone, Default)]
pub struct TableSnapshot {
    pub files: Arc<Vec<DataFile>>,
    /// In LSN order. Of every tenant; a derived table has none of its own.
    pub hot: Arc<Vec<HotBatch>>,
    pub watermark: Lsn,
    /// Files of earlier dates, in days since 1970-01-01, have been dropped for their age; 0 before any was.
    pub kept_from_days: i32,
}

/// All tables at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    tables: PerTable<TableSnapshot>,
    /// Where the buffered rows are, if not in `tables`.
    remote: Option<Remote>,
    object_store: Arc<dyn ObjectStore>,
}

impl Snapshot {
    pub fn new(tables: PerTable<TableSnapshot>, object_store: Arc<dyn ObjectStore>) -> Self {
        Snapshot { tables, remote: None, object_store }
    }

    /// A table with every tenant's buffered rows: not for readers, whom nobody could tell of them.
    #[cfg(test)]
    pub(crate) fn table(&self, table: Table) -> &TableSnapshot {
        &self.tables[table]
    }

    /// The files of `table`, of every tenant, in the order in which they were committed: exactly the rows with
    /// LSNs up to [`Snapshot::watermark`], and what other writers may have added. They stay readable for an hour
    /// after they left the table.
    pub fn files(&self, table: Table) -> &Arc<Vec<DataFile>> {
        &self.tables[table].files
    }

    /// The last record whose rows of `table` are in [`Snapshot::files`]; 0 when there are none.
    pub fn watermark(&self, table: Table) -> Lsn {
        self.tables[table].watermark
    }

    /// Whether there may be rows of `table` above [`Snapshot::watermark`], of whichever tenant.
    pub fn may_be_buffered(&self, table: Table) -> bool {
        match &self.remote {
            Some(remote) => remote.may_have(table),
            None => !self.tables[table.source().unwrap_or(table)].hot.is_empty(),
        }
    }

    /// Where the files lie.
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.object_store
    }
}

/// A place in an object store as text.
mod path_text {
    use object_store::path::Path;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(path.as_ref())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Path, D::Error> {
        Path::parse(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Why something could not be read. Trying again may help, unless what was asked for is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("read what the collector holds: {0}")]
pub struct ReadError(pub String);

#[cfg(test)]
mod tests;
