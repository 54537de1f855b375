//! How finely a question looks at time, and at which instants it wants samples.
//!
//! Counts are told on a grid of ten seconds: both ends of what is asked for are brought down to it, so that what has
//! not all arrived is not half told. A question that only looks at whole minutes, or tens of them, is answered from wider
//! cells, which are fewer.

use meshlake_promql::Selection;

/// Milliseconds between the instants at which counts are told.
pub const GRID: i64 = 10_000;

/// Milliseconds of the ten minutes that are read at once.
pub const WINDOW: i64 = 600_000;

/// A counter counts from midnight, UTC.
pub const DAY: i64 = 86_400_000;

/// Seconds of cells, widest first.
pub const SLOTS: [u32; 3] = [600, 60, 10];

/// Functions that ask how much a counter grew, and look at no sample.
const OF_CHANGE: [&str; 5] = ["rate", "increase", "delta", "irate", "idelta"];

/// Those of them that look at the last ten seconds of a range.
const OF_LATEST: [&str; 2] = ["irate", "idelta"];

/// An instant selector that is asked once is given all samples of at most so long, in milliseconds: its lookback.
const DENSE_MAX: i64 = 600_000;

/// The step of a question at one instant.
const ONCE: i64 = 1;

/// What a selection looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// On the grid, milliseconds.
    pub from: i64,
    pub until: i64,
    /// Seconds of the widest cells that it can be told from.
    pub slot_seconds: u32,
    /// It wants samples, not only counts.
    pub wants_samples: bool,
}

pub fn floor(time: i64, grid: i64) -> i64 {
    time.div_euclid(grid).saturating_mul(grid)
}

impl Look {
    /// Of a question that is asked at `now`, in milliseconds.
    pub fn of(selection: &Selection<'_>, now: i64) -> Look {
        let hints = &selection.hints;
        let until = floor(selection.until.min(now), GRID);
        let from = floor(selection.after, GRID).min(until);
        let wants_samples = !hints.function.is_some_and(|function| OF_CHANGE.contains(&function));
        // The newest cells are narrow anyway: where the question ends now, its steps still tell what it looks at.
        let asked_until = floor(selection.until, GRID);
        let is_latest = hints.function.is_some_and(|function| OF_LATEST.contains(&function));
        let is_once = hints.step <= ONCE;
        let ends = [asked_until, hints.range, if is_once { 0 } else { hints.step }];
        let fits = |slot: &u32| ends.iter().all(|end| end % (i64::from(*slot) * 1_000) == 0);
        let is_fine = is_latest || (wants_samples && is_once);
        let slot_seconds = SLOTS.into_iter().find(fits).filter(|_| !is_fine).unwrap_or(10);
        Look { from, until, slot_seconds, wants_samples }
    }
}

/// The instants at which a selection wants samples, ascending: each step's latest where it has steps, all on the grid
/// where it has none or asks for ranges of samples.
pub fn instants(selection: &Selection<'_>, look: &Look) -> Vec<i64> {
    let hints = &selection.hints;
    let is_instant = hints.function.is_none() && hints.range == 0;
    if is_instant && hints.step >= GRID {
        let steps = (0..).map(|step| selection.until.saturating_sub(hints.step.saturating_mul(step)));
        let steps = steps.take_while(|time| *time > selection.after).map(|time| floor(time, GRID));
        let mut times: Vec<i64> = steps.filter(|time| *time <= look.until).collect();
        times.reverse();
        times.dedup();
        return times;
    }
    let is_once = is_instant && hints.step <= ONCE;
    let from = if is_once { look.from.max(look.until.saturating_sub(DENSE_MAX)) } else { look.from };
    let first = from.saturating_add(GRID);
    (first..=look.until).step_by(GRID as usize).collect()
}

/// How many instants there are, without making them.
pub fn instants_count(selection: &Selection<'_>, look: &Look) -> usize {
    let hints = &selection.hints;
    let is_instant = hints.function.is_none() && hints.range == 0;
    let apart = if is_instant { hints.step.max(GRID) } else { GRID };
    usize::try_from(look.until.saturating_sub(look.from) / apart).unwrap_or(usize::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use meshlake_promql::Hints;

    use super::*;

    const NOW: i64 = 100_000_000;

    fn selection(after: i64, until: i64, function: Option<&str>, range: i64, step: i64) -> Selection<'_> {
        Selection { matchers: &[], after, until, hints: Hints { function, range, step, counts_from: None } }
    }

    #[test]
    fn a_question_of_whole_minutes_is_told_from_minutes() {
        let slot = |function, after, until, range, step| {
            Look::of(&selection(after, until, Some(function), range, step), NOW).slot_seconds
        };
        assert_eq!(slot("rate", 600_000, 1_200_000, 600_000, 1), 600);
        assert_eq!(slot("rate", 600_000, 6_000_000, 600_000, 300_000), 60);
        assert_eq!(slot("increase", 1_140_000, 6_000_000, 60_000, 60_000), 60);
        assert_eq!(slot("rate", 1_140_000, 1_200_000, 60_000, 15_000), 10);
        assert_eq!(
            slot("rate", 1_145_000, 1_205_000, 60_000, 0),
            60,
            "it ends in the ten seconds of a minute"
        );
        assert_eq!(slot("rate", 1_150_000, 1_210_000, 60_000, 0), 10);
        assert_eq!(slot("irate", 600_000, 1_200_000, 600_000, 0), 10, "the last ten seconds count");
    }

    #[test]
    fn both_ends_are_brought_down_to_ten_seconds_and_to_now() {
        let look = |after, until| Look::of(&selection(after, until, Some("rate"), 1, 0), 49_999);
        assert_eq!((look(11_000, 29_999).from, look(11_000, 29_999).until), (10_000, 20_000));
        assert_eq!((look(11_000, 99_000).from, look(11_000, 99_000).until), (10_000, 40_000));
        assert!(!look(0, 1).wants_samples);
        assert!(Look::of(&selection(0, 1, Some("resets"), 1, 0), NOW).wants_samples);
    }

    #[test]
    fn samples_are_given_for_steps_or_every_ten_seconds() {
        let times = |selection: Selection<'_>| instants(&selection, &Look::of(&selection, NOW));
        assert_eq!(times(selection(0, 125_000, None, 0, 60_000)), [0, 60_000, 120_000]);
        assert_eq!(times(selection(95_000, 125_000, None, 0, 1)), [100_000, 110_000, 120_000]);
        assert_eq!(times(selection(95_000, 125_000, None, 0, 5_000)), [100_000, 110_000, 120_000]);
        assert_eq!(
            times(selection(95_000, 125_000, Some("resets"), 30_000, 60_000)),
            [100_000, 110_000, 120_000]
        );
        assert_eq!(times(selection(0, 7_200_000, None, 0, 1)).len(), 60, "a lookback, not two hours");
    }
}
