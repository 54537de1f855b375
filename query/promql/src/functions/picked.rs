//! One sample of a window, or when it is, or that there is one.

use std::sync::Arc;

use super::{Slice, Window};
use crate::error::Error;
use crate::series::Point;

pub(super) fn count(window: &Window<'_>) -> Result<Point, Error> {
    Ok(Point::Float((window.floats.len() + window.histograms.len()) as f64))
}

pub(super) fn present(_: &Window<'_>) -> Result<Point, Error> {
    Ok(Point::Float(1.0))
}

pub(super) fn first(window: &Window<'_>) -> Result<Point, Error> {
    let float = window.floats.times.first();
    let histogram = window.histograms.times.first();
    let is_float = float.is_some_and(|float| histogram.is_none_or(|histogram| float < histogram));
    Ok(if is_float {
        Point::Float(window.floats.values[0])
    } else {
        window.histograms.values.first().map_or(Point::None, |first| Point::Histogram(Arc::clone(first)))
    })
}

pub(super) fn last(window: &Window<'_>) -> Result<Point, Error> {
    let (float, histogram) = (window.floats.times.last(), window.histograms.times.last());
    let is_float = float.is_some_and(|float| histogram.is_none_or(|histogram| histogram < float));
    Ok(match (window.floats.values.last(), window.histograms.values.last()) {
        (Some(float), _) if is_float => Point::Float(*float),
        (_, Some(histogram)) => Point::Histogram(Arc::clone(histogram)),
        _ => Point::None,
    })
}

pub(super) fn time_of_first(window: &Window<'_>) -> Result<Point, Error> {
    let first = window.floats.times.first().into_iter().chain(window.histograms.times.first()).min();
    Ok(time(first))
}

pub(super) fn time_of_last(window: &Window<'_>) -> Result<Point, Error> {
    let last = window.floats.times.last().into_iter().chain(window.histograms.times.last()).max();
    Ok(time(last))
}

fn time(milliseconds: Option<&i64>) -> Point {
    milliseconds.map_or(Point::None, |time| Point::Float(*time as f64 / 1e3))
}

pub(super) fn min(window: &Window<'_>) -> Result<Point, Error> {
    Ok(extreme(window, |value, least| value < least).map_or(Point::None, |(_, value)| Point::Float(value)))
}

pub(super) fn max(window: &Window<'_>) -> Result<Point, Error> {
    Ok(extreme(window, |value, most| value > most).map_or(Point::None, |(_, value)| Point::Float(value)))
}

/// The last time at which the least value is.
pub(super) fn time_of_min(window: &Window<'_>) -> Result<Point, Error> {
    Ok(extreme(window, |value, least| value <= least).map_or(Point::None, |(at, _)| time(Some(&at))))
}

pub(super) fn time_of_max(window: &Window<'_>) -> Result<Point, Error> {
    Ok(extreme(window, |value, most| value >= most).map_or(Point::None, |(at, _)| time(Some(&at))))
}

/// The float that is better than all others, and when it is; anything is better than NaN.
fn extreme(window: &Window<'_>, is_better: impl Fn(f64, f64) -> bool) -> Option<(i64, f64)> {
    let Slice { times, values, .. } = window.floats;
    let mut best = (*times.first()?, *values.first()?);
    window.only_floats();
    for (time, value) in times.iter().zip(values) {
        if is_better(*value, best.1) || best.1.is_nan() {
            best = (*time, *value);
        }
    }
    Some(best)
}
