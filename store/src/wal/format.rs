//! The bytes of segment headers, record headers and entries: encoding, and decoding that takes any bytes.
//!
//! All numbers are little-endian and unsigned. Every part starts at a multiple of 8, so that Arrow buffers
//! inside a record can be read in place.
//!
//! Segment: the header twice (one bad sector must not hide the voided LSNs), then records back to back.
//! ```text
//!       0  4096  header
//!    4096  4096  the same header again
//!    8192     -  record, record, ...; what follows the last one is zeros or stale records
//! ```
//! Segment header, 4096 bytes:
//! ```text
//!       0     8  magic "MLWALSEG"
//!       8     4  CRC-32C of bytes 12..4096
//!      12     4  format version, 1
//!      16    16  collector id
//!      32     4  epoch: counts the segments opened, so that a recycled file's old records are known
//!      36     4  number of void ranges, n
//!      40     8  first LSN, the one of the file name
//!      48     8  durable LSN when the segment was opened
//!      56     8  zero
//!      64   128  rows per table in all records before this segment, 16 slots, by table id
//!     192  24*n  void ranges: first LSN, last LSN, reason (4 bytes), zero (4 bytes)
//!       -     -  zeros up to 4096
//! ```
//! A void range lists LSNs without a valid record: 1 the append failed, 2 never used (the gap that a
//! restart leaves), 3 lost to damage and already reported.
//!
//! Record, one group:
//! ```text
//!       0     4  magic "MLR1"
//!       4     4  CRC-32C of bytes 8..176
//!       8     4  CRC-32C of the payload
//!      12     4  epoch of the segment
//!      16     8  LSN
//!      24     8  durable LSN when this record was written
//!      32     8  payload bytes, a multiple of 8
//!      40   128  rows per table in all records before this one, 16 slots, by table id
//!     168     4  number of entries
//!     172     4  zero
//!     176     -  payload: entries back to back
//! ```
//! Both CRCs start from [`checksum_seed`], so a record counts only in the segment it was written for: a
//! stale record, or one that a sender hid in an attribute, does not pass.
//!
//! Entry:
//! ```text
//!       0     2  kind: 1 schema message, 2 table batch, 3 export list
//!       2     2  table id; 0 for an export list
//!       4     4  schema id: CRC-32C of the schema message; 0 for an export list
//!       8     8  length in bytes of what follows, padding left out
//!      16     -  bytes, then zeros to a multiple of 8
//! ```
//! Kind 1 is an Arrow IPC schema message, once per segment and schema, before its first batch. Kind 2 is
//! the IPC dictionary and record batch messages of one batch. Kind 3 is, per export:
//! ```text
//!       0    16  hash
//!      16     4  number of tables, n
//!      20     4  zero
//!      24   8*n  table id (2), zero (2), rows (4)
//! ```

use meshlake_schema::Table;
use thiserror::Error;

use crate::group::Lsn;
use crate::wal::little_endian::{put_u32, put_u64, u16_at, u32_at, u64_at};

/// Bytes of one copy of the segment header: one page, so that a write of it touches whole sectors.
pub const SEGMENT_HEADER_BYTES: usize = 4096;

/// Where the first record starts: behind both copies of the header.
pub const RECORDS_START: u64 = 2 * SEGMENT_HEADER_BYTES as u64;

pub const RECORD_HEADER_BYTES: usize = 176;

pub const ENTRY_HEADER_BYTES: usize = 16;

/// Row counts are kept per table that is logged, by its number; twice as many as there are, so that tables can be
/// added without a new format version.
pub const TABLE_SLOTS: usize = 16;
const _: () = {
    let mut at = 0;
    while at < Table::ALL.len() {
        if let Some(id) = Table::ALL[at].log_id() {
            assert!((id as usize) < TABLE_SLOTS, "a table that is logged has a slot");
        }
        at += 1;
    }
};

/// Every part of a record starts at a multiple of this: the widest Arrow value in any table.
pub const ALIGNMENT: usize = 8;
const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(ALIGNMENT));

/// Void ranges that fit into one header. One is added per failed append and one per restart since the last
/// cut, so the bound is reached only by a log that is damaged all over.
pub const VOIDS_MAX: usize = (SEGMENT_HEADER_BYTES - VOIDS_START) / VOID_BYTES;

/// Largest payload in bytes. Far above any group (1 MiB, or one export of 64 MiB before decoding) and
/// below the 2 GiB at which Arrow's 32-bit offsets end.
pub const PAYLOAD_BYTES_MAX: u64 = 1 << 30;

const FORMAT_VERSION: u32 = 1;
const SEGMENT_MAGIC: [u8; 8] = *b"MLWALSEG";
pub const RECORD_MAGIC: [u8; 4] = *b"MLR1";
const VOIDS_START: usize = 192;
const VOID_BYTES: usize = 24;

/// Rows per table, by [`log_id`].
pub type RowCounts = [u64; TABLE_SLOTS];

/// Why bytes are not what they should be. Never the sender's fault: damage, or a newer version's file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    #[error("the magic number is wrong")]
    Magic,
    #[error("the checksum is wrong")]
    Checksum,
    #[error("format version {0} is not known to this version of meshlake")]
    Version(u32),
    #[error("{what} is {value}, which is out of range")]
    Range { what: &'static str, value: u64 },
    #[error("the bytes end inside {0}")]
    Truncated(&'static str),
    #[error("table id {0} is not known to this version of meshlake")]
    Table(u16),
}

/// Where the checksums of a segment's records start. It needs nothing from the segment's header, so the
/// records can be read even when both copies of that are gone.
pub fn checksum_seed(collector_id: &[u8; 16], first_lsn: Lsn) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(collector_id), &first_lsn.to_le_bytes())
}

/// Why LSNs have no valid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VoidReason {
    /// The write or the sync failed; the waiters were told so.
    FailedAppend,
    /// A restart went past them; nobody was told that they are durable.
    Unused,
    /// They were durable and are damaged; the loss was reported at an earlier start.
    Lost,
}

/// LSNs that replay skips, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Void {
    pub first: Lsn,
    pub last: Lsn,
    pub reason: VoidReason,
}

/// What stands at the start of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    pub collector_id: [u8; 16],
    pub epoch: u32,
    pub first_lsn: Lsn,
    pub durable_lsn: Lsn,
    pub rows_before: RowCounts,
    /// At most [`VOIDS_MAX`].
    pub voids: Vec<Void>,
}

impl SegmentHeader {
    /// # Panics
    /// With more than [`VOIDS_MAX`] void ranges.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        assert!(self.voids.len() <= VOIDS_MAX, "{} void ranges", self.voids.len());
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        put_u32(&mut bytes, 12, FORMAT_VERSION);
        bytes[16..32].copy_from_slice(&self.collector_id);
        put_u32(&mut bytes, 32, self.epoch);
        put_u32(&mut bytes, 36, self.voids.len() as u32);
        put_u64(&mut bytes, 40, self.first_lsn);
        put_u64(&mut bytes, 48, self.durable_lsn);
        put_row_counts(&mut bytes, 64, &self.rows_before);
        for (i, void) in self.voids.iter().enumerate() {
            let at = VOIDS_START + i * VOID_BYTES;
            put_u64(&mut bytes, at, void.first);
            put_u64(&mut bytes, at + 8, void.last);
            put_u32(&mut bytes, at + 16, void.reason.code());
        }
        let checksum = crc32c::crc32c(&bytes[12..]);
        put_u32(&mut bytes, 8, checksum);
        bytes
    }

    /// # Errors
    /// Damage ([`FormatError::Magic`], `Checksum`), or a file of a newer version (`Version`).
    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<SegmentHeader, FormatError> {
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(FormatError::Magic);
        }
        if crc32c::crc32c(&bytes[12..]) != u32_at(bytes, 8) {
            return Err(FormatError::Checksum);
        }
        if u32_at(bytes, 12) != FORMAT_VERSION {
            return Err(FormatError::Version(u32_at(bytes, 12)));
        }
        let void_count = u32_at(bytes, 36) as usize;
        if void_count > VOIDS_MAX {
            return Err(FormatError::Range { what: "number of void ranges", value: void_count as u64 });
        }
        let mut collector_id = [0; 16];
        collector_id.copy_from_slice(&bytes[16..32]);
        Ok(SegmentHeader {
            collector_id,
            epoch: u32_at(bytes, 32),
            first_lsn: u64_at(bytes, 40),
            durable_lsn: u64_at(bytes, 48),
            rows_before: row_counts_at(bytes, 64),
            voids: (0..void_count)
                .map(|i| void_at(bytes, VOIDS_START + i * VOID_BYTES))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl VoidReason {
    const fn code(self) -> u32 {
        match self {
            VoidReason::FailedAppend => 1,
            VoidReason::Unused => 2,
            VoidReason::Lost => 3,
        }
    }
}

fn void_at(bytes: &[u8], at: usize) -> Result<Void, FormatError> {
    let reason = match u32_at(bytes, at + 16) {
        1 => VoidReason::FailedAppend,
        2 => VoidReason::Unused,
        3 => VoidReason::Lost,
        other => return Err(FormatError::Range { what: "void reason", value: other.into() }),
    };
    Ok(Void { first: u64_at(bytes, at), last: u64_at(bytes, at + 8), reason })
}

/// What stands at the start of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    pub payload_checksum: u32,
    pub epoch: u32,
    pub lsn: Lsn,
    pub durable_lsn: Lsn,
    pub payload_bytes: u64,
    pub rows_before: RowCounts,
    pub entry_count: u32,
}

impl RecordHeader {
    pub fn encode(&self, seed: u32) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        put_u32(&mut bytes, 8, self.payload_checksum);
        put_u32(&mut bytes, 12, self.epoch);
        put_u64(&mut bytes, 16, self.lsn);
        put_u64(&mut bytes, 24, self.durable_lsn);
        put_u64(&mut bytes, 32, self.payload_bytes);
        put_row_counts(&mut bytes, 40, &self.rows_before);
        put_u32(&mut bytes, 168, self.entry_count);
        let checksum = crc32c::crc32c_append(seed, &bytes[8..]);
        put_u32(&mut bytes, 4, checksum);
        bytes
    }

    /// Reads the header at the start of `bytes`; the payload is not looked at.
    ///
    /// # Errors
    /// Anything but a header that was written with `seed`; lengths are in bounds when it succeeds.
    pub fn decode(bytes: &[u8], seed: u32) -> Result<RecordHeader, FormatError> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES).ok_or(FormatError::Truncated("a record header"))?;
        if bytes[..4] != RECORD_MAGIC {
            return Err(FormatError::Magic);
        }
        if crc32c::crc32c_append(seed, &bytes[8..]) != u32_at(bytes, 4) {
            return Err(FormatError::Checksum);
        }
        let payload_bytes = u64_at(bytes, 32);
        if payload_bytes > PAYLOAD_BYTES_MAX || !payload_bytes.is_multiple_of(ALIGNMENT as u64) {
            return Err(FormatError::Range { what: "payload length", value: payload_bytes });
        }
        Ok(RecordHeader {
            payload_checksum: u32_at(bytes, 8),
            epoch: u32_at(bytes, 12),
            lsn: u64_at(bytes, 16),
            durable_lsn: u64_at(bytes, 24),
            payload_bytes,
            rows_before: row_counts_at(bytes, 40),
            entry_count: u32_at(bytes, 168),
        })
    }

    /// Header and payload together.
    pub fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + self.payload_bytes
    }
}

/// The number that stands for `table` in records.
///
/// # Panics
/// For a table whose rows are never logged.
pub fn log_id(table: Table) -> u16 {
    table.log_id().expect("only rows of received tables come to the log")
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Schema { table: Table, schema_id: u32 },
    Batch { table: Table, schema_id: u32 },
    Exports,
}

impl EntryKind {
    /// The entry's header for `length` bytes of contents.
    pub fn encode(self, length: usize) -> [u8; ENTRY_HEADER_BYTES] {
        let (kind, table, schema_id) = match self {
            EntryKind::Schema { table, schema_id } => (1u16, log_id(table), schema_id),
            EntryKind::Batch { table, schema_id } => (2, log_id(table), schema_id),
            EntryKind::Exports => (3, 0, 0),
        };
        let mut bytes = [0; ENTRY_HEADER_BYTES];
        bytes[..2].copy_from_slice(&kind.to_le_bytes());
        bytes[2..4].copy_from_slice(&table.to_le_bytes());
        put_u32(&mut bytes, 4, schema_id);
        put_u64(&mut bytes, 8, length as u64);
        bytes
    }

    /// The kind and the length of the contents that follow, which is within `bytes`, padding included.
    ///
    /// # Errors
    /// [`FormatError::Table`] or `Range` for what a newer version wrote; `Truncated` when the contents do
    /// not fit.
    pub fn decode(bytes: &[u8]) -> Result<(EntryKind, usize), FormatError> {
        let header = bytes.get(..ENTRY_HEADER_BYTES).ok_or(FormatError::Truncated("an entry header"))?;
        let (kind, table_id) = (u16_at(header, 0), u16_at(header, 2));
        let (schema_id, length) = (u32_at(header, 4), u64_at(header, 8));
        let table = Table::from_log_id(table_id).ok_or(FormatError::Table(table_id));
        let kind = match kind {
            1 => EntryKind::Schema { table: table?, schema_id },
            2 => EntryKind::Batch { table: table?, schema_id },
            3 => EntryKind::Exports,
            other => return Err(FormatError::Range { what: "entry kind", value: other.into() }),
        };
        let room = (bytes.len() - ENTRY_HEADER_BYTES) as u64;
        if length > room || length.next_multiple_of(ALIGNMENT as u64) > room {
            return Err(FormatError::Truncated("an entry"));
        }
        Ok((kind, length as usize))
    }
}

fn row_counts_at(bytes: &[u8], at: usize) -> RowCounts {
    std::array::from_fn(|slot| u64_at(bytes, at + slot * 8))
}

fn put_row_counts(bytes: &mut [u8], at: usize, rows: &RowCounts) {
    for (slot, count) in rows.iter().enumerate() {
        put_u64(bytes, at + slot * 8, *count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> RowCounts {
        std::array::from_fn(|slot| slot as u64 * 0x0101)
    }

    fn segment_header() -> SegmentHeader {
        SegmentHeader {
            collector_id: *b"0123456789abcdef",
            epoch: 0x0a0b_0c0d,
            first_lsn: 0x1122_3344_5566_7788,
            durable_lsn: 0x1122_3344_5566_7780,
            rows_before: rows(),
            voids: vec![
                Void { first: 5, last: 5, reason: VoidReason::FailedAppend },
                Void { first: 7, last: 9, reason: VoidReason::Lost },
            ],
        }
    }

    fn record_header() -> RecordHeader {
        RecordHeader {
            payload_checksum: 0xdead_beef,
            epoch: 3,
            lsn: 0x0102_0304_0506_0708,
            durable_lsn: 0x0102_0304_0506_0707,
            payload_bytes: 0x1000,
            rows_before: rows(),
            entry_count: 4,
        }
    }

    #[test]
    fn the_segment_header_is_as_drawn() {
        let bytes = segment_header().encode();
        assert_eq!(&bytes[0..8], b"MLWALSEG");
        assert_eq!(bytes[8..12], crc32c::crc32c(&bytes[12..4096]).to_le_bytes());
        assert_eq!(bytes[12..16], [1, 0, 0, 0]);
        assert_eq!(&bytes[16..32], b"0123456789abcdef");
        assert_eq!(bytes[32..36], [0x0d, 0x0c, 0x0b, 0x0a]);
        assert_eq!(bytes[36..40], [2, 0, 0, 0]);
        assert_eq!(bytes[40..48], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
        assert_eq!(bytes[48..56], [0x80, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
        assert_eq!(bytes[56..64], [0; 8]);
        assert_eq!(bytes[64 + 15 * 8..192], [0x0f, 0x0f, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[192..216], [5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[216..240], [7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert!(bytes[240..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_record_header_is_as_drawn() {
        let bytes = record_header().encode(77);
        assert_eq!(&bytes[0..4], b"MLR1");
        assert_eq!(bytes[4..8], crc32c::crc32c_append(77, &bytes[8..176]).to_le_bytes());
        assert_eq!(bytes[8..12], [0xef, 0xbe, 0xad, 0xde]);
        assert_eq!(bytes[12..16], [3, 0, 0, 0]);
        assert_eq!(bytes[16..24], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[24..32], [7, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[32..40], [0, 0x10, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[48..56], [1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[168..176], [4, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn an_entry_header_is_as_drawn() {
        let kind = EntryKind::Batch { table: Table::Requests, schema_id: 0x0a0b_0c0d };
        let want = [2, 0, 6, 0, 0x0d, 0x0c, 0x0b, 0x0a, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(kind.encode(256), want);
    }

    #[test]
    fn headers_come_back_as_written() {
        assert_eq!(SegmentHeader::decode(&segment_header().encode()), Ok(segment_header()));
        assert_eq!(RecordHeader::decode(&record_header().encode(5), 5), Ok(record_header()));
    }

    #[test]
    fn a_full_void_list_fits_and_one_more_is_a_bug() {
        let void = |lsn| Void { first: lsn, last: lsn, reason: VoidReason::Lost };
        let voids: Vec<Void> = (0..VOIDS_MAX as u64).map(|i| void(2 * i)).collect();
        let full = SegmentHeader { voids, ..segment_header() };
        assert_eq!(SegmentHeader::decode(&full.encode()), Ok(full.clone()));
        let mut over = full;
        over.voids.push(void(1));
        assert!(std::panic::catch_unwind(|| over.encode()).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let segment = segment_header().encode();
        for bit in 0..300 * 8 {
            let mut bytes = segment;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bytes).is_err(), "bit {bit}");
        }
        let record = record_header().encode(5);
        for bit in 0..record.len() * 8 {
            let mut bytes = record;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(RecordHeader::decode(&bytes, 5).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_segment_does_not_pass() {
        let id = [1; 16];
        let bytes = record_header().encode(checksum_seed(&id, 1));
        assert_eq!(RecordHeader::decode(&bytes, checksum_seed(&id, 2)), Err(FormatError::Checksum));
    }

    #[test]
    fn a_newer_segment_is_refused_by_version() {
        let mut bytes = segment_header().encode();
        bytes[12] = 2;
        let checksum = crc32c::crc32c(&bytes[12..]);
        put_u32(&mut bytes, 8, checksum);
        assert_eq!(SegmentHeader::decode(&bytes), Err(FormatError::Version(2)));
    }

    #[test]
    fn an_entry_must_fit_with_its_padding() {
        let mut bytes = EntryKind::Exports.encode(9).to_vec();
        bytes.resize(ENTRY_HEADER_BYTES + 15, 0);
        assert_eq!(EntryKind::decode(&bytes), Err(FormatError::Truncated("an entry")));
        bytes.push(0);
        assert_eq!(EntryKind::decode(&bytes), Ok((EntryKind::Exports, 9)));
        let huge = EntryKind::Exports.encode(usize::MAX);
        assert_eq!(EntryKind::decode(&huge), Err(FormatError::Truncated("an entry")));
    }
}
