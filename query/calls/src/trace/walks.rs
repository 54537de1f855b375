//! Walks the shards of a pass, several at the same time.
//!
//! No trace lies in two shards, so that a shard is walked without a look at another. Each of several threads counts in a book of
//! its own by the names of all, and the books are added up; sums are whole numbers, whatever the order. Threads are of the
//! operating system's: the crate knows no runtime. A walk, and what it counts, take memory that rows were let have before;
//! where it is short, shards that wait are let go of and come again in the next pass, so that every pass counts one at least.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use meshlake_schema::budget::Holding;
use meshlake_schema::{Budget, Spent};

use super::order::WALKED_SPANS_MAX;
use super::{Counting, Walk};
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::held::{HELD_BYTES_MAX, Held, SHARDS, Weighed as _};
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
const _: () = assert!(
    ordered_bytes(1_000_000) + walked_bytes(1_000_000) + 1_000_000 * size_of::<HeldSpan>() < HELD_BYTES_MAX
);

/// Bytes that putting so many spans in order takes.
const fn ordered_bytes(spans: usize) -> usize {
    spans * ORDERED_BYTES
}

/// Bytes that walking a trace of so many spans takes.
const fn walked_bytes(spans: usize) -> usize {
    WALKED_BYTES * if spans < WALKED_SPANS_MAX { spans } else { WALKED_SPANS_MAX }
}

/// Room for a walk that the budget is not asked for: it is enough for shards of thirty million spans in short traces. What takes
/// more is a long trace, or one shard of very many.
const ROOM_BYTES_FREE: usize = 16 << 20;

const _: () = assert!(ordered_bytes(30_000_000 / SHARDS) < ROOM_BYTES_FREE);

/// What the walks of all threads share.
pub struct Walks<'a> {
    pub shapes: &'a Shapes,
    pub names: &'a NamesByMinute,
    pub addresses: &'a Addresses,
    pub budget: Option<&'a Arc<dyn Budget>>,
    /// Threads that walk, at least one; the caller's is the first.
    pub threads: usize,
}

/// What of a walk more than one thread looks at.
struct Shared<'a> {
    parties: &'a Parties,
    held: Mutex<&'a mut Held<Shard>>,
    /// Where parts are added up; none where there is one thread, which counts in the book itself.
    whole: Option<Mutex<&'a mut Book>>,
}

impl Walks<'_> {
    /// Counts the calls of the shards that are held. Where memory is short, some of them are let go of, for the next pass.
    ///
    /// # Errors
    /// When time is up, or there is no memory even for one shard; some shards are not counted then.
    pub fn count(
        &self,
        held: &mut Held<Shard>,
        book: &mut Book,
        messages: &mut Messages,
    ) -> Result<(), Spent> {
        let threads = self.threads.clamp(1, held.len().max(1));
        let parties = std::mem::take(&mut book.parties);
        let walked = if threads == 1 {
            let shared = Shared { parties: &parties, held: Mutex::new(held), whole: None };
            self.walk(book, messages, &shared)
        } else {
            self.count_in_parts(threads, held, book, messages, &parties)
        };
        book.parties = parties;
        walked
    }

    fn count_in_parts(
        &self,
        threads: usize,
        held: &mut Held<Shard>,
        book: &mut Book,
        messages: &mut Messages,
        parties: &Parties,
    ) -> Result<(), Spent> {
        let parts: Vec<(Book, Messages)> = (0..threads).map(|_| (book.part(), messages.part())).collect();
        let shared = &Shared { parties, held: Mutex::new(held), whole: Some(Mutex::new(book)) };
        let walk = move |(mut book, mut messages): (Book, Messages)| {
            self.walk(&mut book, &mut messages, shared).map(|()| messages)
        };
        let walked = thread::scope(|scope| {
            let mut parts = parts.into_iter();
            let mine = parts.next();
            let walking: Vec<_> = parts.map(|part| scope.spawn(move || walk(part))).collect();
            let mine = mine.map(walk);
            let ended =
                walking.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            mine.into_iter().chain(ended).collect::<Result<Vec<Messages>, Spent>>()
        });
        walked?.into_iter().for_each(|part| messages.absorb(part));
        Ok(())
    }

    /// Walks shards until none are left.
    fn walk(&self, book: &mut Book, messages: &mut Messages, shared: &Shared<'_>) -> Result<(), Spent> {
        let mut walk = Walk::default();
        let minutes = book.counted_minutes();
        let mut room = Room::new(self.budget, book);
        loop {
            let shard = locked(&shared.held).take();
            let Some(shard) = shard else { break };
            room.has(ordered_bytes(shard.len()), book, shared)?;
            let longest = walk.put(&shard, self.shapes);
            room.has(ordered_bytes(shard.len()) + walked_bytes(longest), book, shared)?;
            let Walks { names, addresses, .. } = self;
            let parties = shared.parties;
            let mut counting = Counting { book, parties, names, addresses, messages };
            walk.count(&shard, &minutes, &mut counting);
            if let Some(whole) = shared.whole.as_ref().filter(|_| book.is_full()) {
                room.absorbed(book);
                locked(whole).absorb(book);
            }
            let bytes = shard.bytes();
            drop(shard);
            locked(&shared.held).dropped(bytes);
            self.budget.map_or(Ok(()), |budget| budget.check_time())?;
        }
        if let Some(whole) = &shared.whole {
            locked(whole).absorb(book);
        }
        Ok(())
    }
}

/// Memory that one thread takes while it walks.
struct Room<'a> {
    granted: Option<Holding<'a>>,
    /// The most that a walk took.
    walk_bytes: usize,
    /// What the book took that is charged to whoever called.
    book_bytes: usize,
    /// What it took that others have now.
    absorbed_bytes: usize,
}

impl<'a> Room<'a> {
    fn new(budget: Option<&'a Arc<dyn Budget>>, book: &Book) -> Room<'a> {
        let granted = budget.map(|budget| Holding::new(budget.as_ref()));
        Room { granted, walk_bytes: 0, book_bytes: book.bytes(), absorbed_bytes: 0 }
    }

    /// Has room for a walk that takes so many bytes, and for what was counted meanwhile. Shards that wait are let go of for it.
    fn has(&mut self, walk_bytes: usize, book: &Book, shared: &Shared<'_>) -> Result<(), Spent> {
        let Some(granted) = &mut self.granted else { return Ok(()) };
        self.walk_bytes = self.walk_bytes.max(walk_bytes);
        let walk = if self.walk_bytes > ROOM_BYTES_FREE { self.walk_bytes } else { 0 };
        let counted = self.absorbed_bytes + book.bytes().saturating_sub(self.book_bytes);
        while let Err(spent) = granted.resize(granted.bytes().max(walk + counted)) {
            if !locked(&shared.held).give_way_to_taken() {
                return Err(spent);
            }
        }
        Ok(())
    }

    /// All that the book counted goes to another.
    fn absorbed(&mut self, book: &Book) {
        self.absorbed_bytes += book.bytes().saturating_sub(self.book_bytes);
        self.book_bytes = 0;
    }
}

/// A panic of another thread ends the count as a whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
