//! Hands groups to the one thread that writes the log.
//!
//! The thread exists because fdatasync blocks and because nobody who waits for it may be able to stop it:
//! an export that is cancelled between write and acknowledgement would leave its sender in doubt and its
//! rows twice. So the group belongs to the thread from the moment it is handed over, and what a waiter does
//! changes nothing.
//!
//! While one group is on its way to the disk, one more may wait; then [`Writer::append`] blocks. That is the
//! whole queue: groups grow while they wait, they do not line up. A condition variable and one slot
//! do it; a channel could not tell "idle" without a race.
//!
//! Order after the sync: `publish` (rows become visible), then `done` (the sender is told), then `on_idle`. A panic on
//! the way, a bug, closes the writer: whoever waits learns it from a `done` that is dropped or from `on_idle`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use meshlake_schema::LatencyHistogram;
use serde::{Deserialize, Serialize};

use crate::fail_point::hit;
use crate::group::{AppendError, Group, Lsn};
use crate::wal::{Wal, WalStats};

/// Makes a durable group visible to readers. Runs on the log's thread, so it must be quick.
pub type Publish = Box<dyn FnMut(Lsn, Group) + Send>;

/// Told once what became of a group. Runs on the log's thread, so it must be quick.
pub type Done = Box<dyn FnOnce(Result<Lsn, AppendError>) + Send>;

/// Called on the log's thread each time it has nothing more to write.
pub type OnIdle = Box<dyn Fn() + Send + Sync>;

/// Called on the log's thread each time the disk had no room for a group.
pub type OnFull = Box<dyn Fn() + Send + Sync>;

/// Appends groups to the log. Clones share one thread.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

/// The thread behind a [`Writer`]; dropping it lets the thread run on until the process ends.
#[must_use = "the thread is stopped through it"]
pub struct WriterThread {
    writer: Writer,
    thread: JoinHandle<()>,
}

/// What the log's thread has done since it started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WriterStats {
    /// Groups that became durable.
    pub groups: u64,
    /// Groups that did not.
    pub groups_failed: u64,
    /// Bytes of the durable ones in the log.
    pub bytes: u64,
    pub fdatasyncs: u64,
    /// Time of each fdatasync, in nanoseconds: count, percentiles, maximum.
    pub fdatasync: LatencyHistogram,
    /// Of all of them together, nanoseconds.
    pub fdatasync_nano: u64,
    pub wal: WalStats,
    /// The log has given up after repeated disk errors, or its thread after a panic; only a restart helps.
    pub is_failed: bool,
    /// How long the group that is at the disk now has been there; zero when none is. It grows while a
    /// write or an fdatasync does not come back.
    pub at_disk: Duration,
}

struct Job {
    group: Group,
    done: Done,
}

#[derive(Default)]
struct State {
    /// The group that waits for the thread.
    waiting: Option<Job>,
    /// A group is on its way to the disk.
    is_busy: bool,
    /// Since when a group has been at the disk.
    at_disk_since: Option<Instant>,
    is_closed: bool,
    on_idle: Option<Arc<dyn Fn() + Send + Sync>>,
    on_full: Option<Arc<dyn Fn() + Send + Sync>>,
    stats: WriterStats,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled whenever `waiting` or `is_closed` changes.
    changed: Condvar,
}

impl Writer {
    /// Starts the thread. `publish` is called for each group that has become durable, in LSN order, before
    /// its sender is told.
    ///
    /// # Errors
    /// The system's, when it gives no thread.
    pub fn start(wal: Wal, publish: Publish) -> std::io::Result<(Writer, WriterThread)> {
        let writer = Writer { shared: Arc::new(Shared::default()) };
        writer.shared.lock().stats.wal = wal.stats();
        let shared = Arc::clone(&writer.shared);
        let thread = std::thread::Builder::new()
            .name("wal".to_owned())
            .spawn(move || WriterLoop { shared, wal, publish }.run())?;
        Ok((writer.clone(), WriterThread { writer, thread }))
    }

    /// Hands `group` over; `done` is called exactly once when this returns `Ok`, and never otherwise.
    ///
    /// Blocks only while an earlier group still waits for the disk, at most one fdatasync.
    ///
    /// # Errors
    /// [`AppendError::Closed`] when the thread stops or has stopped.
    pub fn append(&self, group: Group, done: Done) -> Result<(), AppendError> {
        let mut state = self.shared.lock();
        while state.waiting.is_some() && !state.is_closed {
            state = self.shared.wait(state);
        }
        if state.is_closed {
            return Err(AppendError::Closed);
        }
        state.waiting = Some(Job { group, done });
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// True when no group is at the disk or waits for it: a group handed over now is written at once.
    pub fn is_idle(&self) -> bool {
        self.shared.lock().is_idle()
    }

    /// Sets what is called whenever the thread has become idle; a second call replaces the first.
    pub fn on_idle(&self, call: OnIdle) {
        self.shared.lock().on_idle = Some(Arc::from(call));
    }

    /// Sets what is called whenever the disk had no room; a second call replaces the first.
    pub fn on_full(&self, call: OnFull) {
        self.shared.lock().on_full = Some(Arc::from(call));
    }

    pub fn stats(&self) -> WriterStats {
        let state = self.shared.lock();
        let at_disk = state.at_disk_since.map_or(Duration::ZERO, |since| since.elapsed());
        WriterStats { at_disk, ..state.stats.clone() }
    }
}

impl WriterThread {
    /// Refuses new groups, finishes those that were taken, and returns when the thread has ended.
    ///
    /// # Panics
    /// With the thread's panic, if it had one: a bug in `publish`, a `done` or the log.
    pub fn stop(self) {
        self.writer.shared.close();
        if let Err(panic) = self.thread.join() {
            resume_unwind(panic);
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        !self.is_busy && self.waiting.is_none()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The lock is never held over code of others, so a panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// After a panic of the thread: nobody may wait for it, and everybody is told that it is gone.
    fn give_up(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.is_busy = false;
        state.at_disk_since = None;
        state.stats.is_failed = true;
        // Its sender learns it from the dropped `done`.
        let waiting = state.waiting.take();
        let on_idle = state.on_idle.clone();
        drop(state);
        drop(waiting);
        self.changed.notify_all();
        if let Some(on_idle) = on_idle {
            on_idle();
        }
    }
}

/// What the thread owns.
struct WriterLoop {
    shared: Arc<Shared>,
    wal: Wal,
    publish: Publish,
}

impl WriterLoop {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let work = || {
            while let Some(job) = self.next_job() {
                self.work(job);
                self.rest();
            }
        };
        // Nothing of `self` is used after a panic.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            shared.give_up();
            resume_unwind(panic);
        }
    }

    /// The next group; `None` when the writer is closed and nothing waits.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.shared.lock();
        loop {
            if let Some(job) = state.waiting.take() {
                state.is_busy = true;
                state.at_disk_since = Some(Instant::now());
                drop(state);
                self.shared.changed.notify_all();
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.shared.wait(state);
        }
    }

    fn work(&mut self, job: Job) {
        let before = self.wal.totals();
        let result = self.wal.append(&job.group);
        let after = self.wal.totals();
        let mut state = self.shared.lock();
        state.at_disk_since = None;
        let is_full = matches!(result, Err(AppendError::DiskFull(_)));
        let on_full = if is_full { state.on_full.clone() } else { None };
        let stats = &mut state.stats;
        stats.groups += u64::from(result.is_ok());
        stats.groups_failed += u64::from(result.is_err());
        stats.bytes = after.bytes;
        stats.fdatasyncs = after.syncs;
        if after.syncs > before.syncs {
            let nanos = (after.sync_time - before.sync_time).as_nanos();
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            stats.fdatasync.record(nanos, 1);
            stats.fdatasync_nano = stats.fdatasync_nano.saturating_add(nanos);
        }
        stats.wal = self.wal.stats();
        stats.is_failed = self.wal.is_closed();
        drop(state);
        if let Some(on_full) = on_full {
            on_full();
        }
        if let Ok(lsn) = result {
            (self.publish)(lsn, job.group);
        }
        // Nothing can fail here, only die or wait.
        let _ = hit("before_ack");
        (job.done)(result);
        let _ = hit("after_ack");
    }

    fn rest(&self) {
        let mut state = self.shared.lock();
        state.is_busy = false;
        let on_idle = if state.is_idle() { state.on_idle.clone() } else { None };
        drop(state);
        if let Some(on_idle) = on_idle {
            on_idle();
        }
    }
}

#[cfg(test)]
mod sync_failures;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc;

    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::wal::fixture::group_of;
    use crate::wal::{Recovery, WalConfig};

    fn wal(disk: &SimDisk) -> Wal {
        let config = WalConfig { dir: PathBuf::from("wal"), collector_id: [7; 16], segment_bytes: 1 << 17 };
        disk.set_dir(&config.dir.join("0"));
        Wal::open(Arc::new(disk.clone()), config, Recovery::default(), 1).expect("open")
    }

    /// A writer whose thread stops in `publish` until told to go on.
    fn gated() -> (Writer, WriterThread, mpsc::Receiver<Lsn>, mpsc::Sender<()>) {
        let (published_tx, published) = mpsc::channel();
        let (gate, gate_rx) = mpsc::channel();
        let publish = move |lsn, _| {
            published_tx.send(lsn).expect("the test listens");
            gate_rx.recv().expect("the test opens the gate");
        };
        let (writer, thread) = Writer::start(wal(&SimDisk::default()), Box::new(publish)).expect("start");
        (writer, thread, published, gate)
    }

    fn reply() -> (Done, mpsc::Receiver<Result<Lsn, AppendError>>) {
        let (tx, rx) = mpsc::channel();
        (Box::new(move |result| tx.send(result).unwrap_or(())), rx)
    }

    #[test]
    fn rows_are_visible_before_the_sender_is_told_and_idle_comes_last() {
        let (events_tx, events) = mpsc::channel();
        let (publish_tx, idle_tx) = (events_tx.clone(), events_tx.clone());
        let publish: Publish = Box::new(move |_, _| publish_tx.send("publish").expect("the test listens"));
        let (writer, thread) = Writer::start(wal(&SimDisk::default()), publish).expect("start");
        writer.on_idle(Box::new(move || idle_tx.send("idle").expect("the test listens")));
        let done = Box::new(move |_| events_tx.send("done").expect("the test listens"));
        writer.append(group_of(1, 1), done).expect("append");
        let seen: Vec<&str> = events.iter().take(3).collect();
        assert_eq!(seen, ["publish", "done", "idle"]);
        assert!(writer.is_idle());
        thread.stop();
    }

    #[test]
    fn one_group_may_wait_while_another_is_at_the_disk() {
        let (writer, thread, published, gate) = gated();
        let (first_done, first) = reply();
        let (second_done, second) = reply();
        writer.append(group_of(1, 1), first_done).expect("append");
        assert_eq!(published.recv(), Ok(1));
        writer.append(group_of(1, 2), second_done).expect("the slot is free");
        assert!(!writer.is_idle());
        let third = std::thread::spawn({
            let writer = writer.clone();
            move || writer.append(group_of(1, 3), reply().0)
        });
        gate.send(()).expect("the thread waits");
        assert_eq!(first.recv(), Ok(Ok(1)));
        gate.send(()).expect("the thread waits");
        assert_eq!(second.recv(), Ok(Ok(2)));
        third.join().expect("no panic").expect("the slot became free");
        gate.send(()).expect("the thread waits");
        thread.stop();
        assert_eq!(writer.stats().groups, 3);
    }

    #[test]
    fn stop_finishes_what_was_taken_and_refuses_the_rest() {
        let (writer, thread, published, gate) = gated();
        let (first_done, first) = reply();
        let (second_done, second) = reply();
        writer.append(group_of(1, 1), first_done).expect("append");
        assert_eq!(published.recv(), Ok(1));
        writer.append(group_of(1, 2), second_done).expect("append");
        for _ in 0..2 {
            gate.send(()).expect("the thread waits");
        }
        thread.stop();
        assert_eq!((first.recv(), second.recv()), (Ok(Ok(1)), Ok(Ok(2))));
        assert_eq!(writer.append(group_of(1, 3), reply().0), Err(AppendError::Closed));
    }

    #[test]
    fn a_waiter_that_went_away_changes_nothing() {
        let (lsn_tx, lsns) = mpsc::channel();
        let publish: Publish = Box::new(move |lsn, _| lsn_tx.send(lsn).expect("the test listens"));
        let (writer, thread) = Writer::start(wal(&SimDisk::default()), publish).expect("start");
        let (done, gone) = reply();
        drop(gone);
        writer.append(group_of(1, 1), done).expect("append");
        writer.append(group_of(1, 2), reply().0).expect("append");
        thread.stop();
        assert_eq!(lsns.iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_failed_group_is_not_published_and_its_sender_is_told() {
        let disk = SimDisk::default();
        let (lsn_tx, lsns) = mpsc::channel();
        let publish: Publish = Box::new(move |lsn, _| lsn_tx.send(lsn).expect("the test listens"));
        let wal = wal(&disk);
        disk.fail_syncs(0, 1);
        let (writer, thread) = Writer::start(wal, publish).expect("start");
        let (first_done, first) = reply();
        let (second_done, second) = reply();
        writer.append(group_of(1, 1), first_done).expect("append");
        assert!(matches!(first.recv(), Ok(Err(AppendError::Disk(_)))));
        writer.append(group_of(1, 2), second_done).expect("append");
        assert_eq!(second.recv(), Ok(Ok(2)));
        thread.stop();
        assert_eq!(lsns.iter().collect::<Vec<_>>(), [2]);
        let stats = writer.stats();
        assert_eq!((stats.groups, stats.groups_failed, stats.fdatasyncs), (1, 1, 2));
        assert!(!stats.is_failed);
    }

    #[test]
    fn a_group_without_room_on_the_disk_is_told_of_before_its_sender_is() {
        let disk = SimDisk::default();
        let wal = wal(&disk);
        let (events_tx, events) = mpsc::channel();
        let full_tx = events_tx.clone();
        let (writer, thread) = Writer::start(wal, Box::new(|_, _| {})).expect("start");
        writer.on_full(Box::new(move || full_tx.send("full").expect("the test listens")));
        disk.fail_writes_full(0, 1);
        let done = Box::new(move |result| {
            assert!(matches!(result, Err(AppendError::DiskFull(_))), "{result:?}");
            events_tx.send("done").expect("the test listens");
        });
        writer.append(group_of(1, 1), done).expect("append");
        assert_eq!(events.iter().take(2).collect::<Vec<_>>(), ["full", "done"]);
        thread.stop();
    }

    /// Scenario: a bug panics on the log's thread while one group is on its way and another waits. Guarantee: whoever
    /// waits for an answer or for an idle log gets it, and the log counts as failed.
    #[test]
    fn nobody_waits_for_a_thread_that_has_panicked() {
        let (gate, gate_rx) = mpsc::channel::<()>();
        let publish: Publish = Box::new(move |_, _| {
            gate_rx.recv().expect("the test opens the gate");
            panic!("as a test wants");
        });
        let (writer, thread) = Writer::start(wal(&SimDisk::default()), publish).expect("start");
        let (idle_tx, idle) = mpsc::channel();
        writer.on_idle(Box::new(move || idle_tx.send(()).expect("the test listens")));
        let ((first_done, first), (second_done, second)) = (reply(), reply());
        writer.append(group_of(1, 1), first_done).expect("append");
        writer.append(group_of(1, 2), second_done).expect("append");
        gate.send(()).expect("the thread waits");
        assert_eq!((first.recv(), second.recv()), (Err(mpsc::RecvError), Err(mpsc::RecvError)));
        assert_eq!(idle.recv_timeout(Duration::from_secs(10)), Ok(()));
        assert!(writer.is_idle());
        let stats = writer.stats();
        assert_eq!((stats.is_failed, stats.at_disk), (true, Duration::ZERO));
        assert_eq!(writer.append(group_of(1, 3), reply().0), Err(AppendError::Closed));
        assert!(catch_unwind(AssertUnwindSafe(|| thread.stop())).is_err(), "the panic is passed on");
    }

    /// Whoever asks while an fdatasync does not come back is answered, and sees how long it has been.
    #[test]
    fn a_stalled_sync_is_seen_while_it_lasts() {
        let disk = SimDisk::default();
        let wal = wal(&disk);
        disk.hold_syncs();
        let (writer, thread) = Writer::start(wal, Box::new(|_, _| {})).expect("start");
        let (done, result) = reply();
        writer.append(group_of(1, 1), done).expect("append");
        while writer.stats().at_disk < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        assert!(!writer.is_idle());
        assert!(result.try_recv().is_err(), "nothing is acknowledged");
        disk.release_syncs();
        assert_eq!(result.recv(), Ok(Ok(1)));
        assert_eq!(writer.stats().at_disk, Duration::ZERO);
        thread.stop();
    }

    #[test]
    fn the_syncs_are_counted_and_timed() {
        let (writer, thread) = Writer::start(wal(&SimDisk::default()), Box::new(|_, _| {})).expect("start");
        for seed in 0..5 {
            writer.append(group_of(1, seed), reply().0).expect("append");
        }
        thread.stop();
        let stats = writer.stats();
        assert_eq!((stats.groups, stats.fdatasyncs, stats.fdatasync.count()), (5, 5, 5));
        assert_eq!(stats.wal.last_durable_lsn, 5);
        assert!(stats.bytes > 0);
    }
}
