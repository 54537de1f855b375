//! Rows as every Arrow library reads them: without views of strings and bytes, which the engine prefers; and as Parquet holds
//! them, which has no type for most intervals.
//!
//! Arrow for Java cannot read views at all, and readers of other languages learnt it late; what goes out over a wire
//! is copied anyway. Views inside of lists, maps and structs are replaced as well. Every value may be null as far as a
//! schema says: what is known of nulls before a statement is planned and afterwards differs, and clients that were told
//! one schema refuse an answer of another.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

/// `schema` with plain strings and bytes for views, and nulls everywhere.
pub fn portable_schema(schema: &Schema) -> SchemaRef {
    cast_schema(schema, portable_leaf)
}

/// `schema` with texts for intervals, as Parquet has none of months, days and nanoseconds.
pub fn storable_schema(schema: &Schema) -> SchemaRef {
    cast_schema(schema, storable_leaf)
}

/// `batch` as `schema`, which is what [`portable_schema`] or [`storable_schema`] makes of its own.
///
/// # Errors
/// In practice none: a view is always cast, but for a text column of more than 2 GiB.
pub fn portable(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<_, _>>()?;
    // An answer without columns still has rows.
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// What a type without types inside is to be.
type Leaf = fn(&DataType) -> DataType;

fn portable_leaf(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

fn storable_leaf(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Interval(_) => DataType::Utf8,
        other => other.clone(),
    }
}

fn cast_schema(schema: &Schema, leaf: Leaf) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| nullable(field, leaf));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn nullable(field: &FieldRef, leaf: Leaf) -> FieldRef {
    Arc::new(Field::new(field.name(), cast_type(field.data_type(), leaf), true))
}

fn cast_type(data_type: &DataType, leaf: Leaf) -> DataType {
    match data_type {
        DataType::List(element) => DataType::List(nullable(element, leaf)),
        DataType::LargeList(element) => DataType::LargeList(nullable(element, leaf)),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| nullable(field, leaf)).collect())
        }
        DataType::Map(entry, is_sorted) => DataType::Map(cast_entry(entry, leaf), *is_sorted),
        other => leaf(other),
    }
}

/// An entry of a map, which is never null, nor is its key.
fn cast_entry(entry: &FieldRef, leaf: Leaf) -> FieldRef {
    let DataType::Struct(fields) = entry.data_type() else { return Arc::clone(entry) };
    let of_entry = |(place, field): (usize, &FieldRef)| {
        Arc::new(Field::new(field.name(), cast_type(field.data_type(), leaf), place > 0))
    };
    let fields = fields.iter().enumerate().map(of_entry).collect();
    Arc::new(Field::new(entry.name(), DataType::Struct(fields), false))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, ListArray, StringViewArray};
    use arrow::buffer::OffsetBuffer;

    use super::*;

    #[test]
    fn schemas_that_differ_in_nulls_alone_become_one() {
        let schema = |can_be_null: bool| {
            let field = |name, data_type| Field::new(name, data_type, can_be_null);
            let entry = [Field::new("key", DataType::Utf8, false), field("value", DataType::Utf8View)];
            let entry = Field::new("key_value", DataType::Struct(entry.into_iter().collect()), false);
            Schema::new(vec![
                field("number", DataType::Int64),
                field("list", DataType::new_list(DataType::Utf8, can_be_null)),
                field("map", DataType::Map(Arc::new(entry), false)),
                field("row", DataType::Struct([field("x", DataType::Int64)].into_iter().collect())),
            ])
        };
        assert_ne!(schema(true), schema(false));
        assert_eq!(portable_schema(&schema(true)), portable_schema(&schema(false)));
    }

    #[test]
    fn views_become_plain_also_inside_of_lists() {
        let texts: ArrayRef =
            Arc::new(StringViewArray::from(vec![Some("a text longer than a view holds"), None]));
        let element = Arc::new(Field::new("element", DataType::Utf8View, true));
        let offsets = OffsetBuffer::from_lengths([2, 0]);
        let lists: ArrayRef = Arc::new(ListArray::new(element, offsets, Arc::clone(&texts), None));
        let batch = RecordBatch::try_from_iter([("texts", texts), ("lists", lists)]).expect("equal lengths");
        let schema = portable_schema(&batch.schema());
        let plain = portable(&batch, &schema).expect("views are cast");
        assert_eq!(plain.column(0).data_type(), &DataType::Utf8);
        assert_eq!(plain.column(0).as_string::<i32>().value(0), "a text longer than a view holds");
        let inner = plain.column(1).as_list::<i32>().value(0);
        assert_eq!(
            inner.as_string::<i32>().iter().collect::<Vec<_>>(),
            [Some("a text longer than a view holds"), None]
        );
    }
}
