//! Counts what was found in a trace: each call on its edge, each received side at its node.
//!
//! A call has one time and one weight, those of its made side if that was seen: a received side is counted with them.

use meshlake_schema::Outcome;

use super::Counting;
use super::draft::Draft;
use super::sides::{Caller, Side, Sides};
use crate::addresses::hashes_of;
use crate::cell_key::Evidence;
use crate::cells::Call;
use crate::entry::Entry;
use crate::measure::{Halves, Observation, Protocol};
use crate::messages::{Delivery, Producer, Receive};
use crate::minutes::Counted;
use crate::noted::{RowKey, RowsOf};
use crate::party::{Naming, PartyId};
use crate::spans::{Link, Shard, Span};

/// Tells of what starts in the minutes that are counted.
pub fn tell(
    spans: &[Span],
    shard: &Shard,
    sides: &Sides,
    calls: &[Draft],
    counted: Counted,
    counting: &mut Counting<'_>,
) {
    let mut teller = Teller { spans, shard, sides, counting };
    for draft in calls.iter().filter(|draft| counted.has(draft.start)) {
        if draft.is_message {
            teller.message(draft);
        } else {
            teller.call(draft);
        }
    }
    for side in sides.sides.iter().filter(|side| counted.has(side.start)) {
        teller.remember_queue(side);
        teller.remember_processed(side);
        if !matches!(side.caller, Caller::Made(_)) {
            teller.received_alone(side);
        }
    }
}

struct Teller<'a, 'b> {
    spans: &'a [Span],
    shard: &'a Shard,
    sides: &'a Sides,
    counting: &'a mut Counting<'b>,
}

impl<'a> Teller<'a, '_> {
    fn call(&mut self, draft: &Draft) {
        let mut call = self.made(draft);
        let last = draft.is_answered().then(|| self.sides.sides[draft.last_side as usize]);
        if let Some(last) = last {
            call.seen = heard(call.seen, &last);
            call.rows.received = self.row_of_side(&last);
        }
        let target = match (last, draft.named) {
            (Some(last), _) => last.party,
            (None, PartyId::NOBODY) => PartyId::UNKNOWN,
            (None, named) => named,
        };
        // What a proxy let not pass did not arrive.
        let turned_away = answers(self.sides, draft).filter(|side| side.is_refused).count() as u32;
        let seen = draft.sides - turned_away;
        let arrived = draft.tries.saturating_sub(draft.refused + turned_away).max(seen);
        let halves = Halves {
            retries: u64::from(arrived.saturating_sub(1)),
            is_made: true,
            received: u64::from(seen),
            expected: u64::from(arrived),
        };
        let entry = if arrived == 0 { Entry::Refused } else { Entry::Edge };
        self.counting.book.add_edge(entry, (draft.party, target), &call, &halves);
        if last.is_none() {
            self.know_by_address(draft);
        }
        for side in answers(self.sides, draft) {
            let mut received = self.received(side);
            (received.start, received.seen.weight) = (draft.start, draft.weight);
            if side.is_implied {
                (received.seen.outcome, received.seen.timed) = (call.seen.outcome, call.seen.timed);
            }
            if !side.is_refused {
                self.counting.book.add_received(Entry::Received, (draft.party, side.party), &received);
            }
            self.learn(draft, side);
        }
    }

    /// Whose address it is that the caller went to, as rows of proxies tell: what spans alone tell must not depend on it.
    fn know_by_address(&mut self, draft: &Draft) {
        let addresses = self.counting.addresses;
        if addresses.is_empty() {
            return;
        }
        let Some(known) = hashes_of(self.counting.parties.party(draft.named)) else { return };
        if let Some(own) = addresses.owner(draft.start, known, self.counting.parties) {
            self.counting.book.know_as(Evidence::Requests, draft.start, draft.named, own);
        }
    }

    /// The callee's own name for what the caller calls otherwise.
    fn learn(&mut self, draft: &Draft, side: &Side) {
        let party = self.counting.parties.party(draft.named);
        let is_host = matches!(party.naming, Naming::Host | Naming::StoreHost) && !party.is_scoped;
        let is_own = || self.counting.parties.is_own_name(draft.named, side.party);
        if draft.named != PartyId::NOBODY && is_host && !is_own() {
            self.counting.book.learn(Evidence::Spans, draft.start, draft.named, side.party);
        }
    }

    /// A message goes to its queue, and what the queue delivers is the queue's; without a queue it goes to those
    /// who received it.
    fn message(&mut self, draft: &Draft) {
        let is_queue =
            |party: PartyId, counting: &Counting<'_>| counting.parties.party(party).naming == Naming::Queue;
        let by_receiver = answers(self.sides, draft).find(|side| side.queue != PartyId::NOBODY);
        let by_receiver = by_receiver.map(|side| (side.queue, side.is_queue_named));
        let by_sender =
            Some((draft.named, draft.is_named)).filter(|(named, _)| is_queue(*named, self.counting));
        // Who sends through an exchange may know its broker only, where the receiver knows the queue.
        let (first, second) =
            if draft.is_named { (by_sender, by_receiver) } else { (by_receiver, by_sender) };
        let (queue, is_queue_named) = first.or(second).unwrap_or((PartyId::NOBODY, false));
        let call = self.made(draft);
        let link = (self.spans[draft.span as usize].trace, self.spans[draft.span as usize].id);
        let is_wanted = self.counting.messages.is_wanted(link);
        let is_answered = draft.is_answered();
        // A receiver that links to it may know the queue.
        let is_later = is_wanted && !is_queue_named && !is_answered;
        if queue != PartyId::NOBODY && !is_later {
            let halves = Halves { is_made: true, ..Halves::default() };
            self.counting.book.add_edge(Entry::Messages, (draft.party, queue), &call, &halves);
        }
        for side in answers(self.sides, draft) {
            if queue == PartyId::NOBODY {
                self.direct_message(draft, side, call);
            } else {
                self.delivered(queue, side);
            }
        }
        let is_counted = (queue != PartyId::NOBODY && !is_later) || is_answered;
        if is_wanted {
            let named = if queue == PartyId::NOBODY { draft.named } else { queue };
            let producer = Producer { party: draft.party, call, queue, named, is_counted };
            self.counting.messages.sent(link, producer);
        } else if !is_counted && draft.named != PartyId::NOBODY {
            let halves = Halves { is_made: true, expected: 1, ..Halves::default() };
            self.counting.book.add_edge(Entry::Messages, (draft.party, draft.named), &call, &halves);
        }
    }

    fn direct_message(&mut self, draft: &Draft, side: &Side, mut call: Call) {
        call.seen = heard(call.seen, side);
        call.rows.received = self.row_of_side(side);
        let halves = Halves { is_made: true, received: 1, expected: 1, retries: 0 };
        self.counting.book.add_edge(Entry::Messages, (draft.party, side.party), &call, &halves);
        let mut received = self.received(side);
        (received.start, received.seen.weight) = (draft.start, draft.weight);
        if side.is_implied {
            received.seen.outcome = call.seen.outcome;
        }
        let ends = (draft.party, side.party);
        self.counting.book.add_received(Entry::ReceivedMessages, ends, &received);
        let span = &self.spans[draft.span as usize];
        let others: Vec<Link> =
            self.links(side).iter().filter(|link| **link != (span.trace, span.id)).copied().collect();
        self.follow(others, side, PartyId::NOBODY, true);
    }

    fn delivered(&mut self, queue: PartyId, side: &Side) {
        let call = self.received(side);
        let halves = Halves { received: 1, expected: 1, ..Halves::default() };
        self.counting.book.add_edge(Entry::Messages, (queue, side.party), &call, &halves);
        self.counting.book.add_received(Entry::ReceivedMessages, (queue, side.party), &call);
    }

    fn remember_queue(&mut self, side: &Side) {
        if side.is_message && side.is_queue_named {
            for link in self.links(side) {
                self.counting.messages.taken_from(*link, side.start, side.queue);
            }
        }
    }

    fn remember_processed(&mut self, side: &Side) {
        if !side.is_message || side.takes_in {
            return;
        }
        let sender = match side.caller {
            Caller::Made(at) => Some((self.spans[at as usize].trace, self.spans[at as usize].id)),
            _ => None,
        };
        self.counting.messages.worked_on(side.queue, side.start, side.party);
        for link in self.links(side).iter().copied().chain(sender) {
            self.counting.messages.processed(link, side.start, side.party);
        }
    }

    /// A received side that no made span stands for.
    fn received_alone(&mut self, side: &Side) {
        if side.takes_in && (side.queue != PartyId::NOBODY || !self.links(side).is_empty()) {
            let (links, otherwise) = (self.links(side).to_vec(), PartyId::NOBODY);
            let call = self.received(side);
            let delivery = Delivery { links, party: side.party, call, otherwise, is_on_edge: false };
            self.counting.messages.taken_in(Receive { queue: side.queue, delivery });
            return;
        }
        if side.queue != PartyId::NOBODY {
            // Who sent it may know the queue of a broker.
            if side.is_queue_named || self.links(side).is_empty() {
                self.delivered(side.queue, side);
            } else {
                let ends = (PartyId::NOBODY, side.party);
                self.counting.book.add_received(Entry::ReceivedMessages, ends, &self.received(side));
                self.follow(self.links(side).to_vec(), side, side.queue, false);
            }
            return;
        }
        let call = self.received(side);
        let caller = match side.caller {
            Caller::Span(above) => self.spans[above as usize].party,
            Caller::Outside | Caller::Lost if side.called_by != PartyId::NOBODY => side.called_by,
            Caller::Outside if !side.is_message => PartyId::CALLERS,
            Caller::Made(_) | Caller::Outside | Caller::Lost | Caller::Apart => PartyId::NOBODY,
        };
        let (on_edge, at_node) = match (side.is_message, side.is_refused) {
            (true, _) => (Entry::Messages, Some(Entry::ReceivedMessages)),
            (false, true) => (Entry::Refused, None),
            (false, false) => (Entry::Edge, Some(Entry::Received)),
        };
        if let Some(at_node) = at_node {
            // Whom links lead to is known later, and may be several.
            let is_linked = side.is_message && !self.links(side).is_empty();
            let known = if is_linked { PartyId::NOBODY } else { caller };
            self.counting.book.add_received(at_node, (known, side.party), &call);
            let is_lost = side.caller == Caller::Lost && caller == PartyId::NOBODY;
            if is_lost && self.links(side).is_empty() {
                self.counting.book.add_lost(at_node, side.party, &call);
            }
        }
        if side.is_message && !self.links(side).is_empty() {
            self.follow(self.links(side).to_vec(), side, caller, false);
        } else if caller != PartyId::NOBODY {
            let arrived = u64::from(at_node.is_some());
            let halves = Halves { received: arrived, expected: arrived, ..Halves::default() };
            self.counting.book.add_edge(on_edge, (caller, side.party), &call, &halves);
        } else if let Some(at_node) = at_node {
            self.counting.book.note_alone(at_node, side.party, &call);
        }
    }

    fn follow(&mut self, links: Vec<Link>, side: &Side, otherwise: PartyId, is_on_edge: bool) {
        if !links.is_empty() {
            let call = self.received(side);
            let delivery = Delivery { links, party: side.party, call, otherwise, is_on_edge };
            self.counting.messages.received(delivery);
        }
    }

    fn links(&self, side: &Side) -> &'a [Link] {
        self.sides.links(side, self.shard, self.spans)
    }

    fn made(&self, draft: &Draft) -> Call {
        let Draft { weight, outcome, duration, protocol, .. } = *draft;
        let seen = observed(weight, outcome, duration, protocol, draft.lasting);
        let rows = RowsOf { made: self.row_of(draft.told_by), ..RowsOf::default() };
        Call { evidence: Evidence::Spans, start: draft.start, detail: draft.detail, seen, rows }
    }

    fn received(&self, side: &Side) -> Call {
        let Side { weight, outcome, duration, protocol, .. } = *side;
        let seen = observed(weight, outcome, duration, protocol, side.lasting);
        let rows = RowsOf { received: self.row_of(side.told_by), ..RowsOf::default() };
        Call { evidence: Evidence::Spans, start: side.start, detail: side.detail, seen, rows }
    }

    /// None where no span stands for receiving it.
    fn row_of_side(&self, side: &Side) -> RowKey {
        if side.is_implied { RowKey::NONE } else { self.row_of(side.told_by) }
    }

    /// Where calls are noted one by one: nothing else asks for rows.
    fn row_of(&self, at: u32) -> RowKey {
        let span = self.spans.get(at as usize).filter(|_| self.counting.book.notes.are_kept());
        span.map_or(RowKey::NONE, |span| RowKey::of_span(span.trace, span.id, span.start))
    }
}

fn answers<'a>(sides: &'a Sides, draft: &Draft) -> impl Iterator<Item = &'a Side> {
    let mut next = draft.first_side;
    (0..draft.sides).map(move |_| {
        let side = &sides.sides[next as usize];
        next = side.next;
        side
    })
}

fn observed(
    weight: u64,
    outcome: Outcome,
    duration_nano: i64,
    protocol: Protocol,
    lasting: bool,
) -> Observation {
    Observation {
        weight,
        outcome,
        duration_nano,
        timed: !lasting,
        sized: false,
        bytes_in: 0,
        bytes_out: 0,
        protocol,
    }
}

/// What the caller's side saw, with the word of the side that answered: an error there is one of the call.
fn heard(made: Observation, side: &Side) -> Observation {
    let is_error = side.outcome == Outcome::Error && !side.is_implied;
    Observation {
        timed: made.timed && (side.is_implied || !side.lasting),
        outcome: if is_error { Outcome::Error } else { made.outcome },
        protocol: if made.protocol == Protocol::Unknown { side.protocol } else { made.protocol },
        ..made
    }
}
