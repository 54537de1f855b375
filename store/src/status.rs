//! How a store is doing, for admission, readiness and metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use meshlake_schema::Table;

use crate::flush::{FlushStats, Flusher};
use crate::space::{Space, SpaceStats};
use crate::writer::{Writer, WriterStats};

/// A handle on how a store is doing, also after it was closed.
#[derive(Clone)]
pub struct StoreStatus {
    pub(crate) writer: Writer,
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) space: Space,
    pub(crate) buffer_bytes_max: usize,
}

/// How a store is doing.
#[derive(Debug, Clone)]
pub struct StoreStats {
    pub buffer_bytes: usize,
    pub buffer_bytes_max: usize,
    /// The log and what it did.
    pub wal: WriterStats,
    pub flush: FlushStats,
    pub space: SpaceStats,
    /// In the order of [`Table::ALL`].
    pub tables: Vec<TableStats>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStats {
    pub table: Table,
    pub buffered_rows: u64,
    pub files: u64,
}

impl fmt::Debug for StoreStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreStatus")
            .field("buffer_bytes_max", &self.buffer_bytes_max)
            .finish_non_exhaustive()
    }
}

impl StoreStatus {
    /// True when rows come faster than they become files: admission should refuse until a flush has made room.
    /// `bytes_to_come` is what was admitted and is not buffered yet; left out, rows of all that may be in flight would
    /// come on top of a full buffer.
    pub fn is_over_budget(&self, bytes_to_come: usize) -> bool {
        self.flusher.buffer().bytes().saturating_add(bytes_to_come) > self.buffer_bytes_max
    }

    /// How long a flush takes, in the mean since the start; zero before the first.
    pub fn flush_time(&self) -> Duration {
        let stats = self.flusher.stats();
        Duration::from_nanos(stats.nanos.checked_div(stats.commits).unwrap_or(0))
    }

    /// False while the disk has less room than the store needs to finish what it took: admission should
    /// refuse. It becomes true by itself.
    pub fn has_room(&self) -> bool {
        self.space.has_room()
    }

    /// How much room the disk has.
    pub fn space(&self) -> SpaceStats {
        self.space.stats()
    }

    /// False when the log has given up after repeated disk errors; only a restart helps.
    pub fn is_ready(&self) -> bool {
        !self.writer.stats().is_failed
    }

    pub fn stats(&self) -> StoreStats {
        let counts = self.flusher.buffer().counts();
        let table = |(table, (buffered_rows, files))| TableStats { table, buffered_rows, files };
        StoreStats {
            buffer_bytes: self.flusher.buffer().bytes(),
            buffer_bytes_max: self.buffer_bytes_max,
            wal: self.writer.stats(),
            flush: self.flusher.stats(),
            space: self.space.stats(),
            tables: Table::ALL.into_iter().zip(counts).map(table).collect(),
        }
    }
}
