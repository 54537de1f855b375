//! One table batch as Arrow IPC messages without their schema message, and back.
//!
//! The schema message of a wide table is several KiB and never changes, so it is kept apart and stored
//! once per segment. Each batch gets an encoder of its own: one that is reused leaves out dictionaries
//! that it has sent before, and then no record could be read without its predecessors. What an older
//! version wrote is brought to today's columns: one that was added since is null.
//!
//! Limits: no compression; columns that this version does not know are an error, for dropping them
//! would lose data silently after a downgrade.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, MutableArrayData, RecordBatch, make_array, new_null_array,
};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use meshlake_schema::{BatchError, PerTable, Table, TableBatch};
use thiserror::Error;

use crate::wal::format::ALIGNMENT;
use crate::wal::little_endian::u32_at;

/// Continuation marker and length of zero, with which a stream ends.
const END_OF_STREAM_BYTES: usize = 8;

/// Why the bytes of a batch do not give one.
#[derive(Debug, Error)]
pub enum BatchBytesError {
    #[error("arrow ipc: {0}")]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Columns(#[from] BatchError),
    #[error("column {0} is not known to this version of meshlake")]
    UnknownColumn(String),
    #[error("column {0} is missing and may not be null")]
    MissingColumn(String),
    #[error("the messages hold {0} record batches instead of one")]
    Count(usize),
    #[error("the arrow reader panicked")]
    Panicked,
}

/// A table's schema as an Arrow IPC message.
pub struct SchemaMessage {
    /// CRC-32C of `bytes`: the same columns have the same id in every segment and process.
    pub id: u32,
    pub bytes: Vec<u8>,
}

/// The message of today's columns of `table`.
pub fn schema_message(table: Table) -> &'static SchemaMessage {
    static MESSAGES: LazyLock<PerTable<SchemaMessage>> = LazyLock::new(|| {
        PerTable::of(|table| {
            let stream = encoder(table.schema())
                .and_then(StreamEncoder::finish)
                .expect("every type of our tables has an IPC form");
            let mut bytes = joined(&stream);
            bytes.truncate(bytes.len() - END_OF_STREAM_BYTES);
            SchemaMessage { id: crc32c::crc32c(&bytes), bytes }
        })
    });
    &MESSAGES[table]
}

fn encoder(schema: &SchemaRef) -> Result<StreamEncoder, ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    StreamEncoder::try_new_with_options(schema, options)
}

fn joined(buffers: &[Buffer]) -> Vec<u8> {
    buffers.iter().flat_map(Buffer::as_slice).copied().collect()
}

/// Appends the dictionary and record batch messages of `batch` to `out`.
///
/// # Errors
/// A batch that Arrow's 32-bit message lengths cannot express.
pub fn encode_batch(batch: &TableBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let mut schema_bytes = schema_message(batch.table()).bytes.len();
    for buffer in encoder(batch.table().schema())?.encode(batch.rows())? {
        // The schema message comes first, in several pieces.
        let skipped = schema_bytes.min(buffer.len());
        schema_bytes -= skipped;
        out.extend_from_slice(&buffer.as_slice()[skipped..]);
    }
    Ok(())
}

/// Reads the one batch in `messages`, which were written for the columns of `schema_message`.
///
/// The batch holds memory of its own: arrays that point into the record would keep all of it alive, and
/// would count all of it once per column where memory is measured.
///
/// # Errors
/// Anything but what [`encode_batch`] of this or an earlier version wrote. Never panics, though Arrow's
/// reader may on bytes that are not its own.
pub fn decode_batch(
    table: Table,
    schema_message: &Buffer,
    messages: Buffer,
) -> Result<TableBatch, BatchBytesError> {
    let rows = catch_unwind(AssertUnwindSafe(|| read_one(schema_message, messages)))
        .map_err(|_| BatchBytesError::Panicked)??;
    let rows = with_columns_of(table.schema(), &rows)?;
    Ok(TableBatch::try_new(table, rows)?)
}

fn read_one(schema_message: &Buffer, mut messages: Buffer) -> Result<RecordBatch, BatchBytesError> {
    let mut decoder = StreamDecoder::new();
    decoder.decode(&mut schema_message.clone())?;
    let mut batches = Vec::new();
    while !messages.is_empty() {
        batches.extend(decoder.decode(&mut messages)?);
    }
    decoder.finish()?;
    let count = batches.len();
    batches.pop().filter(|_| count == 1).ok_or(BatchBytesError::Count(count))
}

/// Brings `rows` to `schema`: columns in its order, missing ones null, others cast.
fn with_columns_of(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, BatchBytesError> {
    for field in rows.schema_ref().fields() {
        if schema.index_of(field.name()).is_err() {
            return Err(BatchBytesError::UnknownColumn(field.name().clone()));
        }
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match rows.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => own_memory(column)?,
            Some(column) => cast(column, field.data_type())?,
            None if field.is_nullable() => new_null_array(field.data_type(), rows.num_rows()),
            None => return Err(BatchBytesError::MissingColumn(field.name().clone())),
        });
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The same values in buffers that belong to this array alone.
fn own_memory(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    // Copying a dictionary array as a whole would still share the dictionary.
    if matches!(column.data_type(), DataType::Dictionary(key, _) if **key == DataType::Int32) {
        let dictionary = column.as_dictionary::<Int32Type>();
        let keys = copied(dictionary.keys())?;
        let values = copied(dictionary.values().as_ref())?;
        return Ok(Arc::new(DictionaryArray::try_new(keys.as_primitive::<Int32Type>().clone(), values)?));
    }
    copied(column.as_ref())
}

fn copied(array: &dyn Array) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data();
    let mut copy = MutableArrayData::new(vec![&data], false, data.len());
    copy.try_extend(0, 0, data.len())?;
    Ok(make_array(copy.freeze()))
}

/// True when `bytes` can be a schema message: checked before it is trusted for a whole segment.
pub fn is_schema_message(bytes: &[u8], schema_id: u32) -> bool {
    bytes.len() >= END_OF_STREAM_BYTES && u32_at(bytes, 0) == u32::MAX && crc32c::crc32c(bytes) == schema_id
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, new_empty_array};
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::wal::fixture::batch_of;

    fn encoded(batch: &TableBatch) -> Buffer {
        let mut bytes = Vec::new();
        encode_batch(batch, &mut bytes).expect("encode");
        Buffer::from_vec(bytes)
    }

    fn todays_schema(table: Table) -> Buffer {
        Buffer::from(schema_message(table).bytes.as_slice())
    }

    #[test]
    fn every_table_comes_back_as_written() {
        for table in Table::ALL {
            for rows in [1, 5] {
                let batch = batch_of(table, rows, 7);
                let read = decode_batch(table, &todays_schema(table), encoded(&batch)).expect("decode");
                assert_eq!(read.rows(), batch.rows(), "{}", table.name());
            }
        }
    }

    #[test]
    fn a_sliced_batch_comes_back_as_its_slice() {
        let rows = batch_of(Table::Spans, 9, 3).into_rows().slice(2, 5);
        let batch = TableBatch::try_new(Table::Spans, rows).expect("a slice has the same columns");
        let read = decode_batch(Table::Spans, &todays_schema(Table::Spans), encoded(&batch)).expect("decode");
        assert_eq!(read.rows(), batch.rows());
    }

    #[test]
    fn messages_are_padded_to_the_alignment() {
        for table in Table::ALL {
            assert!(encoded(&batch_of(table, 3, 1)).len().is_multiple_of(ALIGNMENT), "{}", table.name());
            assert!(schema_message(table).bytes.len().is_multiple_of(ALIGNMENT), "{}", table.name());
        }
    }

    #[test]
    fn a_batch_does_not_keep_the_record_alive() {
        let batch = batch_of(Table::Spans, 5, 7);
        let mut record = Vec::with_capacity(1 << 20);
        encode_batch(&batch, &mut record).expect("encode");
        record.resize(1 << 20, 0);
        let messages = Buffer::from_vec(record).slice_with_length(0, encoded(&batch).len());
        let read = decode_batch(Table::Spans, &todays_schema(Table::Spans), messages).expect("decode");
        assert!(read.memory_bytes() < 1 << 20, "{} bytes", read.memory_bytes());
    }

    #[test]
    fn a_column_added_since_is_null() {
        let table = Table::Logs;
        let batch = batch_of(table, 4, 2);
        let added = table.schema().fields().iter().position(|f| f.is_nullable()).expect("a nullable column");
        let keep: Vec<usize> = (0..batch.rows().num_columns()).filter(|i| *i != added).collect();
        let older = batch.rows().project(&keep).expect("project");
        let mut bytes = Vec::new();
        let old_schema = joined(&encoder(&older.schema()).and_then(StreamEncoder::finish).expect("encode"));
        let old_schema = &old_schema[..old_schema.len() - END_OF_STREAM_BYTES];
        let stream = joined(&encoder(&older.schema()).and_then(|mut e| e.encode(&older)).expect("encode"));
        bytes.extend_from_slice(&stream[old_schema.len()..]);
        let read = decode_batch(table, &Buffer::from(old_schema), Buffer::from_vec(bytes)).expect("decode");
        assert_eq!(read.rows().column(added).null_count(), 4);
        assert_eq!(read.rows().project(&keep).expect("project"), older);
    }

    #[test]
    fn an_unknown_column_is_refused_by_name() {
        let newer = Arc::new(Schema::new(vec![Field::new("from_the_future", DataType::Utf8, true)]));
        let column: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let rows = RecordBatch::try_new(newer, vec![column]).expect("one column");
        let error = with_columns_of(Table::Logs.schema(), &rows).expect_err("logs have no such column");
        assert_eq!(error.to_string(), "column from_the_future is not known to this version of meshlake");
    }

    #[test]
    fn a_missing_required_column_is_refused_by_name() {
        let field = Table::Ledger.schema().field(1).clone();
        let column = new_empty_array(field.data_type());
        let rows =
            RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).expect("one column");
        let error = with_columns_of(Table::Ledger.schema(), &rows).expect_err("the tenant is missing");
        assert!(matches!(error, BatchBytesError::MissingColumn(name) if name == "tenant"));
    }

    #[test]
    fn damaged_messages_are_an_error_and_never_a_panic() {
        let table = Table::Ledger;
        let good = encoded(&batch_of(table, 2, 5));
        for at in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[at] ^= 0xff;
            // A flipped value is not noticed here, the record's checksum is there for that.
            let _ = decode_batch(table, &todays_schema(table), Buffer::from_vec(bytes));
            let cut = good.slice_with_length(0, at);
            assert!(decode_batch(table, &todays_schema(table), cut).is_err(), "cut at {at}");
        }
    }
}
