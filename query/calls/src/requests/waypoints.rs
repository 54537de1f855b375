//! Looks through waypoints: the service behind one is the callee, and what its own proxy received from the waypoint is
//! what the waypoint received for it.
//!
//! A waypoint's row tells who called and what became of the whole call; the row of a sidecar behind it takes the
//! waypoint for its caller. Together they are one call: the waypoint's row is its made side where the caller's own
//! proxy has none, and the sidecar's are what was received, once for each time that the waypoint tried. The two are
//! found by the request's id, the service and the time. Limit: rows without an id stay apart.

use std::cmp::Reverse;

use super::hops::{Hops, distance};
use super::seen::{SKEW_MAX, Seen, Side};
use crate::hashing::NumberMap;
use crate::party::PartyId;
use crate::services::Services;

/// By waypoint's row: the rows behind it, in order of start.
pub struct Behind(NumberMap<u32, Vec<u32>>);

/// Takes what was received from a waypoint out of the rows that belong to no made one.
pub fn behind(rows: &[Seen], hops: &mut Hops, services: &Services) -> Behind {
    let mut waypoints: NumberMap<u64, Vec<u32>> = NumberMap::default();
    for (at, row) in (0u32..).zip(rows).filter(|(_, row)| row.is_waypoint && row.request != 0) {
        waypoints.entry(row.request).or_default().push(at);
    }
    let mut behind: NumberMap<u32, Vec<u32>> = NumberMap::default();
    if waypoints.is_empty() {
        return Behind(behind);
    }
    hops.alone.retain(|alone| {
        let row = &rows[*alone as usize];
        let before = waypoints.get(&row.request).into_iter().flatten().filter(|_| !row.is_waypoint);
        let nearest = before.filter(|at| passes_on(&rows[**at as usize], row, services)).min_by_key(|at| {
            let waypoint = &rows[**at as usize];
            let taken = behind.get(*at).map_or(0, Vec::len);
            let has_tries_left = taken < usize::from(waypoint.attempts.max(1));
            let elsewhere = waypoint.onward != row.to;
            (!has_tries_left, elsewhere, distance(waypoint, row), Reverse(waypoint.start), **at)
        });
        let nearest = nearest.copied();
        nearest.map(|at| behind.entry(at).or_default().push(*alone)).is_none()
    });
    Behind(behind)
}

fn passes_on(waypoint: &Seen, row: &Seen, services: &Services) -> bool {
    services.of(waypoint.destination) == services.of(row.destination)
        && waypoint.proxy != row.proxy
        && distance(waypoint, row) <= SKEW_MAX
}

impl Behind {
    /// The received sides that a waypoint's row stands for; none if there is nothing behind it.
    fn of(&self, at: u32, rows: &[Seen]) -> Vec<Seen> {
        let behind = self.0.get(&at).into_iter().flatten();
        // Whom they take for their caller is the waypoint.
        behind.map(|at| Seen { source: PartyId::NOBODY, ..rows[*at as usize] }).collect()
    }

    /// The received sides of a call that its caller's proxy saw, and how often it was tried.
    pub fn seen_through(&self, made: &Seen, received: &[u32], rows: &[Seen]) -> (Seen, Vec<Seen>) {
        let mut made = *made;
        let mut sides = Vec::with_capacity(received.len());
        for at in received {
            let behind = self.of(*at, rows);
            if behind.is_empty() {
                sides.push(rows[*at as usize]);
            } else {
                let again = rows[*at as usize].attempts.saturating_sub(1);
                made.attempts = made.attempts.max(1).saturating_add(again);
                sides.extend(behind);
            }
        }
        sides.sort_by_key(|side| side.start);
        (made, sides)
    }

    /// The call of which a waypoint's row alone tells who made it; `None` if there is nothing behind it.
    pub fn made_before(&self, at: u32, rows: &[Seen]) -> Option<(Seen, Vec<Seen>)> {
        let behind = self.of(at, rows);
        (!behind.is_empty()).then(|| (Seen { side: Side::Made, ..rows[at as usize] }, behind))
    }
}
