//! One group as a record, and back.
//!
//! The payload is encoded before the record's place is known, for its length decides whether it still fits
//! into the segment; the header is filled in last. Encoding reuses one buffer, and the record leaves it in
//! a single write: gathering Arrow's buffers with `pwritev` would save one copy of a MiB, about a
//! hundredth of what the sync costs.

use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use meshlake_schema::{Table, TableBatch};
use thiserror::Error;

use crate::group::{ExportEntry, Group, Lsn};
use crate::wal::batch::{BatchBytesError, decode_batch, encode_batch, is_schema_message, schema_message};
use crate::wal::format::{
    ALIGNMENT, ENTRY_HEADER_BYTES, EntryKind, FormatError, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES,
    RecordHeader, RowCounts, TABLE_SLOTS, log_id,
};
use crate::wal::little_endian::{u16_at, u32_at, u128_at};

const EXPORT_BYTES: usize = 24;
const REQUEST_TABLE_BYTES: usize = 8;

/// Why a group has no record.
#[derive(Debug, Error)]
pub enum EncodeError {
    #[error("encode table {table}: {source}")]
    Arrow { table: &'static str, source: ArrowError },
    #[error("a group of {0} bytes is larger than a record may be")]
    TooLarge(u64),
}

/// Why a record whose checksum is right has no group.
#[derive(Debug, Error)]
pub enum DecodeError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("table {table}: {source}")]
    Batch { table: &'static str, source: BatchBytesError },
    /// The record that brought the schema is damaged.
    #[error("table {table} has rows of schema {schema_id:08x}, which no record before brought")]
    SchemaMissing { table: &'static str, schema_id: u32 },
    #[error("the payload has {found} entries, its header says {declared}")]
    EntryCount { declared: u32, found: u32 },
}

/// The tables whose schema message is in the segment already, one bit per table id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredTables(u16);
const _: () = assert!(TABLE_SLOTS <= u16::BITS as usize);

impl StoredTables {
    /// Adds `table`; true when it was not there.
    fn insert(&mut self, table: Table) -> bool {
        let bit = 1 << log_id(table);
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }
}

/// Where and when a record is written.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub seed: u32,
    pub epoch: u32,
    pub lsn: Lsn,
    pub durable_lsn: Lsn,
    pub rows_before: &'a RowCounts,
}

/// Memory that is kept from one record to the next. Groups have some 4 MiB; one of a single export of the largest size
/// has hundreds, and is rare.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// A record in the making: room for the header, then the payload.
#[derive(Debug, Default)]
pub struct RecordBuffer {
    bytes: Vec<u8>,
    entry_count: u32,
}

impl RecordBuffer {
    /// Encodes `group` in place of what was there. `stored` gains the tables whose schema message went
    /// into the payload.
    ///
    /// # Errors
    /// [`EncodeError`]: a group that no record can hold; trying again cannot help.
    pub fn encode(&mut self, group: &Group, stored: &mut StoredTables) -> Result<(), EncodeError> {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.bytes.resize(RECORD_HEADER_BYTES, 0);
        self.entry_count = 0;
        for batch in &group.batches {
            let (table, schema) = (batch.table(), schema_message(batch.table()));
            if stored.insert(table) {
                let kind = EntryKind::Schema { table, schema_id: schema.id };
                self.entry(kind, |out| out.extend_from_slice(&schema.bytes));
            }
            let mut encoded = Ok(());
            let kind = EntryKind::Batch { table, schema_id: schema.id };
            self.entry(kind, |out| encoded = encode_batch(batch, out));
            encoded.map_err(|source| EncodeError::Arrow { table: table.name(), source })?;
        }
        self.entry(EntryKind::Exports, |out| encode_exports(&group.exports, out));
        match (self.bytes.len() - RECORD_HEADER_BYTES) as u64 {
            payload_bytes if payload_bytes > PAYLOAD_BYTES_MAX => Err(EncodeError::TooLarge(payload_bytes)),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, kind: EntryKind, contents: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.resize(start + ENTRY_HEADER_BYTES, 0);
        contents(&mut self.bytes);
        let length = self.bytes.len() - start - ENTRY_HEADER_BYTES;
        self.bytes[start..start + ENTRY_HEADER_BYTES].copy_from_slice(&kind.encode(length));
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        self.entry_count += 1;
    }

    /// Fills in the header.
    pub fn place(&mut self, place: Place<'_>) {
        let payload = &self.bytes[RECORD_HEADER_BYTES..];
        let header = RecordHeader {
            payload_checksum: crc32c::crc32c_append(place.seed, payload),
            epoch: place.epoch,
            lsn: place.lsn,
            durable_lsn: place.durable_lsn,
            payload_bytes: payload.len() as u64,
            rows_before: *place.rows_before,
            entry_count: self.entry_count,
        };
        self.bytes[..RECORD_HEADER_BYTES].copy_from_slice(&header.encode(place.seed));
    }

    /// The record: header and payload.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The record with `count` zeros behind it; they stay until the next [`RecordBuffer::encode`].
    pub fn bytes_and_zeros(&mut self, count: usize) -> &[u8] {
        self.bytes.resize(self.bytes.len() + count, 0);
        &self.bytes
    }
}

fn encode_exports(exports: &[ExportEntry], out: &mut Vec<u8>) {
    for export in exports {
        out.extend_from_slice(&export.hash.to_le_bytes());
        out.extend_from_slice(&(export.rows.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for (table, rows) in &export.rows {
            out.extend_from_slice(&log_id(*table).to_le_bytes());
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&rows.to_le_bytes());
        }
    }
}

fn decode_exports(mut bytes: &[u8]) -> Result<Vec<ExportEntry>, FormatError> {
    let mut exports = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) =
            bytes.split_at_checked(EXPORT_BYTES).ok_or(FormatError::Truncated("an export entry"))?;
        let table_bytes = u32_at(head, 16) as usize * REQUEST_TABLE_BYTES;
        let (tables, rest) =
            rest.split_at_checked(table_bytes).ok_or(FormatError::Truncated("an export entry"))?;
        let rows = tables.chunks_exact(REQUEST_TABLE_BYTES).map(|entry| {
            let id = u16_at(entry, 0);
            Ok((Table::from_log_id(id).ok_or(FormatError::Table(id))?, u32_at(entry, 4)))
        });
        exports.push(ExportEntry { hash: u128_at(head, 0), rows: rows.collect::<Result<_, _>>()? });
        bytes = rest;
    }
    Ok(exports)
}

/// The schema messages that a segment's records have brought so far.
#[derive(Default)]
pub struct StoredSchemas {
    messages: Vec<(Table, u32, Buffer)>,
}

impl StoredSchemas {
    /// Reads the payload of a record whose checksum is right, and keeps the schemas that it brings.
    ///
    /// # Errors
    /// [`DecodeError::SchemaMissing`] after damage earlier in the segment; anything else is the work of a
    /// newer version or a bug.
    pub fn decode(&mut self, payload: &Buffer, entry_count: u32) -> Result<Group, DecodeError> {
        let mut group = Group::default();
        let (mut at, mut found) = (0, 0);
        while at < payload.len() {
            let (kind, length) = EntryKind::decode(&payload.as_slice()[at..])?;
            let start = at + ENTRY_HEADER_BYTES;
            let contents = payload.slice_with_length(start, length);
            match kind {
                EntryKind::Schema { table, schema_id } => self.keep(table, schema_id, &contents)?,
                EntryKind::Batch { table, schema_id } => {
                    group.batches.push(self.batch(table, schema_id, contents)?);
                }
                EntryKind::Exports => group.exports.extend(decode_exports(&contents)?),
            }
            at = start + length.next_multiple_of(ALIGNMENT);
            found += 1;
        }
        match found == entry_count {
            true => Ok(group),
            false => Err(DecodeError::EntryCount { declared: entry_count, found }),
        }
    }

    fn keep(&mut self, table: Table, schema_id: u32, message: &Buffer) -> Result<(), FormatError> {
        if !is_schema_message(message, schema_id) {
            return Err(FormatError::Range { what: "schema id", value: schema_id.into() });
        }
        if self.find(table, schema_id).is_none() {
            // A copy: the record that the slice points into must not stay in memory.
            self.messages.push((table, schema_id, Buffer::from(message.as_slice())));
        }
        Ok(())
    }

    fn find(&self, table: Table, schema_id: u32) -> Option<&Buffer> {
        let matches = |stored: &&(Table, u32, Buffer)| (stored.0, stored.1) == (table, schema_id);
        self.messages.iter().find(matches).map(|(_, _, message)| message)
    }

    fn batch(&self, table: Table, schema_id: u32, contents: Buffer) -> Result<TableBatch, DecodeError> {
        let todays = schema_message(table);
        let message = match self.find(table, schema_id) {
            Some(message) => message.clone(),
            None if schema_id == todays.id => Buffer::from(todays.bytes.as_slice()),
            None => return Err(DecodeError::SchemaMissing { table: table.name(), schema_id }),
        };
        decode_batch(table, &message, contents)
            .map_err(|source| DecodeError::Batch { table: table.name(), source })
    }
}

/// Rows per table in `batches`.
pub fn row_counts(batches: &[TableBatch]) -> RowCounts {
    let mut rows = RowCounts::default();
    for batch in batches {
        rows[usize::from(log_id(batch.table()))] += batch.row_count() as u64;
    }
    rows
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;
    use crate::wal::fixture::{batch_of, group_of};

    fn record(group: &Group, stored: &mut StoredTables) -> (RecordHeader, Buffer) {
        let mut record = RecordBuffer::default();
        record.encode(group, stored).expect("encode");
        let rows_before = RowCounts::default();
        record.place(Place { seed: 9, epoch: 1, lsn: 4, durable_lsn: 3, rows_before: &rows_before });
        let header = RecordHeader::decode(record.bytes(), 9).expect("the header is in place");
        (header, Buffer::from(&record.bytes()[RECORD_HEADER_BYTES..]))
    }

    fn whole_group() -> Group {
        let rows: Vec<_> = Table::received().map(|table| (table, 4)).collect();
        let exports = vec![
            ExportEntry { hash: u128::MAX - 5, rows },
            ExportEntry { hash: 0, rows: Vec::new() },
            ExportEntry { hash: 7 << 70, rows: vec![(Table::Logs, u32::MAX)] },
        ];
        Group { batches: Table::received().map(|table| batch_of(table, 4, 11)).collect(), exports }
    }

    #[test]
    fn the_memory_of_a_far_larger_record_is_not_kept() {
        for (held, kept) in [(KEPT_BYTES_MAX, KEPT_BYTES_MAX), (2 * KEPT_BYTES_MAX, KEPT_BYTES_MAX)] {
            let mut record = RecordBuffer { bytes: Vec::with_capacity(held), entry_count: 0 };
            record.encode(&Group::default(), &mut StoredTables::default()).expect("a record of no rows");
            assert_eq!(record.bytes.capacity(), kept, "{held}");
        }
    }

    #[test]
    fn a_group_of_every_table_comes_back_as_written() {
        let group = whole_group();
        let (header, payload) = record(&group, &mut StoredTables::default());
        assert_eq!(header.record_bytes(), (RECORD_HEADER_BYTES + payload.len()) as u64);
        assert_eq!(header.payload_checksum, crc32c::crc32c_append(9, &payload));
        let read = StoredSchemas::default().decode(&payload, header.entry_count).expect("decode");
        assert_eq!(read.exports, group.exports);
        assert_eq!(read.batches.len(), group.batches.len());
        for (read, written) in read.batches.iter().zip(&group.batches) {
            assert_eq!(read.rows(), written.rows());
            assert!(read.rows().columns().iter().any(|column| column.null_count() > 0));
        }
    }

    #[test]
    fn a_schema_is_stored_once_per_segment() {
        let mut stored = StoredTables::default();
        let (first, first_payload) = record(&group_of(3, 1), &mut stored);
        let (second, second_payload) = record(&group_of(3, 2), &mut stored);
        let schema_entry = ENTRY_HEADER_BYTES + schema_message(Table::Ledger).bytes.len();
        assert_eq!((first.entry_count, second.entry_count), (3, 2));
        assert!(first_payload.len() >= second_payload.len() + schema_entry - 64);
        let mut schemas = StoredSchemas::default();
        schemas.decode(&first_payload, 3).expect("decode");
        let read = schemas.decode(&second_payload, 2).expect("decode");
        assert_eq!(read.batches[0].rows(), group_of(3, 2).batches[0].rows());
    }

    #[test]
    fn a_lost_schema_message_of_todays_columns_is_replaced() {
        let mut stored = StoredTables::default();
        record(&group_of(3, 1), &mut stored);
        let (_, payload) = record(&group_of(3, 2), &mut stored);
        let read = StoredSchemas::default().decode(&payload, 2).expect("the columns are today's");
        assert_eq!(read.batches[0].row_count(), 3);
    }

    #[test]
    fn every_truncation_of_a_payload_is_an_error() {
        let (header, payload) = record(&group_of(2, 1), &mut StoredTables::default());
        for length in 0..payload.len() {
            let cut = payload.slice_with_length(0, length);
            let read = StoredSchemas::default().decode(&cut, header.entry_count);
            assert!(read.is_err(), "{length} of {} bytes", payload.len());
        }
    }

    #[test]
    fn flipped_bytes_of_a_payload_never_panic() {
        let (header, payload) = record(&group_of(2, 1), &mut StoredTables::default());
        for at in 0..payload.len() {
            let mut bytes = payload.to_vec();
            bytes[at] = !bytes[at];
            let _ = StoredSchemas::default().decode(&Buffer::from_vec(bytes), header.entry_count);
        }
    }

    #[test]
    fn a_request_list_that_ends_early_is_an_error() {
        let mut bytes = Vec::new();
        let export = ExportEntry { hash: 5, rows: vec![(Table::Spans, 1)] };
        encode_exports(&[export], &mut bytes);
        assert!(decode_exports(&bytes).is_ok());
        assert_eq!(decode_exports(&bytes[..31]), Err(FormatError::Truncated("an export entry")));
        assert_eq!(decode_exports(&bytes[..23]), Err(FormatError::Truncated("an export entry")));
        bytes[24] = 200;
        assert_eq!(decode_exports(&bytes), Err(FormatError::Table(200)));
    }
}
