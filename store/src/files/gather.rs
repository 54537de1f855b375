//! Reads one column's values of chosen rows across the batches of a flush, slice by slice.
//!
//! Arrow's `interleave` does this for every type. Two are done elsewhere: dictionaries here, as it would join those of the
//! batches anew for every slice, at a cost of batches times rows; and attributes in `text_maps`, as it would copy every entry
//! by itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, DictionaryArray, Int32Array, StringArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Int32Type};
use hashbrown::HashMap;
use meshlake_schema::TableBatch;

use super::dictionary::NULL;
use super::text_maps::TextMaps;
use super::{FileError, RowIndex};

/// One column of all batches, ready to be read in any order of rows.
pub(super) enum Column<'a> {
    /// No row has a value, as in most optional columns: nothing needs to be read.
    Null(&'a DataType),
    Plain(Vec<&'a dyn Array>),
    Maps(TextMaps<'a>),
    Dictionary {
        /// Each distinct value once.
        values: ArrayRef,
        /// Per batch: its keys, and where each of its values is in `values`.
        keys: Vec<(&'a Int32Array, Vec<i32>)>,
    },
}

impl<'a> Column<'a> {
    /// # Errors
    /// [`FileError::Rows`] for more than 2^31 distinct values.
    pub fn new(batches: &'a [TableBatch], position: usize) -> Result<Self, FileError> {
        let columns: Vec<&'a dyn Array> =
            batches.iter().map(|batch| batch.rows().column(position).as_ref()).collect();
        let Some(data_type) = columns.first().map(|column| column.data_type()) else {
            return Ok(Column::Plain(columns));
        };
        if columns.iter().all(|column| column.null_count() == column.len()) {
            return Ok(Column::Null(data_type));
        }
        match data_type {
            DataType::Dictionary(_, value) if **value == DataType::Utf8 => merge(&columns),
            _ => Ok(TextMaps::of(&columns).map_or(Column::Plain(columns), Column::Maps)),
        }
    }

    /// The values of `rows`, in their order.
    pub fn gather(&self, rows: &[RowIndex]) -> Result<ArrayRef, FileError> {
        match self {
            Column::Null(data_type) => Ok(new_null_array(data_type, rows.len())),
            Column::Plain(columns) => {
                let indices: Vec<(usize, usize)> =
                    rows.iter().map(|(batch, row)| (*batch as usize, *row as usize)).collect();
                Ok(interleave(columns, &indices)?)
            }
            Column::Maps(maps) => maps.gather(rows),
            Column::Dictionary { values, keys } => {
                let keys = gather_keys(keys, rows);
                Ok(Arc::new(DictionaryArray::try_new(keys, Arc::clone(values))?))
            }
        }
    }

    /// The values of a dictionary, and the keys of `rows` into them; [`NULL`] for a row without one. None for a
    /// column of another kind.
    pub fn gather_keys(&self, rows: &[RowIndex]) -> Option<(&StringArray, Vec<u32>)> {
        let Column::Dictionary { values, keys } = self else { return None };
        let has_nulls = keys.iter().any(|(keys, _)| keys.null_count() > 0);
        // Who sends, and how, is the same in all rows of many a flush, and looking keys up leads all over its batches.
        if values.len() == 1 && !has_nulls {
            return Some((values.as_string(), vec![0; rows.len()]));
        }
        let key = |(batch, row): &RowIndex| {
            let (keys, places) = &keys[*batch as usize];
            let is_null = has_nulls && keys.is_null(*row as usize);
            if is_null { NULL } else { places[keys.value(*row as usize) as usize].cast_unsigned() }
        };
        Some((values.as_string(), rows.iter().map(key).collect()))
    }
}

fn gather_keys(keys: &[(&Int32Array, Vec<i32>)], rows: &[RowIndex]) -> Int32Array {
    let place = |batch: u32, row: u32| {
        let (keys, places) = &keys[batch as usize];
        places[keys.value(row as usize) as usize]
    };
    if keys.iter().all(|(keys, _)| keys.null_count() == 0) {
        return rows.iter().map(|(batch, row)| place(*batch, *row)).collect::<Vec<_>>().into();
    }
    let is_valid = |batch: u32, row: u32| keys[batch as usize].0.is_valid(row as usize);
    rows.iter().map(|(batch, row)| is_valid(*batch, *row).then(|| place(*batch, *row))).collect()
}

fn merge<'a>(columns: &[&'a dyn Array]) -> Result<Column<'a>, FileError> {
    let mut distinct: HashMap<&str, i32> = HashMap::new();
    let mut texts: Vec<&str> = Vec::new();
    let mut keys = Vec::with_capacity(columns.len());
    for column in columns {
        let dictionary = column.as_dictionary::<Int32Type>();
        let values = dictionary.values().as_string::<i32>();
        let mut places = Vec::with_capacity(values.len());
        for value in values {
            // A null inside a dictionary's values is never pointed at by a valid key of ours.
            let value = value.unwrap_or_default();
            let next = i32::try_from(texts.len())
                .map_err(|_| FileError::Rows(format!("{} distinct values in a column", texts.len())))?;
            places.push(*distinct.entry(value).or_insert_with(|| {
                texts.push(value);
                next
            }));
        }
        keys.push((dictionary.keys(), places));
    }
    Ok(Column::Dictionary { values: Arc::new(StringArray::from_iter_values(texts)), keys })
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use meshlake_schema::Table;

    use super::*;
    use crate::test_rows::rows;

    #[test]
    fn every_kind_of_column_comes_back_in_the_order_asked_for() {
        for table in Table::ALL {
            let batches = [rows(table, &[1, 2]), rows(table, &[3, 4, 5])];
            for position in 0..table.columns().len() {
                let column = Column::new(&batches, position).expect("few values");
                let got = column.gather(&[(1, 2), (0, 1), (1, 2)]).expect("rows exist");
                let want = |batch: usize, row| batches[batch].rows().column(position).slice(row, 1);
                let name = table.columns()[position].name;
                for (i, row) in [want(1, 2), want(0, 1), want(1, 2)].into_iter().enumerate() {
                    assert_eq!(
                        format!("{:?}", plain(&got.slice(i, 1))),
                        format!("{:?}", plain(&row)),
                        "{name}"
                    );
                }
            }
        }
    }

    fn plain(column: &ArrayRef) -> ArrayRef {
        match column.data_type() {
            DataType::Dictionary(_, value) => arrow::compute::cast(column, value).expect("to text"),
            _ => column.clone(),
        }
    }

    /// Keys lead to the texts of their rows, be there one text in all of them, one or none, or two.
    #[test]
    fn keys_are_those_of_the_rows() {
        let schema = Table::Requests.schema();
        let position = schema.index_of("authority").expect("a column that may be null");
        let batch = |texts: [Option<&str>; 2]| {
            let plain = rows(Table::Requests, &[1, 2]);
            let mut columns = plain.rows().columns().to_vec();
            columns[position] = Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>());
            let batch = RecordBatch::try_new(Arc::clone(schema), columns).expect("of the table's types");
            TableBatch::try_new(Table::Requests, batch).expect("of the table")
        };
        let [a, b] = [Some("a"), Some("b")];
        for texts in [[[a, a], [a, a]], [[a, None], [a, a]], [[a, a], [b, b]], [[b, a], [None, b]]] {
            let batches = texts.map(batch);
            let column = Column::new(&batches, position).expect("few values");
            let (values, keys) = column.gather_keys(&[(1, 0), (0, 1), (1, 1)]).expect("a dictionary");
            let read = keys.iter().map(|key| (*key != NULL).then(|| values.value(*key as usize)));
            assert_eq!(read.collect::<Vec<_>>(), [texts[1][0], texts[0][1], texts[1][1]]);
        }
    }

    #[test]
    fn a_value_in_two_dictionaries_is_kept_once() {
        let batches = [rows(Table::Ledger, &[1; 6]), rows(Table::Ledger, &[1; 6])];
        let Column::Dictionary { values, .. } = Column::new(&batches, 0).expect("few values") else {
            panic!("tenant is a dictionary");
        };
        // Text columns of test rows have three distinct values.
        assert_eq!(values.len(), 3);
    }
}
