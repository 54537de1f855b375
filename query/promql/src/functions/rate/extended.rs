//! Rates of windows whose ends are filled in: `anchored` and `smoothed`.
//!
//! The values at both ends of the window are known then, so nothing is extrapolated. Anchored, they are those of the
//! last samples before; smoothed, they lie on lines between the samples around.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/feature_flags/> (extended range selectors).

use std::sync::Arc;

use super::{Change, Slice, Window, start_moved};
use crate::histogram::{Histogram, Incompatible, ResetHint};
use crate::notes::{Doing, Note, Notes};
use crate::series::Point;
use crate::tree::Edges;

/// A value, when it is, and when its counter began.
#[derive(Debug, Clone, Copy)]
struct Sample {
    time: i64,
    value: f64,
    start: i64,
}

impl Sample {
    fn of(samples: Slice<'_, f64>, at: usize) -> Sample {
        Sample { time: samples.times[at], value: samples.values[at], start: samples.start(at) }
    }

    /// The zero at which the counter began.
    fn beginning(self) -> Sample {
        Sample { time: self.start, value: 0.0, start: self.start }
    }

    /// Whether the counter began after an instant, and before this sample.
    fn began_after(self, time: i64) -> bool {
        self.start > time && self.time > time && start_moved((time, time), (self.start, self.time))
    }

    fn restarts_after(self, before: Sample) -> bool {
        start_moved((before.start, before.time), (self.start, self.time))
    }
}

/// Which samples a window with filled edges is computed from.
struct Bounds {
    first: usize,
    last: usize,
}

/// The first sample is the last at or before the window's begin, if there is one; the last, if smoothed, the first at
/// or after its end. None if there is no sample after its begin.
fn bounds(times: &[i64], from: i64, until: i64, edges: Option<Edges>) -> Option<Bounds> {
    let mut last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|time| *time <= from).saturating_sub(1);
    if edges == Some(Edges::Smoothed) {
        last = times[..last].partition_point(|time| *time < until);
    }
    (times[last] > from).then_some(Bounds { first, last })
}

pub(super) fn change_of_floats(window: &Window<'_>, change: Change) -> Point {
    let samples = window.floats;
    let Some(Bounds { mut first, mut last }) = bounds(samples.times, window.from, window.until, window.edges)
    else {
        return Point::None;
    };
    let ends = Ends {
        from: window.from,
        until: window.until,
        known_from: window.from - window.lookback,
        is_smoothed: window.edges == Some(Edges::Smoothed),
        is_counter: change.is_counter,
    };
    let begin = Sample::of(samples, first);
    if ends.is_smoothed && begin.time > window.until {
        let began_before = begin.began_after(ends.known_from) && !begin.began_after(window.until);
        if !change.is_counter || !began_before {
            return Point::None;
        }
    }
    let (left, left_start) = ends.left(samples, first);
    let (right, right_start) = ends.right(samples, last);
    let mut difference = right - left;
    if change.is_counter {
        // The samples inside; what began anew at the edges is in the values there already.
        first += usize::from(samples.times[first] <= window.from);
        let end = if samples.times[last] >= window.until { last } else { last + 1 };
        last = end.max(first);
        let inside = samples.part(first.min(last), last);
        let mut before = Sample { time: window.from, value: left, start: left_start };
        let points = (0..inside.len()).map(|at| Sample::of(inside, at));
        for sample in points.chain([Sample { time: window.until, value: right, start: right_start }]) {
            if sample.value < before.value || sample.restarts_after(before) {
                difference += before.value;
            }
            before = sample;
        }
    }
    Point::Float(if change.is_per_second { difference / window.seconds() } else { difference })
}

/// What the values at both ends of a window are filled in by.
struct Ends {
    from: i64,
    until: i64,
    /// From when on samples were looked for.
    known_from: i64,
    is_smoothed: bool,
    is_counter: bool,
}

impl Ends {
    /// The value at the begin, and when its counter began, zero if that is not known to be before.
    fn left(&self, samples: Slice<'_, f64>, first: usize) -> (f64, i64) {
        let mut sample = Sample::of(samples, first);
        let mut start = if sample.start > self.from { 0 } else { sample.start };
        if sample.time == self.from {
            return (sample.value, sample.start);
        }
        if sample.time > self.from {
            if !self.is_counter || !sample.began_after(self.known_from) {
                return (sample.value, start);
            }
            if self.is_smoothed && !sample.began_after(self.from) {
                return (self.between(sample.beginning(), sample, self.from), start);
            }
            return (0.0, start);
        }
        let mut next = Sample::of(samples, first + 1);
        if self.is_counter && next.began_after(self.from) {
            next = next.beginning();
        } else if self.is_counter && next.restarts_after(sample) {
            start = next.start;
            sample = next.beginning();
        }
        let value = if self.is_smoothed { self.between(sample, next, self.from) } else { sample.value };
        (value, start)
    }

    /// The same at the end.
    fn right(&self, samples: Slice<'_, f64>, last: usize) -> (f64, i64) {
        let mut sample = Sample::of(samples, last);
        let mut start = if sample.start > self.until { 0 } else { sample.start };
        if sample.time <= self.until {
            return (sample.value, start);
        }
        if last == 0 {
            if !self.is_counter || !sample.began_after(self.known_from) {
                return (sample.value, start);
            }
            if self.is_smoothed && !sample.began_after(self.until) {
                return (self.between(sample.beginning(), sample, self.until), start);
            }
            return (0.0, start);
        }
        let mut before = Sample::of(samples, last - 1);
        if self.is_counter && sample.began_after(self.until) {
            sample = sample.beginning();
            start = before.start;
        } else if self.is_counter && sample.restarts_after(before) {
            before = sample.beginning();
        }
        let value = if self.is_smoothed { self.between(before, sample, self.until) } else { before.value };
        (value, start)
    }

    fn between(&self, a: Sample, b: Sample, time: i64) -> f64 {
        interpolated_float((a.time, a.value), (b.time, b.value), time, self.is_counter)
    }
}

/// The value on the line between two samples; a counter that fell is taken to rise from zero.
pub(crate) fn interpolated_float(a: (i64, f64), b: (i64, f64), time: i64, is_counter: bool) -> f64 {
    let from = if is_counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (time - a.0) as f64 / (b.0 - a.0) as f64
}

/// The histogram between two.
pub(crate) fn interpolated_histogram(
    a: (i64, &Histogram),
    b: (i64, &Histogram),
    time: i64,
    is_counter: bool,
    (notes, at): (&Notes, usize),
) -> Result<Histogram, Incompatible> {
    if time == a.0 {
        return Ok(a.1.clone());
    }
    let mut between = b.1.clone();
    if time == b.0 {
        return Ok(between);
    }
    let fraction = (time - a.0) as f64 / (b.0 - a.0) as f64;
    if is_counter && b.1.is_reset_after(a.1) {
        between.scale(fraction);
        return Ok(between);
    }
    let tell = |is_reconciled: bool, doing: Doing| {
        if is_reconciled {
            notes.tell(Note::ReconciledBounds(doing), at);
        }
    };
    tell(between.subtract(a.1)?.bounds_reconciled, Doing::Subtraction);
    between.scale(fraction);
    tell(between.add(a.1)?.bounds_reconciled, Doing::Addition);
    Ok(between)
}

/// The samples of a window with both ends filled in, as a range of floats.
pub(crate) fn extended_floats(
    samples: Slice<'_, f64>,
    (from, until): (i64, i64),
    lookback: i64,
    edges: Edges,
) -> Vec<(i64, f64)> {
    let Some(Bounds { first, last }) = bounds(samples.times, from, until, Some(edges)) else {
        return Vec::new();
    };
    let is_smoothed = edges == Edges::Smoothed;
    let ends = Ends { from, until, known_from: from - lookback, is_smoothed, is_counter: false };
    let begin = (from, ends.left(samples, first).0);
    let end = (until, ends.right(samples, last).0);
    let pairs = samples.times.iter().copied().zip(samples.values.iter().copied());
    let inside = pairs.filter(|(time, _)| *time > from && *time < until);
    [begin].into_iter().chain(inside).chain([end]).collect()
}

pub(super) fn change_of_histograms(window: &Window<'_>, change: Change) -> Point {
    change_between(window, change).map_or(Point::None, |histogram| histogram.compacted().into())
}

fn change_between(window: &Window<'_>, change: Change) -> Option<Histogram> {
    let (times, values) = (window.histograms.times, window.histograms.values);
    let Bounds { first, last } = bounds(times, window.from, window.until, window.edges)?;
    let is_smoothed = window.edges == Some(Edges::Smoothed);
    if is_smoothed && times[first] > window.until {
        return None;
    }
    let used = &values[first..=last];
    if used.iter().any(|histogram| histogram.uses_custom_buckets() != used[0].uses_custom_buckets()) {
        window.tell(Note::MixedSchemas { metric: window.metric() });
        return None;
    }
    let is_gauge = |histogram: &Histogram| histogram.hint == ResetHint::Gauge;
    if change.is_counter && used.iter().any(|histogram| is_gauge(histogram)) {
        window.tell(Note::NotCounter { metric: window.metric() });
    }
    let sample = |at: usize| (times[at], &*values[at]);
    let between = |a: usize, b: usize, time: i64| {
        let told = (window.notes, window.at);
        let between = interpolated_histogram(sample(a), sample(b), time, change.is_counter, told);
        between.map_err(|_| window.tell(Note::MixedSchemas { metric: window.metric() })).ok()
    };
    let cuts_left = is_smoothed && times[first] < window.from;
    let cuts_right = is_smoothed && last > 0 && times[last] > window.until;
    let left = if cuts_left { between(first, first + 1, window.from)? } else { (*values[first]).clone() };
    let right = if cuts_right { between(last - 1, last, window.until)? } else { (*values[last]).clone() };
    let are_gauges = is_gauge(&left) && is_gauge(&right);
    if !change.is_counter && !are_gauges {
        window.tell(Note::NotGauge { metric: window.metric() });
    }
    let mut difference = right.clone();
    if !window.told(difference.subtract(&left), Doing::Subtraction) {
        return None;
    }
    if change.is_counter {
        // Where the left end was cut out of a new beginning, that one is in it already.
        let is_left_restarted = cuts_left && values[first + 1].is_reset_after(&values[first]);
        let begin = first + 1 + usize::from(is_left_restarted);
        let before = if is_left_restarted { Arc::clone(&values[first + 1]) } else { Arc::new(left) };
        add_lost(window, &mut difference, &values[begin.min(last)..last], before, &right, begin <= last)?;
    }
    if change.is_per_second {
        difference.divide(window.seconds());
    }
    difference.hint = ResetHint::Gauge;
    Some(difference)
}

/// Adds what was lost where the counter began anew between the ends.
fn add_lost(
    window: &Window<'_>,
    difference: &mut Histogram,
    inside: &[Arc<Histogram>],
    mut before: Arc<Histogram>,
    right: &Histogram,
    has_rest: bool,
) -> Option<()> {
    if !has_rest {
        return Some(());
    }
    for now in inside.iter().map(|histogram| &**histogram).chain([right]) {
        if now.is_reset_after(&before) && !window.told(difference.add(&before), Doing::Addition) {
            return None;
        }
        before = Arc::new(now.clone());
    }
    Some(())
}
