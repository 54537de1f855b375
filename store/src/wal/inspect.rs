//! What the log holds, segment by segment, and what a start would make of it, without changing a byte.
//!
//! It reads the log with the code of a start, so that the two cannot tell different stories. A process that
//! runs on the log appends to it, cuts it and writes cut files anew meanwhile; what looks like damage then
//! may only have been read at a bad moment. So damage is believed when a second look finds the same.
//!
//! Limits: takes as long as a replay. A tail that is torn and one that is being written look the same.

use std::collections::BTreeMap;
use std::path::Path;

use meshlake_schema::Table;

use crate::disk::{Disk, DiskFile};
use crate::group::Lsn;
use crate::wal::format::{RECORDS_START, RowCounts, SEGMENT_HEADER_BYTES, SegmentHeader, VoidReason, log_id};
use crate::wal::record::row_counts;
use crate::wal::recover::{Damage, Recovery, Torn, recover};
use crate::wal::segment::{FileKind, Layout, WalConfig, WalError, file_kind, segment_name};

/// Looks at a log that goes on changing. Each takes a fraction of the time between two cuts.
const LOOKS_MAX: usize = 5;

/// The log at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalInspection {
    /// Oldest first.
    pub segments: Vec<SegmentInspection>,
    /// Cut segments that are kept to be written again.
    pub spares: Vec<NamedFile>,
    /// Segments in which damage was found at an earlier start.
    pub quarantine: Vec<NamedFile>,
    /// Files with the exports of cut segments.
    pub exports: Vec<NamedFile>,
    /// Segments that a crash caught in the making, and whatever else is in the directory.
    pub others: Vec<NamedFile>,
    /// The highest LSN that may have been used; 0 for a new log.
    pub last_lsn: Lsn,
    /// LSNs that a replay skips.
    pub voids: Vec<VoidLsns>,
    /// Acknowledged records that are lost; they are counted when the log is opened.
    pub damage: Vec<Damage>,
    /// The record at the end is not whole: torn by a crash, or being written at this moment.
    pub torn: Option<Torn>,
    /// Bytes that the disk refused to read.
    pub unreadable_bytes: u64,
    /// Why a start would refuse the log.
    pub refusal: Option<String>,
    /// False when the log changed faster than it could be read: then neither `damage` nor `refusal` is told.
    pub is_settled: bool,
}

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInspection {
    pub name: String,
    pub size_bytes: u64,
    pub header: HeaderState,
    /// Of the header; none when both copies are lost.
    pub epoch: Option<u32>,
    pub first_lsn: Lsn,
    /// Of the last record that is whole; none without one.
    pub last_lsn: Option<Lsn>,
    /// Records that a start would replay.
    pub records: u64,
    /// Both headers and those records.
    pub used_bytes: u64,
    /// Rows of those records, tables without left out.
    pub rows: Vec<(Table, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderState {
    Whole,
    /// One of the two copies is damaged; nothing is lost by it.
    OneCopy,
    /// The records are read all the same, but not what the header says of earlier ones.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    pub name: String,
    pub size_bytes: u64,
}

/// LSNs without a valid record, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidLsns {
    pub first_lsn: Lsn,
    pub last_lsn: Lsn,
    pub reason: &'static str,
}

/// What one segment's records add up to.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    last_lsn: Lsn,
    records: u64,
    bytes: u64,
    rows: RowCounts,
}

/// Reads the log of the collector `collector_id` in `wal_dir`; a directory that is missing is an empty log.
///
/// # Errors
/// The directory cannot be listed. A log that a start would refuse is no error, but said in the answer.
pub fn inspect(disk: &dyn Disk, wal_dir: &Path, collector_id: u128) -> Result<WalInspection, WalError> {
    let config = WalConfig {
        dir: wal_dir.to_owned(),
        collector_id: collector_id.to_be_bytes(),
        segment_bytes: WalConfig::SEGMENT_BYTES,
    };
    if !disk.is_dir(&Layout::new(wal_dir).live) {
        return Ok(WalInspection { is_settled: true, ..WalInspection::default() });
    }
    let mut inspection = look(disk, &config)?;
    for _ in 1..LOOKS_MAX {
        if inspection.is_settled {
            break;
        }
        let again = look(disk, &config)?;
        let is_same = (&again.damage, &again.refusal) == (&inspection.damage, &inspection.refusal);
        inspection = WalInspection { is_settled: again.is_settled || is_same, ..again };
    }
    if !inspection.is_settled {
        inspection.damage.clear();
        inspection.refusal = None;
    }
    Ok(inspection)
}

/// One look; settled when nothing in it can be the work of a bad moment.
fn look(disk: &dyn Disk, config: &WalConfig) -> Result<WalInspection, WalError> {
    let mut tallies: BTreeMap<Lsn, Tally> = BTreeMap::new();
    let recovered = recover(disk, config, &mut |record| {
        let tally = tallies.entry(record.segment).or_default();
        tally.last_lsn = record.lsn;
        tally.records += 1;
        tally.bytes += record.bytes;
        for (sum, count) in tally.rows.iter_mut().zip(row_counts(&record.batches)) {
            *sum += count;
        }
    });
    let mut inspection = match recovered {
        Ok(recovery) => told_by(recovery),
        Err(error) => WalInspection { refusal: Some(error.to_string()), ..WalInspection::default() },
    };
    list(disk, &Layout::new(&config.dir), &tallies, &mut inspection)?;
    inspection.is_settled = inspection.damage.is_empty() && inspection.refusal.is_none();
    Ok(inspection)
}

fn told_by(recovery: Recovery) -> WalInspection {
    let voids = recovery
        .voids
        .iter()
        .filter(|void| void.reason != VoidReason::Lost || !is_new(&recovery, void.first));
    let voids = voids.map(|void| VoidLsns {
        first_lsn: void.first,
        last_lsn: void.last,
        reason: match void.reason {
            VoidReason::FailedAppend => "append failed",
            VoidReason::Unused => "never used",
            VoidReason::Lost => "lost and reported",
        },
    });
    WalInspection {
        voids: voids.collect(),
        last_lsn: recovery.last_lsn,
        damage: recovery.damage,
        torn: recovery.torn,
        unreadable_bytes: recovery.unreadable_bytes,
        ..WalInspection::default()
    }
}

/// Whether the loss at `lsn` was found by this look; a start would report it and void it in the next header.
fn is_new(recovery: &Recovery, lsn: Lsn) -> bool {
    recovery.damage.iter().any(|damage| damage.first_lsn <= lsn && lsn <= damage.last_lsn)
}

fn list(
    disk: &dyn Disk,
    layout: &Layout,
    tallies: &BTreeMap<Lsn, Tally>,
    inspection: &mut WalInspection,
) -> Result<(), WalError> {
    for name in disk.list(&layout.live).map_err(WalError::io("list", &layout.live))? {
        // One that has vanished since has been cut.
        let Ok(file) = disk.open(&layout.live.join(&name)) else { continue };
        let size_bytes = file.size_bytes().unwrap_or_default();
        match file_kind(&name) {
            FileKind::Segment(first_lsn) => {
                let tally = tallies.get(&first_lsn).copied().unwrap_or_default();
                inspection.segments.push(segment(file.as_ref(), first_lsn, size_bytes, tally));
            }
            FileKind::Spare => inspection.spares.push(NamedFile { name, size_bytes }),
            FileKind::Exports(_) => inspection.exports.push(NamedFile { name, size_bytes }),
            FileKind::Unfinished | FileKind::Misnamed | FileKind::Foreign => {
                inspection.others.push(NamedFile { name, size_bytes });
            }
        }
    }
    inspection.segments.sort_by_key(|segment| segment.first_lsn);
    // A log that never saw damage may have no such directory.
    for name in disk.list(&layout.quarantine).unwrap_or_default() {
        let size = disk.open(&layout.quarantine.join(&name)).and_then(|file| file.size_bytes());
        inspection.quarantine.push(NamedFile { name, size_bytes: size.unwrap_or_default() });
    }
    Ok(())
}

fn segment(file: &dyn DiskFile, first_lsn: Lsn, size_bytes: u64, tally: Tally) -> SegmentInspection {
    let copy = |offset| {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        file.read_at(&mut bytes, offset).ok().and_then(|()| SegmentHeader::decode(&bytes).ok())
    };
    let (header, epoch) = match (copy(0), copy(SEGMENT_HEADER_BYTES as u64)) {
        (Some(header), Some(_)) => (HeaderState::Whole, Some(header.epoch)),
        (Some(header), None) | (None, Some(header)) => (HeaderState::OneCopy, Some(header.epoch)),
        (None, None) => (HeaderState::Lost, None),
    };
    let rows = Table::received().map(|table| (table, tally.rows[usize::from(log_id(table))]));
    SegmentInspection {
        name: segment_name(first_lsn),
        size_bytes,
        header,
        epoch,
        first_lsn,
        last_lsn: (tally.records > 0).then_some(tally.last_lsn),
        records: tally.records,
        used_bytes: RECORDS_START + tally.bytes,
        rows: rows.filter(|(_, rows)| *rows > 0).collect(),
    }
}
