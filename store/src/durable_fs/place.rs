//! The steps that make a file appear durably: stage it, sync it, name it, sync the directory.
//!
//! All over a [`Disk`], so that the tests' simulated disk can lose power between any two of them. Blocking,
//! to be called where that is allowed.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::{Error, PutPayload, PutResult, Result};

use crate::disk::{Disk, DiskFile, EntryKind};
use crate::fail_point::hit;

/// Makes the names of staged files differ within the process; leftovers of earlier ones are removed by
/// [`settle`] or skipped over.
static STAGED: AtomicU64 = AtomicU64::new(0);

/// Stages, writes and places a whole file. After an error nothing stays, or a staged file that is invisible
/// and removed at the next start.
pub(crate) fn put(
    disk: &dyn Disk,
    destination: &FsPath,
    payload: &PutPayload,
    create: bool,
) -> Result<PutResult> {
    let (file, staged) = stage(disk, destination)?;
    let placed = write(file.as_ref(), payload, 0)
        .map_err(|error| refused("write", &staged, &error))
        .and_then(|()| place(disk, file.as_ref(), &staged, destination, create));
    if placed.is_err() {
        let _ = disk.remove(&staged);
    }
    placed
}

/// Makes an empty file beside `destination`, in a directory that is durable itself.
pub(super) fn stage(disk: &dyn Disk, destination: &FsPath) -> Result<(Box<dyn DiskFile>, PathBuf)> {
    make_parents(disk, destination)?;
    loop {
        let mut staged = destination.as_os_str().to_owned();
        staged.push(format!("#{}", STAGED.fetch_add(1, Ordering::Relaxed)));
        let staged = PathBuf::from(staged);
        match disk.create(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused("create", &staged, &error)),
        }
    }
}

/// Writes `payload` from `offset` on.
pub(super) fn write(file: &dyn DiskFile, payload: &PutPayload, mut offset: u64) -> io::Result<()> {
    for bytes in payload {
        file.write_at(bytes, offset)?;
        offset += bytes.len() as u64;
    }
    Ok(())
}

/// Gives a staged file its name and makes both durable. With `create` an existing file wins.
///
/// When the directory cannot be synced a created name is taken back: a commit that is visible but may
/// vanish would make the caller cut the log that could restore it. That it is gone is made durable too, for the
/// caller deletes what a commit names that did not happen, and a power cut could bring the name back.
pub(super) fn place(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    staged: &FsPath,
    destination: &FsPath,
    create: bool,
) -> Result<PutResult> {
    file.sync_all().map_err(|error| refused("sync", staged, &error))?;
    hit("before_rename").map_err(|error| refused("link", destination, &error))?;
    if !create {
        disk.rename(staged, destination).map_err(|error| refused("rename", staged, &error))?;
        return sync_parent(disk, destination).map(|()| PutResult { e_tag: None, version: None });
    }
    disk.hard_link(staged, destination).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => {
            Error::AlreadyExists { path: destination.display().to_string(), source: source.into() }
        }
        _ => refused("link", destination, &source),
    })?;
    if let Err(error) = sync_parent(disk, destination) {
        let _ = disk.remove(destination);
        // A second failure in a row is a disk that writes no directory any more, and takes no deletion either.
        let _ = sync_parent(disk, destination);
        return Err(error);
    }
    // The file has its name; the staged one is removed at the next start if not now.
    let _ = disk.remove(staged);
    Ok(PutResult { e_tag: None, version: None })
}

pub(super) fn make_parents(disk: &dyn Disk, destination: &FsPath) -> Result<()> {
    let parent = destination.parent().unwrap_or(FsPath::new("/"));
    disk.create_dir_all(parent).map_err(|error| refused("create directory", parent, &error))
}

pub(super) fn sync_parent(disk: &dyn Disk, path: &FsPath) -> Result<()> {
    let parent = path.parent().unwrap_or(FsPath::new("/"));
    let synced = hit("before_directory_sync").and_then(|()| disk.sync_dir(parent));
    synced
        .and_then(|()| hit("after_directory_sync"))
        .map_err(|error| refused("sync directory", parent, &error))
}

/// Brings `dir` and what is below it into a state that survives: staged files go (how many is returned),
/// and every directory is synced. Without the sync a process could trust a name that its killed
/// predecessor had given but not made durable, and a later power cut would take it away.
pub(crate) fn settle(disk: &dyn Disk, dir: &FsPath) -> io::Result<usize> {
    let entries = match disk.entries(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let path = dir.join(&entry.name);
        if entry.kind == EntryKind::Directory {
            removed += settle(disk, &path)?;
        } else if is_staged(&entry.name) {
            disk.remove(&path)?;
            removed += 1;
        }
    }
    disk.sync_dir(dir)?;
    Ok(removed)
}

fn is_staged(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The disk's refusal as an object store error: "verb path: cause".
pub(super) fn refused(verb: &str, path: &FsPath, error: &io::Error) -> Error {
    let source = io::Error::new(error.kind(), format!("{verb} {}: {error}", path.display()));
    Error::Generic { store: "DurableFs", source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::{NamesAfterCrash, SimDisk};

    /// Scenario: the directory's sync fails, the caller is told and deletes what the file speaks of; then the power
    /// goes. Guarantee: the name does not come back.
    #[test]
    fn a_name_that_was_taken_back_stays_away_through_a_power_cut() {
        let (disk, file) = (SimDisk::default(), FsPath::new("log/1.json"));
        disk.set_dir(FsPath::new("log"));
        disk.fail_dir_syncs(0, 1);
        put(&disk, file, &PutPayload::from("{}"), true).expect_err("the sync fails");
        for seed in 0..50 {
            let crashed = disk.crashed_with(seed, NamesAfterCrash::Any);
            assert_eq!(crashed.contents(file), None, "seed {seed}");
        }
        put(&disk, file, &PutPayload::from("{}"), true).expect("the disk has recovered");
    }
}
