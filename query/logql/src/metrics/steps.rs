//! The instants that a question is asked about.

use crate::error::Error;

/// Instants of one answer: Loki's limit, which is Prometheus's.
pub const STEPS_MAX: usize = 11_000;

pub(super) const NANOS_PER_SECOND: f64 = 1e9;

/// Instants at one distance, the first at the start, whatever the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    start_nano: i64,
    step_nano: i64,
    count: usize,
}

impl Steps {
    /// From the start on, every step, up to the end.
    ///
    /// # Errors
    /// [`Error::Range`] if the end is before the start, the step is not positive, or there are over [`STEPS_MAX`].
    pub fn range(start_nano: i64, end_nano: i64, step_nano: i64) -> Result<Steps, Error> {
        let wrong = |text: &str| Err(Error::Range(text.to_owned()));
        if end_nano < start_nano {
            return wrong("end timestamp must not be before or equal to start time");
        }
        if step_nano <= 0 {
            return wrong(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            );
        }
        let steps = (i128::from(end_nano) - i128::from(start_nano)) / i128::from(step_nano) + 1;
        match usize::try_from(steps) {
            Ok(count) if count <= STEPS_MAX => Ok(Steps { start_nano, step_nano, count }),
            _ => wrong(
                "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
            ),
        }
    }

    /// One instant.
    pub fn instant(time_nano: i64) -> Steps {
        Steps { start_nano: time_nano, step_nano: 1, count: 1 }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Nanoseconds since the epoch.
    pub fn time(&self, at: usize) -> i64 {
        self.start_nano + self.step_nano * at as i64
    }

    pub(super) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |at| self.time(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_begin_at_the_start() {
        let times =
            |start, end, step| Steps::range(start, end, step).map(|steps| steps.times().collect::<Vec<_>>());
        assert_eq!(times(3, 10, 3), Ok(vec![3, 6, 9]));
        assert_eq!(times(3, 3, 9), Ok(vec![3]));
        for (start, end, step) in [(2, 1, 1), (0, 1, 0), (0, 1, -1), (i64::MIN, i64::MAX, 1)] {
            assert!(times(start, end, step).is_err(), "{start} {end} {step}");
        }
        assert_eq!(Steps::range(0, 10_999, 1).map(|steps| steps.count()), Ok(STEPS_MAX));
        assert!(Steps::range(0, 11_000, 1).is_err());
        assert_eq!(Steps::instant(7).times().collect::<Vec<_>>(), [7]);
    }
}
