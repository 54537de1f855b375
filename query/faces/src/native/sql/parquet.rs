//! An answer as one Parquet file.
//!
//! Row groups are sent as they fill, so at most one is in memory; the footer comes last.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::encoder::Encoder;
use crate::portable::{portable, storable_schema};
use meshlake_query::QueryError;

pub struct ParquetEncoder {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
}

impl ParquetEncoder {
    /// # Errors
    /// [`QueryError::Invalid`] for columns that Parquet has no type for.
    pub fn new(schema: &SchemaRef) -> Result<Self, QueryError> {
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let schema = storable_schema(schema);
        let writer = ArrowWriter::try_new(Vec::new(), SchemaRef::clone(&schema), Some(properties));
        let unsupported = |error| QueryError::Invalid(format!("the answer does not fit Parquet: {error}"));
        Ok(ParquetEncoder { writer: writer.map_err(unsupported)?, schema })
    }
}

impl Encoder for ParquetEncoder {
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let batch = portable(batch, &self.schema).map_err(|error| internal(&error.into()))?;
        self.writer.write(&batch).map_err(|error| internal(&error))?;
        // The writer counts its own offsets, so what is complete can leave.
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    fn end(mut self: Box<Self>, cut: Option<QueryError>) -> Result<Vec<u8>, QueryError> {
        if let Some(cut) = cut {
            return Err(cut);
        }
        self.writer.finish().map_err(|error| internal(&error))?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }
}

fn internal(error: &ParquetError) -> QueryError {
    QueryError::Internal(format!("encode Parquet: {error}"))
}
