//! How columns are described to a client, and the rows of SHOW.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use meshlake_query::QueryError;
use meshlake_query::postgres::{PostgresType, Scalar, shown_name};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, RowDescription};

use super::failure::Failure;
use super::settings::Settings;
use super::values::Column;

/// `typmod` of a type without a modifier.
const NO_MODIFIER: i32 = -1;

/// Columns as clients see them: named by PostgreSQL's rules where those are known.
pub fn columns_of(schema: &Schema, labels: &[Option<String>]) -> Vec<Column> {
    let labels = if labels.len() == schema.fields().len() { labels } else { &[] };
    let columns = schema.fields().iter().enumerate().map(|(place, field)| {
        let label = labels.get(place).cloned().flatten();
        Column {
            name: label.unwrap_or_else(|| shown_name(field.name()).to_owned()),
            postgres_type: PostgresType::of(field),
            is_binary: false,
        }
    });
    columns.collect()
}

/// The message that describes columns.
pub fn description(columns: &[Column]) -> PgWireBackendMessage {
    let fields = columns.iter().map(|column| {
        let Column { name, postgres_type, is_binary } = column;
        FieldDescription::new(
            name.clone(),
            0,
            0,
            postgres_type.oid(),
            postgres_type.bytes(),
            NO_MODIFIER,
            i16::from(*is_binary),
        )
    });
    PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect()))
}

/// The columns of SHOW.
///
/// # Errors
/// There is no such setting.
pub fn shown_columns(settings: &Settings, name: &str) -> Result<Vec<Column>, Failure> {
    let names = match name {
        "all" => vec!["name", "setting", "description"],
        name => vec![settings.get(name)?.0],
    };
    let postgres_type = PostgresType { scalar: Scalar::Text, is_array: false };
    let column = |name: &str| Column { name: name.to_owned(), postgres_type, is_binary: false };
    Ok(names.into_iter().map(column).collect())
}

/// The rows of SHOW.
///
/// # Errors
/// There is no such setting.
pub fn shown(settings: &Settings, name: &str) -> Result<RecordBatch, Failure> {
    let texts: Vec<Vec<&str>> = match name {
        "all" => {
            let rows: Vec<_> = settings.all().collect();
            vec![
                rows.iter().map(|row| row.0).collect(),
                rows.iter().map(|row| row.1).collect(),
                rows.iter().map(|row| row.2).collect(),
            ]
        }
        name => vec![vec![settings.get(name)?.1]],
    };
    let fields = (0..texts.len()).map(|place| Field::new(place.to_string(), DataType::Utf8, false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = texts.into_iter().map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef);
    let batch = RecordBatch::try_new(schema, arrays.collect());
    Ok(batch.map_err(|error| QueryError::Internal(error.to_string()))?)
}
