//! Rows for this crate's tests: every column of a table filled by its kind, so that no test has to name
//! fifty columns to say what matters to it, which is the time.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, MapArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type};
use meshlake_schema::{Column, Kind, Table, TableBatch};

use crate::wal::fixture;

/// 2026-11-23T00:00:00Z in microseconds: day 20,780 (`date -d 2026-11-23 +%s` / 86,400).
pub(crate) const MIDNIGHT: i64 = 20_780 * 86_400 * 1_000_000;

/// One span per time (microseconds); text columns tell rows apart, nullable ones are null every third row.
pub(crate) fn span_rows(times: &[i64]) -> TableBatch {
    rows(Table::Spans, times)
}

/// One ledger row per (time in microseconds, records), all of one tenant and event.
pub(crate) fn ledger_rows(changes: &[(i64, i64)]) -> TableBatch {
    let times: Vec<i64> = changes.iter().map(|(time, _)| *time).collect();
    let same: ArrayRef =
        Arc::new(std::iter::repeat_n("same", times.len()).collect::<DictionaryArray<Int32Type>>());
    let records: ArrayRef = Arc::new(Int64Array::from_iter_values(changes.iter().map(|(_, n)| *n)));
    let columns = Table::Ledger.columns().iter().map(|column| match (column.name, column.kind) {
        ("records", _) => Arc::clone(&records),
        (_, Kind::Dictionary) => Arc::clone(&same),
        _ => column_of(column, &times),
    });
    batch(Table::Ledger, columns.collect())
}

/// One row of `table` per time (microseconds).
pub(crate) fn rows(table: Table, times: &[i64]) -> TableBatch {
    batch(table, table.columns().iter().map(|column| column_of(column, times)).collect())
}

fn batch(table: Table, columns: Vec<ArrayRef>) -> TableBatch {
    let rows = RecordBatch::try_new(table.schema().clone(), columns).expect("columns fit the schema");
    TableBatch::try_new(table, rows).expect("columns are the table's")
}

fn column_of(column: &Column, times: &[i64]) -> ArrayRef {
    let value = |i: usize| (!column.nullable || !i.is_multiple_of(3)).then_some(i);
    let count = times.len();
    let text = |distinct: usize| {
        let texts: Vec<Option<String>> =
            (0..count).map(|i| value(i).map(|i| format!("{}-{}", column.name, i % distinct))).collect();
        texts
    };
    match column.kind {
        Kind::Text => Arc::new(StringArray::from(text(usize::MAX))),
        Kind::Dictionary => {
            Arc::new(text(3).iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
        }
        Kind::Timestamp => Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")),
        Kind::Int64 if column.name == "time_unix_nano" => {
            Arc::new(Int64Array::from_iter_values(times.iter().map(|time| time * 1_000)))
        }
        Kind::Int64 => Arc::new((0..count).map(|i| value(i).map(|i| i as i64)).collect::<Int64Array>()),
        Kind::Int32 => Arc::new((0..count).map(|i| value(i).map(|i| i as i32)).collect::<Int32Array>()),
        Kind::Float64 => {
            Arc::new((0..count).map(|i| value(i).map(|i| i as f64 / 2.0)).collect::<Float64Array>())
        }
        Kind::Boolean => Arc::new((0..count).map(|i| value(i).map(|i| i % 2 == 0)).collect::<BooleanArray>()),
        Kind::Attributes => attributes(&column.kind.hot_type(), count),
        Kind::TextList
        | Kind::Int64List
        | Kind::Float64List
        | Kind::Events
        | Kind::Links
        | Kind::Exemplars
        | Kind::Quantiles => {
            let field = Field::new(column.name, column.kind.hot_type(), column.nullable);
            fixture::column(&Arc::new(field), count, 0)
        }
    }
}

/// Row `i` has one attribute: `key` = `value-i`.
fn attributes(data_type: &DataType, count: usize) -> ArrayRef {
    let DataType::Map(entry, sorted) = data_type else { panic!("attributes are a map") };
    let DataType::Struct(fields) = entry.data_type() else { panic!("map entries are a struct") };
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n("key", count)));
    let values: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|i| format!("value-{i}"))));
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(1, count));
    Arc::new(MapArray::new(Arc::clone(entry), offsets, entries, None, *sorted))
}
