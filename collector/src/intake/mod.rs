//! One thread turns payloads into groups and groups into WAL records.
//!
//! All exports that arrive while the disk is busy share one set of column builders, one write and one
//! fdatasync; the cost of a tiny export is its rows. The thread alone owns the builders, so there is no
//! lock around them, and it outlives every handler: a handler that is cancelled only stops listening.
//!
//! When a group is closed:
//! ```text
//! WAL idle, nothing queued                            at once: a lone export waits for nobody
//! WAL idle, group >= GROUP_BYTES_TARGET or older
//!           than GROUP_AGE_MAX                        at once
//! WAL idle, otherwise                                 after the payloads that are queued
//! WAL busy                                            not before GROUP_BYTES_MAX; then the thread waits
//! ```
//! Limits: one thread decodes for the whole process.

mod group;
mod recent;
mod queue;
mod budget;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshlake_schema::{Clock, UnixNanos};
use meshlake_store::group::{AppendError, StoredExport};
use meshlake_store::{Writer, give_way_to_flushes};
use thiserror::Error;
use tokio::sync::oneshot;

pub use budget::{Budget, OverBudget, Tickets};

use crate::decode::{Format, Sender};
use crate::ledger::{LedgerView, Origin};
use crate::tally::Tally;
use group::{ClosedGroup, OpenGroup};
use queue::{Next, Queue};
use recent::{Recent, Seen};

/// A group of this many payload bytes is worth its fdatasync: at some 150 MB/s of columns that a disk
/// syncs, writing it takes longer than the sync itself.
pub const GROUP_BYTES_TARGET: usize = 1 << 20;

/// An open group is not kept from an idle WAL for longer than this; about one fdatasync of a good disk.
pub const GROUP_AGE_MAX: Duration = Duration::from_millis(5);

/// The most payload bytes in a group, as sent or as rows, one payload excepted, which may be larger. A busy disk finds
/// three groups in memory (at the disk, waiting, open), each as columns and the first also as its frame, so this bounds
/// what they hold beside the buffer. Column offsets are 32 bits: a payload of 64 MiB grows at most sixfold as text (a
/// control character is six bytes of JSON).
pub const GROUP_BYTES_MAX: usize = 4 << 20;

const _: () = assert!(GROUP_BYTES_TARGET <= GROUP_BYTES_MAX);
const _: () = assert!(6 * (GROUP_BYTES_MAX + (64 << 20)) < i32::MAX as usize);

/// How far ahead of the collector's clock a record's time may be; the default of Loki is 10 minutes, of
/// Prometheus an hour. Clocks of whole machines are wrong by time zones at most.
pub const FUTURE_MAX: Duration = Duration::from_secs(3600);

/// One export on its way to the WAL.
#[derive(Debug)]
pub struct Payload {
    pub tenant: Arc<str>,
    pub format: &'static Format,
    /// Who sent it, where that is said once for many payloads.
    pub sender: Option<Arc<Sender>>,
    /// As the format's `unpack` gave them.
    pub bytes: Bytes,
    /// What its rows take in columns beside their text, as validating it has counted.
    pub column_bytes: usize,
    /// xxh3-128 of tenant, path and body, by which it is known when it comes again; `None` where that cannot be told.
    pub hash: Option<u128>,
    /// Whether its records may be older than records are kept: those of a file are kept from when they came in.
    pub any_age: bool,
    /// Held until the answer is known.
    pub tickets: Tickets,
    pub reply: oneshot::Sender<Answer>,
}

impl Payload {
    /// What it takes in memory, roughly, as bytes or as rows: short records are larger as rows.
    fn memory_bytes(&self) -> usize {
        self.bytes.len().max(self.column_bytes)
    }
}

/// What became of a payload. The sender of an answer is dropped without one only by a bug.
pub type Answer = Result<Tally, NotStored>;

/// Why nothing of a payload was stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotStored {
    /// The group could not be made durable; trying again may help.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The collector is stopping; trying again elsewhere or later helps.
    #[error("the collector is stopping")]
    Stopping,
    /// A validated payload could not be decoded: a bug of ours that this payload would hit again.
    #[error("{0}")]
    Undecodable(String),
}

/// The way in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intake {
    queue: Arc<Queue>,
    recent: Option<Recent>,
}

/// The thread behind an [`Intake`].
#[derive(Debug)]
pub struct IntakeThread {
    queue: Arc<Queue>,
    ended: oneshot::Receiver<()>,
}

impl Intake {
    /// Starts the thread. Records older than `retention` are refused; an OTLP export that comes again within
    /// `retry_window` is not stored again, unless that is zero.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        writer: Writer,
        ledger: LedgerView,
        clock: Arc<dyn Clock>,
        retention: Duration,
        retry_window: Duration,
    ) -> io::Result<(Intake, IntakeThread)> {
        let queue = Arc::new(Queue::default());
        let recent = (!retry_window.is_zero()).then(|| Recent::new(Arc::clone(&queue), retry_window));
        let woken = Arc::clone(&queue);
        writer.on_idle(Box::new(move || woken.wake()));
        let (end, ended) = oneshot::channel();
        let worker = Worker {
            queue: Arc::clone(&queue),
            writer,
            window: Window { clock, retention },
            recent: recent.clone(),
            group: OpenGroup::new(ledger),
        };
        std::thread::Builder::new().name("intake".to_owned()).spawn(move || {
            give_way_to_flushes();
            worker.run();
            // The receiver is gone when nobody waits for the end any more.
            let _ = end.send(());
        })?;
        Ok((Intake { queue: Arc::clone(&queue), recent }, IntakeThread { queue, ended }))
    }

    /// Remembers exports that an earlier process stored, oldest first.
    pub fn remember(&self, exports: Vec<StoredExport>) {
        if let Some(recent) = &self.recent {
            recent.restore(exports);
        }
    }

    /// Hands over a payload; its answer comes through `payload.reply`.
    ///
    /// # Errors
    /// [`NotStored::Stopping`] after [`IntakeThread::stop`].
    pub fn submit(&self, payload: Payload) -> Result<(), NotStored> {
        self.queue.push(payload).map_err(|_| NotStored::Stopping)
    }
}

impl IntakeThread {
    /// Refuses new payloads and returns when all that were taken in have been answered.
    ///
    /// Cancel: the thread goes on; nothing is lost.
    pub async fn stop(self) {
        self.queue.close();
        // An error means that the thread is gone, which is what is waited for.
        let _ = self.ended.await;
    }
}

/// The accepted window of time at an instant.
struct Window {
    clock: Arc<dyn Clock>,
    retention: Duration,
}

/// When a payload was taken in, and which records it may hold.
#[derive(Debug, Clone, Copy)]
struct Accepted {
    ingest_time: UnixNanos,
    earliest: UnixNanos,
    latest: UnixNanos,
}

impl Window {
    fn now(&self, any_age: bool) -> Accepted {
        let ingest_time = self.clock.now();
        Accepted {
            ingest_time,
            // Nothing was logged before 1970.
            earliest: if any_age { UnixNanos(0) } else { ingest_time.minus(self.retention) },
            latest: ingest_time.plus(FUTURE_MAX),
        }
    }
}

struct Worker {
    queue: Arc<Queue>,
    writer: Writer,
    window: Window,
    recent: Option<Recent>,
    group: OpenGroup,
}

impl Worker {
    fn run(mut self) {
        loop {
            if self.group_is_due() {
                self.append_group();
            }
            match self.queue.next(!self.group.is_empty(), || self.writer.is_idle()) {
                Next::Payload(payload) => self.take(*payload),
                Next::WalIdle => self.append_group(),
                Next::End => return,
            }
        }
    }

    /// Whether the group must not wait for the payloads that are queued.
    fn group_is_due(&self) -> bool {
        let full = self.group.payload_bytes() >= GROUP_BYTES_TARGET;
        !self.group.is_empty()
            && self.writer.is_idle()
            && (full
                || self.queue.is_empty()
                || self.group.is_older_than(GROUP_AGE_MAX, self.window.clock.now()))
    }

    fn take(&mut self, payload: Payload) {
        if !self.group.is_empty() && self.group.payload_bytes() + payload.memory_bytes() > GROUP_BYTES_MAX {
            self.append_group();
        }
        let accepted = self.window.now(payload.any_age);
        let (Some(recent), Some(hash)) = (&self.recent, payload.hash) else {
            return self.group.add(payload, None, accepted);
        };
        match recent.look(payload, hash, accepted.ingest_time) {
            Seen::Never(payload, claim) => self.group.add(*payload, Some(claim), accepted),
            Seen::InFlight => {}
            Seen::Stored(payload, records) => self.group.add_repeat(*payload, records, accepted),
        }
    }

    /// Closes the group and hands it to the WAL; waits while a group before it still waits.
    fn append_group(&mut self) {
        let closed = catch_unwind(AssertUnwindSafe(|| self.group.close(self.window.clock.now())));
        let Ok(ClosedGroup { group, waiters }) = closed else {
            tracing::error!("bug: a group of exports could not be closed and was dropped, unanswered");
            self.group.reset();
            return;
        };
        // A refused group drops its waiters, which answers them.
        if let Err(error) =
            self.writer.append(group, Box::new(move |result| waiters.answer(&result.map(drop))))
        {
            tracing::error!(%error, "append a group of exports");
        }
    }
}

fn origin_of(payload: &Payload) -> Origin {
    let Format { signal, source, .. } = *payload.format;
    Origin { tenant: Arc::clone(&payload.tenant), signal, source }
}
