//! How often a series changed, or began anew.
//!
//! Floats and histograms of one series are walked through together, by time; from one to the other is a change and a
//! new beginning.

use super::{Window, start_moved};
use crate::error::Error;
use crate::histogram::Histogram;
use crate::series::Point;
use crate::tree::Edges;

/// One sample of either type.
#[derive(Debug, Clone, Copy)]
enum Sample<'a> {
    Float(f64),
    Histogram(&'a Histogram),
}

/// A sample, its counter's start and its time.
type Placed<'a> = (Sample<'a>, (i64, i64));

pub(super) fn resets(window: &Window<'_>) -> Result<Point, Error> {
    Ok(count_pairs(window, |(before, place_before), (now, place)| {
        start_moved(place_before, place)
            || match (before, now) {
                (Sample::Float(before), Sample::Float(now)) => now < before,
                (Sample::Histogram(before), Sample::Histogram(now)) => now.is_reset_after(before),
                _ => true,
            }
    }))
}

pub(super) fn changes(window: &Window<'_>) -> Result<Point, Error> {
    Ok(count_pairs(window, |(before, _), (now, _)| match (before, now) {
        (Sample::Float(before), Sample::Float(now)) => now != before && !(now.is_nan() && before.is_nan()),
        (Sample::Histogram(before), Sample::Histogram(now)) => !now.is_same(before),
        _ => true,
    }))
}

/// How many neighbours are a pair of the kind.
fn count_pairs(window: &Window<'_>, is_counted: impl Fn(Placed<'_>, Placed<'_>) -> bool) -> Point {
    let mut samples = by_time(window);
    if window.edges == Some(Edges::Anchored) {
        let before = samples.partition_point(|(_, (_, time))| *time <= window.from);
        if before == samples.len() {
            return Point::None;
        }
        samples.drain(..before.saturating_sub(1));
    }
    let count = samples.windows(2).filter(|pair| is_counted(pair[0], pair[1])).count();
    Point::Float(count as f64)
}

fn by_time<'a>(window: &Window<'a>) -> Vec<Placed<'a>> {
    let (floats, histograms) = (window.floats, window.histograms);
    let float = |at: usize| (Sample::Float(floats.values[at]), (floats.start(at), floats.times[at]));
    let mut samples: Vec<Placed<'a>> = (0..floats.len()).map(float).collect();
    if !histograms.is_empty() {
        samples.extend((0..histograms.len()).map(|at| {
            (Sample::Histogram(&histograms.values[at]), (histograms.start(at), histograms.times[at]))
        }));
        samples.sort_by_key(|(_, (_, time))| *time);
    }
    samples
}
