//! Values of columns in the two formats of the protocol.
//!
//! Columns first take one layout for each type of PostgreSQL, by Arrow's own casts: what then has to be written is a
//! dozen layouts and not four dozen.

mod text;
mod binary;
mod numbers;
mod times;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use arrow::util::display::FormatOptions;
use bytes::{BufMut as _, BytesMut};
use meshlake_query::QueryError;
use meshlake_query::postgres::{PostgresType, Scalar};
use std::sync::Arc;

pub use binary::numeric_text;
pub use times::push_date;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub postgres_type: PostgresType,
    /// Whether its values are sent in the binary format.
    pub is_binary: bool,
}

/// The columns of a batch, each in the layout that its type is written from.
///
/// # Errors
/// [`QueryError::Invalid`] for a value that its type cannot hold.
pub fn laid_out(batch: &RecordBatch, columns: &[Column]) -> Result<Vec<ArrayRef>, QueryError> {
    let arrays = batch.columns().iter().zip(columns).map(|(array, column)| {
        let Some(layout) = layout_of(column.postgres_type) else { return Ok(Arc::clone(array)) };
        if *array.data_type() == layout {
            return Ok(Arc::clone(array));
        }
        let options = CastOptions { safe: false, format_options: FormatOptions::default() };
        cast_with_options(array, &layout, &options)
            .map_err(|error| QueryError::Invalid(format!("column {}: {error}", column.name)))
    });
    arrays.collect()
}

/// None for documents, which are written from whatever they are.
fn layout_of(postgres_type: PostgresType) -> Option<DataType> {
    let one = match postgres_type.scalar {
        Scalar::Bool => DataType::Boolean,
        Scalar::Int2 => DataType::Int16,
        Scalar::Int4 | Scalar::Oid => DataType::Int32,
        Scalar::Int8 => DataType::Int64,
        Scalar::Float4 => DataType::Float32,
        Scalar::Float8 => DataType::Float64,
        Scalar::Char | Scalar::Name | Scalar::Text | Scalar::Numeric => DataType::Utf8View,
        Scalar::Bytea => DataType::Binary,
        Scalar::Date => DataType::Date32,
        Scalar::Time => DataType::Time64(TimeUnit::Microsecond),
        Scalar::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        Scalar::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Scalar::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        Scalar::Int2vector => list_of(DataType::Int16),
        Scalar::Oidvector => list_of(DataType::Int32),
        Scalar::Jsonb => return None,
    };
    Some(match postgres_type.is_array {
        true => list_of(one),
        false => one,
    })
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}

/// Appends row `row` as a message of its own.
///
/// ```text
/// 'D' | length i32, itself included | number of columns i16 | of each: length i32, -1 for null | value
/// ```
pub fn push_row(out: &mut BytesMut, arrays: &[ArrayRef], columns: &[Column], row: usize) {
    out.put_u8(b'D');
    let start = out.len();
    out.put_u32(0);
    out.put_u16(u16::try_from(arrays.len()).unwrap_or(u16::MAX));
    for (array, column) in arrays.iter().zip(columns) {
        push_sized(out, array.as_ref(), row, column.postgres_type, column.is_binary);
    }
    set_length(out, start, 0);
}

/// Appends a value after its length; a null has -1 and no value.
pub fn push_sized(
    out: &mut BytesMut,
    array: &dyn Array,
    row: usize,
    postgres_type: PostgresType,
    is_binary: bool,
) {
    // A column of nothing but nulls may have a layout that says so by its type alone.
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.put_i32(-1);
        return;
    }
    let start = out.len();
    out.put_u32(0);
    if is_binary {
        binary::push(out, array, row, postgres_type);
    } else {
        text::push(out, array, row, postgres_type);
    }
    set_length(out, start, 4);
}

/// Appends a value in the text format, without its length; it is not null.
pub fn push_text(out: &mut BytesMut, array: &dyn Array, row: usize, postgres_type: PostgresType) {
    text::push(out, array, row, postgres_type);
}

/// Writes at `start` how many bytes have come since, less `own`.
fn set_length(out: &mut BytesMut, start: usize, own: usize) {
    let length = u32::try_from(out.len() - start - own).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A document, as JSON; what is text already is a document as it is.
fn json(array: &dyn Array, row: usize) -> String {
    match array.data_type() {
        DataType::Utf8 => return array.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => return array.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => return array.as_string_view().value(row).to_owned(),
        _ => {}
    }
    let mut json = String::new();
    crate::cells::push_value(&mut json, array, row);
    json
}

/// The text of a column of texts.
fn text_at(array: &dyn Array, row: usize) -> &str {
    array.as_string_view().value(row)
}

#[cfg(test)]
mod tests;
