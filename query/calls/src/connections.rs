//! Counts connections where nothing told of what went through them.
//!
//! A proxy that sees bytes only logs a connection, which may carry any number of requests. Where requests or spans of
//! the same two services overlap it, those are the calls, and the connection only adds its bytes, to spans, which know
//! none. Overlap is told by ten seconds of the clock, the grid that ranges lie on. A connection that comes from a waypoint
//! carries what the waypoint's own rows tell of, and those name the callers.

use std::collections::HashSet;

use crate::aliases::Aliases;
use crate::cells::{Book, Call, CellKey, Entry, Evidence};
use crate::measure::Halves;
use crate::party::PartyId;
use crate::services::{ServiceId, Services};

/// Slots of one connection that are looked at: a day of them; an older one counts by its first day.
const SLOTS_MAX: i64 = 8_640;

#[derive(Debug)]
struct Connection {
    ends: (PartyId, PartyId),
    /// The address of the caller, as a hash, where only the callee's side was seen; else 0.
    caller: u64,
    end: i64,
    call: Call,
    halves: Halves,
}

/// Connections so far.
#[derive(Debug, Default)]
pub struct Connections {
    made: Vec<Connection>,
    received: Vec<(PartyId, Call)>,
    /// Addresses of waypoints, as hashes.
    waypoints: HashSet<u64>,
}

impl Connections {
    pub fn add(&mut self, ends: (PartyId, PartyId), end: i64, call: Call, halves: Halves) {
        self.made.push(Connection { ends, caller: 0, end, call, halves });
    }

    /// Adds a connection of which only the callee's side was seen.
    pub fn add_alone(&mut self, ends: (PartyId, PartyId), caller: u64, end: i64, call: Call) {
        let halves = Halves { received: 1, expected: 1, ..Halves::default() };
        self.made.push(Connection { ends, caller, end, call, halves });
        self.received.push((ends.1, call));
    }

    /// Remembers that a waypoint has this address: what comes from it was called by others.
    pub fn know_waypoint(&mut self, address: u64) {
        if address != 0 {
            self.waypoints.insert(address);
        }
    }

    pub fn add_received(&mut self, party: PartyId, call: Call) {
        self.received.push((party, call));
    }

    /// Counts those that nothing overlaps.
    pub fn finish(self, services: &mut Services, aliases: &Aliases, book: &mut Book) {
        let mut covered: HashSet<(ServiceId, ServiceId, i64)> = HashSet::new();
        for (ends, slot) in book.take_busy_slots() {
            let (source, target) = services_of(ends, services, aliases, book);
            covered.insert((source, target, slot));
        }
        let waypoints = self.waypoints;
        let of_callers = |connection: &Connection| !waypoints.contains(&connection.caller);
        for Connection { ends, end, call, halves, .. } in self.made.into_iter().filter(of_callers) {
            let (source, target) = services_of(ends, services, aliases, book);
            let (first, last) = (Book::busy_slot(call.start), Book::busy_slot(end));
            let mut slots = first..=last.min(first.saturating_add(SLOTS_MAX));
            if !slots.any(|slot| covered.contains(&(source, target, slot))) {
                book.add_edge(Entry::Connections, ends, &call, &halves);
            } else if let Some(at) = book.slot(call.start) {
                let ((source, destination), detail) = (ends, call.detail);
                let (evidence, entry) = (Evidence::Spans, Entry::Edge);
                book.add_bytes(CellKey { source, destination, detail, at, evidence, entry }, &call.seen);
            }
        }
        for (party, call) in self.received {
            book.add_received(Entry::ReceivedConnections, party, &call);
        }
    }
}

/// The services at both ends of an edge, under their own names.
fn services_of(
    (source, target): (PartyId, PartyId),
    services: &mut Services,
    aliases: &Aliases,
    book: &Book,
) -> (ServiceId, ServiceId) {
    let callee = aliases.resolve(services.of(target), services);
    let source = services.at(source, callee, &book.parties);
    let source = aliases.resolve(source, services);
    let target = services.at(target, source, &book.parties);
    (source, aliases.resolve(target, services))
}
