//! Matches rows of one edge that nothing else joins, one to one in order of time.
//!
//! Two observers of one edge tell of the same calls. Where neither ids nor connections join their rows, adding them
//! would count most calls twice, so each client row takes the next server row, and more of them if it knows that it tried
//! more often. That is done for each minute of the clock; what is left within half a minute of its ends is matched with
//! what is left on the other side of the end. So a row is looked at with rows less than a minute away, and what is found
//! does not depend on what was asked for. What is still left was seen by one side only. The edge is that of the
//! callee's own name, as far as other rows of these minutes told what its callers call it.

use super::Counting;
use super::seen::{SKEW_MAX, Seen, Side};
use super::told::{source_of, tell, tell_alone};
use crate::cells::Book;
use crate::connections::Connections;
use crate::minutes::{MINUTE, NamesByMinute, Scope, Words, minute_of};
use crate::services::ServiceId;

const _: () = assert!(MINUTE <= SKEW_MAX, "rows that are matched are no further apart than clocks");

/// Rows that found no other observer.
#[derive(Debug, Default)]
pub struct Leftovers {
    rows: Vec<Seen>,
}

/// Client rows with the server rows that they were matched with, and server rows that none was.
#[derive(Debug, Default)]
struct Matched {
    made: Vec<(Seen, Vec<Seen>)>,
    received: Vec<Seen>,
}

impl Leftovers {
    /// Adds a row. An edge is busy at that time, whoever else saw the call.
    pub fn add(&mut self, row: Seen, book: &mut Book) {
        if !row.is_connection {
            book.busy.add(Words::Requests, (source_of(&row), row.destination), row.start, row.duration);
        }
        self.rows.push(row);
    }

    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Seen>()
    }

    /// Matches and counts all of them.
    pub fn finish(mut self, names: &NamesByMinute, book: &mut Book, connections: &mut Connections) {
        // Two minutes that end in the middle of what is not matched in one.
        let zone = |row: &Seen| minute_of(row.start.saturating_sub(MINUTE / 2));
        self.rows.sort_by_key(|row| minute_of(row.start));
        let mut left = Matched::default();
        for rows in self.rows.chunk_by(|a, b| minute_of(a.start) == minute_of(b.start)) {
            let scope = Scope::of(minute_of(rows[0].start));
            match_rows(&with_edges(rows.iter().map(alone), scope, names, book), &mut left);
        }
        let mut rows: Vec<(Seen, Vec<Seen>)> = left.made;
        rows.extend(left.received.into_iter().map(|row| (row, Vec::new())));
        rows.sort_by_key(|(row, _)| zone(row));
        let mut left = Matched::default();
        for rows in rows.chunk_by(|a, b| zone(&a.0) == zone(&b.0)) {
            let first = zone(&rows[0].0);
            let scope = Scope { first, last: first.saturating_add(1) };
            match_rows(&with_edges(rows.iter().cloned(), scope, names, book), &mut left);
        }
        let whole = |row: &Seen| Scope::of(minute_of(row.start));
        for (made, mut sides) in left.made {
            sides.sort_by_key(|side| side.start);
            let scope = sides.iter().map(whole).fold(whole(&made), Scope::joined);
            let services = &names.services(scope, Words::Requests, &book.parties);
            tell(&made, &sides, &mut Counting { book, services, connections });
        }
        for row in left.received {
            let services = &names.services(whole(&row), Words::Requests, &book.parties);
            tell_alone(&row, &mut Counting { book, services, connections });
        }
    }
}

fn alone(row: &Seen) -> (Seen, Vec<Seen>) {
    (*row, Vec::new())
}

/// Whose edge a row is of, and whether it is a connection.
type Edge = (ServiceId, ServiceId, bool);

/// Rows with what they were matched with so far and their edges, sorted by edge, side and time.
fn with_edges(
    rows: impl Iterator<Item = (Seen, Vec<Seen>)>,
    scope: Scope,
    names: &NamesByMinute,
    book: &Book,
) -> Vec<(Edge, Seen, Vec<Seen>)> {
    let services = names.services(scope, Words::Requests, &book.parties);
    let aliases = book.learnt.aliases(scope, Words::Requests, &services);
    let service = |party| aliases.resolve(services.of(party), &services);
    let edge = |row: &Seen| (service(source_of(row)), service(row.destination), row.is_connection);
    let mut rows: Vec<_> = rows.map(|(row, sides)| (edge(&row), row, sides)).collect();
    rows.sort_by_key(|(edge, row, _)| (*edge, row.side, row.start, row.end(), row.from));
    rows
}

fn match_rows(rows: &[(Edge, Seen, Vec<Seen>)], matched: &mut Matched) {
    for of_edge in rows.chunk_by(|a, b| a.0 == b.0) {
        let made = of_edge.partition_point(|(_, row, _)| row.side == Side::Made);
        let (made, received) = of_edge.split_at(made);
        let mut made: Vec<(Seen, Vec<Seen>)> =
            made.iter().map(|(_, row, sides)| (*row, sides.clone())).collect();
        let mut received: Vec<Seen> = received.iter().map(|(_, row, _)| *row).collect();
        // First each client row one, then those that tried more often more.
        for wants in [|_: &Seen| 1, |made: &Seen| usize::from(made.attempts)] {
            received = take(&mut made, received, wants);
        }
        matched.made.append(&mut made);
        matched.received.append(&mut received);
    }
}

/// Gives client rows server rows, both in order of time, until each has as many as it `wants`; returns those that are
/// left.
fn take(made: &mut [(Seen, Vec<Seen>)], received: Vec<Seen>, wants: fn(&Seen) -> usize) -> Vec<Seen> {
    let mut next = 0;
    let mut left = Vec::new();
    for row in received {
        while next < made.len() && made[next].1.len() >= wants(&made[next].0) {
            next += 1;
        }
        match made.get_mut(next) {
            Some((_, sides)) => sides.push(row),
            None => left.push(row),
        }
    }
    left
}
