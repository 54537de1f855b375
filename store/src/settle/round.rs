//! One round: plan, fold, write and commit, for the tables with windows of one length.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use meshlake_schema::tables::SETTLE_MARGIN_MINUTES;
use meshlake_schema::{Table, TableBatch, TimeRange, UnixNanos};

use super::fold::{FoldBudget, SettleJob, SettledCells};
use super::plan::{self, Due, Run, Terms, Which};
use super::tenants::Tenants;
use super::write::{self, Cells, Target};
use super::{ALL_MINUTES, RoundError, Rounds, Settler, Wanted};
use crate::catalog::{CatalogError, Replacement};
use crate::fail_point::hit;
use crate::group::Lsn;
use crate::minutes::MICROS_PER_MINUTE;
use crate::snapshot::{Snapshot, window_minutes};

/// Memory of cells after which a round folds no more, so that one commit stays small; the last fold may go over it.
const CELLS_BYTES_MAX: usize = 64 << 20;

/// Folds of a round that may fail before the rest is left to the next: whatever is wrong may be wrong with all.
const FAILURES_MAX: usize = 8;

/// What one round did for the tables with windows of one length.
#[derive(Default)]
pub(super) struct Done {
    /// The first minute of the oldest window that was tried; older ones are left for the next round.
    pub oldest: Option<i64>,
    pub is_more_due: bool,
    pub error: Option<RoundError>,
}

impl Settler {
    /// One round for `tables`, whose windows are of one length.
    pub(super) async fn round(
        &self,
        rounds: &mut Rounds,
        tables: &[Table],
        wanted: &Wanted,
        minutes: Range<i64>,
    ) -> Done {
        let width = window_minutes(tables[0]);
        let (snapshot, now_micros) = (self.snapshot(), self.clock.now().micros());
        let mut due = self.due(&snapshot, tables, wanted, minutes, now_micros);
        if matches!(wanted, Wanted::Round { .. }) {
            if width == 1 {
                rounds.waiting = plan::waiting(&due, rows_in(&snapshot, &due, width));
            }
            due = plan::without(due, &rounds.waiting, width);
        }
        let due = rounds.retries.entry(width).or_default().ready(due, now_micros);
        let Some(oldest) = due.first() else { return Done::default() };
        if !self.space.has_room_for(CELLS_BYTES_MAX as u64) {
            return Done { error: Some(RoundError::NoRoom), ..Done::default() };
        }
        let rows_of = rows_in(&snapshot, &due, width);
        let runs = plan::runs(&due, width, rows_of, &rounds.retries[&width].alone());
        let mut done = Done::default();
        let mut failures = 0;
        let mut cells: BTreeMap<Table, Cells> =
            tables.iter().map(|table| (*table, Cells::default())).collect();
        for run in runs {
            if self.is_stopping.load(Ordering::Acquire)
                || failures >= FAILURES_MAX
                || bytes(&cells) > CELLS_BYTES_MAX
            {
                break;
            }
            done.oldest = Some(run.minutes.start);
            match self.fold(&mut rounds.tenants, &snapshot, &run).await {
                Ok(batches) => add(&mut cells, &run, snapshot.last_folded(), &batches),
                Err(error @ RoundError::Stopping) => {
                    done.error = Some(error);
                    break;
                }
                Err(error) => {
                    failures += 1;
                    self.failed(rounds, &run.minutes, width);
                    done.error.get_or_insert(error);
                }
            }
        }
        done.is_more_due = done.oldest.is_some_and(|tried| oldest.first < tried);
        self.count(&due, &cells);
        for (table, cells) in cells.into_iter().filter(|(_, cells)| !cells.minutes.is_empty()) {
            if let Err(error) = self.commit(rounds, table, &cells).await {
                done.error.get_or_insert(error);
            }
        }
        done
    }

    /// Tells the gauges how far cells of a minute are.
    pub(super) fn look(&self) {
        let (snapshot, now_micros) = (self.snapshot(), self.clock.now().micros());
        let due = self.due(&snapshot, &[Table::Calls1m], &Wanted::Open, ALL_MINUTES, now_micros);
        let oldest = due.iter().find(|due| due.is_new).map(|due| plan::due_micros(due.first, 1));
        let behind = oldest.map_or(0, |due_micros| now_micros.saturating_sub(due_micros));
        self.work.count(|stats| {
            stats.minutes_open = due.len() as u64;
            stats.behind = Duration::from_micros(behind.unsigned_abs());
            stats.minutes_settled = snapshot.settled_minutes(Table::Calls1m);
        });
    }

    /// The windows that are wanted and due, ascending.
    fn due(
        &self,
        snapshot: &Snapshot,
        tables: &[Table],
        wanted: &Wanted,
        minutes: Range<i64>,
        now_micros: i64,
    ) -> Vec<Due> {
        let by_table = self.flusher.buffer().snapshot();
        let kept_from = |table| self.retention.kept_from_minute(table, &by_table, now_micros);
        let which = if matches!(wanted, Wanted::Anew(_)) { Which::All } else { Which::Open };
        let terms = Terms { which, minutes, now_micros, kept_from: &kept_from };
        let mut due = plan::due(snapshot, tables, &terms);
        if *wanted == (Wanted::Round { with_late: false }) {
            due.retain(|due| due.is_new);
        }
        due
    }

    /// The cells of a run, of all tenants.
    async fn fold(
        &self,
        tenants: &mut Tenants,
        snapshot: &Snapshot,
        run: &Run,
    ) -> Result<Vec<TableBatch>, RoundError> {
        let near = run.minutes.start - SETTLE_MARGIN_MINUTES..run.minutes.end + SETTLE_MARGIN_MINUTES;
        let mut cells = Vec::new();
        for tenant in tenants.of(snapshot, &near).await? {
            let job = SettleJob {
                snapshot: snapshot.clone(),
                tenant: tenant.clone(),
                tables: run.tables.clone(),
                range: TimeRange { from: instant(run.minutes.start), to: instant(run.minutes.end) },
                budget: Arc::new(FoldBudget::new(Arc::clone(&self.is_stopping))),
            };
            let failed = |reason: String| RoundError::Fold { minutes: run.minutes.clone(), tenant, reason };
            match self.fold_job(job).await {
                Ok(batches) => cells.extend(batches),
                Err(_) if self.is_stopping.load(Ordering::Acquire) => return Err(RoundError::Stopping),
                Err(reason) => {
                    let error = failed(reason);
                    tracing::error!(%error, "settle calls");
                    return Err(error);
                }
            }
        }
        Ok(cells)
    }

    /// A task of its own, so that even a bug in a fold ends only that fold.
    async fn fold_job(&self, job: SettleJob) -> Result<Vec<TableBatch>, String> {
        let Some(wired) = self.wired.get() else { return Err("nobody folds".to_owned()) };
        let (settle, given) = (Arc::clone(&wired.settle), job.clone());
        let mut fold = tokio::spawn(async move { settle.settle(given).await });
        let mut stop = self.stop.subscribe();
        let folded = tokio::select! {
            folded = &mut fold => folded,
            _ = stop.wait_for(|stopped| *stopped) => {
                fold.abort();
                return Err("the store is stopping".to_owned());
            }
        };
        let folded = folded.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let SettledCells { batches, cut_windows } = folded;
        batches.iter().try_for_each(|batch| check(&job, batch))?;
        self.work.count(|stats| stats.windows_cut += cut_windows);
        Ok(batches)
    }

    /// One commit: cells take the place of those of the same minutes.
    async fn commit(&self, rounds: &mut Rounds, table: Table, cells: &Cells) -> Result<(), RoundError> {
        let _turn = self.turn().await;
        let files = Arc::clone(&self.flusher.buffer().snapshot()[table].files);
        let (store, collector_id) = (self.flusher.store(), self.flusher.collector_id());
        let target = Target { store, table, files: &files, collector_id };
        let (replacement, unwritten) = target.replace(cells).await;
        for minute in &unwritten {
            let width = window_minutes(table);
            let first = minute.div_euclid(width) * width;
            self.failed(rounds, &(first..first + width), width);
        }
        if !replacement.added.is_empty() {
            self.swap(table, &replacement).await?;
            self.work.count(|stats| stats.commits += 1);
            self.flusher.tidy(table).await;
        }
        match unwritten.len() {
            0 => {
                cells.minutes.keys().for_each(|minute| {
                    rounds.retries.entry(window_minutes(table)).or_default().done(*minute..*minute + 1);
                });
                Ok(())
            }
            minutes => Err(RoundError::Write { table: table.name(), minutes }),
        }
    }

    async fn swap(&self, table: Table, replacement: &Replacement) -> Result<(), RoundError> {
        let (name, reason) = (table.name(), |error: std::io::Error| error.to_string());
        let swapped = async {
            hit("before_settle_commit")
                .map_err(|error| CatalogError::NotCommitted { table: name, reason: reason(error) })?;
            self.flusher.replace(table, replacement).await?;
            hit("after_settle_commit")
                .map_err(|error| CatalogError::Unknown { table: name, reason: reason(error) })
        };
        let Err(error) = swapped.await else { return Ok(()) };
        tracing::error!(%error, "settle calls");
        if matches!(error, CatalogError::NotCommitted { .. }) {
            write::remove(self.flusher.store().as_ref(), &replacement.added).await;
        }
        // No flush comes that would find out what is in the table, and the next round builds on it.
        if let Err(error) = self.flusher.audit(table).await {
            tracing::error!(%error, "read what is in the table of cells");
        }
        Err(error.into())
    }

    fn failed(&self, rounds: &mut Rounds, minutes: &Range<i64>, width: i64) {
        self.work.count(|stats| stats.failures += 1);
        rounds.retries.entry(width).or_default().failed(minutes.clone(), width, self.clock.now().micros());
    }

    fn count(&self, due: &[Due], cells: &BTreeMap<Table, Cells>) {
        let is_done = |due: &&Due| cells.values().any(|cells| cells.minutes.contains_key(&due.first));
        let done = || due.iter().filter(is_done);
        let rows = cells.values().flat_map(|cells| &cells.batches).map(|batch| batch.row_count() as u64);
        self.work.count(|stats| {
            stats.rounds += 1;
            stats.windows += done().count() as u64;
            stats.windows_anew += done().filter(|due| !due.is_new).count() as u64;
            stats.cells += rows.sum::<u64>();
        });
    }
}

/// How many rows lie in windows of `width` minutes by their first, for those that are due.
fn rows_in(snapshot: &Snapshot, due: &[Due], width: i64) -> impl Fn(i64) -> u64 + use<> {
    let (first, last) = (due.first().map_or(0, |due| due.first), due.last().map_or(0, |due| due.first));
    let rows = snapshot.rows_by_minute(&(first..last + width));
    move |first| rows.range(first..first + width).map(|(_, rows)| rows).sum()
}

fn instant(minute: i64) -> UnixNanos {
    UnixNanos::from_micros(minute * MICROS_PER_MINUTE)
}

fn bytes(cells: &BTreeMap<Table, Cells>) -> usize {
    cells.values().flat_map(|cells| &cells.batches).map(|batch| batch.rows().get_array_memory_size()).sum()
}

fn add(cells: &mut BTreeMap<Table, Cells>, run: &Run, through: Lsn, batches: &[TableBatch]) {
    for table in &run.tables {
        let cells = cells.entry(*table).or_default();
        cells.minutes.extend(run.minutes.clone().map(|minute| (minute, through)));
        cells.batches.extend(batches.iter().filter(|batch| batch.table() == *table).cloned());
    }
}

/// Whether cells are what was asked for: anything else would be lost or doubled by the next replacement.
fn check(job: &SettleJob, batch: &TableBatch) -> Result<(), String> {
    let table = batch.table();
    if !job.tables.contains(&table) {
        return Err(format!("rows of table {} come from a fold for others, a bug", table.name()));
    }
    let column = |name: &str| batch.rows().column_by_name(name).expect("every table has it");
    let times = column("time").as_primitive::<TimestampMicrosecondType>();
    let cell_micros = i64::from(table.cell_seconds().expect("the job's tables have cells")) * 1_000_000;
    let is_cell = |time: &i64| job.range.meets(*time, *time) && time.rem_euclid(cell_micros) == 0;
    if times.null_count() > 0 || !times.values().iter().all(is_cell) {
        return Err(format!("a row of {} is no cell of what was folded, a bug", table.name()));
    }
    let tenants = column("tenant").as_dictionary::<Int32Type>();
    let names = tenants.values().as_string::<i32>();
    let is_own = |key: Option<i32>| key.is_some_and(|key| names.value(key as usize) == job.tenant);
    if !tenants.keys().iter().all(is_own) {
        return Err(format!("a cell of {} is of another tenant, a bug", table.name()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use meshlake_schema::PerTable;
    use object_store::memory::InMemory;

    use super::*;
    use crate::test_rows::{MIDNIGHT, rows};

    const MINUTE: i64 = MICROS_PER_MINUTE;

    /// Cells that are for others would be lost or doubled by the next replacement of theirs.
    #[test]
    fn only_cells_of_the_job_are_taken() {
        let check_of = |tenant: &str, table: Table, times: &[i64]| {
            let job = SettleJob {
                snapshot: Snapshot::new(PerTable::default(), Arc::new(InMemory::new())),
                tenant: tenant.to_owned(),
                tables: vec![Table::Calls10s, Table::Calls1m],
                range: TimeRange {
                    from: UnixNanos::from_micros(MIDNIGHT),
                    to: UnixNanos::from_micros(MIDNIGHT + 2 * MINUTE),
                },
                budget: Arc::new(FoldBudget::new(Arc::default())),
            };
            check(&job, &rows(table, times)).is_ok()
        };
        // Of one row of a test the tenant is `tenant-0`.
        assert!(check_of("tenant-0", Table::Calls1m, &[MIDNIGHT + MINUTE]));
        assert!(check_of("tenant-0", Table::Calls10s, &[MIDNIGHT + 110_000_000]));
        assert!(!check_of("tenant-1", Table::Calls1m, &[MIDNIGHT]), "another tenant's");
        assert!(!check_of("tenant-0", Table::Calls10m, &[MIDNIGHT]), "a table not asked for");
        assert!(!check_of("tenant-0", Table::Calls1m, &[MIDNIGHT - MINUTE]), "before");
        assert!(!check_of("tenant-0", Table::Calls1m, &[MIDNIGHT + 2 * MINUTE]), "after");
        assert!(!check_of("tenant-0", Table::Calls1m, &[MIDNIGHT + 10_000_000]), "no start of a cell");
        assert!(
            !check_of("tenant-0", Table::Calls1m, &[MIDNIGHT, MIDNIGHT]),
            "one of two is another tenant's"
        );
    }
}
