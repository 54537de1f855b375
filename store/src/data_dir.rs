//! The data directory: one per collector, locked while it runs.
//!
//! ```text
//! <data>/LOCK           held with flock by the running process; its text is the process id
//! <data>/reserve        room on the disk that is given up when there is no other
//! <data>/collector_id   32 hex digits, made once; names this collector in WAL segments and Delta commits
//! <data>/positions      how far each file of lines is stored; the collector's, which writes it while it has the lock
//! <data>/wal/           the write-ahead log
//! <data>/tables/<name>/ one Delta table each: _delta_log/ and date=YYYY-MM-DD/*.parquet
//! ```
//!
//! The lock is flock(2), not the existence of a file: the kernel drops it when the process dies, so a
//! crash never leaves a directory locked. Limits: flock does not hold between machines on NFS.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use meshlake_schema::Table;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use thiserror::Error;

use crate::disk::{Disk, is_storage_full, sync_dir_and_parents};

const LOCK_FILE: &str = "LOCK";
const COLLECTOR_ID_FILE: &str = "collector_id";

/// Why a data directory cannot be used. All are for a person to mend.
#[derive(Debug, Error)]
pub enum DataDirError {
    #[error("data directory {} is in use by another meshlake process (pid {pid})", path.display())]
    InUse { path: PathBuf, pid: String },
    #[error("data directory {}: {verb} {name}: {cause}", path.display())]
    Io { path: PathBuf, verb: &'static str, name: &'static str, cause: io::Error },
    #[error("data directory {}: collector_id is {text:?}, not 32 hex digits", path.display())]
    CollectorId { path: PathBuf, text: String },
}

/// An open data directory. Dropping it releases the lock.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    collector_id: u128,
    /// Never read: holding it open holds the lock.
    _lock: File,
}

impl DataDir {
    /// Locks `root` for this process, making the directory and its collector id when they are missing.
    /// `disk` is the real one: a lock is the kernel's business.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] while another process (or another [`DataDir`]) has it.
    pub fn open(disk: &dyn Disk, root: &Path) -> Result<Self, DataDirError> {
        disk.create_dir_all(root).map_err(DataDirError::io(root, "create", "the directory"))?;
        let lock = lock(root)?;
        let collector_id = prepare(disk, root)?;
        Ok(DataDir { root: root.to_owned(), collector_id, _lock: lock })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names this collector for ever, also after its WAL is lost.
    pub fn collector_id(&self) -> u128 {
        self.collector_id
    }

    pub fn wal_dir(&self) -> PathBuf {
        self.root.join("wal")
    }
}

impl DataDirError {
    fn io(path: &Path, verb: &'static str, name: &'static str) -> impl FnOnce(io::Error) -> DataDirError {
        let path = path.to_owned();
        move |cause| DataDirError::Io { path, verb, name, cause }
    }
}

/// Makes what a data directory needs, all of it durable, and returns the collector id. Called with the
/// directory locked.
pub(crate) fn prepare(disk: &dyn Disk, root: &Path) -> Result<u128, DataDirError> {
    let io = |verb, name| DataDirError::io(root, verb, name);
    for name in ["wal", "tables"] {
        disk.create_dir_all(&root.join(name)).map_err(io("create", name))?;
    }
    // What a killed predecessor made may not be durable yet.
    sync_dir_and_parents(disk, root).map_err(io("sync", "the directory"))?;
    match read_collector_id(disk, root) {
        Err(DataDirError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
            make_collector_id(disk, root).map_err(io("write", COLLECTOR_ID_FILE))
        }
        read => read,
    }
}

/// The collector id of a data directory that has one.
///
/// # Errors
/// [`DataDirError::Io`] of kind `NotFound` when it has none yet.
pub(crate) fn read_collector_id(disk: &dyn Disk, root: &Path) -> Result<u128, DataDirError> {
    let text = read(disk, &root.join(COLLECTOR_ID_FILE));
    let text = text.map_err(DataDirError::io(root, "read", COLLECTOR_ID_FILE))?;
    parse_collector_id(&text).ok_or_else(|| DataDirError::CollectorId { path: root.to_owned(), text })
}

/// Where a table lies, relative to the data directory.
pub(crate) fn table_path(table: Table) -> object_store::path::Path {
    object_store::path::Path::from_iter(["tables", table.name()])
}

/// 128 bits from the kernel.
///
/// # Errors
/// Only on kernels without getrandom(2).
pub(crate) fn random_bits() -> io::Result<u128> {
    let mut bytes = [0u8; 16];
    // Up to 256 bytes are never short and never interrupted once the pool is up (getrandom(2)).
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    if filled != bytes.len() {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "getrandom was cut short"));
    }
    Ok(u128::from_le_bytes(bytes))
}

fn lock(root: &Path) -> Result<File, DataDirError> {
    let io = |verb| DataDirError::io(root, verb, LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(root.join(LOCK_FILE))
        .map_err(io("open"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(io("read"))?;
            return Err(DataDirError::InUse { path: root.to_owned(), pid: pid.trim().to_owned() });
        }
        Err(error) => return Err(io("lock")(error.into())),
    }
    // Over the old text and only then cut to length: on a full disk an emptied file may not get its room
    // back. Without any the lock holds all the same, and only who holds it cannot be read.
    let note = format!("{}\n", std::process::id());
    let written = file.write_all_at(note.as_bytes(), 0).and_then(|()| file.set_len(note.len() as u64));
    match written {
        Err(error) if is_storage_full(&error) => tracing::warn!(%error, "write the process id into LOCK"),
        written => written.map_err(io("write"))?,
    }
    Ok(file)
}

fn parse_collector_id(text: &str) -> Option<u128> {
    let digits = text.trim_end();
    let well_formed = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if well_formed { u128::from_str_radix(digits, 16).ok() } else { None }
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<String> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.size_bytes()?).map_err(io::Error::other)?];
    file.read_at(&mut bytes, 0)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// Written under another name first, so that a crash leaves either no id or a whole one.
fn make_collector_id(disk: &dyn Disk, root: &Path) -> io::Result<u128> {
    let id = random_bits()?;
    let staged = root.join(format!("{COLLECTOR_ID_FILE}.new"));
    match disk.remove(&staged) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&staged)?;
    file.write_at(format!("{id:032x}\n").as_bytes(), 0)?;
    file.sync_all()?;
    disk.rename(&staged, &root.join(COLLECTOR_ID_FILE))?;
    disk.sync_dir(root)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::disk::StdDisk;
    use crate::disk::sim::{NamesAfterCrash, SimDisk};

    #[test]
    fn the_collector_id_is_made_once_and_kept() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = dir.path().join("deep/data");
        let first = DataDir::open(&StdDisk, &root).expect("open").collector_id();
        assert_eq!(DataDir::open(&StdDisk, &root).expect("open again").collector_id(), first);
        let text = fs::read_to_string(root.join("collector_id")).expect("read");
        assert_eq!(text, format!("{first:032x}\n"));
    }

    #[test]
    fn a_second_open_is_refused_with_the_pid_of_the_first() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let held = DataDir::open(&StdDisk, dir.path()).expect("open");
        let error = DataDir::open(&StdDisk, dir.path()).expect_err("the lock is held");
        let want = format!(
            "data directory {} is in use by another meshlake process (pid {})",
            dir.path().display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), want);
        drop(held);
        assert!(DataDir::open(&StdDisk, dir.path()).is_ok(), "dropping releases the lock");
    }

    #[test]
    fn a_broken_collector_id_is_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("collector_id"), "+123").expect("write");
        let error = DataDir::open(&StdDisk, dir.path()).expect_err("not an id");
        assert!(error.to_string().contains("\"+123\", not 32 hex digits"), "{error}");
    }

    #[test]
    fn a_file_in_the_way_is_one_clear_line() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("file");
        fs::write(&path, "").expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        let error = DataDir::open(&StdDisk, &path).expect_err("a file is no directory").to_string();
        assert!(error.starts_with(&format!("data directory {}: ", path.display())), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    /// However far a start comes before the power goes, the next one finds no id or a whole one, and keeps it.
    #[test]
    fn a_crash_at_any_step_of_the_making_leaves_no_half_id() {
        let root = Path::new("/data");
        for operations in 0..14 {
            let disk = SimDisk::default();
            disk.power_off_after(operations);
            let made =
                disk.create_dir_all(root).map_err(|_| ()).and_then(|()| prepare(&disk, root).map_err(|_| ()));
            for seed in 0..50 {
                let crashed = disk.crashed_with(seed, NamesAfterCrash::Any);
                crashed.create_dir_all(root).expect("the power is on");
                let id = prepare(&crashed, root).expect("the power is on");
                assert!(made.is_err() || made == Ok(id), "operation {operations}, seed {seed}");
                let again = crashed.crashed_with(seed, NamesAfterCrash::Any);
                assert_eq!(prepare(&again, root).expect("the power is on"), id);
            }
        }
    }
}
