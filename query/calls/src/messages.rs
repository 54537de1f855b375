//! Joins consumers with the producers that their links point to, in whatever trace.
//!
//! Without a queue's name each link of a consumer is an edge from its producer, while the node counts deliveries: a
//! batch of ten messages is received once. A producer that names its queue hands the message to the queue, and the
//! delivery is the queue's. A receive span whose messages other spans of its service work on counts as none, also where
//! only links tell that they are the same messages, and where nothing tells what it took in, if anything: most polls find a
//! queue empty. Only producers that some link points to are remembered. Limit: a producer that sent in another minute than
//! the delivery's or the one before or after is not found, and the delivery is on no edge from it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use meshlake_schema::Outcome;

use crate::cells::{Book, Call};
use crate::entry::Entry;
use crate::measure::Halves;
use crate::minutes::{Scope, minute_of};
use crate::party::{Naming, Parties, PartyId, PartyName};
use crate::spans::Link;

/// A message that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Producer {
    pub party: PartyId,
    pub call: Call,
    /// Nobody where it names none.
    pub queue: PartyId,
    /// Its far end by another name, if it has one.
    pub named: PartyId,
    /// It is on an edge already, to its queue or to those that received it as its children.
    pub is_counted: bool,
}

/// A message, or a batch of them, that was received, its links yet to be followed.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub links: Vec<Link>,
    pub party: PartyId,
    pub call: Call,
    /// Who called by the tree of spans, or the broker, should no link lead to anybody who names a queue.
    pub otherwise: PartyId,
    /// It is on an edge already; its links tell of more.
    pub is_on_edge: bool,
}

/// A receive span whose messages another span of the same service may work on, in another trace.
#[derive(Debug, Clone)]
pub struct Receive {
    /// Nobody where it names none.
    pub queue: PartyId,
    pub delivery: Delivery,
}

/// Messages whose two ends may lie in two traces.
#[derive(Debug, Default)]
pub struct Messages {
    /// What links point to. Shared by the parts that are filled at the same time.
    wanted: Arc<HashSet<Link>>,
    /// The producers there, by the minute in which they sent.
    producers: HashMap<(Link, i64), Producer>,
    deliveries: Vec<Delivery>,
    receives: Vec<Receive>,
    /// When messages were worked on, of those that something links to, and by whom.
    processed: HashMap<Link, HashSet<(i64, PartyId)>>,
    /// Queues that messages were taken from, of those that something links to, by when.
    taken_from: HashMap<Link, HashSet<(i64, PartyId)>>,
    /// By queue: when its messages were worked on, and by whom.
    worked_on: HashMap<PartyId, HashSet<(i64, PartyId)>>,
}

impl Messages {
    /// Remembers that something links to `link`.
    pub fn want(&mut self, link: Link) {
        Arc::make_mut(&mut self.wanted).insert(link);
    }

    /// An empty part, for what other threads find out.
    pub fn part(&self) -> Messages {
        Messages { wanted: Arc::clone(&self.wanted), ..Messages::default() }
    }

    /// Adds what is known of other traces.
    pub fn absorb(&mut self, part: Messages) {
        let Messages { wanted: _, producers, deliveries, receives, processed, taken_from, worked_on } = part;
        self.producers.extend(producers);
        self.deliveries.extend(deliveries);
        self.receives.extend(receives);
        for (link, by) in processed {
            self.processed.entry(link).or_default().extend(by);
        }
        for (link, queues) in taken_from {
            self.taken_from.entry(link).or_default().extend(queues);
        }
        for (queue, by) in worked_on {
            self.worked_on.entry(queue).or_default().extend(by);
        }
    }

    /// Bytes taken, about: hash tables are half empty at the worst.
    pub fn bytes(&self) -> usize {
        let links =
            self.wanted.len() + self.deliveries.iter().map(|delivery| delivery.links.len()).sum::<usize>();
        let ends = self.producers.len() + self.deliveries.len() + self.receives.len();
        2 * (links * size_of::<Link>() + ends * size_of::<Producer>())
    }

    pub fn is_wanted(&self, link: Link) -> bool {
        !self.wanted.is_empty() && self.wanted.contains(&link)
    }

    pub fn sent(&mut self, link: Link, producer: Producer) {
        self.producers.insert((link, minute_of(producer.call.start)), producer);
    }

    pub fn received(&mut self, delivery: Delivery) {
        self.deliveries.push(delivery);
    }

    /// Holds a receive span: it counts only if nothing of its service worked on what it took in.
    pub fn taken_in(&mut self, receive: Receive) {
        self.receives.push(receive);
    }

    /// Remembers that a service worked on the message that `link` points to.
    pub fn processed(&mut self, link: Link, time: i64, party: PartyId) {
        if self.is_wanted(link) {
            self.processed.entry(link).or_default().insert((minute_of(time), party));
        }
    }

    /// Remembers that the message that `link` points to was taken from a queue, by the queue's name.
    pub fn taken_from(&mut self, link: Link, time: i64, queue: PartyId) {
        if self.is_wanted(link) {
            self.taken_from.entry(link).or_default().insert((minute_of(time), queue));
        }
    }

    /// The queue to which a message was sent that its sender knows the broker of: the only one from which it was taken.
    fn queue_of(&self, link: Link, sent: i64) -> Option<PartyId> {
        let around = |(minute, _): &&(i64, PartyId)| minute.abs_diff(sent) <= 1;
        let mut queues = self.taken_from.get(&link)?.iter().filter(around).map(|(_, queue)| *queue);
        let first = queues.next()?;
        queues.all(|queue| queue == first).then_some(first)
    }

    /// Remembers that a service has a span for working on a message of `queue`.
    pub fn worked_on(&mut self, queue: PartyId, time: i64, party: PartyId) {
        if queue != PartyId::NOBODY {
            self.worked_on.entry(queue).or_default().insert((minute_of(time), party));
        }
    }

    /// Whether spans of the service that took the message in worked on it, in the minutes around; if nothing tells which
    /// it took in, on any of its queue.
    fn is_worked_on(&self, Receive { queue, delivery }: &Receive, parties: &Parties) -> bool {
        let around = Scope::around(minute_of(delivery.call.start));
        let own = name_of(delivery.party, parties);
        let is_own = |worked: &HashSet<(i64, PartyId)>| {
            worked.iter().any(|(minute, party)| {
                (around.first..=around.last).contains(minute) && name_of(*party, parties) == own
            })
        };
        match delivery.links.as_slice() {
            [] => self.worked_on.get(queue).is_some_and(is_own),
            links => links.iter().any(|link| self.processed.get(link).is_some_and(is_own)),
        }
    }

    /// Follows all links.
    pub fn finish(mut self, book: &mut Book) {
        for receive in std::mem::take(&mut self.receives) {
            if self.is_worked_on(&receive, &book.parties) {
                continue;
            }
            let Receive { queue, delivery } = receive;
            book.add_received(Entry::ReceivedMessages, (queue, delivery.party), &delivery.call);
            if queue == PartyId::NOBODY {
                self.deliveries.push(delivery);
            } else {
                let halves = Halves { received: 1, expected: 1, ..Halves::default() };
                book.add_edge(Entry::Messages, (queue, delivery.party), &delivery.call, &halves);
            }
        }
        for delivery in std::mem::take(&mut self.deliveries) {
            self.follow(delivery, book);
        }
        let unheard = self.producers.iter().filter(|(_, producer)| !producer.is_counted);
        for ((link, sent), producer) in unheard.filter(|(_, producer)| producer.named != PartyId::NOBODY) {
            let is_queue = producer.queue != PartyId::NOBODY;
            let queue = self.queue_of(*link, *sent).filter(|_| is_queue).unwrap_or(producer.named);
            let halves = Halves { is_made: true, expected: u64::from(!is_queue), ..Halves::default() };
            book.add_edge(Entry::Messages, (producer.party, queue), &producer.call, &halves);
        }
    }

    fn follow(&mut self, mut delivery: Delivery, book: &mut Book) {
        delivery.links.sort_unstable();
        delivery.links.dedup();
        let mut queue = PartyId::NOBODY;
        let mut is_found = false;
        let has_broker = book.parties.party(delivery.otherwise).naming == Naming::Queue;
        for link in &delivery.links {
            let minute = minute_of(delivery.call.start);
            let around = [minute, minute.saturating_sub(1), minute.saturating_add(1)];
            for sent in around {
                let Some(producer) = self.producers.get_mut(&(*link, sent)) else { continue };
                is_found = true;
                if producer.queue != PartyId::NOBODY {
                    queue = if queue == PartyId::NOBODY { producer.queue } else { queue };
                    continue;
                }
                if has_broker {
                    continue;
                }
                producer.is_counted = true;
                handed_over(producer, &delivery, book);
            }
        }
        let source = if queue != PartyId::NOBODY {
            queue
        } else if is_found && !has_broker {
            PartyId::NOBODY
        } else {
            delivery.otherwise
        };
        if source != PartyId::NOBODY {
            let halves = Halves { received: 1, expected: 1, ..Halves::default() };
            book.add_edge(Entry::Messages, (source, delivery.party), &delivery.call, &halves);
        } else if !is_found && !delivery.is_on_edge {
            book.note_alone(Entry::ReceivedMessages, delivery.party, &delivery.call);
        }
    }
}

/// Counts a message on the edge from its producer.
fn handed_over(producer: &Producer, delivery: &Delivery, book: &mut Book) {
    let mut call = producer.call;
    call.rows.received = delivery.call.rows.received;
    if delivery.call.seen.outcome == Outcome::Error {
        call.seen.outcome = Outcome::Error;
    }
    let halves = Halves { is_made: true, received: 1, expected: 1, retries: 0 };
    book.add_edge(Entry::Messages, (producer.party, delivery.party), &call, &halves);
}

/// The service of spans of one SDK: all its rows call it alike.
fn name_of(party: PartyId, parties: &Parties) -> PartyName<'_> {
    let party = parties.party(party);
    PartyName { name: &party.name, namespace: party.namespace.as_deref(), ..PartyName::default() }
}
