//! The columns that queries see: the open schema with string views, every column nullable.
//!
//! Strings are views because the Parquet reader then hands out slices of its decoded pages instead of copies.
//! Columns are nullable whatever the table says, because a file written before a column was added lacks it
//! and reads as null. Who looks at each text once and not once a row asks for columns as dictionaries: where a file
//! holds a column as one, it is handed out as it is.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_schema::{Kind, PerTable, Table};

use crate::lean::Lean;

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

/// What one reader sees of a table, and of its files.
#[derive(Debug, Clone)]
pub struct Seen {
    pub query: SchemaRef,
    pub files: SchemaRef,
    is_lean: bool,
}

impl Seen {
    /// As SQL sees `table`.
    pub fn of(table: Table) -> Self {
        Seen { query: Arc::clone(query_schema(table)), files: Arc::clone(file_schema(table)), is_lean: false }
    }

    /// The same in the forms that `lean` asks for.
    pub fn lean(table: Table, lean: &Lean<'_>) -> Self {
        let Seen { query, files, .. } = Seen::of(table);
        Seen { query: lean.schema(&query), files: lean.schema(&files), is_lean: true }
    }

    /// Whether it is not as SQL sees it.
    pub fn is_lean(&self) -> bool {
        self.is_lean
    }

    /// `schema`, which is a file's, with the columns as dictionaries that are to be seen as such.
    pub fn of_file(&self, schema: &Schema) -> Schema {
        let is_dictionary = |field: &Field| matches!(field.data_type(), DataType::Dictionary(..));
        let seen = self.files.fields().iter().filter(|field| is_dictionary(field));
        let dictionaries: Vec<&str> = seen.map(|field| field.name().as_str()).collect();
        with_forms(schema, &Lean { dictionaries: &dictionaries, nested: &[] })
    }
}

/// The hot schema of `table` with every column nullable, so that both halves of a scan agree.
pub fn hot_schema(table: Table) -> &'static SchemaRef {
    static SCHEMAS: LazyLock<PerTable<SchemaRef>> =
        LazyLock::new(|| PerTable::of(|table| nullable(table.schema(), DataType::clone)));
    &SCHEMAS[table]
}

impl Lean<'_> {
    fn schema(&self, schema: &Schema) -> SchemaRef {
        Arc::new(with_forms(schema, self))
    }

    fn form(&self, field: &Field) -> Option<DataType> {
        let is_text = matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View);
        if is_text && self.dictionaries.contains(&field.name().as_str()) {
            return Some(Kind::Dictionary.hot_type());
        }
        let (_, wanted) = self.nested.iter().find(|(name, _)| name == field.name())?;
        let DataType::List(element) = field.data_type() else { return None };
        let DataType::Struct(fields) = element.data_type() else { return None };
        let fields = fields.iter().filter(|field| wanted.contains(&field.name().as_str())).cloned();
        let element = element.as_ref().clone().with_data_type(DataType::Struct(fields.collect()));
        Some(DataType::List(Arc::new(element)))
    }
}

fn with_forms(schema: &Schema, lean: &Lean<'_>) -> Schema {
    let fields = schema.fields().iter().map(|field| match lean.form(field) {
        Some(form) => Arc::new(field.as_ref().clone().with_data_type(form)),
        None => Arc::clone(field),
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
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

    fn type_of(schema: &Schema, name: &str) -> DataType {
        schema.field_with_name(name).expect("it has the column").data_type().clone()
    }

    #[test]
    fn a_lean_reader_sees_the_forms_that_it_asks_for() {
        let lean = Lean { dictionaries: &["name", "kind"], nested: &[("links", &["span_id"])] };
        let seen = Seen::lean(Table::Spans, &lean);
        let dictionary = Kind::Dictionary.hot_type();
        for schema in [&seen.query, &seen.files] {
            assert_eq!(type_of(schema, "name"), dictionary);
            assert_eq!(type_of(schema, "kind"), DataType::Int32, "no text");
            assert_eq!(type_of(schema, "outcome"), DataType::Utf8View);
            let DataType::List(link) = type_of(schema, "links") else { panic!("a list") };
            let DataType::Struct(fields) = link.data_type() else { panic!("of structs") };
            assert_eq!(fields.iter().map(|field| field.name()).collect::<Vec<_>>(), ["span_id"]);
        }
    }

    #[test]
    fn a_file_is_read_as_dictionaries_where_it_has_the_columns() {
        let seen = Seen::lean(Table::Spans, &Lean { dictionaries: &["name"], nested: &[] });
        let file = ["name", "x"].map(|name| Field::new(name, DataType::Utf8, false));
        let file = seen.of_file(&Schema::new(file.to_vec()));
        assert_eq!(type_of(&file, "name"), Kind::Dictionary.hot_type());
        assert_eq!(type_of(&file, "x"), DataType::Utf8);
    }

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
