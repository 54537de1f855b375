//! Frees the segments whose rows are all in files, from any thread, while the log goes on.
//!
//! Strictly oldest first, each step durable before the next: a segment's header may void LSNs of the one
//! before it, so an older segment must never outlive a newer one. A cut segment is kept to be written
//! again, because a file that has been written needs no metadata change at a sync; one that is damaged is
//! moved aside instead, and one whose sync failed is removed, because the disk below it is in doubt. Which
//! exports it held is written down first; see `exports.rs`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::fail_point::hit;
use crate::group::{Lsn, StoredExport};
use crate::wal::exports::{self, AGE_MAX_SECONDS, EXPORTS_MAX, ExportsFile};
use crate::wal::segment::{Layout, WalError};

/// Cut segments that are kept to be written again. One is taken per 64 MiB and cuts give back several at
/// once, so two bridge the time in between; more would hold disk space for nothing.
const SPARES_MAX: usize = 2;

/// What happens to a segment when it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Recycle,
    Remove,
    Quarantine,
}

/// A segment that is no longer appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSegment {
    pub first_lsn: Lsn,
    /// No record in it has a higher LSN.
    pub last_lsn: Lsn,
    pub size_bytes: u64,
    pub fate: Fate,
    /// The exports that are durable in it.
    pub exports: Arc<[StoredExport]>,
}

/// How much the log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalStats {
    /// Bytes of segment files that are not cut yet, the reserved room of the newest included.
    pub bytes: u64,
    /// Segment files that are not cut yet.
    pub segments: u64,
    /// The last record that was synced, or that recovery found; 0 when there is none.
    pub last_durable_lsn: Lsn,
}

/// Cuts the log. Clones cut the same log.
#[derive(Clone)]
pub struct WalCutter {
    shared: Arc<Shared>,
}

/// What the appending thread and the cutting ones share.
pub struct Shared {
    pub disk: Arc<dyn Disk>,
    pub layout: Layout,
    /// Only files of this size are recycled.
    segment_bytes: u64,
    /// Held for a whole cut, so that two cuts keep the order. Never taken by the appender.
    cutting: Mutex<()>,
    /// Held for a moment, never over I/O: the appender must not wait for a cut.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Oldest first.
    sealed: VecDeque<SealedSegment>,
    spares: Vec<PathBuf>,
    /// Oldest first.
    exports_files: VecDeque<ExportsFile>,
    stats: WalStats,
}

impl WalCutter {
    pub fn new(shared: Arc<Shared>) -> WalCutter {
        WalCutter { shared }
    }

    /// Frees every whole segment whose records all have LSNs up to `lsn`. The one that is appended to stays.
    ///
    /// # Errors
    /// The world's: what could not be freed stays in the log and is tried again at the next cut.
    pub fn cut(&self, lsn: Lsn) -> Result<(), WalError> {
        let _cutting = lock(&self.shared.cutting);
        while let Some(segment) = self.shared.oldest_up_to(lsn) {
            self.shared.dispose(&segment)?;
        }
        Ok(())
    }

    pub fn stats(&self) -> WalStats {
        self.shared.stats()
    }
}

impl Shared {
    pub fn new(
        disk: Arc<dyn Disk>,
        layout: Layout,
        segment_bytes: u64,
        spares: Vec<PathBuf>,
        exports_files: Vec<ExportsFile>,
    ) -> Shared {
        let state = State { spares, exports_files: exports_files.into(), ..State::default() };
        Shared { disk, layout, segment_bytes, cutting: Mutex::new(()), state: Mutex::new(state) }
    }

    /// Hands over a segment that is finished; LSNs rise from one to the next.
    pub fn seal(&self, segment: SealedSegment) {
        lock(&self.state).sealed.push_back(segment);
    }

    /// The appender now writes a segment of this size, on top of those that are sealed.
    pub fn set_active(&self, active_bytes: u64, last_durable_lsn: Lsn) {
        let mut state = lock(&self.state);
        let sealed_bytes: u64 = state.sealed.iter().map(|segment| segment.size_bytes).sum();
        state.stats = WalStats {
            bytes: sealed_bytes + active_bytes,
            segments: state.sealed.len() as u64 + u64::from(active_bytes > 0),
            last_durable_lsn,
        };
    }

    pub fn set_durable(&self, lsn: Lsn) {
        lock(&self.state).stats.last_durable_lsn = lsn;
    }

    pub fn take_spare(&self) -> Option<PathBuf> {
        lock(&self.state).spares.pop()
    }

    pub fn stats(&self) -> WalStats {
        lock(&self.state).stats
    }

    fn oldest_up_to(&self, lsn: Lsn) -> Option<SealedSegment> {
        lock(&self.state).sealed.front().filter(|segment| segment.last_lsn <= lsn).cloned()
    }

    /// Takes the oldest segment out of the log, durably.
    fn dispose(&self, segment: &SealedSegment) -> Result<(), WalError> {
        let path = self.layout.segment(segment.first_lsn);
        self.write_requests(segment)?;
        hit("before_cut").map_err(WalError::io("cut", &path))?;
        let spare = self.is_wanted_as_spare(segment).then(|| self.layout.spare(segment.first_lsn));
        let target = match segment.fate {
            Fate::Quarantine => Some(self.layout.quarantined(segment.first_lsn)),
            _ => spare.clone(),
        };
        let disk = self.disk.as_ref();
        match &target {
            Some(target) => disk.rename(&path, target).map_err(WalError::io("rename", &path))?,
            None => disk.remove(&path).map_err(WalError::io("remove", &path))?,
        }
        // From here on the name is gone: whatever the syncs say, a second try would not find it.
        let mut state = lock(&self.state);
        state.sealed.pop_front();
        state.stats.bytes = state.stats.bytes.saturating_sub(segment.size_bytes);
        state.stats.segments = state.stats.segments.saturating_sub(1);
        drop(state);
        let synced = self.sync_cut(segment, &path);
        if let Some(spare) = spare {
            // Written again before that, it would be a segment of other LSNs under its old name after a power cut.
            match &synced {
                Ok(()) => lock(&self.state).spares.push(spare),
                // Best effort: one that stays behind is a spare again at the next start.
                Err(_) => drop(disk.remove(&spare)),
            }
        }
        synced
    }

    /// Makes it durable that the segment at `path` has lost that name.
    fn sync_cut(&self, segment: &SealedSegment, path: &Path) -> Result<(), WalError> {
        hit("after_cut").map_err(WalError::io("sync the cut of", path))?;
        if segment.fate == Fate::Quarantine {
            let dir = &self.layout.quarantine;
            self.disk.sync_dir(dir).map_err(WalError::io("sync", dir))?;
        }
        self.disk.sync_dir(&self.layout.live).map_err(WalError::io("sync", &self.layout.live))
    }

    /// Writes down the exports of a segment, durably, and removes files that nobody needs any more.
    fn write_requests(&self, segment: &SealedSegment) -> Result<(), WalError> {
        let Some(last) = segment.exports.last() else {
            return Ok(());
        };
        let (disk, first_lsn) = (self.disk.as_ref(), segment.first_lsn);
        let path = self.layout.exports(first_lsn);
        exports::write(disk, &path, &segment.exports).map_err(WalError::io("write", &path))?;
        disk.sync_dir(&self.layout.live).map_err(WalError::io("sync", &self.layout.live))?;
        let file = ExportsFile { first_lsn, count: segment.exports.len(), seconds: last.seconds };
        for needless in lock(&self.state).add_exports_file(file) {
            let path = self.layout.exports(needless.first_lsn);
            // One that stays behind is read at the next start, where its age tells.
            if let Err(error) = disk.remove(&path) {
                tracing::warn!(path = %path.display(), %error, "remove the exports of a segment");
            }
        }
        Ok(())
    }

    fn is_wanted_as_spare(&self, segment: &SealedSegment) -> bool {
        segment.fate == Fate::Recycle
            && segment.size_bytes == self.segment_bytes
            && lock(&self.state).spares.len() < SPARES_MAX
    }
}

impl State {
    /// Adds the newest file, once however often its segment is tried to be cut; gives back those that are too many
    /// or too old.
    fn add_exports_file(&mut self, file: ExportsFile) -> Vec<ExportsFile> {
        self.exports_files.retain(|known| known.first_lsn != file.first_lsn);
        self.exports_files.push_back(file);
        let mut count: usize = self.exports_files.iter().map(|file| file.count).sum();
        let mut needless = Vec::new();
        while let Some(oldest) = self.exports_files.front().copied()
            && oldest != file
            && (count > EXPORTS_MAX || oldest.seconds.saturating_add(AGE_MAX_SECONDS) < file.seconds)
        {
            count -= oldest.count;
            needless.extend(self.exports_files.pop_front());
        }
        needless
    }
}

/// A panic while the lock was held cannot have left the state half changed: every change is one statement
/// or arithmetic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    const SEGMENT_BYTES: u64 = 1024;

    /// Segments of ten LSNs each: 1-10, 11-20, ...
    fn log(fates: &[Fate]) -> (SimDisk, WalCutter) {
        let disk = SimDisk::default();
        let layout = Layout::new(Path::new("wal"));
        disk.set_dir(&layout.live);
        disk.set_dir(&layout.quarantine);
        let shared =
            Shared::new(Arc::new(disk.clone()), layout.clone(), SEGMENT_BYTES, Vec::new(), Vec::new());
        for (i, fate) in fates.iter().enumerate() {
            let first_lsn = i as Lsn * 10 + 1;
            disk.set_contents(&layout.segment(first_lsn), vec![0; SEGMENT_BYTES as usize]);
            let last_lsn = first_lsn + 9;
            let (size_bytes, exports) = (SEGMENT_BYTES, Arc::from([]));
            shared.seal(SealedSegment { first_lsn, last_lsn, size_bytes, fate: *fate, exports });
        }
        shared.set_active(SEGMENT_BYTES, fates.len() as Lsn * 10);
        (disk, WalCutter::new(Arc::new(shared)))
    }

    fn names(disk: &SimDisk) -> Vec<String> {
        let names = disk.paths().into_iter().map(|path| path.to_string_lossy().into_owned());
        names.map(|name| name.trim_start_matches("wal/").replace("00000000000000000", "")).collect()
    }

    #[test]
    fn only_whole_segments_up_to_the_lsn_go() {
        let (disk, cutter) = log(&[Fate::Remove; 3]);
        cutter.cut(19).expect("cut");
        assert_eq!(names(&disk), ["0/011.seg", "0/021.seg"]);
        cutter.cut(20).expect("cut");
        assert_eq!(names(&disk), ["0/021.seg"]);
        assert_eq!(cutter.stats(), WalStats { bytes: 2 * SEGMENT_BYTES, segments: 2, last_durable_lsn: 30 });
    }

    #[test]
    fn two_spares_are_kept_and_no_more() {
        let (disk, cutter) = log(&[Fate::Recycle; 4]);
        cutter.cut(40).expect("cut");
        assert_eq!(names(&disk), ["0/001.spare", "0/011.spare"]);
    }

    /// Scenario: the directory cannot be synced after the rename, so that a power cut may bring the old name back. Had
    /// the file been written again by then, the log would not be read any more.
    #[test]
    fn a_segment_whose_cut_is_not_durable_is_no_spare() {
        let (disk, cutter) = log(&[Fate::Recycle; 2]);
        disk.fail_dir_syncs(0, 1);
        cutter.cut(10).expect_err("the sync is told to fail");
        assert_eq!(cutter.shared.take_spare(), None);
        assert_eq!(names(&disk), ["0/011.seg"]);
        cutter.cut(20).expect("cut");
        assert_eq!(cutter.shared.take_spare(), Some(cutter.shared.layout.spare(11)));
    }

    #[test]
    fn a_damaged_segment_is_moved_aside() {
        let (disk, cutter) = log(&[Fate::Quarantine, Fate::Recycle]);
        cutter.cut(20).expect("cut");
        assert_eq!(names(&disk), ["0/011.spare", "quarantine/001.seg"]);
    }

    /// Scenario: the power goes at any moment of a cut. Guarantee: the segment is there, or its exports are.
    #[test]
    fn requests_are_durable_before_their_segment_is_cut() {
        let export = StoredExport { hash: 7, rows: 1, seconds: 9 };
        for operations in 0..8 {
            let (disk, cutter) = log(&[]);
            let segment = SealedSegment {
                first_lsn: 1,
                last_lsn: 10,
                size_bytes: SEGMENT_BYTES,
                fate: Fate::Recycle,
                exports: Arc::from([export]),
            };
            disk.set_contents(&cutter.shared.layout.segment(1), vec![0; SEGMENT_BYTES as usize]);
            cutter.shared.seal(segment);
            disk.power_off_after(operations);
            let _ = cutter.cut(10);
            for seed in 0..20 {
                let crashed = disk.crashed(seed);
                let layout = &cutter.shared.layout;
                let has_segment = crashed.contents(&layout.segment(1)).is_some();
                let read = exports::read(&crashed, &layout.exports(1)).ok().flatten();
                assert!(has_segment || read == Some(vec![export]), "seed {seed}, {operations} operations");
            }
        }
    }

    #[test]
    fn files_of_requests_go_by_number_and_by_age() {
        let mut state = State::default();
        let file = |first_lsn, count, seconds| ExportsFile { first_lsn, count, seconds };
        assert_eq!(state.add_exports_file(file(1, EXPORTS_MAX - 10, 0)), []);
        assert_eq!(state.add_exports_file(file(2, 10, AGE_MAX_SECONDS)), []);
        assert_eq!(state.add_exports_file(file(2, 10, AGE_MAX_SECONDS)), [], "tried again");
        assert_eq!(state.add_exports_file(file(3, 1, 5)), [file(1, EXPORTS_MAX - 10, 0)], "one too many");
        let much_later = 2 * AGE_MAX_SECONDS + 1;
        let old = [file(2, 10, AGE_MAX_SECONDS), file(3, 1, 5)];
        assert_eq!(state.add_exports_file(file(4, 1, much_later)), old, "too old");
        assert_eq!(state.add_exports_file(file(5, EXPORTS_MAX + 1, much_later)), [file(4, 1, much_later)]);
    }

    #[test]
    fn an_older_segment_never_outlives_a_newer_one() {
        for operations in 0..8 {
            let (disk, cutter) = log(&[Fate::Remove, Fate::Recycle, Fate::Quarantine]);
            disk.power_off_after(operations);
            let _ = cutter.cut(30);
            for seed in 0..20 {
                let left = names(&disk.crashed(seed));
                let segments: Vec<&String> = left.iter().filter(|name| name.starts_with("0/0")).collect();
                let segments: Vec<&&String> = segments.iter().filter(|name| name.ends_with("seg")).collect();
                let newest = ["0/001.seg", "0/011.seg", "0/021.seg"];
                assert_eq!(segments, newest[3 - segments.len()..].iter().collect::<Vec<_>>(), "seed {seed}");
            }
        }
    }

    #[test]
    fn what_could_not_be_freed_is_tried_again() {
        let (disk, cutter) = log(&[Fate::Remove; 2]);
        disk.power_off_after(0);
        cutter.cut(20).expect_err("the power is off");
        disk.power_off_after(1 << 40);
        cutter.cut(20).expect("cut");
        assert_eq!(names(&disk), Vec::<String>::new());
    }
}
