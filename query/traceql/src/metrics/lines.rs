//! Series as they are answered, and what is done with them: ranking, thresholds, arithmetic.

use std::cmp::Ordering;

use crate::tree::Series;
use crate::value::{Arithmetic, Comparison, Value};

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Names and values, in the order of `by()`; of no two series the same.
    pub labels: Vec<(String, Value<'static>)>,
    /// One for each instant; none where there is none. Durations in seconds.
    pub values: Vec<Option<f64>>,
    /// Ascending by time; at most one a step.
    pub exemplars: Vec<Exemplar>,
}

/// A span behind a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    pub trace_id: String,
    pub span_id: String,
    /// When it started: nanoseconds since the epoch.
    pub time_nano: i64,
    /// What was measured of it; its duration in seconds if it was counted.
    pub value: f64,
}

enum Operand {
    Number(f64),
    Lines(Vec<Line>),
}

/// The series of a tree whose functions over time have come to these, in the order written.
pub(super) fn finished(series: &Series, over_time: &mut impl Iterator<Item = Vec<Line>>) -> Vec<Line> {
    let mut lines = match operand(series, over_time) {
        Operand::Lines(lines) => lines,
        Operand::Number(_) => Vec::new(),
    };
    lines.retain(|line| line.values.iter().any(Option::is_some));
    lines.sort_by(|a, b| order_of(&a.labels, &b.labels));
    lines
}

fn order_of(a: &[(String, Value<'_>)], b: &[(String, Value<'_>)]) -> Ordering {
    let pairs = a.iter().zip(b);
    let mut orders = pairs.map(|(a, b)| a.0.cmp(&b.0).then_with(|| a.1.total_order(&b.1)));
    orders.find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn operand(series: &Series, over_time: &mut impl Iterator<Item = Vec<Line>>) -> Operand {
    match series {
        Series::OverTime(_) => Operand::Lines(over_time.next().unwrap_or_default()),
        Series::Number(number) => Operand::Number(*number),
        Series::Ranked { is_top, count, of } => match operand(of, over_time) {
            Operand::Lines(lines) => Operand::Lines(ranked(lines, *is_top, *count)),
            number => number,
        },
        Series::Threshold { comparison, limit, of } => match operand(of, over_time) {
            Operand::Lines(lines) => Operand::Lines(limited(lines, *comparison, *limit)),
            number => number,
        },
        Series::Arithmetic(operator, left, right) => {
            let left = operand(left, over_time);
            computed(*operator, left, operand(right, over_time))
        }
    }
}

/// Of each instant the values of `count` series; of equal ones those whose labels come first.
fn ranked(mut lines: Vec<Line>, is_top: bool, count: usize) -> Vec<Line> {
    lines.sort_by(|a, b| order_of(&a.labels, &b.labels));
    let steps = lines.first().map_or(0, |line| line.values.len());
    for step in 0..steps {
        let mut values: Vec<(usize, f64)> =
            lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.values[step]?))).collect();
        values.sort_by(|a, b| if is_top { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) });
        values.iter().skip(count).for_each(|(at, _)| lines[*at].values[step] = None);
    }
    lines
}

fn limited(mut lines: Vec<Line>, comparison: Comparison, limit: f64) -> Vec<Line> {
    for value in lines.iter_mut().flat_map(|line| &mut line.values) {
        *value = value.filter(|value| comparison.holds(&Value::Float(*value), &Value::Float(limit)));
    }
    lines
}

/// Series of the same labels, or every series with the one that has none.
fn computed(operator: Arithmetic, left: Operand, right: Operand) -> Operand {
    let apply = |a: f64, b: f64| {
        let result = operator.apply(&Value::Float(a), &Value::Float(b));
        result.number().filter(|number| number.is_finite())
    };
    match (left, right) {
        (Operand::Number(a), Operand::Number(b)) => Operand::Number(apply(a, b).unwrap_or(f64::NAN)),
        (Operand::Lines(lines), Operand::Number(b)) => Operand::Lines(mapped(lines, |a| apply(a, b))),
        (Operand::Number(a), Operand::Lines(lines)) => Operand::Lines(mapped(lines, |b| apply(a, b))),
        (Operand::Lines(left), Operand::Lines(right)) => Operand::Lines(matched(left, &right, apply)),
    }
}

fn mapped(mut lines: Vec<Line>, apply: impl Fn(f64) -> Option<f64>) -> Vec<Line> {
    for value in lines.iter_mut().flat_map(|line| &mut line.values) {
        *value = value.and_then(&apply);
    }
    lines
}

fn matched(left: Vec<Line>, right: &[Line], apply: impl Fn(f64, f64) -> Option<f64>) -> Vec<Line> {
    let without_labels = |lines: &[Line]| lines.iter().position(|line| line.labels.is_empty());
    let both = |a: &Line, b: &Line| {
        let pairs = a.values.iter().zip(&b.values);
        pairs.map(|(a, b)| a.zip(*b).and_then(|(a, b)| apply(a, b))).collect::<Vec<_>>()
    };
    if let Some(at) = without_labels(&left) {
        let with_all = right.iter().map(|line| Line { values: both(&left[at], line), ..line.clone() });
        return with_all.collect();
    }
    let one = without_labels(right).map(|at| &right[at]);
    let mut sorted: Vec<&Line> = right.iter().collect();
    sorted.sort_by(|a, b| order_of(&a.labels, &b.labels));
    let pair_of = |line: &Line| {
        let found = sorted.binary_search_by(|other| order_of(&other.labels, &line.labels));
        one.or_else(|| found.ok().map(|at| sorted[at]))
    };
    let paired = left.into_iter().filter_map(|line| {
        let values = both(&line, pair_of(&line)?);
        Some(Line { values, ..line })
    });
    paired.collect()
}

/// At most `most` exemplars in all, evenly from all there are.
pub(super) fn thinned(lines: &mut [Line], most: usize) {
    let total: usize = lines.iter().map(|line| line.exemplars.len()).sum();
    if total <= most {
        return;
    }
    let mut place = 0;
    for line in lines {
        line.exemplars.retain(|_| {
            // Of `total` places `most` are where this product passes another multiple of `total`.
            let is_kept = (place + 1) * most / total > place * most / total;
            place += 1;
            is_kept
        });
    }
}
