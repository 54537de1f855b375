//! Spans, as the SDKs of OpenTelemetry and the tracer of Envoy make them.
//!
//! Sources: OpenTelemetry semantic conventions for HTTP, RPC, databases and messaging, today's names and those
//! before 1.20; what Istio's sidecars add, istio pilot/pkg/networking/core/tracing.go; Zipkin's B3, "shared spans".

use meshlake_schema::Table;
use meshlake_schema::tables::{LEGACY_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};

use super::{Row, Value};
use crate::mesh::{MILLI, Mesh, Nanos, Sdk, Service};
use crate::oracle::{PROXY_TIME, Seen, made_outcome, received_outcome};
use crate::random::mixed;
use crate::story::{Batch, Call, Place, Root, Story, Taken, Target, Trace, Tried, Try, Verdict};

/// Between a made span's start and the received one's, and between their ends.
pub const GAP: Nanos = MILLI;

const INTERNAL: i64 = 1;
const SERVER: i64 = 2;
const CLIENT: i64 = 3;
const PRODUCER: i64 = 4;
const CONSUMER: i64 = 5;

/// The spans of all traces that were kept.
pub fn spans(story: &Story) -> Vec<Row> {
    let kept = story.traces.iter().filter(|trace| trace.is_kept);
    kept.flat_map(|trace| Teller::new(story, trace).told(&trace.root)).collect()
}

/// Which span of a call, or of a try; part of its id.
#[derive(Debug, Clone, Copy)]
enum Part {
    Root,
    Internal(u8),
    Operation,
    Request(u8),
    Lookup,
    Connect,
    ProxyMade(u8),
    ProxyReceived,
    Received(u8),
    Between,
    Receive,
}

impl Part {
    fn number(self) -> u64 {
        match self {
            Part::Root => 0,
            Part::Operation => 1,
            Part::Lookup => 2,
            Part::Connect => 3,
            Part::ProxyReceived => 4,
            Part::Between => 5,
            Part::Receive => 6,
            Part::Internal(at) => 16 + u64::from(at),
            Part::Request(at) => 32 + u64::from(at),
            Part::ProxyMade(at) => 48 + u64::from(at),
            Part::Received(at) => 64 + u64::from(at),
        }
    }
}

/// What is said of one span beside where it stands.
struct Said {
    kind: i64,
    name: String,
    start: Nanos,
    duration: Nanos,
    outcome: &'static str,
    tags: Vec<(&'static str, String)>,
}

impl Said {
    fn new(kind: i64, name: &str, start: Nanos, duration: Nanos) -> Said {
        Said { kind, name: name.to_owned(), start, duration, outcome: "ok", tags: Vec::new() }
    }
}

struct Teller<'a> {
    story: &'a Story,
    mesh: &'a Mesh,
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
            (trace_id(self.story, trace), span_id(*number, Part::Request(0)))
        });
        let sent: Vec<(u128, u64)> = sent.collect();
        let parent = match (batch.taken, batch.tries.first()) {
            (Taken::OneByOne { by_client }, Some(first)) => {
                let kind = if by_client { CLIENT } else { CONSUMER };
                let whole = batch.tries.iter().map(|tried| tried.duration).sum();
                let mut said = Said::new(kind, "receive", first.start - GAP, whole);
                said.tags = message_tags(self.mesh, batch.queue, "receive");
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
                tags: message_tags(self.mesh, batch.queue, "process"),
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
        let under_operation = call.made.operation || call.tried == Tried::UnderOperation;
        if under_operation {
            let said = Said {
                outcome: made_outcome(call.verdict).name(),
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
        // What lies inside an operation is a little shorter.
        let less = if is_inside { 2 * PROXY_TIME / 100 } else { 0 };
        let mut said = Said {
            outcome: made_outcome(verdict).name(),
            tags: self.made_tags(call, verdict),
            ..Said::new(made_kind(call), &name(call, self.mesh), start + less, duration - 2 * less)
        };
        if call.tried == Tried::Resent && at > 0 {
            said.tags.push(("http.request.resend_count", at.to_string()));
        }
        let id = self.application(caller, call.number, Part::Request(at as u8), above, said);
        if call.made.connecting && at == 0 {
            for (part, name) in [(Part::Lookup, "dns.lookup"), (Part::Connect, "tcp.connect")] {
                let mut said = Said::new(CLIENT, name, start + less, duration / 10);
                said.tags.push(("net.peer.ip", self.address(call)));
                self.application(caller, call.number, part, id, said);
            }
        }
        if service.proxy_makes_spans() && matches!(call.target, Target::Service(_) | Target::Host(_)) {
            let time = (start + PROXY_TIME / 2, duration - PROXY_TIME);
            return self.made_by_proxy(call, caller, id, at as u8, time);
        }
        id
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
        said.tags = status_tags(call, verdict, true, true);
        let (host, port) = match call.target {
            Target::Service(service) => (self.mesh.services[service].full_host(), 80),
            Target::Host(host) => (self.mesh.hosts[host].name.clone(), self.mesh.hosts[host].port),
            Target::Store(_) | Target::Queue(_) => (String::new(), 0),
        };
        said.tags.push(("upstream_cluster", format!("outbound|{port}||{host}")));
        self.proxy(caller, call.number, Part::ProxyMade(at), parent, said)
    }

    fn received(&mut self, call: &Call, tried: &Try, parent: u64) {
        let service = &self.mesh.services[tried.at.service];
        let mut context = parent;
        if service.sidecar.spans {
            let seen = Seen { by_application: false, is_grpc: call.is_grpc };
            let (start, duration) = (tried.start - PROXY_TIME / 2, tried.duration + PROXY_TIME);
            let mut said = Said {
                outcome: received_outcome(tried.verdict, seen).name(),
                tags: status_tags(call, tried.verdict, false, true),
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
        let is_message = matches!(call.target, Target::Queue(_));
        let kind = if is_message && !tried.received.pushed { CONSUMER } else { SERVER };
        let tags = match call.target {
            Target::Queue(queue) if !tried.received.pushed => message_tags(self.mesh, queue, "process"),
            _ => status_tags(call, tried.verdict, false, false),
        };
        let mut context = parent;
        if tried.received.receive {
            let mut said = Said::new(kind, "receive", tried.start - 4 * PROXY_TIME, tried.duration + GAP);
            if let Target::Queue(queue) = call.target {
                said.tags = message_tags(self.mesh, queue, "receive");
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

    fn application(&mut self, at: Place, number: u64, part: Part, parent: u64, said: Said) -> u64 {
        let service = &self.mesh.services[at.service];
        let id = span_id(number, part);
        let mut row = self.span(at, id, parent, said);
        row.text("service_name", service.name.clone());
        if let Some(namespace) = &service.namespace {
            row.text("service_namespace", namespace.clone());
        }
        let instance = &service.instances[at.instance];
        row.text("service_version", instance.version.clone());
        row.text("service_instance_id", instance.name.clone());
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
        row.values.insert("adjusted_count", Value::Float(f64::from(self.trace.weight)));
        row.values.insert("counted", Value::Bool([SERVER, CONSUMER].contains(&said.kind)));
        promote(&mut row, said.tags);
        row
    }

    fn made_tags(&self, call: &Call, verdict: Verdict) -> Vec<(&'static str, String)> {
        let mut tags = match call.target {
            Target::Queue(queue) => return message_tags(self.mesh, queue, "send"),
            Target::Store(_) => Vec::new(),
            Target::Service(_) | Target::Host(_) => status_tags(call, verdict, true, false),
        };
        tags.extend(self.far_end_tags(call));
        tags
    }

    /// The far end, in one of the ways in which SDKs of all ages write it.
    fn far_end_tags(&self, call: &Call) -> Vec<(&'static str, String)> {
        let (host, port, scheme) = match call.target {
            Target::Service(service) => (self.mesh.services[service].full_host(), 80, "http"),
            Target::Host(host) => (self.mesh.hosts[host].name.clone(), self.mesh.hosts[host].port, "https"),
            Target::Store(store) => return self.store_tags(call, store),
            Target::Queue(_) => return Vec::new(),
        };
        // A callee that answers by spans of its own need not be named at all.
        let answers = call.tries.iter().any(|tried| self.mesh.services[tried.at.service].sdk == Sdk::Full);
        let url = match port {
            80 | 443 => format!("{scheme}://{host}/path?x=1"),
            port => format!("{scheme}://{host}:{port}/path?x=1"),
        };
        match call.made.spelling % if answers { 7 } else { 4 } {
            0 => vec![("server.address", host), ("server.port", port.to_string())],
            1 => vec![("net.peer.name", host), ("net.peer.port", port.to_string())],
            2 => vec![("url.full", url)],
            3 => vec![("http.url", url)],
            4 => vec![("peer.service", host)],
            5 => vec![("network.peer.address", self.address(call))],
            _ => Vec::new(),
        }
    }

    fn store_tags(&self, call: &Call, store: usize) -> Vec<(&'static str, String)> {
        let store = &self.mesh.stores[store];
        let (system, address, port) =
            (store.system.to_owned(), store.address.clone(), store.port.to_string());
        match call.made.spelling % 2 {
            0 => vec![("db.system.name", system), ("server.address", address), ("server.port", port)],
            _ => vec![("db.system", system), ("net.peer.name", address), ("net.peer.port", port)],
        }
    }

    /// An address that the far end has, whatever it is.
    fn address(&self, call: &Call) -> String {
        match call.tries.first() {
            Some(tried) => self.mesh.services[tried.at.service].instances[tried.at.instance].address.clone(),
            None => "10.99.0.1".to_owned(),
        }
    }
}

pub fn trace_id(story: &Story, trace: &Trace) -> u128 {
    u128::from(mixed(story.seed)) << 64 | u128::from(mixed(trace.number + 1))
}

fn span_id(number: u64, part: Part) -> u64 {
    mixed(number << 8 | part.number()).max(1)
}

fn made_kind(call: &Call) -> i64 {
    match call.target {
        Target::Queue(_) => PRODUCER,
        Target::Service(_) | Target::Host(_) | Target::Store(_) => CLIENT,
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

fn message_tags(mesh: &Mesh, queue: usize, operation: &str) -> Vec<(&'static str, String)> {
    let queue = &mesh.queues[queue];
    let mut tags = vec![("messaging.operation.type", operation.to_owned())];
    if let Some(name) = &queue.name {
        tags.push(("messaging.destination.name", name.clone()));
    }
    tags.push(("messaging.system", queue.system.to_owned()));
    if let Some(broker) = &queue.broker {
        tags.push(("server.address", broker.clone()));
    }
    tags
}

/// The protocol's status, as far as this side heard of one.
fn status_tags(call: &Call, verdict: Verdict, is_made: bool, by_proxy: bool) -> Vec<(&'static str, String)> {
    let mut tags = Vec::new();
    let is_grpc = call.is_grpc;
    if is_grpc {
        tags.push(("rpc.system", "grpc".to_owned()));
    } else {
        tags.push((if by_proxy { "http.method" } else { "http.request.method" }, "GET".to_owned()));
    }
    let (http, grpc) = match (verdict, is_made) {
        (Verdict::Ok, _) => (Some(200), Some(0)),
        (Verdict::Threw, _) => (None, None),
        (Verdict::NotFound, _) => (Some(404), Some(5)),
        (Verdict::Failed, _) => (Some(500), Some(13)),
        (Verdict::GrpcUnavailable, _) => (Some(503), Some(14)),
        (Verdict::GrpcExhausted, _) => (Some(429), Some(8)),
        (Verdict::TimedOut, true) => (None, Some(4)),
        (Verdict::TimedOut, false) => (Some(if by_proxy { 0 } else { 499 }), Some(1)),
    };
    if verdict == Verdict::TimedOut && by_proxy {
        tags.push(("response_flags", if is_made { "UT" } else { "DC" }.to_owned()));
    }
    if let Some(code) = http.filter(|_| !is_grpc) {
        tags.push((
            if by_proxy { "http.status_code" } else { "http.response.status_code" },
            code.to_string(),
        ));
    }
    if let Some(code) = grpc.filter(|_| is_grpc) {
        tags.push((if by_proxy { "grpc.status_code" } else { "rpc.grpc.status_code" }, code.to_string()));
    }
    tags
}

/// Fills the columns that attributes are promoted to, and keeps the rest, as ingest does: the name of today
/// leaves the attributes, an older one stays.
fn promote(row: &mut Row, tags: Vec<(&'static str, String)>) {
    let mut kept = Vec::new();
    for (key, value) in tags {
        let today = PROMOTED_SPAN_KEYS.iter().find(|(name, ..)| *name == key).map(|(_, column, _)| *column);
        let older = LEGACY_SPAN_KEYS.iter().find(|(name, _)| *name == key).map(|(_, column)| *column);
        let Some(column) = today.or(older) else {
            kept.push((key.to_owned(), value));
            continue;
        };
        let is_int = PROMOTED_SPAN_KEYS.iter().any(|(_, c, kind)| *c == column && *kind == PromotedType::Int);
        if is_int {
            row.int(column, value.parse().expect("codes and ports are numbers"));
        } else {
            row.text(column, value.clone());
        }
        if today.is_none() {
            kept.push((key.to_owned(), value));
        }
    }
    row.values.insert("attributes", Value::Attributes(kept));
}

const _: () = assert!(GAP > 2 * PROXY_TIME, "what a proxy saw lies between what the two applications saw");
