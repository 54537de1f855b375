//! Joins the rows of the two proxies of one call, whatever names the two give its ends.
//!
//! ```text
//! by connection   the same request id, the caller's end, and the callee's end where both rows know it; without
//!                 an id both ends must agree: a source port alone joins nothing, it is used again
//! by hop          the same request id; the server row's caller (by address, else by certificate, else by name) is the
//!                 client row's proxy, and the host that was asked for, or the port, agrees
//! by callee       the same request id, and nothing tells the server row's caller: who alone called that service by it
//! ```
//! A client row has two addresses: its end of the last connection, which is what the other proxy sees, and its proxy's own.
//! They differ where both proxies share a machine and talk over loopback, and there the address tells no caller.
//! A client row knows the connection of its last try only, so one server row joins by connection and those of earlier
//! tries by hop, each to the latest begun client row around it. What one gateway's row tells of both of its sides is never
//! joined. One request id may run through a whole trace: a hop
//! never takes the row of another. Clocks may differ by a minute. Limit: of rows with one request id and
//! one caller, the [`LOOKED_AT_MAX`] nearest in time are looked at, for a sender may give all its requests one id.

use std::cmp::Reverse;

use super::seen::{SKEW_MAX, Seen, Side};
use crate::hashing::{NumberMap, mixed_pair};
use crate::party::PartyId;
use crate::services::Services;

/// Client rows that a server row is compared with.
const LOOKED_AT_MAX: usize = 64;

/// No row.
const NONE: u32 = u32::MAX;

/// Which rows are of one call, by place.
pub struct Hops {
    made: Vec<u32>,
    /// By row: its received sides, in order of start.
    received: NumberMap<u32, Vec<u32>>,
    /// Received rows that belong to no made one.
    pub alone: Vec<u32>,
}

impl Hops {
    /// Every made row with its received ones.
    pub fn calls(&self) -> impl Iterator<Item = (usize, &[u32])> {
        self.made.iter().map(|made| (*made as usize, self.received.get(made).map_or(&[][..], Vec::as_slice)))
    }
}

/// Joins `rows`, which hold all rows of each of their requests.
pub fn join(rows: &[Seen], services: &Services) -> Hops {
    let mut made: Vec<u32> = places(rows, Side::Made);
    made.sort_by_key(|at| rows[*at as usize].start);
    let mut received: Vec<u32> = places(rows, Side::Received);
    received.sort_by_key(|at| (rows[*at as usize].start, rows[*at as usize].from));
    let mut joining = Joining {
        rows,
        services,
        by_connection: index(rows, &made, |row| (row.from != 0).then(|| mixed_pair(row.request, row.from))),
        by_caller: index(rows, &made, callers),
        by_request: index(rows, &made, |row| (row.request != 0).then_some(row.request)),
        is_connected: vec![false; rows.len()],
        sides: vec![0; rows.len()],
    };
    let mut joined: NumberMap<u32, Vec<u32>> = NumberMap::default();
    let by_connection: Vec<u32> = received.iter().map(|at| joining.by_connection(*at)).collect();
    let mut alone = Vec::new();
    for (at, connected) in received.iter().zip(by_connection) {
        let made = if connected == NONE { joining.by_hop(*at) } else { connected };
        if made == NONE {
            alone.push(*at);
        } else {
            joined.entry(made).or_default().push(*at);
        }
    }
    Hops { made, received: joined, alone }
}

fn places(rows: &[Seen], side: Side) -> Vec<u32> {
    (0u32..).zip(rows).filter(|(_, row)| row.side == side).map(|(at, _)| at).collect()
}

/// Made rows by keys of theirs, in order of start.
fn index<K: IntoIterator<Item = u64>>(
    rows: &[Seen],
    made: &[u32],
    keys: impl Fn(&Seen) -> K,
) -> NumberMap<u64, Vec<u32>> {
    let mut index: NumberMap<u64, Vec<u32>> = NumberMap::default();
    for at in made {
        for key in keys(&rows[*at as usize]) {
            index.entry(key).or_default().push(*at);
        }
    }
    index
}

/// What the callee's proxy may have seen as the caller of a request: the end of the connection, or the proxy's own address.
fn callers(made: &Seen) -> impl Iterator<Item = u64> + use<> {
    let Seen { request, caller, proxy, .. } = *made;
    let addresses = [Some(caller), Some(proxy).filter(|proxy| *proxy != caller)];
    addresses.into_iter().flatten().filter(move |_| request != 0).map(move |at| mixed_pair(request, at))
}

struct Joining<'a> {
    rows: &'a [Seen],
    services: &'a Services,
    by_connection: NumberMap<u64, Vec<u32>>,
    by_caller: NumberMap<u64, Vec<u32>>,
    by_request: NumberMap<u64, Vec<u32>>,
    /// By made row: the received row of its last connection is found.
    is_connected: Vec<bool>,
    /// By made row: received rows found.
    sides: Vec<u16>,
}

impl Joining<'_> {
    fn by_connection(&mut self, at: u32) -> u32 {
        let received = &self.rows[at as usize];
        if received.from == 0 {
            return NONE;
        }
        let Some(made) = self.by_connection.get(&mixed_pair(received.request, received.from)) else {
            return NONE;
        };
        let agrees = |made: &Seen| {
            let is_known = made.to != 0 && received.to != 0;
            let same_end = if received.request == 0 { is_known } else { true };
            same_end
                && (!is_known || made.to == received.to)
                && made.is_connection == received.is_connection
                && made.start.abs_diff(received.start) <= SKEW_MAX.unsigned_abs()
        };
        let near = near(made, self.rows, received.start);
        let free = near.iter().filter(|made| !self.is_connected[**made as usize]);
        let found = free
            .filter(|made| agrees(&self.rows[**made as usize]))
            .min_by_key(|made| (self.rows[**made as usize].start.abs_diff(received.start), **made));
        let found = found.copied().unwrap_or(NONE);
        if found != NONE {
            self.is_connected[found as usize] = true;
            self.sides[found as usize] = self.sides[found as usize].saturating_add(1);
        }
        found
    }

    fn by_hop(&mut self, at: u32) -> u32 {
        let received = &self.rows[at as usize];
        if received.request == 0 {
            return NONE;
        }
        let by_caller = self.by_caller.get(&mixed_pair(received.request, received.caller));
        let found = match by_caller.filter(|_| received.caller != 0) {
            Some(made) => self.around(made, received, |made| asked_for_the_same(made, received)),
            None => NONE,
        };
        let found = if found == NONE { self.by_name(received) } else { found };
        if found != NONE {
            self.sides[found as usize] = self.sides[found as usize].saturating_add(1);
        }
        found
    }

    /// Addresses may have been rewritten on the way, or not be known: the certificate tells, else the name, else
    /// that there is only one caller that it can be.
    fn by_name(&self, received: &Seen) -> u32 {
        let Some(made) = self.by_request.get(&received.request) else { return NONE };
        let has_address = received.caller != 0 && !received.is_caller_local;
        let is_hop = |made: &Seen| {
            if !asked_for_the_same(made, received) || made.proxy == received.proxy && made.proxy != 0 {
                return false;
            }
            if made.principal != 0 && received.principal != 0 {
                return made.principal == received.principal;
            }
            let addresses_tell = made.caller != 0 && has_address && received.principal == 0;
            let are_named = made.source != PartyId::NOBODY && received.source != PartyId::NOBODY;
            !addresses_tell && are_named && self.services.of(made.source) == self.services.of(received.source)
        };
        let found = self.around(made, received, is_hop);
        let is_told = received.source != PartyId::NOBODY || received.principal != 0 || has_address;
        if found != NONE || is_told { found } else { self.by_callee(made, received) }
    }

    /// The client row of the only caller that called this service by that request.
    fn by_callee(&self, made: &[u32], received: &Seen) -> u32 {
        let is_hop = |made: &Seen| {
            let is_other = made.proxy != received.proxy || made.proxy == 0;
            is_other && self.is_to(made, received) && asked_for_the_same(made, received)
        };
        let near = near(made, self.rows, received.start).iter().map(|at| &self.rows[*at as usize]);
        let mut callers = near.filter(|made| is_hop(made)).map(|made| self.services.of(made.source));
        let first = callers.next();
        if callers.any(|caller| Some(caller) != first) {
            return NONE;
        }
        let found = self.around(made, received, is_hop);
        if found != NONE && self.has_tries_left(found) { found } else { NONE }
    }

    fn has_tries_left(&self, at: u32) -> bool {
        let made = &self.rows[at as usize];
        // The last try of a call that was refused did not arrive.
        let tries = if made.is_refused { made.attempts.saturating_sub(1) } else { made.attempts.max(1) };
        self.sides[at as usize] < tries
    }

    /// Whether the call was meant for the service that received one.
    fn is_to(&self, made: &Seen, received: &Seen) -> bool {
        self.services.of(made.destination) == self.services.of(received.destination)
    }

    /// Whether the proxy that received a call made this one of it: what it sends on is never what came in, unless it calls the
    /// service that it stands beside.
    fn is_onward(&self, made: &Seen, received: &Seen) -> bool {
        made.proxy != 0 && made.proxy == received.proxy && !self.is_to(made, received)
    }

    /// Of client rows that it can be, the latest begun around a server row; one that asked for the same host before
    /// one for which only the port agrees, one that has tries left before one that has none, one that got through before
    /// one that did not, and one around it before one that only lies near.
    fn around(&self, made: &[u32], received: &Seen, is_hop: impl Fn(&Seen) -> bool) -> u32 {
        let near = near(made, self.rows, received.start);
        let candidates = near.iter().copied().filter(|at| {
            let made = &self.rows[*at as usize];
            !made.is_connection
                && !received.is_connection
                && !are_of_one_row(made, received)
                && !self.is_onward(made, received)
                && is_hop(made)
                && distance(made, received) <= SKEW_MAX
        });
        let best = candidates.min_by_key(|at| {
            let made = &self.rows[*at as usize];
            let other_host = made.authority != received.authority;
            let far = distance(made, received);
            (other_host, !self.has_tries_left(*at), made.is_refused, far, Reverse(made.start), *at)
        });
        best.unwrap_or(NONE)
    }
}

/// Whether both are told by the row of one gateway: what it received and what it made of that. Callers on the machine of
/// the gateway have its address, and would else be taken for it.
fn are_of_one_row(made: &Seen, received: &Seen) -> bool {
    made.source == received.destination
        && (made.start, made.duration, made.stream) == (received.start, received.duration, received.stream)
}

/// How far outside of a client row a server row begins; 0 inside.
pub fn distance(made: &Seen, received: &Seen) -> i64 {
    let before = made.start.saturating_sub(received.start);
    let after = received.start.saturating_sub(made.end());
    before.max(after).max(0)
}

/// The nearest made rows around a time; `made` is in order of start.
fn near<'m>(made: &'m [u32], rows: &[Seen], start: i64) -> &'m [u32] {
    let begun = made.partition_point(|at| rows[*at as usize].start <= start);
    let from = begun.saturating_sub(LOOKED_AT_MAX / 2);
    &made[from..made.len().min(from + LOOKED_AT_MAX)]
}

fn asked_for_the_same(made: &Seen, received: &Seen) -> bool {
    let authorities = made.authority != 0 && received.authority != 0;
    let ports = made.port != 0 && received.port != 0;
    let authority_agrees = authorities && made.authority == received.authority;
    let port_agrees = ports && made.port == received.port;
    authority_agrees || port_agrees || (!authorities && !ports)
}
