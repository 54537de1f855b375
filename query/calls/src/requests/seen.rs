//! What is held of a row of `requests` until the other observer's row of the same call is found: a record of
//! fixed size, names as numbers, addresses and ids as hashes.

use meshlake_schema::Outcome;

use crate::addresses::Addresses;
use crate::cell_key::{DetailId, Evidence};
use crate::cells::Call;
use crate::hashing::mixed_pair;
use crate::held::Weighed;
use crate::measure::{MILLI, Observation, Protocol};
use crate::noted::{RowKey, RowsOf};
use crate::party::PartyId;

/// How far two clocks may be apart, or a row from the other observer's. Nanoseconds.
pub const SKEW_MAX: i64 = 60_000_000_000;

/// Which side of the call the observer stood on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Made,
    Received,
}

/// One call as one observer saw it. A hash of 0 stands for nothing known.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub side: Side,
    /// A connection, and not a request.
    pub is_connection: bool,
    /// The caller's proxy, or a waypoint, refused it: it never reached the other side.
    pub is_refused: bool,
    /// A waypoint saw it, which stands before the callee.
    pub is_waypoint: bool,
    pub is_timed: bool,
    pub is_sized: bool,
    /// No call, but a word that one goes on.
    pub is_progress: bool,
    /// The caller's proxy sent it beside the call, to see what becomes of it.
    pub is_mirror: bool,
    /// The caller is on the same machine, by its loopback address.
    pub is_caller_local: bool,
    pub outcome: Outcome,
    pub protocol: Protocol,
    /// Ended because somebody stopped waiting.
    pub cancelled: bool,
    pub attempts: u16,
    /// The port that was called.
    pub port: u16,
    pub start: i64,
    pub duration: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    /// Nobody where the row names none.
    pub source: PartyId,
    pub destination: PartyId,
    pub detail: DetailId,
    pub request: u64,
    pub stream: u64,
    /// The two ends of the connection: the caller's, and the callee's.
    pub from: u64,
    pub to: u64,
    /// The caller's address without its port, and its certificate.
    pub caller: u64,
    pub principal: u64,
    /// The host that was asked for.
    pub authority: u64,
    /// The proxy that saw it.
    pub proxy: u64,
    /// Where a waypoint sent it.
    pub onward: u64,
    /// The address in the id of the proxy's node, which nobody shares.
    pub pod: u64,
    /// The address of the far end, where the row names it by nothing else.
    pub far: u64,
}

impl Seen {
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.duration.max(0))
    }

    pub fn failed(&self) -> bool {
        self.outcome != Outcome::Ok
    }

    /// The call, with the time of its made side where that is another.
    pub fn call(&self) -> Call {
        let seen = Observation {
            weight: MILLI,
            outcome: self.outcome,
            duration_nano: self.duration,
            timed: self.is_timed,
            sized: self.is_sized,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            protocol: self.protocol,
        };
        let rows = match self.side {
            Side::Made => RowsOf { made: self.row_key(), ..RowsOf::default() },
            Side::Received => RowsOf { received: self.row_key(), ..RowsOf::default() },
        };
        Call { evidence: Evidence::Requests, start: self.start, detail: self.detail, seen, rows }
    }

    /// Tells which addresses the row says are its own end's.
    pub fn tell_addresses(&self, addresses: &mut Addresses) {
        match self.side {
            Side::Made => addresses.tell(self.start, self.pod, self.source),
            // A waypoint takes calls at addresses of what stands behind it, or at its own.
            Side::Received if self.is_waypoint => {}
            Side::Received => {
                addresses.tell(self.start, self.to, self.destination);
                addresses.tell(self.start, self.pod, self.destination);
            }
        }
    }

    /// Tells the row from others, by what no joining of rows changes.
    pub fn row_key(&self) -> RowKey {
        let numbers = [self.duration, self.bytes_in, self.bytes_out].map(i64::cast_unsigned);
        let Seen { request, stream, from, to, proxy, caller, authority, .. } = *self;
        RowKey::of(
            self.start,
            numbers.into_iter().chain([request, stream, from, to, proxy, caller, authority]),
        )
    }

    /// The hash that brings the rows of one call together: they share the request's id, or else the connection.
    pub fn hash(&self) -> u64 {
        if self.request == 0 { mixed_pair(1, self.from) } else { mixed_pair(2, self.request) }
    }
}

impl Weighed for Vec<Seen> {
    fn bytes(&self) -> usize {
        self.capacity() * size_of::<Seen>()
    }
}

const _: () = assert!(size_of::<Seen>() <= 160);
