//! Adds up ledger rows before they become a file.
//!
//! In the log a ledger row rides with every group, hundreds a second; on disk one row per window and kind
//! says the same, because totals are sums. Rows are equal in kind when all columns but `time` and
//! `records` are; the sum stands at the earliest time of its window.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::interleave;
use arrow::datatypes::Int64Type;
use arrow::row::{RowConverter, SortField};
use meshlake_schema::time::WINDOW_MICROS;
use meshlake_schema::{Table, TableBatch};

use super::FileError;
use super::window::times;

/// One row per window and kind.
#[derive(Debug, Clone, Copy)]
struct Sum {
    /// A row of this kind: batch and row.
    row: (usize, usize),
    time_micros: i64,
    records: i64,
}

/// One batch that says what `batches` say.
///
/// # Errors
/// [`FileError::Arrow`] only for columns that do not compare, which the ledger does not have.
pub(super) fn coalesce(batches: &[TableBatch]) -> Result<TableBatch, FileError> {
    let sums = sums(batches)?;
    let rows: Vec<(usize, usize)> = sums.iter().map(|sum| sum.row).collect();
    let schema = Table::Ledger.schema();
    let columns = schema.fields().iter().enumerate().map(|(i, field)| match field.name().as_str() {
        "records" => Ok(Arc::new(Int64Array::from_iter_values(sums.iter().map(|s| s.records))) as ArrayRef),
        "time" => {
            let times = sums.iter().map(|sum| sum.time_micros);
            Ok(Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef)
        }
        _ => {
            let columns: Vec<_> = batches.iter().map(|batch| batch.rows().column(i).as_ref()).collect();
            interleave(&columns, &rows)
        }
    });
    let rows = RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)?;
    TableBatch::try_new(Table::Ledger, rows).map_err(|error| FileError::Rows(error.to_string()))
}

/// In the order in which the kinds were first seen.
fn sums(batches: &[TableBatch]) -> Result<Vec<Sum>, FileError> {
    let is_kind = |name: &str| name != "time" && name != "records";
    let fields = Table::Ledger.schema().fields().iter();
    let kinds = fields.filter(|f| is_kind(f.name())).map(|f| SortField::new(f.data_type().clone()));
    let converter = RowConverter::new(kinds.collect())?;
    let mut places: HashMap<(i64, Box<[u8]>), usize> = HashMap::new();
    let mut sums: Vec<Sum> = Vec::new();
    for (batch_index, batch) in batches.iter().enumerate() {
        let schema = batch.rows().schema_ref();
        let columns = batch.rows().columns().iter().zip(schema.fields());
        let columns: Vec<ArrayRef> =
            columns.filter(|(_, f)| is_kind(f.name())).map(|(column, _)| Arc::clone(column)).collect();
        let kinds = converter.convert_columns(&columns)?;
        let records = batch.rows().column_by_name("records").expect("the ledger has a column `records`");
        let records = records.as_primitive::<Int64Type>().values();
        for (row, time_micros) in times(batch).iter().copied().enumerate() {
            let key = (time_micros.div_euclid(WINDOW_MICROS), kinds.row(row).as_ref().into());
            let place = *places.entry(key).or_insert_with(|| {
                sums.push(Sum { row: (batch_index, row), time_micros, records: 0 });
                sums.len() - 1
            });
            let sum = &mut sums[place];
            sum.records = sum.records.saturating_add(records[row]);
            sum.time_micros = sum.time_micros.min(time_micros);
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use arrow::array::Array as _;

    use super::*;
    use crate::test_rows::{MIDNIGHT, ledger_rows, rows};

    fn total(batch: &TableBatch) -> i64 {
        let records = batch.rows().column_by_name("records").expect("a column");
        records.as_primitive::<Int64Type>().values().iter().sum()
    }

    #[test]
    fn rows_of_other_kinds_stay_apart() {
        // Three kinds by construction: text columns repeat every three rows.
        let many = rows(Table::Ledger, &[MIDNIGHT; 9]);
        let one = coalesce(std::slice::from_ref(&many)).expect("ledger columns compare");
        assert_eq!(total(&one), total(&many));
        // `reason` is null every third row too, which is the row of kind 0: still three kinds.
        assert_eq!(one.row_count(), 3);
        assert_eq!(one.rows().column_by_name("reason").expect("a column").null_count(), 1);
    }

    #[test]
    fn windows_stay_apart() {
        let batches = [ledger_rows(&[(MIDNIGHT - 1, 1), (MIDNIGHT, 2)]), ledger_rows(&[(MIDNIGHT + 1, 4)])];
        let one = coalesce(&batches).expect("ledger columns compare");
        assert_eq!(times(&one), [MIDNIGHT - 1, MIDNIGHT]);
        assert_eq!(total(&one), 7);
    }
}
