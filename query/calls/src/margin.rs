//! Which spans of the minutes around those that count are held: those that may change what counts.
//!
//! ```text
//! far  near  counted  near  far
//!       1. the minutes that count, all spans
//!       2. those near: spans of traces that have one in what was read first
//!       3. those near again, and those far: where messages or connections are told of, spans that tell of those
//! ```
//! A minute is read with two minutes on both sides (minutes.rs), which are four fifths of what is read and nearly all of which
//! belongs to traces without a span in that minute. Held, it would take the memory of what counts, and rows that do not fit are
//! read once more for each part of them. So what is much is fed in this order. Another trace matters only by a message or a
//! connection: where no span near tells of the one and no row of the other, the third step is left out.
//!
//! Traces are told by a Bloom filter: that some are held for nothing changes no answer. Limit: in a mesh of connections all spans
//! are held.

use std::borrow::Cow;

use meshlake_schema::{SETTLE_MARGIN_MINUTES, TimeRange, UnixNanos};

use crate::held::Held;
use crate::minutes::{MINUTE, minute_of};
use crate::spans::{HeldSpan, Shard, hash_of};

/// What of the spans is fed, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stretch {
    /// All at once, in any order.
    #[default]
    Whole,
    Counted,
    Near,
    NearAgain,
    Far,
}

/// The stretches of what counts at these times, which are ascending and apart, and when the spans of each begin.
pub fn stretches(counted: &[TimeRange]) -> [(Stretch, Vec<TimeRange>); 4] {
    let around = |minutes: i64| {
        let mut around: Vec<TimeRange> = Vec::new();
        for times in counted.iter().filter(|times| times.from < times.to) {
            let first = minute_of(times.from.0).saturating_sub(minutes);
            let last = minute_of(times.to.0.saturating_sub(1)).saturating_add(minutes);
            let start = |minute: i64| UnixNanos(minute.saturating_mul(MINUTE));
            let next = TimeRange { from: start(first), to: start(last.saturating_add(1)) };
            match around.last_mut() {
                Some(before) if next.from <= before.to => before.to = before.to.max(next.to),
                _ => around.push(next),
            }
        }
        around
    };
    let [counted, one, two] = [0, 1, SETTLE_MARGIN_MINUTES].map(around);
    let near = without(&one, &counted);
    let far = without(&two, &one);
    [
        (Stretch::Counted, counted),
        (Stretch::Near, near.clone()),
        (Stretch::NearAgain, near),
        (Stretch::Far, far),
    ]
}

/// What of `whole` is in none of `parts`, each of which lies in one of `whole`.
fn without(whole: &[TimeRange], parts: &[TimeRange]) -> Vec<TimeRange> {
    let mut left = Vec::new();
    for times in whole {
        let mut from = times.from;
        for part in parts.iter().filter(|part| times.from <= part.from && part.to <= times.to) {
            left.push(TimeRange { from, to: part.from });
            from = part.to;
        }
        left.push(TimeRange { from, to: times.to });
    }
    left.retain(|times| times.from < times.to);
    left
}

/// What is known of the traces of a pass.
#[derive(Debug, Default)]
pub struct Margin {
    stretch: Stretch,
    /// Those of spans that count.
    counted: Filter,
    /// Others, which tell of messages near them.
    messages: Filter,
    has_messages: bool,
    /// Any trace may tell what a connection carried.
    has_connections: bool,
}

impl Margin {
    /// Begins with a stretch, of which `held` is what those before it left; whether any span of it is wanted.
    pub fn begin(&mut self, stretch: Stretch, held: &Held<Shard>, has_connections: bool) -> bool {
        match stretch {
            Stretch::Whole | Stretch::Counted => *self = Margin::default(),
            Stretch::Near => {
                let traces = || {
                    held.held().flat_map(Shard::rooms).flatten().map(|span: &HeldSpan| hash_of(span.trace))
                };
                let count = held.held().map(Shard::len).sum();
                (self.counted, self.messages) = (Filter::of(count), Filter::of(count));
                traces().for_each(|trace| self.counted.insert(trace));
            }
            Stretch::NearAgain | Stretch::Far => {}
        }
        (self.stretch, self.has_connections) = (stretch, has_connections);
        let is_first = matches!(stretch, Stretch::Whole | Stretch::Counted | Stretch::Near);
        is_first || self.has_messages || has_connections
    }

    /// Learns that spans of a batch tell of messages.
    pub fn see_messages(&mut self) {
        self.has_messages = true;
    }

    /// Whether a span of this trace is held; `is_message` where it tells of one.
    pub fn holds(&mut self, trace: [u64; 2], is_message: bool) -> bool {
        let trace = hash_of(trace);
        if is_message && self.stretch == Stretch::Near && !self.counted.has(trace) {
            self.messages.insert(trace);
        }
        self.has(trace)
    }

    /// Those of `spans` that are held, of which none tells of messages.
    pub fn held<'s>(&self, spans: &'s [HeldSpan]) -> Cow<'s, [HeldSpan]> {
        if matches!(self.stretch, Stretch::Whole | Stretch::Counted) {
            return Cow::Borrowed(spans);
        }
        Cow::Owned(spans.iter().filter(|span| self.has(hash_of(span.trace))).copied().collect())
    }

    fn has(&self, trace: u64) -> bool {
        let is_other = || self.has_connections || self.messages.has(trace);
        match self.stretch {
            Stretch::Whole | Stretch::Counted => true,
            Stretch::Near => self.counted.has(trace),
            Stretch::NearAgain => !self.counted.has(trace) && is_other(),
            Stretch::Far => self.counted.has(trace) || is_other(),
        }
    }

    /// Bytes taken.
    pub fn bytes(&self) -> usize {
        self.counted.bytes() + self.messages.bytes()
    }
}

/// Bits of a filter for each key: of 100 others one seems to be in it.
const BITS_A_KEY: usize = 16;

/// A Bloom filter of hashes, whose bits for one lie in one word.
///
/// Source: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007, register-blocked.
#[derive(Debug, Default)]
struct Filter {
    words: Vec<u64>,
}

impl Filter {
    fn of(keys: usize) -> Filter {
        Filter { words: vec![0; (keys * BITS_A_KEY).div_ceil(64)] }
    }

    /// Which word, and four of its bits. The lowest eight bits of the hash are alike in a shard, and are not looked at.
    fn place(&self, hash: u64) -> (usize, u64) {
        let word = (u128::from(hash >> 32) * self.words.len() as u128) >> 32;
        let bits = [8, 14, 20, 26].iter().fold(0, |bits, shift| bits | 1 << (hash >> shift & 63));
        (word as usize, bits)
    }

    fn insert(&mut self, hash: u64) {
        let (word, bits) = self.place(hash);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits;
        }
    }

    fn has(&self, hash: u64) -> bool {
        let (word, bits) = self.place(hash);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }

    fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::mixed_pair;

    fn times(from: i64, to: i64) -> TimeRange {
        TimeRange { from: UnixNanos(from * MINUTE), to: UnixNanos(to * MINUTE) }
    }

    #[test]
    fn around_what_counts_lie_one_minute_and_another() {
        let of = |counted: &[TimeRange]| stretches(counted).map(|(_, times)| times);
        let near = vec![times(9, 10), times(12, 13)];
        let want = [vec![times(10, 12)], near.clone(), near, vec![times(8, 9), times(13, 14)]];
        assert_eq!(of(&[times(10, 12)]), want);
        let inside = TimeRange { from: UnixNanos(10 * MINUTE + 1), to: UnixNanos(11 * MINUTE + 1) };
        assert_eq!(of(&[inside]), want, "of minutes that count in part all is read");
        // Minutes 10 and 13: what lies between is near both, and far from neither.
        let near = vec![times(9, 10), times(11, 13), times(14, 15)];
        let want = [vec![times(10, 11), times(13, 14)], near.clone(), near, vec![times(8, 9), times(15, 16)]];
        assert_eq!(of(&[times(10, 11), times(13, 14)]), want);
        assert_eq!(of(&[]), [const { Vec::new() }; 4]);
    }

    #[test]
    fn a_filter_has_all_that_is_in_it_and_few_others() {
        let mut filter = Filter::of(10_000);
        let hash = |number| mixed_pair(number, 7);
        (0..10_000).for_each(|number| filter.insert(hash(number)));
        assert!((0..10_000).all(|number| filter.has(hash(number))));
        let others = (10_000..110_000).filter(|number| filter.has(hash(*number))).count();
        // Of a word with 4 keys, 16 of 64 bits are set at most: (1 - (1 - 4/64)^4)^4 = 0.26 % where all words have as many,
        // and about three times that as some have more.
        assert!((100..2_000).contains(&others), "{others}");
        assert!(!Filter::default().has(hash(1)));
    }
}
