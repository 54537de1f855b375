//! A batch that is proven to fit its table.
//!
//! Every stage after decoding takes a `TableBatch`, so none of them checks column order or types
//! again: the WAL can frame it, the buffer can join it, Parquet can write it.

use arrow::array::RecordBatch;
use thiserror::Error;

use crate::tables::Table;

/// Why a batch does not fit its table. Always a bug of the producer, never of the sender of data.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// The columns are not exactly those of the table.
    #[error("batch for table {table} has other columns: {difference}")]
    Columns { table: &'static str, difference: String },
}

/// Rows of one table, in the table's hot schema ([`Table::schema`]).
#[derive(Debug, Clone)]
pub struct TableBatch {
    table: Table,
    rows: RecordBatch,
}

impl TableBatch {
    /// Proves that `rows` has exactly the columns of `table`: names, order, types, nullability.
    ///
    /// # Errors
    /// [`BatchError::Columns`] names the first difference.
    pub fn try_new(table: Table, rows: RecordBatch) -> Result<Self, BatchError> {
        let (want, have) = (table.schema(), rows.schema());
        if want.fields() == have.fields() {
            return Ok(TableBatch { table, rows });
        }
        let difference = (0..want.fields().len().max(have.fields().len()))
            .map(|i| (want.fields().get(i), have.fields().get(i)))
            .find(|(want, have)| want != have)
            .map(|(want, have)| format!("want {want:?}, have {have:?}"))
            .unwrap_or_default();
        Err(BatchError::Columns { table: table.name(), difference })
    }

    pub fn table(&self) -> Table {
        self.table
    }

    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    pub fn row_count(&self) -> usize {
        self.rows.num_rows()
    }

    /// Bytes of memory that the batch's buffers hold, spare capacity included.
    pub fn memory_bytes(&self) -> usize {
        self.rows.get_array_memory_size()
    }

    pub fn into_rows(self) -> RecordBatch {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch, new_empty_array};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_tables_own_columns_fit() {
        for table in Table::ALL {
            let batch = RecordBatch::new_empty(table.schema().clone());
            assert!(TableBatch::try_new(table, batch).is_ok(), "{}", table.name());
        }
    }

    #[test]
    fn another_type_is_refused_and_named() {
        let schema = Table::Ledger.schema();
        let mut columns: Vec<_> = schema.fields().iter().map(|f| new_empty_array(f.data_type())).collect();
        let last = columns.len() - 1;
        columns[0] = Arc::new(Int64Array::from(Vec::<i64>::new()));
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        fields.swap(0, last);
        columns.swap(0, last);
        columns[0] = new_empty_array(fields[0].data_type());
        columns[last] = new_empty_array(fields[last].data_type());
        let rows = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)
            .expect("columns match their own schema");
        let error = TableBatch::try_new(Table::Ledger, rows).expect_err("columns are swapped");
        assert!(error.to_string().contains("tenant"), "{error}");
    }
}
