//! Chooses which windows to settle, and which of them are folded together.
//!
//! A window is due when it is over and rows near it are no longer on their way. The newest come first: people ask for
//! them, and a backlog of days is worked off behind them, round by round. Consecutive windows are one run, because every
//! fold reads the rows of the margin around it once more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use meshlake_schema::Table;
use meshlake_schema::tables::SETTLE_MARGIN_MINUTES;

use crate::group::Lsn;
use crate::minutes::MICROS_PER_MINUTE;
use crate::snapshot::{Snapshot, Window, window_minutes};

/// How long after the margin of a window rows near it may still be on their way without being late: SDKs send what
/// ended every 5 s (OTEL_BSP_SCHEDULE_DELAY), collectors between batch anew, and a retry waits some seconds. Guess, not
/// measured; a row that takes longer costs one more fold.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// Windows of a round: six hours of minutes, so that a quiet month is settled in two hours.
pub(super) const ROUND_WINDOWS_MAX: usize = 360;

/// Rows of a round but for its first two windows: some seconds of one core a minute. With two there is always one more than
/// becomes due, so that a backlog is worked off however busy minutes are.
pub(super) const ROUND_ROWS_MAX: u64 = 4_000_000;

const ROUND_WINDOWS_MIN: usize = 2;

/// Rows of a run but for its first window, as its cells are in memory together.
pub(super) const RUN_ROWS_MAX: u64 = 2_000_000;

/// Minutes of a run: a fold tells calls of each ten seconds apart, 1,440 of them at most, which is twice as many.
pub(super) const RUN_MINUTES_MAX: i64 = 120;

/// Minutes that are settled together. Each fold reads the rows of the four minutes around its own once more: minute by minute
/// every row is read five times, of five minutes less than twice. Until then questions fold up to four minutes more.
pub(super) const MINUTES_TOGETHER: usize = 5;

const TOGETHER: i64 = MINUTES_TOGETHER as i64;

/// Rows of new minutes that are settled as soon as they are due, for reading them five times costs next to nothing.
/// Guess: half a second of one core a minute.
pub(super) const ROWS_FEW: u64 = 200_000;

/// Which windows are asked for, of those that can be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that were never settled, and those that late rows have reached.
    Open,
    /// All, settled or not.
    All,
}

/// What may be settled now.
pub(super) struct Terms<'a> {
    pub which: Which,
    /// Windows that share a minute with these.
    pub minutes: Range<i64>,
    pub now_micros: i64,
    /// The first minute whose cells a table keeps.
    pub kept_from: &'a dyn Fn(Table) -> i64,
}

/// A window to be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// Minutes since the epoch.
    pub first: i64,
    /// Those of the tables asked for that need its cells.
    pub tables: Vec<Table>,
    /// In one of them it was never settled.
    pub is_new: bool,
}

/// Consecutive windows, folded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub minutes: Range<i64>,
    pub tables: Vec<Table>,
}

/// When a window of so many minutes that begins at `first` is due, microseconds since the epoch.
pub(super) fn due_micros(first: i64, width: i64) -> i64 {
    let grace = i64::try_from(GRACE.as_micros()).expect("seconds");
    (first + width + SETTLE_MARGIN_MINUTES).saturating_mul(MICROS_PER_MINUTE).saturating_add(grace)
}

/// The windows of `tables`, which are of one length, that are due, ascending. Not those near which rows have been
/// dropped, nor those of rows that may have come at any time: both are never settled again.
pub(super) fn due(snapshot: &Snapshot, tables: &[Table], terms: &Terms<'_>) -> Vec<Due> {
    let mut due: BTreeMap<i64, Due> = BTreeMap::new();
    for &table in tables {
        let (width, kept_from) = (window_minutes(table), (terms.kept_from)(table));
        let is_due = |window: &Window| {
            let is_wanted = match terms.which {
                Which::Open => window.is_open(),
                Which::All => true,
            };
            let can_be = !window.is_past && window.lsn != Lsn::MAX && window.first >= kept_from;
            is_wanted && can_be && due_micros(window.first, width) <= terms.now_micros
        };
        for window in snapshot.windows(table, terms.minutes.clone()).into_iter().filter(is_due) {
            let first = window.first;
            let entry = due.entry(first).or_insert(Due { first, tables: Vec::new(), is_new: false });
            entry.tables.push(table);
            entry.is_new |= window.seen.is_none();
        }
    }
    due.into_values().collect()
}

/// Minutes that were never settled and are to wait for others, as there are few of them, and many rows; but not so many that they
/// would be folded one by one all the same, nor for longer than it takes until there are enough.
pub(super) fn waiting(due: &[Due], rows_of: impl Fn(i64) -> u64) -> BTreeSet<i64> {
    let new: BTreeSet<i64> = due.iter().filter(|due| due.is_new).map(|due| due.first).collect();
    let rows = || new.iter().map(|first| rows_of(*first));
    let has_many = rows().fold(0, u64::saturating_add) > ROWS_FEW;
    let are_joined = rows().max().is_some_and(|most| most <= RUN_ROWS_MAX / 2);
    let have_waited = new.first().zip(new.last()).is_some_and(|(first, last)| last - first >= TOGETHER);
    let is_few = new.len() < MINUTES_TOGETHER;
    if is_few && has_many && are_joined && !have_waited { new } else { BTreeSet::new() }
}

/// The windows of `width` minutes in which nothing waits: what is made of minutes that do would be folded from their rows.
pub(super) fn without(due: Vec<Due>, waiting: &BTreeSet<i64>, width: i64) -> Vec<Due> {
    let is_ready = |due: &Due| waiting.range(due.first..due.first + width).next().is_none();
    due.into_iter().filter(is_ready).collect()
}

/// The runs of one round, newest first, of windows of `width` minutes. `alone` are folded each by itself.
pub(super) fn runs(due: &[Due], width: i64, rows_of: impl Fn(i64) -> u64, alone: &BTreeSet<i64>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut round_rows, mut run_rows) = (0, 0);
    for (place, due) in due.iter().rev().take(ROUND_WINDOWS_MAX).enumerate() {
        let rows = rows_of(due.first);
        round_rows += rows;
        if place >= ROUND_WINDOWS_MIN && round_rows > ROUND_ROWS_MAX {
            break;
        }
        let joined = runs.last_mut().filter(|run| {
            let follows = run.minutes.start == due.first + width && run.tables == due.tables;
            let is_alone = [due.first, run.minutes.start].iter().any(|first| alone.contains(first));
            let is_short = run.minutes.end - due.first <= RUN_MINUTES_MAX;
            follows && !is_alone && is_short && run_rows + rows <= RUN_ROWS_MAX
        });
        if let Some(run) = joined {
            run.minutes.start = due.first;
            run_rows += rows;
        } else {
            runs.push(Run { minutes: due.first..due.first + width, tables: due.tables.clone() });
            run_rows = rows;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: [Table; 2] = [Table::Calls10s, Table::Calls1m];

    fn windows(firsts: &[i64], tables: &[Table]) -> Vec<Due> {
        firsts.iter().map(|first| Due { first: *first, tables: tables.to_vec(), is_new: true }).collect()
    }

    fn minutes(runs: &[Run]) -> Vec<(i64, i64)> {
        runs.iter().map(|run| (run.minutes.start, run.minutes.end)).collect()
    }

    #[test]
    fn consecutive_windows_are_one_run_and_the_newest_comes_first() {
        let runs_of =
            |due: &[Due], alone: &[i64]| minutes(&runs(due, 1, |_| 1, &alone.iter().copied().collect()));
        let due = windows(&[1, 2, 3, 7, 8], &FINE);
        assert_eq!(runs_of(&due, &[]), [(7, 9), (1, 4)]);
        assert_eq!(runs_of(&due, &[2]), [(7, 9), (3, 4), (2, 3), (1, 2)], "one that failed is alone");
        let mixed = [windows(&[1], &FINE[1..]), windows(&[2], &FINE)].concat();
        assert_eq!(runs_of(&mixed, &[]), [(2, 3), (1, 2)], "tables differ");
        assert_eq!(
            minutes(&runs(&windows(&[10, 20, 40], &[Table::Calls10m]), 10, |_| 1, &BTreeSet::new())),
            [(40, 50), (10, 30)]
        );
    }

    #[test]
    fn a_round_has_so_many_windows() {
        let due = |count: i64| windows(&(0..count).collect::<Vec<_>>(), &FINE);
        let max = ROUND_WINDOWS_MAX as i64;
        let whole = |due: &[Due]| minutes(&runs(due, 1, |_| 0, &BTreeSet::new()));
        let thirds = |first: i64| [2, 1, 0].map(|third| (first + third * 120, first + (third + 1) * 120));
        assert_eq!(whole(&due(max)), thirds(0), "a run has two hours at most");
        assert_eq!(whole(&due(max + 1)), thirds(1), "the oldest waits for the next round");
    }

    #[test]
    fn a_run_and_a_round_have_so_many_rows() {
        let due = windows(&[0, 1, 2, 3], &FINE);
        let of = |rows: u64| minutes(&runs(&due, 1, |_| rows, &BTreeSet::new()));
        assert_eq!(of(RUN_ROWS_MAX / 2), [(2, 4), (0, 2)]);
        assert_eq!(of(RUN_ROWS_MAX / 2 + 1), [(3, 4), (2, 3), (1, 2)], "three times this are within a round");
        assert_eq!(of(ROUND_ROWS_MAX / 2), [(3, 4), (2, 3)]);
        assert_eq!(
            of(ROUND_ROWS_MAX + 1),
            [(3, 4), (2, 3)],
            "the first two are settled however many there are"
        );
    }

    #[test]
    fn minutes_of_many_rows_wait_for_others() {
        let waiting_of = |firsts: &[i64], rows: u64| waiting(&windows(firsts, &FINE), |_| rows).len();
        assert_eq!([ROWS_FEW, ROWS_FEW + 1].map(|rows| waiting_of(&[1], rows)), [0, 1]);
        assert_eq!([ROWS_FEW / 2, ROWS_FEW / 2 + 1].map(|rows| waiting_of(&[1, 2], rows)), [0, 2]);
        let many: Vec<i64> = (1..=MINUTES_TOGETHER as i64).collect();
        assert_eq!([&many[1..], &many].map(|firsts| waiting_of(firsts, ROWS_FEW)), [4, 0]);
        assert_eq!(
            [RUN_ROWS_MAX / 2, RUN_ROWS_MAX / 2 + 1].map(|rows| waiting_of(&[1, 2], rows)),
            [2, 0],
            "a run has no room for two of them"
        );
        assert_eq!(
            [5, 6].map(|last| waiting_of(&[1, last], ROWS_FEW)),
            [2, 0],
            "what is left over of five waits no more"
        );
        let late = windows(&[1, 2], &FINE).into_iter().map(|due| Due { is_new: false, ..due });
        assert_eq!(waiting(&late.collect::<Vec<_>>(), |_| u64::MAX / 2).len(), 0, "they waited already");
    }

    #[test]
    fn windows_of_minutes_that_wait_do_too() {
        let waiting = BTreeSet::from([19]);
        let ready = |firsts: &[i64], width, tables: &[Table]| {
            let left = without(windows(firsts, tables), &waiting, width);
            left.iter().map(|due| due.first).collect::<Vec<_>>()
        };
        assert_eq!(ready(&[18, 19, 20], 1, &FINE), [18, 20]);
        assert_eq!(ready(&[0, 10, 20], 10, &[Table::Calls10m]), [0, 20]);
    }

    #[test]
    fn a_minute_is_due_when_its_margin_is_over_and_rows_had_time_to_come() {
        // 12:00:00 to 12:01:00, rows up to 12:03:00 belong to its calls, and 30 s.
        let first = 12 * 60;
        assert_eq!(due_micros(first, 1), (12 * 3_600 + 3 * 60 + 30) * 1_000_000);
        assert_eq!(due_micros(i64::MAX / 2, 1), i64::MAX, "a far time is never due");
    }
}
