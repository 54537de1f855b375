//! The instants that series have values at.
//!
//! As Prometheus does, and Tempo since 2.9: the value at an instant is of the step before it, its start excluded, its end
//! included. Instants are multiples of the step, so that a range that moves on asks about the same steps.
//!
//! Source: grafana/tempo#5366 and #3490.

use crate::error::Error;

/// Instants of one answer: Prometheus's limit.
pub const STEPS_MAX: usize = 11_000;

/// Instants at one distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    first_nano: i64,
    step_nano: i64,
    count: usize,
}

impl Steps {
    /// Every multiple of the step from the last one at or before `start_nano` to the first one at or after `end_nano`.
    ///
    /// # Errors
    /// [`Error::Range`] if the end is before the start, the step is not positive, or there are over [`STEPS_MAX`].
    pub fn range(start_nano: i64, end_nano: i64, step_nano: i64) -> Result<Steps, Error> {
        check(start_nano <= end_nano, "the end is before the start")?;
        check(step_nano > 0, "the step is not positive")?;
        // In 128 bits, as the first step may begin before all that 64 hold.
        let [start, end, step] = [start_nano, end_nano, step_nano].map(i128::from);
        let first = start.div_euclid(step);
        let count = -(-end).div_euclid(step) - first + 1;
        let too_many = || Error::Range(format!("more than {STEPS_MAX} steps are asked for"));
        let count = usize::try_from(count).ok().filter(|count| *count <= STEPS_MAX).ok_or_else(too_many)?;
        let fits = |nano: i128| i64::try_from(nano).is_ok();
        let is_in_time = fits((first - 1) * step) && fits((first + count as i128) * step);
        check(is_in_time, "the range reaches beyond all times")?;
        Ok(Steps { first_nano: (first * step) as i64, step_nano, count })
    }

    /// One instant, the end, of all from the start on.
    ///
    /// # Errors
    /// [`Error::Range`] unless the start is before the end.
    pub fn instant(start_nano: i64, end_nano: i64) -> Result<Steps, Error> {
        check(start_nano < end_nano, "the end is not behind the start")?;
        let step_nano = end_nano.checked_sub(start_nano);
        let step_nano = step_nano.ok_or_else(|| Error::Range("the range is too long".to_owned()))?;
        Ok(Steps { first_nano: end_nano, step_nano, count: 1 })
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Nanoseconds since the epoch, ascending.
    pub fn instants(&self) -> impl Iterator<Item = i64> + use<> {
        let steps = *self;
        (0..steps.count as i64).map(move |at| steps.first_nano + at * steps.step_nano)
    }

    /// Spans that start in it count: nanoseconds, its start excluded, its end included.
    pub fn covered(&self) -> (i64, i64) {
        let last = self.first_nano + (self.count as i64 - 1) * self.step_nano;
        (self.first_nano - self.step_nano, last)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.step_nano as f64 / 1e9
    }

    /// Which step an instant is in.
    pub(super) fn place(&self, nano: i64) -> Option<usize> {
        let (before, last) = self.covered();
        // From 1 for the first nanosecond behind the start of the first step.
        (nano > before && nano <= last).then(|| ((nano - before - 1) / self.step_nano) as usize)
    }
}

fn check(is_right: bool, what: &str) -> Result<(), Error> {
    if is_right { Ok(()) } else { Err(Error::Range(what.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_multiples_of_the_step_around_the_range() {
        let instants = |start, end, step| {
            Steps::range(start, end, step).map(|steps| steps.instants().collect::<Vec<_>>())
        };
        assert_eq!(instants(25, 41, 10), Ok(vec![20, 30, 40, 50]));
        assert_eq!(instants(20, 40, 10), Ok(vec![20, 30, 40]));
        assert_eq!(instants(-5, 5, 10), Ok(vec![-10, 0, 10]));
        assert_eq!(instants(7, 7, 10), Ok(vec![0, 10]));
        for (start, end, step) in
            [(2, 1, 1), (0, 1, 0), (0, 1, -1), (i64::MIN, 0, 7), (0, i64::MAX, i64::MAX)]
        {
            assert!(instants(start, end, step).is_err(), "{start} {end} {step}");
        }
        assert_eq!(Steps::range(0, 10_999, 1).map(|steps| steps.count()), Ok(STEPS_MAX));
        let told = Steps::range(0, 11_000, 1).map_err(|error| error.to_string());
        assert_eq!(told, Err("more than 11000 steps are asked for".to_owned()));
    }

    #[test]
    fn a_step_has_its_end_and_not_its_start() {
        let steps = Steps::range(20, 40, 10).expect("a range");
        assert_eq!(steps.covered(), (10, 40));
        let places = [10, 11, 20, 21, 40, 41].map(|nano| steps.place(nano));
        assert_eq!(places, [None, Some(0), Some(0), Some(1), Some(2), None]);
        let instant = Steps::instant(20, 40).expect("an instant");
        assert_eq!((instant.place(20), instant.place(21), instant.place(40)), (None, Some(0), Some(0)));
        assert!(Steps::instant(4, 4).is_err());
    }
}
