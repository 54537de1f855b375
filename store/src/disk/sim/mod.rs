//! A disk in memory that can lose power, fail a sync and run full, all of it from a seed.
//!
//! It keeps what was synced apart from what was only written. A crash keeps the synced part and lets a
//! seeded coin decide, for each 512-byte sector of each unsynced write, whether it reached the disk; so a
//! write can be torn and later writes can survive earlier ones. Changes of directories survive as
//! [`NamesAfterCrash`] says.
//!
//! A failed sync is the nasty kind that Linux has: the data is marked clean, so that the next sync reports
//! success without having written it ("fsyncgate"). Limits: one process, everything in memory.

mod names;
mod content;
mod coin;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use coin::Coin;
use content::{Change, Inode};
pub use names::NamesAfterCrash;
use names::{NameChange, Names, Node};

use crate::disk::{Disk, DiskFile, Entry};

/// Room in bytes that a disk has unless told otherwise: more than any test allocates.
const FREE_BYTES: u64 = 1 << 40;

/// The simulated disk; clones share it.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    /// Signalled when syncs are no longer held.
    released: Arc<Condvar>,
}

/// An error number on Linux: the device failed.
const EIO: i32 = 5;

/// An error number on Linux: there is no room.
const ENOSPC: i32 = 28;

struct State {
    inodes: Vec<Inode>,
    names: Names,
    free_bytes: u64,
    /// What `allocate` has taken of it, by inode, given back when the file is removed.
    allocated_bytes: BTreeMap<usize, u64>,
    /// Writes, syncs and changes of names so far.
    operations: u64,
    syncs: u64,
    writes: u64,
    power_off_at: Option<u64>,
    failing_syncs: Range<u64>,
    failing_syncs_errno: i32,
    failing_writes: Range<u64>,
    are_syncs_held: bool,
    dir_syncs: u64,
    failing_dir_syncs: Range<u64>,
    unreadable: Vec<(PathBuf, Range<u64>)>,
}

impl Default for State {
    fn default() -> Self {
        State {
            inodes: Vec::new(),
            names: Names::default(),
            free_bytes: FREE_BYTES,
            allocated_bytes: BTreeMap::new(),
            operations: 0,
            syncs: 0,
            writes: 0,
            power_off_at: None,
            failing_syncs: 0..0,
            failing_syncs_errno: EIO,
            failing_writes: 0..0,
            are_syncs_held: false,
            dir_syncs: 0,
            failing_dir_syncs: 0..0,
            unreadable: Vec::new(),
        }
    }
}

impl SimDisk {
    /// The n-th operation from now (0 = the next) and all after it fail: the machine is off. A write that
    /// is cut off may have reached the disk in part.
    pub fn power_off_after(&self, operations: u64) {
        let mut state = self.lock();
        state.power_off_at = Some(state.operations + operations);
    }

    /// The power is back and nothing was lost: only the process had died.
    pub fn power_on(&self) {
        let mut state = self.lock();
        state.power_off_at = None;
        (state.failing_syncs, state.failing_dir_syncs, state.free_bytes) = (0..0, 0..0, FREE_BYTES);
    }

    /// Whether the last operation still worked.
    pub fn is_on(&self) -> bool {
        self.lock().is_on()
    }

    /// Writes, syncs and changes of names so far, to choose crash points from.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Syncs of file contents so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// After `skip` more syncs of file contents, the next `count` fail with EIO.
    pub fn fail_syncs(&self, skip: u64, count: u64) {
        let mut state = self.lock();
        let first = state.syncs + skip;
        state.failing_syncs = first..first + count;
        state.failing_syncs_errno = EIO;
    }

    /// As [`SimDisk::fail_syncs`], with ENOSPC: what a file system says that gives out room only when it
    /// writes back, or whose own disk is thin.
    pub fn fail_syncs_full(&self, skip: u64, count: u64) {
        self.fail_syncs(skip, count);
        self.lock().failing_syncs_errno = ENOSPC;
    }

    /// After `skip` more writes, the next `count` end halfway with ENOSPC, as on a file system that cannot
    /// reserve room.
    pub fn fail_writes_full(&self, skip: u64, count: u64) {
        let mut state = self.lock();
        let first = state.writes + skip;
        state.failing_writes = first..first + count;
    }

    /// From now on syncs of file contents do not return, until [`SimDisk::release_syncs`].
    pub fn hold_syncs(&self) {
        self.lock().are_syncs_held = true;
    }

    pub fn release_syncs(&self) {
        self.lock().are_syncs_held = false;
        self.released.notify_all();
    }

    /// After `skip` more syncs of directories, the next `count` fail with EIO.
    pub fn fail_dir_syncs(&self, skip: u64, count: u64) {
        let mut state = self.lock();
        let first = state.dir_syncs + skip;
        state.failing_dir_syncs = first..first + count;
    }

    /// From now on `allocate` finds this much room.
    pub fn set_free_bytes(&self, free_bytes: u64) {
        self.lock().free_bytes = free_bytes;
    }

    /// Reads of these bytes of `path` fail with EIO.
    pub fn make_unreadable(&self, path: &Path, bytes: Range<u64>) {
        self.lock().unreadable.push((path.to_path_buf(), bytes));
    }

    /// The disk as a machine finds it that comes up after a power cut now; this one stays as it is, so
    /// that one moment can be tried with many seeds.
    pub fn crashed(&self, seed: u64) -> SimDisk {
        self.crashed_with(seed, NamesAfterCrash::Prefix)
    }

    /// As [`SimDisk::crashed`], on a file system that keeps `names` of the changes of directories.
    pub fn crashed_with(&self, seed: u64, names: NamesAfterCrash) -> SimDisk {
        let mut coin = Coin(seed);
        let state = self.lock();
        let names = state.names.crashed(&mut coin, names);
        let inodes = state.inodes.iter().map(|inode| inode.crashed(&mut coin)).collect();
        let state = State { inodes, names, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)), released: Arc::default() }
    }

    /// The files in all directories.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().names.files().map(Path::to_path_buf).collect()
    }

    /// A file's whole contents as the running program sees them, or `None` when there is no such file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        state.names.file(path).ok().map(|inode| state.inodes[inode].content.clone())
    }

    /// Puts a file there, durable, its directories too: what rot or a restored backup would do.
    pub fn set_contents(&self, path: &Path, content: Vec<u8>) {
        self.set_dir(path.parent().unwrap_or(Path::new("")));
        let mut state = self.lock();
        let inode = state.inodes.len();
        state.inodes.push(Inode::synced(content));
        state.names.set_durable(path, Node::File(inode));
    }

    /// Puts a directory there, durable.
    pub fn set_dir(&self, dir: &Path) {
        let mut state = self.lock();
        for dir in dir.ancestors().filter(|dir| dir.parent().is_some()) {
            state.names.set_durable(dir, Node::Directory);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.operate()?;
        state.names.check_free(path)?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.change(NameChange::add(path, Node::File(inode)));
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_path_buf(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.lock().names.file(path)?;
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_path_buf(), inode }))
    }

    fn entries(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.lock().names.entries(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        let node = Node::File(state.names.file(from)?);
        state.names.check_parent(to)?;
        state.names.change(NameChange::rename(from, to, node));
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        let node = Node::File(state.names.file(from)?);
        state.names.check_free(to)?;
        state.names.change(NameChange::add(to, node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        let inode = state.names.file(path)?;
        state.free_bytes += state.allocated_bytes.remove(&inode).unwrap_or_default();
        state.names.change(NameChange::remove(path));
        Ok(())
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.lock().names.is_dir(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        state.names.check_free(dir)?;
        state.names.change(NameChange::add(dir, Node::Directory));
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        if !state.names.entries(dir)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.names.change(NameChange::remove(dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        let fails = state.failing_dir_syncs.contains(&state.dir_syncs);
        state.dir_syncs += 1;
        if fails {
            state.names.abandon(dir);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        state.names.sync(dir)
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.lock().free_bytes)
    }
}

impl State {
    fn is_on(&self) -> bool {
        self.power_off_at.is_none_or(|last| self.operations <= last)
    }

    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.power_off_at {
            Some(last) if self.operations > last => Err(io::Error::other("the power is off")),
            _ => Ok(()),
        }
    }

    fn is_unreadable(&self, path: &Path, bytes: Range<u64>) -> bool {
        let overlaps = |bad: &Range<u64>| bad.start < bytes.end && bytes.start < bad.end;
        self.unreadable.iter().any(|(bad_path, bad)| bad_path == path && overlaps(bad))
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    inode: usize,
}

impl SimFile {
    fn sync(&self) -> io::Result<()> {
        let held = self.disk.released.wait_while(self.disk.lock(), |state| state.are_syncs_held);
        let mut state = held.unwrap_or_else(PoisonError::into_inner);
        state.operate()?;
        let fails = state.failing_syncs.contains(&state.syncs);
        let errno = state.failing_syncs_errno;
        state.syncs += 1;
        let inode = &mut state.inodes[self.inode];
        if fails {
            inode.abandon();
            return Err(io::Error::from_raw_os_error(errno));
        }
        inode.sync();
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let was_on = state.is_on();
        let is_full = state.failing_writes.contains(&state.writes);
        state.writes += 1;
        let (bytes, written) = match is_full {
            true => (&bytes[..bytes.len() / 2], Err(io::Error::from_raw_os_error(ENOSPC))),
            false => (bytes, Ok(())),
        };
        let written = state.operate().and(written);
        if written.is_ok() || was_on {
            let change = Change::Write { offset: offset as usize, bytes: bytes.to_vec() };
            state.inodes[self.inode].change(change);
        }
        written
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.lock();
        let end = offset + bytes.len() as u64;
        if state.is_unreadable(&self.path, offset..end) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let content = &state.inodes[self.inode].content;
        let wanted = content.get(offset as usize..end as usize).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(wanted);
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inodes[self.inode].content.len() as u64)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.operate()?;
        let missing = bytes.saturating_sub(state.inodes[self.inode].content.len() as u64);
        state.free_bytes = state.free_bytes.checked_sub(missing).ok_or(io::ErrorKind::StorageFull)?;
        *state.allocated_bytes.entry(self.inode).or_default() += missing;
        state.inodes[self.inode].change(Change::Grow { size_bytes: bytes as usize });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> PathBuf {
        PathBuf::from("dir/file")
    }

    fn synced(bytes: &[u8]) -> (SimDisk, Box<dyn DiskFile>) {
        let disk = SimDisk::default();
        disk.set_dir(Path::new("dir"));
        let file = disk.create(&path()).expect("create");
        file.write_at(bytes, 0).expect("write");
        file.sync_data().expect("sync");
        disk.sync_dir(Path::new("dir")).expect("sync directory");
        (disk, file)
    }

    #[test]
    fn synced_bytes_survive_every_crash() {
        let (disk, file) = synced(b"abc");
        file.write_at(&[7; 2048], 512).expect("write");
        for seed in 0..50 {
            let content = disk.crashed(seed).contents(&path()).expect("the name is durable");
            assert_eq!(&content[..3], b"abc", "seed {seed}");
        }
    }

    #[test]
    fn unsynced_sectors_survive_in_every_combination() {
        let (disk, file) = synced(&[0; 1024]);
        file.write_at(&[1; 1024], 0).expect("write");
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let content = disk.crashed(seed).contents(&path()).expect("the name is durable");
            seen.insert((content[0], content[512]));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    #[test]
    fn a_sync_after_a_failed_one_reports_success_and_writes_nothing() {
        let (disk, file) = synced(&[0; 512]);
        file.write_at(&[1; 512], 0).expect("write");
        disk.fail_syncs(0, 1);
        file.sync_data().expect_err("the sync is told to fail");
        file.sync_data().expect("the data is marked clean");
        let lost = (0..50).any(|seed| disk.crashed(seed).contents(&path()) == Some(vec![0; 512]));
        assert!(lost);
    }

    #[test]
    fn an_unsynced_name_may_vanish() {
        let disk = SimDisk::default();
        disk.set_dir(Path::new("dir"));
        disk.create(&path()).expect("create");
        let survivors = (0..50).filter(|seed| disk.crashed(*seed).contents(&path()).is_some()).count();
        assert!((1..50).contains(&survivors), "{survivors}");
    }

    /// Which of two names survive, over many crashes.
    fn survivors(disk: &SimDisk, names: NamesAfterCrash) -> Vec<Vec<PathBuf>> {
        let seen = (0..50).map(|seed| disk.crashed_with(seed, names).paths());
        seen.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn a_journal_keeps_names_in_the_order_made_and_others_keep_any() {
        let disk = SimDisk::default();
        let (a, b) = (PathBuf::from("a"), PathBuf::from("b"));
        disk.create(&a).expect("create");
        disk.create(&b).expect("create");
        let both = vec![a.clone(), b.clone()];
        assert_eq!(survivors(&disk, NamesAfterCrash::Prefix), [vec![], vec![a.clone()], both.clone()]);
        assert_eq!(survivors(&disk, NamesAfterCrash::Any), [vec![], vec![a], both, vec![b]]);
    }

    #[test]
    fn a_directory_that_is_lost_takes_its_synced_files_along() {
        let disk = SimDisk::default();
        let (dir, file) = (PathBuf::from("d"), PathBuf::from("d/f"));
        disk.create_dir(&dir).expect("create");
        disk.create(&file).expect("create");
        disk.sync_dir(&dir).expect("sync");
        assert_eq!(survivors(&disk, NamesAfterCrash::Any), [vec![], vec![file.clone()]]);
        disk.sync_dir(Path::new("")).expect("sync");
        assert_eq!(survivors(&disk, NamesAfterCrash::Any), [vec![file]]);
    }

    #[test]
    fn a_directory_sync_after_a_failed_one_reports_success_and_writes_nothing() {
        let disk = SimDisk::default();
        let file = PathBuf::from("f");
        disk.create(&file).expect("create");
        disk.fail_dir_syncs(0, 1);
        disk.sync_dir(Path::new("")).expect_err("the sync is told to fail");
        disk.sync_dir(Path::new("")).expect("the entries are marked clean");
        assert_eq!(survivors(&disk, NamesAfterCrash::Prefix), [vec![], vec![file.clone()]]);
        disk.remove(&file).expect("remove");
        disk.sync_dir(Path::new("")).expect("sync");
        assert_eq!(survivors(&disk, NamesAfterCrash::Any), [Vec::<PathBuf>::new()]);
    }

    #[test]
    fn a_file_needs_its_directory() {
        let error = SimDisk::default().create(&path()).err().expect("no such directory");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn nothing_works_after_the_power_is_off() {
        let (disk, file) = synced(b"abc");
        disk.power_off_after(1);
        file.write_at(b"x", 0).expect("the power is still on");
        file.sync_data().expect_err("the power is off");
        disk.remove(&path()).expect_err("the power is off");
    }

    #[test]
    fn allocate_beyond_the_free_bytes_is_storage_full() {
        let (disk, file) = synced(b"abc");
        disk.set_free_bytes(5);
        let error = file.allocate(9).expect_err("six bytes more than there are");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        file.allocate(8).expect("exactly the five bytes that are free");
        disk.remove(&path()).expect("remove");
        assert_eq!(disk.free_bytes(Path::new("dir")).expect("free"), 5);
    }

    #[test]
    fn a_write_to_a_full_disk_ends_halfway() {
        let (disk, file) = synced(b"abcd");
        disk.fail_writes_full(1, 1);
        file.write_at(b"x", 0).expect("there is room for one");
        let error = file.write_at(b"1234", 0).expect_err("there is none for the next");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.contents(&path()).as_deref(), Some(&b"12cd"[..]));
    }
}
