//! A range cut into slices, newest first, so that a search for the newest traces need not read the oldest.
//!
//! Each slice is some times as long as the one before it, so that there are few however long the range is, and no
//! search reads much more than it needs. Counting begins at now, and anew where the newest file ends: what is newer than all
//! files is read from memory, what is older than now by years must not be one slice with what is.

use meshlake_schema::{TimeRange, UnixNanos};

/// How long the first slice is: what a mesh of some thousand spans a second has a search's default limit in.
const FIRST_NANOS: i64 = 10_000_000_000;

/// How many times longer the next one is. Guess, not measured.
const GROWTH: i64 = 8;

/// The slices of `range`, newest first, together all of it. `files` is the time that files have rows of.
pub fn slices(range: TimeRange, files: Option<TimeRange>, now: UnixNanos) -> Vec<TimeRange> {
    let mut cuts = vec![range.to];
    let begin = now.min(range.to).max(range.from);
    match files.filter(|files| files.to < begin && files.to > range.from) {
        None => grow(&mut cuts, begin, range.from),
        Some(files) => {
            grow(&mut cuts, begin, files.to);
            cuts.push(files.to);
            grow(&mut cuts, files.to, files.from.max(range.from));
            cuts.push(files.from.max(range.from));
        }
    }
    cuts.push(range.from);
    cuts.dedup();
    cuts.windows(2).map(|pair| TimeRange { from: pair[1], to: pair[0] }).collect()
}

/// Cuts at growing distances from `begin` back to `end`, both excluded.
fn grow(cuts: &mut Vec<UnixNanos>, begin: UnixNanos, end: UnixNanos) {
    let mut length = FIRST_NANOS;
    let mut cut = begin.0.saturating_sub(length);
    while cut > end.0 {
        cuts.push(UnixNanos(cut));
        length = length.saturating_mul(GROWTH);
        cut = cut.saturating_sub(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange { from: UnixNanos(from * SECOND), to: UnixNanos(to * SECOND) }
    }

    fn cut(asked: TimeRange, files: Option<TimeRange>, now: i64) -> Vec<(i64, i64)> {
        let slices = slices(asked, files, UnixNanos(now * SECOND));
        slices.iter().map(|slice| (slice.from.0 / SECOND, slice.to.0 / SECOND)).collect()
    }

    #[test]
    fn slices_grow_from_now_into_the_past() {
        let want = [(990, 1_100), (910, 990), (500, 910)];
        assert_eq!(cut(range(500, 1_100), None, 1_000), want);
        assert_eq!(cut(range(995, 1_000), None, 1_000), [(995, 1_000)]);
        assert_eq!(cut(range(0, 20), None, 1_000), [(10, 20), (0, 10)]);
        assert_eq!(cut(range(5, 5), None, 1_000), []);
    }

    #[test]
    fn slices_begin_anew_at_the_end_of_files() {
        let files = Some(range(880, 900));
        let want = [(990, 1_000), (910, 990), (900, 910), (890, 900), (880, 890), (100, 880)];
        assert_eq!(cut(range(100, 1_000), files, 1_000), want);
        assert_eq!(cut(range(885, 895), files, 1_000), [(885, 895)], "files of later times too");
        assert_eq!(cut(range(920, 940), files, 1_000), [(930, 940), (920, 930)]);
    }

    #[test]
    fn all_times_are_few_slices() {
        let all = slices(TimeRange::ALL, Some(range(0, 900)), UnixNanos(1_000 * SECOND));
        assert!(all.len() < 30, "{}", all.len());
        assert_eq!((all[0].to, all[all.len() - 1].from), (TimeRange::ALL.to, TimeRange::ALL.from));
        assert!(all.windows(2).all(|pair| pair[0].from == pair[1].to && pair[1].from < pair[1].to));
    }
}
