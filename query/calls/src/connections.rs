//! Counts connections where nothing told of what went through them.
//!
//! A proxy that sees bytes only logs a connection, which may carry any number of requests. Where requests or spans of
//! the same two services overlap it, those are the calls, and the connection only adds its bytes, to spans, which know
//! none. Overlap is told by ten seconds of the clock, the grid that ranges lie on. A connection that comes from a waypoint
//! carries what the waypoint's own rows tell of, and those name the callers.

use std::collections::HashSet;
use std::sync::Arc;

use crate::aliases::Aliases;
use crate::busy::{Busy, BusyEdges};
use crate::cells::{Book, Call};
use crate::entry::Entry;
use crate::measure::Halves;
use crate::minutes::{MINUTE, NamesByMinute, Scope, Words, minute_of};
use crate::party::{Parties, PartyId};
use crate::services::{ServiceId, Services};

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
    received: Vec<((PartyId, PartyId), Call)>,
    /// Addresses of waypoints, as hashes, by the minutes in which they told of themselves.
    waypoints: HashSet<(i64, u64)>,
}

impl Connections {
    pub fn add(&mut self, ends: (PartyId, PartyId), end: i64, call: Call, halves: Halves) {
        self.made.push(Connection { ends, caller: 0, end, call, halves });
    }

    /// Adds a connection of which only the callee's side was seen.
    pub fn add_alone(&mut self, ends: (PartyId, PartyId), caller: u64, end: i64, call: Call) {
        let halves = Halves { received: 1, expected: 1, ..Halves::default() };
        self.made.push(Connection { ends, caller, end, call, halves });
        self.received.push((ends, call));
    }

    /// Remembers that a waypoint has this address: what comes from it was called by others.
    pub fn know_waypoint(&mut self, time: i64, address: u64) {
        if address != 0 {
            self.waypoints.insert((minute_of(time), address));
        }
    }

    pub fn add_received(&mut self, ends: (PartyId, PartyId), call: Call) {
        self.received.push((ends, call));
    }

    /// Counts those that nothing overlaps, of what began in the same minute or in the one before or after.
    pub fn finish(self, busy: &[Busy], names: &NamesByMinute, book: &mut Book) {
        let minute = |connection: &Connection| minute_of(connection.call.start);
        let Connections { mut made, received, waypoints } = self;
        made.retain(|connection| {
            let Scope { first, last } = Scope::around(minute(connection));
            !(first..=last).any(|minute| waypoints.contains(&(minute, connection.caller)))
        });
        made.sort_by_key(minute);
        for of_minute in made.chunk_by(|a, b| minute(a) == minute(b)) {
            let around = Scope::around(minute(&of_minute[0]));
            let from = busy.partition_point(|busy| busy.minute < around.first);
            let to = busy.partition_point(|busy| busy.minute <= around.last);
            let covered = |words, kind| {
                let covered = Covered::of(&busy[from..to], around, words, kind, names, book);
                of_minute.iter().map(|connection| covered.has(connection, book)).collect::<Vec<bool>>()
            };
            let by_requests = covered(Words::Requests, Some(Words::Requests));
            let by_any = covered(Words::Both, None);
            for (connection, is_carrying) in of_minute.iter().zip(by_requests.into_iter().zip(by_any)) {
                let Connection { ends, call, halves, .. } = connection;
                let entry = match is_carrying {
                    (true, _) => Entry::Carrying,
                    (false, true) => Entry::CarryingTraced,
                    (false, false) => Entry::Connections,
                };
                book.add_edge(entry, *ends, call, halves);
            }
        }
        for (ends, call) in received {
            book.add_received(Entry::ReceivedConnections, ends, &call);
        }
    }
}

/// The edges and slots in which something told of calls.
struct Covered {
    around: Scope,
    services: Arc<Services>,
    aliases: Aliases,
    slots: HashSet<(Edge, i64)>,
}

impl Covered {
    fn of(
        busy: &[Busy],
        around: Scope,
        words: Words,
        kind: Option<Words>,
        names: &NamesByMinute,
        book: &Book,
    ) -> Covered {
        let services = names.services(around, words, &book.parties);
        let aliases = book.learnt.aliases(around, words, &services);
        let told = busy.iter().filter(|busy| kind.is_none_or(|kind| busy.kind == kind));
        let at = |busy: &Busy| (edge_of(busy.ends, &services, &aliases, &book.parties), busy.slot);
        let slots = told.map(at).collect();
        Covered { around, services, aliases, slots }
    }

    fn has(&self, connection: &Connection, book: &Book) -> bool {
        let end = connection.end.min(self.around.last.saturating_add(1).saturating_mul(MINUTE) - 1);
        let mut slots = BusyEdges::slot(connection.call.start)..=BusyEdges::slot(end);
        let edge = edge_of(connection.ends, &self.services, &self.aliases, &book.parties);
        slots.any(|slot| self.slots.contains(&(edge, slot)))
    }
}

/// The services at both ends of an edge, under their own names; a name that means another thing to each other end with
/// that end.
type Edge = [(ServiceId, Option<ServiceId>); 2];

fn edge_of(ends: (PartyId, PartyId), services: &Services, aliases: &Aliases, parties: &Parties) -> Edge {
    let (source, target) = ends;
    let own = |party| aliases.resolve(services.of(party), services);
    let end = |party: PartyId, other: PartyId| {
        let other = parties.party(party).is_scoped.then(|| own(other));
        if other.is_some() { (services.of(party), other) } else { (own(party), None) }
    };
    [end(source, target), end(target, source)]
}
