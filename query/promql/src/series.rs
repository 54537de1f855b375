//! Columns: one label set, and its points at all steps of a question.
//!
//! An evaluation works on all steps at once. A column is dense, one slot a step, as steps are few and the same for
//! all; what a step does not have is a point that is none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::error::Error;
use crate::histogram::Histogram;
use crate::labels::Labels;

/// What a series has at one instant.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Point {
    #[default]
    None,
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Point {
    pub fn is_none(&self) -> bool {
        matches!(self, Point::None)
    }

    pub(crate) fn is_histogram(&self) -> bool {
        matches!(self, Point::Histogram(_))
    }

    /// Samples that it counts for, as Prometheus reckons them.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Point::None => 0,
            Point::Float(_) => 1,
            Point::Histogram(histogram) => histogram.weight(),
        }
    }

    /// The float, if it is one.
    pub(crate) fn float(&self) -> Option<f64> {
        match self {
            Point::Float(value) => Some(*value),
            _ => None,
        }
    }
}

impl From<Histogram> for Point {
    fn from(histogram: Histogram) -> Point {
        Point::Histogram(Arc::new(histogram))
    }
}

/// The instants of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Milliseconds since the epoch.
    pub start: i64,
    /// Milliseconds, at least 1.
    pub step: i64,
    /// At least 1.
    pub count: usize,
}

impl Grid {
    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |at| self.time(at))
    }

    pub(crate) fn time(self, at: usize) -> i64 {
        let steps = i64::try_from(at).unwrap_or(i64::MAX);
        self.start.saturating_add(self.step.saturating_mul(steps))
    }

    pub(crate) fn last(self) -> i64 {
        self.time(self.count - 1)
    }

    /// The first instant alone.
    pub(crate) fn first_only(self) -> Grid {
        Grid { count: 1, ..self }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub labels: Labels,
    /// Whether the metric's name is to go in the end, as the values are not the metric's any more.
    pub drops_name: bool,
    /// One a step.
    pub points: Vec<Point>,
}

impl Series {
    pub(crate) fn is_empty(&self) -> bool {
        self.points.iter().all(Point::is_none)
    }
}

/// A series of an answer: its labels, and its points with their times in milliseconds.
pub type Row = (Labels, Vec<(i64, Point)>);

/// What an expression gives at all steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar(Vec<f64>),
    Vector(Vec<Series>),
    Text(String),
}

/// Takes the names away that are to go.
pub(crate) fn drop_names(series: &mut [Series]) {
    for series in series.iter_mut().filter(|series| series.drops_name) {
        series.labels = series.labels.without_metadata();
        series.drops_name = false;
    }
}

/// Makes columns of one label set one, and leaves out empty ones; the first of each stays where it is.
///
/// # Errors
/// If two have a point at one step.
pub(crate) fn merged(mut series: Vec<Series>) -> Result<Vec<Series>, Error> {
    // What was read is sorted, and stays so where all lose one name: then no two are alike.
    if series.is_sorted_by(|a, b| a.labels < b.labels) {
        series.retain(|column| !column.is_empty());
        return Ok(series);
    }
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    for column in series {
        if column.is_empty() {
            continue;
        }
        match places.entry(column.labels.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(column);
            }
            Entry::Occupied(entry) => merge(&mut merged[*entry.get()], column)?,
        }
    }
    Ok(merged)
}

fn merge(into: &mut Series, other: Series) -> Result<(), Error> {
    into.drops_name |= other.drops_name;
    for (slot, point) in into.points.iter_mut().zip(other.points) {
        if point.is_none() {
            continue;
        }
        if !slot.is_none() {
            return Err(Error::execution("vector cannot contain metrics with the same labelset"));
        }
        *slot = point;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, points: &[Option<f64>]) -> Series {
        let points = points.iter().map(|point| point.map_or(Point::None, Point::Float)).collect();
        Series { labels: Labels::from_pairs([("__name__", name)]), drops_name: true, points }
    }

    #[test]
    fn columns_of_one_label_set_become_one_unless_they_overlap() {
        let mut columns = vec![series("a", &[Some(1.0), None]), series("b", &[None, Some(2.0)])];
        drop_names(&mut columns);
        let merged_columns = merged(columns).unwrap();
        assert_eq!(merged_columns[0].points, [Point::Float(1.0), Point::Float(2.0)]);
        let mut columns = vec![series("a", &[Some(1.0)]), series("b", &[Some(2.0)]), series("c", &[None])];
        assert_eq!(merged(columns.clone()).unwrap().len(), 2, "two names, and an empty one");
        drop_names(&mut columns);
        assert!(merged(columns).is_err());
    }
}
