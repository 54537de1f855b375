//! Keeps tables few-filed, young and clean: merges small files, drops old dates, deletes what is unused.
//!
//! ```text
//!   plan: files of one window -> merge on a quiet thread -> put -> commit (remove + add, no row changes)
//!         (of the ledger: of one date, once it is over)
//!   retain: whole dates past their age                          -> commit (remove)
//!   vacuum: files that no commit has named for an hour          -> delete
//! ```
//! Nothing here is needed for an answer to be right. A commit takes the table's turn with flushes, the work
//! before it does not: its inputs never change, and whether they are still in the table is checked by the
//! commit. Readers hold snapshots whose files stay for an hour after they left.
//!
//! One pass at a time over all tables, on one thread. Nothing is merged for which the disk has no room. Limits:
//! files that cannot be merged (missing, damaged, another program's) are left alone until the process starts again.

mod background;
mod plan;
mod compact;
mod progress;
mod vacuum;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use meshlake_schema::{Clock, Table, TimeRange};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use thiserror::Error;

use crate::catalog::{CatalogError, Cause, NewFile, Replacement};
use crate::fail_point::hit;
use crate::flush::Flusher;
use crate::minutes::minute_of;
use crate::retain::{self, Retention};
use crate::settle::{RoundError, Settle, SettleStats, Settler, Wanted};
use crate::snapshot::DataFile;
use crate::space::Space;
use compact::{CompactError, Job};

pub(crate) use background::Background;
pub use plan::Effort;
pub use progress::{MaintainStats, Progress, Work};

/// How tables are maintained.
#[derive(Debug, Clone)]
pub struct MaintainConfig {
    /// Whether it happens by itself. Off, [`Maintenance::run`] still works. Default on.
    pub is_automatic: bool,
    pub retention: Retention,
}

impl Default for MaintainConfig {
    fn default() -> Self {
        MaintainConfig { is_automatic: true, retention: Retention::default() }
    }
}

/// Why a pass did not do all it should. The tables are whole; the next pass tries again.
#[derive(Debug, Error)]
pub enum MaintainError {
    #[error("table {table}: {cause}")]
    Compact { table: &'static str, cause: CompactError },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("settle calls: {0}")]
    Settle(#[from] RoundError),
    #[error("vacuum table {table}: {cause}")]
    Vacuum { table: &'static str, cause: object_store::Error },
}

/// The maintenance of one store. Clones share it.
#[derive(Clone)]
pub struct Maintenance {
    shared: Arc<Shared>,
}

struct Shared {
    flusher: Arc<Flusher>,
    space: Space,
    clock: Arc<dyn Clock>,
    config: MaintainConfig,
    settler: Arc<Settler>,
    /// Held by the pass that runs.
    pass: tokio::sync::Mutex<()>,
    is_stopping: Arc<AtomicBool>,
    /// Files that could not be merged.
    left_alone: Mutex<HashSet<Path>>,
    work: Work,
}

impl std::fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maintenance").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Maintenance {
    pub(crate) fn new(
        flusher: Arc<Flusher>,
        space: Space,
        clock: Arc<dyn Clock>,
        config: MaintainConfig,
    ) -> Self {
        let parts = (Arc::clone(&flusher), space.clone(), Arc::clone(&clock), config.retention.clone());
        let settler = Arc::new(Settler::new(parts.0, parts.1, parts.2, parts.3));
        let shared = Shared {
            flusher,
            space,
            clock,
            config,
            settler,
            pass: tokio::sync::Mutex::new(()),
            is_stopping: Arc::default(),
            left_alone: Mutex::default(),
            work: Work::default(),
        };
        Maintenance { shared: Arc::new(shared) }
    }

    /// Tells who folds calls; before that nothing is settled. A second call changes nothing.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn settle_with(&self, settle: Arc<dyn Settle>) -> std::io::Result<()> {
        self.shared.settler.wire(settle)
    }

    /// One whole pass: drops what is too old, deletes what is unused, settles what is open if all that can be done is
    /// asked for, and merges last, because under load there may always be more to merge: one round of what is due, or
    /// all that there is. Waits for a pass that runs already.
    ///
    /// cancel: what was committed stays; a merge under way is thrown away.
    ///
    /// # Errors
    /// The first one; what does not depend on it is done all the same. Trying again helps, unless the catalog says
    /// [`CatalogError::Unusable`].
    pub async fn run(&self, effort: Effort) -> Result<(), MaintainError> {
        let _pass = self.shared.pass.lock().await;
        let mut outcome = self.shared.retain().await;
        keep_first(&mut outcome, self.shared.vacuum().await);
        if effort == Effort::All {
            keep_first(
                &mut outcome,
                self.shared.settler.settle(Wanted::Open).await.map_err(MaintainError::from),
            );
        }
        keep_first(&mut outcome, self.shared.compact(effort).await);
        outcome
    }

    /// Makes the cells of every window of calls in `range` anew whose rows are still there. Answers stay whole while it
    /// runs; what is not made again stays as it was.
    ///
    /// cancel: the work goes on to its end.
    ///
    /// # Errors
    /// The first one; other windows are done all the same.
    pub async fn rederive(&self, range: TimeRange) -> Result<(), MaintainError> {
        let minutes = minute_of(range.from.micros())..minute_of(range.to.micros().saturating_sub(1)) + 1;
        Ok(self.shared.settler.settle(Wanted::Anew(minutes)).await?)
    }

    /// How far settling is.
    pub fn settle_stats(&self) -> SettleStats {
        self.shared.settler.stats()
    }

    pub(crate) fn retention(&self) -> &Retention {
        &self.shared.config.retention
    }

    pub(crate) fn settler(&self) -> &Arc<Settler> {
        &self.shared.settler
    }

    /// What the pass that runs has done so far.
    pub fn progress(&self) -> Progress {
        self.shared.work.progress()
    }

    /// What all passes have done.
    pub fn stats(&self) -> MaintainStats {
        self.shared.work.stats()
    }

    /// Ends a merge that runs at its next slice; no other begins.
    fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
    }
}

/// Keeps the first error of steps of which none needs another. The others are logged: the caller learns of one.
fn keep_first(outcome: &mut Result<(), MaintainError>, step: Result<(), MaintainError>) {
    let Err(error) = step else { return };
    if outcome.is_ok() {
        *outcome = Err(error);
    } else {
        tracing::error!(%error, "maintain tables");
    }
}

impl Shared {
    fn now_micros(&self) -> i64 {
        self.clock.now().micros()
    }

    fn files(&self, table: Table) -> Arc<Vec<DataFile>> {
        let tables = self.flusher.buffer().snapshot();
        Arc::clone(&tables[table].files)
    }

    /// Merges what is due in one round; or round by round, for what one has made the next may merge again. A merge that
    /// fails does not end its round, but no other round follows, which would try the same for ever.
    async fn compact(&self, effort: Effort) -> Result<(), MaintainError> {
        loop {
            let mut jobs: Vec<(Table, Vec<DataFile>)> = Vec::new();
            for table in Table::ALL {
                let left_alone = self.left_alone().clone();
                let merges = plan::merges(table, &self.files(table), &left_alone, self.now_micros(), effort);
                jobs.extend(merges.into_iter().map(|files| (table, files)));
            }
            self.drop_those_without_room(&mut jobs);
            if jobs.is_empty() {
                return Ok(());
            }
            let _round = self.work.begin(&jobs);
            let mut outcome = Ok(());
            for (table, files) in jobs {
                if self.is_stopping.load(Ordering::Acquire) {
                    return outcome;
                }
                keep_first(&mut outcome, self.merge(table, files).await);
            }
            if effort == Effort::Due || outcome.is_err() {
                return outcome;
            }
        }
    }

    /// On a disk that runs full a merge would take its room from the rows that come.
    fn drop_those_without_room(&self, jobs: &mut Vec<(Table, Vec<DataFile>)>) {
        let wanted = jobs.len();
        plan::keep_what_fits(jobs, |bytes| self.space.has_room_for(bytes));
        if jobs.len() < wanted {
            tracing::warn!(merges = wanted - jobs.len(), "leave files unmerged until the disk has more room");
        }
    }

    async fn merge(&self, table: Table, inputs: Vec<DataFile>) -> Result<(), MaintainError> {
        // Else whoever comes second has worked for nothing.
        let _turn = match table.cell_seconds() {
            Some(_) => Some(self.settler.turn().await),
            None => None,
        };
        let failed = |cause| MaintainError::Compact { table: table.name(), cause };
        let merging = self.work.merging(table, &inputs);
        let job = Job {
            table,
            inputs: inputs.clone(),
            store: Arc::clone(self.flusher.store()),
            is_stopping: Arc::clone(&self.is_stopping),
            on_rows: Box::new(merging.on_rows()),
        };
        let added = match compact::compact(job).await {
            Ok(added) => added,
            Err(CompactError::Stopped) => return Ok(()),
            Err(CompactError::Files(reason)) => {
                self.leave_alone(table, &inputs, &reason);
                return Ok(());
            }
            Err(cause) => {
                self.work.count_failure();
                return Err(failed(cause));
            }
        };
        let replacement = Replacement { removed: inputs, added, cause: Cause::Compact };
        match self.swap(table, &replacement).await {
            Ok(()) => {
                merging.done(&replacement);
                Ok(())
            }
            Err(error) => {
                self.work.count_failure();
                if matches!(error, CatalogError::NotCommitted { .. }) {
                    self.remove(&replacement.added).await;
                }
                Err(error.into())
            }
        }
    }

    async fn swap(&self, table: Table, replacement: &Replacement) -> Result<(), CatalogError> {
        let (table_name, reason) = (table.name(), |error: std::io::Error| error.to_string());
        hit("before_merge_swap")
            .map_err(|error| CatalogError::NotCommitted { table: table_name, reason: reason(error) })?;
        self.flusher.replace(table, replacement).await?;
        hit("after_merge_swap")
            .map_err(|error| CatalogError::Unknown { table: table_name, reason: reason(error) })
    }

    /// Files that no pass should touch again; they are read as before.
    fn leave_alone(&self, table: Table, files: &[DataFile], reason: &str) {
        self.work.count_failure();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_ref()).collect();
        tracing::error!(table = table.name(), reason, files = ?paths, "leave files unmerged");
        self.left_alone().extend(files.iter().map(|file| file.path.clone()));
    }

    fn left_alone(&self) -> std::sync::MutexGuard<'_, HashSet<Path>> {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes files that no commit names; what cannot be removed is left to a vacuum.
    async fn remove(&self, files: &[NewFile]) {
        for new in files {
            if let Err(error) = self.flusher.store().delete(&new.file.path).await {
                tracing::warn!(path = %new.file.path, %error, "remove unnamed file");
            }
        }
    }

    async fn retain(&self) -> Result<(), MaintainError> {
        let _turn = self.settler.turn().await;
        let tables = self.flusher.buffer().snapshot();
        let dates = retain::dates(&tables, self.clock.now().days());
        let retention = &self.config.retention;
        let mut outcome = Ok(());
        for (table, days) in Table::ALL.into_iter().zip(retention.days) {
            let Some(days) = days else { continue };
            let files = &tables[table].files;
            let newest_days = retain::newest_days(&dates, days);
            let removed = newest_days.map(|newest| retain::expired(files, newest, days)).unwrap_or_default();
            if let Some(latest) = dates.last()
                && retain::expired(files, *latest, days).len() > removed.len()
            {
                tracing::warn!(
                    table = table.name(),
                    date_days = latest,
                    "keep old rows: the newest date of rows stands alone, a clock may have been wrong"
                );
            }
            keep_first(&mut outcome, self.drop_files(table, removed).await);
        }
        if let Some(hours) = retention.calls_10s_hours {
            let removed = retain::expired_cells(&tables, hours, self.now_micros());
            keep_first(&mut outcome, self.drop_files(Table::Calls10s, removed).await);
        }
        outcome
    }

    async fn drop_files(&self, table: Table, removed: Vec<DataFile>) -> Result<(), MaintainError> {
        if removed.is_empty() {
            return Ok(());
        }
        let replacement = Replacement { removed, added: Vec::new(), cause: Cause::Expire };
        self.flusher.replace(table, &replacement).await?;
        self.work.count_expired(table, &replacement.removed);
        Ok(())
    }

    async fn vacuum(&self) -> Result<(), MaintainError> {
        let mut outcome = Ok(());
        for table in Table::ALL {
            keep_first(&mut outcome, self.vacuum_table(table).await);
        }
        outcome
    }

    async fn vacuum_table(&self, table: Table) -> Result<(), MaintainError> {
        hit("before_vacuum")
            .map_err(|error| CatalogError::Unreadable { table: table.name(), reason: error.to_string() })?;
        let (store, audit) = (self.flusher.store().as_ref(), self.flusher.audit(table));
        let vacuumed = vacuum::vacuum(store, table, audit, self.now_micros()).await?;
        self.work.count_vacuumed(table, vacuumed);
        Ok(())
    }
}
