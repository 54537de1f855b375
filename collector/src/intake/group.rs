//! The group of exports that is being built: column builders, and who waits for them.
//!
//! Builders cannot roll back, so a payload is validated before it comes here and decoding it cannot fail.
//! Should it fail all the same (a bug), the builders may hold part of a row: they are thrown away and the
//! group is decoded anew without that payload. For this, and only for this, a member's bytes are kept until
//! the group is closed; they are paid for by its tickets anyway.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use meshlake_schema::UnixNanos;
use meshlake_store::group::{AppendError, ExportEntry, Group};

use super::recent::Claim;
use super::{Accepted, GROUP_BYTES_MAX, Payload, origin_of};
use crate::decode::{Builders, DECODED};
use crate::ledger::{Changes, LedgerView};
use crate::tally::{Arrival, Tally};

/// Exports that share a record of the WAL, not yet handed to it.
#[derive(Debug)]
pub(super) struct OpenGroup {
    ledger: LedgerView,
    builders: Builders,
    changes: Changes,
    exports: Vec<ExportEntry>,
    members: Vec<Member>,
    payload_bytes: usize,
}

/// A group as it is appended, and those who wait for it.
pub(super) struct ClosedGroup {
    pub(super) group: Group,
    pub(super) waiters: Waiters,
}

/// The exports of a closed group. Dropped unanswered, they are told that the store is closed.
pub(super) struct Waiters {
    members: Vec<Member>,
    changes: Option<Changes>,
}

#[derive(Debug)]
struct Member {
    payload: Payload,
    accepted: Accepted,
    tally: Tally,
    kind: Kind,
}

/// What a member adds to its group.
#[derive(Debug)]
enum Kind {
    /// Its records; they are remembered under the claim, where there is one.
    Records(Option<Claim>),
    /// A line in the ledger: its records are stored already. What its sender is told beside that.
    Repeat { told: Box<Tally> },
}

impl OpenGroup {
    pub(super) fn new(ledger: LedgerView) -> Self {
        OpenGroup {
            builders: Builders::default(),
            changes: Changes::new(ledger.clone()),
            exports: Vec::new(),
            members: Vec::new(),
            payload_bytes: 0,
            ledger,
        }
    }

    /// Nothing in it has to become durable.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Bytes of the payloads in it, or of their rows where those are more.
    pub(super) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Whether its first export came more than `age` before `now`, or the clock has stepped back since.
    pub(super) fn is_older_than(&self, age: Duration, now: UnixNanos) -> bool {
        let opened = self.members.first().map(|member| member.accepted.ingest_time);
        opened.is_some_and(|opened| now >= opened.plus(age) || now < opened)
    }

    /// Decodes `payload` into the group. A payload without records is answered at once.
    pub(super) fn add(&mut self, payload: Payload, claim: Option<Claim>, accepted: Accepted) {
        match self.decode(&payload, accepted) {
            Ok(tally) if tally.received == 0 => answer(payload, Ok(tally)),
            Ok(tally) => {
                self.payload_bytes += payload.memory_bytes();
                self.members.push(Member { payload, accepted, tally, kind: Kind::Records(claim) });
            }
            Err(why) => {
                refuse(payload, why);
                self.decode_anew();
            }
        }
    }

    /// Counts `payload` as a repeat of an export that was stored with `records` records. Where its sender is told how much
    /// was written, that is found out again: what was rejected then still is, but for what has become too old meanwhile.
    pub(super) fn add_repeat(&mut self, payload: Payload, records: u32, accepted: Accepted) {
        let tally = Tally { deduplicated: records.into(), ..Tally::default() };
        self.changes.add(&origin_of(&payload), &tally);
        let mut told = tally.clone();
        if payload.format.tells_written
            && let Ok(first) = decode_into(&mut Builders::default(), &payload, accepted)
        {
            told = Tally { deduplicated: tally.deduplicated, ..first };
        }
        self.members.push(Member { payload, accepted, tally, kind: Kind::Repeat { told: Box::new(told) } });
    }

    /// Ends the group: its batches, those of the ledger included, and who waits for them.
    ///
    /// # Panics
    /// When the columns of a builder do not fit together; call [`reset`](Self::reset) then.
    pub(super) fn close(&mut self, now: UnixNanos) -> ClosedGroup {
        let mut batches = self.builders.finish();
        batches.extend(self.changes.batch(now));
        let group = Group { batches, exports: std::mem::take(&mut self.exports) };
        let mut members = std::mem::take(&mut self.members);
        for member in &mut members {
            member.payload.bytes = Bytes::new();
        }
        // Builders keep their memory for the next group, but not that of a payload far larger than groups are.
        if self.payload_bytes > GROUP_BYTES_MAX {
            self.builders = Builders::default();
        }
        self.payload_bytes = 0;
        let changes = std::mem::replace(&mut self.changes, Changes::new(self.ledger.clone()));
        ClosedGroup { group, waiters: Waiters { members, changes: Some(changes) } }
    }

    /// Drops everything in the group, answers nobody.
    pub(super) fn reset(&mut self) {
        *self = OpenGroup::new(self.ledger.clone());
    }

    fn decode(&mut self, payload: &Payload, accepted: Accepted) -> Result<Tally, String> {
        let before = self.builders.rows();
        let tally = decode_into(&mut self.builders, payload, accepted)?;
        if tally.received == 0 {
            return Ok(tally);
        }
        self.changes.add(&origin_of(payload), &tally);
        let Some(hash) = payload.hash else { return Ok(tally) };
        let rows = DECODED.into_iter().zip(before.into_iter().zip(self.builders.rows()));
        let rows = rows.filter(|(_, (before, after))| before != after).map(|(table, (before, after))| {
            (table, u32::try_from(after - before).expect("a group has fewer rows than 2^31"))
        });
        self.exports.push(ExportEntry { hash, rows: rows.collect() });
        Ok(tally)
    }

    /// Rebuilds the group from its members' bytes after builders were left with part of a row.
    fn decode_anew(&mut self) {
        let mut members = std::mem::take(&mut self.members);
        loop {
            self.reset();
            let decoded = |member: &Member| match member.kind {
                Kind::Records(_) => self.decode(&member.payload, member.accepted).err(),
                Kind::Repeat { .. } => {
                    self.changes.add(&origin_of(&member.payload), &member.tally);
                    None
                }
            };
            let mut failed = members.iter().map(decoded).enumerate();
            let Some((at, why)) = failed.find_map(|(at, why)| why.map(|why| (at, why))) else {
                break;
            };
            drop(failed);
            refuse(members.remove(at).payload, why);
        }
        self.payload_bytes = members.iter().map(|member| member.payload.memory_bytes()).sum();
        self.members = members;
    }
}

impl Waiters {
    /// Tells every waiter what became of its export, and gives the bytes back to the budget.
    pub(super) fn answer(mut self, result: &Result<(), AppendError>) {
        self.tell(result);
    }

    fn tell(&mut self, result: &Result<(), AppendError>) {
        match (self.changes.take(), result) {
            (Some(changes), Ok(())) => changes.became_durable(),
            (changes, _) => drop(changes),
        }
        for member in self.members.drain(..) {
            let Member { payload, tally, kind, accepted } = member;
            let told = match kind {
                Kind::Repeat { told } => *told,
                Kind::Records(claim) => {
                    if let (Some(claim), Ok(())) = (claim, result)
                        && tally.accepted > 0
                    {
                        claim.stored(tally.accepted, accepted.ingest_time);
                    }
                    tally
                }
            };
            answer(payload, result.clone().map(|()| told).map_err(Into::into));
        }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        self.tell(&Err(AppendError::Closed));
    }
}

/// Pushes the rows of `payload`. After an error the builders may hold part of a row.
fn decode_into(out: &mut Builders, payload: &Payload, accepted: Accepted) -> Result<Tally, String> {
    let Accepted { ingest_time, earliest, latest } = accepted;
    let arrival = Arrival { tenant: &payload.tenant, ingest_time, earliest, latest };
    let decode = payload.format.decode;
    let decoding = || decode(&payload.bytes, payload.sender.as_deref(), &arrival, out);
    match catch_unwind(AssertUnwindSafe(decoding)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("decoding panicked".to_owned()),
    }
}

fn answer(payload: Payload, answer: super::Answer) {
    let Payload { tickets, reply, .. } = payload;
    // First, so that a sender who has its answer finds the room that it left.
    tickets.answered();
    // A handler that was cancelled no longer listens; its rows are stored all the same.
    let _ = reply.send(answer);
}

fn refuse(payload: Payload, why: String) {
    tracing::error!(
        tenant = &*payload.tenant,
        format = payload.format.name,
        source = payload.format.source,
        bytes = payload.bytes.len(),
        why,
        "bug: a validated payload could not be decoded"
    );
    answer(payload, Err(super::NotStored::Undecodable(why)));
}
