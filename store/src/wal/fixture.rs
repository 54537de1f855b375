//! Batches of any table, with values that depend on a seed, for tests of the log.
//!
//! They are made from the schema, so that a table or column added later is tested without another line.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, MapArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Int32Type};
use meshlake_schema::{Table, TableBatch};

use crate::group::{ExportEntry, Group};

/// `rows` rows; where the column allows it every third value is null.
pub fn batch_of(table: Table, rows: usize, seed: usize) -> TableBatch {
    let schema = table.schema();
    let columns = schema.fields().iter().enumerate().map(|(i, field)| column(field, rows, seed + i));
    let batch = RecordBatch::try_new(schema.clone(), columns.collect()).expect("columns fit the schema");
    TableBatch::try_new(table, batch).expect("the table's own schema")
}

/// One batch of the narrowest table and one export, told apart from other groups by `seed`.
pub fn group_of(rows: usize, seed: usize) -> Group {
    let export = ExportEntry { hash: seed as u128, rows: vec![(Table::Ledger, rows as u32)] };
    Group { batches: vec![batch_of(Table::Ledger, rows, seed)], exports: vec![export] }
}

/// One column of any type; lists and maps have none, one or two entries.
pub fn column(field: &FieldRef, rows: usize, seed: usize) -> ArrayRef {
    let is_null = |row: usize| field.is_nullable() && (row + seed).is_multiple_of(3);
    let number = |row: usize| (!is_null(row)).then_some((row * 31 + seed) as i64);
    let text = |row: usize| number(row).map(|n| format!("value {}", n % 4));
    let nulls = || NullBuffer::from((0..rows).map(|row| !is_null(row)).collect::<Vec<_>>());
    let offsets = || OffsetBuffer::from_lengths((0..rows).map(|row| (row + seed) % 3));
    let element_count = || (0..rows).map(|row| (row + seed) % 3).sum::<usize>();
    match field.data_type() {
        DataType::Utf8 => Arc::new((0..rows).map(text).collect::<StringArray>()),
        DataType::Dictionary(_, _) => {
            let texts: Vec<Option<String>> = (0..rows).map(text).collect();
            let values = texts.iter().map(Option::as_deref);
            Arc::new(values.collect::<DictionaryArray<Int32Type>>())
        }
        DataType::Int32 => {
            Arc::new((0..rows).map(|row| number(row).map(|n| n as i32)).collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new((0..rows).map(number).collect::<Int64Array>()),
        DataType::Float64 => {
            Arc::new((0..rows).map(|row| number(row).map(|n| n as f64 / 3.0)).collect::<Float64Array>())
        }
        DataType::Boolean => {
            Arc::new((0..rows).map(|row| number(row).map(|n| n % 2 == 0)).collect::<BooleanArray>())
        }
        DataType::Timestamp(_, zone) => {
            let times = (0..rows).map(number).collect::<TimestampMicrosecondArray>();
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        DataType::Struct(fields) => {
            let children = fields.iter().enumerate().map(|(i, field)| column(field, rows, seed + i));
            Arc::new(StructArray::new(fields.clone(), children.collect(), None))
        }
        DataType::List(element) => {
            let values = column(element, element_count(), seed);
            Arc::new(ListArray::new(element.clone(), offsets(), values, Some(nulls())))
        }
        DataType::Map(entry, _) => {
            let values = column(entry, element_count(), seed);
            let entries = StructArray::from(values.to_data());
            Arc::new(MapArray::new(entry.clone(), offsets(), entries, Some(nulls()), false))
        }
        other => panic!("no fixture for {other}"),
    }
}
