//! Which parts of a range are read as cells, and from which table, and which are folded from rows.
//!
//! The widest cells that fit are read: a range is cut inwards to whole cells of the widest table, what is open there or
//! sticks out at its ends is read from the next, and what is open in the finest is folded. Cells fit where they lie whole
//! in the range and in a bucket of the answer, and where the table tells apart what is asked for.

use meshlake_calls::settled::decode::detail_columns;
use meshlake_calls::{Grain, Question, Range};
use meshlake_schema::{Table, TimeRange, UnixNanos};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Where an answer comes from. All times are ascending and apart, and together they are the range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Widest cells first; tables of which nothing is read are left out.
    pub cells: Vec<(Table, Vec<TimeRange>)>,
    /// What is folded from rows.
    pub folded: Vec<TimeRange>,
}

impl Reading {
    /// Which cells tell what everything is called and which evidence counts in the range of `question`, but for the times
    /// that are `folded` for it: the widest there are, whatever it tells apart.
    pub fn survey(
        question: &Question,
        untold: &[TimeRange],
        folded: &[TimeRange],
        open: impl Fn(Table, TimeRange) -> Vec<TimeRange>,
    ) -> Vec<(Table, Vec<TimeRange>)> {
        let Ok(range) = Range::new(question.range.from(), question.range.to(), None) else {
            return Vec::new();
        };
        let question = Question { range, grain: Grain::Node, ..*question };
        let reading = Reading::of(&question, untold, |table, part| {
            let folded = folded.iter().filter(|times| times.from < part.to && part.from < times.to);
            joined(open(table, part).into_iter().chain(folded.copied()).collect())
        });
        reading.cells
    }

    /// `open` tells which windows of a table have to be folded in a range. What is `untold`, which is ascending and
    /// apart, is read from the widest cells, whether they tell what is asked for apart or not.
    pub fn of(
        question: &Question,
        untold: &[TimeRange],
        open: impl Fn(Table, TimeRange) -> Vec<TimeRange>,
    ) -> Reading {
        let range = &question.range;
        let whole = TimeRange { from: range.from(), to: range.to() };
        let (mut left, read) = told_and_open(whole, untold.to_vec());
        let mut cells: Vec<(Table, Vec<TimeRange>)> = Vec::new();
        cells.extend(Table::settled().last().filter(|_| !read.is_empty()).map(|widest| (widest, read)));
        let mut tables: Vec<Table> = Table::settled().filter(|table| fits(*table, question)).collect();
        tables.reverse();
        for table in tables {
            let width = width(table);
            let (mut read, mut next) = (Vec::new(), Vec::new());
            for part in left {
                let inner = inwards(part, width);
                if is_empty(inner) {
                    next.push(part);
                    continue;
                }
                let (told, folded) = told_and_open(inner, open(table, inner));
                read.extend(told);
                next.extend(folded);
                next.push(TimeRange { from: part.from, to: inner.from });
                next.push(TimeRange { from: inner.to, to: part.to });
            }
            left = joined(next);
            let read = joined(read);
            if !read.is_empty() {
                cells.push((table, read));
            }
        }
        Reading { cells, folded: left }
    }
}

/// What of `range` cells tell, and what of it is in one of the windows that are `open`, which are ascending and apart.
pub fn told_and_open(range: TimeRange, open: Vec<TimeRange>) -> (Vec<TimeRange>, Vec<TimeRange>) {
    let (mut told, mut folded) = (Vec::new(), Vec::new());
    let mut from = range.from;
    for window in open {
        let (start, end) = (window.from.max(range.from), window.to.min(range.to));
        told.push(TimeRange { from, to: start });
        folded.push(TimeRange { from: start, to: end });
        from = end;
    }
    told.push(TimeRange { from, to: range.to });
    (joined(told), joined(folded))
}

/// When rows start that tell of the calls of these times.
pub fn rows_of(folded: &[TimeRange]) -> Vec<TimeRange> {
    let around = folded.iter().filter_map(|times| Range::new(times.from, times.to, None).ok());
    joined(around.map(|range| meshlake_calls::minutes::rows_of(&range)).collect())
}

fn width(table: Table) -> i64 {
    i64::from(table.cell_seconds().unwrap_or(0)) * NANOS_PER_SECOND
}

/// Whether each cell of the table lies in one bucket, and tells what is asked for.
fn fits(table: Table, question: &Question) -> bool {
    if !is_told_by_cells(question.grain) {
        return false;
    }
    let has = |name| table.columns().iter().any(|column| column.name == name);
    let tells = detail_columns(question.grain).into_iter().all(has);
    let cell = width(table);
    let is_in_bucket = question.range.step().is_none_or(|step| {
        question.range.from().0.rem_euclid(cell) == 0
            && step.as_nanos().is_multiple_of(cell.unsigned_abs().into())
    });
    tells && is_in_bucket
}

/// Whether cells tell apart what is asked for, if not those of each table.
pub fn is_told_by_cells(grain: Grain) -> bool {
    !matches!(grain, Grain::Attribute(_)) && !grain.tells_ends()
}

/// The whole cells in a range.
fn inwards(range: TimeRange, width: i64) -> TimeRange {
    let from = UnixNanos(range.from.0.saturating_add(width - 1).div_euclid(width) * width);
    TimeRange { from, to: UnixNanos(range.to.0.div_euclid(width) * width) }
}

fn is_empty(range: TimeRange) -> bool {
    range.from >= range.to
}

/// Ascending, what touches or overlaps as one, without empty ones.
pub(super) fn joined(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.retain(|range| !is_empty(*range));
    ranges.sort_by_key(|range| range.from);
    let mut joined: Vec<TimeRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.from <= last.to => last.to = last.to.max(range.to),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meshlake_calls::{By, Source};

    use super::*;

    fn times(from: i64, to: i64) -> TimeRange {
        TimeRange { from: UnixNanos(from * NANOS_PER_SECOND), to: UnixNanos(to * NANOS_PER_SECOND) }
    }

    /// What is read of seconds `from..to`, with minutes (and tens of minutes) open from `open_from` on.
    fn reading(from: i64, to: i64, step: Option<u64>, grain: Grain, open_from: i64) -> Reading {
        let TimeRange { from, to } = times(from, to);
        let range = Range::new(from, to, step.map(Duration::from_secs)).expect("not empty");
        let question = Question { range, by: By::Service, grain, source: Source::Auto };
        Reading::of(&question, &[], |table, range| {
            let window = width(table).max(60 * NANOS_PER_SECOND);
            let from = UnixNanos((open_from * NANOS_PER_SECOND).div_euclid(window) * window);
            let open = TimeRange { from: from.max(range.from), to: range.to };
            if is_empty(open) { Vec::new() } else { vec![TimeRange { from, to: open.to }] }
        })
    }

    const NEVER: i64 = i64::MAX / NANOS_PER_SECOND;

    #[test]
    fn the_middle_is_read_from_wide_cells_and_the_ends_from_finer_ones() {
        let got = reading(590, 1_890, None, Grain::Node, NEVER);
        let want = [
            (Table::Calls10m, vec![times(600, 1_800)]),
            (Table::Calls1m, vec![times(1_800, 1_860)]),
            (Table::Calls10s, vec![times(590, 600), times(1_860, 1_890)]),
        ];
        assert_eq!(got, Reading { cells: want.to_vec(), folded: vec![] });
    }

    #[test]
    fn what_is_open_in_wide_cells_is_read_from_finer_ones_and_in_the_finest_folded() {
        let got = reading(600, 1_900, None, Grain::Node, 1_810);
        let want = [(Table::Calls10m, vec![times(600, 1_800)])];
        assert_eq!(got, Reading { cells: want.to_vec(), folded: vec![times(1_800, 1_900)] });
        let got = reading(600, 1_900, None, Grain::Node, 1_750);
        let want = [(Table::Calls10m, vec![times(600, 1_200)]), (Table::Calls1m, vec![times(1_200, 1_740)])];
        assert_eq!(got, Reading { cells: want.to_vec(), folded: vec![times(1_740, 1_900)] });
    }

    #[test]
    fn cells_lie_in_one_bucket_and_tell_what_is_asked_for() {
        let tables = |from, step, grain| {
            let cells = reading(from, from + 1_200, step, grain, NEVER).cells;
            cells.into_iter().map(|(table, _)| table).collect::<Vec<_>>()
        };
        assert_eq!(tables(600, Some(600), Grain::Node), [Table::Calls10m]);
        assert_eq!(tables(600, Some(60), Grain::Node), [Table::Calls1m]);
        assert_eq!(tables(600, Some(90), Grain::Node), [Table::Calls10s]);
        assert_eq!(tables(610, Some(60), Grain::Node), [Table::Calls10s], "buckets begin in a minute");
        assert_eq!(tables(600, None, Grain::Operation), [Table::Calls1m]);
    }

    /// The third minute is folded although no table says so: a survey takes nothing of it from cells, and the rest from the widest.
    #[test]
    fn a_survey_leaves_out_what_is_folded() {
        let TimeRange { from, to } = times(0, 1_500);
        let step = Some(Duration::from_secs(60));
        let range = Range::new(from, to, step).expect("not empty");
        let question = Question { range, by: By::Service, grain: Grain::Operation, source: Source::Auto };
        let open = |table, _| if table == Table::Calls10m { vec![times(0, 600)] } else { Vec::new() };
        let got = Reading::survey(&question, &[], &[times(120, 180)], open);
        let want = [
            (Table::Calls10m, vec![times(600, 1_200)]),
            (Table::Calls1m, vec![times(0, 120), times(180, 600), times(1_200, 1_500)]),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn what_is_untold_is_read_from_the_widest_cells() {
        let range = Range::new(UnixNanos(0), UnixNanos(1_860 * NANOS_PER_SECOND), None).expect("not empty");
        let question = Question { range, by: By::Service, grain: Grain::Operation, source: Source::Auto };
        let got = Reading::of(&question, &[times(0, 1_200)], |_, _| Vec::new());
        let want = [(Table::Calls10m, vec![times(0, 1_200)]), (Table::Calls1m, vec![times(1_200, 1_860)])];
        assert_eq!(got, Reading { cells: want.to_vec(), folded: vec![] });
    }

    #[test]
    fn windows_that_are_open_are_cut_to_the_range() {
        let got = told_and_open(times(60, 600), vec![times(0, 120), times(300, 360), times(540, 660)]);
        let want =
            (vec![times(120, 300), times(360, 540)], vec![times(60, 120), times(300, 360), times(540, 600)]);
        assert_eq!(got, want);
        assert_eq!(told_and_open(times(60, 600), Vec::new()), (vec![times(60, 600)], vec![]));
        assert_eq!(told_and_open(times(60, 600), vec![times(0, 900)]), (vec![], vec![times(60, 600)]));
    }

    #[test]
    fn rows_around_two_parts_are_read_once() {
        assert_eq!(rows_of(&[times(600, 660), times(720, 780)]), [times(480, 900)]);
        assert_eq!(rows_of(&[times(600, 660), times(1_200, 1_260)]), [times(480, 780), times(1_080, 1_380)]);
        assert_eq!(rows_of(&[]), []);
    }
}
