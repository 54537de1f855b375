//! Hands on so few rows at once that the next step, which makes more of them, stays within its bounds.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

use super::node::Watch;
use super::{BATCH_ROWS, CONSTANT_BYTES_MAX, ROW_BYTES_MAX};
use crate::error::QueryError;
use crate::weight::{Texts, array_bytes, batch_bytes, widest_row};

/// Bytes that one step may copy of one batch: as much as the widest rows of a join take.
const COPIED_BYTES_MAX: usize = BATCH_ROWS * ROW_BYTES_MAX;

/// What the next step makes of its rows.
#[derive(Debug, Clone)]
pub enum Step {
    /// It reads each column so often, and each time may write it again.
    Copies(Vec<usize>),
    /// It repeats rows, a batch of them at a time or as long as the lists of these columns are.
    Repeats(Vec<usize>),
    /// Its one row becomes a constant of another step.
    Constant,
}

#[derive(Debug, Clone)]
pub struct Narrow(pub Step);

impl Watch for Narrow {
    fn name(&self) -> &'static str {
        "NarrowExec"
    }

    fn watch(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (schema, step) = (rows.schema(), self.0.clone());
        let cut = rows.flat_map(move |batch| stream::iter(cut(batch, &step)));
        Box::pin(RecordBatchStreamAdapter::new(schema, cut))
    }
}

fn cut(batch: Result<RecordBatch>, step: &Step) -> Vec<Result<RecordBatch>> {
    let parts = batch.and_then(|batch| {
        let mut parts = Vec::new();
        halve(batch, step, &mut parts).map(|()| parts)
    });
    match parts {
        Ok(parts) => parts.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// Halves `batch` until each part is fit for the step.
fn halve(batch: RecordBatch, step: &Step, parts: &mut Vec<RecordBatch>) -> Result<()> {
    let (bytes, max) = step.weigh(&batch);
    let rows = batch.num_rows();
    if bytes <= max {
        parts.push(batch);
        return Ok(());
    }
    // Fewer rows at once help only where rows are copied, or become more rows by themselves.
    if rows == 1 || !step.adds_up() {
        let message =
            format!("rows of up to {bytes} bytes cannot be repeated or copied, at most {max} are allowed");
        return Err(QueryError::Refused(message).into());
    }
    halve(batch.slice(0, rows / 2), step, parts)?;
    halve(batch.slice(rows / 2, rows - rows / 2), step, parts)
}

impl Step {
    /// What the batch weighs in this step, and what it may.
    fn weigh(&self, batch: &RecordBatch) -> (usize, usize) {
        match self {
            Step::Copies(uses) => {
                let columns = batch.columns().iter().zip(uses).filter(|(_, uses)| **uses > 0);
                let copied = columns.map(|(column, uses)| array_bytes(column, Texts::Copied) * uses);
                (copied.fold(0, usize::saturating_add), COPIED_BYTES_MAX)
            }
            Step::Repeats(lists) => {
                let longest = lists.iter().map(|list| longest_list(batch.column(*list))).max();
                let times = longest.unwrap_or_default().div_ceil(BATCH_ROWS).max(1);
                let others = (0..batch.num_columns()).filter(|column| !lists.contains(column));
                let others = batch.project(&others.collect::<Vec<_>>());
                let max = ROW_BYTES_MAX / times;
                // All rows together are no lighter than the widest of them.
                let widest = others.map(|others| match batch_bytes(&others, Texts::Shared) {
                    all if all <= max => all,
                    _ => widest_row(&others, Texts::Shared),
                });
                (widest.unwrap_or(usize::MAX), max)
            }
            Step::Constant => (batch_bytes(batch, Texts::Copied), CONSTANT_BYTES_MAX),
        }
    }

    fn adds_up(&self) -> bool {
        matches!(self, Step::Copies(_))
    }
}

fn longest_list(array: &Arc<dyn Array>) -> usize {
    let rows = 0..array.len();
    let length = |row| match array.data_type() {
        arrow::datatypes::DataType::LargeList(_) => {
            usize::try_from(array.as_list::<i64>().value_length(row)).unwrap_or(usize::MAX)
        }
        arrow::datatypes::DataType::List(_) => {
            usize::try_from(array.as_list::<i32>().value_length(row)).unwrap_or(usize::MAX)
        }
        arrow::datatypes::DataType::FixedSizeList(_, length) => {
            usize::try_from(*length).unwrap_or(usize::MAX)
        }
        _ => 0,
    };
    rows.map(length).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn texts(rows: usize, bytes: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(bytes); rows]));
        RecordBatch::try_from_iter([("text", column)]).expect("one column")
    }

    fn rows_of(batch: RecordBatch, step: &Step) -> Result<Vec<usize>> {
        let parts = cut(Ok(batch), step).into_iter();
        parts.map(|part| part.map(|part| part.num_rows())).collect()
    }

    #[test]
    fn rows_that_a_join_repeats_are_as_wide_as_they_may_be_and_no_wider() {
        let step = Step::Repeats(Vec::new());
        // Two offsets of four bytes stand beside a text.
        let widest = ROW_BYTES_MAX - 8;
        assert_eq!(rows_of(texts(3, widest), &step).expect("just fits"), [3]);
        assert!(rows_of(texts(3, widest + 1), &step).is_err());
    }

    #[test]
    fn what_is_copied_often_goes_a_few_rows_at_a_time() {
        let row = 4 << 20;
        let step = Step::Copies(vec![30]);
        // Thirty copies of 4 MiB are 120 MiB, of which two fit into 256.
        assert_eq!(rows_of(texts(8, row), &step).expect("by pairs"), [2, 2, 2, 2]);
        let step = Step::Copies(vec![100]);
        assert!(rows_of(texts(8, row), &step).is_err(), "one alone is too much");
    }

    #[test]
    fn what_stands_beside_a_list_is_repeated_as_often_as_it_is_long() {
        let list = |length: i64| {
            let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some((0..length).map(Some))]);
            let text = StringArray::from(vec!["x".repeat(ROW_BYTES_MAX / 2)]);
            let columns: [(&str, ArrayRef); 2] = [("list", Arc::new(list)), ("text", Arc::new(text))];
            RecordBatch::try_from_iter(columns).expect("one row")
        };
        let step = Step::Repeats(vec![0]);
        assert!(rows_of(list(8_192), &step).is_ok());
        assert!(rows_of(list(16_385), &step).is_err(), "three batches of half of what one may take");
    }

    #[test]
    fn a_value_that_becomes_a_constant_is_short() {
        assert!(rows_of(texts(1, CONSTANT_BYTES_MAX - 8), &Step::Constant).is_ok());
        assert!(rows_of(texts(1, CONSTANT_BYTES_MAX), &Step::Constant).is_err());
        let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let number = RecordBatch::try_from_iter([("number", number)]).expect("one column");
        assert_eq!(rows_of(number, &Step::Constant).expect("a number"), [1]);
    }
}
