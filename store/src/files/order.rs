//! Puts the rows of one file into the order of the table's sort key, ascending, nulls first.
//!
//! Arrow's own sort compares dictionary values as text at every step. Sort columns repeat a lot, so here
//! each distinct value is ranked once and rows are sorted by three integers.

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::{concat, rank};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use meshlake_schema::{Table, TableBatch};

use super::{FileError, RowIndex};

/// No table sorts by more columns.
const KEY_COLUMNS_MAX: usize = 3;

/// `rows` of `batches` in the order of [`Table::sort_key`]; equal rows keep the order they came in.
///
/// # Errors
/// [`FileError::Rows`] when the table sorts by a column whose kind has no rank, a bug of the schema.
pub(super) fn sort(
    table: Table,
    batches: &[TableBatch],
    rows: Vec<RowIndex>,
) -> Result<Vec<RowIndex>, FileError> {
    let key = table.sort_key();
    if key.len() > KEY_COLUMNS_MAX {
        return Err(FileError::Rows(format!("{} sorts by {} columns", table.name(), key.len())));
    }
    let columns: Vec<Vec<Vec<i64>>> =
        key.iter().map(|name| column_ranks(name, batches)).collect::<Result<_, _>>()?;
    let mut keyed: Vec<([i64; KEY_COLUMNS_MAX], RowIndex)> = rows
        .into_iter()
        .map(|(batch, row)| {
            let rank =
                |i| columns.get(i).map_or(0, |ranks: &Vec<Vec<i64>>| ranks[batch as usize][row as usize]);
            (std::array::from_fn(rank), (batch, row))
        })
        .collect();
    keyed.sort_unstable();
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}

/// For each batch one integer per row, ordered as the column's values are; null is the smallest.
fn column_ranks(name: &str, batches: &[TableBatch]) -> Result<Vec<Vec<i64>>, FileError> {
    let columns: Vec<&ArrayRef> = batches
        .iter()
        .map(|batch| batch.rows().column_by_name(name))
        .collect::<Option<_>>()
        .ok_or_else(|| FileError::Rows(format!("no sort column {name}")))?;
    let Some(first) = columns.first() else { return Ok(Vec::new()) };
    let integers = |values: &dyn Fn(&ArrayRef) -> Vec<i64>| {
        let with_nulls = columns.iter().map(|column| {
            let mut ranks = values(column);
            for (row, rank) in ranks.iter_mut().enumerate() {
                if column.is_null(row) {
                    *rank = i64::MIN;
                }
            }
            ranks
        });
        Ok(with_nulls.collect())
    };
    match first.data_type() {
        DataType::Int64 => integers(&|c| c.as_primitive::<Int64Type>().values().to_vec()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            integers(&|c| c.as_primitive::<TimestampMicrosecondType>().values().to_vec())
        }
        DataType::Utf8 => text_ranks(&columns),
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => dictionary_ranks(&columns),
        other => Err(FileError::Rows(format!("sort column {name} has no rank for {other}"))),
    }
}

fn text_ranks(columns: &[&ArrayRef]) -> Result<Vec<Vec<i64>>, FileError> {
    let values: Vec<_> = columns.iter().map(AsRef::as_ref).collect();
    let all = rank(concat(&values)?.as_ref(), None)?;
    let mut rest = all.as_slice();
    let ranks = columns.iter().map(|column| {
        let (of_batch, others) = rest.split_at(column.len());
        rest = others;
        of_batch.iter().copied().map(i64::from).collect()
    });
    Ok(ranks.collect())
}

fn dictionary_ranks(columns: &[&ArrayRef]) -> Result<Vec<Vec<i64>>, FileError> {
    let dictionaries: Vec<_> = columns.iter().map(|column| column.as_dictionary::<Int32Type>()).collect();
    let values: Vec<_> = dictionaries.iter().map(|dictionary| dictionary.values().as_ref()).collect();
    // Equal values get equal ranks, from 1 on, whichever dictionary they are in.
    let value_ranks = rank(concat(&values)?.as_ref(), None)?;
    let mut offset = 0;
    let mut ranks = Vec::with_capacity(columns.len());
    for dictionary in dictionaries {
        let of_batch = &value_ranks[offset..offset + dictionary.values().len()];
        offset += of_batch.len();
        let rank = |key: Option<usize>| key.map_or(0, |key| i64::from(of_batch[key]));
        ranks.push(dictionary.keys_iter().map(rank).collect());
    }
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, RecordBatch};

    use super::*;
    use crate::test_rows::span_rows;

    /// A span batch with these service names and times.
    fn spans(services: &[Option<&str>], times: &[i64]) -> TableBatch {
        let rows = span_rows(times).into_rows();
        let position = rows.schema().index_of("service_name").expect("a column");
        let mut columns = rows.columns().to_vec();
        columns[position] = Arc::new(services.iter().copied().collect::<DictionaryArray<Int32Type>>());
        let name = rows.schema().index_of("name").expect("a column");
        columns[name] =
            Arc::new(services.iter().map(|_| Some("same")).collect::<DictionaryArray<Int32Type>>());
        let rows = RecordBatch::try_new(rows.schema(), columns).expect("same types");
        TableBatch::try_new(Table::Spans, rows).expect("same columns")
    }

    #[test]
    fn values_of_different_dictionaries_are_compared_by_text() {
        let batches =
            [spans(&[Some("b"), Some("a"), None], &[3, 4, 5]), spans(&[Some("a"), Some("b")], &[1, 2])];
        let rows = vec![(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)];
        let sorted = sort(Table::Spans, &batches, rows).expect("spans sort");
        // null; a at 1, a at 4; b at 2, b at 3.
        assert_eq!(sorted, [(0, 2), (1, 0), (0, 1), (1, 1), (0, 0)]);
    }

    #[test]
    fn only_the_rows_asked_for_come_back() {
        let batches = [spans(&[Some("b"), Some("a"), Some("c")], &[1, 2, 3])];
        let sorted = sort(Table::Spans, &batches, vec![(0, 0), (0, 1)]).expect("spans sort");
        assert_eq!(sorted, [(0, 1), (0, 0)]);
    }

    #[test]
    fn plain_text_is_compared_across_batches() {
        let ids = |ids: &[&str]| {
            let rows = crate::test_rows::rows(Table::Traces, &vec![1; ids.len()]).into_rows();
            let position = rows.schema().index_of("trace_id").expect("a column");
            let mut columns = rows.columns().to_vec();
            columns[position] = Arc::new(arrow::array::StringArray::from(ids.to_vec()));
            let rows = RecordBatch::try_new(rows.schema(), columns).expect("same types");
            TableBatch::try_new(Table::Traces, rows).expect("same columns")
        };
        let batches = [ids(&["c", "a"]), ids(&["b", "a"])];
        let sorted =
            sort(Table::Traces, &batches, vec![(0, 0), (0, 1), (1, 0), (1, 1)]).expect("traces sort");
        assert_eq!(sorted, [(0, 1), (1, 1), (1, 0), (0, 0)]);
    }

    #[test]
    fn every_table_sorts() {
        for table in Table::ALL {
            let batch = crate::test_rows::rows(table, &[2, 1]);
            let sorted = sort(table, &[batch], vec![(0, 0), (0, 1)]).expect("sortable");
            assert_eq!(sorted.len(), 2, "{}", table.name());
        }
    }
}
