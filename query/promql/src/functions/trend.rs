//! Where a series is heading: lines and smoothed trends through its floats.

use super::Window;
use crate::error::Error;
use crate::series::Point;
use crate::sum::Sum;

pub(super) fn deriv(window: &Window<'_>) -> Result<Point, Error> {
    Ok(line(window, window.floats.times.first().copied())
        .map_or(Point::None, |line| Point::Float(line.slope)))
}

/// The value that a line through the floats has some seconds from now.
pub(super) fn predict_linear(window: &Window<'_>) -> Result<Point, Error> {
    let seconds = window.scalars[0];
    let line = line(window, Some(window.time));
    Ok(line.map_or(Point::None, |line| Point::Float(line.slope * seconds + line.intercept)))
}

struct Line {
    /// Per second.
    slope: f64,
    /// The value at the origin.
    intercept: f64,
}

/// The line of least squares; seconds count from `origin`, near the samples, as squares of large numbers lose digits.
/// Source: <https://en.wikipedia.org/wiki/Simple_linear_regression>.
fn line(window: &Window<'_>, origin: Option<i64>) -> Option<Line> {
    let values = window.floats.values;
    if values.len() < 2 {
        return told_alone(window);
    }
    let values = window.only_floats();
    if values.iter().all(|value| *value == values[0]) {
        let is_infinite = values[0].is_infinite();
        let (slope, intercept) = if is_infinite { (f64::NAN, f64::NAN) } else { (0.0, values[0]) };
        return Some(Line { slope, intercept });
    }
    let origin = origin?;
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [Sum::default(); 4];
    for (time, y) in window.floats.times.iter().zip(values) {
        let x = (time - origin) as f64 / 1e3;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let n = values.len() as f64;
    let (x, y) = (x_sum.value(), y_sum.value());
    let covariance = xy_sum.value() - x * y / n;
    let variance = xx_sum.value() - x * x / n;
    let slope = covariance / variance;
    Some(Line { slope, intercept: y / n - slope * x / n })
}

/// One float among histograms is told of; without any, nothing was ignored.
fn told_alone<T>(window: &Window<'_>) -> Option<T> {
    if window.floats.len() == 1 {
        window.only_floats();
    }
    None
}

/// Exponential smoothing of values and of their trend.
/// Source: <https://en.wikipedia.org/wiki/Exponential_smoothing#Double_exponential_smoothing>.
pub(super) fn double_exponential_smoothing(window: &Window<'_>) -> Result<Point, Error> {
    let [smoothing, trend] = [window.scalars[0], window.scalars[1]];
    for (name, short, factor) in [("smoothing", "sf", smoothing), ("trend", "tf", trend)] {
        if factor <= 0.0 || factor >= 1.0 {
            let text = format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}");
            return Err(Error::execution(text));
        }
    }
    if window.floats.len() < 2 {
        return Ok(told_alone(window).unwrap_or(Point::None));
    }
    let values = window.only_floats();
    let (mut before, mut level, mut slope) = (0.0, values[0], values[1] - values[0]);
    for (at, value) in values.iter().enumerate().skip(1) {
        if at > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        before = level;
        level = smoothing * value + (1.0 - smoothing) * (level + slope);
    }
    Ok(Point::Float(level))
}
