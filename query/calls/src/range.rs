//! The range of time that an answer is about: half-open, on whole 10 seconds, cut into buckets.
//!
//! Ends are widened to 10 s because rollups hold 10 s buckets, and an answer must not depend on whether a
//! part of it came from a rollup or from rows. Buckets are counted from the start of the range, so every
//! bucket but the last has the full width. Limits: [`BUCKETS_MAX`] buckets.
//!
//! A rate is what was counted over the seconds in which it could be seen, the *observed* part of the range: from
//! the first row, if it lies in the range and none is older, and to now. Over the whole range, a mesh that was
//! connected a minute ago would show a fifteenth of its load.

use std::time::Duration;

use meshlake_schema::UnixNanos;
use thiserror::Error;

/// The grid of range ends and bucket widths; also the width of a rollup bucket.
pub const GRID: Duration = Duration::from_secs(10);

/// How long the choice of evidence holds. It is made for each ten minutes of the clock and not for the range asked
/// for, so that the answers of two ranges add up to that of both.
pub const WINDOW: Duration = Duration::from_secs(600);

/// Most buckets in an answer: a day of minutes fits, and a row per bucket and service stays readable JSON.
pub const BUCKETS_MAX: usize = 1_440;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Why a range cannot be answered; all of them are the asker's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RangeError {
    #[error("the range is empty: `from` must lie before `to`")]
    Empty,
    #[error("the range ends beyond the times that nanoseconds can tell, the years 1677 to 2262")]
    TooFar,
    #[error("step {0:?} is not a multiple of 10 s")]
    Step(Duration),
    #[error("step {step:?} cuts the range into {buckets} buckets, more than {BUCKETS_MAX}")]
    TooManyBuckets { step: Duration, buckets: u64 },
}

/// `[from, to)` on the grid, one bucket or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    from: UnixNanos,
    to: UnixNanos,
    step: Option<Duration>,
    observed_from: UnixNanos,
    observed_to: UnixNanos,
}

impl Range {
    /// Floors `from` and ceils `to` to 10 s; `step`, if given, is the width of a bucket.
    ///
    /// # Errors
    /// An empty range, an end too far away, a step that is not a multiple of 10 s, more than [`BUCKETS_MAX`] buckets.
    pub fn new(from: UnixNanos, to: UnixNanos, step: Option<Duration>) -> Result<Range, RangeError> {
        let grid = GRID.as_nanos() as i64;
        if from >= to {
            return Err(RangeError::Empty);
        }
        let floor = from.0.div_euclid(grid).checked_mul(grid).ok_or(RangeError::TooFar)?;
        let ceil =
            to.0.checked_add(grid - 1)
                .map(|raised| raised.div_euclid(grid) * grid)
                .ok_or(RangeError::TooFar)?;
        let (from, to) = (UnixNanos(floor), UnixNanos(ceil));
        let range = Range { from, to, step, observed_from: from, observed_to: to };
        if let Some(step) = step {
            if step.is_zero() || !step.as_nanos().is_multiple_of(GRID.as_nanos()) {
                return Err(RangeError::Step(step));
            }
            let buckets = (range.nanos() as u128).div_ceil(step.as_nanos()) as u64;
            if buckets > BUCKETS_MAX as u64 {
                return Err(RangeError::TooManyBuckets { step, buckets });
            }
        }
        Ok(range)
    }

    pub fn from(&self) -> UnixNanos {
        self.from
    }

    pub fn to(&self) -> UnixNanos {
        self.to
    }

    pub fn step(&self) -> Option<Duration> {
        self.step
    }

    /// The same range, observed from `first_row`, if that is later than its start, and to `now`; on whole seconds.
    #[must_use]
    pub fn observed(self, first_row: UnixNanos, now: UnixNanos) -> Range {
        let second = NANOS_PER_SECOND;
        let floored = UnixNanos(first_row.0.div_euclid(second) * second);
        let raised = UnixNanos(now.0.saturating_add(second - 1).div_euclid(second) * second);
        let observed_from = floored.clamp(self.from, self.to);
        Range { observed_from, observed_to: raised.clamp(observed_from, self.to), ..self }
    }

    /// Where the observed part of the range starts; see the module.
    pub fn observed_from(&self) -> UnixNanos {
        self.observed_from
    }

    /// Where it ends.
    pub fn observed_to(&self) -> UnixNanos {
        self.observed_to
    }

    /// The bucket that `time` falls into, or `None` outside the range.
    pub fn bucket_of(&self, time: i64) -> Option<u16> {
        if time < self.from.0 || time >= self.to.0 {
            return None;
        }
        let Some(step) = self.step else { return Some(0) };
        let bucket = (time - self.from.0) as u64 / step.as_nanos() as u64;
        Some(u16::try_from(bucket).expect("BUCKETS_MAX fits u16"))
    }

    /// The window of [`WINDOW`] that `time`, which is in the range, falls into, counted from the one that the
    /// range starts in: windows are aligned to the clock, so that no range moves them.
    pub fn window_of(&self, time: i64) -> u16 {
        let window = |time: i64| time.div_euclid(WINDOW.as_nanos() as i64);
        u16::try_from(window(time) - window(self.from.0)).unwrap_or(u16::MAX)
    }

    /// When a bucket starts.
    pub fn bucket_start(&self, bucket: u16) -> UnixNanos {
        self.step.map_or(self.from, |step| self.from.plus(step * u32::from(bucket)))
    }

    /// When each bucket starts, in order; one where there is no step.
    pub fn bucket_starts(&self) -> impl Iterator<Item = UnixNanos> + use<> {
        let width = self.step.map_or(self.nanos(), |step| step.as_nanos() as u64);
        let count = self.nanos().div_ceil(width);
        let from = self.from;
        (0..count).map(move |bucket| UnixNanos(from.0 + (bucket * width) as i64))
    }

    /// For how many seconds a bucket was observed: what its counts are divided by to be rates. At least 10 s, so that
    /// the first call of all is not a flood.
    pub fn bucket_seconds(&self, bucket: u16) -> f64 {
        let start = self.bucket_start(bucket);
        let end = self.step.map_or(self.to, |step| start.plus(step));
        let observed = end.min(self.observed_to).0 - start.max(self.observed_from).0;
        observed.max(GRID.as_nanos() as i64) as f64 / NANOS_PER_SECOND as f64
    }

    fn nanos(&self) -> u64 {
        (self.to.0 as i128 - self.from.0 as i128) as u64
    }
}

const _: () = assert!(BUCKETS_MAX < u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = NANOS_PER_SECOND;

    fn range(from: i64, to: i64, step: Option<u64>) -> Result<Range, RangeError> {
        Range::new(UnixNanos(from * SECOND), UnixNanos(to * SECOND), step.map(Duration::from_secs))
    }

    #[test]
    fn ends_are_widened_to_ten_seconds_and_the_end_is_outside() {
        let range = range(11, 29, None).expect("not empty");
        assert_eq!((range.from(), range.to()), (UnixNanos(10 * SECOND), UnixNanos(30 * SECOND)));
        assert_eq!(range.bucket_of(10 * SECOND), Some(0));
        assert_eq!(range.bucket_of(30 * SECOND - 1), Some(0));
        assert_eq!(range.bucket_of(30 * SECOND), None);
        assert_eq!(range.bucket_of(10 * SECOND - 1), None);
        assert_eq!(range.bucket_seconds(0), 20.0);
    }

    #[test]
    fn the_last_bucket_may_be_shorter() {
        let range = range(0, 70, Some(30)).expect("not empty");
        let starts: Vec<_> = (0..3).map(|b| range.bucket_start(b).seconds()).collect();
        assert_eq!(starts, [0, 30, 60]);
        assert_eq!(range.bucket_starts().map(UnixNanos::seconds).collect::<Vec<_>>(), starts);
        assert_eq!([0, 1, 2].map(|b| range.bucket_seconds(b)), [30.0, 30.0, 10.0]);
        assert_eq!(range.bucket_of(69 * SECOND), Some(2));
    }

    #[test]
    fn a_bucket_counts_for_as_long_as_it_was_observed() {
        let at = |millis: i64| UnixNanos(millis * 1_000_000);
        // The first row 12.9 s into a minute of three buckets, asked 51.2 s into it: 12 s and 52 s.
        let range = range(0, 60, Some(20)).expect("not empty").observed(at(12_900), at(51_200));
        assert_eq!((range.observed_from(), range.observed_to()), (at(12_000), at(52_000)));
        // 8 s of the first bucket are too few to divide by.
        assert_eq!([0, 1, 2].map(|bucket| range.bucket_seconds(bucket)), [10.0, 20.0, 12.0]);
    }

    #[test]
    fn what_is_observed_stays_within_the_range() {
        let observed = |first: i64, now: i64| {
            let range = range(100, 200, None).expect("not empty");
            let range = range.observed(UnixNanos(first * SECOND), UnixNanos(now * SECOND));
            (range.observed_from().seconds(), range.observed_to().seconds(), range.bucket_seconds(0))
        };
        assert_eq!(observed(0, 1_000), (100, 200, 100.0), "older rows, a range that is over");
        assert_eq!(observed(140, 1_000), (140, 200, 60.0));
        assert_eq!(observed(140, 150), (140, 150, 10.0));
        assert_eq!(observed(150, 120), (150, 150, 10.0), "rows that are ahead of the clock");
        assert_eq!(observed(300, 300), (200, 200, 10.0));
    }

    #[test]
    fn windows_are_aligned_to_the_clock() {
        let range = range(590, 1_300, None).expect("not empty");
        let windows = [590, 599, 600, 1_199, 1_200, 1_299].map(|second| range.window_of(second * SECOND));
        assert_eq!(windows, [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn wrong_ranges_are_refused() {
        assert_eq!(range(10, 10, None), Err(RangeError::Empty));
        assert_eq!(range(20, 10, None), Err(RangeError::Empty));
        assert_eq!(Range::new(UnixNanos(0), UnixNanos(i64::MAX), None), Err(RangeError::TooFar));
        assert_eq!(Range::new(UnixNanos(i64::MIN), UnixNanos(0), None), Err(RangeError::TooFar));
        assert_eq!(range(0, 60, Some(0)), Err(RangeError::Step(Duration::ZERO)));
        assert_eq!(range(0, 60, Some(15)), Err(RangeError::Step(Duration::from_secs(15))));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        assert!(range(0, 14_400, Some(10)).is_ok());
        let step = Duration::from_secs(10);
        assert_eq!(range(0, 14_410, Some(10)), Err(RangeError::TooManyBuckets { step, buckets: 1_441 }));
    }
}
