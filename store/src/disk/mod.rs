//! All file access that the store's promises rest on, behind two small traits, so that a crash can be
//! simulated.
//!
//! The store promises that what was synced survives and what was not may vanish in any combination. No
//! test on a real file system can show that, because a real one almost never drops the awkward half;
//! [`sim::SimDisk`] does, from a seed. So the log (`wal/`), the making of tables' files (`durable_fs/`) and
//! of the data directory touch `std::fs` nowhere but here.
//!
//! Everything is synchronous and positional: the log has one writing thread, and a cursor shared between
//! threads is a bug waiting. Paths are those of the real file system. Limits: no permissions, no symbolic
//! links, no memory maps; directories hold files that are few enough to be listed at once.

pub(crate) mod read_only;
#[doc(hidden)]
pub mod sim;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// A file system as far as the store needs one.
///
/// A change to a directory (a file or directory made, renamed, linked, removed) is durable only after
/// [`Disk::sync_dir`].
pub trait Disk: Send + Sync + 'static {
    /// Makes an empty file for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; the world's otherwise.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when there is none; the world's otherwise.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// What is in `dir`, sorted by name.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory.
    fn entries(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Gives a file another name; a file that had it is gone. The directories may differ.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; the world's otherwise.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    fn is_dir(&self, path: &Path) -> bool;

    /// Makes one directory in an existing one.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; the world's otherwise.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a directory that is empty.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes every earlier change of `dir`'s entries durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be written to the file system of `dir`; 0 when it takes no more files, and
    /// `u64::MAX` when it has no bound. Room that a quota withholds is not seen.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Names of the files in `dir`, sorted; subdirectories are left out.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory; `InvalidData` for a name that is not UTF-8.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = self.entries(dir)?.into_iter().filter(|entry| entry.kind == EntryKind::File);
        let utf8 = |name: OsString| {
            let text = name.into_string();
            text.map_err(|name| {
                io::Error::new(io::ErrorKind::InvalidData, format!("file name {name:?} is not UTF-8"))
            })
        };
        files.map(|entry| utf8(entry.name)).collect()
    }

    /// Makes `dir` and its missing parents, each of them durable before this returns.
    ///
    /// One that is there already is taken for durable. What a killed process made and did not sync is
    /// made so once at the start, by [`sync_dir_and_parents`] and `DurableFs::settle`, and not at every
    /// file that is put.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if self.is_dir(dir) {
            return Ok(());
        }
        let parent = dir.parent().unwrap_or(Path::new("/"));
        self.create_dir_all(parent)?;
        match self.create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(parent).inspect_err(|_| {
            // Taken back, or the next call would find it there and take it for durable.
            let _ = self.remove_dir(dir);
        })
    }
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    pub kind: EntryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
    /// A symbolic link, a socket: nothing that the store makes.
    Other,
}

/// Makes `dir` itself durable: its own entries, and its name and that of every directory above it, which an
/// earlier process may have made and not lived to sync. A directory above that cannot be read or synced at
/// all (another owner's, another kind of file system) is not one that we made.
pub fn sync_dir_and_parents(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.sync_dir(dir)?;
    for parent in dir.ancestors().skip(1) {
        match disk.sync_dir(parent) {
            Err(error) if is_not_ours(error.kind()) => return Ok(()),
            synced => synced?,
        }
    }
    Ok(())
}

fn is_not_ours(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(kind, PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported)
}

/// True for the errors of a disk without room, which pass without a restart.
pub fn is_storage_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// One open file. All offsets and lengths are bytes.
pub trait DiskFile: Send + Sync {
    /// Writes all of `bytes` at `offset`, growing the file where needed. Not durable before a sync.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; then the contents of `bytes` are not specified.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    fn size_bytes(&self) -> io::Result<u64>;

    /// Makes the file at least `bytes` long, with room for them reserved and read as zeros.
    ///
    /// # Errors
    /// `StorageFull` when the disk has no room; nothing is written then.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Makes the contents durable, and of the metadata only what reading them needs (fdatasync).
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the contents and all metadata durable (fsync).
    fn sync_all(&self) -> io::Result<()>;
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct StdDisk;

impl Disk for StdDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn entries(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = match entry.file_type()? {
                kind if kind.is_file() => EntryKind::File,
                kind if kind.is_dir() => EntryKind::Directory,
                _ => EntryKind::Other,
            };
            entries.push(Entry { name: entry.file_name(), kind });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        here_if_empty(path).is_dir()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(here_if_empty(dir))?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let room = statvfs(dir)?;
        // A tmpfs without a limit says that it has no blocks at all; btrfs says so of its files.
        if room.f_blocks == 0 {
            return Ok(u64::MAX);
        }
        let takes_files = room.f_files == 0 || room.f_favail > 0;
        Ok(if takes_files { room.f_bavail.saturating_mul(room.f_frsize) } else { 0 })
    }
}

/// The parent of a relative path of one component is the empty path, which no system call takes.
fn here_if_empty(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match fallocate(self, FallocateFlags::empty(), 0, bytes) {
            // Some file systems (ZFS, old NFS) cannot reserve; there a full disk shows at the first write.
            Err(Errno::OPNOTSUPP) if self.metadata()?.len() < bytes => self.set_len(bytes),
            Err(Errno::OPNOTSUPP) => Ok(()),
            other => Ok(other?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        File::sync_all(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::{NamesAfterCrash, SimDisk};

    #[test]
    fn allocated_bytes_read_as_zeros_and_keep_what_was_written() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = StdDisk.create(&dir.path().join("a")).expect("create");
        file.write_at(b"abc", 0).expect("write");
        file.allocate(8).expect("allocate");
        let mut bytes = [0xff; 8];
        file.read_at(&mut bytes, 0).expect("read");
        assert_eq!((file.size_bytes().expect("size"), &bytes), (8, b"abc\0\0\0\0\0"));
    }

    #[test]
    fn create_refuses_a_taken_name() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a");
        StdDisk.create(&path).expect("create");
        let error = StdDisk.create(&path).err().expect("the name is taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn list_is_sorted_and_leaves_directories_out() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for name in ["b", "a"] {
            StdDisk.create(&dir.path().join(name)).expect("create");
        }
        StdDisk.create_dir_all(&dir.path().join("c/d")).expect("create directories");
        assert_eq!(StdDisk.list(dir.path()).expect("list"), ["a", "b"]);
    }

    #[test]
    fn reading_past_the_end_is_an_error() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = StdDisk.create(&dir.path().join("a")).expect("create");
        file.write_at(b"abc", 0).expect("write");
        let error = file.read_at(&mut [0; 4], 0).expect_err("only three bytes are there");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    fn survives_every_crash(disk: &SimDisk, dir: &Path) -> bool {
        (0..50).all(|seed| disk.crashed_with(seed, NamesAfterCrash::Any).is_dir(dir))
    }

    /// The first call makes `a` and cannot sync it; the second must not take it for durable.
    #[test]
    fn a_directory_whose_sync_failed_is_made_anew() {
        let (disk, dir) = (SimDisk::default(), Path::new("a/b"));
        disk.fail_dir_syncs(0, 1);
        disk.create_dir_all(dir).expect_err("the first sync fails");
        disk.create_dir_all(dir).expect("the disk has recovered");
        assert!(survives_every_crash(&disk, dir));
    }

    /// A process was killed between making a directory and syncing it; its successor finds it there.
    #[test]
    fn directories_of_a_killed_process_are_made_durable() {
        let (disk, dir) = (SimDisk::default(), Path::new("/a/b"));
        for made in [Path::new("/a"), dir] {
            disk.create_dir(made).expect("the name is free");
        }
        disk.create_dir_all(dir).expect("it is there");
        assert!(!survives_every_crash(&disk, dir));
        sync_dir_and_parents(&disk, dir).expect("sync");
        assert!(survives_every_crash(&disk, dir));
    }
}
