//! Walks the traces that are held, on several threads.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use meshlake_schema::Spent;

use super::Means;
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::held::SHARDS;
use crate::messages::Messages;
use crate::minutes::NamesByMinute;
use crate::spans::{Link, Shapes, Shard};
use crate::trace::{Counting, Walk};

/// What walks look at.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub shapes: &'a Shapes,
    pub names: &'a NamesByMinute,
    pub addresses: &'a Addresses,
}

/// Counts in `book` the calls of the traces that `shard` has in each place, and returns what they told of messages, of which
/// those that links lead to are `wanted`.
///
/// # Errors
/// The time is up; some are not counted then.
pub fn count(
    book: &mut Book,
    ground: Ground<'_>,
    shard: &(dyn Fn(usize) -> Shard + Sync),
    wanted: impl Iterator<Item = Link>,
    means: Means<'_>,
) -> Result<Messages, Spent> {
    let mut messages = Messages::default();
    wanted.for_each(|link| messages.want(link));
    let parties = std::mem::take(&mut book.parties);
    let (minutes, next) = (book.counted_minutes(), AtomicUsize::new(0));
    let parts: Vec<(Book, Messages)> =
        (0..means.threads.clamp(1, SHARDS)).map(|_| (book.part(), messages.part())).collect();
    let whole = Mutex::new(&mut *book);
    let walk = |(mut book, mut messages): (Book, Messages)| {
        let mut walk = Walk::default();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= SHARDS {
                break;
            }
            let shard = shard(place);
            walk.put(&shard, ground.shapes);
            let Ground { names, addresses, .. } = ground;
            let (book, messages) = (&mut book, &mut messages);
            let mut counting = Counting { book, parties: &parties, names, addresses, messages };
            walk.count(&shard, &minutes, &mut counting);
            if book.is_full() {
                whole.lock().unwrap_or_else(PoisonError::into_inner).absorb(book);
            }
            means.budget.check_time()?;
        }
        whole.lock().unwrap_or_else(PoisonError::into_inner).absorb(&mut book);
        Ok(messages)
    };
    let walked: Result<Vec<Messages>, Spent> = thread::scope(|scope| {
        let mut parts = parts.into_iter();
        let mine = parts.next();
        let walking: Vec<_> = parts.map(|part| scope.spawn(|| walk(part))).collect();
        let mine = mine.map(walk);
        let ended =
            walking.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        mine.into_iter().chain(ended).collect()
    });
    book.parties = parties;
    walked?.into_iter().for_each(|part| messages.absorb(part));
    Ok(messages)
}
