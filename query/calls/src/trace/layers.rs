//! Makes calls of the made spans of a trace.
//!
//! Made spans of one service inside one another are layers of one call: an SDK's operation, its HTTP request, its
//! connecting, its look-up of a name. They are several calls where different services answer them, or where they
//! name different far ends; then the outer one is none itself unless it is answered directly. From the innermost
//! outwards each made span comes out as one call, which the span around it may take in as its layer, or as several,
//! which are counted at once: so no call is looked at more often than it has layers.

use super::attempts::{self, Rule};
use super::draft::Draft;
use super::siblings::{self, Siblings, far_end};
use super::sides::{Caller, Sides};
use super::tree::{NONE, Tree};
use crate::party::{Naming, Parties, PartyId};
use crate::services::{ServiceId, Services};
use crate::spans::{Flags, Role, Shard, Span};

/// What the made spans of a trace are found to be. The vectors are kept from trace to trace.
#[derive(Debug, Default)]
pub struct Layers {
    /// By made span: the first received side that it is answered by, linked by `Side::next`.
    first_side: Vec<u32>,
    /// By made span: the first of those directly inside.
    first_inner: Vec<u32>,
    next_inner: Vec<u32>,
    /// By made span inside another: the place among `drafts` of the one call that it is; [`NONE`] where it is several, or none.
    found: Vec<u32>,
    /// Calls of made spans inside others.
    drafts: Vec<Draft>,
    /// Calls whose tries may lie side by side: with what tries of one call share.
    outermost: Vec<(Siblings, Draft)>,
    /// Spans that created messages, and what sent each of them.
    sent: Vec<(u32, Draft)>,
    /// Everything found.
    pub calls: Vec<Draft>,
    inner: Vec<Draft>,
    direct: Vec<u32>,
}

/// What one walk looks at.
pub struct Ground<'a> {
    pub spans: &'a [Span],
    pub tree: &'a Tree,
    pub shard: &'a Shard,
    pub parties: &'a Parties,
    pub services: &'a Services,
}

impl Layers {
    /// Finds all calls that made spans of the trace stand for.
    pub fn find(&mut self, ground: &Ground<'_>, sides: &mut Sides) {
        let count = ground.spans.len();
        for places in [&mut self.first_side, &mut self.first_inner, &mut self.next_inner, &mut self.found] {
            places.clear();
            places.resize(count, NONE);
        }
        self.drafts.clear();
        self.outermost.clear();
        self.sent.clear();
        self.calls.clear();
        for at in (0..sides.sides.len()).rev() {
            if let Caller::Made(made) = sides.sides[at].caller {
                sides.sides[at].next = self.first_side[made as usize];
                self.first_side[made as usize] = at as u32;
            }
        }
        for at in ground.tree.order.iter().rev().copied() {
            if !ground.spans[at as usize].role.is_made() {
                continue;
            }
            let found = self.layer(at, ground, sides).filter(|draft| !is_polling(draft, ground, sides));
            let outer = self.outer(at, ground, sides);
            if outer == NONE {
                let place = at as usize;
                let siblings =
                    (sides.anchors[place], ground.spans[place].parent, ground.tree.services[place]);
                self.outermost.extend(found.map(|draft| (siblings, draft)));
            } else {
                if let Some(draft) = found {
                    self.found[at as usize] = self.drafts.len() as u32;
                    self.drafts.push(draft);
                }
                self.next_inner[at as usize] = self.first_inner[outer as usize];
                self.first_inner[outer as usize] = at;
            }
        }
        siblings::find(&mut self.outermost, ground.services, sides, &mut self.calls);
        self.tell_what_became_of_messages();
    }

    /// The made span of the same service directly around.
    fn outer(&self, at: u32, ground: &Ground<'_>, sides: &Sides) -> u32 {
        let above = sides.anchors[at as usize];
        let is_layer = above != NONE
            && ground.spans[above as usize].role.is_made()
            && ground.tree.services[above as usize] == ground.tree.services[at as usize];
        if is_layer { above } else { NONE }
    }

    /// The one call that a made span is, with what is inside of it; `None` if it is several, which are counted.
    fn layer(&mut self, at: u32, ground: &Ground<'_>, sides: &mut Sides) -> Option<Draft> {
        let own = Draft::of(at, &ground.spans[at as usize]);
        self.inner.clear();
        let mut is_several = false;
        let mut inner = self.first_inner[at as usize];
        while inner != NONE {
            match self.found[inner as usize] {
                NONE => is_several = true,
                place => self.inner.push(self.drafts[place as usize]),
            }
            inner = self.next_inner[inner as usize];
        }
        self.direct.clear();
        let mut side = self.first_side[at as usize];
        while side != NONE {
            self.direct.push(side);
            side = sides.sides[side as usize].next;
        }
        if own.is_message {
            return self.message(own, is_several, ground, sides);
        }
        let is_alone = self.inner.is_empty() && !is_several && self.direct.len() <= 1;
        if let Some(simple) = if is_alone { self.simple(own, sides) } else { None } {
            return Some(simple);
        }
        if self.is_inside_message(at, ground, sides) && self.inner.is_empty() && !is_several {
            return Some(self.whole(own, sides));
        }
        is_several |= self.split_off_messages(&own, sides);
        if !self.direct.is_empty() {
            return self.answered(own, is_several, ground, sides);
        }
        self.unanswered(own, is_several, ground, sides)
    }

    /// What nearly all made spans are: a call with nothing inside that is answered once, or not at all.
    fn simple(&self, own: Draft, sides: &mut Sides) -> Option<Draft> {
        let is_queued = |side: &u32| sides.sides[*side as usize].queue != PartyId::NOBODY;
        if self.direct.iter().any(is_queued) { None } else { Some(self.whole(own, sides)) }
    }

    /// Whether the made span directly around sends a message, of which this is a layer.
    fn is_inside_message(&self, at: u32, ground: &Ground<'_>, sides: &Sides) -> bool {
        let outer = self.outer(at, ground, sides);
        outer != NONE && ground.spans[outer as usize].role == Role::Produced
    }

    /// The call with all that answered it.
    fn whole(&self, own: Draft, sides: &mut Sides) -> Draft {
        let mut draft = own;
        self.direct.iter().for_each(|side| draft.answer(*side, &mut sides.sides));
        draft
    }

    /// A call that consumers received from a queue which they name was a message to that queue, whatever the
    /// caller's library calls it.
    fn split_off_messages(&mut self, own: &Draft, sides: &mut Sides) -> bool {
        let is_queued = |side: &u32| sides.sides[*side as usize].queue != PartyId::NOBODY;
        if !self.direct.iter().any(is_queued) {
            return false;
        }
        let (queued, rest): (Vec<u32>, Vec<u32>) = self.direct.iter().partition(|side| is_queued(side));
        let mut draft = Draft { is_message: true, named: sides.sides[queued[0] as usize].queue, ..*own };
        queued.into_iter().for_each(|side| draft.answer(side, &mut sides.sides));
        self.calls.push(draft);
        self.direct = rest;
        true
    }

    /// A message is one, however many layers send it; what is inside belongs to it. But several messages inside are
    /// one each, and the span around them is none.
    fn message(
        &mut self,
        own: Draft,
        is_several: bool,
        ground: &Ground<'_>,
        sides: &mut Sides,
    ) -> Option<Draft> {
        let mut draft = own;
        for side in std::mem::take(&mut self.direct) {
            draft.answer(side, &mut sides.sides);
        }
        let messages = self.inner.iter().filter(|inner| inner.is_message).count();
        let is_created_apart = self.creates(&own, ground);
        let inner = std::mem::take(&mut self.inner);
        if messages > 1 || is_created_apart {
            for mut message in inner.into_iter().filter(|inner| inner.is_message) {
                if message.named == PartyId::NOBODY {
                    (message.named, message.is_named) = (own.named, own.is_named);
                }
                self.calls.push(message);
            }
            self.calls.extend(draft.is_answered().then_some(draft));
            return None;
        }
        for layer in &inner {
            draft.take_answers(layer, &mut sides.sides);
            if draft.named == PartyId::NOBODY {
                (draft.named, draft.is_named) = (layer.named, layer.is_named);
            }
            if layer.is_message && !layer.connects {
                draft.span = layer.span;
            }
        }
        if is_several {
            self.calls.push(draft);
            return None;
        }
        Some(draft)
    }

    /// Whether a sending span links to the spans that created its messages, which are counted then.
    fn creates(&mut self, own: &Draft, ground: &Ground<'_>) -> bool {
        let span = &ground.spans[own.span as usize];
        let before = self.sent.len();
        for (trace, id) in ground.shard.links_of(span) {
            let created = if *trace == span.trace { ground.tree.find_made(*id) } else { NONE };
            let is_creation = created != NONE
                && created != own.span
                && ground.spans[created as usize].role == Role::Produced
                && ground.tree.services[created as usize] == ground.tree.services[own.span as usize];
            self.sent.extend(is_creation.then_some((created, *own)));
        }
        self.sent.len() > before
    }

    /// What created a message does not know whether it could be sent, nor how long that took, nor always where to.
    fn tell_what_became_of_messages(&mut self) {
        self.sent.sort_unstable_by_key(|(created, sent)| (*created, sent.start));
        for call in self.calls.iter_mut().filter(|call| call.is_message) {
            let end = self.sent.partition_point(|(created, _)| *created <= call.span);
            let Some((_, sent)) = self.sent[..end].last().filter(|(created, _)| *created == call.span) else {
                continue;
            };
            (call.outcome, call.failed, call.cancelled) = (sent.outcome, sent.failed, sent.cancelled);
            (call.end, call.duration) = (sent.end, sent.duration);
            if call.named == PartyId::NOBODY {
                (call.named, call.is_named) = (sent.named, sent.is_named);
            }
        }
    }

    /// A made span that is answered directly is a call to each service that answers.
    fn answered(
        &mut self,
        own: Draft,
        mut is_several: bool,
        ground: &Ground<'_>,
        sides: &mut Sides,
    ) -> Option<Draft> {
        let mut direct = std::mem::take(&mut self.direct);
        direct.sort_by_key(|side| sides.sides[*side as usize].service);
        let mut services: Vec<ServiceId> =
            direct.iter().map(|side| sides.sides[*side as usize].service).collect();
        services.dedup();
        for inner in std::mem::take(&mut self.inner) {
            let far = far_end(&inner, sides, ground.services);
            if inner.is_answered() && far.is_some_and(|far| services.binary_search(&far).is_ok()) {
                let mut side = inner.first_side;
                for _ in 0..inner.sides {
                    direct.push(side);
                    side = sides.sides[side as usize].next;
                }
            } else if inner.is_answered() || !is_layer_of(&inner, far, &own, &services, ground) {
                self.calls.push(inner);
                is_several = true;
            }
        }
        let calls = attempts::received(&mut direct, &sides.sides, (own.start, own.end));
        let found = calls.into_iter().map(|tries| {
            let mut draft = own;
            tries.into_iter().for_each(|side| draft.answer(side, &mut sides.sides));
            draft
        });
        let found = found.collect();
        self.direct = direct;
        self.one_or_several(found, is_several)
    }

    fn one_or_several(&mut self, found: Vec<Draft>, is_several: bool) -> Option<Draft> {
        if let ([only], false) = (found.as_slice(), is_several) {
            return Some(*only);
        }
        self.calls.extend(found);
        None
    }

    /// A made span that nothing answers directly is the layer around what is inside of it.
    fn unanswered(
        &mut self,
        own: Draft,
        is_several: bool,
        ground: &Ground<'_>,
        sides: &mut Sides,
    ) -> Option<Draft> {
        let (connects, requests): (Vec<Draft>, Vec<Draft>) =
            std::mem::take(&mut self.inner).into_iter().partition(|inner| inner.connects);
        if requests.is_empty() && !is_several {
            let address = connects.iter().map(|inner| inner.named).find(|named| *named != PartyId::NOBODY);
            let named = if own.named == PartyId::NOBODY { address.unwrap_or(own.named) } else { own.named };
            return Some(Draft { named, ..own });
        }
        let requests = without_nameless(requests);
        let is_store = |draft: &Draft| {
            let naming = ground.parties.party(draft.named).naming;
            matches!(naming, Naming::Store | Naming::StoreHost | Naming::Queue)
        };
        let is_wrapped =
            is_store(&own) && requests.iter().all(|inner| !inner.is_answered() && !is_store(inner));
        let tried = if is_wrapped {
            let named =
                |inner: Draft| Draft { named: own.named, is_named: true, protocol: own.protocol, ..inner };
            siblings::of_one(
                requests.into_iter().map(named).collect(),
                &mut sides.sides,
                Rule::InsideOneLayer,
            )
        } else {
            siblings::by_far_end(requests, ground.services, sides, Rule::InsideOneLayer)
        };
        if let ([only], false) = (tried.as_slice(), is_several) {
            let only = *only;
            let (own_far, far) =
                (far_end(&own, sides, ground.services), far_end(&only, sides, ground.services));
            let differs = own.is_named && only.is_named && own_far != far;
            if !only.is_answered() && differs {
                return Some(only);
            }
            // A message's queue, or the broker that stands for it, is more than a host.
            let is_message = only.is_message && only.named != PartyId::NOBODY;
            let is_inner = only.is_named || is_message || own.named == PartyId::NOBODY;
            let named = if is_inner { only } else { own };
            let (named, is_named) = (named.named, named.is_named);
            let Draft { first_side, last_side, sides, tries, is_message, refused, lasting, .. } = only;
            let whole = Draft { refused, lasting: own.lasting || lasting, ..own };
            return Some(Draft { named, is_named, first_side, last_side, sides, tries, is_message, ..whole });
        }
        self.calls.extend(tried);
        None
    }
}

/// Whether it is the request by which messages were taken in: a layer of the span around, which counts as what was received.
fn is_polling(draft: &Draft, ground: &Ground<'_>, sides: &Sides) -> bool {
    let above = sides.anchors[draft.span as usize];
    above != NONE
        && !draft.is_answered()
        && ground.spans[above as usize].flags.has(Flags::POLLING)
        && ground.tree.services[above as usize] == ground.tree.services[draft.span as usize]
}

/// Requests inside one made span, without those that name nobody, that nobody answers, and that did not fail: beside others
/// that tell of a far end they are layers, such as the sending and the receiving of one request.
fn without_nameless(mut requests: Vec<Draft>) -> Vec<Draft> {
    let tells = |draft: &Draft| draft.is_answered() || draft.named != PartyId::NOBODY;
    if requests.iter().any(tells) {
        requests.retain(|draft| tells(draft) || draft.failed);
    }
    requests
}

/// Whether what is inside an answered made span is a layer of it: it names nothing, or the same.
fn is_layer_of(
    inner: &Draft,
    far: Option<ServiceId>,
    own: &Draft,
    answered_by: &[ServiceId],
    ground: &Ground<'_>,
) -> bool {
    let Some(far) = far.filter(|_| !inner.connects) else { return true };
    answered_by.contains(&far) || (own.is_named && ground.services.of(own.named) == far)
}
