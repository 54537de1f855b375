//! Counts the calls that proxies logged: two rows of one call are one call.
//!
//! ```text
//! rows        columns (row_columns) to records, with what is grouped by (asked)
//! twins       rows without ids of what rows with ids tell
//! streams     what goes on is no call, and what lasts has no latency
//! once        the same row that came twice is one
//! by_address  ends that only an address names, as those tell who have it
//! hops        rows of one call, by request id and hop, or by both ends of the connection
//! waypoints   what was received from a waypoint is what it received
//! told        calls to cells
//! leftovers   what is left on one edge, in order of time
//! ```

pub mod rows;
pub mod row_columns;
mod asked;
mod leftovers;
mod told;
mod waypoints;
mod hops;
mod by_address;
mod once;
mod streams;
pub mod twins;
pub mod seen;

pub use leftovers::Leftovers;

use self::seen::Seen;
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::connections::Connections;
use crate::minutes::{Counted, NamesByMinute, Piece, Words, cut};
use crate::services::Services;

/// Where calls are counted.
pub struct Counting<'a> {
    pub book: &'a mut Book,
    pub services: &'a Services,
    pub connections: &'a mut Connections,
}

/// Counts the calls of a shard, which has all rows of each of its requests. What found no other observer waits in
/// `leftovers`.
pub fn count(
    rows: Vec<Seen>,
    names: &NamesByMinute,
    addresses: &Addresses,
    leftovers: &mut Leftovers,
    book: &mut Book,
    connections: &mut Connections,
) {
    let minutes = book.counted_minutes();
    // What is left over, and what calls cover a connection, is joined over a minute.
    let pieces = cut(rows, Seen::hash, |row| row.start);
    for Piece { mut rows, scope, counted } in
        pieces.filter(|piece| minutes.are_met(piece.scope, piece.counted, 1))
    {
        let services = &names.services(scope, Words::Requests, &book.parties);
        by_address::name(&mut rows, counted, addresses, book);
        count_piece(rows, counted, leftovers, &mut Counting { book, services, connections });
    }
}

/// Counts what starts in the minutes that are `counted`.
fn count_piece(
    mut rows: Vec<Seen>,
    counted: Counted,
    leftovers: &mut Leftovers,
    counting: &mut Counting<'_>,
) {
    streams::tell_streams(&mut rows);
    once::keep_once(&mut rows);
    for row in rows.iter().filter(|row| row.is_waypoint) {
        counting.connections.know_waypoint(row.start, row.proxy);
    }
    let mut hops = hops::join(&rows, counting.services);
    let behind = waypoints::behind(&rows, &mut hops, counting.services);
    for (made, received) in hops.calls().filter(|(made, _)| counted.has(rows[*made].start)) {
        let (made, received) = behind.seen_through(&rows[made], received, &rows);
        if received.is_empty() && !made.is_refused {
            leftovers.add(made, counting.book);
        } else {
            told::tell(&made, &received, counting);
        }
    }
    for alone in hops.alone.into_iter().filter(|at| counted.has(rows[*at as usize].start)) {
        match behind.made_before(alone, &rows) {
            Some((made, received)) => told::tell(&made, &received, counting),
            None => leftovers.add(rows[alone as usize], counting.book),
        }
    }
}

#[cfg(test)]
mod tests;
