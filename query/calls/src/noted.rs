//! Calls noted one by one beside the cells that they are counted in, of each cell the first by a [`Wish`].
//!
//! Which evidence counts is known only when all is counted, and per cell, so that no call may be let go of for a newer
//! one of another cell, which may turn out not to count. What a row says beyond its numbers is not held: a note knows
//! which rows told of the call, and those are read once more when it is known which calls are asked for. Limit: so many
//! notes a cell as calls are asked for; the first of all are among them, whichever cells count.

use std::cmp::{Ordering, Reverse};
use std::hash::Hash;

use meshlake_schema::Outcome;

use crate::hashing::{NumberMap, mixed_pair};
use crate::measure::{Halves, Observation};

/// Which row told of one side of a call: when it starts, and a hash of what else tells it from others. All zeros where
/// no row did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RowKey {
    pub start: i64,
    hash: u64,
}

impl RowKey {
    pub const NONE: RowKey = RowKey { start: 0, hash: 0 };

    pub fn of(start: i64, parts: impl IntoIterator<Item = u64>) -> RowKey {
        RowKey { start, hash: parts.into_iter().fold(1, mixed_pair) | 1 }
    }

    pub fn of_span(trace: u128, id: u64, start: i64) -> RowKey {
        RowKey::of(start, [trace as u64, (trace >> 64) as u64, id])
    }

    pub fn is_none(self) -> bool {
        self == RowKey::NONE
    }
}

/// The rows that told of the two sides of a call; of several received sides, of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RowsOf {
    pub made: RowKey,
    pub received: RowKey,
}

/// One call as it was counted.
#[derive(Debug, Clone, Copy)]
pub struct Noted {
    pub start: i64,
    pub rows: RowsOf,
    pub seen: Observation,
    pub halves: Halves,
}

impl Noted {
    /// Whether it ended otherwise than it should have, whoever's fault that was.
    pub fn has_failed(&self) -> bool {
        self.seen.outcome != Outcome::Ok
    }

    /// Which of two calls comes first by a wish. Those that are alike in it are in the order of their rows, whatever the order
    /// in which these were read.
    pub fn compare(&self, other: &Noted, wish: Wish) -> Ordering {
        wish.order(self).cmp(&wish.order(other))
    }
}

/// Which calls are noted, and which of them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    #[default]
    Newest,
    /// Those that failed first, then those that took longest; of all evidence, also what does not count.
    Telling {
        failed_only: bool,
        /// The least duration, nanoseconds.
        duration_min: i64,
    },
}

impl Wish {
    fn takes(self, call: &Noted) -> bool {
        match self {
            Wish::Newest => true,
            Wish::Telling { failed_only, duration_min } => {
                let is_long = duration_min <= 0 || call.seen.duration_nano >= duration_min;
                is_long && (!failed_only || call.has_failed())
            }
        }
    }

    fn order(self, call: &Noted) -> (bool, Reverse<i64>, Reverse<i64>, RowsOf) {
        let telling = match self {
            Wish::Newest => (false, Reverse(0)),
            Wish::Telling { .. } => (!call.has_failed(), Reverse(call.seen.duration_nano)),
        };
        (telling.0, telling.1, Reverse(call.start), call.rows)
    }
}

/// The first calls by cell.
#[derive(Debug)]
pub struct Notes<K> {
    per_cell_max: usize,
    wish: Wish,
    by_cell: NumberMap<K, Vec<Noted>>,
}

impl<K: Hash + Eq> Notes<K> {
    /// Keeps at least so many of each cell, if there are, and less than twice as many; 0 keeps none.
    pub fn new(per_cell_max: usize, wish: Wish) -> Notes<K> {
        Notes { per_cell_max, wish, by_cell: NumberMap::default() }
    }

    /// Whether any are kept.
    pub fn are_kept(&self) -> bool {
        self.per_cell_max > 0
    }

    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// An empty part, for what another thread notes.
    pub fn part(&self) -> Notes<K> {
        Notes::new(self.per_cell_max, self.wish)
    }

    /// Notes a call, and lets go of the last of its cell where there are too many.
    pub fn add(&mut self, cell: K, call: Noted) {
        if self.are_kept() && self.wish.takes(&call) {
            let notes = self.by_cell.entry(cell).or_default();
            notes.push(call);
            // Half of them at a time: to look for the last at each would be a walk over all.
            if notes.len() >= 2 * self.per_cell_max {
                keep_first(notes, self.per_cell_max, self.wish);
            }
        }
    }

    /// Adds what `part` has, and leaves it empty.
    pub fn absorb(&mut self, part: &mut Notes<K>) {
        for (cell, more) in part.by_cell.drain() {
            let notes = self.by_cell.entry(cell).or_default();
            notes.extend(more);
            keep_first(notes, self.per_cell_max, self.wish);
        }
    }

    /// All notes by what `group` says of their cells, in no order, the first of each cell among them.
    pub fn take_by(&mut self, group: impl Fn(K) -> K) -> NumberMap<K, Vec<Noted>> {
        let mut grouped: NumberMap<K, Vec<Noted>> = NumberMap::default();
        for (cell, notes) in self.by_cell.drain() {
            grouped.entry(group(cell)).or_default().extend(notes);
        }
        grouped
    }

    pub fn bytes(&self) -> usize {
        self.by_cell.values().map(|notes| notes.capacity() * size_of::<Noted>()).sum()
    }
}

fn keep_first(notes: &mut Vec<Noted>, most: usize, wish: Wish) {
    if notes.len() > most {
        notes.select_nth_unstable_by(most, |a, b| a.compare(b, wish));
        notes.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{MILLI, Protocol};

    fn at(start: i64) -> Noted {
        let seen = Observation {
            weight: MILLI,
            outcome: Outcome::Ok,
            duration_nano: 0,
            timed: true,
            sized: false,
            bytes_in: 0,
            bytes_out: 0,
            protocol: Protocol::Http,
        };
        let made = RowKey::of(start, [start as u64]);
        Noted { start, rows: RowsOf { made, ..RowsOf::default() }, seen, halves: Halves::default() }
    }

    /// The notes of a cell, in no order.
    fn of(notes: &Notes<u8>, cell: u8) -> &[Noted] {
        notes.by_cell.get(&cell).map_or(&[], Vec::as_slice)
    }

    fn starts(notes: &Notes<u8>, cell: u8) -> Vec<i64> {
        let mut starts: Vec<i64> = of(notes, cell).iter().map(|noted| noted.start).collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        starts
    }

    /// Fewer than twice as many are held as are asked for, and the newest are among them in any order of adding.
    #[test]
    fn the_newest_of_each_cell_are_kept() {
        for order in [[1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1], [4, 7, 1, 6, 2, 5, 3]] {
            let mut notes = Notes::new(2, Wish::Newest);
            order.into_iter().for_each(|start| notes.add(1, at(start)));
            notes.add(2, at(0));
            let kept = starts(&notes, 1);
            assert!(kept.len() < 4 && kept[..2] == [7, 6], "{order:?}: {kept:?}");
            assert_eq!(starts(&notes, 2), [0]);
        }
    }

    #[test]
    fn parts_add_up_to_the_newest_of_all() {
        let mut notes = Notes::new(3, Wish::Newest);
        let mut part = notes.part();
        [1, 4, 6].into_iter().for_each(|start| notes.add(1, at(start)));
        [2, 5, 3].into_iter().for_each(|start| part.add(1, at(start)));
        notes.absorb(&mut part);
        assert_eq!((starts(&notes, 1), starts(&part, 1)), (vec![6, 5, 4], vec![]));
    }

    #[test]
    fn where_none_are_asked_for_none_are_kept() {
        let mut notes = Notes::new(0, Wish::Newest);
        notes.add(1, at(1));
        assert_eq!((of(&notes, 1).len(), notes.bytes()), (0, 0));
    }

    /// Of calls that began together those are kept whose rows come first, in whatever order they were added.
    #[test]
    fn calls_of_one_instant_are_told_apart_by_their_rows() {
        let with = |hash: u64| {
            let made = RowKey { start: 9, hash };
            Noted { rows: RowsOf { made, ..RowsOf::default() }, ..at(9) }
        };
        for order in [[1, 3, 5, 7], [7, 5, 3, 1]] {
            let mut notes = Notes::new(2, Wish::Newest);
            order.into_iter().for_each(|hash| notes.add(1, with(hash)));
            let mut kept: Vec<u64> = of(&notes, 1).iter().map(|noted| noted.rows.made.hash).collect();
            kept.sort_unstable();
            assert_eq!(kept, [1, 3]);
        }
    }

    #[test]
    fn failed_calls_come_first_then_slow_ones() {
        let call = |start, duration_nano, outcome| {
            let noted = at(start);
            Noted { seen: Observation { duration_nano, outcome, ..noted.seen }, ..noted }
        };
        let calls = [
            call(1, 50, Outcome::Ok),
            call(2, 10, Outcome::Error),
            call(3, 90, Outcome::Ok),
            call(4, 5, Outcome::ClientError),
            call(5, 90, Outcome::Ok),
        ];
        let first = |most, failed_only, duration_min| {
            let wish = Wish::Telling { failed_only, duration_min };
            let mut notes = Notes::new(most, wish);
            calls.iter().for_each(|call| notes.add(1, *call));
            let mut kept: Vec<Noted> = of(&notes, 1).to_vec();
            kept.sort_by(|a, b| a.compare(b, wish));
            kept.iter().take(most).map(|noted| noted.start).collect::<Vec<_>>()
        };
        assert_eq!(first(9, false, 0), [2, 4, 5, 3, 1]);
        assert_eq!(first(2, false, 0), [2, 4]);
        assert_eq!(first(9, true, 0), [2, 4]);
        assert_eq!(first(9, false, 50), [5, 3, 1], "50 ns are long enough");
        assert_eq!(first(9, true, 11), [0i64; 0]);
    }
}
