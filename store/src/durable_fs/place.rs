//! The steps that make a file appear durably: stage it, sync it, name it, sync the directory.
//!
//! Blocking, to be called where that is allowed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::{Error, PutResult, Result};

/// Makes the names of staged files differ within the process; leftovers of earlier ones are removed by
/// [`settle`] or skipped over.
static STAGED: AtomicU64 = AtomicU64::new(0);

/// Makes an empty file beside `destination`, in a directory that is durable itself.
pub(super) fn stage(destination: &FsPath) -> Result<(File, PathBuf)> {
    make_parents(destination)?;
    loop {
        let mut staged = destination.as_os_str().to_owned();
        staged.push(format!("#{}", STAGED.fetch_add(1, Ordering::Relaxed)));
        let staged = PathBuf::from(staged);
        match OpenOptions::new().read(true).write(true).create_new(true).open(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused("create", &staged, &error)),
        }
    }
}

/// Gives a staged file its name and makes both durable. With `create` an existing file wins.
///
/// When the directory cannot be synced a created name is taken back: a commit that is visible but may
/// vanish would make the caller cut the log that could restore it.
pub(super) fn place(file: &File, staged: &FsPath, destination: &FsPath, create: bool) -> Result<PutResult> {
    file.sync_all().map_err(|error| refused("sync", staged, &error))?;
    if !create {
        fs::rename(staged, destination).map_err(|error| refused("rename", staged, &error))?;
        return sync_parent(destination).map(|()| PutResult { e_tag: None, version: None });
    }
    fs::hard_link(staged, destination).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => {
            Error::AlreadyExists { path: destination.display().to_string(), source: source.into() }
        }
        _ => refused("link", destination, &source),
    })?;
    if let Err(error) = sync_parent(destination) {
        let _ = fs::remove_file(destination);
        return Err(error);
    }
    // The file has its name; the staged one is removed at the next start if not now.
    let _ = fs::remove_file(staged);
    Ok(PutResult { e_tag: None, version: None })
}

pub(super) fn make_parents(destination: &FsPath) -> Result<()> {
    let parent = destination.parent().unwrap_or(FsPath::new("/"));
    make_dir(parent).map_err(|error| refused("create directory", parent, &error))
}

/// Makes `dir` and every missing parent, each synced into the directory above it.
pub(crate) fn make_dir(dir: &FsPath) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(FsPath::new("/"));
    make_dir(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let parent = if parent.as_os_str().is_empty() { FsPath::new(".") } else { parent };
    File::open(parent)?.sync_all()
}

pub(super) fn sync_parent(path: &FsPath) -> Result<()> {
    let parent = path.parent().unwrap_or(FsPath::new("/"));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|error| refused("sync directory", parent, &error))
}

/// Brings `dir` and what is below it into a state that survives: staged files go (how many is returned),
/// and every directory is synced. Without the sync a process could trust a name that its killed
/// predecessor had given but not made durable, and a later power cut would take it away.
pub(super) fn settle(dir: &FsPath) -> io::Result<usize> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += settle(&entry.path())?;
        } else if entry.file_name().to_str().is_some_and(is_staged) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    File::open(dir)?.sync_all()?;
    Ok(removed)
}

fn is_staged(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The disk's refusal as an object store error: "verb path: cause".
pub(super) fn refused(verb: &str, path: &FsPath, error: &io::Error) -> Error {
    let source = io::Error::new(error.kind(), format!("{verb} {}: {error}", path.display()));
    Error::Generic { store: "DurableFs", source: source.into() }
}
