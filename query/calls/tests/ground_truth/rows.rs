//! Rows as batches of the hot schema of their table, cut anywhere, in any order.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use meshlake_schema::{Kind, Table, TableBatch};

use crate::random::Random;
use crate::telemetry::{Row, Value};

/// The rows of one story.
pub struct Rows {
    pub requests: Vec<RecordBatch>,
    pub spans: Vec<RecordBatch>,
}

/// The rows of one table, shuffled and cut into batches.
pub fn batches(table: Table, rows: &[Row], random: &mut Random) -> Vec<RecordBatch> {
    let mut rows: Vec<&Row> = rows.iter().filter(|row| row.table == table).collect();
    random.shuffle(&mut rows);
    let mut batches = Vec::new();
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(1 + random.below(rows.len())));
        batches.push(batch(table, &rows));
        rows = rest;
    }
    batches
}

fn batch(table: Table, rows: &[&Row]) -> RecordBatch {
    let columns = table.columns().iter().map(|column| {
        let values: Vec<Option<&Value>> = rows.iter().map(|row| row.get(column.name)).collect();
        array(column.kind, column.nullable, &values)
    });
    let unknown = rows.iter().flat_map(|row| row.values.keys());
    for name in unknown {
        assert!(table.columns().iter().any(|column| column.name == *name), "{name} is a column");
    }
    let batch = RecordBatch::try_new(Arc::clone(table.schema()), columns.collect());
    let batch = batch.expect("arrays are of the column's kind");
    TableBatch::try_new(table, batch).expect("the batch was made from the table's columns").rows().clone()
}

fn array(kind: Kind, nullable: bool, values: &[Option<&Value>]) -> ArrayRef {
    if nullable && values.iter().all(Option::is_none) {
        return new_null_array(&kind.hot_type(), values.len());
    }
    let ints = || {
        values.iter().map(|value| match value {
            Some(Value::Int(int)) => Some(*int),
            _ => (!nullable).then_some(0),
        })
    };
    match kind {
        Kind::Text | Kind::Dictionary => {
            let texts = values.iter().map(|value| match value {
                Some(Value::Text(text)) => Some(text.as_str()),
                _ => (!nullable).then_some(""),
            });
            cast(&StringArray::from_iter(texts), &kind.hot_type()).expect("strings become dictionaries")
        }
        Kind::Int32 => Arc::new(Int32Array::from_iter(ints().map(|int| int.map(|int| int as i32)))),
        Kind::Int64 => Arc::new(Int64Array::from_iter(ints())),
        Kind::Timestamp => Arc::new(TimestampMicrosecondArray::from_iter(ints()).with_timezone("UTC")),
        Kind::Float64 => Arc::new(Float64Array::from_iter(values.iter().map(|value| match value {
            Some(Value::Float(float)) => Some(*float),
            _ => (!nullable).then_some(0.0),
        }))),
        Kind::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|value| match value {
            Some(Value::Bool(value)) => Some(*value),
            _ => (!nullable).then_some(false),
        }))),
        Kind::Attributes => attributes(values),
        Kind::Links => links(values),
        other => empty_lists(&other.hot_type(), values.len()),
    }
}

fn attributes(values: &[Option<&Value>]) -> ArrayRef {
    let maps: Vec<&[(String, String)]> = values
        .iter()
        .map(|value| match value {
            Some(Value::Attributes(entries)) => entries.as_slice(),
            _ => &[],
        })
        .collect();
    let DataType::Map(entry, sorted) = Kind::Attributes.hot_type() else { panic!("attributes are a map") };
    let DataType::Struct(fields) = entry.data_type() else { panic!("map entries are structs") };
    let (keys, texts): (Vec<_>, Vec<_>) = maps.iter().flat_map(|map| map.iter().cloned()).unzip();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys)), Arc::new(StringArray::from(texts))];
    let entries = StructArray::new(fields.clone(), columns, None);
    let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.len()));
    Arc::new(MapArray::new(entry, offsets, entries, None, sorted))
}

fn links(values: &[Option<&Value>]) -> ArrayRef {
    let lists: Vec<&[(u128, u64)]> = values
        .iter()
        .map(|value| match value {
            Some(Value::Links(links)) => links.as_slice(),
            _ => &[],
        })
        .collect();
    let DataType::List(element) = Kind::Links.hot_type() else { panic!("links are lists") };
    let DataType::Struct(fields) = element.data_type() else { panic!("links are structs") };
    let all: Vec<(u128, u64)> = lists.iter().flat_map(|list| list.iter().copied()).collect();
    let columns = fields.iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "trace_id" => {
                Arc::new(StringArray::from_iter_values(all.iter().map(|(trace, _)| format!("{trace:032x}"))))
            }
            "span_id" => {
                Arc::new(StringArray::from_iter_values(all.iter().map(|(_, span)| format!("{span:016x}"))))
            }
            _ => filler(field.data_type(), field.is_nullable(), all.len()),
        }
    });
    let structs = StructArray::new(fields.clone(), columns.collect(), None);
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
    Arc::new(ListArray::new(element, offsets, Arc::new(structs), None))
}

/// A column of a nested field that no test is about.
fn filler(kind: &DataType, nullable: bool, rows: usize) -> ArrayRef {
    match kind {
        kind if nullable => new_null_array(kind, rows),
        DataType::Map(..) => attributes(&vec![None; rows]),
        DataType::Int64 => Arc::new(Int64Array::from(vec![0; rows])),
        kind => cast(&StringArray::from(vec![""; rows]), kind).expect("texts are texts"),
    }
}

fn empty_lists(list: &DataType, rows: usize) -> ArrayRef {
    let DataType::List(element) = list else { panic!("nested columns are lists") };
    let values = new_empty_array(element.data_type());
    Arc::new(ListArray::new(Arc::clone(element), OffsetBuffer::new_zeroed(rows), values, None))
}
