//! Matches rows of one edge that nothing else joins, one to one in order of time.
//!
//! Two observers of one edge tell of the same calls. Where neither ids nor connections join their rows, adding them
//! would count most calls twice, so each client row takes the next server row at most a minute away, and more of them
//! if it knows that it tried more often. What is still left was seen by one side only. The edge is that of the
//! callee's own name, as far as other rows told what its callers call it.

use super::Counting;
use super::seen::{SKEW_MAX, Seen, Side};
use super::told::{source_of, tell, tell_alone};
use crate::services::ServiceId;

/// Rows that found no other observer.
#[derive(Debug, Default)]
pub struct Leftovers {
    rows: Vec<Seen>,
}

impl Leftovers {
    pub fn add(&mut self, row: Seen) {
        self.rows.push(row);
    }

    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Seen>()
    }

    /// Matches and counts all of them.
    pub fn finish(self, counting: &mut Counting<'_>) {
        let edge = |row: &Seen| {
            let service = |party| counting.aliases.resolve(counting.services.of(party), counting.services);
            (service(source_of(row)), service(row.destination), row.is_connection)
        };
        let mut rows: Vec<((ServiceId, ServiceId, bool), Seen)> =
            self.rows.into_iter().map(|row| (edge(&row), row)).collect();
        rows.sort_by_key(|(edge, row)| (*edge, row.side, row.start, row.end(), row.from));
        for of_edge in rows.chunk_by(|a, b| a.0 == b.0) {
            let made = of_edge.partition_point(|(_, row)| row.side == Side::Made);
            let (made, received) = of_edge.split_at(made);
            matched(made, received, counting);
        }
    }
}

fn matched<E>(made: &[(E, Seen)], received: &[(E, Seen)], counting: &mut Counting<'_>) {
    let mut sides: Vec<Vec<Seen>> = vec![Vec::new(); made.len()];
    let mut left: Vec<Seen> = Vec::new();
    let mut next = 0;
    for (_, side) in received {
        // Too long ago for this server row, and so for all later ones.
        while next < made.len() && made[next].1.start < side.start.saturating_sub(SKEW_MAX) {
            next += 1;
        }
        if next < made.len() && made[next].1.start <= side.start.saturating_add(SKEW_MAX) {
            sides[next].push(*side);
            next += 1;
        } else {
            left.push(*side);
        }
    }
    let mut trying = 0;
    for side in left {
        let has_room = |at: usize| sides[at].len() < usize::from(made[at].1.attempts);
        while trying < made.len() && !has_room(trying) {
            trying += 1;
        }
        let near =
            trying < made.len() && made[trying].1.start.abs_diff(side.start) <= SKEW_MAX.unsigned_abs();
        if near {
            sides[trying].push(side);
        } else {
            tell_alone(&side, counting);
        }
    }
    for ((_, made), mut sides) in made.iter().zip(sides) {
        sides.sort_by_key(|side| side.start);
        tell(made, &sides, counting);
    }
}
