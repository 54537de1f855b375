//! The columns that queries see: the open schema with string views, every column nullable.
//!
//! Strings are views because the Parquet reader then hands out slices of its decoded pages instead of copies.
//! Columns are nullable whatever the table says, because a file written before a column was added lacks it
//! and reads as null.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_schema::{PerTable, Table};

/// What a query sees of `table`: its open schema, top-level strings as `Utf8View`, `date` last.
pub fn query_schema(table: Table) -> &'static SchemaRef {
    static SCHEMAS: LazyLock<PerTable<SchemaRef>> =
        LazyLock::new(|| PerTable::of(|table| nullable(table.open_schema(), view_type)));
    &SCHEMAS[table]
}

/// What lies in a Parquet file of `table`: [`query_schema`] without the partition column.
pub fn file_schema(table: Table) -> &'static SchemaRef {
    static SCHEMAS: LazyLock<PerTable<SchemaRef>> = LazyLock::new(|| {
        PerTable::of(|table| {
            let fields = query_schema(table).fields().iter().filter(|field| field.name() != DATE_COLUMN);
            Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
        })
    });
    &SCHEMAS[table]
}

/// The hot schema of `table` with every column nullable, so that both halves of a scan agree.
pub fn hot_schema(table: Table) -> &'static SchemaRef {
    static SCHEMAS: LazyLock<PerTable<SchemaRef>> =
        LazyLock::new(|| PerTable::of(|table| nullable(table.schema(), DataType::clone)));
    &SCHEMAS[table]
}

fn nullable(schema: &Schema, type_of: impl Fn(&DataType) -> DataType) -> SchemaRef {
    let fields =
        schema.fields().iter().map(|field| Field::new(field.name(), type_of(field.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn view_type(data_type: &DataType) -> DataType {
    if *data_type == DataType::Utf8 { DataType::Utf8View } else { data_type.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_see_views_files_lack_the_date_and_all_is_nullable() {
        for table in Table::ALL {
            let seen = query_schema(table);
            assert_eq!(seen.fields().len(), file_schema(table).fields().len() + 1);
            assert_eq!(file_schema(table).fields().len(), hot_schema(table).fields().len());
            assert!(seen.fields().iter().all(|f| f.is_nullable() && *f.data_type() != DataType::Utf8));
        }
    }
}
