//! Walks the shards of a pass, several at the same time.
//!
//! No trace lies in two shards, so that a shard is walked without a look at another. Each thread counts in a book of its
//! own by the names of all, and the books are added up; sums are whole numbers, whatever the order. Threads are of the
//! operating system's: the crate knows no runtime, and a walk never waits.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use meshlake_schema::budget::Holding;
use meshlake_schema::{Budget, Spent};

use super::order::WALKED_SPANS_MAX;
use super::{Counting, Walk};
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::held::{HELD_BYTES_MAX, SHARDS};
use crate::messages::Messages;
use crate::minutes::NamesByMinute;
use crate::party::Parties;
use crate::spans::{HeldSpan, Shapes, Shard};

/// What a walk takes for each span of its shard beside the span as it is held: the span itself (80) and its place (32).
const ORDERED_BYTES: usize = 112;

/// What it takes besides for each that is walked together: its place in the tree (45), what is around it (24), what it is as a
/// received side (120) or as a call and a layer of one (3 times 112), and the heads of vectors.
const WALKED_BYTES: usize = 528;

/// A trace of a million spans is counted within what a fold may hold.
const _: () = assert!(bytes(1_000_000) + 1_000_000 * size_of::<HeldSpan>() < HELD_BYTES_MAX);

/// Bytes that a walk over so many spans takes.
const fn bytes(spans: usize) -> usize {
    let together = if spans < WALKED_SPANS_MAX { spans } else { WALKED_SPANS_MAX };
    spans * ORDERED_BYTES + together * WALKED_BYTES
}

/// Room for a walk that the budget is not asked for: the rows of a pass take what they can get, and a shard of all that a
/// pass may hold takes less than this. What is larger is one long trace.
const ROOM_BYTES_FREE: usize = 16 << 20;

const _: () = assert!(bytes(HELD_BYTES_MAX / SHARDS / size_of::<HeldSpan>()) < ROOM_BYTES_FREE);

/// What the walks of all threads share.
pub struct Walks<'a> {
    pub shapes: &'a Shapes,
    pub names: &'a NamesByMinute,
    pub addresses: &'a Addresses,
    pub budget: Option<&'a Arc<dyn Budget>>,
    /// Threads that walk, at least one; the caller's is the first.
    pub threads: usize,
}

impl Walks<'_> {
    /// Counts the calls of all `shards`.
    ///
    /// # Errors
    /// When time is up or there is no memory; some shards are not counted then.
    pub fn count(&self, shards: Vec<Shard>, book: &mut Book, messages: &mut Messages) -> Result<(), Spent> {
        let threads = self.threads.clamp(1, shards.len().max(1));
        let parties = std::mem::take(&mut book.parties);
        let mine = (book.part(), messages.part());
        let parts: Vec<(Book, Messages)> = (1..threads).map(|_| (book.part(), messages.part())).collect();
        let (left, whole) = (Mutex::new(shards.into_iter()), Mutex::new(&mut *book));
        let walked = thread::scope(|scope| {
            let walk = |part| scope.spawn(|| self.walk(part, &parties, &left, &whole));
            let walking: Vec<_> = parts.into_iter().map(walk).collect();
            let mine = self.walk(mine, &parties, &left, &whole);
            let ended =
                walking.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            std::iter::once(mine).chain(ended).collect::<Result<Vec<Messages>, Spent>>()
        });
        book.parties = parties;
        walked?.into_iter().for_each(|part| messages.absorb(part));
        Ok(())
    }

    /// Walks shards until none are left.
    fn walk(
        &self,
        (mut part, mut messages): (Book, Messages),
        parties: &Parties,
        left: &Mutex<impl Iterator<Item = Shard>>,
        whole: &Mutex<&mut Book>,
    ) -> Result<Messages, Spent> {
        let mut walk = Walk::default();
        let minutes = part.counted_minutes();
        let mut room = self.budget.map(|budget| Holding::new(budget.as_ref()));
        loop {
            let shard = locked(left).next();
            let Some(shard) = shard else { break };
            let bytes = bytes(shard.len());
            if bytes > ROOM_BYTES_FREE {
                room.as_mut().map_or(Ok(()), |room| room.resize(room.bytes().max(bytes)))?;
            }
            let Walks { names, addresses, .. } = self;
            let mut counting =
                Counting { book: &mut part, parties, names, addresses, messages: &mut messages };
            walk.count(&shard, self.shapes, &minutes, &mut counting);
            if part.is_full() {
                locked(whole).absorb(&mut part);
            }
            self.budget.map_or(Ok(()), |budget| budget.check_time())?;
        }
        locked(whole).absorb(&mut part);
        Ok(messages)
    }
}

/// A panic of another thread ends the count as a whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
