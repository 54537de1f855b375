//! One number, or one histogram, of all samples of a window.

use std::sync::Arc;

use super::Window;
use crate::error::Error;
use crate::histogram::{Combined, Histogram, HistogramMean, HistogramSum, Incompatible, ResetHint};
use crate::notes::{Doing, Note};
use crate::series::Point;
use crate::sum::{Mean, Sum};

/// The value below which a share of the values lies, on a line between the two nearest.
/// Source: <https://prometheus.io/docs/prometheus/latest/querying/operators/#quantile>.
pub(super) fn quantile(window: &Window<'_>) -> Result<Point, Error> {
    if window.floats.is_empty() {
        return Ok(Point::None);
    }
    let share = window.scalars[0];
    if !(0.0..=1.0).contains(&share) {
        window.notes.tell(Note::InvalidQuantile(share), window.scalars_at[0]);
    }
    Ok(Point::Float(super::quantile_of(share, window.only_floats().to_vec())))
}

pub(super) fn mad(window: &Window<'_>) -> Result<Point, Error> {
    if window.floats.is_empty() {
        return Ok(Point::None);
    }
    let values = window.only_floats();
    if values.iter().any(|value| value.is_nan()) {
        return Ok(Point::Float(f64::NAN));
    }
    let median = super::quantile_of(0.5, values.to_vec());
    let distances = values.iter().map(|value| (value - median).abs()).collect();
    Ok(Point::Float(super::quantile_of(0.5, distances)))
}

pub(super) fn stddev(window: &Window<'_>) -> Result<Point, Error> {
    Ok(variance(window).map_or(Point::None, |variance| Point::Float(variance.sqrt())))
}

pub(super) fn stdvar(window: &Window<'_>) -> Result<Point, Error> {
    Ok(variance(window).map_or(Point::None, Point::Float))
}

/// The population's variance, by Welford's algorithm.
/// Source: <https://en.wikipedia.org/wiki/Algorithms_for_calculating_variance#Welford's_online_algorithm>.
fn variance(window: &Window<'_>) -> Option<f64> {
    if window.floats.is_empty() {
        return None;
    }
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in window.only_floats() {
        count += 1.0;
        let distance = value - mean.value();
        mean.add(distance / count);
        squares.add(distance * (value - mean.value()));
    }
    Some(squares.value() / count)
}

pub(super) fn sum(window: &Window<'_>) -> Result<Point, Error> {
    if is_mixed(window) {
        return Ok(Point::None);
    }
    if let [first, others @ ..] = window.histograms.values {
        let mut sum = HistogramSum::of_first(first);
        return Ok(match add_all(window, others, |other| sum.add(other)) {
            true => sum.value().into(),
            false => Point::None,
        });
    }
    let mut sum = Sum::default();
    window.floats.values.iter().for_each(|value| sum.add(*value));
    Ok(Point::Float(if sum.total.is_infinite() { sum.total } else { sum.value() }))
}

pub(super) fn avg(window: &Window<'_>) -> Result<Point, Error> {
    if is_mixed(window) {
        return Ok(Point::None);
    }
    if let [first, others @ ..] = window.histograms.values {
        let mut mean = HistogramMean::of_first(first);
        return Ok(match add_all(window, others, |other| mean.add(other)) {
            true => mean.value().into(),
            false => Point::None,
        });
    }
    let mut mean = Mean::of_first(window.floats.values[0]);
    window.floats.values[1..].iter().for_each(|value| mean.add(*value));
    Ok(Point::Float(mean.value()))
}

/// Floats and histograms have no sum.
fn is_mixed(window: &Window<'_>) -> bool {
    if window.is_mixed() {
        window.tell(Note::MixedFloatsHistograms { metric: window.metric() });
    }
    window.is_mixed()
}

/// Adds histograms and tells what is odd about them; false if they have no sum.
fn add_all(
    window: &Window<'_>,
    others: &[Arc<Histogram>],
    mut add: impl FnMut(&Histogram) -> Result<Combined, Incompatible>,
) -> bool {
    let mut is_reconciled = false;
    for other in others {
        match add(other) {
            Ok(combined) => is_reconciled |= combined.bounds_reconciled,
            Err(Incompatible) => {
                window.tell(Note::MixedSchemas { metric: window.metric() });
                return false;
            }
        }
    }
    let has = |hint: ResetHint| window.histograms.values.iter().any(|histogram| histogram.hint == hint);
    if has(ResetHint::Reset) && has(ResetHint::NoReset) {
        window.tell(Note::CollidingHints(Doing::Aggregation));
    }
    if is_reconciled {
        window.tell(Note::ReconciledBounds(Doing::Aggregation));
    }
    true
}

/// How the area under a pair of samples is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Left,
    Right,
    Trapezoid,
}

/// The area under the samples, in value times seconds. What is NaN counts as zero.
pub(super) fn integral(window: &Window<'_>) -> Result<Point, Error> {
    if window.floats.is_empty() {
        return Ok(Point::None);
    }
    let values = window.only_floats();
    let rule = match window.scalars.first().copied().unwrap_or(2.0) {
        0.0 => Rule::Left,
        1.0 => Rule::Right,
        2.0 => Rule::Trapezoid,
        other => {
            window.notes.tell(Note::InvalidIntegralStrategy(other), window.scalars_at[0]);
            Rule::Trapezoid
        }
    };
    let number = |value: f64| if value.is_nan() { 0.0 } else { value };
    let mut area = Sum::default();
    for (pair, times) in values.windows(2).zip(window.floats.times.windows(2)) {
        let (before, now) = (number(pair[0]), number(pair[1]));
        let height = match rule {
            Rule::Left => Sum { total: before, lost: 0.0 },
            Rule::Right => Sum { total: now, lost: 0.0 },
            Rule::Trapezoid => middle(before, now),
        };
        if height.total != 0.0 || height.lost != 0.0 {
            let seconds = (times[1] - times[0]) as f64 / 1e3;
            area.lost += height.lost * seconds;
            area.add(height.total * seconds);
        }
    }
    Ok(Point::Float(if area.total.is_infinite() { area.total } else { area.value() }))
}

/// The mean of two, which does not overflow where they do not.
fn middle(a: f64, b: f64) -> Sum {
    let sum = Sum { total: a, lost: 0.0 }.plus(b);
    if sum.total.is_infinite() && a.is_finite() && b.is_finite() {
        return Sum { total: a / 2.0, lost: 0.0 }.plus(b / 2.0);
    }
    sum.scaled(0.5)
}
