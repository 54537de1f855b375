//! Counts what settling does, for metrics, status and the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far settling is, and what it did since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleStats {
    /// Minutes whose cells are in `calls_1m`.
    pub minutes_settled: u64,
    /// Minutes that are over and whose cells of a minute do not say all; after the last round.
    pub minutes_open: u64,
    /// For how long the oldest minute that was never settled has been due; after the last round.
    pub behind: Duration,
    /// Rounds that found something to do.
    pub rounds: u64,
    /// Commits, of any table of cells.
    pub commits: u64,
    /// Windows settled, those settled anew among them; a minute counts once for all tables.
    pub windows: u64,
    pub windows_anew: u64,
    /// Folds of windows in which all but the busiest operations and names were summed up, by tables with windows of one
    /// length.
    pub windows_cut: u64,
    /// Rows of cells written by folds.
    pub cells: u64,
    /// Folds that failed; their windows are tried again.
    pub failures: u64,
    /// Time spent, nanoseconds.
    pub nanos: u64,
}

/// Shared counters.
#[derive(Debug, Default)]
pub(super) struct Work(Mutex<SettleStats>);

impl Work {
    pub fn stats(&self) -> SettleStats {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self, change: impl FnOnce(&mut SettleStats)) {
        // Only counters: whole at any moment.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
