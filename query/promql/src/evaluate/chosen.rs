//! Aggregations that give series back as they are, but not all of them: the largest, the smallest, the first, or a
//! share.

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::aggregate::{Group, Names, groups};
use super::ordering::by_value;
use super::{Columns, Evaluator};
use crate::error::Error;
use crate::labels::Labels;
use crate::notes::Note;
use crate::plan::{Aggregate, Plan};
use crate::series::{Grid, Point, Series};
use crate::tree::Aggregator;

impl Evaluator<'_> {
    pub(super) fn chosen(
        &self,
        at: usize,
        aggregate: &Aggregate,
        parameter: &Plan,
        grid: Grid,
    ) -> Columns<'_> {
        let parameters = self.scalars(parameter, grid)?;
        let (columns, held) = self.columns(&aggregate.operand, grid)?;
        let chooses_any = self.check_parameters(aggregate.aggregator, &parameters, parameter.at)?;
        if columns.is_empty() || !chooses_any {
            return Ok((Vec::new(), held));
        }
        let groups = groups(columns.iter().map(|column| &column.labels), aggregate, Names::Kept);
        let held_results = self.meter.hold_columns(columns.len(), grid.count)?;
        let mut results: Vec<Series> = columns
            .iter()
            .map(|column| Series {
                labels: column.labels.clone(),
                drops_name: column.drops_name,
                points: vec![Point::None; grid.count],
            })
            .collect();
        let mut order = Vec::new();
        for group in &groups {
            self.meter.check_time()?;
            for (step, parameter) in parameters.iter().enumerate() {
                self.meter.look_at(group.members.len())?;
                let chosen = self.choose(at, aggregate.aggregator, &columns, group, step, *parameter);
                for index in &chosen {
                    results[*index].points[step] = columns[*index].points[step].clone();
                }
                if grid.count == 1 {
                    order.extend(chosen);
                }
            }
        }
        drop(held);
        if grid.count == 1 {
            // At an instant the order is the answer's.
            let mut slots: Vec<Option<Series>> = results.into_iter().map(Some).collect();
            results = order.into_iter().filter_map(|index| slots[index].take()).collect();
        }
        results.retain(|column| !column.is_empty());
        Ok((results, held_results))
    }

    /// False if nothing is chosen at any step.
    fn check_parameters(&self, aggregator: Aggregator, parameters: &[f64], at: usize) -> Result<bool, Error> {
        let most = parameters.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = parameters.iter().copied().fold(f64::INFINITY, f64::min);
        let has_nan = parameters.iter().any(|parameter| parameter.is_nan());
        if has_nan {
            let what = if aggregator == Aggregator::LimitRatio { "Ratio" } else { "Parameter" };
            return Err(Error::execution(format!("{what} value is NaN")));
        }
        if aggregator == Aggregator::LimitRatio {
            if most > 1.0 {
                self.notes.tell(Note::InvalidRatio { got: most, capped: 1.0 }, at);
            }
            if least < -1.0 {
                self.notes.tell(Note::InvalidRatio { got: least, capped: -1.0 }, at);
            }
            return Ok(most != 0.0 || least != 0.0);
        }
        if most < 1.0 {
            return Ok(false);
        }
        /// 2^63.
        const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;
        if least <= -INTEGER_END {
            return Err(Error::execution(format!(
                "Scalar value {} underflows int64",
                crate::text::short(least)
            )));
        }
        if most >= INTEGER_END {
            return Err(Error::execution(format!(
                "Scalar value {} overflows int64",
                crate::text::short(most)
            )));
        }
        Ok(true)
    }

    /// The series of a group that are chosen at a step, in order.
    fn choose(
        &self,
        at: usize,
        aggregator: Aggregator,
        columns: &[Series],
        group: &Group,
        step: usize,
        parameter: f64,
    ) -> Vec<usize> {
        let point = |index: usize| &columns[index].points[step];
        let members = group.members.iter().copied().filter(|index| !point(*index).is_none());
        // Saturates, as a count of at most all.
        let count = parameter.max(0.0) as usize;
        match aggregator {
            Aggregator::LimitK => members.take(count).collect(),
            Aggregator::LimitRatio => {
                members.filter(|index| is_in_share(&columns[*index].labels, parameter)).collect()
            }
            _ => {
                let is_descending = aggregator == Aggregator::TopK;
                let compare =
                    |a: &usize, b: &usize| -> Ordering { by_value(point(*a), point(*b), is_descending) };
                let mut floats: Vec<usize> = members.collect();
                let all = floats.len();
                floats.retain(|index| !point(*index).is_histogram());
                if floats.len() < all && count > 0 {
                    self.notes.tell(Note::IgnoredInAggregation { aggregation: aggregator.text() }, at);
                }
                floats.sort_by(compare);
                floats.truncate(count);
                floats
            }
        }
    }
}

/// Whether a label set is in the share of all that `ratio` is; in the rest if it is negative, so that the shares of
/// `r` and `r - 1` make the whole. The choice is by hash, so a series is chosen or not, whenever it is asked for.
fn is_in_share(labels: &Labels, ratio: f64) -> bool {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    // To the nearest float, which is all that a share needs.
    let place = hasher.finish() as f64 / u64::MAX as f64;
    if ratio >= 1.0 || ratio <= -1.0 {
        return true;
    }
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}
