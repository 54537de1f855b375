//! All file access of the store's own logs, behind two small traits, so that a crash can be simulated.
//!
//! The write-ahead log promises that what was synced survives and what was not may vanish in any
//! combination. No test on a real file system can show that, because a real one almost never drops the
//! awkward half; [`sim::SimDisk`] does, from a seed. So nothing in `wal/` touches `std::fs`.
//!
//! Everything is synchronous and positional: the log has one writing thread, and a cursor shared between
//! threads is a bug waiting. Paths are those of the real file system. Limits: no permissions, no links, no
//! memory maps; directories hold files that are few enough to be listed at once.

#[doc(hidden)]
pub mod sim;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// A file system as far as the store needs one.
///
/// A change to a directory (a file made, renamed, removed) is durable only after [`Disk::sync_dir`].
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

    /// Names of the files in `dir`, sorted; subdirectories are left out.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory; `InvalidData` for a name that is not UTF-8.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name; a file that had it is gone. The directories may differ.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes `dir` and its missing parents, each of them durable before this returns.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes every earlier change of `dir`'s entries durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be written to the file system of `dir`; 0 when it takes no more files, and
    /// `u64::MAX` when it has no bound. Room that a quota withholds is not seen.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
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

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = entry.file_name().into_string().map_err(|name| {
                    io::Error::new(io::ErrorKind::InvalidData, format!("file name {name:?} is not UTF-8"))
                })?;
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.as_os_str().is_empty() || dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().unwrap_or(Path::new("."));
        self.create_dir_all(parent)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(parent)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
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
}
