//! Numbers of whole spansets.
//!
//! Spans without the value count for nothing; of no values there is no number but a count. Whole numbers and durations
//! are added exactly, whatever their sum; doubles in the order of the spans.

use super::Evaluation;
use crate::error::Error;
use crate::tree::{Aggregate, Aggregation, Scalar};
use crate::value::{Comparison, Value};

impl<'a> Evaluation<'_, 'a> {
    /// The number of a spanset; what its aggregates are is told.
    pub(super) fn scalar(
        &self,
        scalar: &Scalar,
        spans: &[usize],
        told: &mut Vec<(String, Value<'a>)>,
    ) -> Result<Value<'static>, Error> {
        Ok(match scalar {
            Scalar::Literal(value) => value.clone(),
            Scalar::Aggregate(aggregate) => {
                let value = self.aggregate(aggregate, spans)?;
                told.push((aggregate.to_string(), value.clone()));
                value
            }
            Scalar::Pipeline(pipeline, scalar) => {
                let left = super::joined(self.pipeline(pipeline, spans.to_vec())?);
                self.scalar(scalar, &left, &mut Vec::new())?
            }
            Scalar::Negative(inner) => self.scalar(inner, spans, told)?.negated(),
            Scalar::Arithmetic(operator, left, right) => {
                operator.apply(&self.scalar(left, spans, told)?, &self.scalar(right, spans, told)?)
            }
        })
    }

    fn aggregate(&self, aggregate: &Aggregate, spans: &[usize]) -> Result<Value<'static>, Error> {
        let Some(of) = &aggregate.of else { return Ok(Value::Integer(spans.len() as i64)) };
        let mut numbers = Vec::new();
        for at in spans {
            self.step()?;
            let value = self.trace.value(of, *at);
            if value.number().is_some() {
                numbers.push(value.into_owned());
            }
        }
        Ok(match aggregate.aggregation {
            Aggregation::Count => Value::Integer(spans.len() as i64),
            Aggregation::Min => extreme(numbers, Comparison::Less),
            Aggregation::Max => extreme(numbers, Comparison::Greater),
            Aggregation::Sum => sum(&numbers),
            Aggregation::Avg => mean(&numbers),
        })
    }
}

fn extreme(numbers: Vec<Value<'static>>, is_further: Comparison) -> Value<'static> {
    let further = |best, next| if is_further.holds(&next, &best) { next } else { best };
    numbers.into_iter().reduce(further).unwrap_or(Value::Nil)
}

/// The sum of whole ones, and of doubles.
fn sums(numbers: &[Value<'_>]) -> (i128, f64) {
    let add = |(whole, double): (i128, f64), number: &Value<'_>| match number {
        Value::Integer(value) | Value::Duration(value) => (whole + i128::from(*value), double),
        Value::Float(value) => (whole, double + value),
        _ => (whole, double),
    };
    numbers.iter().fold((0, 0.0), add)
}

fn all_are(numbers: &[Value<'_>], is_wanted: fn(&Value<'_>) -> bool) -> bool {
    numbers.iter().all(is_wanted)
}

fn sum(numbers: &[Value<'_>]) -> Value<'static> {
    if numbers.is_empty() {
        return Value::Nil;
    }
    let (whole, double) = sums(numbers);
    match i64::try_from(whole) {
        Ok(whole) if all_are(numbers, |number| matches!(number, Value::Duration(_))) => {
            Value::Duration(whole)
        }
        Ok(whole) if all_are(numbers, |number| matches!(number, Value::Integer(_))) => Value::Integer(whole),
        _ => Value::Float(whole as f64 + double),
    }
}

/// Durations have a mean in whole nanoseconds, the fraction cut off.
fn mean(numbers: &[Value<'_>]) -> Value<'static> {
    if numbers.is_empty() {
        return Value::Nil;
    }
    let (whole, double) = sums(numbers);
    if all_are(numbers, |number| matches!(number, Value::Duration(_)))
        && let Ok(mean) = i64::try_from(whole / numbers.len() as i128)
    {
        return Value::Duration(mean);
    }
    Value::Float((whole as f64 + double) / numbers.len() as f64)
}
