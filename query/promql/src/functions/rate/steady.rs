//! Changes of counters that never begin anew, without a look at what lies between the first and the last sample of a window.
//!
//! Most counters go on while a question looks at them, and windows overlap: of five minutes at a step of one each sample is in five. Whether
//! one begins anew is seen in one pass, and then a window's change is its last value less its first. Values are those of the window by
//! itself, to the last bit.

use super::{Change, extrapolated};
use crate::functions::Slice;
use crate::samples::SeriesSamples;
use crate::series::Point;

/// What changes of such counters are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steady(Change);

impl Steady {
    /// None for functions that are not about counters, or look at more than changes.
    pub(crate) fn of(function: &str) -> Option<Steady> {
        let is_per_second = match function {
            "rate" => true,
            "increase" => false,
            _ => return None,
        };
        Some(Steady(Change { is_counter: true, is_per_second }))
    }

    /// Whether a series is such a counter, as far as its samples tell and nothing else does.
    pub(crate) fn is(series: &SeriesSamples) -> bool {
        let SeriesSamples { floats, histograms, events, .. } = series;
        let goes_on = || floats.values.windows(2).all(|pair| pair[0] <= pair[1]);
        events.is_none() && histograms.is_empty() && floats.starts.is_empty() && goes_on()
    }

    /// The change of such a counter in the window between `ends`, of which these are the samples.
    pub(crate) fn change(self, samples: Slice<'_, f64>, ends: (i64, i64)) -> Point {
        let [first, .., last] = samples.values else { return Point::None };
        Point::Float(extrapolated(samples, last - first, None, ends, self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{increase, rate};
    use super::*;
    use crate::functions::Window;
    use crate::labels::Labels;
    use crate::notes::Notes;
    use crate::samples::Run;

    fn counter(samples: &[(i64, f64)]) -> SeriesSamples {
        let mut floats = Run::default();
        samples.iter().for_each(|(time, value)| floats.push(*time, *value));
        SeriesSamples { floats, ..SeriesSamples::default() }
    }

    #[test]
    fn what_falls_or_tells_more_is_not_steady() {
        assert!(Steady::is(&counter(&[(0, 1.0), (1, 1.0), (2, f64::INFINITY)])));
        assert!(Steady::is(&counter(&[])) && Steady::is(&counter(&[(0, -1.0)])));
        assert!(!Steady::is(&counter(&[(0, 1.0), (1, 0.5)])));
        assert!(!Steady::is(&counter(&[(0, 1.0), (1, f64::NAN), (2, 2.0)])));
        let mut with_starts = counter(&[(5, 1.0)]);
        with_starts.floats.starts.push(1);
        assert!(!Steady::is(&with_starts));
        assert!(Steady::of("delta").is_none() && Steady::of("irate").is_none());
    }

    /// Gaps, ends near and far from samples, counters from zero, below zero and infinite.
    #[test]
    fn a_change_is_that_of_the_window_by_itself() {
        let labels = Labels::default();
        let notes = Notes::default();
        let runs: [&[(i64, f64)]; 5] = [
            &[(1_000, 0.0), (16_000, 3.0), (31_000, 3.5), (46_000, 10.25)],
            &[(20_000, 7.0), (21_000, 7.0)],
            &[(1_000, -5.0), (40_000, 0.1), (59_999, 0.3)],
            &[(30_000, 1e300), (31_000, f64::INFINITY)],
            &[(30_000, 1.0)],
        ];
        for run in runs {
            let series = counter(run);
            let floats = Slice::of(&series.floats, 0, run.len());
            for (name, function) in [("rate", rate as fn(&Window<'_>) -> _), ("increase", increase)] {
                let steady = Steady::of(name).expect("it is about counters");
                for (from, until) in [(0, 60_000), (-100_000, 46_000), (900, 60_000)] {
                    let window = Window {
                        labels: &labels,
                        floats,
                        histograms: Slice { times: &[], values: &[], starts: &[] },
                        events: None,
                        from,
                        until,
                        time: until,
                        edges: None,
                        lookback: 300_000,
                        scalars: &[],
                        scalars_at: &[],
                        at: 0,
                        notes: &notes,
                    };
                    let bits = |point: Point| point.float().map(f64::to_bits);
                    let want = function(&window).map(bits);
                    assert_eq!(Ok(bits(steady.change(floats, (from, until)))), want, "{name} of {run:?}");
                }
            }
        }
    }
}
