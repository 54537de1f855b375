//! Counts what maintenance does, for metrics, the log and a progress bar.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use meshlake_schema::Table;

use super::vacuum::Vacuumed;
use crate::catalog::Replacement;
use crate::snapshot::DataFile;

/// What all passes have done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaintainStats {
    /// Merges committed.
    pub merges: u64,
    /// Merges that failed; their files are as they were.
    pub failures: u64,
    /// Files that were merged away, and their bytes.
    pub files_in: u64,
    pub bytes_in: u64,
    /// Files that took their place, and their bytes.
    pub files_out: u64,
    pub bytes_out: u64,
    /// Rows that were rewritten.
    pub rows: u64,
    /// Files and rows that became too old.
    pub files_expired: u64,
    pub rows_expired: u64,
    /// Files deleted from the disk, and their bytes.
    pub files_deleted: u64,
    pub bytes_deleted: u64,
    /// Time spent merging, nanoseconds.
    pub nanos: u64,
}

/// How far the merging that runs is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The table that is being merged; none when nothing is.
    pub table: Option<&'static str>,
    /// Rows that are to be merged in this round, and those that are.
    pub rows_total: u64,
    pub rows_done: u64,
}

impl Progress {
    /// 0 to 100; 100 when nothing is to be done.
    pub fn percent(&self) -> u64 {
        (self.rows_done * 100).checked_div(self.rows_total).unwrap_or(100).min(100)
    }
}

/// Shared counters; [`Work::begin`] opens a round, [`Work::merging`] one merge of it.
#[derive(Debug, Default)]
pub struct Work {
    state: Mutex<State>,
    /// Rows of the merge that runs.
    rows_under_way: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    stats: MaintainStats,
    progress: Progress,
}

/// A round of merges; dropping it ends the round.
pub(super) struct Round<'a>(&'a Work);

/// One merge that runs.
pub(super) struct Merging<'a> {
    work: &'a Work,
    table: Table,
    rows: u64,
    begun: Instant,
}

impl Work {
    pub fn progress(&self) -> Progress {
        let mut progress = self.lock().progress.clone();
        progress.rows_done += self.rows_under_way.load(Ordering::Relaxed);
        progress
    }

    pub fn stats(&self) -> MaintainStats {
        self.lock().stats
    }

    pub(super) fn begin(&self, jobs: &[(Table, Vec<DataFile>)]) -> Round<'_> {
        let rows_total = jobs.iter().map(|(_, files)| rows(files)).sum();
        self.lock().progress = Progress { table: None, rows_total, rows_done: 0 };
        Round(self)
    }

    pub(super) fn merging(&self, table: Table, inputs: &[DataFile]) -> Merging<'_> {
        self.lock().progress.table = Some(table.name());
        self.rows_under_way.store(0, Ordering::Relaxed);
        Merging { work: self, table, rows: rows(inputs), begun: Instant::now() }
    }

    pub(super) fn count_failure(&self) {
        self.lock().stats.failures += 1;
    }

    pub(super) fn count_expired(&self, table: Table, files: &[DataFile]) {
        tracing::info!(table = table.name(), files = files.len(), rows = rows(files), "drop old rows");
        let stats = &mut self.lock().stats;
        stats.files_expired += files.len() as u64;
        stats.rows_expired += rows(files);
    }

    pub(super) fn count_vacuumed(&self, table: Table, vacuumed: Vacuumed) {
        if vacuumed.files > 0 {
            let Vacuumed { files, bytes } = vacuumed;
            tracing::info!(table = table.name(), files, bytes, "delete unused files");
        }
        let stats = &mut self.lock().stats;
        stats.files_deleted += vacuumed.files;
        stats.bytes_deleted += vacuumed.bytes;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only counters: whole at any moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.0.rows_under_way.store(0, Ordering::Relaxed);
        self.0.lock().progress = Progress::default();
    }
}

impl Merging<'_> {
    /// What the merge tells its rows to.
    pub fn on_rows(&self) -> impl Fn(u64) + Send + use<> {
        let rows_under_way = Arc::clone(&self.work.rows_under_way);
        move |rows| rows_under_way.store(rows, Ordering::Relaxed)
    }

    /// Counts the merge as made, and logs it.
    pub fn done(self, made: &Replacement) {
        let bytes_out = made.added.iter().map(|new| new.file.size_bytes).sum::<u64>();
        let nanos = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.work.rows_under_way.store(0, Ordering::Relaxed);
        let mut state = self.work.lock();
        state.progress.rows_done += self.rows;
        let stats = &mut state.stats;
        stats.merges += 1;
        stats.files_in += made.removed.len() as u64;
        stats.bytes_in += made.removed.iter().map(|file| file.size_bytes).sum::<u64>();
        stats.files_out += made.added.len() as u64;
        stats.bytes_out += bytes_out;
        stats.rows += self.rows;
        stats.nanos += nanos;
        let percent = state.progress.percent();
        drop(state);
        let (files, rows) = (made.removed.len(), self.rows);
        tracing::info!(table = self.table.name(), files, rows, bytes = bytes_out, percent, "merge files");
    }
}

fn rows(files: &[DataFile]) -> u64 {
    files.iter().map(|file| file.rows).sum()
}
