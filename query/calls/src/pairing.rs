//! Pairs spans into calls: who called whom, whatever lies between.
//!
//! Strict parent-child pairing (client span, server span) loses most real meshes: a gateway records client
//! spans only, a sidecar puts two spans of its own between caller and callee, frameworks nest internal
//! spans. So the caller of a received call is the *nearest ancestor of another service*:
//! ```text
//! frontend SERVER                            edge frontend -> cart, one call:
//!   frontend INTERNAL                          Client: the span marked (1)
//!     frontend CLIENT (1)                      Server: the span marked (2)
//!       [sidecar CLIENT][sidecar SERVER]     proxies are looked through where the service reports itself
//!         cart SERVER (2)
//! ```
//! A made call that no received call answers is named by its own words: a database, a queue, a host. Calls
//! are weighted by `adjusted_count`. Spans are never aged out: a parent that arrived an hour after its child
//! is in the table like any other. Limits: a parent that *starts* further outside the range than
//! `load::MARGIN` is not seen, and a received call whose parent is missing counts at its node only.

use std::collections::HashMap;

use crate::cells::{Book, CellKey, DetailId, Evidence, Grain, Side};
use crate::party::{Marks, PartyId, PartyName};
use crate::peers::PeerKind;
use crate::services::{ServiceId, Services};
use crate::span_rows::SpanKind;
use crate::spans::{HeldSpan, HeldSpans, SPANS_HELD_MAX};

/// Share of received calls without their parent from which the answer says so: the newest spans of a live
/// system always miss a few.
const LOST_RATIO_TOLD: f64 = 0.01;

/// Adds the calls of all held spans to `book`. Returns what the reader of the answer should know.
pub fn pair(mut held: HeldSpans, services: &mut Services, book: &mut Book) -> Vec<String> {
    held.spans.sort_unstable_by_key(|span| (span.trace, span.span, span.time));
    let mut has_application = vec![false; services.len()];
    for span in held.spans.iter().filter(|span| !span.is_proxy) {
        has_application[services.service_of(span.party).index()] = true;
    }
    let mut pairing = Pairing {
        held: &held,
        services,
        book,
        has_application,
        far_ends: HashMap::new(),
        received: 0,
        lost: 0,
    };
    for trace in held.spans.chunk_by(|a, b| a.trace == b.trace) {
        Trace::new(trace).count(&mut pairing);
    }
    let (received, lost) = (pairing.received, pairing.lost);
    let mut warnings = Vec::new();
    if held.dropped > 0 {
        warnings.push(format!(
            "{} spans beyond the first {SPANS_HELD_MAX} count at their service but on no edge: shorten the range",
            held.dropped
        ));
    }
    if lost as f64 > received as f64 * LOST_RATIO_TOLD {
        warnings.push(format!(
            "{lost} of {received} received calls have a parent span that is not stored; they are on no edge"
        ));
    }
    warnings
}

struct Pairing<'a> {
    held: &'a HeldSpans,
    services: &'a mut Services,
    book: &'a mut Book,
    /// By service: whether any span is the application's own.
    has_application: Vec<bool>,
    far_ends: HashMap<(PeerKind, &'a str, Option<ServiceId>), PartyId>,
    received: u64,
    lost: u64,
}

/// Who made a call that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The span of another service (or of the same, calling itself), and the span that stands for making
    /// the call, if there is one.
    Span { at: usize, made: Option<usize> },
    /// The call came from outside of everything traced.
    Outside,
    /// A second span for a call already received.
    Nested,
    /// The parent span is not there.
    Lost,
}

/// The spans of one trace, sorted by span id, and what is found out about each.
struct Trace<'a> {
    spans: &'a [HeldSpan],
    /// By made call: who received it, and how often.
    answers: Vec<(Option<PartyId>, u64)>,
    /// Made calls that another span stands for.
    shadowed: Vec<bool>,
}

impl<'a> Trace<'a> {
    fn new(spans: &'a [HeldSpan]) -> Self {
        Trace { spans, answers: vec![(None, 0); spans.len()], shadowed: vec![false; spans.len()] }
    }

    fn count(mut self, pairing: &mut Pairing<'a>) {
        for at in 0..self.spans.len() {
            let span = &self.spans[at];
            if !pairing.is_usable(span) {
                continue;
            }
            match span.kind {
                SpanKind::Server => self.received(at, pairing),
                SpanKind::Consumer => self.consumed(at, pairing),
                SpanKind::Client => {
                    self.hop(at, pairing);
                    self.shadow(at, pairing);
                }
                SpanKind::Producer | SpanKind::Internal => {}
            }
        }
        for at in (0..self.spans.len()).filter(|at| self.spans[*at].kind.is_made()) {
            if pairing.is_usable(&self.spans[at]) && !self.shadowed[at] {
                self.made(at, pairing);
            }
        }
    }

    /// The parent span's place, if it is held; the first of several with the same id.
    fn parent(&self, at: usize) -> Option<usize> {
        let parent = self.spans[at].parent;
        let place = self.spans.partition_point(|span| span.span < parent);
        (place < self.spans.len() && self.spans[place].span == parent && parent != 0).then_some(place)
    }

    /// The nearest ancestor that is not a looked-through proxy; `Err` when there is none, with whether the
    /// chain ended at a root.
    fn ancestor(&self, mut at: usize, pairing: &Pairing<'_>) -> Result<usize, bool> {
        // A chain longer than the trace has a cycle in it.
        for _ in 0..self.spans.len() {
            let Some(parent) = self.parent(at) else { return Err(self.spans[at].parent == 0) };
            if pairing.is_usable(&self.spans[parent]) {
                return Ok(parent);
            }
            at = parent;
        }
        Err(false)
    }

    fn caller(&self, callee: usize, pairing: &Pairing<'_>) -> Caller {
        let service = pairing.service(&self.spans[callee]);
        let mut at = callee;
        for _ in 0..self.spans.len() {
            at = match self.ancestor(at, pairing) {
                Ok(ancestor) => ancestor,
                Err(true) => return Caller::Outside,
                Err(false) => return Caller::Lost,
            };
            let span = &self.spans[at];
            if pairing.service(span) != service || span.kind.is_made() {
                return Caller::Span { at, made: self.making(at, pairing) };
            }
            if span.kind.is_received() {
                return Caller::Nested;
            }
        }
        Caller::Lost
    }

    /// The span that stands for making a call, at `at` or above it, with nothing but internal spans of the
    /// same service between.
    fn making(&self, mut at: usize, pairing: &Pairing<'_>) -> Option<usize> {
        let service = pairing.service(&self.spans[at]);
        for _ in 0..self.spans.len() {
            let span = &self.spans[at];
            if pairing.service(span) != service || span.kind.is_received() {
                return None;
            }
            if span.kind.is_made() {
                return Some(at);
            }
            at = self.ancestor(at, pairing).ok()?;
        }
        None
    }

    fn received(&mut self, at: usize, pairing: &mut Pairing<'_>) {
        let span = &self.spans[at];
        let caller = self.caller(at, pairing);
        pairing.tally(span, caller);
        match caller {
            Caller::Span { at: caller, made } => {
                let source = self.spans[caller].party;
                pairing.add(span, source, span.party, Side::Server);
                match made {
                    Some(made) => self.answered(made, span.party),
                    None => pairing.add(span, source, span.party, Side::Unclaimed),
                }
            }
            Caller::Outside => {
                pairing.add(span, PartyId::CALLERS, span.party, Side::Server);
                pairing.add(span, PartyId::CALLERS, span.party, Side::Unclaimed);
            }
            Caller::Nested | Caller::Lost => {
                pairing.add(span, PartyId::NOBODY, span.party, Side::Server);
            }
        }
    }

    /// A message taken from a queue: the queue is the caller where it is known, else its producer.
    fn consumed(&mut self, at: usize, pairing: &mut Pairing<'_>) {
        let span = &self.spans[at];
        let caller = self.caller(at, pairing);
        let linked = pairing.linked(span);
        let producer = match caller {
            Caller::Span { made: Some(made), .. } => Some(&self.spans[made]),
            _ => linked,
        };
        if let Caller::Span { made: Some(made), .. } = caller {
            self.answered(made, span.party);
        }
        let queue = pairing.far_end(span, Some(PeerKind::Queue));
        let source = match (caller, queue, producer) {
            (Caller::Nested, ..) => PartyId::NOBODY,
            (_, Some(queue), _) => queue,
            (_, None, Some(producer)) => {
                pairing.far_end(producer, Some(PeerKind::Queue)).unwrap_or(producer.party)
            }
            (Caller::Span { at, .. }, None, None) => self.spans[at].party,
            (Caller::Outside | Caller::Lost, None, None) => PartyId::NOBODY,
        };
        let found = if source == PartyId::NOBODY { caller } else { Caller::Outside };
        pairing.tally(span, found);
        pairing.add(span, source, span.party, Side::Server);
        if source != PartyId::NOBODY {
            pairing.add(span, source, span.party, Side::Unclaimed);
        }
    }

    /// A client span whose parent is of another service: a proxy without server spans of its own took the
    /// call in and passed it on.
    fn hop(&mut self, at: usize, pairing: &mut Pairing<'_>) {
        let span = &self.spans[at];
        match self.ancestor(at, pairing) {
            Ok(parent) if pairing.service(&self.spans[parent]) != pairing.service(span) => {
                if self.spans[parent].kind.is_made() {
                    self.answered(parent, span.party);
                } else {
                    pairing.add(span, self.spans[parent].party, span.party, Side::Unclaimed);
                }
            }
            Err(true) if span.is_gateway => {
                pairing.add(span, PartyId::CALLERS, span.party, Side::Unclaimed);
            }
            _ => {}
        }
    }

    /// Of two client spans around one call the inner one counts, unless the outer one alone knows that it
    /// talks to a database or a queue.
    fn shadow(&mut self, at: usize, pairing: &Pairing<'_>) {
        let Ok(parent) = self.ancestor(at, pairing) else { return };
        let Some(outer) = self.making(parent, pairing) else { return };
        if pairing.service(&self.spans[outer]) != pairing.service(&self.spans[at]) {
            return;
        }
        let knows = |span| pairing.held.peer(span).is_some_and(|peer| peer.kind != PeerKind::Host);
        let inner_is_detail = knows(&self.spans[outer]) && !knows(&self.spans[at]);
        self.shadowed[if inner_is_detail { at } else { outer }] = true;
    }

    fn answered(&mut self, made: usize, callee: PartyId) {
        let (answer, count) = &mut self.answers[made];
        answer.get_or_insert(callee);
        *count += 1;
    }

    fn made(&self, at: usize, pairing: &mut Pairing<'_>) {
        let span = &self.spans[at];
        let (answer, count) = self.answers[at];
        let queue = pairing.far_end(span, Some(PeerKind::Queue));
        let target = match (span.kind, queue, answer) {
            // Receiving and settling are client spans too, and point the other way; sending is a producer's.
            (SpanKind::Client, Some(_), _) => return,
            (SpanKind::Producer, Some(queue), _) => queue,
            (_, _, Some(callee)) => callee,
            (SpanKind::Producer, None, None) => return,
            (_, _, None) => pairing.far_end(span, None).unwrap_or(PartyId::UNKNOWN),
        };
        pairing.add_made(span, target, count);
    }
}

impl<'a> Pairing<'a> {
    fn service(&self, span: &HeldSpan) -> ServiceId {
        self.services.service_of(span.party)
    }

    /// A proxy's span counts only where the service has none of its own.
    fn is_usable(&self, span: &HeldSpan) -> bool {
        !span.is_proxy || !self.has_application[self.service(span).index()]
    }

    /// The span that a consumer's first link points to, in whatever trace.
    fn linked(&self, span: &HeldSpan) -> Option<&'a HeldSpan> {
        if span.link == (0, 0) {
            return None;
        }
        let spans = &self.held.spans;
        let place = spans.partition_point(|other| (other.trace, other.span) < span.link);
        spans.get(place).filter(|other| (other.trace, other.span) == span.link)
    }

    /// The party that a span names as its far end, if it is of this kind.
    fn far_end(&mut self, span: &HeldSpan, kind: Option<PeerKind>) -> Option<PartyId> {
        let held: &'a HeldSpans = self.held;
        let peer = held.peer(span).filter(|peer| kind.is_none_or(|kind| peer.kind == kind))?;
        let scope = peer.scoped.then(|| self.service(span));
        let key = (peer.kind, peer.name.as_str(), scope);
        if let Some(known) = self.far_ends.get(&key) {
            return Some(*known);
        }
        let marks = match peer.kind {
            PeerKind::Database => Marks::DATABASE.with(Marks::OUTSIDE),
            PeerKind::Queue => Marks::MESSAGING.with(Marks::OUTSIDE),
            PeerKind::Host => Marks::OUTSIDE,
        };
        let scope = scope.map(|service| self.services.service(service).id());
        let name = PartyName { name: &peer.name, scope: scope.as_deref(), ..PartyName::default() };
        let party = self.services.add(&mut self.book.parties, &name, marks);
        self.far_ends.insert(key, party);
        Some(party)
    }

    fn tally(&mut self, span: &HeldSpan, caller: Caller) {
        if self.book.range.bucket_of(span.time).is_some() {
            self.received += 1;
            self.lost += u64::from(caller == Caller::Lost);
        }
    }

    fn add(&mut self, span: &HeldSpan, source: PartyId, destination: PartyId, side: Side) {
        let Some(bucket) = self.book.range.bucket_of(span.time) else { return };
        let key = CellKey {
            source,
            destination,
            detail: span.detail,
            bucket,
            side,
            evidence: Evidence::Spans,
            refused: false,
        };
        self.book.add(key, &span.call());
    }

    /// A made call; each answer after the first was a retry somewhere between the two.
    fn add_made(&mut self, span: &HeldSpan, destination: PartyId, answers: u64) {
        let Some(bucket) = self.book.range.bucket_of(span.time) else { return };
        let key = CellKey {
            source: span.party,
            destination,
            detail: self.detail_of_callee(span),
            bucket,
            side: Side::Client,
            evidence: Evidence::Spans,
            refused: false,
        };
        let mut call = span.call();
        call.retries = answers.saturating_sub(1);
        call.sent = answers.max(1);
        self.book.add(key, &call);
    }

    /// The caller's span name says what was asked of the callee; the caller's instance says nothing of it.
    fn detail_of_callee(&self, span: &HeldSpan) -> DetailId {
        if self.book.grain == Grain::Instance { DetailId::NONE } else { span.detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Source;
    use crate::fixture::{
        CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, SPAN, Span, edges, kind, nodes, picture, picture_of,
    };
    use crate::picture::By;

    const A: (&str, &str) = ("default", "a");
    const B: (&str, &str) = ("default", "b");
    const GATEWAY: (&str, &str) = ("istio-system", "gateway");

    fn span(id: u64, parent: u64, kind: i32, service: (&'static str, &'static str)) -> Span {
        Span { id, parent, kind, service, ..SPAN }
    }

    fn check(spans: &[Span], want_edges: &[&str], want_nodes: &[&str]) {
        let picture = picture(&[], spans);
        assert_eq!((edges(&picture), nodes(&picture)), (owned(want_edges), owned(want_nodes)));
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_client_and_a_server_span_are_one_call() {
        check(
            &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, B)],
            &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0"],
            &["default/a 1/0", "default/b 1/0"],
        );
    }

    #[test]
    fn the_caller_is_the_nearest_ancestor_of_another_service() {
        check(
            &[
                span(1, 0, INTERNAL, A),
                span(2, 1, CLIENT, A),
                span(3, 2, INTERNAL, A),
                span(4, 3, SERVER, B),
                span(5, 4, INTERNAL, B),
                span(6, 5, INTERNAL, B),
                span(7, 6, CLIENT, B),
                span(8, 7, SERVER, ("default", "c")),
            ],
            &["default/a -> default/b 1/0", "default/b -> default/c 1/0"],
            &["default/b 1/0", "default/c 1/0"],
        );
    }

    #[test]
    fn a_call_without_a_client_span_still_is_one() {
        // nginx records SERVER spans only; what it calls has it as its parent.
        check(
            &[span(1, 0, SERVER, A), span(2, 1, SERVER, B)],
            &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0"],
            &["default/a 1/0", "default/b 1/0"],
        );
    }

    #[test]
    fn sidecars_are_looked_through_where_applications_report() {
        let proxy = |id, parent, kind, service| Span { is_proxy: true, ..span(id, parent, kind, service) };
        check(
            &[
                span(1, 0, INTERNAL, A),
                span(2, 1, CLIENT, A),
                proxy(3, 2, CLIENT, A),
                proxy(4, 3, SERVER, B),
                span(5, 4, SERVER, B),
            ],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn sidecars_stand_in_where_no_application_reports() {
        let proxy = |id, parent, kind, service| Span { is_proxy: true, ..span(id, parent, kind, service) };
        check(
            &[proxy(1, 0, CLIENT, A), proxy(2, 1, SERVER, B)],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn a_proxy_belongs_to_the_service_in_its_tags() {
        let tagged = Span {
            is_proxy: true,
            tag: ("istio.canonical_service", "b"),
            ..span(3, 2, SERVER, ("default", "b.default"))
        };
        check(&[span(2, 0, CLIENT, A), tagged], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    #[test]
    fn an_outbound_server_span_of_a_proxy_is_a_call_made() {
        let outer = Span {
            is_proxy: true,
            tag: ("upstream_cluster", "outbound|80||dead.default.svc.cluster.local;"),
            outcome: "error",
            ..span(1, 0, SERVER, A)
        };
        check(&[outer], &["default/a -> default/dead 1/1"], &["default/dead 1/1"]);
    }

    /// Gateways record CLIENT spans only; pairing CLIENT with SERVER breaks A -> gateway -> B apart.
    #[test]
    fn a_gateway_with_client_spans_only_is_on_the_path() {
        let gateway =
            Span { is_proxy: true, tag: ("node_id", "router~1~g~d"), ..span(3, 2, CLIENT, GATEWAY) };
        let spans = [span(2, 0, CLIENT, A), gateway, span(4, 3, SERVER, B)];
        check(
            &spans,
            &["default/a -> istio-system/gateway 1/0", "istio-system/gateway -> default/b 1/0"],
            &["default/b 1/0", "istio-system/gateway 1/0"],
        );
        assert_eq!(kind(&picture(&[], &spans), "istio-system/gateway"), Some("gateway"));
        let root = Span { parent: 0, ..gateway };
        check(
            &[root, span(4, 3, SERVER, B)],
            &[
                "client@istio-system/gateway -> istio-system/gateway 1/0",
                "istio-system/gateway -> default/b 1/0",
            ],
            &["default/b 1/0", "istio-system/gateway 1/0"],
        );
    }

    #[test]
    fn answers_after_the_first_are_retries() {
        let spans = [
            span(1, 0, CLIENT, A),
            Span { outcome: "error", ..span(2, 1, SERVER, B) },
            Span { outcome: "error", ..span(3, 1, SERVER, B) },
            span(4, 1, SERVER, B),
        ];
        let picture = picture(&[], &spans);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0"]);
        assert_eq!(nodes(&picture), ["default/b 3/2"]);
        let edge = &picture.edge_cells[0];
        assert_eq!((edge.measure.retries, edge.client, edge.sent, edge.server), (2.0, 1.0, 3.0, 3.0));
    }

    #[test]
    fn a_service_that_calls_itself_has_a_loop() {
        check(
            &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, A)],
            &["client@default/a -> default/a 1/0", "default/a -> default/a 1/0"],
            &["default/a 2/0"],
        );
    }

    #[test]
    fn a_database_is_named_by_its_address() {
        let mysql = Span { db_system: "mysql", db_namespace: "ratings", ..span(2, 1, CLIENT, A) };
        let spans = [
            span(1, 0, INTERNAL, A),
            Span { server_address: "mysql.default.svc.cluster.local", ..mysql },
            Span { id: 3, ..mysql },
            Span { id: 4, db_namespace: "", ..mysql },
        ];
        check(
            &spans,
            &[
                "default/a -> default/mysql 1/0",
                "default/a -> mysql@default/a 1/0",
                "default/a -> ratings 1/0",
            ],
            &["default/mysql 1/0", "mysql@default/a 1/0", "ratings 1/0"],
        );
        for id in ["default/mysql", "ratings", "mysql@default/a"] {
            assert_eq!(kind(&picture(&[], &spans), id), Some("database"), "{id}");
        }
    }

    #[test]
    fn two_client_spans_around_one_call_count_once() {
        let http = Span { server_address: "search.example", ..span(2, 1, CLIENT, A) };
        check(&[span(1, 0, CLIENT, A), http], &["default/a -> search.example 1/0"], &["search.example 1/0"]);
        // The outer one knows that it is a database, the inner one only that it is HTTP.
        let database = Span { db_system: "elasticsearch", server_address: "search", ..span(1, 0, CLIENT, A) };
        check(&[database, http], &["default/a -> search 1/0"], &["search 1/0"]);
    }

    #[test]
    fn messages_go_through_their_queue() {
        let spans = [
            Span { queue: "orders", ..span(1, 0, PRODUCER, A) },
            Span { queue: "orders", ..span(2, 1, CONSUMER, B) },
        ];
        check(
            &spans,
            &["default/a -> orders 1/0", "orders -> default/b 1/0"],
            &["default/b 1/0", "orders 1/0"],
        );
        let picture = picture(&[], &spans);
        assert_eq!(kind(&picture, "orders"), Some("messaging"));
        assert!(picture.warnings.is_empty(), "{:?}", picture.warnings);
    }

    #[test]
    fn a_consumer_without_a_queue_finds_its_producer_by_link() {
        let producer = Span { trace: 9, queue: "orders", ..span(1, 0, PRODUCER, A) };
        let consumer = Span { trace: 2, link: (9, 1), ..span(7, 0, CONSUMER, B) };
        check(
            &[producer, consumer],
            &["default/a -> orders 1/0", "orders -> default/b 1/0"],
            &["default/b 1/0", "orders 1/0"],
        );
        check(
            &[Span { queue: "", ..producer }, consumer],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn weights_of_sampled_spans_add_up() {
        let sampled = |span| Span { weight: 8.0, ..span };
        check(
            &[sampled(span(1, 0, CLIENT, A)), sampled(Span { outcome: "error", ..span(2, 1, SERVER, B) })],
            &["default/a -> default/b 8/0"],
            &["default/b 8/8"],
        );
    }

    /// The parent started before the range and its row came in another batch, after its child's.
    #[test]
    fn a_late_parent_is_found_and_not_counted() {
        let parent = Span { second: 999, ..span(1, 0, CLIENT, A) };
        let child = Span { second: 1_000, ..span(2, 1, SERVER, B) };
        let picture = picture(&[], &[child, parent]);
        assert_eq!(nodes(&picture), ["default/b 1/0"]);
        assert!(edges(&picture).is_empty(), "the call was made, and is counted, before the range");
        // Where no span of the caller stands for the call, the callee's does.
        let parent = Span { kind: INTERNAL, ..parent };
        check(&[child, parent], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    #[test]
    fn a_missing_parent_is_told_and_draws_no_edge() {
        let picture = picture(&[], &[span(2, 1, SERVER, B)]);
        assert_eq!((edges(&picture).len(), nodes(&picture)), (0, owned(&["default/b 1/0"])));
        assert_eq!(
            picture.warnings,
            ["1 of 1 received calls have a parent span that is not stored; they are on no edge"]
        );
    }

    #[test]
    fn parents_in_a_circle_end() {
        let picture = picture(&[], &[span(1, 2, SERVER, A), span(2, 1, SERVER, A), span(3, 3, SERVER, B)]);
        assert_eq!(nodes(&picture), ["default/a 2/0", "default/b 1/0"]);
    }

    #[test]
    fn equal_span_ids_in_two_traces_are_two_spans() {
        let other = Span { trace: 2, ..span(2, 1, SERVER, B) };
        check(
            &[span(1, 0, CLIENT, A), other],
            &["default/a -> unknown@default/a 1/0"],
            &["default/b 1/0", "unknown@default/a 1/0"],
        );
    }

    #[test]
    fn spans_beyond_the_bound_count_at_their_node() {
        let mut book = Book::new(crate::fixture::range(), Grain::Node);
        let mut held = HeldSpans::with_bound(2);
        let spans = [span(1, 0, CLIENT, A), span(2, 1, SERVER, B), span(3, 1, SERVER, B)];
        held.add(&crate::fixture::spans(&spans), &mut book);
        let mut services = Services::resolve(&book.parties, held.hosts());
        let warnings = pair(held, &mut services, &mut book);
        let at_node = book.cells().filter(|(key, _)| key.side == Side::Server).map(|(_, m)| m.requests);
        assert_eq!(at_node.sum::<f64>(), 2.0);
        assert!(warnings[0].starts_with("1 spans beyond the first"), "{warnings:?}");
    }

    #[test]
    fn operations_of_a_database_are_its_callers_words() {
        let query =
            Span { db_system: "mysql", server_address: "db", name: "SELECT t", ..span(1, 0, CLIENT, A) };
        let picture = picture_of(&[], &[query], Source::Auto, By::Service, Grain::Operation);
        assert_eq!(picture.node_cells[0].detail.as_deref(), Some("SELECT t"));
    }
}
