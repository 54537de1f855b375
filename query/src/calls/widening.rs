//! Widens a question to the cells that are left of old times.
//!
//! Rows are dropped after a month, cells of ten seconds after hours, of a minute after a week; those of ten minutes stay for
//! a year. A range that ends inside such a cell, a step that is none of its multiples, or a grouping that it does not
//! tell cannot be answered as asked. It is answered for whole cells, and the answer says so: a part of the calls, or
//! none, would look like an answer.

use std::time::Duration;

use meshlake_calls::{Grain, Question, Range};
use meshlake_schema::{Table, TimeRange, UnixNanos};

/// What can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widened {
    pub range: Range,
    /// What the widest cells tell although they do not tell what is asked for apart.
    pub untold: Vec<TimeRange>,
    pub warnings: Vec<String>,
}

/// The question's range, its ends and its step as wide as cells are. `only_wider` tells where a table has no cells and rows
/// are gone, in whole windows of the next wider table.
pub fn widened(question: &Question, only_wider: impl Fn(Table, TimeRange) -> Vec<TimeRange>) -> Widened {
    let mut range = question.range;
    let mut warnings = Vec::new();
    let mut untold = Vec::new();
    let tables: Vec<Table> = Table::settled().collect();
    for tables in tables.windows(2) {
        let gone = only_wider(tables[0], TimeRange { from: range.from(), to: range.to() });
        let seconds = tables[1].cell_seconds().unwrap_or(1);
        if let Some(wider) = wide_enough(&range, &gone, Duration::from_secs(seconds.into())) {
            warnings.push(said(&range, &wider, seconds));
            range = wider;
        }
        untold = gone;
    }
    let is_told = question.grain == Grain::Node || untold.is_empty();
    if is_told {
        untold.clear();
    } else if let Some(last) = untold.last() {
        let until = last.to.to_rfc3339();
        warnings.push(format!(
            "operations and instances before {until} are not told apart: only cells of ten minutes are kept of that time"
        ));
    }
    Widened { range, untold, warnings }
}

/// The range with ends and step that cells of this width can tell; none if they can as it is.
fn wide_enough(range: &Range, gone: &[TimeRange], width: Duration) -> Option<Range> {
    let nanos = i64::try_from(width.as_nanos()).ok()?;
    let is_inside = |time: UnixNanos| gone.iter().any(|gone| gone.from < time && time < gone.to);
    let floor = |time: UnixNanos| UnixNanos(time.0.div_euclid(nanos) * nanos);
    let (mut from, mut to, mut step) = (range.from(), range.to(), range.step());
    if is_inside(from) {
        from = floor(from);
    }
    if is_inside(to) {
        to = UnixNanos(floor(to).0.saturating_add(nanos));
    }
    if let Some(asked) = step.filter(|_| !gone.is_empty()) {
        // Buckets begin where the range does.
        from = floor(from);
        let cells = u32::try_from(asked.as_nanos().div_ceil(width.as_nanos())).ok()?;
        step = Some(width * cells);
    }
    let wider = Range::new(from, to, step).ok()?;
    (wider != *range).then_some(wider)
}

fn said(asked: &Range, wider: &Range, seconds: u32) -> String {
    let ends = |range: &Range| format!("{} to {}", range.from().to_rfc3339(), range.to().to_rfc3339());
    let step =
        |range: &Range| range.step().map(|step| format!(" by {} s", step.as_secs())).unwrap_or_default();
    format!(
        "of {}{} only cells of {seconds} s are kept: the answer is of {}{}",
        ends(asked),
        step(asked),
        ends(wider),
        step(wider)
    )
}

/// What to say of windows whose cells lack rows.
pub fn late(windows: &[TimeRange]) -> Option<String> {
    let (first, last) = (windows.first()?, windows.last()?);
    Some(format!(
        "rows that came for times between {} and {} are not all counted: others of those times had been dropped for their age",
        first.from.to_rfc3339(),
        last.to.to_rfc3339()
    ))
}

#[cfg(test)]
mod tests {
    use meshlake_calls::{By, Source};

    use super::*;

    fn times(from: i64, to: i64) -> TimeRange {
        TimeRange { from: UnixNanos::from_seconds(from), to: UnixNanos::from_seconds(to) }
    }

    fn range(from: i64, to: i64, step: Option<u64>) -> Range {
        let TimeRange { from, to } = times(from, to);
        Range::new(from, to, step.map(Duration::from_secs)).expect("not empty")
    }

    /// Only cells of ten minutes are kept before 1,200 s, of minutes before 1,800 s, and everything after.
    fn asked(range: Range, grain: Grain) -> Widened {
        let question = Question { range, by: By::Service, grain, source: Source::Auto };
        widened(&question, |table, range| {
            let (kept, width) = match table {
                Table::Calls10s => (times(1_200, 1_800), 60),
                Table::Calls1m => (times(0, 1_200), 600),
                _ => return Vec::new(),
            };
            let seconds = |time: UnixNanos| time.0.div_euclid(1_000_000_000);
            let from = seconds(range.from).div_euclid(width) * width;
            let to = (seconds(range.to) + width - 1).div_euclid(width) * width;
            let part = times(from.max(seconds(kept.from)), to.min(seconds(kept.to)));
            if part.from < part.to { vec![part] } else { Vec::new() }
        })
    }

    #[track_caller]
    fn check(asked_for: (i64, i64, Option<u64>), want: (i64, i64, Option<u64>), warnings: usize) {
        let (from, to, step) = asked_for;
        let got = asked(range(from, to, step), Grain::Node);
        assert_eq!((got.range, got.untold), (range(want.0, want.1, want.2), Vec::new()));
        assert_eq!(got.warnings.len(), warnings, "{:?}", got.warnings);
    }

    #[test]
    fn an_end_inside_a_cell_is_moved_to_its_end() {
        check((610, 1_190, None), (600, 1_200, None), 1);
        check((600, 1_200, None), (600, 1_200, None), 0);
        check((1_210, 1_510, None), (1_200, 1_560, None), 1);
        check((1_260, 1_500, None), (1_260, 1_500, None), 0);
        check((610, 1_510, None), (600, 1_560, None), 2);
        check((610, 2_010, None), (600, 2_010, None), 1);
        check((1_810, 2_010, Some(10)), (1_810, 2_010, Some(10)), 0);
    }

    #[test]
    fn a_step_is_of_whole_cells_that_begin_where_the_range_does() {
        check((600, 2_010, Some(60)), (600, 2_010, Some(600)), 1);
        check((600, 2_010, Some(700)), (600, 2_010, Some(1_200)), 2);
        check((1_260, 2_010, Some(10)), (1_260, 2_010, Some(60)), 1);
        check((1_260, 2_010, Some(120)), (1_260, 2_010, Some(120)), 0);
        check((630, 2_010, Some(600)), (600, 2_010, Some(600)), 1);
    }

    #[test]
    fn what_wide_cells_do_not_tell_apart_is_told_together() {
        let got = asked(range(600, 2_010, None), Grain::Operation);
        assert_eq!((got.range, got.untold), (range(600, 2_010, None), vec![times(600, 1_200)]));
        assert!(
            got.warnings[0].starts_with("operations and instances before 1970-01-01T00:20:00"),
            "{:?}",
            got.warnings
        );
        assert_eq!(asked(range(1_200, 2_010, None), Grain::Instance).warnings, [""; 0]);
    }

    #[test]
    fn the_answer_says_what_it_is_of() {
        let got = asked(range(610, 1_190, Some(60)), Grain::Node);
        assert_eq!(
            got.warnings,
            ["of 1970-01-01T00:10:10Z to 1970-01-01T00:19:50Z by 60 s only cells of 600 s are kept: \
              the answer is of 1970-01-01T00:10:00Z to 1970-01-01T00:20:00Z by 600 s"]
        );
        let late = late(&[times(0, 600), times(1_200, 1_800)]).expect("there are some");
        assert!(late.contains("between 1970-01-01T00:00:00Z and 1970-01-01T00:30:00Z"), "{late}");
        assert_eq!(super::late(&[]), None);
    }
}
