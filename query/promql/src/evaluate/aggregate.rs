//! Series made one by their labels.
//!
//! Series go into their group's column one after the other, each over all steps; what a step needs to remember of the
//! series so far is one accumulator.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use super::windows::drops_names;
use super::{Columns, Evaluator};
use crate::error::Error;
use crate::functions::quantile_of;
use crate::histogram::{
    Combined, Histogram, HistogramMean, HistogramSum, Incompatible, ResetHint, float_label, value_label,
};
use crate::labels::{Labels, METADATA};
use crate::notes::{Doing, Note};
use crate::plan::{Aggregate, Plan, Work};
use crate::series::{Grid, Point, Series};
use crate::sum::{Mean, Sum};
use crate::tree::Aggregator;

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, at: usize, aggregate: &Aggregate, grid: Grid) -> Columns<'_> {
        match (aggregate.aggregator, &aggregate.parameter) {
            (Aggregator::CountValues, Some(parameter)) => self.count_values(aggregate, parameter, grid),
            (
                Aggregator::TopK | Aggregator::BottomK | Aggregator::LimitK | Aggregator::LimitRatio,
                Some(parameter),
            ) => self.chosen(at, aggregate, parameter, grid),
            (Aggregator::Quantile, Some(parameter)) => {
                let shares = self.scalars(parameter, grid)?;
                for share in told_shares(&shares) {
                    self.notes.tell(Note::InvalidQuantile(share), parameter.at);
                }
                self.folded(aggregate, &shares, grid)
            }
            _ => self.folded(aggregate, &[], grid),
        }
    }

    fn folded(&self, aggregate: &Aggregate, shares: &[f64], grid: Grid) -> Columns<'_> {
        if let Some((name, arguments)) = range_call(&aggregate.operand, grid)
            && !self.options.drops_names_last
        {
            let (call, _held) = self.ranged_call(name, arguments, grid)?;
            if is_of_one_name(call.labels()) {
                // Names are gone behind the call, and none of the series is another's like for that.
                let groups = groups(call.labels(), aggregate, Names::Gone);
                let column = |at: usize| Ok((Cow::Owned(self.column(&call, at)?), ""));
                return self.folded_groups(aggregate, shares, groups, grid, column, |_| false);
            }
            let (columns, _held) = self.columns_of(&call)?;
            return self.folded_columns(aggregate, shares, &columns, grid);
        }
        let (columns, _held) = self.columns(&aggregate.operand, grid)?;
        self.folded_columns(aggregate, shares, &columns, grid)
    }

    fn folded_columns(
        &self,
        aggregate: &Aggregate,
        shares: &[f64],
        columns: &[Series],
        grid: Grid,
    ) -> Columns<'_> {
        let groups = groups(columns.iter().map(|column| &column.labels), aggregate, Names::Kept);
        let column =
            |at: usize| Ok((Cow::Borrowed(&columns[at].points[..]), columns[at].labels.metric_name()));
        self.folded_groups(aggregate, shares, groups, grid, column, |at| columns[at].drops_name)
    }

    /// Folds the columns of each group into one: `column` gives the points of each, and its metric's name.
    fn folded_groups<'c>(
        &self,
        aggregate: &Aggregate,
        shares: &[f64],
        groups: Vec<Group>,
        grid: Grid,
        column: impl Fn(usize) -> Result<(Cow<'c, [Point]>, &'c str), Error>,
        drops_name: impl Fn(usize) -> bool,
    ) -> Columns<'_> {
        let held = self.meter.hold_columns(groups.len(), grid.count)?;
        let teller = Teller { evaluator: self, aggregator: aggregate.aggregator, at: aggregate.operand.at };
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            self.meter.check_time()?;
            let mut folds: Vec<Option<Fold>> = (0..grid.count).map(|_| None).collect();
            for at in &group.members {
                self.meter.look_at(grid.count)?;
                let (points, metric) = column(*at)?;
                for (fold, point) in folds.iter_mut().zip(points.as_ref()) {
                    teller.add(fold, point, metric);
                }
            }
            let share = |step: usize| shares.get(step).copied().unwrap_or(f64::NAN);
            let mut points = Vec::with_capacity(grid.count);
            for (step, fold) in folds.into_iter().enumerate() {
                // The values of a quantile are sorted only here.
                self.meter.look_at(group.members.len())?;
                points.push(teller.value(fold, share(step)));
            }
            let drops_name = group.members.iter().any(|at| drops_name(*at));
            results.push(Series { labels: group.labels, drops_name, points });
        }
        Ok((self.finished(results)?, held))
    }

    fn count_values(&self, aggregate: &Aggregate, parameter: &Plan, grid: Grid) -> Columns<'_> {
        let label = if let Work::Text(label) = &parameter.work { label.as_str() } else { "" };
        if label.is_empty() {
            return Err(Error::execution(format!("invalid label name {}", crate::text::quoted(label))));
        }
        let (columns, _held) = self.columns(&aggregate.operand, grid)?;
        let mut held = self.meter.hold(0)?;
        let mut results: Vec<Series> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        for column in &columns {
            self.meter.check_time()?;
            for (step, point) in column.points.iter().enumerate() {
                let value = match point {
                    Point::None => continue,
                    Point::Float(value) => float_label(*value),
                    Point::Histogram(histogram) => value_label(histogram),
                };
                let mut labels = group_labels(&column.labels.with(label, &value), aggregate);
                if !aggregate.without {
                    labels = labels.with(label, &value);
                }
                let place = match places.get(&labels) {
                    Some(place) => *place,
                    None => {
                        held.grow(grid.count)?;
                        let points = vec![Point::None; grid.count];
                        results.push(Series { labels: labels.clone(), drops_name: false, points });
                        places.insert(labels, results.len() - 1);
                        results.len() - 1
                    }
                };
                let slot = &mut results[place].points[step];
                *slot = Point::Float(slot.float().unwrap_or(0.0) + 1.0);
            }
        }
        Ok((self.finished(results)?, held))
    }
}

/// Of shares that are none those that are told: one that is no number, the highest and the lowest.
fn told_shares(shares: &[f64]) -> impl Iterator<Item = f64> {
    let nan = shares.iter().copied().find(|share| share.is_nan());
    let most = shares.iter().copied().fold(1.0, f64::max);
    let least = shares.iter().copied().fold(0.0, f64::min);
    nan.into_iter()
        .chain(Some(most).filter(|most| *most > 1.0))
        .chain(Some(least).filter(|least| *least < 0.0))
}

/// Series that become one.
pub(super) struct Group {
    pub labels: Labels,
    pub members: Vec<usize>,
}

/// Whether series still have the names that they were read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Kept,
    Gone,
}

/// Groups in the order of their first series. Labels of a group are made once, not once a series.
pub(super) fn groups<'l>(
    all: impl Iterator<Item = &'l Labels>,
    aggregate: &Aggregate,
    names: Names,
) -> Vec<Group> {
    let is_wanted = |name: &str| is_grouped_by(name, aggregate, names);
    let hashes = RandomState::new();
    let mut groups: Vec<Group> = Vec::new();
    // By hash; of two label sets of one hash both.
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, labels) in all.enumerate() {
        let kept = || labels.iter().filter(|label| is_wanted(&label.name));
        let mut hasher = hashes.build_hasher();
        kept().for_each(|label| label.hash(&mut hasher));
        let alike = places.entry(hasher.finish()).or_default();
        match alike.iter().find(|place| groups[**place].labels.iter().eq(kept())) {
            Some(place) => groups[*place].members.push(at),
            None => {
                alike.push(groups.len());
                groups.push(Group { labels: labels.keep(is_wanted), members: vec![at] });
            }
        }
    }
    groups
}

fn group_labels(labels: &Labels, aggregate: &Aggregate) -> Labels {
    labels.keep(|name| is_grouped_by(name, aggregate, Names::Kept))
}

fn is_grouped_by(name: &str, aggregate: &Aggregate, names: Names) -> bool {
    let is_named = aggregate.grouping.iter().any(|label| label == name);
    let may_stay = names == Names::Kept && !aggregate.without || !METADATA.contains(&name);
    may_stay && is_named != aggregate.without
}

/// A call of a function over the windows of a selector, whose values are the metric's no more, if a plan is one. What is the
/// same at all steps is computed once elsewhere.
fn range_call(plan: &Plan, grid: Grid) -> Option<(&'static str, &[Plan])> {
    let Work::Call(function, arguments) = &plan.work else { return None };
    let is_window = arguments.iter().any(|argument| matches!(argument.work, Work::Window(..)));
    let is_plain = is_window && drops_names(function.name) && !(plan.is_fixed && grid.count > 1);
    is_plain.then_some((function.name, arguments))
}

fn is_of_one_name<'l>(mut all: impl Iterator<Item = &'l Labels>) -> bool {
    let first = all.next().map(Labels::metric_name);
    all.all(|labels| Some(labels.metric_name()) == first)
}

/// What a step remembers of the series so far.
enum Fold {
    Count(f64),
    One,
    Extreme(f64),
    Sum(Sum),
    Mean(Mean),
    Variance {
        count: f64,
        mean: f64,
        squares: f64,
    },
    Values(Vec<f64>),
    Histograms {
        sum: AnySum,
        hints: (bool, bool),
    },
    /// Floats and histograms, which have no sum.
    Mixed,
    /// Histograms that have no sum.
    Incompatible,
}

enum AnySum {
    Sum(Box<HistogramSum>),
    Mean(Box<HistogramMean>),
}

impl AnySum {
    fn add(&mut self, histogram: &Histogram) -> Result<Combined, Incompatible> {
        match self {
            AnySum::Sum(sum) => sum.add(histogram),
            AnySum::Mean(mean) => mean.add(histogram),
        }
    }
}

/// Folds points, and tells what is odd about them.
struct Teller<'t> {
    evaluator: &'t Evaluator<'t>,
    aggregator: Aggregator,
    at: usize,
}

impl Teller<'_> {
    fn tell(&self, note: Note) {
        self.evaluator.notes.tell(note, self.at);
    }

    fn add(&self, fold: &mut Option<Fold>, point: &Point, metric: &str) {
        match point {
            Point::None => {}
            Point::Float(value) => match fold {
                None => *fold = Some(self.first_float(*value)),
                Some(fold) => self.add_float(fold, *value),
            },
            Point::Histogram(histogram) => self.add_histogram(fold, histogram, metric),
        }
    }

    fn first_float(&self, value: f64) -> Fold {
        match self.aggregator {
            Aggregator::Count => Fold::Count(1.0),
            Aggregator::Group => Fold::One,
            Aggregator::Min | Aggregator::Max => Fold::Extreme(value),
            Aggregator::Sum => Fold::Sum(Sum { total: value, lost: 0.0 }),
            Aggregator::Avg => Fold::Mean(Mean::of_first(value)),
            Aggregator::Stddev | Aggregator::Stdvar => {
                let squares = if value.is_finite() { 0.0 } else { f64::NAN };
                Fold::Variance { count: 1.0, mean: value, squares }
            }
            _ => Fold::Values(vec![value]),
        }
    }

    fn add_float(&self, fold: &mut Fold, value: f64) {
        match fold {
            Fold::Count(count) => *count += 1.0,
            Fold::One | Fold::Mixed | Fold::Incompatible => {}
            Fold::Sum(sum) => sum.add(value),
            Fold::Mean(mean) => mean.add(value),
            Fold::Values(values) => values.push(value),
            Fold::Histograms { .. } => *fold = Fold::Mixed,
            Fold::Extreme(extreme) => {
                let is_better =
                    if self.aggregator == Aggregator::Max { value > *extreme } else { value < *extreme };
                if is_better || extreme.is_nan() {
                    *extreme = value;
                }
            }
            Fold::Variance { count, mean, squares } => {
                *count += 1.0;
                let distance = value - *mean;
                *mean += distance / *count;
                *squares += distance * (value - *mean);
            }
        }
    }

    fn add_histogram(&self, fold: &mut Option<Fold>, histogram: &Arc<Histogram>, metric: &str) {
        match (self.aggregator, &mut *fold) {
            (Aggregator::Count, Some(Fold::Count(count))) => *count += 1.0,
            (Aggregator::Count, _) => *fold = Some(Fold::Count(1.0)),
            (Aggregator::Group, _) => *fold = Some(Fold::One),
            (Aggregator::Sum | Aggregator::Avg, Some(Fold::Mixed | Fold::Incompatible)) => {}
            (Aggregator::Sum | Aggregator::Avg, Some(Fold::Sum(_) | Fold::Mean(_))) => {
                *fold = Some(Fold::Mixed);
            }
            (Aggregator::Sum | Aggregator::Avg, Some(Fold::Histograms { sum, hints })) => {
                hints.0 |= histogram.hint == ResetHint::Reset;
                hints.1 |= histogram.hint == ResetHint::NoReset;
                match sum.add(histogram) {
                    Ok(combined) if combined.bounds_reconciled => {
                        self.tell(Note::ReconciledBounds(Doing::Aggregation));
                    }
                    Ok(_) => {}
                    Err(Incompatible) => {
                        self.tell(Note::MixedSchemas { metric: metric.to_owned() });
                        *fold = Some(Fold::Incompatible);
                    }
                }
            }
            (Aggregator::Sum | Aggregator::Avg, _) => {
                let sum = if self.aggregator == Aggregator::Sum {
                    AnySum::Sum(Box::new(HistogramSum::of_first(histogram)))
                } else {
                    AnySum::Mean(Box::new(HistogramMean::of_first(histogram)))
                };
                let hints = (histogram.hint == ResetHint::Reset, histogram.hint == ResetHint::NoReset);
                *fold = Some(Fold::Histograms { sum, hints });
            }
            (aggregator, _) => self.tell(Note::IgnoredInAggregation { aggregation: aggregator.text() }),
        }
    }

    fn value(&self, fold: Option<Fold>, share: f64) -> Point {
        let Some(fold) = fold else { return Point::None };
        Point::Float(match fold {
            Fold::Count(count) => count,
            Fold::One => 1.0,
            Fold::Extreme(value) => value,
            Fold::Sum(sum) => sum.value(),
            Fold::Mean(mean) => mean.value(),
            Fold::Values(values) => quantile_of(share, values),
            Fold::Variance { count, squares, .. } if self.aggregator == Aggregator::Stdvar => squares / count,
            Fold::Variance { count, squares, .. } => (squares / count).sqrt(),
            Fold::Incompatible => return Point::None,
            Fold::Mixed => {
                self.tell(Note::MixedInAggregation);
                return Point::None;
            }
            Fold::Histograms { sum, hints } => {
                if hints == (true, true) {
                    self.tell(Note::CollidingHints(Doing::Aggregation));
                }
                return match sum {
                    AnySum::Sum(sum) => sum.value().into(),
                    AnySum::Mean(mean) => mean.value().into(),
                };
            }
        })
    }
}
