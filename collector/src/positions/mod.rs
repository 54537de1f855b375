//! How far each file of lines is stored, so that every line of it becomes one row, whatever is read twice and whatever
//! dies in between.
//!
//! A file is known by its first bytes ([`HEAD_BYTES_MAX`], or as many as it had when it was first seen), not by its
//! name: names move on when logs are rotated, and a packed file has the same lines as before. Of a file, bytes are
//! stored by parts, which end where lines do. Whoever has a part to store claims it first and gets what of it is not
//! stored yet; what another one is about to store is waited for.
//!
//! ```text
//!  claim a part -> payload named by file, start and end -> WAL (rows and name in one write) -> stored
//!                                                                                                |
//!                                        written down some seconds later <- position moves on <--'
//! ```
//! A position is written down after its rows are durable, never before. What a crash leaves unwritten is read back from
//! the names in the log; see [`name`]. A file is written down before its first part is stored, so that a start knows
//! whose names to look for.
//!
//! Limits: [`FILES_MAX`] files, of which those go that have not moved for longest: they would be stored anew. Of parts
//! behind one that a failing disk refused, a crash before that one was tried again stores those behind it twice.

mod progress;
mod name;
mod journal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meshlake_schema::Clock;
use meshlake_store::StoredExport;
use thiserror::Error;
use tokio::sync::Notify;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use journal::{Journal, Record};
use name::{Remembered, name_of};
use progress::{Claimable, Progress};

/// The bytes that a file is known by: some ten lines, which no two logs share.
pub const HEAD_BYTES_MAX: usize = 4096;

/// Files that are known: a year of a thousand containers whose logs are rotated every three days. 10 MB in memory,
/// 4.4 MB on disk.
pub const FILES_MAX: usize = 100_000;

/// How long after a part was stored its position is written down. The log remembers the names of a million payloads, many
/// minutes of them; this is soon enough, and rare enough to cost nothing.
const SAVE_DELAY: Duration = Duration::from_secs(2);

/// What a file of one tenant is known by: a hash of its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileIdentity(pub u128);

/// A file that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFile {
    pub identity: FileIdentity,
    /// How many of its first bytes the identity is of.
    pub head_bytes: usize,
    /// Every byte before this one is stored.
    pub position: u64,
}

/// Nobody has made the file known, or it was forgotten since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the file is not known")]
pub struct UnknownFile;

/// The positions of all files. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Positions {
    shared: Arc<Shared>,
}

/// A part of a file that its holder is about to store, and which is not stored unless [`Claim::stored`] says so.
#[derive(Debug)]
pub struct Claim {
    positions: Positions,
    file: FileIdentity,
    part: Range<u64>,
    is_stored: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Somebody's claim has ended.
    settled: Notify,
    /// None where nothing is to outlive the process. Taken before the state where both are.
    journal: Option<Mutex<Journal>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<FileIdentity, Progress>,
    /// How many files are known by as many first bytes.
    head_lengths: BTreeMap<u16, usize>,
    is_save_due: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Positions").finish_non_exhaustive()
    }
}

impl Positions {
    /// The positions that the journal at `path` and the names in the log tell of. `stored` are the payloads that the log
    /// remembers. Without a path nothing outlives the process.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn open(
        path: Option<PathBuf>,
        stored: &[StoredExport],
        clock: Arc<dyn Clock>,
    ) -> io::Result<Positions> {
        let (journal, records) = match path.map(Journal::open).transpose()? {
            Some((journal, records)) => (Some(Mutex::new(journal)), records),
            None => (None, Vec::new()),
        };
        let mut state = State::default();
        if !records.is_empty() {
            let remembered = Remembered::of(stored);
            for record in records {
                state.restore(record, &remembered);
            }
        }
        let shared = Shared { state: Mutex::new(state), settled: Notify::new(), journal, clock };
        Ok(Positions { shared: Arc::new(shared) })
    }

    /// The known file of `tenant` that begins as `head` does; of several the one that is known by the most bytes.
    pub fn find(&self, tenant: &str, head: &[u8]) -> Option<KnownFile> {
        let state = self.lock();
        let lengths = state.head_lengths.keys().rev().copied();
        let mut heads = lengths.filter_map(|bytes| Some((bytes, head.get(..usize::from(bytes))?)));
        heads.find_map(|(bytes, head)| {
            let identity = identity_of(tenant, head);
            let progress = state.files.get(&identity).filter(|progress| progress.head_bytes == bytes)?;
            Some(KnownFile { identity, head_bytes: head.len(), position: progress.position })
        })
    }

    /// Makes the file of `tenant` known that begins with `head`, of which the first [`HEAD_BYTES_MAX`] bytes count,
    /// durably. One that is known by exactly these bytes stays as it is. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's; the file is not known then.
    ///
    /// # Panics
    /// `head` is empty, which would make all files one.
    pub fn add(&self, tenant: &str, head: &[u8]) -> io::Result<KnownFile> {
        assert!(!head.is_empty(), "a file is known by at least one byte");
        let head = &head[..head.len().min(HEAD_BYTES_MAX)];
        let identity = identity_of(tenant, head);
        let head_bytes = u16::try_from(head.len()).expect("HEAD_BYTES_MAX fits");
        let is_new = self.lock().add(identity, tenant_hash(tenant), head_bytes, self.seconds());
        if is_new && let Err(error) = self.save() {
            self.lock().forget(identity);
            return Err(error);
        }
        Ok(KnownFile { identity, head_bytes: head.len(), position: self.position(identity).unwrap_or(0) })
    }

    /// Every byte before this one is stored.
    pub fn position(&self, file: FileIdentity) -> Option<u64> {
        self.lock().files.get(&file).map(|progress| progress.position)
    }

    /// Claims the first piece of `part` that is not stored; `None` when all of it is. While somebody else is about to
    /// store that piece it waits for what becomes of it.
    ///
    /// # Errors
    /// [`UnknownFile`], also for a file of another tenant.
    ///
    /// Cancel: nothing is claimed.
    pub async fn claim(
        &self,
        tenant: &str,
        file: FileIdentity,
        part: Range<u64>,
    ) -> Result<Option<Claim>, UnknownFile> {
        loop {
            let mut settled = std::pin::pin!(self.shared.settled.notified());
            // Listening begins before the look, so that no end of a claim falls between them.
            settled.as_mut().enable();
            let claimable = self.lock().claim(tenant_hash(tenant), file, &part)?;
            match claimable {
                Claimable::Part(part) => {
                    return Ok(Some(Claim { positions: self.clone(), file, part, is_stored: false }));
                }
                Claimable::Nothing => return Ok(None),
                Claimable::Busy => settled.await,
            }
        }
    }

    /// Writes down what has moved. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's; it is tried again with the next change.
    pub fn save(&self) -> io::Result<()> {
        let Some(journal) = &self.shared.journal else { return Ok(()) };
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        let (changed, held) = {
            let mut state = self.lock();
            (state.take_changed(), state.files.len())
        };
        if changed.is_empty() {
            return Ok(());
        }
        let saved = journal.append(&changed, || self.lock().records(), held);
        if saved.is_err() {
            self.lock().mark_changed(&changed);
        }
        saved
    }

    /// Sees to it that what has moved is written down soon. Called in a runtime.
    fn save_soon(&self) {
        if self.shared.journal.is_none() || std::mem::replace(&mut self.lock().is_save_due, true) {
            return;
        }
        let positions = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SAVE_DELAY).await;
            positions.lock().is_save_due = false;
            let saved = tokio::task::spawn_blocking(move || positions.save()).await;
            if let Ok(Err(error)) = saved {
                tracing::warn!(%error, "write down how far files of lines are stored");
            }
        });
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.shared.clock.now().seconds()).unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    pub fn part(&self) -> Range<u64> {
        self.part.clone()
    }

    /// The name of the part's payload.
    pub fn name(&self) -> u128 {
        name_of(self.file, &self.part)
    }

    /// Says that the part is stored, durably. Called in a runtime.
    pub fn stored(mut self) {
        self.is_stored = true;
        let positions = self.positions.clone();
        drop(self);
        positions.save_soon();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let seconds = self.positions.seconds();
        self.positions.lock().settle(self.file, &self.part, self.is_stored.then_some(seconds));
        self.positions.shared.settled.notify_waiters();
    }
}

impl State {
    /// Whether the file was not known.
    fn add(&mut self, file: FileIdentity, tenant: u64, head_bytes: u16, seconds: u32) -> bool {
        if self.files.contains_key(&file) {
            return false;
        }
        if self.files.len() >= FILES_MAX {
            let idle = self.files.iter().filter(|(_, progress)| progress.claimed.is_empty());
            let oldest = idle.min_by_key(|(_, progress)| progress.seconds).map(|(file, _)| *file);
            oldest.into_iter().for_each(|oldest| self.forget(oldest));
        }
        self.files.insert(file, Progress::new(tenant, head_bytes, seconds));
        *self.head_lengths.entry(head_bytes).or_default() += 1;
        true
    }

    fn forget(&mut self, file: FileIdentity) {
        let Some(progress) = self.files.remove(&file) else { return };
        if let Some(files) = self.head_lengths.get_mut(&progress.head_bytes) {
            *files -= 1;
            if *files == 0 {
                self.head_lengths.remove(&progress.head_bytes);
            }
        }
    }

    fn restore(&mut self, record: Record, remembered: &Remembered) {
        let Record { file, tenant, position, seconds, head_bytes } = record;
        self.add(file, tenant, head_bytes, seconds);
        let position = remembered.walk(file, position);
        if let Some(progress) = self.files.get_mut(&file) {
            progress.seconds = seconds;
            progress.position = progress.position.max(position);
        }
    }

    fn claim(
        &mut self,
        tenant: u64,
        file: FileIdentity,
        part: &Range<u64>,
    ) -> Result<Claimable, UnknownFile> {
        let progress = self.files.get_mut(&file).filter(|progress| progress.tenant == tenant);
        let progress = progress.ok_or(UnknownFile)?;
        let claimable = progress.claimable(part);
        if let Claimable::Part(part) = &claimable {
            progress.claimed.push(part.clone());
        }
        Ok(claimable)
    }

    fn settle(&mut self, file: FileIdentity, part: &Range<u64>, stored_at: Option<u32>) {
        // One with a claim is not forgotten, but a failed `add` may have taken it.
        let Some(progress) = self.files.get_mut(&file) else { return };
        progress.claimed.retain(|claimed| claimed != part);
        if let Some(seconds) = stored_at {
            progress.stored(part);
            progress.seconds = seconds;
        }
    }

    fn take_changed(&mut self) -> Vec<Record> {
        let changed = self.files.iter_mut().filter(|(_, progress)| progress.is_changed);
        changed
            .map(|(file, progress)| {
                progress.is_changed = false;
                progress.record(*file)
            })
            .collect()
    }

    fn mark_changed(&mut self, records: &[Record]) {
        for record in records {
            if let Some(progress) = self.files.get_mut(&record.file) {
                progress.is_changed = true;
            }
        }
    }

    fn records(&self) -> Vec<Record> {
        self.files.iter().map(|(file, progress)| progress.record(*file)).collect()
    }
}

/// A zero byte, which no tenant's name can hold, ends it.
fn identity_of(tenant: &str, head: &[u8]) -> FileIdentity {
    let mut hash = Xxh3::new();
    hash.update(tenant.as_bytes());
    hash.update(&[0]);
    hash.update(head);
    FileIdentity(hash.digest128())
}

fn tenant_hash(tenant: &str) -> u64 {
    xxh3_64(tenant.as_bytes())
}
