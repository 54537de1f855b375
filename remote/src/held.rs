//! The snapshots that other processes ask of, held until whoever asked lets go or is gone.
//!
//! A snapshot keeps the buffered batches of its instant in memory, so one that nobody asks of any more must not stay: it
//! is held by the stream of the answer that told of it, and that stream is dropped when its connection ends, however it
//! ends. Limit: [`HELD_MAX`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meshlake_schema::{Clock as _, PerTable, SystemClock, Table};
use meshlake_store::{DataFile, ReadError, Snapshot};

/// Snapshots at the same time. A query process has one a running query and a few more; each keeps rows that have become
/// files in memory for as long as it is held. Guess, not measured.
pub const HELD_MAX: usize = 256;

/// All that is held for others.
#[derive(Debug)]
pub struct Holder(Mutex<State>);

#[derive(Debug)]
struct State {
    snapshots: HashMap<u64, Arc<Snapshot>>,
    next: u64,
    lists: PerTable<Versioned>,
}

/// A list of files and its number, which no other list of the table has, also not of an earlier process.
#[derive(Debug, Clone, Default)]
pub struct Versioned {
    pub version: u64,
    pub files: Arc<Vec<DataFile>>,
}

/// Holds one snapshot.
#[derive(Debug)]
pub struct Held {
    holder: Arc<Holder>,
    pub id: u64,
    pub snapshot: Arc<Snapshot>,
    /// Its lists of files.
    pub lists: PerTable<Versioned>,
}

impl Holder {
    pub fn new() -> Arc<Holder> {
        let began = SystemClock.now().0.unsigned_abs();
        let lists = PerTable::of(|_| Versioned { version: began, files: Arc::default() });
        Arc::new(Holder(Mutex::new(State { snapshots: HashMap::new(), next: began, lists })))
    }

    /// # Errors
    /// As many are held as may be.
    pub fn hold(self: &Arc<Self>, snapshot: Snapshot) -> Result<Held, ReadError> {
        let mut state = self.state();
        if state.snapshots.len() >= HELD_MAX {
            return Err(ReadError(format!("{HELD_MAX} snapshots are held already")));
        }
        let (snapshot, id) = (Arc::new(snapshot), state.next);
        state.next += 1;
        for table in Table::ALL {
            state.lists[table].follow(snapshot.files(table));
        }
        state.snapshots.insert(id, Arc::clone(&snapshot));
        let lists = PerTable::of(|table| state.lists[table].clone());
        Ok(Held { holder: Arc::clone(self), id, snapshot, lists })
    }

    /// # Errors
    /// It is not held, or no more.
    pub fn get(&self, id: u64) -> Result<Arc<Snapshot>, ReadError> {
        let snapshot = self.state().snapshots.get(&id).map(Arc::clone);
        snapshot.ok_or_else(|| ReadError("the snapshot is not held any more".to_owned()))
    }

    /// How many snapshots are held.
    pub fn count(&self) -> usize {
        self.state().snapshots.len()
    }

    /// What a panic leaves behind is whole: each change is one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Versioned {
    fn follow(&mut self, files: &Arc<Vec<DataFile>>) {
        if !Arc::ptr_eq(&self.files, files) {
            *self = Versioned { version: self.version + 1, files: Arc::clone(files) };
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holder.state().snapshots.remove(&self.id);
    }
}
