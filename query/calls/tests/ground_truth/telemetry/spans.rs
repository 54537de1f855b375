//! Spans, as the SDKs of OpenTelemetry and the tracer of Envoy make them.
//!
//! Sources: OpenTelemetry's specification of span kinds; what Istio's sidecars add,
//! istio pilot/pkg/networking/core/tracing.go; Zipkin's B3, "shared spans".

use meshlake_schema::Table;

use super::ids::{Part, message_id, span_id, trace_id};
use super::tags::{self, Tags};
use super::{Row, Value};
use crate::mesh::{GAP, Mesh, Nanos, OPERATION_TIME, PROXY_TIME, Sdk};
use crate::oracle::names::{Seen, made_outcome, received_outcome};
use crate::story::{Batch, Call, Place, Root, Story, Taken, Target, Trace, Tried, Try};

const INTERNAL: i64 = 1;
const SERVER: i64 = 2;
pub const CLIENT: i64 = 3;
const PRODUCER: i64 = 4;
const CONSUMER: i64 = 5;

/// The spans of all traces that were kept.
pub fn spans(story: &Story) -> Vec<Row> {
    let kept = story.traces.iter().filter(|trace| trace.is_kept);
    kept.flat_map(|trace| Teller::new(story, trace).told(&trace.root)).collect()
}

/// What is said of one span beside where it stands.
pub struct Said {
    kind: i64,
    name: String,
    start: Nanos,
    duration: Nanos,
    outcome: &'static str,
    pub tags: Tags,
}

impl Said {
    pub fn new(kind: i64, name: &str, start: Nanos, duration: Nanos) -> Said {
        Said { kind, name: name.to_owned(), start, duration, outcome: "ok", tags: Vec::new() }
    }
}

pub struct Teller<'a> {
    story: &'a Story,
    pub mesh: &'a Mesh,
    trace: &'a Trace,
    trace_id: u128,
    rows: Vec<Row>,
}

impl<'a> Teller<'a> {
    fn new(story: &'a Story, trace: &'a Trace) -> Self {
        Teller { story, mesh: &story.mesh, trace, trace_id: trace_id(story, trace), rows: Vec::new() }
    }

    fn told(mut self, root: &Root) -> Vec<Row> {
        match root {
            Root::Entry(call) => self.call(call, 0),
            Root::Job { at, start, duration, calls } => {
                let said = Said::new(INTERNAL, "job", *start, *duration);
                let id = self.application(*at, self.trace.number, Part::Root, 0, said);
                calls.iter().for_each(|call| self.call(call, id));
            }
            Root::Batch(batch) => self.batch(batch),
        }
        self.rows
    }

    fn batch(&mut self, batch: &Batch) {
        let sent = batch.messages.iter().map(|number| {
            let trace = self.story.trace_of(*number);
            (trace_id(self.story, trace), message_id(self.story.sent(*number)))
        });
        let sent: Vec<(u128, u64)> = sent.collect();
        let parent = match (batch.taken, batch.tries.first()) {
            (Taken::OneByOne { by_client }, Some(first)) => {
                let kind = if by_client { CLIENT } else { CONSUMER };
                let whole = batch.tries.iter().map(|tried| tried.duration).sum();
                let mut said = Said::new(kind, "receive", first.start - GAP, whole);
                said.tags = tags::of_message(self.mesh, batch.queue, "receive");
                self.application(first.at, first.number, Part::Receive, 0, said)
            }
            _ => 0,
        };
        for (at, tried) in batch.tries.iter().enumerate() {
            let links = match batch.taken {
                Taken::Together => &sent[..],
                Taken::OneByOne { .. } => &sent[at..=at],
            };
            let seen = Seen { by_application: true, is_grpc: false };
            let said = Said {
                outcome: received_outcome(tried.verdict, seen).name(),
                tags: tags::of_message(self.mesh, batch.queue, "process"),
                ..Said::new(CONSUMER, "process", tried.start, tried.duration)
            };
            let id = self.application(tried.at, tried.number, Part::Received(0), parent, said);
            let links = links.to_vec();
            let row = self.rows.last_mut().expect("the span was just told");
            row.values.insert("links", Value::Links(links));
            tried.calls.iter().for_each(|call| self.call(call, id));
        }
    }

    fn call(&mut self, call: &Call, parent: u64) {
        let contexts = match call.caller {
            Some(caller) => self.made(call, caller, parent),
            None => Vec::new(),
        };
        let context = |at: usize| contexts.get(at).or(contexts.last()).copied().unwrap_or(0);
        for (at, tried) in call.tries.iter().enumerate() {
            self.received(call, tried, context(at));
        }
        for mirror in &call.mirrors {
            self.received(call, mirror, context(0));
        }
    }

    /// The spans of the caller's side. Returns what the receiver of each try has as its parent.
    fn made(&mut self, call: &Call, caller: Place, parent: u64) -> Vec<u64> {
        let service = &self.mesh.services[caller.service];
        if matches!(call.target, Target::Service(callee) if self.mesh.services[callee].is_tcp) {
            return Vec::new();
        }
        if service.sdk == Sdk::Silent {
            return match service.proxy_makes_spans() {
                true => vec![self.made_by_proxy(call, caller, parent, 0, (call.start, call.duration))],
                false => vec![0],
            };
        }
        let mut above = parent;
        for at in 0..call.made.internals {
            let said = Said::new(INTERNAL, "work", call.start - 2 * GAP / 4, call.duration + GAP);
            above = self.application(caller, call.number, Part::Internal(at), above, said);
        }
        let under_operation =
            call.made.operation || matches!(call.tried, Tried::UnderOperation | Tried::Separate);
        if under_operation {
            let said = Said {
                outcome: made_outcome(call.verdict).name(),
                tags: tags::of_operation(self.mesh, call),
                ..Said::new(CLIENT, "Client.send", call.start, call.duration)
            };
            above = self.application(caller, call.number, Part::Operation, above, said);
        }
        let visible = if call.tried == Tried::Hidden { 1 } else { call.tries.len().max(1) };
        (0..visible).map(|at| self.request(call, caller, above, at, visible, under_operation)).collect()
    }

    /// The span of one request as the caller's SDK has it, and of the proxy behind the SDK.
    fn request(
        &mut self,
        call: &Call,
        caller: Place,
        above: u64,
        at: usize,
        of: usize,
        is_inside: bool,
    ) -> u64 {
        let service = &self.mesh.services[caller.service];
        let (start, duration, verdict) = match call.tries.get(at).filter(|_| of > 1) {
            Some(tried) => (tried.start - GAP, tried.duration + 2 * GAP, tried.verdict),
            None => (call.start, call.duration, call.verdict),
        };
        let created = call.made.created.then(|| self.create(call, caller, above));
        // The one request inside an operation is a little shorter.
        let less = if is_inside && of == 1 { OPERATION_TIME } else { 0 };
        let mut said = Said {
            outcome: made_outcome(verdict).name(),
            tags: tags::made(self.mesh, call, verdict),
            ..Said::new(made_kind(call), &name(call, self.mesh), start + less, duration - 2 * less)
        };
        if call.tried == Tried::Resent && at > 0 {
            said.tags.push(("http.request.resend_count", at.to_string()));
        }
        let id = self.application(caller, call.number, Part::Request(at as u8), above, said);
        if let Some(created) = created {
            let row = self.rows.last_mut().expect("the span was just told");
            row.values.insert("links", Value::Links(vec![(self.trace_id, created)]));
            return created;
        }
        if call.made.connecting && at == 0 {
            self.connecting(call, caller, (above, id), (start + less, duration / 10));
        }
        if service.proxy_makes_spans() && matches!(call.target, Target::Service(_) | Target::Host(_)) {
            let time = (start + PROXY_TIME / 2, duration - PROXY_TIME);
            return self.made_by_proxy(call, caller, id, at as u8, time);
        }
        id
    }

    /// The span that creates a message, which is sent by another.
    fn create(&mut self, call: &Call, caller: Place, above: u64) -> u64 {
        let mut said = Said::new(PRODUCER, "create", call.start, GAP / 2);
        if let Target::Queue(queue) = call.target {
            said.tags = tags::of_message(self.mesh, queue, "create");
        }
        self.application(caller, call.number, Part::Create, above, said)
    }

    fn made_by_proxy(
        &mut self,
        call: &Call,
        caller: Place,
        parent: u64,
        at: u8,
        (start, duration): (Nanos, Nanos),
    ) -> u64 {
        let verdict = if call.tried == Tried::Hidden {
            call.verdict
        } else {
            call.tries.get(usize::from(at)).map_or(call.verdict, |tried| tried.verdict)
        };
        let mut said =
            Said { outcome: made_outcome(verdict).name(), ..Said::new(CLIENT, "egress", start, duration) };
        said.tags = tags::of_status(call, verdict, true, true);
        let (host, port) = match call.target {
            Target::Service(service) => (self.mesh.services[service].full_host(), 80),
            Target::Host(host) => (self.mesh.hosts[host].name.clone(), self.mesh.hosts[host].port),
            Target::Store(_) | Target::Queue(_) => (String::new(), 0),
        };
        said.tags.push(("upstream_cluster", format!("outbound|{port}||{host}")));
        if let Some(refusal) = call.refusal {
            said.tags.push(("response_flags", refusal.flag().to_owned()));
        }
        self.proxy(caller, call.number, Part::ProxyMade(at), parent, said)
    }

    fn received(&mut self, call: &Call, tried: &Try, parent: u64) {
        let service = &self.mesh.services[tried.at.service];
        let mut context = parent;
        if service.proxy_receives_spans() {
            let seen = Seen { by_application: false, is_grpc: call.is_grpc };
            let (start, duration) = (tried.start - PROXY_TIME / 2, tried.duration + PROXY_TIME);
            let mut said = Said {
                outcome: received_outcome(tried.verdict, seen).name(),
                tags: tags::of_status(call, tried.verdict, false, true),
                ..Said::new(SERVER, "ingress", start, duration)
            };
            if service.is_ambient {
                let host = service.full_host();
                said.tags.push(("upstream_cluster", format!("inbound-vip|80|http|{host}")));
            } else if !service.is_gateway {
                said.tags.push(("upstream_cluster", "inbound|80||".to_owned()));
            }
            context = self.proxy(tried.at, tried.number, Part::ProxyReceived, context, said);
        }
        context = match service.sdk {
            Sdk::Full => self.frames(call, tried, context),
            Sdk::Internal => {
                let said = Said::new(INTERNAL, "handle", tried.start, tried.duration);
                self.application(tried.at, tried.number, Part::Received(0), context, said)
            }
            Sdk::Made | Sdk::Silent => context,
        };
        tried.calls.iter().for_each(|inner| self.call(inner, context));
    }

    /// The received span of the application, and those inside it.
    fn frames(&mut self, call: &Call, tried: &Try, parent: u64) -> u64 {
        let seen = Seen { by_application: true, is_grpc: call.is_grpc };
        let outcome = received_outcome(tried.verdict, seen).name();
        let is_message = matches!(call.target, Target::Queue(_)) && !tried.received.pushed;
        let kind = if is_message != tried.received.is_other_kind { CONSUMER } else { SERVER };
        let tags = match call.target {
            Target::Queue(queue) if !tried.received.pushed => tags::of_message(self.mesh, queue, "process"),
            _ => tags::of_status(call, tried.verdict, false, false),
        };
        let mut context = parent;
        if tried.received.receive {
            let mut said = Said::new(kind, "receive", tried.start - 4 * PROXY_TIME, tried.duration + GAP);
            if let Target::Queue(queue) = call.target {
                said.tags = tags::of_message(self.mesh, queue, "receive");
            }
            context = self.application(tried.at, tried.number, Part::Receive, context, said);
        }
        let said = |at: i64| Said {
            outcome,
            tags: tags.clone(),
            ..Said::new(kind, &name(call, self.mesh), tried.start + at * 1_000, tried.duration - 2_000 * at)
        };
        let all: Vec<Said> = (0..=i64::from(tried.received.frames)).map(said).collect();
        for (at, said) in (0..).zip(all) {
            if at == 1 && tried.received.internal_between {
                let between = Said::new(INTERNAL, "middleware", said.start, said.duration);
                context = self.application(tried.at, tried.number, Part::Between, context, between);
            }
            let (number, part, above) = match at == 0 && call.shares_id {
                // The halves share an id, and the parent of the made half.
                true => (call.number, Part::Request(0), self.parent_of(parent)),
                false => (tried.number, Part::Received(at), context),
            };
            context = self.application(tried.at, number, part, above, said);
        }
        if tried.received.settled {
            let operation = tags::SETTLING[tried.number as usize % tags::SETTLING.len()];
            let mut said = Said::new(CLIENT, operation, tried.start + tried.duration, GAP);
            if let Target::Queue(queue) = call.target {
                said.tags = tags::of_message(self.mesh, queue, operation);
            }
            self.application(tried.at, tried.number, Part::Settle, context, said);
        }
        context
    }

    /// The parent of the last span with this id.
    fn parent_of(&self, id: u64) -> u64 {
        let is_it = |row: &&Row| row.get("span_id") == Some(&Value::Text(format!("{id:016x}")));
        match self.rows.iter().rev().find(is_it).and_then(|row| row.get("parent_span_id")) {
            Some(Value::Text(parent)) => u64::from_str_radix(parent, 16).expect("written by this module"),
            _ => 0,
        }
    }

    pub fn application(&mut self, at: Place, number: u64, part: Part, parent: u64, said: Said) -> u64 {
        let service = &self.mesh.services[at.service];
        let id = span_id(number, part);
        let mut row = self.span(at, id, parent, said);
        // Without what lies above or inside a made span, its call is known all the same.
        let is_needless =
            matches!(part, Part::Root | Part::Internal(_) | Part::Lookup | Part::Connect | Part::Settle);
        row.span = Some(super::Span { id, tells_of: (!is_needless).then_some(number) });
        row.text("service_name", service.name.clone());
        if let Some(namespace) = &service.namespace {
            row.text("service_namespace", namespace.clone());
        }
        let instance = &service.instances[at.instance];
        row.text("service_version", instance.version.clone());
        row.text("service_instance_id", instance.name.clone());
        row.text("resource", format!(r#"{{"k8s.cluster.name":"{}"}}"#, instance.cluster()));
        self.rows.push(row);
        id
    }

    fn proxy(&mut self, at: Place, number: u64, part: Part, parent: u64, mut said: Said) -> u64 {
        let service = &self.mesh.services[at.service];
        let instance = &service.instances[at.instance];
        let namespace = service.namespace.clone().unwrap_or_default();
        // A waypoint says who it is itself; whom it stands before is in the name of the cluster.
        let (kind, name, pod, version) = match (service.is_ambient, service.is_gateway) {
            (true, _) => ("waypoint", "waypoint", "waypoint-1", ""),
            (_, true) => ("router", &*service.name, &*instance.name, &*instance.version),
            _ => ("sidecar", &*service.name, &*instance.name, &*instance.version),
        };
        let node = format!("{kind}~{}~{pod}.{namespace}~{namespace}.svc.cluster.local", instance.address);
        said.tags.extend([
            ("component", "proxy".to_owned()),
            ("node_id", node),
            ("istio.canonical_service", name.to_owned()),
            ("istio.canonical_revision", version.to_owned()),
            ("istio.namespace", namespace.clone()),
        ]);
        let id = span_id(number, part);
        let mut row = self.span(at, id, parent, said);
        row.span = Some(super::Span { id, tells_of: Some(number) });
        row.text("service_name", format!("{name}.{namespace}"));
        row.values.insert("is_proxy", Value::Bool(true));
        self.rows.push(row);
        id
    }

    fn span(&self, at: Place, id: u64, parent: u64, said: Said) -> Row {
        let instance = &self.mesh.services[at.service].instances[at.instance];
        let mut row = Row::at(Table::Spans, said.start, said.duration, instance);
        row.text("trace_id", format!("{:032x}", self.trace_id));
        row.text("span_id", format!("{id:016x}"));
        if parent != 0 {
            row.text("parent_span_id", format!("{parent:016x}"));
        }
        row.text("name", said.name);
        row.int("kind", said.kind);
        row.text("outcome", said.outcome);
        row.int("status_code", if said.outcome == "error" { 2 } else { 0 });
        row.text("resource", "{}");
        let weight = self.mesh.services[at.service].weight(self.trace.weight);
        row.values.insert("adjusted_count", Value::Float(f64::from(weight)));
        row.values.insert("counted", Value::Bool([SERVER, CONSUMER].contains(&said.kind)));
        tags::promote(&mut row, said.tags);
        row
    }
}

fn made_kind(call: &Call) -> i64 {
    match call.target {
        Target::Queue(_) if !call.made.by_client => PRODUCER,
        _ => CLIENT,
    }
}

/// The operation.
pub fn name(call: &Call, mesh: &Mesh) -> String {
    match call.target {
        Target::Store(_) => "query".to_owned(),
        Target::Queue(queue) => mesh.queues[queue].name.clone().unwrap_or_else(|| "message".to_owned()),
        Target::Service(_) | Target::Host(_) if call.is_grpc => "shop.Api/Do".to_owned(),
        Target::Service(_) | Target::Host(_) => "GET /path".to_owned(),
    }
}
