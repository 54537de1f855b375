//! Counts the calls that proxies logged: two rows of one call are one call.
//!
//! ```text
//! rows        columns (row_columns) to records
//! once        the same row that came twice is one
//! hops        rows of one call, by request id and hop, or by both ends of the connection
//! told        calls to cells
//! leftovers   what is left on one edge, in order of time
//! ```

pub mod rows;
pub mod row_columns;
mod leftovers;
mod told;
mod hops;
mod once;
pub mod seen;

pub use leftovers::Leftovers;

use self::seen::Seen;
use crate::cells::Book;
use crate::connections::Connections;
use crate::minutes::{Counted, NamesByMinute, Piece, cut};
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
    leftovers: &mut Leftovers,
    book: &mut Book,
    connections: &mut Connections,
) {
    for Piece { rows, scope, counted } in cut(rows, Seen::hash, |row| row.start) {
        let services = &names.services(scope, &book.parties);
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
    once::keep_once(&mut rows);
    let hops = hops::join(&rows, counting.services);
    for (made, received) in hops.calls().filter(|(made, _)| counted.has(rows[*made].start)) {
        if received.is_empty() && !rows[made].is_refused {
            leftovers.add(rows[made], counting.book);
        } else {
            let received: Vec<Seen> = received.iter().map(|at| rows[*at as usize]).collect();
            told::tell(&rows[made], &received, counting);
        }
    }
    for alone in hops.alone.iter().map(|at| rows[*at as usize]).filter(|row| counted.has(row.start)) {
        leftovers.add(alone, counting.book);
    }
}

#[cfg(test)]
mod tests;
