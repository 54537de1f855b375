//! What lines of one series come to between two ends of windows, and in a window.
//!
//! A cell takes lines in any order and is the same whatever the order. Of quantiles and counters all numbers are kept.

use std::ops::Range;

use super::steps::NANOS_PER_SECOND;
use crate::tree::metric::{Function, OverTime};

/// What some lines come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Cell {
    #[default]
    None,
    /// Lines, or their bytes.
    Count(u64),
    Sum(Sum),
    /// Of their numbers: how many, and the sums of them and of their squares' distances.
    Spread {
        count: u64,
        mean: f64,
        squares: f64,
    },
    Mean {
        count: u64,
        sum: Sum,
    },
    Least(f64),
    Greatest(f64),
    /// With its time.
    First(i64, f64),
    Last(i64, f64),
    /// With their times, in any order.
    Samples(Vec<(i64, f64)>),
}

/// A sum that loses nothing to the order of adding but its last bits. Source: Neumaier, ZAMM 54 (1974), 39-51.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    fn merge(&mut self, other: Sum) {
        self.add(other.sum);
        self.lost += other.lost;
    }

    fn value(self) -> f64 {
        // Beyond all numbers nothing is lost, and what was lost is none.
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

impl Cell {
    /// Of one line: its time, bytes, and number if it has one.
    pub fn of(function: Function, has_numbers: bool, time: i64, bytes: u64, number: f64) -> Cell {
        let sum = || {
            let mut sum = Sum::default();
            sum.add(number);
            sum
        };
        match function {
            Function::Rate if has_numbers => Cell::Sum(sum()),
            Function::Rate | Function::CountOverTime | Function::AbsentOverTime => Cell::Count(1),
            Function::BytesRate | Function::BytesOverTime => Cell::Count(bytes),
            Function::SumOverTime => Cell::Sum(sum()),
            Function::AvgOverTime => Cell::Mean { count: 1, sum: sum() },
            Function::MinOverTime => Cell::Least(number),
            Function::MaxOverTime => Cell::Greatest(number),
            Function::FirstOverTime => Cell::First(time, number),
            Function::LastOverTime => Cell::Last(time, number),
            Function::StddevOverTime | Function::StdvarOverTime => {
                Cell::Spread { count: 1, mean: number, squares: 0.0 }
            }
            Function::QuantileOverTime(_) | Function::RateCounter => Cell::Samples(vec![(time, number)]),
        }
    }

    /// Adds what other lines come to, of the same function.
    pub fn merge(&mut self, other: &Cell) {
        match (&mut *self, other) {
            (_, Cell::None) => {}
            (Cell::None, other) => *self = other.clone(),
            (Cell::Count(own), Cell::Count(other)) => *own += other,
            (Cell::Sum(own), Cell::Sum(other)) => own.merge(*other),
            (Cell::Mean { count, sum }, Cell::Mean { count: other_count, sum: other }) => {
                *count += other_count;
                sum.merge(*other);
            }
            // Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
            (
                Cell::Spread { count, mean, squares },
                Cell::Spread { count: other_count, mean: other_mean, squares: other_squares },
            ) => {
                let (own, other) = (*count as f64, *other_count as f64);
                let (all, distance) = (own + other, other_mean - *mean);
                *squares += other_squares + distance * distance * own * other / all;
                *mean += distance * other / all;
                *count += other_count;
            }
            (Cell::Least(own), Cell::Least(other)) => *own = own.min(*other),
            (Cell::Greatest(own), Cell::Greatest(other)) => *own = own.max(*other),
            (Cell::First(time, value), Cell::First(other_time, other)) => {
                if (*other_time, *other) < (*time, *value) {
                    (*time, *value) = (*other_time, *other);
                }
            }
            (Cell::Last(time, value), Cell::Last(other_time, other)) => {
                if (*other_time, *other) > (*time, *value) {
                    (*time, *value) = (*other_time, *other);
                }
            }
            (Cell::Samples(own), Cell::Samples(other)) => own.extend_from_slice(other),
            _ => unreachable!("cells of one series are of one function"),
        }
    }

    /// Bytes that it takes beside itself.
    pub fn bytes(&self) -> usize {
        if let Cell::Samples(samples) = self { samples.capacity() * size_of::<(i64, f64)>() } else { 0 }
    }

    /// What a window of them is; none of none.
    fn value(&self, over_time: &OverTime, end: i64) -> Option<f64> {
        let seconds = over_time.range_nano as f64 / NANOS_PER_SECOND;
        let is_rate = matches!(over_time.function, Function::Rate | Function::BytesRate);
        let per_second = |value: f64| if is_rate { value / seconds } else { value };
        Some(match self {
            Cell::None => return None,
            Cell::Count(count) => per_second(*count as f64),
            Cell::Sum(sum) => per_second(sum.value()),
            Cell::Mean { count, sum } => sum.value() / *count as f64,
            Cell::Spread { count, squares, .. } => {
                let variance = squares / *count as f64;
                if over_time.function == Function::StddevOverTime { variance.sqrt() } else { variance }
            }
            Cell::Least(value) | Cell::Greatest(value) | Cell::First(_, value) | Cell::Last(_, value) => {
                *value
            }
            Cell::Samples(samples) => {
                let mut samples = samples.clone();
                samples.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
                match over_time.function {
                    Function::QuantileOverTime(quantile) => {
                        quantile_of(quantile, samples.into_iter().map(|(_, value)| value).collect())
                    }
                    _ => counter_rate(&samples, over_time, end)?,
                }
            }
        })
    }
}

/// The values at all instants that have one: of each window what its cells come to.
///
/// Windows only go on, so that each cell is added and given up once: what is to go is kept as what its rest comes to.
pub fn values(
    cells: &[Cell],
    windows: &[Range<usize>],
    over_time: &OverTime,
    ends: impl Iterator<Item = i64>,
) -> Vec<(usize, f64)> {
    let mut values = Vec::new();
    // Of the cells before `turned`: what each and all behind it come to, the last of them first.
    let mut front: Vec<Cell> = Vec::new();
    let mut turned = 0;
    let mut back = Cell::None;
    let mut added = 0;
    for ((step, window), end) in windows.iter().enumerate().zip(ends) {
        while added < window.end {
            back.merge(&cells[added]);
            added += 1;
        }
        if window.start >= turned {
            front.clear();
            let mut rest = Cell::None;
            for cell in cells[window.start..added].iter().rev() {
                rest.merge(cell);
                front.push(rest.clone());
            }
            (turned, back) = (added, Cell::None);
        }
        front.truncate(turned - window.start);
        let mut all = front.last().cloned().unwrap_or_default();
        all.merge(&back);
        values.extend(all.value(over_time, end).map(|value| (step, value)));
    }
    values
}

/// Prometheus's quantile: between the two nearest ranks, on a line.
fn quantile_of(quantile: f64, mut values: Vec<f64>) -> f64 {
    if quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = quantile * (values.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    let weight = rank - rank.floor();
    values[low] * (1.0 - weight) + values[high] * weight
}

/// Prometheus's `rate` of a counter: resets are added up, and both ends of the window are extrapolated to if samples come near.
///
/// Source: Prometheus's documentation of `rate`, and "Extrapolation" in its article on range functions.
fn counter_rate(samples: &[(i64, f64)], over_time: &OverTime, end: i64) -> Option<f64> {
    let ([(first_time, first), ..], [.., (last_time, last)]) = (samples, samples) else { return None };
    if samples.len() < 2 {
        return None;
    }
    let resets: f64 = samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1).sum();
    let increase = last - first + resets;
    let seconds = |nanos: i64| nanos as f64 / NANOS_PER_SECOND;
    let end = end.saturating_sub(over_time.offset_nano);
    let mut to_start = seconds(first_time - end.saturating_sub(over_time.range_nano));
    let mut to_end = seconds(end - last_time);
    let sampled = seconds(last_time - first_time);
    let between = sampled / (samples.len() - 1) as f64;
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if increase > 0.0 && *first >= 0.0 {
        // A counter was not below zero.
        to_start = to_start.min(sampled * (first / increase));
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    if sampled == 0.0 {
        return None;
    }
    Some(increase * ((sampled + to_start + to_end) / sampled) / seconds(over_time.range_nano))
}
