//! Which windows of cells say what all rows would: known from record numbers, without reading a row.
//!
//! A window is what cells of a table are made of at once: a minute, or the ten minutes of a longer cell. Rows that start
//! up to [`SETTLE_MARGIN_MINUTES`] before or after it decide what its calls are. It is *open* when one of those rows came
//! after the record that its cells' fold saw, or when it was never settled; then it has to be folded. Every other window
//! is settled: its cells are in the table, or no row is near it and it has none.
//!
//! Each table has its own state, in the same log entries as its cells, so no crash can make the two disagree. A table
//! that was not brought up to date yet has more open windows than another, never other answers.
//!
//! *Frozen* is a settled window near which rows have been dropped for their age: a new fold would see less than the old
//! one, so what comes late there is not counted. When its cells go as well, only the wider ones of other tables are left.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use meshlake_schema::tables::SETTLE_MARGIN_MINUTES;
use meshlake_schema::{Table, TimeRange, UnixNanos};

use super::own::tenants_of;
use super::{DataFile, Snapshot, TableSnapshot};
use crate::group::Lsn;
use crate::minutes::{FOLDED, MICROS_PER_MINUTE, MINUTES_PER_DAY, MinuteLsns, minute_of};

/// How many minutes of cells of `table` are made at once.
///
/// # Panics
/// When it has no cells.
pub(crate) fn window_minutes(table: Table) -> i64 {
    i64::from(table.cell_seconds().expect("a table of cells").div_ceil(60))
}

/// A window that rows are near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Minutes since the epoch.
    pub first: i64,
    /// The last record that brought a row near it.
    pub lsn: Lsn,
    /// The first of the records that the folds of its minutes saw; none when some minute was never settled.
    pub seen: Option<Lsn>,
    /// Rows near it have been dropped.
    pub is_past: bool,
}

impl Window {
    pub fn is_open(&self) -> bool {
        self.seen.is_none_or(|seen| self.lsn > seen && !self.is_past)
    }
}

impl Snapshot {
    /// The parts of `range` that have to be folded from rows, because the cells of `table` do not say it: whole windows,
    /// ascending, none touching another. All else of the range is told by the cells of its own time, and cells of open
    /// windows are to be left out: they tell less than the rows.
    ///
    /// # Panics
    /// When `table` has no cells.
    pub fn open(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        let minutes =
            minute_of(range.from.micros())..minute_of(range.to.micros().saturating_sub(1)).saturating_add(1);
        let width = window_minutes(table);
        let open = self.windows(table, minutes).into_iter().filter(Window::is_open);
        times(open.map(|window| window.first), width)
    }

    /// The parts of `range` for which `table` has no cells and never will again, because rows near them were dropped for
    /// their age, while the next wider table still has some: whole windows of that one, ascending, none touching another.
    /// None for the widest table.
    ///
    /// # Panics
    /// When `table` has no cells.
    pub fn only_wider(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        let wider = Table::settled().find(|wider| wider.cell_seconds() > table.cell_seconds());
        let Some(wider) = wider else { return Vec::new() };
        let (width, minutes) = (window_minutes(wider), self.past_minutes(range));
        if minutes.is_empty() {
            return Vec::new();
        }
        let end = minutes.end.saturating_sub(1).div_euclid(width).saturating_add(1).saturating_mul(width);
        let minutes = minutes.start.div_euclid(width) * width..end;
        let (wide, narrow) = (self.seen_by_folds(wider, minutes.clone()), self.seen_by_folds(table, minutes));
        let windows: BTreeSet<i64> = wide.keys().map(|minute| minute.div_euclid(width) * width).collect();
        let is_gone = |first: &i64| narrow.range(*first..*first + width).next().is_none();
        times(windows.into_iter().filter(is_gone), width)
    }

    /// The windows of `table` in `range` near which rows came after others of their time had been dropped: what those tell
    /// is not in the cells, and never will be.
    ///
    /// # Panics
    /// When `table` has no cells.
    pub fn frozen_late(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        let minutes = self.past_minutes(range);
        let windows = if minutes.is_empty() { Vec::new() } else { self.windows(table, minutes) };
        let is_late = |window: &Window| window.is_past && window.seen.is_some_and(|seen| window.lsn > seen);
        times(windows.into_iter().filter(is_late).map(|window| window.first), window_minutes(table))
    }

    /// The windows of `table` that share a minute with `range` and of whose calls anything is known, ascending: when each
    /// begins, and the last record that brought a row near it, or that its fold saw where rows near it are gone. As long as
    /// that is the same record, so are the calls of the window.
    ///
    /// # Panics
    /// When `table` has no cells.
    pub fn told_windows(&self, table: Table, range: TimeRange) -> Vec<(UnixNanos, Lsn)> {
        let width = window_minutes(table);
        let minutes =
            minute_of(range.from.micros())..minute_of(range.to.micros().saturating_sub(1)).saturating_add(1);
        let first_of = |minute: i64| minute.div_euclid(width) * width;
        let whole = first_of(minutes.start)..first_of(minutes.end.saturating_sub(1)).saturating_add(width);
        let mut told: BTreeMap<i64, Lsn> = BTreeMap::new();
        for (minute, seen) in self.seen_by_folds(table, whole) {
            let known = told.entry(first_of(minute)).or_insert(seen);
            *known = seen.max(*known);
        }
        told.extend(self.windows(table, minutes).into_iter().map(|window| (window.first, window.lsn)));
        let start = |minute: i64| UnixNanos::from_micros(minute * MICROS_PER_MINUTE);
        told.into_iter().map(|(first, lsn)| (start(first), lsn)).collect()
    }

    /// The last record that brought a row, of those that calls are folded from, of each minute of `range` that has any, in minutes
    /// since the epoch.
    pub fn last_records(&self, range: TimeRange) -> BTreeMap<i64, Lsn> {
        let end = minute_of(range.to.micros().saturating_sub(1)).saturating_add(1);
        self.arrivals(minute_of(range.from.micros())..end)
    }

    /// The minutes of `range` near which rows have been dropped for their age.
    fn past_minutes(&self, range: TimeRange) -> Range<i64> {
        let end = minute_of(range.to.micros().saturating_sub(1)).saturating_add(1);
        minute_of(range.from.micros())..end.min(self.rows_kept_from().saturating_add(SETTLE_MARGIN_MINUTES))
    }

    /// The first minute whose rows have not been dropped, by what any table that calls are folded from has dropped.
    fn rows_kept_from(&self) -> i64 {
        let kept_from = FOLDED.map(|table| i64::from(self.tables[table].kept_from_days) * MINUTES_PER_DAY);
        kept_from.into_iter().max().unwrap_or_default()
    }

    /// Every window of `table` that shares a minute with `minutes` and that rows are near, ascending.
    pub(crate) fn windows(&self, table: Table, minutes: Range<i64>) -> Vec<Window> {
        let width = window_minutes(table);
        let first_of = |minute: i64| minute.div_euclid(width) * width;
        let firsts = first_of(minutes.start)..first_of(minutes.end.saturating_sub(1)).saturating_add(width);
        let mut latest: BTreeMap<i64, Lsn> = BTreeMap::new();
        for (minute, lsn) in self.arrivals(
            firsts.start.saturating_sub(SETTLE_MARGIN_MINUTES)
                ..firsts.end.saturating_add(SETTLE_MARGIN_MINUTES),
        ) {
            let near = first_of(minute - SETTLE_MARGIN_MINUTES)..=minute + SETTLE_MARGIN_MINUTES;
            for first in near.step_by(width as usize).filter(|first| firsts.contains(first)) {
                let known = latest.entry(first).or_insert(lsn);
                *known = lsn.max(*known);
            }
        }
        let seen = self.seen_by_folds(table, firsts);
        let kept_from = self.rows_kept_from();
        let window = |(first, lsn): (i64, Lsn)| {
            let seen = (first..first + width).map(|minute| seen.get(&minute).copied());
            let seen = seen.min().flatten();
            Window { first, lsn, seen, is_past: first - SETTLE_MARGIN_MINUTES < kept_from }
        };
        latest.into_iter().map(window).collect()
    }

    /// The tenants of buffered rows of `table` in batches that have rows in `minutes`.
    pub(crate) fn hot_tenants(&self, table: Table, minutes: &Range<i64>) -> BTreeSet<String> {
        let hot = self.tables[table].hot.iter();
        let near = hot.filter(|hot| hot.minutes.minutes_in(minutes).next().is_some());
        near.flat_map(|hot| tenants_of(hot.batch.rows())).collect()
    }

    /// The last record that any fold of this snapshot sees.
    pub(crate) fn last_folded(&self) -> Lsn {
        let last = |table: Table| {
            let table = &self.tables[table];
            table.hot.last().map_or(table.watermark, |hot| hot.lsn_last.max(table.watermark))
        };
        FOLDED.into_iter().map(last).max().unwrap_or_default()
    }

    /// About how many rows to be folded start in each minute of `minutes`: those of a file count alike for all minutes
    /// that it has.
    pub(crate) fn rows_by_minute(&self, minutes: &Range<i64>) -> BTreeMap<i64, u64> {
        let mut rows_by_minute = BTreeMap::new();
        let mut spread = |rows: u64, lsns: &MinuteLsns| {
            let share = rows / (lsns.minutes().count() as u64).max(1);
            for (minute, _) in lsns.minutes_in(minutes) {
                *rows_by_minute.entry(minute).or_default() += share;
            }
        };
        for table in FOLDED.map(|table| &self.tables[table]) {
            table.files.iter().for_each(|file| spread(file.rows, &file.minutes));
            table.hot.iter().for_each(|hot| spread(hot.batch.row_count() as u64, &hot.minutes));
        }
        rows_by_minute
    }

    /// Whether rows of `table`, one of [`FOLDED`], may start in `range`, of whichever tenant.
    pub fn may_start(&self, table: Table, range: TimeRange) -> bool {
        let minutes =
            minute_of(range.from.micros())..minute_of(range.to.micros().saturating_sub(1)).saturating_add(1);
        let has = |lsns: &MinuteLsns| lsns.minutes_in(&minutes).next().is_some();
        let TableSnapshot { files, hot, .. } = &self.tables[table];
        files.iter().any(|file| range.meets(file.time_min_micros, file.time_max_micros))
            || hot.iter().any(|hot| has(&hot.minutes))
            || self.remote.as_ref().is_some_and(|remote| has(remote.minutes(table)))
    }

    /// How many minutes have their cells in files of `table`.
    pub(crate) fn settled_minutes(&self, table: Table) -> u64 {
        let files = self.tables[table].files.iter();
        files.map(|file| file.minutes.minutes().count() as u64).sum()
    }

    /// The highest record of each minute in `minutes` that rows start in.
    fn arrivals(&self, minutes: Range<i64>) -> BTreeMap<i64, Lsn> {
        let mut arrivals = BTreeMap::new();
        let mut take = |lsns: &MinuteLsns| {
            for (minute, lsn) in lsns.minutes_in(&minutes) {
                let known = arrivals.entry(minute).or_insert(lsn);
                *known = lsn.max(*known);
            }
        };
        for table in FOLDED.map(|table| &self.tables[table]) {
            table.files.iter().for_each(|file| take(&file.minutes));
            table.hot.iter().for_each(|hot| take(&hot.minutes));
        }
        if let Some(remote) = &self.remote {
            FOLDED.iter().for_each(|table| take(remote.minutes(*table)));
        }
        arrivals
    }

    /// What the folds of the minutes in `minutes` saw whose cells are in `table`.
    fn seen_by_folds(&self, table: Table, minutes: Range<i64>) -> BTreeMap<i64, Lsn> {
        let files = self.tables[table].files.iter();
        files.flat_map(|file: &DataFile| file.minutes.minutes_in(&minutes)).collect()
    }
}

/// The times of windows of `width` minutes that begin at these minutes, ascending; what touches is one.
fn times(firsts: impl Iterator<Item = i64>, width: i64) -> Vec<TimeRange> {
    let mut minutes: Vec<Range<i64>> = Vec::new();
    for first in firsts {
        match minutes.last_mut() {
            Some(last) if last.end == first => last.end += width,
            _ => minutes.push(first..first + width),
        }
    }
    let instant = |minute: i64| UnixNanos::from_micros(minute * MICROS_PER_MINUTE);
    let times = minutes.into_iter();
    times.map(|minutes| TimeRange { from: instant(minutes.start), to: instant(minutes.end) }).collect()
}
