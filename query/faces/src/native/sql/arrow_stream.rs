//! An answer as an Arrow IPC stream.
//!
//! String views become plain strings on the way out: several Arrow libraries still cannot read views.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::encoder::Encoder;
use meshlake_query::QueryError;

pub struct ArrowStreamEncoder {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowStreamEncoder {
    pub fn new(schema: &Schema) -> Result<Self, QueryError> {
        let fields = schema
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), portable_type(field.data_type()), field.is_nullable()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(|error| internal(&error))?;
        Ok(ArrowStreamEncoder { schema, writer })
    }

    fn portable(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)
    }
}

impl Encoder for ArrowStreamEncoder {
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let portable = self.portable(batch).map_err(|error| internal(&error))?;
        self.writer.write(&portable).map_err(|error| internal(&error))?;
        Ok(std::mem::take(self.writer.get_mut()))
    }

    fn end(mut self: Box<Self>, truncated_at: Option<usize>) -> Result<Vec<u8>, QueryError> {
        if let Some(rows_max) = truncated_at {
            return Err(QueryError::TooManyRows(rows_max));
        }
        self.writer.finish().map_err(|error| internal(&error))?;
        Ok(std::mem::take(self.writer.get_mut()))
    }
}

fn portable_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

fn internal(error: &ArrowError) -> QueryError {
    QueryError::Internal(format!("encode Arrow stream: {error}"))
}
