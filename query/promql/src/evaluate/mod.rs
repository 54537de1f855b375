//! A plan's value at all steps of a question.
//!
//! Each node gives columns, one a series, and takes those of its operands; no step is evaluated by itself. Only
//! where series meet, in matching and aggregation, are steps gone through one by one.

mod calls;
mod info;
mod chosen;
mod ordering;
mod buckets;
mod relabel;
mod aggregate;
mod binary;
mod matching;
mod element;
mod windows;
mod instants;
mod meter;

use std::cell::Cell;

use meshlake_schema::Budget;

use crate::error::Error;
use crate::matcher::Matcher;
use crate::notes::Notes;
use crate::options::Options;
use crate::plan::{Plan, Resampling, Work};
use crate::samples::{Hints, Samples, Selection, SeriesSamples};
use crate::series::{Grid, Point, Series, Value, drop_names, merged};
use crate::tree::Sign;
use meter::{Held, Meter};

pub(crate) struct Evaluator<'a> {
    samples: &'a dyn Samples,
    options: &'a Options,
    notes: &'a Notes,
    meter: Meter<'a>,
    /// The first instant of the innermost subquery around.
    counts_from: Cell<Option<i64>>,
}

/// A value, and the memory that it takes.
type Evaluated<'e> = Result<(Value, Held<'e>), Error>;
/// Columns, and the memory that they take.
type Columns<'e> = Result<(Vec<Series>, Held<'e>), Error>;

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        samples: &'a dyn Samples,
        budget: &'a dyn Budget,
        options: &'a Options,
        notes: &'a Notes,
    ) -> Self {
        let meter = Meter::new(budget, options);
        Evaluator { samples, options, notes, meter, counts_from: Cell::new(None) }
    }

    /// Samples that steps looked at, and the most that were held at once.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.meter.counts()
    }

    /// # Errors
    /// Any but those of the question itself.
    pub(crate) fn evaluate(&self, plan: &Plan, grid: Grid) -> Evaluated<'_> {
        self.meter.check_time()?;
        if plan.is_fixed && grid.count > 1 {
            let (value, _held) = self.evaluate_steps(plan, grid.first_only())?;
            return self.repeated(value, grid.count);
        }
        self.evaluate_steps(plan, grid)
    }

    fn evaluate_steps(&self, plan: &Plan, grid: Grid) -> Evaluated<'_> {
        match &plan.work {
            Work::Number(number) => {
                let held = self.meter.hold(grid.count)?;
                Ok((Value::Scalar(vec![*number; grid.count]), held))
            }
            Work::Text(text) => Ok((Value::Text(text.clone()), self.meter.hold(0)?)),
            Work::Select(select) => vector(self.instant(select, grid, plan.at)),
            Work::Window(..) | Work::Subquery(_) => {
                Err(Error::execution("a range vector has no value at an instant"))
            }
            Work::Call(function, arguments) => self.call(plan.at, function, arguments, grid),
            Work::Aggregate(aggregate) => vector(self.aggregate(plan.at, aggregate, grid)),
            Work::Binary(pair) => self.binary(plan.at, pair, grid),
            Work::Signed(Sign::Plus, operand) => self.evaluate(operand, grid),
            Work::Signed(Sign::Minus, operand) => self.negated(operand, grid),
        }
    }

    /// A value of one step at as many.
    fn repeated(&self, value: Value, count: usize) -> Evaluated<'_> {
        let columns = if let Value::Vector(series) = &value { series.len() } else { 1 };
        let held = self.meter.hold_columns(columns, count)?;
        let value = match value {
            Value::Scalar(values) => Value::Scalar(vec![values[0]; count]),
            Value::Vector(mut series) => {
                for column in &mut series {
                    column.points = vec![column.points[0].clone(); count];
                }
                Value::Vector(series)
            }
            Value::Text(text) => Value::Text(text),
        };
        Ok((value, held))
    }

    /// The columns of an operand that is a vector.
    fn columns(&self, plan: &Plan, grid: Grid) -> Columns<'_> {
        match self.evaluate(plan, grid)? {
            (Value::Vector(series), held) => Ok((series, held)),
            (Value::Scalar(_) | Value::Text(_), _) => Err(Error::execution("an operand is no vector")),
        }
    }

    /// The values of an operand that is a scalar.
    fn scalars(&self, plan: &Plan, grid: Grid) -> Result<Vec<f64>, Error> {
        match self.evaluate(plan, grid)? {
            (Value::Scalar(values), _) => Ok(values),
            (Value::Vector(_) | Value::Text(_), _) => Err(Error::execution("an operand is no scalar")),
        }
    }

    fn negated(&self, operand: &Plan, grid: Grid) -> Evaluated<'_> {
        let (value, held) = self.evaluate(operand, grid)?;
        let value = match value {
            Value::Scalar(values) => Value::Scalar(values.into_iter().map(|value| -value).collect()),
            Value::Text(text) => Value::Text(text),
            Value::Vector(mut series) => {
                for point in series.iter_mut().flat_map(|series| &mut series.points) {
                    match point {
                        Point::None => {}
                        Point::Float(value) => *value = -*value,
                        Point::Histogram(histogram) => {
                            let mut negative = (**histogram).clone();
                            negative.scale(-1.0);
                            *point = negative.into();
                        }
                    }
                }
                Value::Vector(self.renamed(series)?)
            }
        };
        Ok((value, held))
    }

    /// Columns whose values are not the metric's any more.
    fn renamed(&self, mut series: Vec<Series>) -> Result<Vec<Series>, Error> {
        series.iter_mut().for_each(|series| series.drops_name = true);
        self.finished(series)
    }

    /// Columns as an operator gives them: each label set once, names dropped unless that waits for the end.
    fn finished(&self, mut series: Vec<Series>) -> Result<Vec<Series>, Error> {
        if !self.options.drops_names_last {
            drop_names(&mut series);
        }
        merged(series)
    }

    /// Reads the samples of matching series, ordered by labels.
    fn read(
        &self,
        matchers: &[Matcher],
        (after, until): (i64, i64),
        hints: Hints<'_>,
    ) -> Result<(Vec<SeriesSamples>, Held<'_>), Error> {
        let hints = Hints { counts_from: self.counts_from.get(), ..hints };
        let mut selected = self.samples.select(&Selection { matchers, after, until, hints })?;
        self.notes.add_foreign(selected.warnings, selected.infos);
        self.meter.count_series(selected.series.len())?;
        let weight = |series: &SeriesSamples| {
            let histograms = series.histograms.values.iter().map(|histogram| histogram.weight());
            series.floats.len() + histograms.sum::<usize>() + series.labels.bytes() / size_of::<Point>()
        };
        let held = self.meter.hold(selected.series.iter().map(weight).sum())?;
        selected.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok((selected.series, held))
    }

    /// A subquery's columns, and its own steps.
    pub(crate) fn resampled(&self, subquery: &Resampling, grid: Grid) -> Result<(Vec<Series>, Grid), Error> {
        let inner = self.inner_grid(subquery, grid)?;
        let Some(inner) = inner else { return Ok((Vec::new(), grid)) };
        let around = self.counts_from.replace(Some(inner.start));
        let columns = self.columns(&subquery.operand, inner);
        self.counts_from.set(around);
        Ok((columns?.0, inner))
    }

    /// The steps of a subquery: multiples of its own step inside of all windows. None if there is none.
    fn inner_grid(&self, subquery: &Resampling, grid: Grid) -> Result<Option<Grid>, Error> {
        let step = subquery.step.unwrap_or(self.options.subquery_step).max(1);
        let begin = subquery.reference(grid.start).saturating_sub(subquery.range);
        let end = subquery.reference(grid.last());
        let mut start = begin / step * step;
        if start <= begin {
            start = start.saturating_add(step);
        }
        if start > end {
            return Ok(None);
        }
        let steps = usize::try_from(end.abs_diff(start) / step.unsigned_abs()).unwrap_or(usize::MAX);
        if steps >= self.options.samples_max {
            return Err(Error::too_many_samples());
        }
        Ok(Some(Grid { start, step, count: steps + 1 }))
    }
}

fn vector(columns: Columns<'_>) -> Evaluated<'_> {
    columns.map(|(series, held)| (Value::Vector(series), held))
}
