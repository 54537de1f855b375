//! Ten minutes of series, decoded once and kept for the questions that come after.
//!
//! A dashboard asks a hundred times about the same hour, and Kiali the same minute for each namespace. So what cells
//! and rows of ten minutes say is kept, by tenant, with the number of the last record that it depends on: the next question
//! takes it as long as no row came near. Where rows come all the time, a question may take what was made a moment ago, for
//! ten times as long as it took to make: so at most a tenth of a core goes into making the newest minutes anew. Only
//! one at a time is made for a tenant; who asks meanwhile waits and takes it. Limits: [`KEPT_BYTES_MAX`],
//! [`INDEXES_MAX`].

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use meshlake_calls::series::chunk::Chunk;
use meshlake_calls::series::metrics::Family;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::index::Index;

/// Bytes of decoded series that are kept: an hour of a mesh of a thousand edges by ten seconds is some 50 MB.
pub const KEPT_BYTES_MAX: usize = 128 << 20;

/// Label sets of ranges that are kept, over all tenants: as many as panels of one dashboard ask for different ranges.
const INDEXES_MAX: usize = 32;

/// For how many times what it took to make does a chunk serve when rows came since.
const STALE_FACTOR: u32 = 10;

/// And for how long at most: the grid on which counts are told.
const STALE_MAX: Duration = Duration::from_secs(10);

/// Which chunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub tenant: Arc<str>,
    /// Nanoseconds since the epoch.
    pub start: i64,
    pub slot_seconds: u32,
    pub by_operation: bool,
}

#[derive(Debug)]
struct Kept {
    chunk: Arc<Chunk>,
    version: u64,
    made: Instant,
    cost: Duration,
    used: u64,
}

#[derive(Debug, Default)]
struct Held {
    chunks: HashMap<Key, Kept>,
    bytes: usize,
    /// Counts uses.
    uses: u64,
    indexes: Vec<Arc<Index>>,
}

/// What is kept, of all tenants.
#[derive(Debug)]
pub struct Chunks {
    hasher: RandomState,
    bytes_max: usize,
    held: Mutex<Held>,
    turns: Mutex<HashMap<Arc<str>, Arc<Turn<()>>>>,
}

impl Default for Chunks {
    fn default() -> Self {
        Chunks::of(KEPT_BYTES_MAX)
    }
}

impl Chunks {
    /// Keeps at most about so many bytes.
    pub fn of(bytes_max: usize) -> Self {
        let (held, turns) = (Mutex::default(), Mutex::default());
        Chunks { hasher: RandomState::new(), bytes_max, held, turns }
    }

    /// What label sets of all chunks are hashed with, so that those of two can be compared.
    pub(super) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// The chunk, if it is kept and tells what this version does, or was made just now.
    pub(super) fn get(&self, key: &Key, version: u64) -> Option<Arc<Chunk>> {
        let mut held = self.held();
        held.uses += 1;
        let uses = held.uses;
        let kept = held.chunks.get_mut(key)?;
        let stale_max = kept.cost.saturating_mul(STALE_FACTOR).min(STALE_MAX);
        if kept.version != version && kept.made.elapsed() >= stale_max {
            return None;
        }
        kept.used = uses;
        Some(Arc::clone(&kept.chunk))
    }

    /// Keeps a chunk that took so long to make; others go that were not used for longest.
    pub(super) fn keep(&self, key: Key, version: u64, chunk: &Arc<Chunk>, cost: Duration) {
        let mut held = self.held();
        held.uses += 1;
        let (made, used) = (Instant::now(), held.uses);
        let kept = Kept { chunk: Arc::clone(chunk), version, made, cost, used };
        held.bytes += chunk.bytes();
        if let Some(before) = held.chunks.insert(key, kept) {
            held.bytes -= before.chunk.bytes();
        }
        if held.bytes > self.bytes_max {
            held.make_room(self.bytes_max - self.bytes_max / 8);
        }
    }

    /// The label sets of these chunks.
    pub(super) fn index(&self, chunks: &[Arc<Chunk>], family: Family) -> Arc<Index> {
        let known = self.held().indexes.iter().find(|index| index.is_of(chunks, family)).cloned();
        known.unwrap_or_else(|| {
            let index = Arc::new(Index::of(chunks.to_vec(), family));
            let mut held = self.held();
            if held.indexes.len() == INDEXES_MAX {
                held.indexes.remove(0);
            }
            held.indexes.push(Arc::clone(&index));
            index
        })
    }

    /// Waits until nobody else makes chunks of this tenant.
    pub(super) async fn turn(&self, tenant: &Arc<str>) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(Arc::clone(tenant)).or_default())
        };
        turn.lock_owned().await
    }

    /// Nothing is held half: each change is one insertion or removal with its bytes.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn make_room(&mut self, bytes_max: usize) {
        let mut order: Vec<(u64, Key)> =
            self.chunks.iter().map(|(key, kept)| (kept.used, key.clone())).collect();
        order.sort_by_key(|(used, _)| *used);
        for (_, key) in order {
            if self.bytes <= bytes_max {
                break;
            }
            if let Some(kept) = self.chunks.remove(&key) {
                self.bytes -= kept.chunk.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use meshlake_calls::series::chunk::Draft;

    use super::*;

    fn key(start: i64) -> Key {
        Key { tenant: "t".into(), start, slot_seconds: 10, by_operation: false }
    }

    fn chunk(chunks: &Chunks, start: i64) -> Arc<Chunk> {
        Arc::new(Draft::new(chunks.hasher()).finish(start, 10_000, Vec::new()))
    }

    #[test]
    fn a_chunk_serves_until_rows_come_near() {
        let chunks = Chunks::default();
        let made = chunk(&chunks, 0);
        chunks.keep(key(0), 7, &made, Duration::ZERO);
        assert!(chunks.get(&key(0), 7).is_some_and(|kept| Arc::ptr_eq(&kept, &made)));
        assert!(chunks.get(&key(0), 8).is_none(), "it took no time to make");
        assert!(chunks.get(&key(600), 7).is_none());
        chunks.keep(key(0), 8, &made, Duration::from_secs(3_600));
        assert!(chunks.get(&key(0), 9).is_some(), "it is newer than ten times what it took");
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let bytes = chunk(&Chunks::default(), 0).bytes();
        let chunks = Chunks::of(4 * bytes);
        for start in 0..4 {
            chunks.keep(key(start), 1, &chunk(&chunks, start), Duration::ZERO);
        }
        assert!(chunks.get(&key(0), 1).is_some());
        chunks.keep(key(4), 1, &chunk(&chunks, 4), Duration::ZERO);
        let kept: Vec<i64> = (0..5).filter(|start| chunks.get(&key(*start), 1).is_some()).collect();
        assert_eq!(kept, [0, 3, 4]);
    }
}
