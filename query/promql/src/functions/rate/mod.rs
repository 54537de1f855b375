//! How fast a counter or gauge changes.
//!
//! Samples rarely lie at the ends of a window. A rate is extrapolated to them if samples come close, else by half
//! of what lies between two samples, and never to where a counter would be negative. Series that are counted from
//! stored events need none of that: they say how many there were.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/functions/#rate>, and figures of a Prometheus 3.

mod extended;
mod steady;

use std::sync::Arc;

use super::{Slice, Window, start_moved};
use crate::error::Error;
use crate::histogram::{Histogram, ResetHint};
use crate::notes::{Doing, Note};
use crate::samples::Events;
use crate::series::Point;

pub(crate) use extended::{extended_floats, interpolated_float, interpolated_histogram};
pub(crate) use steady::Steady;

/// What of a change is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// Whether falling means a new beginning.
    pub is_counter: bool,
    pub is_per_second: bool,
}

pub(super) fn rate(window: &Window<'_>) -> Result<Point, Error> {
    change(window, Change { is_counter: true, is_per_second: true })
}

pub(super) fn increase(window: &Window<'_>) -> Result<Point, Error> {
    change(window, Change { is_counter: true, is_per_second: false })
}

pub(super) fn delta(window: &Window<'_>) -> Result<Point, Error> {
    change(window, Change { is_counter: false, is_per_second: false })
}

fn change(window: &Window<'_>, change: Change) -> Result<Point, Error> {
    if let Some(events) = window.events {
        let seconds = if change.is_per_second { window.seconds() } else { 1.0 };
        let increase = events.increase(window.from, window.until)?;
        return Ok(increase.map_or(Point::None, |increase| Point::Float(increase / seconds)));
    }
    if window.is_mixed() {
        window.tell(Note::MixedFloatsHistograms { metric: window.metric() });
        return Ok(Point::None);
    }
    let is_extended = window.edges.is_some();
    Ok(match (window.floats.is_empty(), is_extended) {
        (false, true) => extended::change_of_floats(window, change),
        (true, true) => extended::change_of_histograms(window, change),
        (false, false) => extrapolated_floats(window, change),
        (true, false) => extrapolated_histograms(window, change),
    })
}

/// What a window's change is to be multiplied by, so that it is that of the whole window.
struct Extrapolation {
    first: i64,
    last: i64,
    samples: usize,
    /// The counter's value at the first sample as a share of the change, if it says how far zero is.
    zero_share: Option<f64>,
    /// When the counter began, if that is inside the window: its value was zero then.
    began: Option<i64>,
}

impl Extrapolation {
    /// Of a window later than `from` and until `until`.
    fn factor(&self, (from, until): (i64, i64), change: Change) -> f64 {
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1e3;
        let mut sampled = seconds(self.first, self.last);
        let between = if self.samples > 1 { sampled / (self.samples - 1) as f64 } else { 0.0 };
        // A sample is missed if none came for a tenth more than they usually take.
        let missed_after = between * 1.1;
        let to_end = seconds(self.last, until);
        let to_end = if to_end >= missed_after { between / 2.0 } else { to_end };
        let to_start = if let Some(began) = self.began {
            sampled = seconds(began, self.last);
            0.0
        } else {
            let to_start = seconds(from, self.first);
            let to_start = if to_start >= missed_after { between / 2.0 } else { to_start };
            self.zero_share.map_or(to_start, |share| to_start.min(sampled * share))
        };
        let factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        if change.is_per_second { factor / seconds(from, until) } else { factor }
    }
}

/// When the counter of the first sample began, if that is inside the window.
fn began_inside<T>(window: &Window<'_>, samples: Slice<'_, T>, change: Change) -> Option<i64> {
    let start = samples.start(0);
    let is_inside = start != 0 && start > window.from && start < samples.times[0];
    (change.is_counter && is_inside).then_some(start)
}

/// Tells if a sample's start lies before the sample before, once a series.
fn tell_overlaps<T>(window: &Window<'_>, samples: Slice<'_, T>) {
    let overlaps = |at: &usize| {
        let (before, start) = (samples.start(at - 1), samples.start(*at));
        start != 0 && start < samples.times[at - 1] && start != before
    };
    if !samples.starts.is_empty() && (1..samples.len()).any(|at| overlaps(&at)) {
        window.tell(Note::StartOverlap { metric: window.metric() });
    }
}

fn starts_moved<T>(samples: Slice<'_, T>, at: usize) -> bool {
    let place = |at: usize| (samples.start(at), samples.times[at]);
    start_moved(place(at - 1), place(at))
}

fn extrapolated_floats(window: &Window<'_>, change: Change) -> Point {
    let (samples, values) = (window.floats, window.floats.values);
    let last = values.len() - 1;
    let mut difference = values[last] - values[0];
    if change.is_counter {
        tell_overlaps(window, samples);
        let has_starts = !samples.starts.is_empty();
        for at in 1..=last {
            if values[at] < values[at - 1] || (has_starts && starts_moved(samples, at)) {
                difference += values[at - 1];
            }
        }
    }
    let began = began_inside(window, samples, change);
    if began.is_some() {
        difference += values[0];
    } else if last == 0 {
        return Point::None;
    }
    Point::Float(extrapolated(samples, difference, began, (window.from, window.until), change))
}

/// The difference between samples as that of the whole window.
fn extrapolated(
    samples: Slice<'_, f64>,
    difference: f64,
    began: Option<i64>,
    ends: (i64, i64),
    change: Change,
) -> f64 {
    let (times, first) = (samples.times, samples.values[0]);
    let knows_zero = change.is_counter && difference > 0.0 && first >= 0.0;
    let extrapolation = Extrapolation {
        first: times[0],
        last: times[times.len() - 1],
        samples: times.len(),
        zero_share: knows_zero.then(|| first / difference),
        began,
    };
    difference * extrapolation.factor(ends, change)
}

fn extrapolated_histograms(window: &Window<'_>, change: Change) -> Point {
    let samples = window.histograms;
    let last = samples.len() - 1;
    let mut difference = None;
    if last > 0 {
        difference = histogram_difference(window, change);
        if difference.is_none() {
            return Point::None;
        }
    }
    let began = began_inside(window, samples, change);
    if began.is_some() {
        let first = &samples.values[0];
        match &mut difference {
            Some(difference) => {
                if !window.told(difference.add(first), Doing::Addition) {
                    return Point::None;
                }
            }
            None => difference = Some((**first).clone()),
        }
    }
    let Some(mut difference) = difference else { return Point::None };
    let first_count = samples.values[0].count;
    let knows_zero = change.is_counter && difference.count > 0.0 && first_count >= 0.0;
    let extrapolation = Extrapolation {
        first: samples.times[0],
        last: samples.times[last],
        samples: samples.len(),
        zero_share: knows_zero.then(|| first_count / difference.count),
        began,
    };
    difference.scale(extrapolation.factor((window.from, window.until), change));
    difference.into()
}

/// Last minus first, with what was lost where a counter began anew.
fn histogram_difference(window: &Window<'_>, change: Change) -> Option<Histogram> {
    let samples = window.histograms;
    let values = samples.values;
    let last = values.len() - 1;
    let is_gauge = |histogram: &Arc<Histogram>| histogram.hint == ResetHint::Gauge;
    let mixed = || {
        window.tell(Note::MixedSchemas { metric: window.metric() });
        None
    };
    if change.is_counter && values.iter().any(is_gauge) {
        window.tell(Note::NotCounter { metric: window.metric() });
    }
    // After a new beginning the first sample's layout does not matter any more.
    let restarts = change.is_counter && (starts_moved(samples, 1) || values[1].is_reset_after(&values[0]));
    let first = if restarts { Arc::new(values[1].emptied()) } else { Arc::clone(&values[0]) };
    let is_custom = first.uses_custom_buckets();
    let between = if change.is_counter { &values[1..last] } else { &[] };
    if between.iter().chain([&values[last]]).any(|histogram| histogram.uses_custom_buckets() != is_custom) {
        return mixed();
    }
    let mut difference = (*values[last]).clone();
    if !is_custom {
        let schemas = between.iter().chain([&first]).map(|histogram| histogram.schema);
        difference.reduce_to(schemas.min().unwrap_or(difference.schema));
    }
    if !window.told(difference.subtract(&first), Doing::Subtraction) {
        return None;
    }
    if change.is_counter {
        tell_overlaps(window, samples);
        let mut before = &first;
        for (at, now) in values.iter().enumerate().skip(1) {
            let restarts = starts_moved(samples, at) || now.is_reset_after(before);
            if restarts && !window.told(difference.add(before), Doing::Addition) {
                return None;
            }
            before = now;
        }
    } else if !is_gauge(&values[0]) || !is_gauge(&values[last]) {
        window.tell(Note::NotGauge { metric: window.metric() });
    }
    difference.hint = ResetHint::Gauge;
    Some(difference.compacted())
}

pub(super) fn irate(window: &Window<'_>) -> Result<Point, Error> {
    instant_change(window, Change { is_counter: true, is_per_second: true })
}

pub(super) fn idelta(window: &Window<'_>) -> Result<Point, Error> {
    instant_change(window, Change { is_counter: false, is_per_second: false })
}

/// The change between the last two samples.
fn instant_change(window: &Window<'_>, change: Change) -> Result<Point, Error> {
    if let Some(events) = window.events {
        return latest_events(window, events, change);
    }
    let (floats, histograms) = (window.floats, window.histograms);
    // The last two of both types together.
    let mut latest: Vec<(i64, bool, usize)> = Vec::with_capacity(4);
    latest.extend((floats.len().saturating_sub(2)..floats.len()).map(|at| (floats.times[at], false, at)));
    let from = histograms.len().saturating_sub(2);
    latest.extend((from..histograms.len()).map(|at| (histograms.times[at], true, at)));
    latest.sort_unstable();
    let Some([first, second]) = latest.last_chunk::<2>().copied() else { return Ok(Point::None) };
    if first.0 == second.0 {
        return Ok(Point::None);
    }
    let seconds = if change.is_per_second { (second.0 - first.0) as f64 / 1e3 } else { 1.0 };
    Ok(match (first.1, second.1) {
        (false, false) => {
            let [before, now] = [first.2, second.2].map(|at| floats.values[at]);
            let place = |(time, _, at): (i64, bool, usize)| (floats.start(at), time);
            let restarts = change.is_counter && (now < before || start_moved(place(first), place(second)));
            Point::Float(if restarts { now } else { now - before } / seconds)
        }
        (true, true) => {
            let place = |(time, _, at): (i64, bool, usize)| (histograms.start(at), time);
            let restarts = start_moved(place(first), place(second));
            let [before, now] = [first.2, second.2].map(|at| &histograms.values[at]);
            instant_histogram(window, change, (before, now), restarts, seconds)
        }
        _ => {
            window.tell(Note::MixedFloatsHistograms { metric: window.metric() });
            Point::None
        }
    })
}

fn instant_histogram(
    window: &Window<'_>,
    change: Change,
    (before, now): (&Histogram, &Histogram),
    start_moved: bool,
    seconds: f64,
) -> Point {
    let gauges = [before, now].map(|histogram| histogram.hint == ResetHint::Gauge);
    if change.is_counter && gauges != [false; 2] {
        window.tell(Note::NotCounter { metric: window.metric() });
    }
    if !change.is_counter && gauges != [true; 2] {
        window.tell(Note::NotGauge { metric: window.metric() });
    }
    let mut difference = now.clone();
    let restarts = change.is_counter && (start_moved || now.is_reset_after(before));
    if !restarts && !window.told(difference.subtract(before), Doing::Subtraction) {
        return Point::None;
    }
    difference.hint = ResetHint::Gauge;
    if change.is_per_second {
        difference.divide(seconds);
    }
    difference.compacted().into()
}

/// The change over the shortest time that is known, at the window's end.
fn latest_events(window: &Window<'_>, events: &dyn Events, change: Change) -> Result<Point, Error> {
    let length = events.resolution().min(window.until - window.from).max(1);
    let seconds = if change.is_per_second { length as f64 / 1e3 } else { 1.0 };
    let increase = events.increase(window.until - length, window.until)?;
    Ok(increase.map_or(Point::None, |increase| Point::Float(increase / seconds)))
}
