//! Operators between two operands: scalars among themselves, with vectors, and vectors as sets.

use std::collections::HashMap;

use super::element::{Outcome, arithmetic, combine, holds};
use super::matching::{drops_name, signature};
use super::{Columns, Evaluated, Evaluator, vector};
use crate::labels::Labels;
use crate::notes::Note;
use crate::plan::{Pair, Plan};
use crate::series::{Grid, Point, Series, Value};
use crate::tree::{Kind, Operator};

impl Evaluator<'_> {
    pub(super) fn binary(&self, at: usize, pair: &Pair, grid: Grid) -> Evaluated<'_> {
        match (pair.left.kind, pair.right.kind) {
            (Kind::Scalar, Kind::Scalar) => self.of_scalars(pair, grid),
            (Kind::Scalar, _) => vector(self.with_scalar(at, pair, &pair.right, &pair.left, grid)),
            (_, Kind::Scalar) => vector(self.with_scalar(at, pair, &pair.left, &pair.right, grid)),
            _ if pair.operator.is_set() => vector(self.of_sets(pair, grid)),
            _ => vector(self.of_vectors(at, pair, grid)),
        }
    }

    fn of_scalars(&self, pair: &Pair, grid: Grid) -> Evaluated<'_> {
        let (left, right) = (self.scalars(&pair.left, grid)?, self.scalars(&pair.right, grid)?);
        let operator = pair.operator;
        let value = |(left, right)| {
            arithmetic(operator, left, right)
                .unwrap_or_else(|| f64::from(u8::from(holds(operator, left, right))))
        };
        let held = self.meter.hold(grid.count)?;
        Ok((Value::Scalar(left.into_iter().zip(right).map(value).collect()), held))
    }

    fn with_scalar(&self, at: usize, pair: &Pair, side: &Plan, scalar: &Plan, grid: Grid) -> Columns<'_> {
        let scalars = self.scalars(scalar, grid)?;
        let (mut columns, held) = self.columns(side, grid)?;
        let is_scalar_left = pair.left.kind == Kind::Scalar;
        let tell = |note: Note| self.notes.tell(note, at);
        for column in &mut columns {
            for (point, scalar) in column.points.iter_mut().zip(&scalars) {
                let scalar = Point::Float(*scalar);
                let (left, right) = if is_scalar_left { (&scalar, &*point) } else { (&*point, &scalar) };
                let outcome = combine(pair.operator, left, right, &tell);
                // A comparison keeps the vector's value, on whichever side it stands.
                let is_comparison = pair.operator.is_comparison();
                *point = match outcome {
                    Outcome::None => Point::None,
                    Outcome::Value(_, holds) if pair.returns_bool => Point::Float(f64::from(u8::from(holds))),
                    Outcome::Value(_, false) => Point::None,
                    Outcome::Value(..) if is_comparison => std::mem::take(point),
                    Outcome::Value(value, true) => value,
                };
            }
        }
        let columns = if drops_name(pair) { self.renamed(columns)? } else { self.finished(columns)? };
        Ok((columns, held))
    }

    /// `and`, `or` and `unless`: whole points, by whether the other side has any with the same labels.
    fn of_sets(&self, pair: &Pair, grid: Grid) -> Columns<'_> {
        let (mut left, mut held) = self.columns(&pair.left, grid)?;
        let (mut right, held_right) = self.columns(&pair.right, grid)?;
        match pair.operator {
            Operator::Or => {
                mask(&mut right, &presence(&left, pair, grid), pair, false);
                held.grow(right.len() * grid.count)?;
                left.append(&mut right);
            }
            operator => mask(&mut left, &presence(&right, pair, grid), pair, operator == Operator::And),
        }
        drop(held_right);
        Ok((self.finished(left)?, held))
    }
}

/// At which steps there is a point, of each group of labels.
fn presence(columns: &[Series], pair: &Pair, grid: Grid) -> HashMap<Labels, Vec<bool>> {
    let mut groups: HashMap<Labels, Vec<bool>> = HashMap::new();
    for column in columns {
        let group = groups.entry(signature(&column.labels, &pair.matching));
        let steps = group.or_insert_with(|| vec![false; grid.count]);
        for (slot, point) in steps.iter_mut().zip(&column.points) {
            *slot |= !point.is_none();
        }
    }
    groups
}

/// Keeps the points whose group is present on the other side, or is not.
fn mask(columns: &mut Vec<Series>, present: &HashMap<Labels, Vec<bool>>, pair: &Pair, is_wanted: bool) {
    for column in columns.iter_mut() {
        let steps = present.get(&signature(&column.labels, &pair.matching));
        for (step, point) in column.points.iter_mut().enumerate() {
            if steps.is_some_and(|steps| steps[step]) != is_wanted {
                *point = Point::None;
            }
        }
    }
    columns.retain(|column| !column.is_empty());
}
