//! Gives back the room that columns of lists and maps have and do not use, before a step keeps them.
//!
//! Arrow makes room for a selection of lists as if each were as long as all together. A step that keeps
//! batches counts their rows: 300,000 maps that a join had repeated were 60 MB by that count and 1.6 GB of
//! the process's bound.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::node::Watch;

#[derive(Debug, Clone)]
pub struct Fitted;

impl Watch for Fitted {
    fn name(&self) -> &'static str {
        "FitExec"
    }

    fn watch(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        Box::pin(RecordBatchStreamAdapter::new(schema, rows.map(|batch| fitted(batch?))))
    }
}

/// Whether there are columns that can have too much room.
pub fn has_nested(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| field.data_type().is_nested())
}

/// The same rows. What is shared with others stays as it is.
pub fn fitted(batch: RecordBatch) -> Result<RecordBatch> {
    let (schema, mut columns, rows) = batch.into_parts();
    for column in columns.iter_mut().filter(|column| column.data_type().is_nested()) {
        column.shrink_to_fit();
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, UInt32Array};
    use arrow::compute::take;
    use meshlake_fixture::{Cell, batch, row};
    use meshlake_schema::Table;

    use super::*;

    #[test]
    fn repeated_maps_take_no_more_than_they_need() {
        let attributes = Cell::from([("a key", "a value"), ("another", "one more")].as_slice());
        let rows: Vec<_> = (0..100).map(|second| row(second, [("attributes", attributes.clone())])).collect();
        let stored = batch(Table::Spans, &rows).into_rows();
        let map = stored.column_by_name("attributes").expect("spans have attributes");
        let repeated: ArrayRef = take(map, &UInt32Array::from(vec![7; 1_000]), None).expect("rows");
        let before = repeated.get_array_memory_size();
        let batch = RecordBatch::try_from_iter([("attributes", repeated)]).expect("a column");
        let after = fitted(batch).expect("the same rows");
        // Two keys and values of 27 letters, an offset of four bytes each and for the row: 47 bytes, and bits
        // of nulls.
        let bytes = after.column(0).get_array_memory_size();
        assert!(bytes < 60_000 && bytes < before, "{bytes} of {before}");
        assert_eq!(after.num_rows(), 1_000);
    }
}
