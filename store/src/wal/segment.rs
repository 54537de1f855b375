//! One segment file: how it is made, written, named and read back as far as its header goes.
//!
//! A segment appears under its name only when its header is durable: it is prepared under another name,
//! synced, renamed, and then the directory is synced. So a `.seg` file whose header cannot be read is
//! damage and never a crash at a bad moment.
//!
//! Room is reserved when the file is made, so that a full disk shows there and not in the middle of a
//! record. Reserved room that was never written still costs fdatasync a metadata change, so a new file is
//! zeroed a step ahead of the records; a recycled file has been written before and needs nothing.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::disk::{Disk, DiskFile, is_storage_full};
use crate::group::Lsn;
use crate::wal::format::{
    FormatError, RECORD_HEADER_BYTES, RECORDS_START, RowCounts, SEGMENT_HEADER_BYTES, SegmentHeader,
    checksum_seed,
};
use crate::wal::record::{DecodeError, Place, RecordBuffer, StoredTables};

/// The one shard of the log there is; the directory leaves room for more.
const SHARD: &str = "0";
const QUARANTINE: &str = "quarantine";
const SEGMENT_SUFFIX: &str = ".seg";
const SPARE_SUFFIX: &str = ".spare";
const NEW_SUFFIX: &str = ".new";
/// Part of the format: files keep the name whatever the code calls what is in them.
const EXPORTS_SUFFIX: &str = ".requests";

/// How far a new file is zeroed ahead of the records, bytes: at 64 KiB a record this spares 15 of 16 syncs
/// the metadata change. Guess, not measured.
const ZERO_AHEAD_BYTES: u64 = 1 << 20;

/// Larger records are written into a new file without zeroing ahead, for that writes every byte twice:
/// records of 660 KiB went at half the speed (55 MB/s instead of 130 on a busy two-core machine). Where in
/// between the two meet was not measured.
const ZERO_FOR_RECORD_BYTES_MAX: u64 = 128 << 10;

/// Where the log lies and how it is cut into files.
#[derive(Debug, Clone)]
pub struct WalConfig {
    /// `<data>/wal`; made when it is missing.
    pub dir: PathBuf,
    /// Written into every segment: a log of another collector is refused, because its LSNs mean other rows.
    pub collector_id: [u8; 16],
    /// Bytes of a segment file, header included; [`WalConfig::SEGMENT_BYTES`] unless a test wants less. A
    /// record that is larger gets a segment of its own size.
    pub segment_bytes: u64,
}

impl WalConfig {
    /// 64 MiB: at 157 MB/s a new segment comes every 0.4 s, and a restart re-reads little that is in files
    /// already.
    pub const SEGMENT_BYTES: u64 = 64 << 20;
}

/// Why the log cannot be opened, read or cut.
#[derive(Debug, Error)]
pub enum WalError {
    /// The world's: trying again may help.
    #[error("{verb} {path}: {source}", path = path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    /// A file of a newer version, or one that is no segment at all: for an operator to decide.
    #[error("read the header of {path}: {source}", path = path.display())]
    Header { path: PathBuf, source: FormatError },
    #[error("{path} belongs to another collector", path = path.display())]
    ForeignSegment { path: PathBuf },
    #[error("{path} is named like a segment and has no LSN for a name", path = path.display())]
    Name { path: PathBuf },
    /// The record is whole and this version cannot read it; starting without it would lose its rows.
    #[error("read record {lsn} of {path}: {source}", path = path.display())]
    Record { lsn: Lsn, path: PathBuf, source: DecodeError },
}

impl WalError {
    /// For `map_err`: an I/O error with what was tried on which file.
    pub fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalError {
        let path = path.to_path_buf();
        move |source| WalError::Io { verb, path, source }
    }

    /// True when there is no room on the disk, which passes without a restart.
    pub fn is_storage_full(&self) -> bool {
        matches!(self, WalError::Io { source, .. } if is_storage_full(source))
    }
}

/// The names of the log's files.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Segments and spares.
    pub live: PathBuf,
    pub quarantine: PathBuf,
}

impl Layout {
    pub fn new(wal_dir: &Path) -> Layout {
        Layout { live: wal_dir.join(SHARD), quarantine: wal_dir.join(QUARANTINE) }
    }

    pub fn segment(&self, first_lsn: Lsn) -> PathBuf {
        self.live.join(segment_name(first_lsn))
    }

    pub fn quarantined(&self, first_lsn: Lsn) -> PathBuf {
        self.quarantine.join(segment_name(first_lsn))
    }

    pub fn spare(&self, first_lsn: Lsn) -> PathBuf {
        self.live.join(format!("{first_lsn:020}{SPARE_SUFFIX}"))
    }

    /// The exports that a cut segment held.
    pub fn exports(&self, first_lsn: Lsn) -> PathBuf {
        self.live.join(format!("{first_lsn:020}{EXPORTS_SUFFIX}"))
    }

    fn unfinished(&self, first_lsn: Lsn) -> PathBuf {
        self.live.join(format!("{first_lsn:020}{NEW_SUFFIX}"))
    }
}

/// The file name of a segment, without its directory.
pub fn segment_name(first_lsn: Lsn) -> String {
    format!("{first_lsn:020}{SEGMENT_SUFFIX}")
}

/// What a file in the log's directory is.
#[derive(Debug, PartialEq, Eq)]
pub enum FileKind {
    Segment(Lsn),
    Spare,
    /// The exports of a cut segment.
    Exports(Lsn),
    /// A segment that a crash caught in the making; it holds nothing.
    Unfinished,
    /// Called a segment, with a name that is no LSN.
    Misnamed,
    Foreign,
}

/// Tells from its name what a file is.
pub fn file_kind(name: &str) -> FileKind {
    if let Some(lsn) = name.strip_suffix(SEGMENT_SUFFIX) {
        return lsn.parse().map_or(FileKind::Misnamed, FileKind::Segment);
    }
    if let Some(lsn) = name.strip_suffix(EXPORTS_SUFFIX).and_then(|lsn| lsn.parse().ok()) {
        return FileKind::Exports(lsn);
    }
    match name {
        _ if name.ends_with(SPARE_SUFFIX) => FileKind::Spare,
        _ if name.ends_with(NEW_SUFFIX) => FileKind::Unfinished,
        _ => FileKind::Foreign,
    }
}

/// The segment that is appended to.
pub struct Segment {
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    seed: u32,
    /// Where the next record goes.
    end: u64,
    size_bytes: u64,
    /// Bytes before this have been written at least once.
    written_to: u64,
    stored: StoredTables,
}

impl Segment {
    /// Makes a segment of `size_bytes` from `spare` or a new file; durable, name and all, on return.
    ///
    /// # Errors
    /// The world's. What was made so far is removed again, the spare included.
    pub fn create(
        disk: &dyn Disk,
        layout: &Layout,
        header: SegmentHeader,
        size_bytes: u64,
        spare: Option<PathBuf>,
    ) -> Result<Segment, WalError> {
        let is_new = spare.is_none();
        let prepared = spare.unwrap_or_else(|| layout.unfinished(header.first_lsn));
        let path = layout.segment(header.first_lsn);
        let file = prepare(disk, &prepared, &header, is_new.then_some(size_bytes))
            .and_then(|file| publish(disk, layout, &prepared, &path).map(|()| file))
            .inspect_err(|_| {
                // Best effort: a disk that fails here may fail to remove as well, and then a restart does it.
                let _ = disk.remove(&prepared);
                let _ = disk.remove(&path);
            })?;
        let seed = checksum_seed(&header.collector_id, header.first_lsn);
        let written_to = if is_new { RECORDS_START } else { size_bytes };
        let stored = StoredTables::default();
        Ok(Segment { file, header, seed, end: RECORDS_START, size_bytes, written_to, stored })
    }

    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.end == RECORDS_START
    }

    /// Tables whose schema message an earlier record of this segment holds.
    pub fn stored(&self) -> StoredTables {
        self.stored
    }

    pub fn fits(&self, record: &RecordBuffer) -> bool {
        record.bytes().len() as u64 <= self.size_bytes - self.end
    }

    /// Makes room for `record` in a segment that is still empty.
    ///
    /// # Errors
    /// The world's; nothing has changed then.
    pub fn grow_for(&mut self, record: &RecordBuffer) -> io::Result<()> {
        let size_bytes = RECORDS_START + record.bytes().len() as u64;
        if size_bytes > self.size_bytes {
            self.file.allocate(size_bytes)?;
            self.size_bytes = size_bytes;
        }
        Ok(())
    }

    /// Writes `record` behind the last one, in one write. Not durable before [`Segment::sync`].
    ///
    /// # Panics
    /// When it does not fit.
    pub fn write(
        &mut self,
        record: &mut RecordBuffer,
        stored: StoredTables,
        lsn: Lsn,
        durable_lsn: Lsn,
        rows_before: &RowCounts,
    ) -> io::Result<()> {
        assert!(self.fits(record), "record {lsn} is longer than the rest of its segment");
        record.place(Place { seed: self.seed, epoch: self.header.epoch, lsn, durable_lsn, rows_before });
        let record_bytes = record.bytes().len() as u64;
        let end = self.end + record_bytes;
        let zeros = match end > self.written_to && record_bytes <= ZERO_FOR_RECORD_BYTES_MAX {
            true => ZERO_AHEAD_BYTES.min(self.size_bytes - end),
            false => 0,
        };
        self.file.write_at(record.bytes_and_zeros(zeros as usize), self.end)?;
        self.written_to = self.written_to.max(end + zeros);
        self.end = end;
        self.stored = stored;
        Ok(())
    }

    /// Wipes the header of the record written last, without a sync: a process that restarts on this machine
    /// reads what the kernel holds, not the disk, and must not take the record for durable. Best effort.
    pub fn wipe(&self, record_start: u64) {
        let _ = self.file.write_at(&[0; RECORD_HEADER_BYTES], record_start);
    }

    /// Where the next record goes, bytes from the start of the file.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Makes everything written durable. After an error the file must not be synced again: the kernel may
    /// have dropped what it could not write, and would then report success.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Writes the header into a new file of `new_bytes`, or into the existing one at `path`.
fn prepare(
    disk: &dyn Disk,
    path: &Path,
    header: &SegmentHeader,
    new_bytes: Option<u64>,
) -> Result<Box<dyn DiskFile>, WalError> {
    let file = match new_bytes {
        Some(size_bytes) => {
            let file = disk.create(path).map_err(WalError::io("create", path))?;
            file.allocate(size_bytes).map_err(WalError::io("reserve room for", path))?;
            file
        }
        None => open(disk, path)?,
    };
    let bytes = header.encode();
    file.write_at(&bytes, 0)
        .and_then(|()| file.write_at(&bytes, SEGMENT_HEADER_BYTES as u64))
        .and_then(|()| file.sync_all())
        .map_err(WalError::io("write the header of", path))?;
    Ok(file)
}

fn publish(disk: &dyn Disk, layout: &Layout, prepared: &Path, path: &Path) -> Result<(), WalError> {
    disk.rename(prepared, path).map_err(WalError::io("rename to", path))?;
    disk.sync_dir(&layout.live).map_err(WalError::io("sync", &layout.live))
}

pub fn open(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, WalError> {
    disk.open(path).map_err(WalError::io("open", path))
}

/// Reads the header from whichever copy is whole.
///
/// # Errors
/// The first copy's [`FormatError`] when neither is; a read error counts as damage (`Truncated`).
pub fn read_header(file: &dyn DiskFile) -> Result<SegmentHeader, FormatError> {
    let copy = |offset| {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut bytes, offset);
        read.map_err(|_| FormatError::Truncated("the segment header"))?;
        SegmentHeader::decode(&bytes)
    };
    copy(0).or_else(|error| copy(SEGMENT_HEADER_BYTES as u64).map_err(|_| error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    fn layout() -> Layout {
        Layout::new(Path::new("wal"))
    }

    fn disk() -> SimDisk {
        let disk = SimDisk::default();
        disk.set_dir(&layout().live);
        disk
    }

    fn header(first_lsn: Lsn) -> SegmentHeader {
        SegmentHeader {
            collector_id: [7; 16],
            epoch: 1,
            first_lsn,
            durable_lsn: first_lsn - 1,
            rows_before: RowCounts::default(),
            voids: Vec::new(),
        }
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        let lsn = u64::MAX;
        assert_eq!(segment_name(93), "00000000000000000093.seg");
        assert_eq!(file_kind(&segment_name(lsn)), FileKind::Segment(lsn));
        assert_eq!(file_kind("00000000000000000093.spare"), FileKind::Spare);
        assert_eq!(file_kind("00000000000000000093.new"), FileKind::Unfinished);
        assert_eq!(file_kind("00000000000000000093.requests"), FileKind::Exports(93));
        assert_eq!(file_kind("lost+found"), FileKind::Foreign);
        assert_eq!(file_kind("backup.seg"), FileKind::Misnamed);
    }

    #[test]
    fn a_created_segment_survives_every_crash_with_both_headers() {
        let disk = disk();
        Segment::create(&disk, &layout(), header(5), 1 << 16, None).expect("create");
        for seed in 0..20 {
            let content = disk.crashed(seed).contents(&layout().segment(5)).expect("the name is durable");
            assert_eq!(content.len(), 1 << 16);
            assert_eq!(content[..4096], header(5).encode());
            assert_eq!(content[4096..8192], header(5).encode());
        }
    }

    #[test]
    fn a_crash_at_any_point_of_creation_leaves_no_segment_without_header() {
        for operations in 0..12 {
            let disk = disk();
            disk.power_off_after(operations);
            let _ = Segment::create(&disk, &layout(), header(5), 1 << 16, None);
            for seed in 0..20 {
                let crashed = disk.crashed(seed);
                if let Ok(file) = crashed.open(&layout().segment(5)) {
                    assert_eq!(read_header(file.as_ref()), Ok(header(5)), "{operations} seed {seed}");
                }
            }
        }
    }

    #[test]
    fn one_bad_copy_of_the_header_does_no_harm() {
        for bad in [0usize, 4096] {
            let disk = disk();
            Segment::create(&disk, &layout(), header(5), 1 << 16, None).expect("create");
            let mut content = disk.contents(&layout().segment(5)).expect("there");
            content[bad..bad + 4096].fill(0xff);
            disk.set_contents(&layout().segment(5), content);
            let file = disk.open(&layout().segment(5)).expect("open");
            assert_eq!(read_header(file.as_ref()), Ok(header(5)));
        }
    }

    #[test]
    fn a_full_disk_leaves_no_file_behind() {
        let disk = disk();
        disk.set_free_bytes(100);
        let error = Segment::create(&disk, &layout(), header(5), 1 << 16, None).err().expect("no room");
        assert!(error.is_storage_full(), "{error}");
        assert_eq!(disk.paths(), Vec::<PathBuf>::new());
    }
}
