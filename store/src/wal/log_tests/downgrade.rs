//! A log that a newer version wrote is refused as a whole, with what is not known: skipping it would lose
//! rows that were acknowledged.

use super::Log;
use crate::wal::format::{
    RECORD_HEADER_BYTES, RECORDS_START, RecordHeader, SEGMENT_HEADER_BYTES, TABLE_SLOTS, checksum_seed,
};
use crate::wal::recover::recover;

/// Opens the log, which must not change it; the refusal.
fn refusal(log: &Log) -> String {
    let before = log.disk.contents(&log.path(1));
    let error = recover(&log.disk, &log.config, &mut |record| assert!(record.lsn < 2, "{record:?}"));
    assert_eq!(log.disk.contents(&log.path(1)), before, "the log is as it was");
    error.expect_err("the log is of a newer version").to_string()
}

#[test]
fn a_table_of_a_newer_version_is_refused_by_its_id() {
    let (log, _) = Log::with_records(3);
    let second = log.extents(1, 3)[1].clone();
    let seed = checksum_seed(&log.config.collector_id, 1);
    log.change(1, |content| {
        let payload = second.start + RECORD_HEADER_BYTES;
        // Bytes 2..4 of the first entry are the table id; the last slot is a table of no version yet.
        content[payload + 2..payload + 4].copy_from_slice(&(TABLE_SLOTS as u16 - 1).to_le_bytes());
        let mut header = RecordHeader::decode(&content[second.start..], seed).expect("a record");
        header.payload_checksum = crc32c::crc32c_append(seed, &content[payload..second.end]);
        content[second.start..payload].copy_from_slice(&header.encode(seed));
    });
    assert_eq!(
        refusal(&log),
        "read record 2 of wal/0/00000000000000000001.seg: table id 15 is not known to this version of meshlake"
    );
}

#[test]
fn a_segment_of_a_newer_format_is_refused_by_its_version() {
    let (log, _) = Log::with_records(3);
    log.change(1, |content| {
        for copy in content[..RECORDS_START as usize].chunks_exact_mut(SEGMENT_HEADER_BYTES) {
            copy[12] = 2;
            let checksum = crc32c::crc32c(&copy[12..]);
            copy[8..12].copy_from_slice(&checksum.to_le_bytes());
        }
    });
    assert_eq!(
        refusal(&log),
        "read the header of wal/0/00000000000000000001.seg: format version 2 is not known to this version of meshlake"
    );
}
