//! The unit of append: one group of exports, durable together or not at all.

use meshlake_schema::{Table, TableBatch};
use thiserror::Error;

/// Log sequence number of a record. LSNs start at 1 and are never used twice in one data directory, not
/// even after the WAL was lost; 0 means "before every record".
pub type Lsn = u64;

/// What one export put into a group, so that an identical retry can be recognised after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportEntry {
    /// 128-bit hash of tenant, path and body.
    pub hash: u128,
    /// Rows per table, in table order, tables without rows left out.
    pub rows: Vec<(Table, u32)>,
}

/// An export that was stored, as it is remembered when its rows have left the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredExport {
    /// As in [`ExportEntry`].
    pub hash: u128,
    /// Rows over all tables; more than 2^32 - 1 count as that.
    pub rows: u32,
    /// When it was counted in the ledger, seconds since the epoch; 0 when nothing tells.
    pub seconds: u32,
}

/// Rows of any number of exports, appended as one WAL record.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// At most one batch per table, none of them empty.
    pub batches: Vec<TableBatch>,
    /// The exports that the batches hold, in the order decoded.
    pub exports: Vec<ExportEntry>,
}

/// Why a group did not become durable. Nothing of it is kept; the same group may be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The disk refused or lost the write; trying again later may help.
    #[error("write-ahead log: {0}")]
    Disk(String),
    /// The disk has no room; trying again helps once it has.
    #[error("write-ahead log: no room on the disk: {0}")]
    DiskFull(String),
    /// The store is stopping or has given up after repeated disk errors.
    #[error("the store is closed")]
    Closed,
}
