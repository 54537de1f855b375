//! Reads the log after a start: every durable record once, and an account of what is missing.
//!
//! ```text
//!   whole record, LSN as expected          -> replayed
//!   LSNs missing before a later record     -> those up to its durable LSN are damage: counted, reported;
//!                                             the others never were durable
//!   LSNs missing in the end                -> a torn tail: they were never acknowledged, or are the very
//!                                             last record and cannot be told apart from that
//!   LSN in a void range of a later header  -> skipped, whether its record is whole or not
//! ```
//! What a later header or record says about earlier ones is all the evidence there is, so one rule serves
//! bad records, bad sectors and whole segments that are gone. Damaged segments stay where they are until
//! they are cut, because the good records in them are durable nowhere else; then they are moved aside.
//!
//! Limits: reads the log once; holds one record in memory.

use std::collections::BTreeSet;
use std::path::PathBuf;

use meshlake_schema::{Table, TableBatch};

use crate::disk::Disk;
use crate::group::{ExportEntry, Lsn, StoredExport};
use crate::wal::cut::{Fate, SealedSegment};
use crate::wal::exports::Remembered;
use crate::wal::format::{FormatError, RowCounts, SegmentHeader, Void, VoidReason, checksum_seed, log_id};
use crate::wal::record::{DecodeError, StoredSchemas, row_counts};
use crate::wal::scan::{ScannedRecord, SegmentScan};
use crate::wal::segment::{
    FileKind, Layout, WalConfig, WalError, file_kind, open, read_header, segment_name,
};

/// One record, handed back.
#[derive(Debug)]
pub struct Replayed {
    pub lsn: Lsn,
    /// First LSN of the segment that holds it.
    pub segment: Lsn,
    /// Bytes of the record, header included.
    pub bytes: u64,
    pub batches: Vec<TableBatch>,
    pub exports: Vec<ExportEntry>,
}

/// Records that were durable and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Name of the segment file, which goes to `wal/quarantine/` when it is cut. The file itself may be
    /// what is missing.
    pub segment: String,
    /// The records that are lost, both included.
    pub first_lsn: Lsn,
    pub last_lsn: Lsn,
    /// Rows that are lost, by table; empty when nothing is left to tell.
    pub rows_lost: Vec<(Table, u64)>,
}

/// A record at the end of the log that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    pub segment: String,
    pub offset: u64,
    /// The LSN it would have had.
    pub lsn: Lsn,
}

/// What a start found. Feed it to `Wal::open`.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The highest LSN that may have been used; 0 for a new log. The next one must be above it.
    pub last_lsn: Lsn,
    /// Records replayed.
    pub records: u64,
    pub torn: Option<Torn>,
    pub damage: Vec<Damage>,
    /// Segments whose header cannot be read in either copy. Their records are replayed all the same.
    pub headers_lost: Vec<String>,
    /// Bytes that the disk refused to read; what they held is in `damage` or `torn`.
    pub unreadable_bytes: u64,
    /// Exports of this log and of segments that were cut from it.
    pub(super) remembered: Remembered,
    /// The last record that is whole; 0 when there is none.
    pub(super) durable_lsn: Lsn,
    pub(super) rows: RowCounts,
    pub(super) voids: Vec<Void>,
    pub(super) segments: Vec<OldSegment>,
    pub(super) spares: Vec<PathBuf>,
    pub(super) unfinished: Vec<PathBuf>,
    pub(super) epoch_max: u32,
}

/// A segment of an earlier run.
#[derive(Debug)]
pub(super) struct OldSegment {
    pub sealed: SealedSegment,
    /// Nothing in it is needed.
    pub is_empty: bool,
}

impl Recovery {
    /// The exports of this log and of segments that were cut from it, oldest first; none at a second call.
    pub fn take_exports(&mut self) -> Vec<StoredExport> {
        self.remembered.take()
    }
}

/// Reads the whole log under `config.dir` and hands every durable record to `replay`, in LSN order.
///
/// Nothing is changed on disk, but for making missing directories and syncing the newest segment.
///
/// # Errors
/// I/O on directories and on opening files; a segment of a newer version or another collector; a record
/// that is whole but that this version cannot read. Damage is no error, it is reported in [`Recovery`].
pub fn recover(
    disk: &dyn Disk,
    config: &WalConfig,
    replay: &mut dyn FnMut(Replayed),
) -> Result<Recovery, WalError> {
    let layout = Layout::new(&config.dir);
    for dir in [&layout.live, &layout.quarantine] {
        disk.create_dir_all(dir).map_err(WalError::io("create", dir))?;
        // A killed predecessor may have made it, or a segment in it, without living to sync that.
        disk.sync_dir(dir).map_err(WalError::io("sync", dir))?;
    }
    disk.sync_dir(&config.dir).map_err(WalError::io("sync", &config.dir))?;
    let mut recovery = Recovery::default();
    let segments = list_segments(disk, &layout, &mut recovery)?;
    let mut files = Vec::with_capacity(segments.len());
    for first_lsn in segments {
        files.push(SegmentFile::open(disk, config, &layout, first_lsn)?);
    }
    // The process may have died between write and sync. What is read then comes from the kernel's memory, and
    // counts as durable as soon as it is handed out: a flush beside the replay may commit one table's rows of a
    // record. Earlier segments were synced before a later one was made.
    if let Some(last) = files.last() {
        open(disk, &last.path)?.sync_data().map_err(WalError::io("sync", &last.path))?;
    }
    let mut reader = LogReader::new(disk, &files, recovery, replay);
    for index in 0..files.len() {
        reader.read_segment(index)?;
    }
    Ok(reader.finish())
}

/// First LSNs of the segments, rising. Spares are checked: one without a header is none.
fn list_segments(disk: &dyn Disk, layout: &Layout, recovery: &mut Recovery) -> Result<Vec<Lsn>, WalError> {
    let mut first_lsns = Vec::new();
    for name in disk.list(&layout.live).map_err(WalError::io("list", &layout.live))? {
        let path = layout.live.join(&name);
        match file_kind(&name) {
            FileKind::Segment(first_lsn) => first_lsns.push(first_lsn),
            FileKind::Spare => match read_header(open(disk, &path)?.as_ref()) {
                Ok(header) => {
                    recovery.epoch_max = recovery.epoch_max.max(header.epoch);
                    recovery.spares.push(path);
                }
                Err(_) => recovery.unfinished.push(path),
            },
            FileKind::Unfinished => recovery.unfinished.push(path),
            FileKind::Exports(first_lsn) => {
                if !recovery.remembered.read(disk, first_lsn, &path) {
                    recovery.unfinished.push(path);
                }
            }
            FileKind::Foreign => tracing::warn!(path = %path.display(), "ignore a file that is not ours"),
            FileKind::Misnamed => return Err(WalError::Name { path }),
        }
    }
    first_lsns.sort_unstable();
    Ok(first_lsns)
}

/// A segment as its header tells; opened again to be read, for a long log has more files than a process may
/// hold open.
struct SegmentFile {
    path: PathBuf,
    size_bytes: u64,
    first_lsn: Lsn,
    seed: u32,
    /// `None` when neither copy can be read.
    header: Option<SegmentHeader>,
}

impl SegmentFile {
    fn open(
        disk: &dyn Disk,
        config: &WalConfig,
        layout: &Layout,
        first_lsn: Lsn,
    ) -> Result<SegmentFile, WalError> {
        let path = layout.segment(first_lsn);
        let file = open(disk, &path)?;
        let size_bytes = file.size_bytes().map_err(WalError::io("measure", &path))?;
        let header = match read_header(file.as_ref()) {
            Ok(header) if header.collector_id != config.collector_id => {
                return Err(WalError::ForeignSegment { path });
            }
            // A file that was renamed by hand: its name is what the checksums of its records go by.
            Ok(header) if header.first_lsn != first_lsn => return Err(WalError::Name { path }),
            Ok(header) => Some(header),
            Err(source @ FormatError::Version(_)) => return Err(WalError::Header { path, source }),
            Err(_) => None,
        };
        let seed = checksum_seed(&config.collector_id, first_lsn);
        Ok(SegmentFile { path, size_bytes, first_lsn, seed, header })
    }
}

/// Walks the log; knows what should come next.
struct LogReader<'a> {
    disk: &'a dyn Disk,
    files: &'a [SegmentFile],
    replay: &'a mut dyn FnMut(Replayed),
    recovery: Recovery,
    /// The next LSN, when anything tells.
    expected: Option<Lsn>,
    /// Rows up to the record before that, when anything tells.
    rows: Option<RowCounts>,
    /// Indices of segments that have replayed rows, or that damage points at.
    in_use: BTreeSet<usize>,
    damaged: BTreeSet<usize>,
}

impl<'a> LogReader<'a> {
    fn new(
        disk: &'a dyn Disk,
        files: &'a [SegmentFile],
        mut recovery: Recovery,
        replay: &'a mut dyn FnMut(Replayed),
    ) -> LogReader<'a> {
        for header in files.iter().filter_map(|file| file.header.as_ref()) {
            recovery.epoch_max = recovery.epoch_max.max(header.epoch);
            recovery.voids.extend_from_slice(&header.voids);
        }
        recovery.voids.sort_unstable();
        recovery.voids.dedup();
        let (in_use, damaged) = (BTreeSet::new(), BTreeSet::new());
        LogReader { disk, files, replay, recovery, expected: None, rows: None, in_use, damaged }
    }

    fn read_segment(&mut self, index: usize) -> Result<(), WalError> {
        let segment = &self.files[index];
        match &segment.header {
            Some(header) => {
                let before = index.checked_sub(1);
                self.arrive(segment.first_lsn, header.durable_lsn, &header.rows_before, before);
            }
            None => {
                self.recovery.headers_lost.push(segment_name(segment.first_lsn));
                self.damaged.insert(index);
                self.expected = self.expected.or(Some(segment.first_lsn));
            }
        }
        let epoch = segment.header.as_ref().map(|header| header.epoch);
        let file = open(self.disk, &segment.path)?;
        let mut scan = SegmentScan::new(file.as_ref(), segment.size_bytes, segment.seed, epoch);
        let mut schemas = StoredSchemas::default();
        while let Some(record) = scan.next_record(segment.first_lsn.max(self.expected.unwrap_or(0))) {
            self.take(index, &mut schemas, record)?;
        }
        self.recovery.unreadable_bytes += scan.unreadable_bytes();
        // Of the last segment this is the end of the log; of others a later header tells more.
        self.recovery.torn = scan.broken().map(|broken| Torn {
            segment: segment_name(segment.first_lsn),
            offset: broken.offset,
            lsn: self.expected.unwrap_or(segment.first_lsn),
        });
        Ok(())
    }

    fn take(
        &mut self,
        index: usize,
        schemas: &mut StoredSchemas,
        record: ScannedRecord,
    ) -> Result<(), WalError> {
        let ScannedRecord { header, payload } = record;
        let lsn = header.lsn;
        // Decoded even when it is void: it may bring a schema that a later record needs.
        let group = match schemas.decode(&payload, header.entry_count) {
            Ok(group) => group,
            // As good as damaged itself: the next arrival counts its rows.
            Err(DecodeError::SchemaMissing { table, schema_id }) => {
                tracing::error!(lsn, table, schema_id, "skip a record whose schema was in a damaged one");
                return Ok(());
            }
            Err(source) => {
                return Err(WalError::Record { lsn, path: self.files[index].path.clone(), source });
            }
        };
        self.arrive(lsn, header.durable_lsn, &header.rows_before, Some(index));
        self.expected = Some(lsn.saturating_add(1));
        if self.void_at(lsn).is_some() {
            return Ok(());
        }
        let mut rows = header.rows_before;
        for (sum, count) in rows.iter_mut().zip(row_counts(&group.batches)) {
            *sum += count;
        }
        self.rows = Some(rows);
        self.in_use.insert(index);
        self.recovery.records += 1;
        self.recovery.durable_lsn = lsn;
        let (segment, bytes) = (self.files[index].first_lsn, header.record_bytes());
        self.recovery.remembered.add(index, &group);
        (self.replay)(Replayed { lsn, segment, bytes, batches: group.batches, exports: group.exports });
        Ok(())
    }

    /// Something whole says that `lsn` comes next: whatever should have come before it and was durable is
    /// lost. `suspect` is the segment that should hold it.
    fn arrive(&mut self, lsn: Lsn, durable_lsn: Lsn, rows_before: &RowCounts, suspect: Option<usize>) {
        let expected = self.expected.unwrap_or(lsn);
        if lsn < expected {
            return;
        }
        if let Some((first_lsn, last_lsn)) =
            self.lost_between(expected, lsn.min(durable_lsn.saturating_add(1)), suspect)
        {
            let rows_lost = self.rows.map(|rows| rows_between(&rows, rows_before)).unwrap_or_default();
            let at = suspect.unwrap_or(0);
            let segment = segment_name(self.files[at].first_lsn);
            self.damaged.insert(at);
            self.recovery.voids.push(Void { first: first_lsn, last: last_lsn, reason: VoidReason::Lost });
            self.recovery.damage.push(Damage { segment, first_lsn, last_lsn, rows_lost });
        }
        self.expected = Some(lsn);
        self.rows = Some(*rows_before);
    }

    /// First and last of the LSNs from `first` to `end - 1` that are not void.
    fn lost_between(&mut self, first: Lsn, end: Lsn, suspect: Option<usize>) -> Option<(Lsn, Lsn)> {
        let mut lost: Option<(Lsn, Lsn)> = None;
        let mut lsn = first;
        while lsn < end {
            match self.void_at(lsn) {
                Some(void) => {
                    if void.reason == VoidReason::Lost {
                        self.damaged.extend(suspect);
                    }
                    lsn = void.last.saturating_add(1);
                }
                None => {
                    let next_void = self.recovery.voids.iter().map(|void| void.first).filter(|at| *at > lsn);
                    let stop = next_void.min().unwrap_or(end).min(end);
                    lost = Some((lost.map_or(lsn, |(from, _)| from), stop - 1));
                    lsn = stop;
                }
            }
        }
        lost
    }

    fn void_at(&self, lsn: Lsn) -> Option<Void> {
        self.recovery.voids.iter().find(|void| void.first <= lsn && lsn <= void.last).copied()
    }

    fn finish(mut self) -> Recovery {
        // One more than the last record: a torn one may have used it.
        self.recovery.last_lsn = self.expected.unwrap_or(0);
        self.recovery.rows = self.rows.unwrap_or_default();
        let next_first = self.files.iter().skip(1).map(|file| file.first_lsn.saturating_sub(1));
        let last_lsns = next_first.chain([self.recovery.last_lsn]);
        for (index, (file, last_lsn)) in self.files.iter().zip(last_lsns).enumerate() {
            let fate = if self.damaged.contains(&index) { Fate::Quarantine } else { Fate::Recycle };
            let (first_lsn, size_bytes) = (file.first_lsn, file.size_bytes);
            let exports = self.recovery.remembered.of_segment(index);
            self.recovery.segments.push(OldSegment {
                sealed: SealedSegment { first_lsn, last_lsn, size_bytes, fate, exports },
                is_empty: !self.in_use.contains(&index) && !self.damaged.contains(&index),
            });
        }
        if let Some(first) = self.files.first() {
            self.recovery.voids.retain(|void| void.last >= first.first_lsn);
        }
        self.recovery
    }
}

/// Rows that came in between two counts, by table, tables without left out.
fn rows_between(before: &RowCounts, after: &RowCounts) -> Vec<(Table, u64)> {
    let lost = |table: Table| {
        let slot = usize::from(log_id(table));
        (table, after[slot].saturating_sub(before[slot]))
    };
    Table::received().map(lost).filter(|(_, rows)| *rows > 0).collect()
}
