//! Finds the whole records of one segment file, whatever else is in it.
//!
//! Behind a record that is not whole the scan goes on, eight bytes at a time, to the next one that is:
//! only a later record can tell a torn tail from damage. Records of an earlier life of the file, and bytes
//! that a sender made look like a record, fail the checksum, whose start differs for every segment. Bytes
//! that the disk cannot read count as zeros.
//!
//! One record is in memory at a time, and a window of the file.

use arrow::buffer::{Buffer, MutableBuffer};

use crate::disk::DiskFile;
use crate::group::Lsn;
use crate::wal::format::{ALIGNMENT, RECORD_HEADER_BYTES, RECORD_MAGIC, RECORDS_START, RecordHeader};
use crate::wal::little_endian::u32_at;

/// How much of the file is looked through at once, bytes. Large enough that a scan is not made of system
/// calls, small beside a segment.
const WINDOW_BYTES: u64 = 1 << 20;
const _: () = assert!(WINDOW_BYTES as usize >= PAGE_BYTES + RECORD_HEADER_BYTES);

/// After a read error, bytes are read again in pieces of this size, so that one bad sector costs one page.
const PAGE_BYTES: usize = 4096;

/// A whole record.
pub struct ScannedRecord {
    pub header: RecordHeader,
    pub payload: Buffer,
}

/// A record that was begun and is not whole, where the next one was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenRecord {
    pub offset: u64,
}

/// The scan of one file, from its first record on.
pub struct SegmentScan<'a> {
    file: &'a dyn DiskFile,
    seed: u32,
    /// The epoch in the segment's header; `None` when that is lost.
    epoch: Option<u32>,
    size_bytes: u64,
    offset: u64,
    window: Vec<u8>,
    window_start: u64,
    unreadable_bytes: u64,
    broken: Option<BrokenRecord>,
}

impl<'a> SegmentScan<'a> {
    pub fn new(file: &'a dyn DiskFile, size_bytes: u64, seed: u32, epoch: Option<u32>) -> SegmentScan<'a> {
        SegmentScan {
            file,
            seed,
            epoch,
            size_bytes,
            offset: RECORDS_START,
            window: Vec::new(),
            window_start: 0,
            unreadable_bytes: 0,
            broken: None,
        }
    }

    /// The next whole record with an LSN of at least `lsn_min`; `None` at the end of the file.
    pub fn next_record(&mut self, lsn_min: Lsn) -> Option<ScannedRecord> {
        let expected_at = self.offset;
        self.broken = None;
        while self.offset + RECORD_HEADER_BYTES as u64 <= self.size_bytes {
            let Some(header) = self.header_here(lsn_min, expected_at) else {
                self.offset += ALIGNMENT as u64;
                continue;
            };
            let next = self.offset + header.record_bytes();
            if next > self.size_bytes {
                self.mark_broken(expected_at);
                self.offset += ALIGNMENT as u64;
                continue;
            }
            let payload = self.payload(&header);
            if crc32c::crc32c_append(self.seed, &payload) == header.payload_checksum {
                self.offset = next;
                return Some(ScannedRecord { header, payload });
            }
            self.mark_broken(expected_at);
            self.offset = next;
        }
        None
    }

    /// Where the last call of [`SegmentScan::next_record`] started, there is a record that is not whole.
    /// `None` does not prove that none was begun: its first sector may be what is missing.
    pub fn broken(&self) -> Option<BrokenRecord> {
        self.broken
    }

    /// Bytes that the disk could not read, so far.
    pub fn unreadable_bytes(&self) -> u64 {
        self.unreadable_bytes
    }

    fn mark_broken(&mut self, expected_at: u64) {
        if self.offset == expected_at {
            self.broken = Some(BrokenRecord { offset: expected_at });
        }
    }

    /// The record header at the current offset, when it is one of this segment and not older than asked.
    fn header_here(&mut self, lsn_min: Lsn, expected_at: u64) -> Option<RecordHeader> {
        self.fill_window();
        let at = (self.offset - self.window_start) as usize;
        let bytes = &self.window[at..];
        if bytes[..4] != RECORD_MAGIC {
            return None;
        }
        let epoch = u32_at(bytes, 12);
        let header = RecordHeader::decode(bytes, self.seed);
        if self.epoch.is_some_and(|expected| expected != epoch) {
            return None;
        }
        if header.is_err() && self.epoch.is_some() {
            self.mark_broken(expected_at);
        }
        header.ok().filter(|header| header.lsn >= lsn_min)
    }

    /// Makes the window hold a record header at the current offset, which the caller has checked to exist.
    fn fill_window(&mut self) {
        let window_end = self.window_start + self.window.len() as u64;
        let is_inside =
            self.offset >= self.window_start && self.offset + RECORD_HEADER_BYTES as u64 <= window_end;
        if !is_inside {
            // From a page boundary, so that a page that cannot be read costs no byte beside it.
            self.window_start = self.offset / PAGE_BYTES as u64 * PAGE_BYTES as u64;
            let length = WINDOW_BYTES.min(self.size_bytes - self.window_start) as usize;
            self.window.resize(length, 0);
            self.unreadable_bytes += read_what_can_be_read(self.file, &mut self.window, self.window_start);
        }
    }

    fn payload(&mut self, header: &RecordHeader) -> Buffer {
        let start = self.offset + RECORD_HEADER_BYTES as u64;
        // Arrow's own allocation, so that the parts of the payload are aligned in memory as they are on disk.
        let mut payload = MutableBuffer::from_len_zeroed(header.payload_bytes as usize);
        self.unreadable_bytes += read_what_can_be_read(self.file, &mut payload, start);
        payload.into()
    }
}

/// Fills `bytes` from `offset`, with zeros for what cannot be read, and returns how many those are.
fn read_what_can_be_read(file: &dyn DiskFile, bytes: &mut [u8], offset: u64) -> u64 {
    if file.read_at(bytes, offset).is_ok() {
        return 0;
    }
    let mut unreadable_bytes = 0;
    let mut at = offset;
    for page in bytes.chunks_mut(PAGE_BYTES) {
        if file.read_at(page, at).is_err() {
            page.fill(0);
            unreadable_bytes += page.len() as u64;
        }
        at += page.len() as u64;
    }
    unreadable_bytes
}
