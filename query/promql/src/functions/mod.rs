//! What functions compute: of a window of samples, of a value, of a time.
//!
//! A function knows one series at one step; which series there are, names and steps are the evaluation's matter.
//! Each file is one family, and they know nothing of one another.

mod rate;
mod changes;
mod trend;
mod over_time;
mod picked;
pub(crate) mod value;

use std::sync::Arc;

use crate::error::Error;
use crate::histogram::{Combined, Histogram, Incompatible};
use crate::labels::Labels;
use crate::notes::{Doing, Note, Notes};
use crate::samples::{Events, Run};
use crate::series::Point;
use crate::tree::Edges;

pub(crate) use rate::{Steady, extended_floats, interpolated_float, interpolated_histogram};

/// Samples of one type inside of a window.
#[derive(Debug)]
pub(crate) struct Slice<'a, T> {
    pub times: &'a [i64],
    pub values: &'a [T],
    /// Empty if no start is known.
    pub starts: &'a [i64],
}

impl<T> Clone for Slice<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slice<'_, T> {}

impl<'a, T> Slice<'a, T> {
    pub(crate) fn of(run: &'a Run<T>, from: usize, to: usize) -> Self {
        let starts = if run.starts.is_empty() { &[] } else { &run.starts[from..to] };
        Slice { times: &run.times[from..to], values: &run.values[from..to], starts }
    }

    pub(crate) fn part(self, from: usize, to: usize) -> Self {
        let starts = if self.starts.is_empty() { self.starts } else { &self.starts[from..to] };
        Slice { times: &self.times[from..to], values: &self.values[from..to], starts }
    }

    pub(crate) fn len(self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(self) -> bool {
        self.times.is_empty()
    }

    /// When the counter of a sample began; zero if nobody knows.
    pub(crate) fn start(self, at: usize) -> i64 {
        self.starts.get(at).copied().unwrap_or(0)
    }
}

/// One series' samples later than `from` and until `until`, at one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    pub labels: &'a Labels,
    /// With edges to be filled in, samples around the window too: of a lookback before, and if smoothed after.
    pub floats: Slice<'a, f64>,
    pub histograms: Slice<'a, Arc<Histogram>>,
    pub events: Option<&'a dyn Events>,
    pub from: i64,
    pub until: i64,
    /// When the step is, which `@` and `offset` may set apart from the window.
    pub time: i64,
    pub edges: Option<Edges>,
    pub lookback: i64,
    /// The other arguments' values, in order.
    pub scalars: &'a [f64],
    /// Where they stand in the query, and where the window does.
    pub scalars_at: &'a [usize],
    pub at: usize,
    pub notes: &'a Notes,
}

impl Window<'_> {
    fn metric(&self) -> String {
        self.labels.metric_name().to_owned()
    }

    fn tell(&self, note: Note) {
        self.notes.tell(note, self.at);
    }

    fn seconds(&self) -> f64 {
        (self.until - self.from) as f64 / 1e3
    }

    fn is_mixed(&self) -> bool {
        !self.floats.is_empty() && !self.histograms.is_empty()
    }

    /// The floats of a function that knows no histograms; tells if there are any besides.
    fn only_floats(&self) -> &[f64] {
        if self.is_mixed() {
            self.tell(Note::IgnoredInRange { metric: self.metric() });
        }
        self.floats.values
    }

    /// Tells what happened when two histograms became one; false if they could not.
    fn told(&self, combined: Result<Combined, Incompatible>, doing: Doing) -> bool {
        match combined {
            Ok(combined) => {
                if combined.bounds_reconciled {
                    self.tell(Note::ReconciledBounds(doing));
                }
                true
            }
            Err(Incompatible) => {
                self.tell(Note::MixedSchemas { metric: self.metric() });
                false
            }
        }
    }
}

pub(crate) type RangeFunction = fn(&Window<'_>) -> Result<Point, Error>;

/// The function of a window by that name. A window without samples is not asked about.
pub(crate) fn over_range(name: &str) -> Option<RangeFunction> {
    Some(match name {
        "rate" => rate::rate,
        "increase" => rate::increase,
        "delta" => rate::delta,
        "irate" => rate::irate,
        "idelta" => rate::idelta,
        "resets" => changes::resets,
        "changes" => changes::changes,
        "deriv" => trend::deriv,
        "predict_linear" => trend::predict_linear,
        "double_exponential_smoothing" => trend::double_exponential_smoothing,
        "sum_over_time" => over_time::sum,
        "avg_over_time" => over_time::avg,
        "stddev_over_time" => over_time::stddev,
        "stdvar_over_time" => over_time::stdvar,
        "quantile_over_time" => over_time::quantile,
        "mad_over_time" => over_time::mad,
        "integral" => over_time::integral,
        "count_over_time" => picked::count,
        "present_over_time" | "absent_over_time" => picked::present,
        "first_over_time" => picked::first,
        "last_over_time" => picked::last,
        "min_over_time" => picked::min,
        "max_over_time" => picked::max,
        "ts_of_first_over_time" => picked::time_of_first,
        "ts_of_last_over_time" => picked::time_of_last,
        "ts_of_min_over_time" => picked::time_of_min,
        "ts_of_max_over_time" => picked::time_of_max,
        _ => return None,
    })
}

/// Whether a counter began anew between two samples, by the starts that were told with them.
///
/// A start before the sample before is of an overlap, one at or after its own sample is unknown; one at the sample
/// before is a delta, if that one's own start was known.
/// Source: <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps>.
fn start_moved(before: (i64, i64), now: (i64, i64)) -> bool {
    let ((start_before, time_before), (start, time)) = (before, now);
    if start_before == start || start == 0 || start >= time || start < time_before {
        return false;
    }
    start > time_before || (start_before < time_before && start_before != 0)
}

/// The value below which a share of the values lies, on a line between the two nearest. NaN is the least of all.
pub(crate) fn quantile_of(share: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || share.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&share) {
        return f64::INFINITY.copysign(share);
    }
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = share * (values.len() - 1) as f64;
    let weight = rank - rank.floor();
    // Lossless: a rank is at most the number of values.
    let lower = rank.floor() as usize;
    if weight == 0.0 {
        return values[lower];
    }
    values[lower] * (1.0 - weight) + values[(lower + 1).min(values.len() - 1)] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_the_nearest_two() {
        let check =
            |share: f64, values: &[f64], want: f64| assert_eq!(quantile_of(share, values.to_vec()), want);
        check(0.5, &[3.0, 1.0, 2.0], 2.0);
        check(0.5, &[4.0, 1.0], 2.5);
        check(0.75, &[0.0, 4.0], 3.0);
        check(1.0, &[f64::NAN, 4.0], 4.0);
        check(-0.1, &[1.0], f64::NEG_INFINITY);
        check(1.1, &[1.0], f64::INFINITY);
    }
}
