//! Enters each call where it counts, once for what spans tell and once for what access logs tell.
//!
//! Spans tell of the traces that were kept, each of which stands for several; access logs tell of every call.
//! Which of the two sums an answer takes is decided at the end, as for an answer: by node and by edge.

use std::collections::{BTreeMap, BTreeSet};

use super::Evidence;
use super::figures::{ANY, Figures, Label, Lasted, Outcome, Truth};
use super::names::{
    Seen, either, far_end, is_direct, lasted, made_duration, made_outcome, proxied, received_outcome,
    service_label,
};
use crate::mesh::{Mesh, Nanos, OPERATION_TIME, PROXY_TIME, Sdk, Service};
use crate::story::{Batch, Call, Place, Story, Taken, Target, Trace, Tried, Try};

/// Spans are taken where they exceed access logs by 5 % and at least this many.
const EXCESS_MIN: i64 = 20;

#[derive(Default)]
struct Book {
    edges: BTreeMap<(Label, Label), Figures>,
    nodes: BTreeMap<Label, Figures>,
    /// What nodes and edges have of messages, of which no access log tells.
    messages: BTreeMap<Label, Figures>,
    message_edges: BTreeMap<(Label, Label), Figures>,
}

/// Both sums of everything.
pub struct Books<'a> {
    mesh: &'a Mesh,
    by_spans: Book,
    by_rows: Book,
    batched: BTreeSet<Label>,
}

impl<'a> Books<'a> {
    pub fn of(mesh: &'a Mesh) -> Self {
        Books { mesh, by_spans: Book::default(), by_rows: Book::default(), batched: BTreeSet::new() }
    }

    pub fn call(&mut self, call: &Call, trace: &Trace) {
        if let Target::Queue(queue) = call.target {
            if trace.is_kept {
                self.message(call, queue, trace);
            }
            return;
        }
        if trace.is_kept {
            self.by_spans(call, trace);
        }
        // A proxy takes a store's protocol for a connection at best; in a story it logs none.
        if !matches!(call.target, Target::Store(_)) {
            self.by_rows(call);
        }
    }

    /// An edge's call is an error if the made side says so or, where spans pair it, the received side.
    /// A try that a proxy hid is no error of the edge: the last one decides.
    fn by_spans(&mut self, call: &Call, trace: &Trace) {
        let caller = call.caller.map(|place| self.service(place));
        let made = caller.filter(|caller| caller.spans_made());
        // A call weighs what its maker says, if that tells of it.
        let weight = made.or(self.callee(call)).map_or(1, |teller| i64::from(teller.weight(trace.weight)));
        let outcome = made_outcome(call.verdict);
        // An operation around a request that several answer is no call itself: the request is.
        let is_operation = call.made.operation && !call.mirrors.is_empty();
        let around = if is_operation { 2 * OPERATION_TIME } else { 0 };
        let whole = lasted(call, call.duration - around);
        let Some(callee) = self.callee(call) else {
            if made.is_some() {
                let edge = (self.source(call), far_end(self.mesh, call.target));
                self.by_spans.edges.entry(edge).or_default().add(outcome, whole, weight);
            }
            return;
        };
        let seen = callee.spans_received();
        if (made.is_none() && !seen) || callee.is_tcp {
            return;
        }
        let seen_as = Seen { by_application: callee.sdk == Sdk::Full, is_grpc: call.is_grpc };
        let received =
            |tried: &Try| if seen { received_outcome(tried.verdict, seen_as) } else { Outcome::Ok };
        if call.tried == Tried::Separate {
            self.separate(call, weight);
        } else if let Some(last) = call.tries.last() {
            let is_thin = matches!(callee.sdk, Sdk::Internal | Sdk::Made);
            let is_two_sided = made.is_some() && seen && !is_thin;
            let proxied = if callee.sdk == Sdk::Full { 0 } else { PROXY_TIME };
            let (outcome, whole) = match made {
                Some(_) => (either(outcome, received(last)), whole),
                None if callee.is_made_only => (received(last), Lasted::Unknown),
                None => (received(last), lasted(call, last.duration + proxied)),
            };
            let edge = (self.source(call), self.label(last.at.service));
            let figures = self.by_spans.edges.entry(edge).or_default();
            figures.sent(is_two_sided);
            figures.add(outcome, whole, weight);
            // Tries that nobody's span tells of are known to access logs at best.
            if seen || call.tried != Tried::Hidden {
                figures.retries += weight * (call.tries.len() as i64 - 1);
            }
        } else {
            // Nothing arrived, and the caller knows whom it meant.
            let edge = (self.source(call), far_end(self.mesh, call.target));
            let figures = self.by_spans.edges.entry(edge).or_default();
            figures.add(outcome, whole, weight);
            if call.refusal.is_some() && made.is_some_and(Service::proxy_makes_spans) {
                figures.refuse(outcome, weight);
            } else {
                figures.sent(false);
            }
        }
        for mirror in &call.mirrors {
            let edge = (self.source(call), self.label(mirror.at.service));
            let outcome = either(outcome, received_outcome(mirror.verdict, seen_as));
            self.by_spans.edges.entry(edge).or_default().add(outcome, whole, weight);
        }
        for tried in call.receptions() {
            self.received_by_spans(tried, call, weight);
        }
    }

    /// Requests inside one operation that are no attempts of one another are a call each; the operation is none.
    fn separate(&mut self, call: &Call, weight: i64) {
        let seen = Seen { by_application: true, is_grpc: call.is_grpc };
        for tried in &call.tries {
            let edge = (self.source(call), self.label(tried.at.service));
            let outcome = either(made_outcome(tried.verdict), received_outcome(tried.verdict, seen));
            let figures = self.by_spans.edges.entry(edge).or_default();
            figures.sent(false);
            figures.add(outcome, Lasted::For(made_duration(tried)), weight);
        }
    }

    /// Each try counts at the node. A node whose spans tell only what it did then has its callers' word for
    /// what became of it.
    fn received_by_spans(&mut self, tried: &Try, call: &Call, weight: i64) {
        let service = self.service(tried.at);
        let heard =
            |by_application| received_outcome(tried.verdict, Seen { by_application, is_grpc: call.is_grpc });
        let (outcome, whole) = match (service.sdk, service.sidecar.spans) {
            (Sdk::Full, _) => (heard(true), lasted(call, tried.duration)),
            (_, true) if service.is_made_only => (made_outcome(tried.verdict), Lasted::Unknown),
            (_, true) => (heard(false), lasted(call, tried.duration + PROXY_TIME)),
            (Sdk::Internal | Sdk::Made, false) => (made_outcome(call.verdict), Lasted::Unknown),
            (Sdk::Silent, false) => return,
        };
        let (version, instance) = part(service, tried.at);
        // Which pod a proxy stands in is in the id of its node, which a reader may read or not.
        let instance = if service.sdk == Sdk::Silent { ANY.to_owned() } else { instance };
        // A waypoint's span knows the service behind it and no more.
        let version = if service.sdk == Sdk::Silent && service.is_ambient { ANY.to_owned() } else { version };
        let (label, part) = (self.label(tried.at.service), (version, instance));
        let figures = self.by_spans.nodes.entry(label).or_default();
        figures.add(outcome, whole, weight);
        *figures.parts.entry(part).or_default() += weight;
    }

    fn by_rows(&mut self, call: &Call) {
        let caller = call.caller.map(|place| self.service(place));
        let made = caller.filter(|caller| caller.logs_made());
        let by_proxy = Seen { by_application: false, is_grpc: call.is_grpc };
        let callee_writes = self.callee(call).is_some_and(Service::logs_received);
        if made.is_some() {
            let target = match call.tries.last() {
                Some(last) => self.label(last.at.service),
                None => far_end(self.mesh, call.target),
            };
            let edge = (self.source(call), target);
            let whole = self.logged(call, proxied(call, caller));
            let figures = self.by_rows.edges.entry(edge).or_default();
            if call.refusal.is_none() {
                figures.sent(callee_writes);
            }
            figures.add(made_outcome(call.verdict), whole, 1);
            figures.retries += (call.tries.len() as i64 - 1).max(0);
            if call.refusal.is_some() {
                figures.refuse(made_outcome(call.verdict), 1);
            }
        } else if let Some(last) = call.tries.last().filter(|_| callee_writes) {
            let edge = (self.source(call), self.label(last.at.service));
            let whole = self.logged(call, last.duration + PROXY_TIME);
            let figures = self.by_rows.edges.entry(edge).or_default();
            figures.sent(false);
            figures.add(received_outcome(last.verdict, by_proxy), whole, 1);
        }
        if callee_writes {
            for tried in &call.tries {
                let label = self.label(tried.at.service);
                let outcome = received_outcome(tried.verdict, by_proxy);
                let service = self.service(tried.at);
                // A sidecar behind a waypoint is nearer to the application.
                let waiting = if service.has_inner_sidecar { 0 } else { PROXY_TIME };
                let whole = self.logged(call, tried.duration + waiting);
                let part = part(self.service(tried.at), tried.at);
                let figures = self.by_rows.nodes.entry(label).or_default();
                figures.add(outcome, whole, 1);
                *figures.parts.entry(part).or_default() += 1;
            }
        }
    }

    /// How long a proxy logged that a call was: how long a connection lives is no latency.
    fn logged(&self, call: &Call, duration: Nanos) -> Lasted {
        match self.callee(call) {
            Some(callee) if callee.is_tcp => Lasted::Connection,
            _ => lasted(call, duration),
        }
    }

    /// With a queue's name, or a broker's, the queue is between the two; with neither the two are direct.
    fn message(&mut self, call: &Call, queue: usize, trace: &Trace) {
        let mesh = self.mesh;
        let word =
            |at: Option<Place>| at.map_or(1, |at| i64::from(mesh.services[at.service].weight(trace.weight)));
        let weight = word(call.caller);
        let has_node = !is_direct(self.mesh, queue);
        let (source, outcome) = (self.source(call), made_outcome(call.verdict));
        if has_node {
            let edge = (source.clone(), far_end(self.mesh, call.target));
            let whole = Lasted::For(call.duration);
            self.by_spans.message_edges.entry(edge).or_default().add(outcome, whole, weight);
        }
        for delivery in &call.tries {
            let label = self.label(delivery.at.service);
            let seen_as = Seen { by_application: true, is_grpc: false };
            let heard = received_outcome(delivery.verdict, seen_as);
            // What a queue delivers, its receiver alone tells of.
            let (from, outcome, duration, weight) = if has_node {
                let weight = word(Some(delivery.at));
                (far_end(self.mesh, call.target), heard, delivery.duration, weight)
            } else {
                (source.clone(), either(outcome, heard), call.duration, weight)
            };
            let edge = self.by_spans.message_edges.entry((from, label.clone())).or_default();
            edge.add(outcome, Lasted::For(duration), weight);
            let messages = self.by_spans.messages.entry(label).or_default();
            messages.add(heard, Lasted::For(delivery.duration), weight);
            let part = part(&self.mesh.services[delivery.at.service], delivery.at);
            *messages.parts.entry(part).or_default() += weight;
        }
    }

    /// With a queue's name, links add no edge: the queue delivered, once for each time it was processed.
    /// Without one, each message is an edge from its producer, and the node counts deliveries.
    pub fn batch(&mut self, batch: &Batch, story: &Story) {
        let target = Target::Queue(batch.queue);
        let queue = far_end(self.mesh, target);
        let sent: Vec<&Call> = batch.messages.iter().map(|number| story.sent(*number)).collect();
        let seen_as = Seen { by_application: true, is_grpc: false };
        for (at, delivery) in batch.tries.iter().enumerate() {
            let label = self.label(delivery.at.service);
            let heard = received_outcome(delivery.verdict, seen_as);
            let messages = match batch.taken {
                Taken::Together => &sent[..],
                Taken::OneByOne { .. } => &sent[at..=at],
            };
            if !is_direct(self.mesh, batch.queue) {
                let edge = (queue.clone(), label.clone());
                let figures = self.by_spans.message_edges.entry(edge).or_default();
                figures.add(heard, Lasted::For(delivery.duration), 1);
            } else {
                self.batched.insert(label.clone());
                for call in messages {
                    let edge = (self.source(call), label.clone());
                    let outcome = either(made_outcome(call.verdict), heard);
                    self.by_spans.message_edges.entry(edge).or_default().add(
                        outcome,
                        Lasted::For(call.duration),
                        1,
                    );
                }
            }
            let figures = self.by_spans.messages.entry(label).or_default();
            figures.add(heard, Lasted::For(delivery.duration), 1);
            let part = part(&self.mesh.services[delivery.at.service], delivery.at);
            *figures.parts.entry(part).or_default() += 1;
        }
    }

    pub fn chosen(mut self, evidence: Evidence) -> Truth {
        match evidence {
            Evidence::Best => {}
            Evidence::Spans => self.by_rows = Book::default(),
            Evidence::AccessLogs => self.by_spans = Book::default(),
        }
        let mut truth = Truth { batched: self.batched, ..Truth::default() };
        let marked = |figures: &Figures, spans: Option<&Figures>| Figures {
            is_by_spans: spans.is_some_and(|spans| std::ptr::eq(figures, spans)),
            is_contested: spans.is_some_and(|spans| spans.requests > figures.requests),
            ..figures.clone()
        };
        let edges = [&self.by_spans.edges, &self.by_rows.edges, &self.by_spans.message_edges];
        let pairs: BTreeSet<&(Label, Label)> = edges.into_iter().flat_map(BTreeMap::keys).collect();
        for edge in pairs {
            let (rows, spans) = (self.by_rows.edges.get(edge), self.by_spans.edges.get(edge));
            let mut figures = better(rows, spans).map(|it| marked(it, spans)).unwrap_or_default();
            if let Some(messages) = self.by_spans.message_edges.get(edge) {
                figures.merge(messages);
                figures.is_by_spans = true;
                figures.sent(false);
            }
            if figures.requests > 0 {
                truth.edges.insert(edge.clone(), figures);
            }
        }
        let received: BTreeSet<&Label> = [&self.by_spans.nodes, &self.by_rows.nodes, &self.by_spans.messages]
            .into_iter()
            .flat_map(BTreeMap::keys)
            .collect();
        for label in &received {
            let (rows, spans) = (self.by_rows.nodes.get(label), self.by_spans.nodes.get(label));
            let mut figures = better(rows, spans).map(|it| marked(it, spans)).unwrap_or_default();
            if let Some(messages) = self.by_spans.messages.get(label) {
                figures.merge(messages);
                figures.is_by_spans = true;
            }
            truth.nodes.insert((*label).clone(), figures);
        }
        for ((source, target), figures) in &truth.edges {
            truth.nodes.entry(source.clone()).or_default();
            let node = truth.nodes.entry(target.clone()).or_default();
            // What does not report received what was sent to it, but for what never left the caller.
            if !received.contains(target) {
                node.merge(&Figures {
                    requests: figures.requests - figures.refused,
                    errors: figures.errors - figures.refused_errors,
                    client_errors: figures.client_errors - (figures.refused - figures.refused_errors),
                    is_untimed: figures.is_untimed || figures.refused > 0,
                    ..figures.clone()
                });
            }
        }
        truth
    }

    fn service(&self, place: Place) -> &'a Service {
        &self.mesh.services[place.service]
    }

    fn callee(&self, call: &Call) -> Option<&'a Service> {
        match call.target {
            Target::Service(service) => Some(&self.mesh.services[service]),
            Target::Store(_) | Target::Host(_) | Target::Queue(_) => None,
        }
    }

    fn label(&self, service: usize) -> Label {
        service_label(&self.mesh.services[service])
    }

    /// Callers that nothing identifies are a node of their own for each callee.
    fn source(&self, call: &Call) -> Label {
        match call.caller {
            Some(place) => self.label(place.service),
            None => {
                let callee = far_end(self.mesh, call.target);
                Label { kind: "client", name: format!("client@{}", callee.name), apart: String::new() }
            }
        }
    }
}

fn part(service: &Service, at: Place) -> (String, String) {
    let instance = &service.instances[at.instance];
    (instance.version.clone(), instance.name.clone())
}

/// Access logs where there are any, unless spans tell of far more.
fn better<'a>(rows: Option<&'a Figures>, spans: Option<&'a Figures>) -> Option<&'a Figures> {
    match (rows, spans) {
        (Some(rows), Some(spans)) => {
            let excess = spans.requests - rows.requests;
            let is_far_more = excess >= EXCESS_MIN && spans.requests * 100 >= rows.requests * 105;
            Some(if is_far_more { spans } else { rows })
        }
        (rows, spans) => rows.or(spans),
    }
}
