//! The highest record number (LSN) of each minute: what a file tells of its rows without being read.
//!
//! Of a file or batch of rows that calls are folded from ([`FOLDED`]) it is the highest record that brought a row
//! starting in that minute. Of a file of cells it is the last record that the fold of that minute saw. So whether
//! rows came after a minute was settled is a comparison of two numbers.
//!
//! ```text
//!   runs of minutes since the epoch, ascending, none touching another of the same LSN
//!   29680320 29680321 29680322    29680330
//!   `------ 812 -----'`--815--'   `--811--'
//! ```
//! In a file's tag: `<collector id>;29680320+2=812;29680322+1=815;29680330+1=811`. LSNs of two collectors cannot be
//! compared, hence the id. Limits: what [`MinuteLsns::bounded`] cuts to [`RUNS_MAX`] says of more minutes than have
//! rows that they have some, which costs a fold and never an answer.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::TimestampMicrosecondType;
use meshlake_schema::{Table, TableBatch};
use serde::{Deserialize, Serialize};

use crate::group::Lsn;

/// The tables whose rows calls are folded from.
pub const FOLDED: [Table; 2] = [Table::Spans, Table::Requests];

pub(crate) const MICROS_PER_MINUTE: i64 = 60_000_000;
pub(crate) const MINUTES_PER_DAY: i64 = 24 * 60;

/// Runs that the tag of one file holds: two times the minutes of a file's window, some 700 bytes. Only a file of
/// late rows of many windows has more.
pub(crate) const RUNS_MAX: usize = 32;

/// The minute since the epoch that a time lies in.
pub(crate) fn minute_of(time_micros: i64) -> i64 {
    time_micros.div_euclid(MICROS_PER_MINUTE)
}

/// Consecutive minutes since the epoch, both inclusive, with one record number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub first: i64,
    pub last: i64,
    pub lsn: Lsn,
}

/// Record numbers by minute, see the module; cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Run>", into = "Vec<Run>")]
pub struct MinuteLsns(Arc<[Run]>);

impl MinuteLsns {
    /// Of rows that came in record `lsn`; nothing for a table that no call is folded from.
    pub fn of_rows(batch: &TableBatch, lsn: Lsn) -> Self {
        if !FOLDED.contains(&batch.table()) {
            return MinuteLsns::default();
        }
        let times = batch.rows().column_by_name("time").expect("every table has times");
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        let mut minutes = BTreeMap::new();
        let mut seen = None;
        // Rows that follow one another mostly start in the same minute.
        for minute in times.iter().map(|time| minute_of(*time)) {
            if seen.replace(minute) != Some(minute) {
                minutes.insert(minute, lsn);
            }
        }
        MinuteLsns::of(&minutes)
    }

    /// One number for all of `minutes`.
    pub(crate) fn whole(minutes: RangeInclusive<i64>, lsn: Lsn) -> Self {
        MinuteLsns([Run { first: *minutes.start(), last: *minutes.end(), lsn }].into())
    }

    pub(crate) fn of(minutes: &BTreeMap<i64, Lsn>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (&minute, &lsn) in minutes {
            match runs.last_mut() {
                Some(run) if run.last + 1 == minute && run.lsn == lsn => run.last = minute,
                _ => runs.push(Run { first: minute, last: minute, lsn }),
            }
        }
        MinuteLsns(runs.into())
    }

    /// The higher number of each minute.
    pub fn joined<'a>(all: impl IntoIterator<Item = &'a MinuteLsns>) -> Self {
        let mut minutes = BTreeMap::new();
        for (minute, lsn) in all.into_iter().flat_map(MinuteLsns::minutes) {
            let known = minutes.entry(minute).or_insert(lsn);
            *known = lsn.max(*known);
        }
        MinuteLsns::of(&minutes)
    }

    /// Those of the minutes that these two times lie in and of those between.
    pub(crate) fn within(&self, first_micros: i64, last_micros: i64) -> Self {
        let (first, last) = (minute_of(first_micros), minute_of(last_micros));
        let met = self.0.iter().filter(|run| run.last >= first && run.first <= last);
        met.map(|run| Run { first: run.first.max(first), last: run.last.min(last), ..*run }).collect()
    }

    /// At most [`RUNS_MAX`] runs: those with the fewest minutes between them become one, which spans the gap and has
    /// the higher number.
    pub(crate) fn bounded(&self) -> Self {
        let excess = self.0.len().saturating_sub(RUNS_MAX);
        let mut gaps: Vec<(i64, usize)> =
            self.0.windows(2).enumerate().map(|(i, pair)| (pair[1].first - pair[0].last, i + 1)).collect();
        gaps.sort_unstable();
        gaps.truncate(excess);
        let mut runs: Vec<Run> = Vec::new();
        for (i, run) in self.0.iter().enumerate() {
            match runs.last_mut() {
                Some(last) if gaps.iter().any(|(_, joined)| *joined == i) => {
                    *last = Run { first: last.first, last: run.last, lsn: last.lsn.max(run.lsn) };
                }
                _ => runs.push(*run),
            }
        }
        MinuteLsns(runs.into())
    }

    pub fn runs(&self) -> &[Run] {
        &self.0
    }

    pub(crate) fn minutes(&self) -> impl Iterator<Item = (i64, Lsn)> {
        self.0.iter().flat_map(|run| (run.first..=run.last).map(|minute| (minute, run.lsn)))
    }

    /// Those of a range of minutes.
    pub(crate) fn minutes_in(&self, range: &Range<i64>) -> impl Iterator<Item = (i64, Lsn)> {
        let met = self.0.iter().filter(|run| run.first < range.end && run.last >= range.start);
        met.flat_map(|run| {
            (run.first.max(range.start)..=run.last.min(range.end - 1)).map(|minute| (minute, run.lsn))
        })
    }

    /// As a tag of a file, whose numbers are those of the collector.
    pub(crate) fn to_tag(&self, collector_id: u128) -> String {
        let runs =
            self.0.iter().map(|run| format!(";{}+{}={}", run.first, run.last - run.first + 1, run.lsn));
        std::iter::once(format!("{collector_id:032x}")).chain(runs).collect()
    }

    /// What a tag of that collector says; none for another's, and for text that is no such tag.
    pub(crate) fn from_tag(tag: &str, collector_id: u128) -> Option<Self> {
        let mut parts = tag.split(';');
        if parts.next()? != format!("{collector_id:032x}") {
            return None;
        }
        let runs: Vec<Run> = parts.map(run).collect::<Option<_>>()?;
        runs.is_sorted_by(|a, b| a.last < b.first).then(|| MinuteLsns(runs.into()))
    }
}

impl From<Vec<Run>> for MinuteLsns {
    fn from(runs: Vec<Run>) -> Self {
        MinuteLsns(runs.into())
    }
}

impl From<MinuteLsns> for Vec<Run> {
    fn from(minutes: MinuteLsns) -> Self {
        minutes.0.to_vec()
    }
}

impl FromIterator<Run> for MinuteLsns {
    fn from_iter<T: IntoIterator<Item = Run>>(runs: T) -> Self {
        MinuteLsns(runs.into_iter().collect())
    }
}

fn run(text: &str) -> Option<Run> {
    let (minutes, lsn) = text.split_once('=')?;
    let (first, count) = minutes.split_once('+')?;
    let (first, count): (i64, i64) = (first.parse().ok()?, count.parse().ok()?);
    // A file holds rows of one date.
    let count = Some(count).filter(|count| (1..=MINUTES_PER_DAY).contains(count))?;
    Some(Run { first, last: first.checked_add(count - 1)?, lsn: lsn.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rows::{MIDNIGHT, ledger_rows, rows, span_rows};

    const COLLECTOR: u128 = 0xab;

    /// Runs of (first, last, LSN).
    fn lsns(runs: &[(i64, i64, Lsn)]) -> MinuteLsns {
        runs.iter().map(|&(first, last, lsn)| Run { first, last, lsn }).collect()
    }

    #[test]
    fn rows_tell_the_minutes_that_they_start_in() {
        let minute = MIDNIGHT / MICROS_PER_MINUTE;
        let at = |minutes: i64, micros: i64| MIDNIGHT + minutes * MICROS_PER_MINUTE + micros;
        let times = [at(1, 0), at(0, 59_999_999), at(0, 0), at(4, 7), at(1, 1)];
        let want = lsns(&[(minute, minute + 1, 9), (minute + 4, minute + 4, 9)]);
        assert_eq!(MinuteLsns::of_rows(&span_rows(&times), 9), want);
        assert_eq!(MinuteLsns::of_rows(&rows(Table::Requests, &times), 9), want);
        assert_eq!(MinuteLsns::of_rows(&rows(Table::Logs, &times), 9), MinuteLsns::default());
        assert_eq!(MinuteLsns::of_rows(&ledger_rows(&[(MIDNIGHT, 1)]), 9), MinuteLsns::default());
        assert_eq!(MinuteLsns::of_rows(&span_rows(&[-1]), 2), lsns(&[(-1, -1, 2)]), "before 1970");
    }

    #[test]
    fn the_higher_number_of_a_minute_stands() {
        let joined = MinuteLsns::joined(&[lsns(&[(0, 9, 5)]), lsns(&[(3, 4, 7), (9, 10, 2)])]);
        assert_eq!(joined, lsns(&[(0, 2, 5), (3, 4, 7), (5, 9, 5), (10, 10, 2)]));
        assert_eq!(MinuteLsns::joined(&[lsns(&[(1, 1, 5)]), lsns(&[(2, 2, 5)])]), lsns(&[(1, 2, 5)]));
    }

    #[test]
    fn only_minutes_within_two_times_are_left() {
        let all = lsns(&[(0, 4, 1), (5, 5, 2), (7, 9, 3)]);
        let minute = |minute: i64| minute * MICROS_PER_MINUTE;
        assert_eq!(all.within(minute(3), minute(8) - 1), lsns(&[(3, 4, 1), (5, 5, 2), (7, 7, 3)]));
        assert_eq!(all.within(minute(6), minute(6)), MinuteLsns::default());
    }

    /// 33 single minutes, ten apart but for one pair: that pair becomes one run.
    #[test]
    fn of_more_runs_than_a_tag_holds_the_nearest_become_one() {
        let at = |i: i64| if i == 20 { 191 } else { i * 10 };
        let runs = |count: i64| (0..count).map(|i| (at(i), at(i), i.unsigned_abs())).collect::<Vec<_>>();
        let fitting = lsns(&runs(RUNS_MAX as i64));
        assert_eq!(fitting.bounded(), fitting);
        let bounded = lsns(&runs(RUNS_MAX as i64 + 1)).bounded();
        assert_eq!(bounded.runs().len(), RUNS_MAX);
        assert_eq!(bounded.runs()[19], Run { first: 190, last: 191, lsn: 20 });
    }

    #[test]
    fn a_tag_reads_back() {
        let all = lsns(&[
            (29_680_320, 29_680_321, 812),
            (29_680_322, 29_680_322, 815),
            (29_680_330, 29_680_330, 1),
        ]);
        let tag = all.to_tag(COLLECTOR);
        assert_eq!(tag, "000000000000000000000000000000ab;29680320+2=812;29680322+1=815;29680330+1=1");
        assert_eq!(MinuteLsns::from_tag(&tag, COLLECTOR), Some(all));
        assert_eq!(MinuteLsns::from_tag(&tag, 0xcd), None, "another collector's numbers mean nothing here");
        let none = MinuteLsns::default();
        assert_eq!(MinuteLsns::from_tag(&none.to_tag(COLLECTOR), COLLECTOR), Some(none));
    }

    #[test]
    fn what_is_no_tag_is_none() {
        let broken = [
            "",
            "5",
            ";;",
            ";5+0=2",
            ";5+-1=2",
            ";5+1441=2",
            ";5+1=",
            ";5=1",
            ";9223372036854775807+2=1",
            ";5+2=1;6+1=1",
            ";7+1=1;5+1=1",
            ";5+1=18446744073709551616",
        ];
        for runs in broken.iter().skip(1) {
            let tag = format!("{COLLECTOR:032x}{runs}");
            assert_eq!(MinuteLsns::from_tag(&tag, COLLECTOR), None, "{tag}");
        }
        assert_eq!(MinuteLsns::from_tag(broken[0], COLLECTOR), None);
        let day = format!("{COLLECTOR:032x};5+1440=2");
        assert_eq!(MinuteLsns::from_tag(&day, COLLECTOR), Some(lsns(&[(5, 1_444, 2)])), "a whole date");
    }
}
