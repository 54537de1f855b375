//! Positions on disk: records that are appended, the last one of a file holds.
//!
//! ```text
//!   0   8  magic "MLPOS001"
//!   8  44  each: identity of the file (16), hash of its tenant (8), position in bytes (8),
//!                seconds since the epoch when it moved (4), bytes that the identity is of (2), zero (2),
//!                low 32 bits of xxh3-64 over those 40 bytes (4)
//! ```
//! All numbers are little-endian. Appending, because one file of a hundred thousand moves at a time; a start writes
//! the file anew, and so does an append once most of it is out of date. A record that is torn or damaged is left out,
//! which costs what that record said: lines are then read from the position before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::FileIdentity;

const MAGIC: &[u8; 8] = b"MLPOS001";
const RECORD_BYTES: usize = 44;
const SUMMED_BYTES: usize = 40;

/// The file is written anew when it has this many records more than twice those that hold: 360 KB, a few
/// milliseconds' work.
const SURPLUS_RECORDS_MAX: usize = 8192;

/// What is written of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub file: FileIdentity,
    pub tenant: u64,
    pub position: u64,
    pub seconds: u32,
    pub head_bytes: u16,
}

/// The file of positions.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// In the file.
    records: usize,
}

impl Journal {
    /// The journal at `path`, and what it says, oldest first; it is made by the first append.
    ///
    /// # Errors
    /// It cannot be read, or it is another program's.
    pub fn open(path: PathBuf) -> io::Result<(Journal, Vec<Record>)> {
        let records = match fs::read(&path) {
            Ok(bytes) => read(&bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok((Journal { path, file: None, records: 0 }, records))
    }

    /// Appends `changed`, durably; the whole of `all` instead where there is no file of this process yet, or too much of
    /// it is out of date.
    ///
    /// # Errors
    /// The world's. What the file said before holds; the next call writes it anew.
    pub fn append(
        &mut self,
        changed: &[Record],
        all: impl FnOnce() -> Vec<Record>,
        held: usize,
    ) -> io::Result<()> {
        let is_worn = self.records + changed.len() > 2 * held + SURPLUS_RECORDS_MAX;
        let appended = match &mut self.file {
            Some(file) if !is_worn => {
                let bytes: Vec<u8> = changed.iter().flat_map(encode).collect();
                file.write_all(&bytes).and_then(|()| file.sync_data())
            }
            _ => return self.write_anew(&all()),
        };
        match appended {
            Ok(()) => self.records += changed.len(),
            // Part of it may be in the file; behind a half record nothing could be read.
            Err(_) => self.file = None,
        }
        appended
    }

    fn write_anew(&mut self, records: &[Record]) -> io::Result<()> {
        self.file = None;
        let staged = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&staged)?;
        let mut bytes = MAGIC.to_vec();
        records.iter().for_each(|record| bytes.extend_from_slice(&encode(record)));
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&staged, &self.path)?;
        sync_parent(&self.path)?;
        self.records = records.len();
        self.file = Some(file);
        Ok(())
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn encode(record: &Record) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    bytes[..16].copy_from_slice(&record.file.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&record.tenant.to_le_bytes());
    bytes[24..32].copy_from_slice(&record.position.to_le_bytes());
    bytes[32..36].copy_from_slice(&record.seconds.to_le_bytes());
    bytes[36..38].copy_from_slice(&record.head_bytes.to_le_bytes());
    let sum = xxh3_64(&bytes[..SUMMED_BYTES]) as u32;
    bytes[SUMMED_BYTES..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn read(bytes: &[u8]) -> io::Result<Vec<Record>> {
    // A file that a crash left without all of its first bytes has no record either.
    let Some(records) = bytes.strip_prefix(MAGIC) else {
        let is_cut = MAGIC.starts_with(bytes);
        let error = || io::Error::new(ErrorKind::InvalidData, "it is no file of positions");
        return if is_cut { Ok(Vec::new()) } else { Err(error()) };
    };
    Ok(records.as_chunks::<RECORD_BYTES>().0.iter().filter_map(decode).collect())
}

fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Record> {
    let (summed, sum) = bytes.split_first_chunk::<SUMMED_BYTES>()?;
    if (xxh3_64(summed) as u32).to_le_bytes() != sum {
        return None;
    }
    let (file, rest) = summed.split_first_chunk()?;
    let (tenant, rest) = rest.split_first_chunk()?;
    let (position, rest) = rest.split_first_chunk()?;
    let (seconds, rest) = rest.split_first_chunk()?;
    let (head_bytes, _) = rest.split_first_chunk()?;
    Some(Record {
        file: FileIdentity(u128::from_le_bytes(*file)),
        tenant: u64::from_le_bytes(*tenant),
        position: u64::from_le_bytes(*position),
        seconds: u32::from_le_bytes(*seconds),
        head_bytes: u16::from_le_bytes(*head_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> Record {
        Record {
            file: FileIdentity(u128::MAX - u128::from(n)),
            tenant: n * 3,
            position: u64::MAX - n,
            seconds: n as u32,
            head_bytes: 4096,
        }
    }

    fn path() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("positions");
        (dir, path)
    }

    #[test]
    fn records_come_back_in_the_order_of_writing_over_starts() {
        let (_dir, path) = path();
        let (mut journal, none) = Journal::open(path.clone()).expect("open");
        assert_eq!((none.len(), path.exists()), (0, false));
        journal.append(&[record(1)], || vec![record(1)], 1).expect("write");
        journal.append(&[record(2), record(3)], || panic!("appended"), 3).expect("write");
        let (mut journal, read) = Journal::open(path.clone()).expect("open");
        assert_eq!(read, [record(1), record(2), record(3)]);
        journal.append(&[record(4)], || vec![record(3), record(4)], 2).expect("write");
        assert_eq!(Journal::open(path).expect("open").1, [record(3), record(4)]);
    }

    #[test]
    fn a_record_that_is_torn_or_damaged_is_left_out() {
        let (_dir, path) = path();
        let (mut journal, _) = Journal::open(path.clone()).expect("open");
        journal.append(&[], || vec![record(1), record(2)], 2).expect("write");
        let good = fs::read(&path).expect("read");
        // Magic and two records.
        assert_eq!(good.len(), 8 + 2 * 44);
        for at in 0..good.len() {
            let read_cut = read(&good[..at]).expect("cut");
            let whole = at.saturating_sub(8) / 44;
            assert_eq!(read_cut, [record(1), record(2)][..whole], "cut at {at}");
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            match read(&flipped) {
                Err(_) => assert!(at < 8, "byte {at}"),
                Ok(read) => assert_eq!(read, [record(if at < 8 + 44 { 2 } else { 1 })], "byte {at}"),
            }
        }
    }

    #[test]
    fn a_journal_that_is_mostly_out_of_date_is_written_anew() {
        let (_dir, path) = path();
        let (mut journal, _) = Journal::open(path.clone()).expect("open");
        journal.append(&[], || vec![record(0)], 1).expect("write");
        let most = vec![record(1); 2 + SURPLUS_RECORDS_MAX - 1];
        journal.append(&most, || panic!("appended"), 1).expect("write");
        journal.append(&[record(2)], || vec![record(2)], 1).expect("write");
        assert_eq!(Journal::open(path).expect("open").1, [record(2)]);
    }
}
