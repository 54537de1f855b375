//! Ranges of Prometheus's, in milliseconds, as ranges of rows, in nanoseconds.

use meshlake_schema::{TimeRange, UnixNanos};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Rows of samples later than `after` and at the latest at `until`: a sample's time is its row's without what is less than a
/// millisecond.
pub fn later_than(after: i64, until: i64) -> TimeRange {
    let next = |millis: i64| UnixNanos(millis.saturating_add(1).saturating_mul(NANOS_PER_MILLI));
    TimeRange { from: next(after), to: next(until) }
}

/// Rows of samples from `from` on and at the latest at `until`.
pub fn from(from: i64, until: i64) -> TimeRange {
    later_than(from.saturating_sub(1), until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_whole_milliseconds() {
        let range = later_than(1, 3);
        assert_eq!((range.from.0, range.to.0), (2_000_000, 4_000_000));
        assert_eq!(from(2, 3), range);
        let all = from(i64::MIN, i64::MAX);
        assert_eq!((all.from.0, all.to.0), (i64::MIN, i64::MAX));
    }
}
