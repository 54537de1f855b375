//! Joins the two observations of one call, so that each can name what only the other knows.
//!
//! ```text
//! exact      client.upstream_local_address = server.downstream_remote_address, and request_id
//! by request request_id and destination, if all of its callers there are one and the same
//! ```
//! The second is for tries before the last, whose address the client's row no longer holds. What stays
//! unknown becomes a node that belongs to its known end. Source: both rows of one call in Istio's own sample
//! logs. Limits: [`JOIN_KEYS_MAX`] and [`PENDING_MAX`]; beyond them rows count all the same, only their unknown
//! end stays unknown. Tunnels that rewrite addresses (HBONE, NAT) leave only the second way.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::cells::{Book, CellKey, Side};
use crate::measure::Observation;
use crate::party::PartyId;

/// Most keys that either observer's rows are remembered by; about 32 bytes each, three maps.
pub const JOIN_KEYS_MAX: usize = 1_000_000;

/// Most rows that wait for the other observer to name their unknown end; about 150 bytes each.
pub const PENDING_MAX: usize = 500_000;

/// A row whose one end is to be found in the other observer's row.
pub struct Pending {
    pub key: CellKey,
    pub call: Observation,
    pub pair: Option<u64>,
    pub request: Option<u64>,
}

/// What either observer's rows are remembered by, and the rows that wait.
#[derive(Default)]
pub struct Joins {
    hasher: RandomState,
    /// Callers by the address they called from.
    callers_by_pair: HashMap<u64, PartyId>,
    /// Callers by request and destination; nobody where there are several.
    callers_by_request: HashMap<u64, PartyId>,
    /// Callees by the address that they were called from.
    callees_by_pair: HashMap<u64, PartyId>,
    pending: Vec<Pending>,
    /// Rows whose unknown end was given up because a bound was reached.
    unjoined: u64,
}

impl Joins {
    /// The key of a connection's address and, where there is one, the request on it.
    pub fn pair(&self, address: Option<&str>, request_id: Option<&str>) -> Option<u64> {
        address.map(|address| self.hasher.hash_one((address, request_id)))
    }

    /// The key of a request at a destination.
    pub fn request(&self, request_id: Option<&str>, destination: Option<&str>) -> Option<u64> {
        Some(self.hasher.hash_one((request_id?, destination?)))
    }

    pub fn remember_caller(&mut self, pair: Option<u64>, request: Option<u64>, caller: PartyId) {
        if self.callers_by_pair.len() >= JOIN_KEYS_MAX || self.callers_by_request.len() >= JOIN_KEYS_MAX {
            return;
        }
        if let Some(pair) = pair {
            self.callers_by_pair.insert(pair, caller);
        }
        if let Some(request) = request {
            let held = self.callers_by_request.entry(request).or_insert(caller);
            if *held != caller {
                *held = PartyId::NOBODY;
            }
        }
    }

    pub fn remember_callee(&mut self, pair: Option<u64>, callee: PartyId) {
        if let Some(pair) = pair.filter(|_| self.callees_by_pair.len() < JOIN_KEYS_MAX) {
            self.callees_by_pair.insert(pair, callee);
        }
    }

    /// Holds a row until all others were seen.
    pub fn wait(&mut self, pending: Pending, book: &mut Book) {
        if self.pending.len() < PENDING_MAX {
            self.pending.push(pending);
        } else {
            self.unjoined += 1;
            book.add(pending.key, &pending.call);
        }
    }

    /// Joins the rows that waited. Returns how many were not tried because a bound was reached.
    pub fn finish(self, book: &mut Book) -> u64 {
        for Pending { mut key, call, pair, request } in self.pending {
            if key.side == Side::Client {
                let callee = pair.and_then(|pair| self.callees_by_pair.get(&pair));
                key.destination = callee.copied().unwrap_or(key.destination);
            } else {
                let exact = pair.and_then(|pair| self.callers_by_pair.get(&pair));
                let caller = exact.or_else(|| self.callers_by_request.get(&request?));
                let known = caller.copied().filter(|caller| *caller != PartyId::NOBODY);
                key.source = known.unwrap_or(key.source);
            }
            book.add(key, &call);
        }
        self.unjoined
    }
}
