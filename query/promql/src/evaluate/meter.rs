//! What an evaluation holds in memory, and its limits.
//!
//! Columns and samples are counted before they are made and given back when they are dropped, so that a long query
//! over few series is no dearer than its widest part.

use std::cell::Cell;

use meshlake_schema::Budget;

use crate::error::Error;
use crate::options::Options;

/// Bytes of one point of a column, or of one sample with its time.
const POINT_BYTES: usize = 16;

/// Points looked at after which it is asked whether time is up; some milliseconds of work. A step of a group of many
/// series, or a window over many samples, is no longer bounded by the samples there are.
const UNCHECKED_POINTS_MAX: usize = 1 << 20;

pub(crate) struct Meter<'a> {
    budget: &'a dyn Budget,
    samples: Cell<usize>,
    samples_max: usize,
    /// The most that were held at once, and how many were looked at, again for each step that they count for.
    peak: Cell<usize>,
    looked_at: Cell<usize>,
    series: Cell<usize>,
    series_max: usize,
    unchecked: Cell<usize>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(budget: &'a dyn Budget, options: &Options) -> Self {
        let (samples_max, series_max) = (options.samples_max, options.series_max);
        Meter {
            budget,
            samples: Cell::new(0),
            samples_max,
            peak: Cell::new(0),
            looked_at: Cell::new(0),
            series: Cell::new(0),
            series_max,
            unchecked: Cell::new(0),
        }
    }

    pub(super) fn budget(&self) -> &'a dyn Budget {
        self.budget
    }

    /// # Errors
    /// [`Error::Timeout`].
    pub(super) fn check_time(&self) -> Result<(), Error> {
        Ok(self.budget.check_time()?)
    }

    /// The same, once for so many points that are looked at.
    pub(super) fn look_at(&self, points: usize) -> Result<(), Error> {
        let unchecked = self.unchecked.get().saturating_add(points);
        let is_due = unchecked > UNCHECKED_POINTS_MAX;
        self.unchecked.set(if is_due { 0 } else { unchecked });
        if is_due { self.check_time() } else { Ok(()) }
    }

    /// Counts samples that a step's value comes from.
    pub(super) fn count_samples(&self, count: usize) {
        self.looked_at.set(self.looked_at.get().saturating_add(count));
    }

    /// Samples that steps looked at, and the most that were held at once.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.looked_at.get(), self.peak.get())
    }

    /// Counts series that are read; they are not given back.
    pub(super) fn count_series(&self, count: usize) -> Result<(), Error> {
        let series = self.series.get().saturating_add(count);
        self.series.set(series);
        if series > self.series_max { Err(Error::too_many_series()) } else { Ok(()) }
    }

    /// Asks for memory of so many samples before it is taken.
    pub(super) fn hold(&self, samples: usize) -> Result<Held<'_>, Error> {
        let mut held = Held { meter: self, samples: 0 };
        held.grow(samples)?;
        Ok(held)
    }

    /// The same for columns of so many steps.
    pub(super) fn hold_columns(&self, columns: usize, steps: usize) -> Result<Held<'_>, Error> {
        self.hold(columns.saturating_mul(steps))
    }
}

/// Memory that is held; given back when it is dropped.
pub(crate) struct Held<'m> {
    meter: &'m Meter<'m>,
    samples: usize,
}

impl Held<'_> {
    pub(super) fn grow(&mut self, samples: usize) -> Result<(), Error> {
        let all = self.meter.samples.get().saturating_add(samples);
        if all > self.meter.samples_max {
            return Err(Error::too_many_samples());
        }
        self.meter.budget.grow(samples.saturating_mul(POINT_BYTES))?;
        self.meter.samples.set(all);
        self.meter.peak.set(self.meter.peak.get().max(all));
        self.samples += samples;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.meter.samples.set(self.meter.samples.get() - self.samples);
        self.meter.budget.shrink(self.samples * POINT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshlake_schema::budget::Allowance;

    #[test]
    fn the_time_is_asked_for_once_in_so_many_points() {
        let late = Allowance::new(0, Some(std::time::Duration::ZERO));
        let meter = Meter::new(&late, &Options::default());
        assert_eq!(meter.look_at(UNCHECKED_POINTS_MAX), Ok(()));
        assert!(matches!(meter.look_at(1), Err(Error::Timeout(_))));
        assert_eq!(meter.look_at(1), Ok(()), "it is counted anew");
        assert!(matches!(meter.look_at(usize::MAX), Err(Error::Timeout(_))));
    }

    #[test]
    fn memory_is_held_up_to_the_limits_and_comes_back() {
        let budget = Allowance::new(5 * POINT_BYTES, None);
        let options = Options { samples_max: 4, series_max: 2, ..Options::default() };
        let meter = Meter::new(&budget, &options);
        let held = meter.hold_columns(2, 2).unwrap();
        assert_eq!(meter.hold(1).err(), Some(Error::too_many_samples()));
        drop(held);
        assert_eq!(budget.bytes(), 0);
        assert!(meter.hold(usize::MAX).is_err());
        meter.count_samples(3);
        meter.count_samples(2);
        assert_eq!(meter.counts(), (5, 4));
        assert!(meter.count_series(2).is_ok());
        assert_eq!(meter.count_series(1), Err(Error::too_many_series()));
    }
}
