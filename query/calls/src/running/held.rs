//! Spans that are held in the order in which they came, file by file.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;

use crate::hashing::Mixer;
use crate::held::{SHARDS, shard_of};
use crate::minutes::minute_of;
use crate::spans::{HeldSpan, Link, Role, ShapeId, Shapes, Shard, hash_of};

/// Spans that came together, by the hash of their trace.
#[derive(Debug)]
pub struct Came {
    shards: Vec<Shard>,
    count: usize,
    last_minute: i64,
}

impl Default for Came {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Came { shards, count: 0, last_minute: i64::MIN }
    }
}

impl Came {
    pub fn len(&self) -> usize {
        self.count
    }

    /// The minute in which the last of them begins.
    pub fn last_minute(&self) -> i64 {
        self.last_minute
    }

    pub fn shard(&self, place: usize) -> &Shard {
        &self.shards[place]
    }

    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// What spans that begin in the minute `kept_from` or later link to, of those that took messages.
    pub fn wanted<'c>(&'c self, shapes: &'c Shapes, kept_from: i64) -> impl Iterator<Item = Link> + 'c {
        let linked = self.shards.iter().flat_map(Shard::linked);
        let is_wanting = move |span: &HeldSpan| {
            shapes.get(span.shape).role == Role::Consumed && minute_of(span.start) >= kept_from
        };
        linked.filter(move |(span, _)| is_wanting(span)).flat_map(|(_, links)| links).copied()
    }

    pub fn add(&mut self, span: HeldSpan, links: Vec<Link>) {
        self.count += 1;
        self.last_minute = self.last_minute.max(minute_of(span.start));
        self.shards[shard_of(hash_of(span.trace))].add(span, links);
    }

    /// Adds spans of one shard without links, with the shapes that `shape` says.
    pub fn add_all(&mut self, place: usize, spans: &[HeldSpan], shape: impl Fn(ShapeId) -> ShapeId) {
        self.count += spans.len();
        let last = spans.iter().map(|span| minute_of(span.start)).max();
        self.last_minute = last.unwrap_or(i64::MIN).max(self.last_minute);
        self.shards[place].add_all(spans, shape);
    }
}

/// One shard of all these spans.
pub fn joined<'s>(shards: impl Iterator<Item = &'s Shard>) -> Shard {
    let mut all = Shard::default();
    for shard in shards {
        for (span, links) in shard.linked() {
            all.add(*span, links.to_vec());
        }
        for room in shard.rooms() {
            let mut unlinked = room.as_slice();
            // Spans with links are few, and were added.
            while let Some(next) = unlinked.iter().position(HeldSpan::has_links) {
                all.add_all(&unlinked[..next], |shape| shape);
                unlinked = &unlinked[next + 1..];
            }
            all.add_all(unlinked, |shape| shape);
        }
    }
    all
}

/// Takes the spans of traces out of `before` to which nothing came `later` and that tell of no message. Others are moved to those
/// that came next; what begins before the minute `kept_from` is let go of.
pub fn parted(
    before: &[Came],
    later: &mut VecDeque<Came>,
    passing: &Came,
    shapes: &Shapes,
    kept_from: i64,
) -> Came {
    let mut over = Came::default();
    for place in 0..SHARDS {
        let mut goes_on: HashSet<u64, BuildHasherDefault<Mixer>> = HashSet::default();
        let since = later.iter().chain([passing]).flat_map(|came| came.shard(place).rooms()).flatten();
        goes_on.extend(since.map(|span| hash_of(span.trace)));
        let spans = || before.iter().flat_map(|came| came.shard(place).rooms()).flatten();
        let of_messages = spans().filter(|span| shapes.get(span.shape).role.is_of_message());
        goes_on.extend(of_messages.map(|span| hash_of(span.trace)));
        for shard in before.iter().map(|came| came.shard(place)) {
            for span in shard.rooms().iter().flatten().filter(|span| minute_of(span.start) >= kept_from) {
                let links = shard.links_at(span.links).to_vec();
                match later.front_mut().filter(|_| goes_on.contains(&hash_of(span.trace))) {
                    Some(next) => next.add(*span, links),
                    None => over.add(*span, links),
                }
            }
        }
    }
    over
}
