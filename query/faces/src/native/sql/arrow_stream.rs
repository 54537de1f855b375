//! An answer as an Arrow IPC stream.
//!
//! Views become plain strings on the way out; see `portable.rs`.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::encoder::Encoder;
use crate::portable::{portable, portable_schema};
use meshlake_query::QueryError;

pub struct ArrowStreamEncoder {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowStreamEncoder {
    pub fn new(schema: &Schema) -> Result<Self, QueryError> {
        let schema = portable_schema(schema);
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(|error| internal(&error))?;
        Ok(ArrowStreamEncoder { schema, writer })
    }
}

impl Encoder for ArrowStreamEncoder {
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let plain = portable(batch, &self.schema).map_err(|error| internal(&error))?;
        self.writer.write(&plain).map_err(|error| internal(&error))?;
        Ok(std::mem::take(self.writer.get_mut()))
    }

    fn end(mut self: Box<Self>, cut: Option<QueryError>) -> Result<Vec<u8>, QueryError> {
        if let Some(cut) = cut {
            return Err(cut);
        }
        self.writer.finish().map_err(|error| internal(&error))?;
        Ok(std::mem::take(self.writer.get_mut()))
    }
}

fn internal(error: &ArrowError) -> QueryError {
    QueryError::Internal(format!("encode Arrow stream: {error}"))
}
