//! Remembers the exports that were stored in the last minutes, so that one sent again is not stored again.
//!
//! An acknowledgement can be lost on its way: a connection breaks, a client gives up a moment too early, the
//! process is killed between the fdatasync and the answer. The client then sends the same bytes again, and
//! OTLP gives it no name to send along, so the bytes themselves are the name: 128 bits over tenant, path and
//! body. Two exports that are alike to the last bit, times and ids included, are one export sent twice. One whose
//! records carry no time has no such name (`Format::resends`) and is never a repeat.
//!
//! An export may come again while the first one is still on its way to the disk. It waits for the fate of the
//! first: is that stored, it is a repeat; is it not, it is as good as new and goes back into the queue.
//!
//! Limits: [`EXPORTS_MAX`] exports; what is behind them is forgotten early. Records that are batched otherwise are
//! another export; how a body is compressed makes no difference, the hash is of what it holds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use meshlake_schema::UnixNanos;
use meshlake_store::StoredExport;
use meshlake_store::wal::exports;

use super::Payload;
use super::queue::Queue;

/// Exports that are remembered. Ten minutes of 1,600 exports a second, in 24 bytes each and 5 to 10 of the
/// index: 34 MB.
pub const EXPORTS_MAX: usize = 1_000_000;
const _: () = assert!(EXPORTS_MAX == exports::EXPORTS_MAX, "a restart remembers as many");

/// The exports of the last minutes. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    memory: Arc<Mutex<Memory>>,
    /// Where an export goes back to when the one it waited for was not stored.
    queue: Arc<Queue>,
    window: Duration,
}

/// What is known about an export.
#[derive(Debug)]
pub(super) enum Seen {
    /// It has not been seen. Whoever sees the claim stored remembers it.
    Never(Box<Payload>, Claim),
    /// One alike holds a claim; this one waits for it.
    InFlight,
    /// One alike was stored, with this many records.
    Stored(Box<Payload>, u32),
}

/// An export that is on its way to the disk, and was not stored unless [`Claim::stored`] says so.
#[derive(Debug)]
pub(super) struct Claim {
    recent: Recent,
    hash: u128,
    /// Records, and when they came.
    stored: Option<(u32, UnixNanos)>,
}

#[derive(Debug, Default)]
struct Memory {
    stored: Stored,
    /// Claims, and the exports alike that wait for them.
    claimed: HashMap<u128, Vec<Payload>>,
}

impl Recent {
    /// Remembers exports for `window`.
    pub(super) fn new(queue: Arc<Queue>, window: Duration) -> Recent {
        Recent { memory: Arc::default(), queue, window }
    }

    /// Whether an export like `payload`, whose hash is `hash`, was seen within the window before `now`.
    pub(super) fn look(&self, payload: Payload, hash: u128, now: UnixNanos) -> Seen {
        let mut memory = self.lock();
        memory.stored.forget_before(seconds(now).saturating_sub(self.window.as_secs()));
        if let Some(records) = memory.stored.records_of(hash) {
            return Seen::Stored(Box::new(payload), records);
        }
        if let Some(waiting) = memory.claimed.get_mut(&hash) {
            waiting.push(payload);
            return Seen::InFlight;
        }
        memory.claimed.insert(hash, Vec::new());
        drop(memory);
        Seen::Never(Box::new(payload), Claim { recent: self.clone(), hash, stored: None })
    }

    /// Remembers exports that were stored by an earlier process, oldest first. Of those alike, one that came after the
    /// window of the one before was stored as well, and is the one to remember.
    pub(super) fn restore(&self, exports: Vec<StoredExport>) {
        let mut memory = self.lock();
        for export in exports {
            let seconds = u64::from(export.seconds);
            memory.stored.forget_before(seconds.saturating_sub(self.window.as_secs()));
            if memory.stored.records_of(export.hash).is_none() {
                memory.stored.insert(export.hash, export.rows, seconds);
            }
        }
    }

    fn settle(&self, hash: u128, stored: Option<(u32, UnixNanos)>) {
        let mut memory = self.lock();
        let waiting = memory.claimed.remove(&hash).unwrap_or_default();
        if let Some((records, time)) = stored {
            memory.stored.insert(hash, records, seconds(time));
        }
        drop(memory);
        self.queue.give_back(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Says that the export was stored, with `records` records, having come at `time`.
    pub(super) fn stored(mut self, records: u64, time: UnixNanos) {
        self.stored = Some((u32::try_from(records).unwrap_or(u32::MAX), time));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.recent.settle(self.hash, self.stored);
    }
}

/// Exports in the order in which they were stored, and where to find one by its hash.
#[derive(Debug, Default)]
struct Stored {
    exports: VecDeque<Entry>,
    /// The number of the oldest; each gets the next number, which wraps around.
    oldest: u32,
    /// Numbers, by hash.
    numbers: HashTable<u32>,
}

/// 24 bytes; with the hash as one `u128` it would be 32.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: [u64; 2],
    seconds: u32,
    records: u32,
}

impl Stored {
    fn records_of(&self, hash: u128) -> Option<u32> {
        let hash = halves(hash);
        let number = self.numbers.find(hash[0], |number| self.entry(*number).hash == hash)?;
        Some(self.entry(*number).records)
    }

    /// Adds an export that is not there.
    fn insert(&mut self, hash: u128, records: u32, seconds: u64) {
        if self.exports.len() == EXPORTS_MAX {
            self.forget_oldest();
        }
        let number = self.oldest.wrapping_add(self.exports.len() as u32);
        let hash = halves(hash);
        self.exports.push_back(Entry { hash, seconds: u32::try_from(seconds).unwrap_or(u32::MAX), records });
        let Stored { exports, oldest, numbers } = self;
        let hash_of = |number: &u32| exports[number.wrapping_sub(*oldest) as usize].hash[0];
        numbers.insert_unique(hash[0], number, hash_of);
    }

    /// Forgets from the oldest on, up to the first that came at `seconds` or later. After a clock was set back
    /// some are remembered for longer.
    fn forget_before(&mut self, seconds: u64) {
        while self.exports.front().is_some_and(|oldest| u64::from(oldest.seconds) < seconds) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(entry) = self.exports.pop_front() else {
            return;
        };
        let oldest = self.oldest;
        if let Ok(number) = self.numbers.find_entry(entry.hash[0], |number| *number == oldest) {
            number.remove();
        }
        self.oldest = oldest.wrapping_add(1);
    }

    fn entry(&self, number: u32) -> &Entry {
        &self.exports[number.wrapping_sub(self.oldest) as usize]
    }
}

/// The hash as two numbers; it is evenly spread already, so each serves as a hash of its own.
fn halves(hash: u128) -> [u64; 2] {
    [hash as u64, (hash >> 64) as u64]
}

fn seconds(time: UnixNanos) -> u64 {
    u64::try_from(time.0 / 1_000_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::queue::Next;
    use super::super::testing;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos(seconds * 1_000_000_000)
    }

    fn recent() -> (Recent, Arc<Queue>) {
        let queue = Arc::new(Queue::default());
        (Recent::new(Arc::clone(&queue), WINDOW), queue)
    }

    fn look(recent: &Recent, hash: u128, now: UnixNanos) -> Seen {
        let (payload, _answer) = testing::payload("a", b"");
        recent.look(payload, hash, now)
    }

    #[test]
    fn a_stored_export_is_known_until_the_window_has_passed() {
        let (recent, _) = recent();
        let Seen::Never(_, claim) = look(&recent, 7, at(1000)) else { panic!("it is the first") };
        claim.stored(5, at(1000));
        assert!(matches!(look(&recent, 7, at(1600)), Seen::Stored(_, 5)));
        assert!(matches!(look(&recent, 8, at(1600)), Seen::Never(..)), "another hash");
        assert!(matches!(look(&recent, 7 | 1 << 64, at(1600)), Seen::Never(..)), "all bits count");
        assert!(matches!(look(&recent, 7, at(1601)), Seen::Never(..)), "601 s later");
    }

    #[test]
    fn an_export_that_was_not_stored_frees_those_that_wait_for_it() {
        let (recent, queue) = recent();
        let Seen::Never(_, claim) = look(&recent, 7, at(0)) else { panic!("it is the first") };
        assert!(matches!(look(&recent, 7, at(1)), Seen::InFlight));
        assert!(queue.is_empty());
        queue.close();
        drop(claim);
        let Next::Payload(payload) = queue.next(false, || true) else {
            panic!("it came back, queue closed or not")
        };
        assert!(matches!(recent.look(*payload, 7, at(2)), Seen::Never(..)));
    }

    #[test]
    fn what_waits_for_a_stored_export_becomes_a_repeat() {
        let (recent, queue) = recent();
        let Seen::Never(_, claim) = look(&recent, 7, at(0)) else { panic!("it is the first") };
        assert!(matches!(look(&recent, 7, at(1)), Seen::InFlight));
        claim.stored(3, at(0));
        let Next::Payload(payload) = queue.next(false, || true) else { panic!("it came back") };
        assert!(matches!(recent.look(*payload, 7, at(2)), Seen::Stored(_, 3)));
    }

    #[test]
    fn restored_exports_are_known_as_long_as_others() {
        let (recent, _) = recent();
        let export = |rows, seconds| StoredExport { hash: 7, rows, seconds };
        recent.restore(vec![export(2, 1000), export(9, 1001)]);
        assert!(matches!(look(&recent, 7, at(1600)), Seen::Stored(_, 2)));
        assert!(matches!(look(&recent, 7, at(1601)), Seen::Never(..)));
    }

    /// Scenario: the same bytes were stored at 1000 s and, beyond the window, at 1700 s; then the process restarts.
    /// Guarantee: a retry at 1750 s is known by the second time.
    #[test]
    fn an_export_stored_again_after_the_window_is_restored_as_of_then() {
        let (recent, _) = recent();
        let export = |rows, seconds| StoredExport { hash: 7, rows, seconds };
        recent.restore(vec![export(2, 1000), export(9, 1700)]);
        assert!(matches!(look(&recent, 7, at(1750)), Seen::Stored(_, 9)));
        assert!(matches!(look(&recent, 7, at(2300)), Seen::Stored(_, 9)), "1700 + 600");
        assert!(matches!(look(&recent, 7, at(2301)), Seen::Never(..)));
    }

    /// The maximum, and one more: the oldest is forgotten, numbers wrap around on the way.
    #[test]
    fn the_oldest_are_forgotten_at_the_maximum() {
        let mut stored = Stored { oldest: u32::MAX - 10, ..Stored::default() };
        // Odd multiples: distinct, and spread over both halves.
        let hash = |n: usize| (n as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        for n in 1..=EXPORTS_MAX {
            stored.insert(hash(n), n as u32, 0);
        }
        assert_eq!(stored.records_of(hash(1)), Some(1));
        stored.insert(hash(EXPORTS_MAX + 1), 0, 0);
        assert_eq!((stored.records_of(hash(1)), stored.records_of(hash(2))), (None, Some(2)));
        assert_eq!(stored.records_of(hash(EXPORTS_MAX)), Some(EXPORTS_MAX as u32));
        stored.forget_before(1);
        assert_eq!((stored.exports.len(), stored.numbers.len()), (0, 0));
    }
}
