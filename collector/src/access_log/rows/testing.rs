//! Rows of `requests` as tests read them.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Int32Type, Int64Type};
use meshlake_schema::TableBatch;
use meshlake_schema::attributes::map_to_json;
use serde_json::Value;

use crate::request_rows::RequestBuilder;

/// Rows as JSON objects, by the names of their columns; nulls and times beside the exact one are left out.
pub(crate) fn rows(builder: &mut RequestBuilder) -> Vec<Value> {
    let rows = builder.finish().map(|batch| (0..batch.row_count()).map(|row| row_of(&batch, row)).collect());
    rows.unwrap_or_default()
}

fn row_of(batch: &TableBatch, row: usize) -> Value {
    let mut members = serde_json::Map::new();
    let columns = batch.table().columns().iter().zip(batch.rows().columns());
    for (column, array) in columns.filter(|(_, array)| array.is_valid(row)) {
        let value = if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
            let key = dictionary.keys().value(row) as usize;
            dictionary.values().as_string::<i32>().value(key).into()
        } else if let Some(texts) = array.as_string_opt::<i32>() {
            texts.value(row).into()
        } else if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
            numbers.value(row).into()
        } else if let Some(numbers) = array.as_primitive_opt::<Int32Type>() {
            numbers.value(row).into()
        } else if let Some(flags) = array.as_boolean_opt() {
            flags.value(row).into()
        } else if let Some(map) = array.as_map_opt() {
            let entries = map.value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            let pairs = (0..entries.len()).map(|entry| (keys.value(entry), values.value(entry)));
            let types = batch.rows().column_by_name("attribute_types").expect("a column");
            let types = types.as_dictionary::<Int32Type>();
            let types = types.values().as_string::<i32>().value(types.keys().value(row) as usize);
            map_to_json(pairs, types).into()
        } else {
            continue;
        };
        members.insert(column.name.to_owned(), value);
    }
    members.into()
}
