//! Cuts batches that are longer than those of other steps.
//!
//! A window hands over a partition, and a list that becomes rows all of it, in one batch of millions of rows. Steps give way,
//! and are stopped, between batches; so what follows gets batches of the usual length. Rows are not copied.

use arrow::array::RecordBatch;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

use super::BATCH_ROWS;
use super::node::Watch;

#[derive(Debug, Clone)]
pub struct Cut;

impl Watch for Cut {
    fn name(&self) -> &'static str {
        "CutExec"
    }

    fn watch(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let cut = rows.flat_map(|batch| match batch {
            Ok(batch) => stream::iter(parts(&batch).into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, cut))
    }
}

fn parts(batch: &RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    if rows <= BATCH_ROWS {
        return vec![batch.clone()];
    }
    (0..rows).step_by(BATCH_ROWS).map(|from| batch.slice(from, BATCH_ROWS.min(rows - from))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn lengths(rows: usize) -> Vec<usize> {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1; rows]));
        let batch = RecordBatch::try_from_iter([("n", column)]).expect("a column");
        parts(&batch).iter().map(RecordBatch::num_rows).collect()
    }

    #[test]
    fn a_batch_is_cut_where_it_is_longer_than_one_may_be() {
        assert_eq!(lengths(0), [0]);
        assert_eq!(lengths(BATCH_ROWS), [BATCH_ROWS]);
        assert_eq!(lengths(2 * BATCH_ROWS + 1), [BATCH_ROWS, BATCH_ROWS, 1]);
    }
}
