//! Puts the spans of a shard in order, each trace together and sorted by id, and takes a span that was stored twice once.
//!
//! Only the ids are sorted, with the place of each span, and every span is written once to where it belongs: sorting the
//! spans themselves would move 80 bytes a dozen times. They are dealt out by a hash of the trace first, a trace or two to a
//! heap, so that only heaps are sorted. Ids hardly ever repeat within a trace; where they do, what else tells spans apart
//! is compared, and only there.

use crate::services::Services;
use crate::spans::{HeldSpan, Shapes, Span, hash_of};

/// Spans in a heap, about: a trace or two of most meshes. Fewer would make heaps of which most are empty.
const HEAP_SPANS: usize = 16;

/// Spans in order. The vectors are kept from shard to shard.
#[derive(Debug, Default)]
pub struct Order {
    keys: Vec<Key>,
    /// Where each heap begins among the keys, and then where it ends.
    heaps: Vec<u32>,
    /// Each trace together, in no order that means anything, and sorted by id.
    pub spans: Vec<Span>,
}

/// Where a span is, by its ids. The lower half of a trace id comes first: it is random whoever made it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    trace: [u64; 2],
    id: u64,
    room: u32,
    place: u32,
}

impl Order {
    /// Replaces the spans by those of `rooms`.
    pub fn put(&mut self, rooms: &[Vec<HeldSpan>], shapes: &Shapes) {
        self.deal_out(rooms);
        let mut from = 0;
        for to in &self.heaps {
            self.keys[from..*to as usize].sort_unstable();
            from = *to as usize;
        }
        self.spans.clear();
        let whole = |key: &Key| rooms[key.room as usize][key.place as usize].whole(shapes);
        self.spans.extend(self.keys.iter().map(whole));
    }

    /// Puts the keys of each heap side by side: counts them, and then writes each to its place.
    fn deal_out(&mut self, rooms: &[Vec<HeldSpan>]) {
        let count = rooms.iter().map(Vec::len).sum::<usize>();
        let bits = (count / HEAP_SPANS).next_power_of_two().trailing_zeros();
        // The lowest bits of the hash chose the shard, so that they are alike; the highest are not.
        let heap = |span: &HeldSpan| (hash_of(span.trace).rotate_left(bits) & !(u64::MAX << bits)) as usize;
        self.heaps.clear();
        self.heaps.resize(1 << bits, 0);
        for span in rooms.iter().flatten() {
            self.heaps[heap(span)] += 1;
        }
        let mut begin = 0;
        for place in &mut self.heaps {
            begin += std::mem::replace(place, begin);
        }
        self.keys.clear();
        self.keys.resize(count, Key::default());
        for (room, spans) in (0u32..).zip(rooms) {
            for (place, span) in (0u32..).zip(spans) {
                let next = &mut self.heaps[heap(span)];
                self.keys[*next as usize] = Key { trace: span.trace, id: span.id, room, place };
                *next += 1;
            }
        }
    }
}

/// Spans of one trace that are walked together. A trace of more, such as one whose id is the same for all requests, is walked in
/// parts: what lies side by side in time mostly belongs together, and memory for a walk has an end. Guess: a hundred times what
/// traces are known to have.
pub const WALKED_SPANS_MAX: usize = 100_000;

/// The spans of `trace`, sorted by id, service, role, start and duration, and each there once. One that had not ended when it was
/// sent first, and has no duration, is the same as the one that had.
pub fn once<'s>(trace: &'s mut [Span], services: &Services) -> &'s mut [Span] {
    if trace.is_sorted_by(|a, b| a.id < b.id) {
        return trace;
    }
    let begun = |span: &Span| (span.id, services.of(span.party), span.role, span.start);
    trace.sort_unstable_by_key(|span| (begun(span), span.duration));
    let mut kept = 1;
    for at in 1..trace.len() {
        let (span, before) = (trace[at], trace[kept - 1]);
        let is_alike = begun(&span) == begun(&before);
        if is_alike && before.duration == 0 {
            trace[kept - 1] = span;
        } else if !is_alike || span.duration != before.duration {
            trace[kept] = span;
            kept += 1;
        }
    }
    &mut trace[..kept]
}

/// The parts of a trace that are walked by themselves, each sorted by id: one, but where there are too many spans.
pub fn parts(trace: &mut [Span]) -> impl Iterator<Item = &[Span]> {
    let is_cut = trace.len() > WALKED_SPANS_MAX;
    if is_cut {
        trace.sort_unstable_by_key(|span| (span.start, span.id, span.party, span.role));
    }
    trace.chunks_mut(WALKED_SPANS_MAX).map(move |part| {
        if is_cut {
            part.sort_unstable_by_key(|span| (span.id, span.start, span.party, span.role));
        }
        &*part
    })
}
