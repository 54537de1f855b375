//! What is kept of one series until all spans have been seen.

use super::lines::{Exemplar, Line};
use super::sketch::{Power, Sketch};
use super::steps::Steps;
use crate::tree::{Aggregation, Function};
use crate::value::Value;

use std::collections::BTreeSet;

/// The steps of one series.
#[derive(Debug, Clone)]
pub(super) enum Cells {
    Counts(Vec<u64>),
    Numbers(Vec<Numbers>),
    Sketches(Vec<Sketch>),
}

/// Numbers of one step, kept so that every order of adding gives the same where they are whole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    count: u64,
    whole: i128,
    double: f64,
    least: f64,
    greatest: f64,
}

impl Numbers {
    fn add(&mut self, value: &Value<'_>) {
        let Some(number) = value.number() else { return };
        let mut one = Numbers { count: 1, whole: 0, double: 0.0, least: number, greatest: number };
        match value {
            Value::Integer(whole) | Value::Duration(whole) => one.whole = i128::from(*whole),
            _ => one.double = number,
        }
        self.merge(&one);
    }

    fn merge(&mut self, other: &Numbers) {
        if other.count == 0 {
            return;
        }
        let is_first = self.count == 0;
        self.least = if is_first { other.least } else { self.least.min(other.least) };
        self.greatest = if is_first { other.greatest } else { self.greatest.max(other.greatest) };
        self.count += other.count;
        self.whole += other.whole;
        self.double += other.double;
    }

    fn result(&self, aggregation: Aggregation) -> Option<f64> {
        let sum = self.whole as f64 + self.double;
        let result = match aggregation {
            Aggregation::Min => self.least,
            Aggregation::Max => self.greatest,
            Aggregation::Avg => sum / self.count as f64,
            Aggregation::Sum | Aggregation::Count => sum,
        };
        (self.count > 0).then_some(result)
    }
}

impl Cells {
    pub(super) fn new(function: &Function, steps: usize) -> Cells {
        match function {
            Function::Rate | Function::CountOverTime | Function::Compare { .. } => {
                Cells::Counts(vec![0; steps])
            }
            Function::Over(..) => Cells::Numbers(vec![Numbers::default(); steps]),
            Function::QuantileOverTime(..) | Function::HistogramOverTime(_) => {
                Cells::Sketches(vec![Sketch::default(); steps])
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Cells::Counts(counts) => counts.len() * size_of::<u64>(),
            Cells::Numbers(numbers) => numbers.len() * size_of::<Numbers>(),
            Cells::Sketches(sketches) => {
                let buckets: usize = sketches.iter().map(Sketch::bucket_count).sum();
                sketches.len() * size_of::<Sketch>() + buckets * Sketch::BUCKET_BYTES
            }
        }
    }

    /// Adds what was measured of a span, nil if it is only counted; gives bytes that this takes more.
    pub(super) fn add(&mut self, step: usize, measured: &Value<'_>) -> usize {
        match (self, measured.number()) {
            (Cells::Counts(counts), _) => counts[step] += 1,
            (Cells::Numbers(numbers), _) => numbers[step].add(measured),
            (Cells::Sketches(sketches), Some(number)) => {
                if sketches[step].record(number) {
                    return Sketch::BUCKET_BYTES;
                }
            }
            (Cells::Sketches(_), None) => {}
        }
        0
    }

    /// Adds the same series of other spans.
    pub(super) fn merge(&mut self, other: &Cells) {
        match (self, other) {
            (Cells::Counts(own), Cells::Counts(others)) => {
                own.iter_mut().zip(others).for_each(|(own, other)| *own += other);
            }
            (Cells::Numbers(own), Cells::Numbers(others)) => {
                own.iter_mut().zip(others).for_each(|(own, other)| own.merge(other));
            }
            (Cells::Sketches(own), Cells::Sketches(others)) => {
                own.iter_mut().zip(others).for_each(|(own, other)| own.merge(other));
            }
            _ => unreachable!("one function keeps one sort of cells"),
        }
    }

    /// The series of it; `unit` is what a measured number is divided by.
    pub(super) fn lines(
        self,
        function: &Function,
        labels: &[(String, Value<'static>)],
        exemplars: &[Exemplar],
        steps: &Steps,
        unit: f64,
    ) -> Vec<Line> {
        let line = |more: Option<(&str, f64)>, values: Vec<Option<f64>>| {
            let more = more.map(|(name, value)| (name.to_owned(), Value::Float(value)));
            let labels = labels.iter().cloned().chain(more).collect();
            Line { labels, values, exemplars: exemplars.to_vec() }
        };
        match (self, function) {
            (Cells::Counts(counts), Function::Rate) => {
                let rates = counts.iter().map(|count| Some(*count as f64 / steps.seconds()));
                vec![line(None, rates.collect())]
            }
            (Cells::Counts(counts), _) => {
                vec![line(None, counts.iter().map(|count| Some(*count as f64)).collect())]
            }
            (Cells::Numbers(numbers), Function::Over(aggregation, _)) => {
                let results = numbers.iter().map(|of_step| Some(of_step.result(*aggregation)? / unit));
                vec![line(None, results.collect())]
            }
            (Cells::Sketches(sketches), Function::QuantileOverTime(_, quantiles)) => {
                let values = |q: f64| sketches.iter().map(move |of_step| Some(of_step.quantile(q)? / unit));
                quantiles.iter().map(|q| line(Some(("p", *q)), values(*q).collect())).collect()
            }
            (Cells::Sketches(sketches), _) => {
                let powers: Vec<_> = sketches.iter().map(Sketch::powers).collect();
                let all: BTreeSet<Power> =
                    powers.iter().flat_map(|of_step| of_step.keys().copied()).collect();
                let counts = |power: Power| {
                    let count =
                        powers.iter().map(move |of_step| of_step.get(&power).copied().unwrap_or_default());
                    count.map(|count| Some(count as f64)).collect()
                };
                let buckets = all.into_iter();
                buckets.map(|power| line(Some(("__bucket", power.value() / unit)), counts(power))).collect()
            }
            (Cells::Numbers(_), _) => Vec::new(),
        }
    }
}
