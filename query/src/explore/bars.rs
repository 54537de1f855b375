//! How many rows there are over time, each bar in bands: outcomes of requests, levels of logs.

use meshlake_schema::UnixNanos;

/// Bars of one picture, each some pixels wide.
pub const BARS_MAX: u64 = 120;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Seconds of a bar: such as divide an hour or a day where they can.
const STEPS: [u64; 14] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 21_600, DAY];

/// Rows of a range by time and band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bars<const BANDS: usize> {
    /// Where the first begins.
    pub from: UnixNanos,
    /// How long each is.
    pub step_nanos: i64,
    pub counts: Vec<[u64; BANDS]>,
}

impl<const BANDS: usize> Bars<BANDS> {
    /// Empty ones of `[from, to)`, at most [`BARS_MAX`]; the last may reach beyond `to`.
    pub fn new(from: UnixNanos, to: UnixNanos) -> Self {
        let length = to.0.saturating_sub(from.0).max(1).unsigned_abs();
        let bars = |step: u64| length.div_ceil(step * NANOS_PER_SECOND);
        let days = length.div_ceil(BARS_MAX * DAY * NANOS_PER_SECOND);
        let step = STEPS.into_iter().find(|step| bars(*step) <= BARS_MAX).unwrap_or(days * DAY);
        let step_nanos = (step * NANOS_PER_SECOND) as i64;
        Bars { from, step_nanos, counts: vec![[0; BANDS]; bars(step) as usize] }
    }

    /// Counts a row; one outside of the bars is none of the range's.
    pub fn add(&mut self, time: UnixNanos, band: usize) {
        self.add_many(time, band, 1);
    }

    /// Counts rows of one time.
    pub fn add_many(&mut self, time: UnixNanos, band: usize, rows: u64) {
        let at = time.0.saturating_sub(self.from.0).div_euclid(self.step_nanos);
        if let Some(bar) = usize::try_from(at).ok().and_then(|at| self.counts.get_mut(at)) {
            bar[band] += rows;
        }
    }

    /// Adds bars of the same times.
    pub fn merge(&mut self, other: &Self) {
        for (bar, other) in self.counts.iter_mut().zip(&other.counts) {
            for (count, other) in bar.iter_mut().zip(other) {
                *count += other;
            }
        }
    }

    /// When a bar begins.
    pub fn start(&self, bar: usize) -> UnixNanos {
        UnixNanos(self.from.0 + bar as i64 * self.step_nanos)
    }

    /// Rows of each band.
    pub fn sums(&self) -> [u64; BANDS] {
        let mut sums = [0; BANDS];
        for bar in &self.counts {
            for (sum, count) in sums.iter_mut().zip(bar) {
                *sum += count;
            }
        }
        sums
    }

    pub fn total(&self) -> u64 {
        self.sums().iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(seconds: i64) -> Bars<2> {
        Bars::new(UnixNanos(0), UnixNanos::from_seconds(seconds))
    }

    #[test]
    fn a_range_has_as_many_bars_as_can_be_seen() {
        const DAY: i64 = super::DAY as i64;
        let cases =
            [10, 120, 121, 900, 3_600, DAY, 7 * DAY, 120 * DAY, 121 * DAY, 400 * DAY].map(|seconds| {
                let bars = bars(seconds);
                (bars.step_nanos / 1_000_000_000, bars.counts.len())
            });
        let want = [
            (1, 10),
            (1, 120),
            (2, 61),
            (10, 90),
            (30, 120),
            (1_800, 48),
            (10_800, 56),
            (DAY, 120),
            (2 * DAY, 61),
            (4 * DAY, 100),
        ];
        assert_eq!(cases, want);
    }

    #[test]
    fn rows_are_counted_where_they_lie() {
        let mut some = bars(3);
        for (nanos, band) in [(-1, 0), (0, 0), (999_999_999, 1), (1_000_000_000, 1), (3_000_000_000, 0)] {
            some.add(UnixNanos(nanos), band);
        }
        assert_eq!(some.counts, [[1, 1], [0, 1], [0, 0]]);
        let other = some.clone();
        some.merge(&other);
        assert_eq!((some.sums(), some.total(), some.start(2)), ([2, 4], 6, UnixNanos::from_seconds(2)));
    }
}
