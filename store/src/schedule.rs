//! Decides when each table is flushed: when its oldest row is a minute old, or when the buffer is half
//! full and the table is the largest.
//!
//! One task per received table, so that a table whose commits fail keeps no other from its files. Half of the
//! budget, because rows keep coming while a flush runs: what fills is bounded by the other half, and only
//! then does admission refuse. Ages are measured from when a task notices the first row, at most a moment
//! after it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meshlake_schema::Table;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::flush::Flusher;

/// First wait after a failed flush. A full or slow disk does not mend faster than this.
const BACKOFF_MIN: Duration = Duration::from_millis(200);

/// Longest wait: a disk that has room again is noticed within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How each table's task is woken by the thread that publishes rows.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    rows_came: [Notify; Table::ALL.len()],
    /// Set when the table is to be flushed whatever its age.
    is_due: [AtomicBool; Table::ALL.len()],
}

impl Wakes {
    /// Rows of `table` came where there were none.
    pub fn rows_came(&self, table: Table) {
        self.rows_came[usize::from(table.id())].notify_one();
    }

    /// The buffer needs room: flush `table` now.
    pub fn flush_now(&self, table: Table) {
        self.is_due[usize::from(table.id())].store(true, Ordering::Release);
        self.rows_came(table);
    }
}

/// The running tasks.
pub(crate) struct Schedule {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Schedule {
    /// Starts one task per received table on the current runtime; derived ones are flushed with their source.
    pub fn start(flusher: &Arc<Flusher>, wakes: &Arc<Wakes>, age_max: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = |table| {
            let task = TableTask {
                table,
                flusher: Arc::clone(flusher),
                wakes: Arc::clone(wakes),
                stopped: stopped.clone(),
                age_max,
            };
            tokio::spawn(task.run())
        };
        Schedule { stop, tasks: Table::received().map(task).collect() }
    }

    /// Lets flushes that run come to their end, and starts no more.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "stop flush task");
            }
        }
    }
}

struct TableTask {
    table: Table,
    flusher: Arc<Flusher>,
    wakes: Arc<Wakes>,
    stopped: watch::Receiver<bool>,
    age_max: Duration,
}

impl TableTask {
    async fn run(mut self) {
        // Rows that come while a flush runs are noticed when it ends; their age is counted from its
        // beginning, the earliest they can have come.
        let mut oldest = None;
        loop {
            if self.flusher.buffer().is_empty(self.table) {
                oldest = None;
                if self.stops_before(None).await {
                    return;
                }
                continue;
            }
            let since = *oldest.get_or_insert_with(Instant::now);
            while !self.is_due(since + self.age_max) {
                if self.stops_before(Some(since + self.age_max)).await {
                    return;
                }
            }
            oldest = Some(Instant::now());
            if self.stops_in_flush().await {
                return;
            }
        }
    }

    fn is_due(&self, deadline: Instant) -> bool {
        let asked = self.wakes.is_due[usize::from(self.table.id())].swap(false, Ordering::AcqRel);
        asked || Instant::now() >= deadline
    }

    /// Waits for a wake or until `time`; true when the store stops first.
    async fn stops_before(&mut self, time: Option<Instant>) -> bool {
        let woken = self.wakes.rows_came[usize::from(self.table.id())].notified();
        let at_time = async {
            match time {
                Some(time) => sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender outlives the task; if it does not, that is a stop too.
            _ = self.stopped.wait_for(|stopped| *stopped) => true,
            () = woken => false,
            () = at_time => false,
        }
    }

    /// Flushes, trying until it is done; true when the store stops in a wait between two tries. A flush
    /// that runs is never cut off. It is a task of its own, so that even a bug in it ends only one try.
    async fn stops_in_flush(&mut self) -> bool {
        let mut backoff = BACKOFF_MIN;
        loop {
            let (flusher, table) = (Arc::clone(&self.flusher), self.table);
            match tokio::spawn(async move { flusher.flush(table).await }).await {
                Ok(Ok(_)) => return false,
                Ok(Err(error)) => {
                    tracing::error!(table = table.name(), %error, retry_in = ?backoff, "flush table");
                }
                Err(error) => tracing::error!(table = table.name(), %error, "flush table"),
            }
            let retry_at = Instant::now() + backoff;
            while Instant::now() < retry_at {
                if self.stops_before(Some(retry_at)).await {
                    return true;
                }
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}
