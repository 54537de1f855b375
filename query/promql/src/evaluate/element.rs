//! Operators on two points.

use crate::histogram::Keep;
use crate::histogram::{Combined, Histogram, Incompatible, ResetHint};
use crate::notes::{Doing, Note};
use crate::series::Point;
use crate::tree::Operator;

/// What an operator gives of two points.
pub(super) enum Outcome {
    /// A value, and whether a comparison holds.
    Value(Point, bool),
    /// Nothing: the types do not go together.
    None,
}

/// A comparison gives its left side. `tell` takes what is odd about it.
pub(super) fn combine(operator: Operator, left: &Point, right: &Point, tell: &dyn Fn(Note)) -> Outcome {
    match (left, right) {
        (Point::Float(left), Point::Float(right)) => of_floats(operator, *left, *right, tell),
        (Point::Histogram(left), Point::Float(right)) => with_float(operator, left, *right, tell),
        (Point::Float(left), Point::Histogram(right)) if operator == Operator::Multiply => {
            scaled(right, *left)
        }
        (Point::Histogram(left), Point::Histogram(right)) => of_histograms(operator, left, right, tell),
        (Point::Float(_), Point::Histogram(_)) => refused(operator, ["float", "histogram"], tell),
        (Point::None, _) | (_, Point::None) => Outcome::None,
    }
}

fn refused(operator: Operator, [left, right]: [&'static str; 2], tell: &dyn Fn(Note)) -> Outcome {
    tell(Note::IncompatibleTypes { left, operator: operator.text(), right });
    Outcome::None
}

fn of_floats(operator: Operator, left: f64, right: f64, tell: &dyn Fn(Note)) -> Outcome {
    if operator.is_comparison() {
        return Outcome::Value(Point::Float(left), holds(operator, left, right));
    }
    match arithmetic(operator, left, right) {
        Some(value) => Outcome::Value(Point::Float(value), true),
        None => refused(operator, ["float", "float"], tell),
    }
}

/// Arithmetic of floats; none of operators that are of something else.
pub(super) fn arithmetic(operator: Operator, left: f64, right: f64) -> Option<f64> {
    Some(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Power => left.powf(right),
        Operator::Atan2 => left.atan2(right),
        _ => return None,
    })
}

/// Whether a comparison holds.
pub(super) fn holds(operator: Operator, left: f64, right: f64) -> bool {
    match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Greater => left > right,
        Operator::Less => left < right,
        Operator::GreaterOrEqual => left >= right,
        _ => left <= right,
    }
}

fn with_float(operator: Operator, left: &Histogram, right: f64, tell: &dyn Fn(Note)) -> Outcome {
    let mut changed = left.clone();
    match operator {
        Operator::Multiply => return scaled(left, right),
        Operator::Divide => changed.divide(right),
        Operator::TrimUpper => changed.trim(right, Keep::Below),
        Operator::TrimLower => changed.trim(right, Keep::Above),
        _ => return refused(operator, ["histogram", "float"], tell),
    }
    Outcome::Value(changed.compacted().into(), true)
}

fn scaled(histogram: &Histogram, factor: f64) -> Outcome {
    let mut scaled = histogram.clone();
    scaled.scale(factor);
    Outcome::Value(scaled.compacted().into(), true)
}

fn of_histograms(operator: Operator, left: &Histogram, right: &Histogram, tell: &dyn Fn(Note)) -> Outcome {
    let mut result = left.clone();
    let (combined, doing) = match operator {
        Operator::Add => (result.add(right), Doing::Addition),
        Operator::Subtract => (result.subtract(right), Doing::Subtraction),
        Operator::Equal => return Outcome::Value(result.into(), left.is_same(right)),
        Operator::NotEqual => return Outcome::Value(result.into(), !left.is_same(right)),
        _ => return refused(operator, ["histogram", "histogram"], tell),
    };
    let Combined { hints_collide, bounds_reconciled } = match combined {
        Ok(combined) => combined,
        Err(Incompatible) => {
            tell(Note::IncompatibleLayout { operator: operator.text() });
            return Outcome::None;
        }
    };
    if hints_collide {
        tell(Note::CollidingHints(doing));
    }
    if bounds_reconciled {
        tell(Note::ReconciledBounds(doing));
    }
    if operator == Operator::Subtract {
        result.hint = ResetHint::Gauge;
    }
    Outcome::Value(result.compacted().into(), true)
}
