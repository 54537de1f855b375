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

use meshlake_schema::{PerTable, Table};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::flush::Flusher;
use crate::space::Space;

/// First wait after a failed flush. A slow disk does not mend faster than this.
const BACKOFF_MIN: Duration = Duration::from_millis(200);

/// Longest wait: whatever is wrong is noticed to be mended within this time. Room on a full disk is told of
/// at once.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How each table's task is woken by the thread that publishes rows.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    rows_came: PerTable<Notify>,
    /// Set when the table is to be flushed whatever its age.
    is_due: PerTable<AtomicBool>,
}

impl Wakes {
    /// Rows of `table` came where there were none.
    pub fn rows_came(&self, table: Table) {
        self.rows_came[table].notify_one();
    }

    /// The buffer needs room: flush `table` now.
    pub fn flush_now(&self, table: Table) {
        self.is_due[table].store(true, Ordering::Release);
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
    pub fn start(flusher: &Arc<Flusher>, wakes: &Arc<Wakes>, space: &Space, age_max: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = |table| {
            let task = TableTask {
                table,
                flusher: Arc::clone(flusher),
                wakes: Arc::clone(wakes),
                space: space.clone(),
                room_came: space.room_came(),
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
    space: Space,
    room_came: watch::Receiver<u64>,
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
        let asked = self.wakes.is_due[self.table].swap(false, Ordering::AcqRel);
        asked || Instant::now() >= deadline
    }

    /// Waits for a wake or until `time`; true when the store stops first.
    async fn stops_before(&mut self, time: Option<Instant>) -> bool {
        let woken = self.wakes.rows_came[self.table].notified();
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
            // Room that comes while this try runs may have come too late for it.
            self.room_came.mark_unchanged();
            match tokio::spawn(async move { flusher.flush(table).await }).await {
                Ok(Ok(_)) => return false,
                Ok(Err(error)) => {
                    tracing::error!(table = table.name(), %error, retry_in = ?backoff, "flush table");
                    if error.is_storage_full() {
                        self.space.found_full();
                    }
                }
                Err(error) => tracing::error!(table = table.name(), %error, "flush table"),
            }
            if stops_before_retry(&mut self.stopped, &mut self.room_came, backoff).await {
                return true;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

/// Waits for `backoff`, or until there is room where there was none; true when the store stops first.
async fn stops_before_retry(
    stopped: &mut watch::Receiver<bool>,
    room_came: &mut watch::Receiver<u64>,
    backoff: Duration,
) -> bool {
    tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => true,
        // An error means that nobody watches the disk any more; then the back-off alone decides.
        Ok(()) = room_came.changed() => false,
        () = sleep(backoff) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Also when it came before the wait began: the try that failed may have been under way.
    #[tokio::test]
    async fn room_ends_the_wait_for_the_next_try() {
        let (room, mut room_came) = watch::channel(0);
        let (_stop, mut stopped) = watch::channel(false);
        room_came.mark_unchanged();
        room.send_replace(1);
        assert!(!stops_before_retry(&mut stopped, &mut room_came, HOUR).await);
        let mut wait = Box::pin(stops_before_retry(&mut stopped, &mut room_came, HOUR));
        assert!(futures::poll!(&mut wait).is_pending(), "the same room is not told of twice");
        room.send_replace(2);
        assert!(!wait.await);
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait_for_the_next_try() {
        let (_room, mut room_came) = watch::channel(0);
        let (stop, mut stopped) = watch::channel(false);
        let mut wait = Box::pin(stops_before_retry(&mut stopped, &mut room_came, HOUR));
        assert!(futures::poll!(&mut wait).is_pending());
        stop.send_replace(true);
        assert!(wait.await);
    }
}
