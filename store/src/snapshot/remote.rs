//! A snapshot whose buffered rows are in another process.
//!
//! Files, watermarks and the record numbers of minutes are told once, and are all that most of a query needs; buffered
//! rows are asked for when a scan wants them, of the instant that the snapshot was taken at. How they are asked is not the
//! store's business, so it comes in as a trait object, which also holds the snapshot over there: dropping it lets go.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use meshlake_schema::{PerTable, Table};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use super::{DataFile, HotScan, HotStream, ReadError, Snapshot, TableSnapshot, Unflushed};
use crate::group::Lsn;
use crate::minutes::MinuteLsns;

/// The buffered rows of one snapshot, which another process holds for as long as this lives.
#[async_trait]
pub trait RemoteRows: fmt::Debug + Send + Sync {
    /// As [`Snapshot::hot`]; the stream may also end with an error when the other process cannot be asked any more.
    fn hot(self: Arc<Self>, scan: &HotScan) -> HotStream;

    /// As [`Snapshot::unflushed`].
    ///
    /// # Errors
    /// The other process cannot be asked any more.
    async fn unflushed(&self, tenant: &str) -> Result<Vec<Unflushed>, ReadError>;
}

/// What is told of one table's part of a snapshot, beside its files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTable {
    /// The last record whose rows are in the files.
    pub watermark: Lsn,
    /// Files of earlier dates, in days since 1970-01-01, have been dropped for their age; 0 before any was.
    pub kept_from_days: i32,
    /// Whether any rows are buffered.
    pub is_buffered: bool,
    /// The highest record by minute of start, of buffered spans and requests.
    pub minutes: MinuteLsns,
}

/// Where the buffered rows of a snapshot are, and what is known of them here.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    tables: PerTable<RemoteTable>,
    pub rows: Arc<dyn RemoteRows>,
}

impl Remote {
    /// Whether there may be rows of `table` above its watermark.
    pub fn may_have(&self, table: Table) -> bool {
        self.tables[table.source().unwrap_or(table)].is_buffered
    }

    pub fn minutes(&self, table: Table) -> &MinuteLsns {
        &self.tables[table].minutes
    }
}

impl Snapshot {
    /// What another process is to be told of `table`, beside its files.
    pub fn told(&self, table: Table) -> RemoteTable {
        let TableSnapshot { hot, watermark, kept_from_days, .. } = &self.tables[table];
        RemoteTable {
            watermark: *watermark,
            kept_from_days: *kept_from_days,
            is_buffered: !hot.is_empty(),
            minutes: MinuteLsns::joined(hot.iter().map(|hot| &hot.minutes)),
        }
    }

    /// The snapshot of another process, from what it told of each table: its files and the rest. Its buffered rows are
    /// asked of `rows`; its files lie in `object_store`.
    pub fn remote(
        files: &PerTable<Arc<Vec<DataFile>>>,
        tables: PerTable<RemoteTable>,
        rows: Arc<dyn RemoteRows>,
        object_store: Arc<dyn ObjectStore>,
    ) -> Snapshot {
        let table = |table: Table| TableSnapshot {
            files: Arc::clone(&files[table]),
            hot: Arc::default(),
            watermark: tables[table].watermark,
            kept_from_days: tables[table].kept_from_days,
        };
        Snapshot { tables: PerTable::of(table), remote: Some(Remote { tables, rows }), object_store }
    }
}
