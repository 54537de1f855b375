//! Series of numbers and times, and values repeated, bounded before they are made.
//!
//! DataFusion's `generate_series`, `range` and `array_repeat` make lists of any length of a few bytes and ask nobody for
//! the memory. How long a list gets is told by the arguments: what could make more than [`ELEMENTS_MAX`] elements in one
//! batch of rows, or more than what a function may make in bytes, is refused. As a table (`FROM generate_series(...)`)
//! the rows come as they are read and take no memory; there the bound is for the mistake of a zero too many.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_table::generate_series::GenerateSeriesFunc;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs};

use crate::error::QueryError;

/// Elements that one call may make for one batch of rows: 32 MiB of numbers.
const ELEMENTS_MAX: u64 = 4 << 20;

/// Rows of a series that is a table: a thousand times what an answer may have.
const ROWS_MAX: u64 = 100_000_000;

/// The name of the function and of the table.
pub const GENERATE_SERIES: &str = "generate_series";

/// Nanoseconds of the shortest day and month that a step can be long, for bounds that are never below the truth.
const DAY_NANOS_MIN: i128 = 23 * 3_600_000_000_000;
const MONTH_NANOS_MIN: i128 = 28 * DAY_NANOS_MIN;

/// Fails where a call of `generate_series` or `range` could make too many elements.
///
/// # Errors
/// [`QueryError::Refused`].
pub fn check_series(name: &str, args: &ScalarFunctionArgs) -> Result<()> {
    let elements = sum_of_rows(args, |row| length_of(row).unwrap_or(u64::MAX))?;
    at_most(name, elements, ELEMENTS_MAX, "elements")
}

/// Bytes that a call of `array_repeat` could make.
pub fn repeated_bytes(args: &ScalarFunctionArgs) -> Result<u64> {
    sum_of_rows(args, |row| match row {
        [value, times, ..] => {
            let times = u64::try_from(whole(times).unwrap_or_default()).unwrap_or_default();
            times.saturating_mul(value.size() as u64)
        }
        _ => 0,
    })
}

/// The sum over all rows of what `of_row` says of the arguments; constants count once.
fn sum_of_rows(args: &ScalarFunctionArgs, of_row: impl Fn(&[ScalarValue]) -> u64) -> Result<u64> {
    let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if is_constant { 1 } else { args.number_rows };
    let mut sum = 0u64;
    for row in 0..rows {
        let values = args.args.iter().map(|arg| match arg {
            ColumnarValue::Scalar(value) => Ok(value.clone()),
            ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
        });
        sum = sum.saturating_add(of_row(&values.collect::<Result<Vec<_>>>()?));
    }
    Ok(sum)
}

/// A bound on the elements of one series; none where the step says nothing about it. A null makes none.
fn length_of(arguments: &[ScalarValue]) -> Option<u64> {
    if arguments.iter().any(ScalarValue::is_null) {
        return Some(0);
    }
    let zero = ScalarValue::Int64(Some(0));
    let (start, stop, step) = match arguments {
        [stop] => (&zero, stop, None),
        [start, stop] => (start, stop, None),
        [start, stop, step, ..] => (start, stop, Some(step)),
        [] => return Some(0),
    };
    let (from, to) = (place(start)?, place(stop)?);
    let step = match step {
        None => 1,
        Some(ScalarValue::IntervalMonthDayNano(Some(step))) => nanos_min(*step),
        Some(step) => whole(step)?,
    };
    if step == 0 {
        // Refused by the function itself where it is nothing at all.
        return matches!(start.data_type(), DataType::Int64).then_some(0);
    }
    let steps = (to - from) / step;
    Some(u64::try_from((steps + 1).clamp(0, u64::MAX.into())).unwrap_or(u64::MAX))
}

/// Where a bound lies: a number, or nanoseconds since 1970.
fn place(value: &ScalarValue) -> Option<i128> {
    let instant = DataType::Timestamp(TimeUnit::Nanosecond, None);
    match value.data_type() {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            match value.cast_to(&instant).ok()? {
                ScalarValue::TimestampNanosecond(Some(nanos), _) => Some(nanos.into()),
                _ => None,
            }
        }
        text if text.is_string() => place(&value.cast_to(&DataType::Date32).ok()?),
        _ => whole(value),
    }
}

fn whole(value: &ScalarValue) -> Option<i128> {
    match value.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(Some(number)) => Some(number.into()),
        _ => None,
    }
}

/// The least that a step moves by, with its sign; 0 where its parts go against each other.
fn nanos_min(step: IntervalMonthDayNano) -> i128 {
    let parts = [
        i128::from(step.months) * MONTH_NANOS_MIN,
        i128::from(step.days) * DAY_NANOS_MIN,
        i128::from(step.nanoseconds),
    ];
    let agree = parts.iter().all(|part| *part >= 0) || parts.iter().all(|part| *part <= 0);
    if agree { parts.iter().sum() } else { 0 }
}

fn at_most(name: &str, count: u64, max: u64, what: &str) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    let message = format!("{name} could make {count} {what}, at most {max} are allowed");
    Err(QueryError::Refused(message).into())
}

/// `generate_series` in FROM.
pub fn table() -> Arc<TableFunction> {
    Arc::new(TableFunction::new(GENERATE_SERIES.to_owned(), Arc::new(BoundedSeries)))
}

#[derive(Debug)]
struct BoundedSeries;

impl TableFunctionImpl for BoundedSeries {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let values: Vec<ScalarValue> = args
            .exprs()
            .iter()
            .filter_map(|expr| match expr {
                Expr::Literal(value, _) => Some(value.clone()),
                // No constant: refused by the function itself.
                _ => None,
            })
            .collect();
        let rows = length_of(&values).unwrap_or(u64::MAX);
        at_most(GENERATE_SERIES, rows, ROWS_MAX, "rows")?;
        GenerateSeriesFunc {}.call_with_args(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: i64) -> ScalarValue {
        ScalarValue::Int64(Some(value))
    }

    fn step(months: i32, days: i32, nanoseconds: i64) -> ScalarValue {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds }))
    }

    #[test]
    fn bounds_are_never_below_the_length() {
        let hour = 3_600_000_000_000;
        let time = |nanos| ScalarValue::TimestampNanosecond(Some(nanos), None);
        let cases = [
            (vec![number(3)], Some(4)),
            (vec![number(1), number(3)], Some(3)),
            (vec![number(1), number(10), number(4)], Some(3)),
            (vec![number(10), number(1), number(-4)], Some(3)),
            (vec![number(3), number(1)], Some(0)),
            (vec![number(i64::MIN), number(i64::MAX)], Some(u64::MAX)),
            (vec![number(1), number(9), number(0)], Some(0)),
            (vec![number(1), ScalarValue::Int64(None)], Some(0)),
            (vec![time(0), time(24 * hour), step(0, 0, hour)], Some(25)),
            // A day of 23 hours fits twice into 48.
            (vec![time(0), time(48 * hour), step(0, 1, 0)], Some(3)),
            (vec![time(0), time(hour), step(1, -28, 0)], None),
        ];
        for (arguments, want) in cases {
            assert_eq!(length_of(&arguments), want, "{arguments:?}");
        }
    }
}
