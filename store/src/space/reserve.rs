//! The reserve file: room that is taken while there is plenty, to be given up when there is none.
//!
//! Nothing is ever written into it and it is never synced: it is there for its room alone, and one that a
//! crash takes away is made anew.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::Disk;

const RESERVE_FILE: &str = "reserve";

/// How long after a failure it is not tried again. The disk claimed to have the room, so a quota or another
/// process is in the way, which does not change within moments.
const RETRY_AFTER: Duration = Duration::from_secs(60);

pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    is_held: bool,
    retry_at: Option<Instant>,
}

impl Reserve {
    /// Takes over the file that an earlier process left in `dir`, if its size is right.
    pub fn find(disk: Arc<dyn Disk>, dir: &Path, bytes: u64) -> Reserve {
        let path = dir.join(RESERVE_FILE);
        let is_held = disk.open(&path).and_then(|file| file.size_bytes()).is_ok_and(|found| found == bytes);
        let mut reserve = Reserve { disk, path, bytes, is_held, retry_at: None };
        if !is_held {
            reserve.remove();
        }
        reserve
    }

    /// Bytes of the file when it is there.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the file, 0 when it is not there.
    pub fn held_bytes(&self) -> u64 {
        if self.is_held { self.bytes } else { 0 }
    }

    /// Removes the file; true when that gave room.
    pub fn gives_up(&mut self) -> bool {
        if !self.is_held {
            return false;
        }
        tracing::warn!(bytes = self.bytes, "give up the reserve file, the disk is full");
        self.is_held = !self.remove();
        !self.is_held
    }

    /// Makes the file if it is not there.
    pub fn make(&mut self) {
        if self.is_held || self.bytes == 0 || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let made = self.disk.create(&self.path).and_then(|file| file.allocate(self.bytes));
        self.is_held = made.is_ok();
        self.retry_at = None;
        if let Err(error) = made {
            tracing::warn!(bytes = self.bytes, %error, "make the reserve file");
            self.retry_at = Some(Instant::now() + RETRY_AFTER);
            self.remove();
        }
    }

    /// True when the file is not there any more.
    fn remove(&mut self) -> bool {
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "remove the reserve file");
                false
            }
            _ => true,
        }
    }
}
