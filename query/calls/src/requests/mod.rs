//! Counts the calls that proxies logged: two rows of one call are one call.
//!
//! ```text
//! rows        columns (row_columns) to records
//! streams     what goes on is no call, and what lasts has no latency
//! once        the same row that came twice is one
//! hops        rows of one call, by request id and hop, or by both ends of the connection
//! waypoints   what was received from a waypoint is what it received
//! told        calls to cells
//! leftovers   what is left on one edge, in order of time
//! ```

pub mod rows;
pub mod row_columns;
mod leftovers;
mod told;
mod waypoints;
mod hops;
mod once;
mod streams;
pub mod seen;

pub use leftovers::Leftovers;

use self::seen::Seen;
use crate::aliases::Aliases;
use crate::cells::Book;
use crate::connections::Connections;
use crate::services::Services;

/// Where calls are counted.
pub struct Counting<'a> {
    pub book: &'a mut Book,
    pub services: &'a Services,
    pub aliases: &'a mut Aliases,
    pub connections: &'a mut Connections,
}

/// Counts the calls of a shard, which has all rows of each of its requests. What found no other observer waits in
/// `leftovers`.
pub fn count(mut rows: Vec<Seen>, leftovers: &mut Leftovers, counting: &mut Counting<'_>) {
    streams::tell_streams(&mut rows);
    once::keep_once(&mut rows);
    for row in rows.iter().filter(|row| row.is_waypoint) {
        counting.connections.know_waypoint(row.proxy);
    }
    let mut hops = hops::join(&rows, counting.services);
    let behind = waypoints::behind(&rows, &mut hops, counting.services);
    for (made, received) in hops.calls() {
        let (made, received) = behind.seen_through(&rows[made], received, &rows);
        if received.is_empty() && !made.is_refused {
            leftovers.add(made);
        } else {
            told::tell(&made, &received, counting);
        }
    }
    for alone in hops.alone {
        match behind.made_before(alone, &rows) {
            Some((made, received)) => told::tell(&made, &received, counting),
            None => leftovers.add(rows[alone as usize]),
        }
    }
}

#[cfg(test)]
mod tests;
