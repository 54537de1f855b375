//! One input of a merge: a sorted Parquet file, read batch by batch in the columns of today.
//!
//! Strings are read as views, which point into the decoded pages: dictionaries would have to be joined anew
//! for every slice. Columns that an older file lacks are null. A file says in its footer that it is sorted
//! and which records it holds; one that does not is not ours and is left alone.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::{Row, RowConverter, Rows, SortField};
use bytes::Bytes;
use meshlake_schema::Table;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use crate::files::encode::{self, KEY_COLLECTOR, KEY_LSN_FIRST, KEY_LSN_LAST};
use crate::files::{FileError, Origin};

/// Rows read at a time. Few, because there are up to 16 inputs of 100 columns.
const BATCH_ROWS: usize = 4_096;

/// Where an input's bytes are.
pub(crate) enum InputBytes {
    /// A local file: pages are read as they are needed.
    File(File),
    /// Anything else, read whole.
    Bytes(Bytes),
}

/// A file that can be merged, not yet read.
pub(super) struct InputFile {
    source: InputBytes,
    metadata: ArrowReaderMetadata,
    origin: Origin,
}

/// One input under way: a batch, the sort keys of its rows, and the next row.
pub(super) struct Input {
    reader: ParquetRecordBatchReader,
    batch: RecordBatch,
    keys: Rows,
    next: usize,
}

/// Makes comparable keys of rows.
pub(super) struct Keys {
    converter: RowConverter,
    columns: Vec<usize>,
}

impl InputBytes {
    /// The file at `path`: opened where it lies on this machine, else read.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open(store: &dyn ObjectStore, path: &Path) -> object_store::Result<InputBytes> {
        let object = store.get(path).await?;
        match object.payload {
            GetResultPayload::File(file, _) => Ok(InputBytes::File(file)),
            GetResultPayload::Stream(_) => Ok(InputBytes::Bytes(object.bytes().await?)),
        }
    }
}

impl InputFile {
    /// Reads the footer.
    pub fn open(table: Table, source: InputBytes) -> Result<Self, FileError> {
        let metadata = match &source {
            InputBytes::File(file) => load(table, file),
            InputBytes::Bytes(bytes) => load(table, bytes),
        }?;
        let origin = checked_origin(table, metadata.metadata())?;
        Ok(InputFile { source, metadata, origin })
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    /// Reads the first batch; none of an empty file.
    pub fn start(self, schema: &SchemaRef, keys: &Keys) -> Result<Option<Input>, FileError> {
        let reader = match self.source {
            InputBytes::File(file) => reader(file, self.metadata),
            InputBytes::Bytes(bytes) => reader(bytes, self.metadata),
        }?;
        let batch = RecordBatch::new_empty(Arc::clone(schema));
        let mut input = Input { reader, keys: keys.of(&batch)?, batch, next: 0 };
        Ok(input.load(schema, keys)?.then_some(input))
    }
}

impl Input {
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// The next row of the batch.
    pub fn next(&self) -> usize {
        self.next
    }

    pub fn skip_to(&mut self, row: usize) {
        self.next = row;
    }

    pub fn is_spent(&self) -> bool {
        self.next == self.len()
    }

    /// The sort key of the next row.
    pub fn key(&self) -> Row<'_> {
        self.key_at(self.next)
    }

    pub fn key_at(&self, row: usize) -> Row<'_> {
        self.keys.row(row)
    }

    /// Reads the next batch; false at the end of the file.
    pub fn load(&mut self, schema: &SchemaRef, keys: &Keys) -> Result<bool, FileError> {
        let Some(batch) = self.reader.next().transpose()? else { return Ok(false) };
        self.batch = todays_columns(schema, &batch)?;
        self.keys = keys.of(&self.batch)?;
        self.next = 0;
        Ok(true)
    }
}

impl Keys {
    pub fn new(table: Table, schema: &Schema) -> Result<Self, FileError> {
        let columns: Vec<usize> =
            table.sort_key().iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>()?;
        let fields = columns.iter().map(|column| SortField::new(schema.field(*column).data_type().clone()));
        Ok(Keys { converter: RowConverter::new(fields.collect())?, columns })
    }

    pub fn of(&self, batch: &RecordBatch) -> Result<Rows, FileError> {
        let columns: Vec<ArrayRef> =
            self.columns.iter().map(|column| Arc::clone(batch.column(*column))).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }
}

/// The columns of the merged file: the table's, nullable where one of `files` lacks them.
pub(super) fn merged_schema(table: Table, files: &[InputFile]) -> SchemaRef {
    let fields = table.schema().fields().iter().map(|field| {
        let is_in = |file: &InputFile| file.metadata.schema().field_with_name(field.name()).is_ok();
        let is_nullable = field.is_nullable() || !files.iter().all(is_in);
        Field::new(field.name(), read_type(field.data_type()), is_nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn load<T: ChunkReader>(table: Table, file: &T) -> Result<ArrowReaderMetadata, FileError> {
    let stored = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    let wanted: HashMap<&str, &DataType> =
        table.schema().fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
    let fields = stored.schema().fields().iter().map(|field| {
        let data_type = wanted.get(field.name().as_str()).copied().ok_or_else(|| {
            FileError::Rows(format!("column {} is not known to this version", field.name()))
        })?;
        Ok(Field::new(field.name(), read_type(data_type), field.is_nullable()))
    });
    let schema = Schema::new(fields.collect::<Result<Vec<_>, FileError>>()?);
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    Ok(ArrowReaderMetadata::try_new(Arc::clone(stored.metadata()), options)?)
}

fn reader<T: ChunkReader + 'static>(
    file: T,
    metadata: ArrowReaderMetadata,
) -> Result<ParquetRecordBatchReader, FileError> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    Ok(builder.with_batch_size(BATCH_ROWS).build()?)
}

fn read_type(hot: &DataType) -> DataType {
    match hot {
        DataType::Utf8 | DataType::Dictionary(_, _) => DataType::Utf8View,
        other => other.clone(),
    }
}

fn todays_columns(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, FileError> {
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).map(Arc::clone);
        column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
}

/// The origin that the footer names, if every row group is sorted by the table's key.
fn checked_origin(table: Table, metadata: &ParquetMetaData) -> Result<Origin, FileError> {
    let sorted = encode::sorting_columns(table, metadata.file_metadata().schema_descr())?;
    let mut groups = metadata.row_groups().iter();
    if !groups.all(|group| group.sorting_columns() == Some(&sorted)) {
        return Err(FileError::Rows("the file is not sorted by the table's key".to_owned()));
    }
    let pairs = metadata.file_metadata().key_value_metadata();
    let value = |key: &str| {
        let pair = pairs?.iter().find(|pair| pair.key == key)?;
        pair.value.as_deref()
    };
    let origin = || {
        Some(Origin {
            collector_id: u128::from_str_radix(value(KEY_COLLECTOR)?, 16).ok()?,
            lsn_first: value(KEY_LSN_FIRST)?.parse().ok()?,
            lsn_last: value(KEY_LSN_LAST)?.parse().ok()?,
        })
    };
    origin().ok_or_else(|| FileError::Rows("the file does not name its records".to_owned()))
}
