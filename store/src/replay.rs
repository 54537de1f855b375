//! Reads the log back into the buffer at a start, within the buffer's budget.
//!
//! The buffer leaves out what a table's watermark says is in files. When what is left would outgrow the
//! budget (the log may hold far more than memory), the largest table is flushed on the way, while reading goes on
//! into the other half of the budget.
//!
//! A start must not need room on the disk: what a process left behind on a full one was in its memory, so
//! it fits into ours. So a flush that fails is let be, until the buffer is twice its budget.

use std::sync::Arc;

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use crate::disk::Disk;
use crate::flush::{FlushError, Flusher};
use crate::group::StoredExport;
use crate::wal::{Damage, Recovery, Replayed, Torn, WalConfig, WalError, recover};

/// What a start found in the log.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    pub records: u64,
    /// A record that was cut off by the crash; it was never acknowledged, or was the very last.
    pub torn: Option<Torn>,
    /// Acknowledged records that the disk has lost.
    pub damage: Vec<Damage>,
}

/// Why the log could not be read back. It is as it was.
#[derive(Debug, Error)]
pub enum ReplayError {
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error("make room for what is replayed: {0}")]
    Flush(#[from] FlushError),
    #[error("read the log: {0}")]
    Worker(#[from] JoinError),
}

/// What [`replay`] gives back: for `Wal::open`, for people, and for recognising retries.
pub(crate) struct ReplayedLog {
    pub recovery: Recovery,
    pub recovered: Recovered,
    /// Oldest first.
    pub exports: Vec<StoredExport>,
}

/// Publishes every record of the log to the flusher's buffer, flushing when more than half of
/// `buffer_bytes_max` wait in it.
///
/// cancel: reading goes on to its end on a thread of its own and changes nothing but the buffer.
pub(crate) async fn replay(
    flusher: Arc<Flusher>,
    buffer_bytes_max: usize,
    disk: Arc<dyn Disk>,
    config: WalConfig,
) -> Result<ReplayedLog, ReplayError> {
    let runtime = Handle::current();
    spawn_blocking(move || {
        let flush_at = buffer_bytes_max / 2;
        let mut replay =
            Replay { flusher, buffer_bytes_max, flush_at, runtime, under_way: None, failure: None };
        let recovery = recover(disk.as_ref(), &config, &mut |record| replay.take(record));
        // Also when the log is refused: a flush is not left behind in the middle of a commit.
        replay.end_flush();
        let mut recovery = recovery?;
        match replay.failure {
            Some(error) => Err(error),
            None => {
                let exports = recovery.take_exports();
                Ok(ReplayedLog { recovered: report(&recovery), recovery, exports })
            }
        }
    })
    .await?
}

fn report(recovery: &Recovery) -> Recovered {
    for damage in &recovery.damage {
        tracing::error!(?damage, "lose acknowledged records to damage of the write-ahead log");
    }
    for segment in &recovery.headers_lost {
        tracing::error!(segment, "read records of a segment whose header is damaged");
    }
    if let Some(torn) = &recovery.torn {
        tracing::warn!(?torn, "cut off a record that is torn or damaged");
    }
    let (torn, damage) = (recovery.torn.clone(), recovery.damage.clone());
    Recovered { records: recovery.records, torn, damage }
}

struct Replay {
    flusher: Arc<Flusher>,
    buffer_bytes_max: usize,
    /// Bytes that wait in the buffer when the next flush is due.
    flush_at: usize,
    runtime: Handle,
    /// A flush of what was read before, beside which reading goes on.
    under_way: Option<JoinHandle<Result<bool, FlushError>>>,
    /// After it nothing more is taken: the log cannot be told to stop.
    failure: Option<ReplayError>,
}

impl Replay {
    fn take(&mut self, record: Replayed) {
        if self.failure.is_some() {
            return;
        }
        self.flusher.buffer().publish(record.lsn, record.batches);
        let has_ended = self.under_way.as_ref().is_some_and(JoinHandle::is_finished);
        if has_ended || self.flusher.buffer().bytes() > self.flush_at + self.buffer_bytes_max / 2 {
            self.end_flush();
        }
        let (waiting_bytes, largest) = self.flusher.buffer().waiting();
        if self.under_way.is_none() && waiting_bytes > self.flush_at {
            let flusher = Arc::clone(&self.flusher);
            self.under_way = Some(self.runtime.spawn(async move { flusher.flush(largest).await }));
        }
    }

    /// Waits for the flush that is under way, if any.
    fn end_flush(&mut self) {
        let Some(flush) = self.under_way.take() else { return };
        match self.runtime.block_on(flush) {
            Ok(flushed) => self.settle(flushed.map(drop)),
            Err(error) => self.failure = Some(ReplayError::Worker(error)),
        }
    }

    /// After a failure, tries again when a quarter of the budget more has come: a try costs as much as a
    /// flush.
    fn settle(&mut self, flushed: Result<(), FlushError>) {
        let Err(error) = flushed else {
            self.flush_at = self.buffer_bytes_max / 2;
            return;
        };
        self.flush_at += self.buffer_bytes_max / 4;
        if self.flush_at > 2 * self.buffer_bytes_max {
            self.failure = Some(error.into());
        } else {
            tracing::warn!(%error, "flush while the log is read back, go on without");
        }
    }
}
