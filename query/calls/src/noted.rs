//! Calls noted one by one beside the cells that they are counted in, the newest of each cell.
//!
//! Which evidence counts is known only when all is counted, and per cell, so that no call may be let go of for a newer
//! one of another cell, which may turn out not to count. What a row says beyond its numbers is not held: a note knows
//! which rows told of the call, and those are read once more when it is known which calls are asked for. Limit: so many
//! notes a cell as calls are asked for; the newest of all are among them, whichever cells count.

use std::hash::Hash;

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
    /// Newest first. Calls that began at one instant are in the order of their rows, whatever the order in which these
    /// were read.
    fn order(&self) -> impl Ord {
        (std::cmp::Reverse(self.start), self.rows)
    }
}

/// The newest calls by cell.
#[derive(Debug)]
pub struct Notes<K> {
    per_cell_max: usize,
    by_cell: NumberMap<K, Vec<Noted>>,
}

impl<K: Hash + Eq> Notes<K> {
    /// Keeps at least so many of each cell, if there are, and less than twice as many; 0 keeps none.
    pub fn new(per_cell_max: usize) -> Notes<K> {
        Notes { per_cell_max, by_cell: NumberMap::default() }
    }

    /// An empty part, for what another thread notes.
    pub fn part(&self) -> Notes<K> {
        Notes::new(self.per_cell_max)
    }

    /// Notes a call, and lets go of the oldest of its cell where there are too many.
    pub fn add(&mut self, cell: K, call: Noted) {
        if self.per_cell_max > 0 {
            let notes = self.by_cell.entry(cell).or_default();
            notes.push(call);
            // Half of them at a time: to look for the oldest at each would be a walk over all.
            if notes.len() >= 2 * self.per_cell_max {
                keep_newest(notes, self.per_cell_max);
            }
        }
    }

    /// Adds what `part` has, and leaves it empty.
    pub fn absorb(&mut self, part: &mut Notes<K>) {
        for (cell, more) in part.by_cell.drain() {
            let notes = self.by_cell.entry(cell).or_default();
            notes.extend(more);
            keep_newest(notes, self.per_cell_max);
        }
    }

    /// The notes of a cell, in no order, the newest among them.
    pub fn of(&self, cell: &K) -> &[Noted] {
        self.by_cell.get(cell).map_or(&[], Vec::as_slice)
    }

    pub fn bytes(&self) -> usize {
        self.by_cell.values().map(|notes| notes.capacity() * size_of::<Noted>()).sum()
    }
}

fn keep_newest(notes: &mut Vec<Noted>, most: usize) {
    if notes.len() > most {
        notes.select_nth_unstable_by(most, |a, b| a.order().cmp(&b.order()));
        notes.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::Outcome;

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

    fn starts(notes: &Notes<u8>, cell: u8) -> Vec<i64> {
        let mut starts: Vec<i64> = notes.of(&cell).iter().map(|noted| noted.start).collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        starts
    }

    /// Fewer than twice as many are held as are asked for, and the newest are among them in any order of adding.
    #[test]
    fn the_newest_of_each_cell_are_kept() {
        for order in [[1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1], [4, 7, 1, 6, 2, 5, 3]] {
            let mut notes = Notes::new(2);
            order.into_iter().for_each(|start| notes.add(1, at(start)));
            notes.add(2, at(0));
            let kept = starts(&notes, 1);
            assert!(kept.len() < 4 && kept[..2] == [7, 6], "{order:?}: {kept:?}");
            assert_eq!(starts(&notes, 2), [0]);
        }
    }

    #[test]
    fn parts_add_up_to_the_newest_of_all() {
        let mut notes = Notes::new(3);
        let mut part = notes.part();
        [1, 4, 6].into_iter().for_each(|start| notes.add(1, at(start)));
        [2, 5, 3].into_iter().for_each(|start| part.add(1, at(start)));
        notes.absorb(&mut part);
        assert_eq!((starts(&notes, 1), starts(&part, 1)), (vec![6, 5, 4], vec![]));
    }

    #[test]
    fn where_none_are_asked_for_none_are_kept() {
        let mut notes = Notes::new(0);
        notes.add(1, at(1));
        assert_eq!((notes.of(&1).len(), notes.bytes()), (0, 0));
    }

    /// Of calls that began together those are kept whose rows come first, in whatever order they were added.
    #[test]
    fn calls_of_one_instant_are_told_apart_by_their_rows() {
        let with = |hash: u64| {
            let made = RowKey { start: 9, hash };
            Noted { rows: RowsOf { made, ..RowsOf::default() }, ..at(9) }
        };
        for order in [[1, 3, 5, 7], [7, 5, 3, 1]] {
            let mut notes = Notes::new(2);
            order.into_iter().for_each(|hash| notes.add(1, with(hash)));
            let mut kept: Vec<u64> = notes.of(&1).iter().map(|noted| noted.rows.made.hash).collect();
            kept.sort_unstable();
            assert_eq!(kept, [1, 3]);
        }
    }
}
