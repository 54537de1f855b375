//! Calls a function for a few rows at a time, so that it can be stopped in between.
//!
//! A pattern is compiled once a row where it is a column, and a text of 8 KiB can take a pattern a hundred milliseconds:
//! eight thousand such rows are a quarter of an hour in which nothing else is asked. How long a row takes shows only when it is
//! called, so a call begins with a few rows and goes on with twice as many while they take next to no time. What is
//! cheap is soon called for whole batches, as it was made for. Limits: one row is not interrupted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::compute::concat;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use crate::stop::Stop;

/// Rows of the first call: at the slowest row known, two seconds.
const ROWS_FIRST: usize = 16;

/// Rows of a batch, as the engine cuts them; more at once gain nothing.
const ROWS_MAX: usize = 8_192;

/// A step that takes less is doubled, one that takes [`SLOW_TIMES`] as long halved: half of what a client that has gone may
/// cost, at worst, with time to spare for a machine under load.
const STEP_TIME: Duration = Duration::from_millis(5);

const SLOW_TIMES: u32 = 8;

/// How many rows one place in a statement calls its function for.
#[derive(Debug)]
pub struct Steps(AtomicUsize);

impl Default for Steps {
    fn default() -> Self {
        Steps(AtomicUsize::new(ROWS_FIRST))
    }
}

impl Steps {
    fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn learn(&self, took: Duration) {
        let rows = self.rows();
        let next = if took < STEP_TIME {
            (rows * 2).min(ROWS_MAX)
        } else if took > STEP_TIME * SLOW_TIMES {
            (rows / 2).max(1)
        } else {
            rows
        };
        self.0.store(next, Ordering::Relaxed);
    }

    /// What `call` gives for all rows of `args`, asked for step by step; `stop` stops it.
    pub fn call(
        &self,
        args: ScalarFunctionArgs,
        stop: &Stop,
        call: impl Fn(ScalarFunctionArgs) -> Result<ColumnarValue>,
    ) -> Result<ColumnarValue> {
        stop.check()?;
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return call(args);
        }
        let (all, mut done, mut parts) = (args.number_rows, 0, Vec::new());
        loop {
            let rows = self.rows().min(all - done);
            let begun = Instant::now();
            let made = if rows == all { call(args.clone())? } else { call(slice(&args, done, rows))? };
            self.learn(begun.elapsed());
            if rows == all {
                return Ok(made);
            }
            parts.push(made.into_array(rows)?);
            done += rows;
            stop.check()?;
            if done == all {
                let parts = parts.iter().map(AsRef::as_ref).collect::<Vec<_>>();
                return Ok(ColumnarValue::Array(concat(&parts)?));
            }
        }
    }
}

fn slice(args: &ScalarFunctionArgs, from: usize, rows: usize) -> ScalarFunctionArgs {
    let mut part = args.clone();
    part.number_rows = rows;
    for argument in &mut part.args {
        if let ColumnarValue::Array(array) = argument {
            *argument = ColumnarValue::Array(array.slice(from, rows));
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type};
    use datafusion::common::ScalarValue;
    use datafusion::config::ConfigOptions;

    use super::*;

    fn numbers(rows: i64) -> ScalarFunctionArgs {
        let array: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let field = Arc::new(Field::new("n", DataType::Int64, true));
        ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(array), ColumnarValue::Scalar(ScalarValue::Int64(Some(1)))],
            arg_fields: vec![Arc::clone(&field), Arc::clone(&field)],
            number_rows: usize::try_from(rows).expect("rows are not negative"),
            return_field: field,
            config_options: Arc::new(ConfigOptions::default()),
        }
    }

    #[test]
    fn every_row_is_asked_for_once_and_in_order() {
        let (steps, seen) = (Steps::default(), Mutex::new(Vec::new()));
        let made = steps.call(numbers(1_000), &Stop::default(), |args| {
            seen.lock().expect("no panic").push(args.number_rows);
            Ok(args.args[0].clone())
        });
        let made = made.expect("an answer").into_array(1_000).expect("an array");
        assert!(made.as_primitive::<Int64Type>().values().iter().copied().eq(0..1_000));
        let seen = seen.into_inner().expect("no panic");
        assert_eq!(seen.iter().sum::<usize>(), 1_000);
        assert_eq!(seen[0], ROWS_FIRST);
    }

    #[test]
    fn steps_grow_while_they_are_quick_and_shrink_when_they_are_slow() {
        let steps = Steps::default();
        steps.learn(Duration::ZERO);
        assert_eq!(steps.rows(), 2 * ROWS_FIRST);
        steps.learn(STEP_TIME);
        assert_eq!(steps.rows(), 2 * ROWS_FIRST, "between the two bounds");
        for _ in 0..20 {
            steps.learn(STEP_TIME * SLOW_TIMES + Duration::from_nanos(1));
        }
        assert_eq!(steps.rows(), 1);
        for _ in 0..20 {
            steps.learn(Duration::ZERO);
        }
        assert_eq!(steps.rows(), ROWS_MAX);
    }

    #[test]
    fn a_call_ends_at_the_step_in_which_it_is_stopped() {
        let (stop, calls) = (Stop::default(), AtomicUsize::new(0));
        let made = Steps::default().call(numbers(1_000), &stop, |args| {
            calls.fetch_add(1, Ordering::Relaxed);
            stop.stop();
            Ok(args.args[0].clone())
        });
        assert!(made.is_err());
        assert_eq!(calls.into_inner(), 1);
    }
}
