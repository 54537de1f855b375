//! Finds the received sides of calls in a trace, each once, and who made each call.
//!
//! A received span's caller is whichever is nearer going up: a made span, or a span of another service; INTERNAL
//! spans of its own service are looked through. Received spans of one service with nothing of that between are one
//! received side (a framework in a framework, an application behind its proxy): the outermost of the application
//! tells of it, the proxy's only where the application has none. A service whose spans of a call are only INTERNAL or
//! made ones has received it all the same, once for each span above them.

use super::tree::{NONE, Tree};
use crate::cell_key::DetailId;
use crate::measure::Protocol;
use crate::party::{Naming, Parties, PartyId};
use crate::services::ServiceId;
use crate::spans::{Flags, Link, Role, Shard, Span};
use meshlake_schema::Outcome;

/// Who made a call that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// This span stands for making it.
    Made(u32),
    /// No span stands for making it, but it came out of this one.
    Span(u32),
    /// It came from outside of everything traced.
    Outside,
    /// The parent span is not there.
    Lost,
    /// A message that was taken in the middle of something else: its queue or its links tell.
    Apart,
}

/// A call, or a message, as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    pub caller: Caller,
    pub party: PartyId,
    pub service: ServiceId,
    pub start: i64,
    pub duration: i64,
    pub end: i64,
    pub weight: u64,
    pub outcome: Outcome,
    pub protocol: Protocol,
    pub detail: DetailId,
    pub failed: bool,
    pub cancelled: bool,
    /// It lasted as long as a connection.
    pub lasting: bool,
    /// A waypoint let it not pass, so that it did not arrive.
    pub is_refused: bool,
    /// No span stands for receiving it: what became of it only the caller can tell.
    pub is_implied: bool,
    /// Messages were taken in, which others may work on.
    pub takes_in: bool,
    pub is_message: bool,
    /// The queue that a message came from, as its receiver names it.
    pub queue: PartyId,
    /// It is the queue's name, and not its broker that stands for it.
    pub is_queue_named: bool,
    /// Who called, as the callee names it; nobody where it names none.
    pub called_by: PartyId,
    /// The spans that tell of it, outermost first.
    pub top: u32,
    pub told_by: u32,
    /// The next received side of the same made span.
    pub next: u32,
}

/// What is found out about the spans of a trace. The vectors are kept from trace to trace.
#[derive(Debug, Default)]
pub struct Sides {
    /// By span: the nearest span above that is not INTERNAL of the same service.
    pub anchors: Vec<u32>,
    pub sides: Vec<Side>,
    /// By span: the chain above ends at a parent that is not stored.
    is_lost: Vec<bool>,
    /// By received span: the outermost of its received side.
    tops: Vec<u32>,
    /// By outermost span: the one that tells.
    told_by: Vec<u32>,
    /// By process span: the receive span that took it in.
    receives: Vec<u32>,
    /// By receive span: the first of those that work on what it took in.
    first_process: Vec<u32>,
    is_apart: Vec<bool>,
    implied: Vec<(Caller, ServiceId, u32)>,
}

impl Sides {
    pub fn find(&mut self, shard: &Shard, spans: &[Span], tree: &Tree, parties: &Parties) {
        self.anchor(spans, tree);
        self.nest(shard, spans, tree, parties);
        self.sides.clear();
        for at in &tree.order {
            let at = *at as usize;
            if self.tops[at] == at as u32 && self.first_process[at] == NONE {
                let side = self.side(at as u32, spans, tree, parties);
                self.sides.push(side);
            }
        }
        self.find_implied(spans, tree);
    }

    /// The links of the message that a side received. Those of a receive span are the first process span's, for they
    /// are an edge once.
    pub fn links<'a>(&self, side: &Side, shard: &'a Shard, spans: &[Span]) -> &'a [Link] {
        let receive = if side.is_implied { NONE } else { self.receives[side.top as usize] };
        let is_first = receive != NONE && self.first_process[receive as usize] == side.top;
        let receive = if is_first { receive } else { NONE };
        let took_in = if receive == NONE { NONE } else { self.told_by[receive as usize] };
        let tellers = [side.told_by, side.top, took_in, receive].into_iter().filter(|at| *at != NONE);
        let mut links = tellers.map(|at| shard.links_of(&spans[at as usize]));
        links.find(|links| !links.is_empty()).unwrap_or(&[])
    }

    fn anchor(&mut self, spans: &[Span], tree: &Tree) {
        self.anchors.clear();
        self.anchors.resize(spans.len(), NONE);
        self.is_lost.clear();
        self.is_lost.resize(spans.len(), false);
        for at in &tree.order {
            let at = *at as usize;
            let parent = tree.parents[at];
            if parent == NONE {
                self.is_lost[at] = tree.is_lost[at];
                continue;
            }
            let above = parent as usize;
            let is_inside = spans[above].role == Role::Internal && tree.services[above] == tree.services[at];
            self.anchors[at] = if is_inside { self.anchors[above] } else { parent };
            self.is_lost[at] = self.is_lost[above];
        }
    }

    fn nest(&mut self, shard: &Shard, spans: &[Span], tree: &Tree, parties: &Parties) {
        for places in [&mut self.tops, &mut self.told_by, &mut self.receives, &mut self.first_process] {
            places.clear();
            places.resize(spans.len(), NONE);
        }
        self.is_apart.clear();
        self.is_apart.resize(spans.len(), false);
        for at in &tree.order {
            let span = &spans[*at as usize];
            if !span.role.is_received() {
                continue;
            }
            let top = self.top_above(*at, spans, tree);
            let (mut receive, mut apart) = (NONE, false);
            if top != NONE {
                let outer = &spans[top as usize];
                let consumes = span.role == Role::Consumed && !span.flags.has(Flags::RECEIVE);
                let told_by = &spans[self.told_by[top as usize] as usize];
                if consumes && told_by.flags.has(Flags::RECEIVE) {
                    receive = top;
                    let first = &mut self.first_process[top as usize];
                    *first = if *first == NONE { *at } else { *first };
                } else {
                    let tells =
                        queue_of(span, parties) != PartyId::NOBODY || !shard.links_of(span).is_empty();
                    let is_message = span.role == Role::Consumed && tells;
                    // Behind a proxy it is what the proxy received, not something taken on the way.
                    let is_request = outer.role == Role::Received && !told_by.is_proxy();
                    apart = is_message && is_request && !self.is_delivered(top, spans, tree);
                }
            }
            let is_top = top == NONE || receive != NONE || apart;
            let place = *at as usize;
            (self.receives[place], self.is_apart[place]) = (receive, apart);
            self.tops[place] = if is_top { *at } else { top };
            let told_by = &mut self.told_by[self.tops[place] as usize];
            if *told_by == NONE || (spans[*told_by as usize].is_proxy() && !span.is_proxy()) {
                *told_by = *at;
            }
        }
    }

    /// The outermost span of the received side that a span lies in; none if it begins one.
    fn top_above(&self, at: u32, spans: &[Span], tree: &Tree) -> u32 {
        let above = self.anchors[at as usize];
        if above == NONE {
            return NONE;
        }
        let is_own = tree.services[above as usize] == tree.services[at as usize];
        if is_own && spans[above as usize].role.is_received() { self.tops[above as usize] } else { NONE }
    }

    fn is_delivered(&self, top: u32, spans: &[Span], tree: &Tree) -> bool {
        matches!(self.caller(top, spans, tree), Caller::Made(at) if spans[at as usize].role == Role::Produced)
    }

    fn caller(&self, top: u32, spans: &[Span], tree: &Tree) -> Caller {
        let place = top as usize;
        if self.is_apart[place] {
            return Caller::Apart;
        }
        if self.receives[place] != NONE {
            return self.caller(self.receives[place], spans, tree);
        }
        match self.anchors[place] {
            NONE if self.is_lost[place] => Caller::Lost,
            NONE => Caller::Outside,
            above => self.caller_at(above, spans, tree),
        }
    }

    /// Who called, by the span above: the made span around it, if it is one or lies in one of its own service.
    fn caller_at(&self, above: u32, spans: &[Span], tree: &Tree) -> Caller {
        let at = above as usize;
        if spans[at].role.is_made() {
            return Caller::Made(above);
        }
        let around = self.anchors[at];
        let is_around = spans[at].role == Role::Internal
            && around != NONE
            && spans[around as usize].role.is_made()
            && tree.services[around as usize] == tree.services[at];
        if is_around { Caller::Made(around) } else { Caller::Span(above) }
    }

    fn side(&self, top: u32, spans: &[Span], tree: &Tree, parties: &Parties) -> Side {
        let told_by = self.told_by[top as usize];
        let (outer, span) = (&spans[top as usize], &spans[told_by as usize]);
        let receive = self.receives[top as usize];
        let took_in = if receive == NONE { NONE } else { self.told_by[receive as usize] };
        let tellers = [told_by, top, took_in, receive].into_iter().filter(|at| *at != NONE);
        let mut tellers = tellers.map(|at| &spans[at as usize]);
        let queue = tellers.find(|span| queue_of(span, parties) != PartyId::NOBODY);
        Side {
            caller: self.caller(top, spans, tree),
            party: span.party,
            service: tree.services[top as usize],
            start: span.start,
            duration: span.duration,
            end: span.end(),
            weight: span.weight,
            outcome: span.outcome,
            protocol: span.protocol,
            detail: span.detail,
            failed: span.flags.has(Flags::FAILED),
            cancelled: span.flags.has(Flags::CANCELLED),
            lasting: span.flags.has(Flags::LASTING) || outer.flags.has(Flags::LASTING),
            is_refused: span.flags.has(Flags::REFUSED),
            is_implied: false,
            takes_in: span.flags.has(Flags::RECEIVE),
            is_message: outer.role == Role::Consumed || span.role == Role::Consumed,
            queue: queue.map_or(PartyId::NOBODY, |span| span.peer),
            is_queue_named: queue.is_some_and(|span| span.flags.has(Flags::NAMED)),
            called_by: called_by(span),
            top,
            told_by,
            next: NONE,
        }
    }

    fn find_implied(&mut self, spans: &[Span], tree: &Tree) {
        self.implied.clear();
        for at in &tree.order {
            let (span, above) = (&spans[*at as usize], self.anchors[*at as usize]);
            if span.role.is_received() {
                continue;
            }
            let service = tree.services[*at as usize];
            if above == NONE {
                let is_first = tree.parents[*at as usize] == NONE && !tree.is_lost[*at as usize];
                if is_first && span.role == Role::Made && span.flags.has(Flags::GATEWAY) {
                    self.implied.push((Caller::Outside, service, *at));
                }
            } else if tree.services[above as usize] != service {
                self.implied.push((self.caller_at(above, spans, tree), service, *at));
            }
        }
        if self.implied.is_empty() {
            return;
        }
        let mut explicit: Vec<(Caller, ServiceId)> =
            self.sides.iter().map(|side| (side.caller, side.service)).collect();
        explicit.sort_unstable();
        let mut implied = std::mem::take(&mut self.implied);
        implied.sort_by_key(|(caller, service, _)| (*caller, *service));
        // Each call from outside is one of its own: nothing above tells two from one.
        for alike in implied.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1) && a.0 != Caller::Outside) {
            let (caller, service, _) = alike[0];
            if caller == Caller::Outside || explicit.binary_search(&(caller, service)).is_err() {
                self.sides.push(implied_side(alike, spans));
            }
        }
        self.implied = implied;
    }
}

/// The received side that several spans of one service below one span of another imply.
fn implied_side(alike: &[(Caller, ServiceId, u32)], spans: &[Span]) -> Side {
    let (caller, service, first) = alike[0];
    let members = || alike.iter().map(|(.., at)| &spans[*at as usize]);
    let start = members().map(|span| span.start).min().unwrap_or(0);
    let last = members().max_by_key(|span| span.end()).unwrap_or(&spans[first as usize]);
    let end = last.end();
    let span = &spans[first as usize];
    Side {
        caller,
        party: span.party,
        service,
        start,
        duration: end.saturating_sub(start),
        end,
        weight: span.weight,
        outcome: last.outcome,
        protocol: if span.role == Role::Internal { Protocol::Unknown } else { span.protocol },
        detail: span.detail,
        failed: last.flags.has(Flags::FAILED),
        cancelled: last.flags.has(Flags::CANCELLED),
        lasting: members().any(|span| span.flags.has(Flags::LASTING)),
        is_refused: false,
        is_implied: true,
        takes_in: false,
        is_message: false,
        queue: PartyId::NOBODY,
        is_queue_named: false,
        called_by: PartyId::NOBODY,
        top: first,
        told_by: first,
        next: NONE,
    }
}

/// The queue that a consumer names; nobody where it names none.
fn queue_of(span: &Span, parties: &Parties) -> PartyId {
    let is_queue = span.role == Role::Consumed && parties.party(span.peer).naming == Naming::Queue;
    if is_queue { span.peer } else { PartyId::NOBODY }
}

/// The caller that a received span names; nobody where it names none.
fn called_by(span: &Span) -> PartyId {
    if span.role == Role::Received { span.peer } else { PartyId::NOBODY }
}
