//! The points of one stored series, on their way to a series of Prometheus's.

use std::sync::Arc;

use meshlake_promql::{Histogram, is_stale};

use super::When;

pub const NANOS_PER_MILLI: i64 = 1_000_000;

/// Milliseconds of a time in nanoseconds, as OTLP's times become Prometheus's.
pub fn millis(nanos: i64) -> i64 {
    nanos.div_euclid(NANOS_PER_MILLI)
}

/// Points in the order in which rows came, by columns of one length; nanoseconds.
#[derive(Debug)]
pub struct Strand<T> {
    pub stem: usize,
    /// Whether each value tells of the time since the one before.
    pub is_delta: bool,
    pub times: Vec<i64>,
    /// Empty while no start is known.
    pub starts: Vec<i64>,
    pub values: Vec<T>,
}

/// One point; nanoseconds, zero for an unknown start.
#[derive(Debug, Clone)]
pub struct Point<T> {
    pub time: i64,
    pub start: i64,
    pub value: T,
}

impl<T> Strand<T> {
    pub fn new(stem: usize, is_delta: bool) -> Self {
        Strand { stem, is_delta, times: Vec::new(), starts: Vec::new(), values: Vec::new() }
    }

    pub fn push(&mut self, when: When, value: T) {
        if when.start != 0 || !self.starts.is_empty() {
            self.starts.resize(self.times.len(), 0);
            self.starts.push(when.start);
        }
        self.times.push(when.time);
        self.values.push(value);
    }

    pub fn reserve(&mut self, more: usize, has_starts: bool) {
        self.times.reserve_exact(more);
        self.values.reserve_exact(more);
        self.starts.reserve_exact(if has_starts { more } else { 0 });
    }

    pub fn into_points(self) -> impl Iterator<Item = Point<T>> {
        let starts = self.starts.into_iter().chain(std::iter::repeat(0));
        let points = self.times.into_iter().zip(starts).zip(self.values);
        points.map(|((time, start), value)| Point { time, start, value })
    }
}

/// What is asked of the value of a sample, be it a number or a histogram.
pub trait Value: Clone {
    fn is_stale(&self) -> bool;

    /// Both added; none if they cannot be.
    fn plus(&self, other: &Self) -> Option<Self>;

    /// The value of the same counter before it counted anything.
    fn emptied(&self) -> Self;

    /// Which of two values of one instant is kept; any, but the same in whatever order they come.
    fn outranks(&self, other: &Self) -> bool;

    /// The number of a value that counts of events can be made of.
    fn number(&self) -> Option<f64>;
}

impl Value for f64 {
    fn is_stale(&self) -> bool {
        is_stale(*self)
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        Some(self + other)
    }

    fn emptied(&self) -> Self {
        0.0
    }

    fn outranks(&self, other: &Self) -> bool {
        match (is_stale(*self), is_stale(*other)) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => self.total_cmp(other).is_gt(),
        }
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Value for Arc<Histogram> {
    fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        Histogram::plus(self, other).map(Arc::new)
    }

    fn emptied(&self) -> Self {
        Arc::new(Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_bounds: Arc::clone(&self.custom_bounds),
            ..Histogram::default()
        })
    }

    fn outranks(&self, other: &Self) -> bool {
        let rank = |histogram: &Histogram| (!is_stale(histogram.sum), histogram.count, histogram.sum);
        let (own, others) = (rank(self), rank(other));
        own.0.cmp(&others.0).then(own.1.total_cmp(&others.1)).then(own.2.total_cmp(&others.2)).is_gt()
    }

    fn number(&self) -> Option<f64> {
        None
    }
}
