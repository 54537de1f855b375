//! Watches how much room the disk has, so that rows are refused while what was taken can still be finished.
//!
//! A disk that is full when a flush needs it cannot be emptied by the store: the log goes only when its
//! rows are in files. So two things are kept back. Below a watermark of free bytes the store takes no more
//! rows, early enough for the next segment of the log and the flush of the whole buffer to fit. And a
//! reserve file is given up when somebody else fills the disk even so, for the commits that free the log.
//!
//! ```text
//!   free bytes
//!      |   rows are taken again; flushes that wait for room are woken; the reserve is made anew
//!   --- free_bytes_min + a segment --------------------------------------------------------------
//!      |   as before: the first segment made after a refusal must not bring the next one
//!   --- free_bytes_min --------------------------------------------------------------------------
//!      |   no rows are taken
//!   --- reserve ---------------------------------------------------------------------------------
//!      |   the reserve is given up
//! ```
//!
//! The file system is asked twice a second on a thread of its own, for it may answer late or never (NFS).
//! What it says of free bytes is a hint; a write that fails for want of room is a fact, and refuses rows
//! until the look after. Limits: a quota is seen only so, and flushes that it stops wait out their back-off. Where room cannot be reserved (ZFS, some NFS) the
//! reserve file is empty room in name only. Writes of others between two looks are not seen.

mod reserve;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::disk::Disk;
use reserve::Reserve;

/// How often the disk is asked. The fastest disk measured syncs 277 MB/s, so that half a second fills
/// 139 MB, which the watermark's default has room for; a look costs some microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Bytes of the reserve at most: room for the flush of a table of average size and its commit. With a
/// watermark below four times that it is a quarter of the watermark, so that giving it up never looks
/// like room.
const RESERVE_BYTES_MAX: u64 = 64 << 20;

/// How the room is watched.
#[derive(Debug, Clone)]
pub(crate) struct SpaceConfig {
    /// The data directory.
    pub dir: PathBuf,
    /// No rows are taken while no more than so many bytes are free.
    pub free_bytes_min: u64,
    pub segment_bytes: u64,
}

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceStats {
    /// Free at the last look; `u64::MAX` on a file system without a bound.
    pub free_bytes: u64,
    /// The watermark: no rows are taken while no more is free.
    pub free_bytes_min: u64,
    /// After that, rows are taken again when so much is free.
    pub free_bytes_resume: u64,
    /// Whether rows are taken.
    pub has_room: bool,
    /// Bytes of the reserve; 0 while it is given up.
    pub reserve_bytes: u64,
    /// How often room ran out.
    pub times_full: u64,
}

/// A handle on the watch; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    shared: Arc<Shared>,
}

/// The thread behind a [`Space`]. It ends soon after this is dropped.
#[must_use = "the watch ends when this is dropped"]
pub(crate) struct SpaceThread {
    space: Space,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled for a look before its time, and for the end.
    asked: Condvar,
    /// Counts the moments at which a write that had failed may work.
    room_came: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    stats: SpaceStats,
    /// A write found no room since the last look.
    is_found_full: bool,
    is_closed: bool,
}

impl Space {
    /// Looks once, then goes on looking on a thread of its own.
    ///
    /// # Errors
    /// The system's, when it gives no thread.
    pub fn watch(disk: Arc<dyn Disk>, config: SpaceConfig) -> std::io::Result<(Space, SpaceThread)> {
        let (space, mut watcher) = Watcher::new(disk, config);
        watcher.look();
        let thread = std::thread::Builder::new().name("space".to_owned()).spawn(move || watcher.run())?;
        Ok((space.clone(), SpaceThread { space, thread: Some(thread) }))
    }

    /// Room without end that nobody looks at.
    #[cfg(test)]
    pub fn endless() -> Space {
        let stats = SpaceStats {
            free_bytes: u64::MAX,
            free_bytes_min: 0,
            free_bytes_resume: 0,
            has_room: true,
            reserve_bytes: 0,
            times_full: 0,
        };
        let state = Mutex::new(State { stats, is_found_full: false, is_closed: false });
        let shared = Shared { state, asked: Condvar::new(), room_came: watch::Sender::new(0) };
        Space { shared: Arc::new(shared) }
    }

    /// False while rows should be refused for want of room. Cheap.
    pub fn has_room(&self) -> bool {
        self.stats().has_room
    }

    /// True when `bytes` can be written and rows would still be taken after it.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        let stats = self.stats();
        stats.has_room && stats.free_bytes >= stats.free_bytes_resume.saturating_add(bytes)
    }

    /// Tells that a write found no room: rows are refused at once, and the disk is looked at.
    pub fn found_full(&self) {
        self.shared.lock().is_found_full = true;
        self.shared.asked.notify_all();
    }

    /// Changes whenever a write that failed for want of room may work.
    pub fn room_came(&self) -> watch::Receiver<u64> {
        self.shared.room_came.subscribe()
    }

    pub fn stats(&self) -> SpaceStats {
        let state = self.shared.lock();
        SpaceStats { has_room: state.stats.has_room && !state.is_found_full, ..state.stats }
    }
}

impl SpaceThread {
    /// Returns when the thread has ended: nothing is done to the data directory after it.
    pub fn stop(mut self) {
        self.space.shared.close();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for SpaceThread {
    fn drop(&mut self) {
        self.space.shared.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Held for plain assignments only, so a panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.asked.notify_all();
    }

    fn tell_of_room(&self) {
        self.room_came.send_modify(|count| *count += 1);
    }
}

/// What the thread owns.
struct Watcher {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    config: SpaceConfig,
    reserve: Reserve,
    /// The disk did not say how much is free, and that was logged.
    is_blind: bool,
}

impl Watcher {
    fn new(disk: Arc<dyn Disk>, config: SpaceConfig) -> (Space, Watcher) {
        let reserve_bytes = RESERVE_BYTES_MAX.min(config.free_bytes_min / 4);
        let reserve = Reserve::find(Arc::clone(&disk), &config.dir, reserve_bytes);
        let stats = SpaceStats {
            free_bytes: 0,
            free_bytes_min: config.free_bytes_min,
            free_bytes_resume: config.free_bytes_min.saturating_add(config.segment_bytes),
            has_room: true,
            reserve_bytes: reserve.held_bytes(),
            times_full: 0,
        };
        let state = Mutex::new(State { stats, is_found_full: false, is_closed: false });
        let shared = Shared { state, asked: Condvar::new(), room_came: watch::Sender::new(0) };
        let shared = Arc::new(shared);
        let space = Space { shared: Arc::clone(&shared) };
        (space, Watcher { shared, disk, config, reserve, is_blind: false })
    }

    fn run(mut self) {
        while self.waits() {
            self.look();
        }
    }

    /// Waits for the next look; false when there is to be none.
    fn waits(&self) -> bool {
        let idle = |state: &mut State| !state.is_closed && !state.is_found_full;
        let waited = self.shared.asked.wait_timeout_while(self.shared.lock(), LOOK_EVERY, idle);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_closed
    }

    /// Asks the disk, decides whether rows are taken, and gives up the reserve or makes it anew.
    fn look(&mut self) {
        let mut free_bytes = self.free_bytes();
        let State { stats, is_found_full, .. } = *self.shared.lock();
        let is_short = free_bytes < self.reserve.bytes()
            // Where it is a quota that is used up, the reserve is a part of it that is soon used up too.
            || (is_found_full && free_bytes < stats.free_bytes_resume);
        if is_short && self.reserve.gives_up() {
            free_bytes = self.free_bytes();
            // Also with too little room for new rows: this room is for the flushes that wait.
            self.shared.tell_of_room();
        }
        let stats = self.decide(free_bytes);
        if stats.has_room && free_bytes >= stats.free_bytes_resume.saturating_add(self.reserve.bytes()) {
            self.reserve.make();
        }
        self.shared.lock().stats.reserve_bytes = self.reserve.held_bytes();
    }

    /// Says whether rows are taken from now on; logs and tells when that changes.
    fn decide(&self, free_bytes: u64) -> SpaceStats {
        let mut state = self.shared.lock();
        let (had_room, had_bytes) = (state.stats.has_room, state.stats.free_bytes);
        let is_found_full = std::mem::take(&mut state.is_found_full);
        let stats = &mut state.stats;
        let is_enough = match had_room {
            true => free_bytes > stats.free_bytes_min,
            false => free_bytes >= stats.free_bytes_resume,
        };
        stats.free_bytes = free_bytes;
        stats.has_room = is_enough && !is_found_full;
        stats.times_full += u64::from(had_room && !stats.has_room);
        let stats = *stats;
        drop(state);
        let SpaceStats { free_bytes_min, free_bytes_resume, .. } = stats;
        match (had_room, stats.has_room) {
            (true, false) => {
                tracing::error!(
                    free_bytes,
                    free_bytes_min,
                    free_bytes_resume,
                    "refuse rows, the disk is full"
                );
            }
            (false, true) => {
                tracing::info!(free_bytes, "take rows, the disk has room again");
                // If the same was free when a write failed, it would fail again.
                if had_bytes < free_bytes_resume {
                    self.shared.tell_of_room();
                }
            }
            _ => {}
        }
        stats
    }

    /// A disk that does not say counts as one without a bound: then writes that fail must tell.
    fn free_bytes(&mut self) -> u64 {
        let answer = self.disk.free_bytes(&self.config.dir);
        if let Err(error) = &answer
            && !self.is_blind
        {
            tracing::warn!(dir = %self.config.dir.display(), %error, "ask for the free bytes of the disk");
        }
        self.is_blind = answer.is_err();
        answer.unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
