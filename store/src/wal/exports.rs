//! What the exports of a cut segment were, kept in a small file beside the log so that one that comes again is
//! recognised, also after a restart.
//!
//! The log itself knows its exports, but a segment is cut a minute after it was written, and a client may try
//! again for ten. So the exports of a segment are written down before it is cut. Carrying them along in each new
//! segment instead would write every one of them again every 64 MiB, up to a million of them; here each is
//! written once.
//!
//! ```text
//!   0   8  magic "MLREQ001"
//!   8   4  CRC-32C of all that follows
//!  12   4  number of exports
//!  16  24  each: hash (16), rows (4), seconds since the epoch (4)
//! ```
//! All numbers are little-endian. Limits: a file that is damaged or missing costs the memory of its exports and
//! no row; files are kept while the newest hold [`EXPORTS_MAX`] exports, and for [`AGE_MAX_SECONDS`] at most.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::TimestampMicrosecondType;
use meshlake_schema::{Table, TableBatch};

use crate::disk::Disk;
use crate::group::{ExportEntry, Group, Lsn, StoredExport};

/// Exports that are kept over all files, as many as the collector remembers; 24 MB.
pub const EXPORTS_MAX: usize = 1_000_000;

/// The longest that anybody may want to remember an export: a day.
pub const AGE_MAX_SECONDS: u32 = 86_400;

const MAGIC: &[u8; 8] = b"MLREQ001";
const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 24;

/// A file with the exports of a cut segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportsFile {
    pub first_lsn: Lsn,
    pub count: usize,
    /// When the last of them came, seconds since the epoch.
    pub seconds: u32,
}

/// What a start finds: exports in files, then those of the log, oldest first.
#[derive(Debug, Default)]
pub struct Remembered {
    exports: VecDeque<StoredExport>,
    files: Vec<ExportsFile>,
    /// How many each segment had.
    by_segment: Vec<usize>,
}

impl Remembered {
    /// Takes in the file of a segment that was cut; false when it is damaged and can go.
    pub fn read(&mut self, disk: &dyn Disk, first_lsn: Lsn, path: &Path) -> bool {
        match read(disk, path) {
            Ok(Some(exports)) => {
                let seconds = exports.last().map_or(0, |export| export.seconds);
                self.files.push(ExportsFile { first_lsn, count: exports.len(), seconds });
                self.extend(exports);
                true
            }
            Ok(None) => {
                tracing::warn!(path = %path.display(), "forget the exports in a file that is torn or damaged");
                false
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "read the exports of a cut segment");
                true
            }
        }
    }

    /// Takes in the exports of a record of the segment at `index`; segments come in order.
    pub fn add(&mut self, index: usize, group: &Group) {
        let before = self.exports.len();
        self.exports.extend(stored_exports(&group.exports, &group.batches));
        let count = self.exports.len() - before;
        self.by_segment.resize(self.by_segment.len().max(index + 1), 0);
        self.by_segment[index] += count;
        self.extend([]);
    }

    /// The exports of a segment that are still remembered: those of the last one end the list.
    pub fn of_segment(&self, index: usize) -> Arc<[StoredExport]> {
        let behind: usize = self.by_segment.iter().skip(index + 1).sum();
        let end = self.exports.len().saturating_sub(behind);
        let start = end.saturating_sub(self.by_segment.get(index).copied().unwrap_or(0));
        self.exports.range(start..end).copied().collect()
    }

    pub fn files(&self) -> &[ExportsFile] {
        &self.files
    }

    pub fn take(&mut self) -> Vec<StoredExport> {
        std::mem::take(&mut self.exports).into()
    }

    fn extend(&mut self, exports: impl IntoIterator<Item = StoredExport>) {
        self.exports.extend(exports);
        let surplus = self.exports.len().saturating_sub(EXPORTS_MAX);
        self.exports.drain(..surplus);
    }
}

/// The exports of a group that has become durable; those without rows are left out. They came when the group
/// was counted in the ledger, or at a time that nobody knows, which is 0.
pub fn stored_exports<'a>(
    exports: &'a [ExportEntry],
    batches: &[TableBatch],
) -> impl Iterator<Item = StoredExport> + use<'a> {
    let ledger = batches.iter().find(|batch| batch.table() == Table::Ledger);
    let times = ledger.and_then(|batch| {
        batch.rows().column_by_name("time")?.as_primitive_opt::<TimestampMicrosecondType>()
    });
    let micros = times.and_then(|times| times.values().first().copied()).unwrap_or(0);
    let seconds = u32::try_from(micros / 1_000_000).unwrap_or(0);
    exports.iter().filter_map(move |export| {
        let rows = export.rows.iter().fold(0_u32, |sum, (_, rows)| sum.saturating_add(*rows));
        (rows > 0).then_some(StoredExport { hash: export.hash, rows, seconds })
    })
}

/// Writes `exports` to the new file `path`, durably but for its name.
///
/// # Errors
/// The world's. A file that was left by an earlier try is replaced.
pub fn write(disk: &dyn Disk, path: &Path, exports: &[StoredExport]) -> std::io::Result<()> {
    let mut bytes = vec![0; HEADER_BYTES];
    for export in exports {
        bytes.extend_from_slice(&export.hash.to_le_bytes());
        bytes.extend_from_slice(&export.rows.to_le_bytes());
        bytes.extend_from_slice(&export.seconds.to_le_bytes());
    }
    bytes[..8].copy_from_slice(MAGIC);
    bytes[12..16].copy_from_slice(&(exports.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[12..]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    let file = match disk.create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.remove(path)?;
            disk.create(path)?
        }
        created => created?,
    };
    file.write_at(&bytes, 0)?;
    file.sync_data()
}

/// The exports in the file `path`; `None` when it is damaged.
///
/// # Errors
/// The world's.
pub fn read(disk: &dyn Disk, path: &Path) -> std::io::Result<Option<Vec<StoredExport>>> {
    let file = disk.open(path)?;
    let size_bytes = file.size_bytes()?;
    if size_bytes > (HEADER_BYTES + EXPORTS_MAX * ENTRY_BYTES) as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; size_bytes as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> Option<Vec<StoredExport>> {
    let checked = bytes.strip_prefix(MAGIC)?;
    let (checksum, contents) = checked.split_first_chunk::<4>()?;
    if crc32c::crc32c(contents) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (count, entries) = contents.split_first_chunk::<4>()?;
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || entries.len() != u32::from_le_bytes(*count) as usize {
        return None;
    }
    let export = |entry: &[u8; ENTRY_BYTES]| {
        let (hash, numbers) = entry.split_first_chunk::<16>()?;
        let (rows, seconds) = numbers.split_first_chunk::<4>()?;
        let seconds = u32::from_le_bytes(seconds.try_into().ok()?);
        Some(StoredExport { hash: u128::from_le_bytes(*hash), rows: u32::from_le_bytes(*rows), seconds })
    };
    entries.iter().map(export).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::wal::fixture::group_of;

    fn exports(count: u32) -> Vec<StoredExport> {
        let export = |n: u32| StoredExport { hash: u128::MAX - u128::from(n), rows: n + 1, seconds: n * 2 };
        (0..count).map(export).collect()
    }

    fn disk() -> SimDisk {
        let disk = SimDisk::default();
        disk.set_dir(Path::new("wal"));
        disk
    }

    #[test]
    fn requests_come_back_as_written_also_over_an_earlier_try() {
        let (disk, path) = (disk(), Path::new("wal/1.requests"));
        for count in [3, 0, 1] {
            write(&disk, path, &exports(count)).expect("write");
            assert_eq!(read(&disk, path).expect("read"), Some(exports(count)));
        }
    }

    #[test]
    fn a_damaged_file_has_no_requests() {
        let (disk, path) = (disk(), Path::new("wal/1.requests"));
        write(&disk, path, &exports(2)).expect("write");
        let good = disk.contents(path).expect("written");
        // Magic, sum, count, two entries.
        assert_eq!(good.len(), 8 + 4 + 4 + 2 * 24);
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            assert_eq!(decode(&flipped), None, "byte {at}");
            assert_eq!(decode(&good[..at]), None, "cut at {at}");
        }
    }

    /// The fixture's ledger rows count from 1970 on, so a group's exports came in its first second.
    #[test]
    fn requests_with_rows_came_when_the_ledger_counted_them() {
        let group = group_of(2, 7);
        let rows = [(Table::Spans, u32::MAX), (Table::Ledger, 2)].to_vec();
        let entries = [ExportEntry { hash: 1, rows }, ExportEntry { hash: 2, rows: Vec::new() }];
        let times = group.batches[0].rows()["time"].as_primitive::<TimestampMicrosecondType>();
        let seconds = u32::try_from(times.value(0) / 1_000_000).unwrap_or(0);
        let stored: Vec<_> = stored_exports(&entries, &group.batches).collect();
        assert_eq!(stored, [StoredExport { hash: 1, rows: u32::MAX, seconds }]);
        let stored: Vec<_> = stored_exports(&entries, &[]).collect();
        assert_eq!(stored[0].seconds, 0);
    }
}
