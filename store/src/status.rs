//! How a store is doing, for admission, readiness and metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use meshlake_schema::{Table, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::flush::{FlushStats, Flusher};
use crate::group::Lsn;
use crate::retain::Retention;
use crate::settle::{SettleStats, Settler};
use crate::snapshot::{DataFile, TableSnapshot};
use crate::space::{Space, SpaceStats};
use crate::writer::{Writer, WriterStats};

/// A handle on how a store is doing, also after it was closed.
#[derive(Clone)]
pub struct StoreStatus {
    pub(crate) writer: Writer,
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) space: Space,
    pub(crate) settler: Arc<Settler>,
    pub(crate) retention: Retention,
    pub(crate) buffer_bytes_max: usize,
}

/// How a store is doing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreStats {
    pub buffer_bytes: usize,
    pub buffer_bytes_max: usize,
    /// The log and what it did.
    pub wal: WriterStats,
    pub flush: FlushStats,
    pub space: SpaceStats,
    /// How far calls are settled.
    pub settle: SettleStats,
    /// In the order of [`Table::ALL`].
    pub tables: Vec<TableStats>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStats {
    pub table: Table,
    /// Of records above `watermark`. Zero for a derived table.
    pub buffered_rows: u64,
    /// The last record whose rows are in files.
    pub watermark: Lsn,
    pub files: u64,
    pub file_bytes: u64,
    pub file_rows: u64,
    /// The earliest time of a row in files; none without any.
    pub oldest: Option<UnixNanos>,
    /// For how long rows are kept, counted back from the newest; none for ever.
    pub kept_for: Option<Duration>,
}

impl TableStats {
    fn of(table: Table, snapshot: &TableSnapshot, retention: &Retention) -> Self {
        let sum = |value: fn(&DataFile) -> u64| snapshot.files.iter().map(value).sum();
        TableStats {
            table,
            buffered_rows: snapshot.hot.iter().map(|hot| hot.batch.row_count() as u64).sum(),
            watermark: snapshot.watermark,
            files: snapshot.files.len() as u64,
            file_bytes: sum(|file| file.size_bytes),
            file_rows: sum(|file| file.rows),
            oldest: snapshot.files.iter().map(|file| file.time_min_micros).min().map(UnixNanos::from_micros),
            kept_for: retention.kept_for(table),
        }
    }
}

/// All that may be asked of a collector beside its rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub store: StoreStats,
    /// None from a store that no collector writes to.
    pub intake: Option<IntakeStatus>,
}

/// What only the receiving side of a collector knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntakeStatus {
    /// Accepted records that are not durable yet.
    pub in_flight: Vec<InFlight>,
    /// Exports answered since the start, those that were refused among them.
    pub exports: Vec<Exports>,
    /// Who sent something, those heard of last first.
    pub senders: Vec<Sender>,
    /// The configuration in use, every key of it, as TOML and without what is secret.
    pub configuration: String,
    /// None where the collector runs by itself.
    pub query: Option<QueryStatus>,
}

/// How the process is that answers questions, where the collector has started one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryStatus {
    /// None while there is no such process.
    pub pid: Option<u32>,
    /// Whether it answers.
    pub is_serving: bool,
    /// How often one ended and another was started.
    pub restarts: u64,
    /// How the last one ended; empty before any did.
    pub last_end: String,
    /// What it has renounced, in words for people; empty while it does not answer.
    pub confinement: String,
}

/// Records of one tenant, signal and source on their way to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    pub tenant: String,
    pub signal: String,
    pub source: String,
    pub records: u64,
}

/// Exports to one receiver that were answered alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exports {
    pub receiver: String,
    /// `unknown` where the export named none.
    pub signal: String,
    /// `ok`, `partial`, `repeat`, or the name of a refusal.
    pub status: String,
    pub count: u64,
}

/// Who sent something, and when it was last heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// An IP address, or the path of a file that is followed.
    pub peer: String,
    /// Empty where the sender names none that can be read.
    pub tenant: String,
    pub signal: String,
    /// How it comes in.
    pub source: String,
    /// What it calls itself; empty for nothing.
    pub agent: String,
    /// Exports since it was first heard of, streams that were opened, and payloads of lines.
    pub exports: u64,
    /// Those that were refused as a whole.
    pub refused: u64,
    pub last: UnixNanos,
}

/// Asks the receiving side, which the store does not know; wired where both are started.
pub type AskIntake = Arc<dyn Fn() -> IntakeStatus + Send + Sync>;

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

    /// How many rows of which tables are durable and not in files yet, in the order of [`Table::ALL`]; those of the
    /// ledger, which every sender's records make, are not told.
    pub(crate) fn buffered_rows(&self) -> Vec<(Table, u64)> {
        let tables = self.stats().tables.into_iter();
        tables
            .filter(|of| of.table != Table::Ledger && of.buffered_rows > 0)
            .map(|of| (of.table, of.buffered_rows))
            .collect()
    }

    pub fn stats(&self) -> StoreStats {
        let tables = self.flusher.buffer().snapshot();
        let table =
            |(table, snapshot): (Table, &TableSnapshot)| TableStats::of(table, snapshot, &self.retention);
        StoreStats {
            buffer_bytes: self.flusher.buffer().bytes(),
            buffer_bytes_max: self.buffer_bytes_max,
            wal: self.writer.stats(),
            flush: self.flusher.stats(),
            space: self.space.stats(),
            settle: self.settler.stats(),
            tables: tables.iter().map(table).collect(),
        }
    }
}
