//! What is counted for good, and by what it may be known to be wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use meshlake_schema::UnixNanos;

use super::held::Came;
use crate::addresses::{Addresses, hashes_of};
use crate::hashing::{Mixer, NumberMap};
use crate::minutes::{NamesByMinute, Scope, Words, by_minute, minute_of};
use crate::party::{Parties, PartyId};
use crate::services::{ServiceId, Services};
use crate::settled::digest::Digest;
use crate::spans::{HeldSpan, hash_of};

type Hashes = HashSet<u64, BuildHasherDefault<Mixer>>;

/// Traces that are counted.
#[derive(Debug, Default)]
pub struct Counted {
    digests: Vec<Digest>,
    /// Hashes of traces, by the minutes that their spans begin in.
    traces: BTreeMap<i64, Hashes>,
    /// The minutes of which traces were looked at together, and what names meant in them.
    scopes: BTreeMap<Scope, Arc<Services>>,
    /// Hashes of addresses that somebody calls by, of so many parties.
    called: (Hashes, usize),
}

impl Counted {
    /// Whether the trace of a span is counted that tells of the same calls: those of its minute, and of the one before and after.
    pub fn has(&self, span: &HeldSpan) -> bool {
        if self.traces.is_empty() {
            return false;
        }
        let (minute, hash) = (minute_of(span.start), hash_of(span.trace));
        self.traces.range(minute - 1..=minute + 1).any(|(_, traces)| traces.contains(&hash))
    }

    /// How many traces, once for each of their minutes.
    pub fn traces(&self) -> usize {
        self.traces.values().map(Hashes::len).sum()
    }

    /// Bytes that cells take.
    pub fn bytes(&self) -> usize {
        self.digests.iter().map(Digest::bytes).sum()
    }

    /// Remembers traces that are whole, and tells of which minutes they are looked at together.
    pub fn take_in(&mut self, over: &Came, first: i64) -> BTreeSet<Scope> {
        let mut scopes = BTreeSet::new();
        for shard in over.shards() {
            let mut starts: NumberMap<u64, Vec<i64>> = HashMap::default();
            for span in shard.rooms().iter().flatten() {
                starts.entry(hash_of(span.trace)).or_default().push(span.start);
            }
            for (hash, starts) in starts {
                let Some(scope) = Scope::of_times(starts.iter().copied()) else { continue };
                if scope.is_seen_whole() {
                    scopes.insert(scope);
                } else {
                    scopes.extend(by_minute(&starts, |start| *start).map(|(_, scope, _)| scope));
                }
                let minutes: BTreeSet<i64> = starts.into_iter().map(minute_of).collect();
                for minute in minutes.into_iter().filter(|minute| *minute >= first - 1) {
                    self.traces.entry(minute).or_default().insert(hash);
                }
            }
        }
        scopes
    }

    /// Remembers what names meant when traces of these minutes were counted.
    pub fn know(&mut self, scope: Scope, names: &NamesByMinute, parties: &Parties) {
        self.scopes.insert(scope, names.services(scope, Words::Spans, parties));
    }

    pub fn add(&mut self, digest: Digest) {
        self.digests.push(digest);
    }

    /// Whether names that traces were counted by mean the same services still.
    pub fn has_same_names(&mut self, names: &mut NamesByMinute, parties: &Parties) -> bool {
        let changed = names.take_changed();
        for (scope, known) in &mut self.scopes {
            if changed.range(scope.first..=scope.last).next().is_none() {
                continue;
            }
            let now = names.services(*scope, Words::Spans, parties);
            if !tells_apart_alike(known, &now) {
                return false;
            }
            *known = now;
        }
        true
    }

    /// Whether the addresses that somebody calls by have the owners that they had.
    pub fn has_same_owners(&mut self, addresses: &mut Addresses, parties: &Parties) -> bool {
        let (called, known) = &mut self.called;
        called.extend(parties.iter().skip(*known).flat_map(|(_, party)| hashes_of(party)).flatten());
        *known = parties.len();
        let changed = addresses.take_changed();
        let matters = |(minute, address): &(i64, u64)| {
            called.contains(address)
                && self.scopes.keys().any(|scope| (scope.first..=scope.last).contains(minute))
        };
        !changed.iter().any(matters)
    }

    /// All that is counted, and `open`, of calls from a time on.
    pub fn with(&self, open: &Digest, from: UnixNanos) -> Digest {
        Digest::joined(self.digests.iter().chain([open]), from)
    }

    /// Lets go of what tells nothing of calls from the minute `first` on.
    pub fn forget_before(&mut self, first: i64) {
        self.traces.retain(|minute, _| *minute >= first - 1);
        self.scopes.retain(|scope, _| scope.last >= first - 1);
        self.digests.retain(|digest| digest.last().is_some_and(|last| minute_of(last.0) >= first));
    }
}

/// Whether two parties that some row named are one service by the one as by the other.
fn tells_apart_alike(before: &Services, now: &Services) -> bool {
    let unnamed = before.of(PartyId::NOBODY);
    let mut there: NumberMap<ServiceId, ServiceId> = HashMap::default();
    let mut back: NumberMap<ServiceId, ServiceId> = HashMap::default();
    before.parties().filter(|party| before.of(*party) != unnamed).all(|party| {
        let (was, is) = (before.of(party), now.of(party));
        *there.entry(was).or_insert(is) == is && *back.entry(is).or_insert(was) == was
    })
}
