//! Counts a call that was joined of rows: the client row's, with the server rows that belong to it.

use super::Counting;
use super::seen::Seen;
use crate::cell_key::Evidence;
use crate::cells::{Book, Call};
use crate::entry::Entry;
use crate::measure::Halves;
use crate::noted::RowKey;
use crate::party::PartyId;
use crate::services::ServiceId;

/// Counts a call and its received sides, which are in order of start. The received side's name of the callee is the
/// callee's own; what the caller calls it is an alias, and so is what the callee calls the caller.
pub fn tell(made: &Seen, received: &[Seen], counting: &mut Counting<'_>) {
    let source = source_of(made);
    for side in received {
        learn(made, made.destination, side.destination, counting);
        learn(made, side.source, made.source, counting);
    }
    let arrived: Vec<Seen> = received.iter().filter(|side| !side.is_refused).copied().collect();
    let refused = (received.len() - arrived.len()) as u16;
    // What a waypoint let not pass did not arrive.
    let attempts = made.attempts.saturating_sub(refused);
    let is_refused = made.is_refused || (refused > 0 && arrived.is_empty());
    let made = &Seen { attempts, is_refused, ..*made };
    by_callee(made, source, &arrived, counting);
}

/// Counts a call to the service that it was meant for, and one to each other that answered: a mirror's answer is a call
/// of its own, also where the mirror is of the same service.
fn by_callee(made: &Seen, source: PartyId, received: &[Seen], counting: &mut Counting<'_>) {
    let service = |side: &Seen| counting.services.of(side.destination);
    let (mirrored, received): (Vec<Seen>, Vec<Seen>) =
        received.iter().partition(|side| side.is_mirror && side.authority != made.authority);
    let callee: Option<ServiceId> = received.last().map(|last| {
        let meant = counting.services.of(made.destination);
        let is_meant = received.iter().any(|side| service(side) == meant);
        if is_meant { meant } else { service(last) }
    });
    let (of_callee, others): (Vec<Seen>, Vec<Seen>) =
        received.iter().partition(|side| Some(service(side)) == callee);
    let mut calls: Vec<Vec<Seen>> = Vec::new();
    if of_callee.len() > usize::from(made.attempts.max(1)) {
        let tries = of_callee
            .chunk_by(|before, next| before.cancelled || (before.failed() && before.end() <= next.start));
        calls.extend(tries.map(<[Seen]>::to_vec));
    } else {
        calls.push(of_callee);
    }
    calls.extend(others.into_iter().chain(mirrored).map(|side| vec![side]));
    for sides in calls {
        // Of tries that could not connect the callee knows nothing: they did not arrive.
        let tries = if sides.is_empty() { usize::from(made.attempts.max(1)) } else { sides.len() };
        one(made, source, &sides, tries, counting);
    }
}

fn one(made: &Seen, source: PartyId, received: &[Seen], tries: usize, counting: &mut Counting<'_>) {
    let target = match (received.last(), made.destination) {
        (Some(last), _) => last.destination,
        (None, PartyId::NOBODY) => PartyId::UNKNOWN,
        (None, named) => named,
    };
    let is_refused = made.is_refused && received.is_empty();
    // However often its proxy tried: none of it arrived, so that nothing arrived again.
    let arrived = if is_refused { 0 } else { tries as u64 };
    let halves = Halves {
        retries: arrived.saturating_sub(1),
        is_made: true,
        received: received.len() as u64,
        expected: arrived,
    };
    let mut call = made.call();
    call.rows.received = received.last().map_or(RowKey::NONE, Seen::row_key);
    if made.is_connection {
        counting.connections.add((source, target), made.end(), call, halves);
        for side in received {
            let call = Call { start: made.start, ..side.call() };
            counting.connections.add_received((source, side.destination), call);
        }
        return;
    }
    let entry = if is_refused { Entry::Refused } else { Entry::Edge };
    counting.book.add_edge(entry, (source, target), &call, &halves);
    for side in received {
        let received = Call { start: made.start, ..side.call() };
        counting.book.add_received(Entry::Received, (source, side.destination), &received);
    }
}

/// Counts a call of which only one side was seen.
pub fn tell_alone(row: &Seen, counting: &mut Counting<'_>) {
    match row.side {
        super::seen::Side::Made => tell(row, &[], counting),
        super::seen::Side::Received => {
            let halves = Halves { received: 1, expected: 1, ..Halves::default() };
            let (ends, call) = ((source_of(row), row.destination), row.call());
            if row.is_connection {
                counting.connections.add_alone(ends, row.caller, row.end(), call);
            } else if row.is_refused {
                counting.book.add_edge(Entry::Refused, ends, &call, &Halves::default());
            } else {
                counting.book.add_edge(Entry::Edge, ends, &call, &halves);
                counting.book.add_received(Entry::Received, ends, &call);
            }
        }
    }
}

/// The caller, or whoever it was.
pub fn source_of(row: &Seen) -> PartyId {
    if row.source == PartyId::NOBODY { PartyId::CALLERS } else { row.source }
}

fn learn(made: &Seen, word: PartyId, own: PartyId, counting: &mut Counting<'_>) {
    let is_known = |party: PartyId, book: &Book| {
        party != PartyId::NOBODY && party != PartyId::UNKNOWN && !book.parties.party(party).is_scoped
    };
    let is_told = is_known(word, counting.book) && is_known(own, counting.book);
    if is_told && !counting.book.parties.is_own_name(word, own) {
        counting.book.learn(Evidence::Requests, made.start, word, own);
    }
}
