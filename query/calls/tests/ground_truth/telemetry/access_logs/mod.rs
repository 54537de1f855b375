//! Rows of `requests`, as the proxies of callers, callees and gateways log them.
//!
//! Source: what Istio's sidecars send over ALS, read from their payloads: the caller's proxy has one row for
//! all tries of a call and knows the connection of the last; the callee's has one row each.

mod wires;
mod ambient;

use ambient::WAYPOINT;
use meshlake_schema::{ResponseFlags, Table};

use crate::features::{Feature, Features};
use crate::mesh::{Identity, Instance, Mesh, PROXY_TIME, Service};
use crate::oracle::names::{Seen, made_outcome, proxied, received_outcome};
use crate::random::mixed;
use crate::story::{Call, Place, Refusal, Root, Story, Target, Trace, Try, Upgrade, Verdict};
use crate::telemetry::ids::trace_id;
use crate::telemetry::{Row, Value};

/// The rows of all traces: proxies do not sample.
pub fn requests(story: &Story, features: Features) -> Vec<Row> {
    let mut rows = Vec::new();
    for trace in &story.traces {
        let mut logger = Logger { story, trace, features, rows: Vec::new() };
        match &trace.root {
            Root::Entry(call) => logger.call(call, None),
            Root::Job { calls, .. } => calls.iter().for_each(|call| logger.call(call, None)),
            Root::Batch(batch) => {
                let calls = batch.tries.iter().flat_map(|tried| &tried.calls);
                calls.for_each(|call| logger.call(call, None));
            }
        }
        rows.extend(logger.rows);
    }
    rows
}

/// A call that a gateway received, of which its row tells together with the call it made.
#[derive(Clone, Copy)]
struct Passing<'a> {
    call: &'a Call,
    tried: &'a Try,
}

struct Logger<'a> {
    story: &'a Story,
    trace: &'a Trace,
    features: Features,
    rows: Vec<Row>,
}

impl<'a> Logger<'a> {
    fn call(&mut self, call: &'a Call, passing: Option<Passing<'a>>) {
        if let Some(caller) = call.caller {
            let service = self.service(caller);
            let is_proxied = matches!(call.target, Target::Service(_) | Target::Host(_));
            if service.logs_made() && is_proxied {
                self.made(call, caller, passing);
            }
            if service.is_ambient && matches!(call.target, Target::Service(_)) {
                self.tunnelled(call, caller);
            }
        }
        for (at, tried) in call.tries.iter().enumerate() {
            let service = self.service(tried.at);
            if !service.logs_received() || matches!(call.target, Target::Queue(_)) {
                tried.calls.iter().for_each(|inner| self.call(inner, None));
            } else if service.is_gateway {
                let passing = Passing { call, tried };
                tried.calls.iter().for_each(|inner| self.call(inner, Some(passing)));
            } else {
                self.received(call, tried, at);
                if service.is_ambient {
                    self.tunnelled_on(tried);
                }
                tried.calls.iter().for_each(|inner| self.call(inner, None));
            }
        }
        for mirror in &call.mirrors {
            mirror.calls.iter().for_each(|inner| self.call(inner, None));
        }
    }

    fn made(&mut self, call: &Call, caller: Place, passing: Option<Passing<'_>>) {
        let service = self.service(caller);
        let instance = &service.instances[caller.instance];
        let whole = proxied(call, Some(service));
        let mut row = match passing {
            // A gateway's row begins and ends with the call that it received.
            Some(Passing { tried, .. }) => {
                let (start, whole) = (tried.start - PROXY_TIME / 2, tried.duration + PROXY_TIME);
                Row::at(Table::Requests, start, whole, instance)
            }
            None => Row::at(Table::Requests, call.start + (call.duration - whole) / 2, whole, instance),
        };
        row.text("observer", if passing.is_some() { "gateway" } else { "client" });
        self.ids(&mut row, call, passing.map(|passing| passing.call));
        answer(&mut row, call, call.verdict, made_outcome(call.verdict).name(), true);
        if let Some(refusal) = call.refusal {
            flagged(&mut row, refusal.flag());
        }
        let attempts = match call.refusal {
            Some(Refusal::NoHealthyUpstream | Refusal::RateLimited) => 0,
            // Its proxy may have tried to connect several times.
            Some(Refusal::ConnectionFailed) => 1 + call.number as usize % 3,
            None => call.tries.len().max(1) + self.unconnected(call),
        };
        row.int("attempts", attempts as i64);
        own(&mut row, "source", service, instance);
        self.called(&mut row, call);
        let (first, last) = (self.port(call, 0), self.port(call, call.tries.len().saturating_sub(1)));
        if call.refusal.is_none() {
            row.text("upstream_local_address", format!("{}:{last}", self.address(call, caller)));
        }
        match passing {
            Some(Passing { call: outer, tried }) => {
                row.text("downstream_remote_address", self.caller_address(outer, tried));
                row.text("downstream_direct_remote_address", self.caller_address(outer, tried));
                row.text("downstream_local_address", self.endpoint(outer, tried.at));
            }
            None => row.text("downstream_remote_address", format!("127.0.0.1:{first}")),
        }
        row.text("proxy_id", instance.name.clone());
        row.text("proxy_version", release(instance));
        if self.is_tcp(call) {
            connection_only(&mut row);
        }
        self.rows.push(row);
    }

    /// Whom the caller's proxy called, by the host it was asked for and, if the two know one another, by
    /// what the callee's proxy said.
    fn called(&self, row: &mut Row, call: &Call) {
        match call.target {
            Target::Service(number) => {
                let callee = &self.story.mesh.services[number];
                row.text("destination_service", callee.host.clone());
                if let Some(namespace) = &callee.namespace {
                    row.text("destination_namespace", namespace.clone());
                }
                row.text("authority", self.authority(call, callee));
                row.text("upstream_cluster", format!("outbound|80||{}", callee.full_host()));
                let Some(last) = call.tries.last() else { return };
                let instance = &callee.instances[last.at.instance];
                row.text("destination_address", instance.address.clone());
                row.text("upstream_host", self.endpoint(call, last.at));
                if callee.identity == Identity::Metadata && callee.logs_received() {
                    row.text("destination_workload", callee.name.clone());
                    row.text("destination_version", instance.version.clone());
                    row.text("destination_instance", instance.name.clone());
                }
            }
            Target::Host(number) => {
                let host = &self.story.mesh.hosts[number];
                row.text("destination_service", host.name.clone());
                row.text("authority", format!("{}:{}", host.name, host.port));
                row.text("upstream_cluster", "PassthroughCluster");
                row.text("upstream_host", format!("198.51.100.7:{}", host.port));
            }
            Target::Store(_) | Target::Queue(_) => {}
        }
    }

    fn received(&mut self, call: &Call, tried: &Try, at: usize) {
        let service = self.service(tried.at);
        let instance = &service.instances[tried.at.instance];
        let (start, duration) = (tried.start - PROXY_TIME / 2, tried.duration + PROXY_TIME);
        let mut row = Row::at(Table::Requests, start, duration, instance);
        row.text("observer", "server");
        self.ids(&mut row, call, None);
        let seen = Seen { by_application: false, is_grpc: call.is_grpc };
        answer(&mut row, call, tried.verdict, received_outcome(tried.verdict, seen).name(), false);
        row.int("attempts", 1);
        own(&mut row, "destination", service, instance);
        row.text("authority", self.authority(call, service));
        if service.has_inner_sidecar {
            self.behind_waypoint(&row, tried);
        }
        let at_waypoint = format!("inbound-vip|80|http|{}", service.full_host());
        row.text("upstream_cluster", if service.is_ambient { &*at_waypoint } else { "inbound|80||" });
        row.text("upstream_host", format!("{}:80", instance.address));
        row.text("downstream_local_address", self.endpoint(call, tried.at));
        let remote = match call.caller {
            Some(place) => format!("{}:{}", self.address(call, place), self.port(call, at)),
            None => format!("192.0.2.9:{}", self.port(call, at)),
        };
        row.text("downstream_remote_address", remote.clone());
        row.text("downstream_direct_remote_address", remote.clone());
        row.text(
            "source_address",
            remote.rsplit_once(':').map_or(String::new(), |(host, _)| host.to_owned()),
        );
        if let Some(place) = call.caller {
            self.caller(&mut row, place, service.identity);
        }
        row.text("proxy_id", if service.is_ambient { WAYPOINT } else { &*instance.name });
        row.text("proxy_version", release(instance));
        if service.is_tcp {
            connection_only(&mut row);
        }
        if service.is_inbound_only {
            row.values.retain(|column, _| !["request_id", "stream_id", "trace_id"].contains(column));
        }
        self.rows.push(row);
    }

    /// Who called, as far as the callee's proxy knows.
    fn caller(&self, row: &mut Row, place: Place, identity: Identity) {
        let caller = self.service(place);
        if !(caller.logs_received() || caller.is_ambient) || identity == Identity::Address {
            return;
        }
        let namespace = caller.namespace.clone().unwrap_or_default();
        row.text("source_principal", format!("spiffe://cluster.local/ns/{namespace}/sa/{}", caller.account));
        row.text("source_namespace", namespace);
        match identity {
            Identity::Metadata => {
                let instance = self.instance(place);
                row.text("source_service", caller.name.clone());
                row.text("source_workload", caller.name.clone());
                row.text("source_version", instance.version.clone());
                row.text("source_instance", instance.name.clone());
            }
            _ => {
                row.text("source_service", caller.account.clone());
                row.text("identity_source", "certificate");
            }
        }
    }

    fn ids(&self, row: &mut Row, call: &Call, outer: Option<&Call>) {
        // A gateway passes on the id of the request that it received.
        let of = outer.unwrap_or(call).number;
        let number = if self.features.has(Feature::SharedRequestIds) {
            mixed(self.trace.number)
        } else {
            self.request_number(of)
        };
        let id = format!("req-{number:016x}");
        // Envoy's id of the stream of an HTTP request is its `x-request-id`.
        row.text("stream_id", id.clone());
        row.text("request_id", id);
        row.text("trace_id", format!("{:032x}", trace_id(self.story, self.trace)));
        row.values.insert("counted", Value::Bool(true));
        row.text("layer", "l7");
        row.text("method", if call.upgrade == Some(Upgrade::Tunnel) { "CONNECT" } else { "GET" });
        row.text("path", "/path?x=1");
        row.text("source_format", "envoy_als_http");
        row.int("request_bytes", 100);
        row.int("response_bytes", 1_000);
    }

    /// What a gateway received and what it made of it have one id.
    fn request_number(&self, call: u64) -> u64 {
        let calls = self.trace.calls();
        let passing = calls.iter().find(|outer| {
            let mut inside =
                outer.tries.iter().filter(|t| self.service(t.at).is_gateway).flat_map(|t| &t.calls);
            inside.any(|inner| inner.number == call)
        });
        mixed(passing.map_or(call, |outer| outer.number))
    }

    fn caller_address(&self, call: &Call, tried: &Try) -> String {
        let at = call.tries.iter().position(|other| other.number == tried.number).unwrap_or(0);
        match call.caller {
            Some(place) => format!("{}:{}", self.address(call, place), self.port(call, at)),
            None => format!("192.0.2.9:{}", self.port(call, at)),
        }
    }

    /// The host that the caller asked for: within a namespace its first label does.
    fn authority(&self, call: &Call, callee: &Service) -> String {
        let from = call.caller.and_then(|place| self.service(place).namespace.clone());
        match &callee.namespace {
            Some(namespace) if from.as_ref() != Some(namespace) => format!("{}.{namespace}", callee.host),
            _ => callee.host.clone(),
        }
    }

    /// The port that a try came from; each try has a connection of its own. There are few ports for plain
    /// connections, so that several hosts have the same one at the same time.
    fn port(&self, call: &Call, at: usize) -> u64 {
        let port =
            if self.is_tcp(call) { call.number % 3 } else { 10 + (call.number * 8 + at as u64) % 50_000 };
        10_000 + port
    }

    fn is_tcp(&self, call: &Call) -> bool {
        matches!(call.target, Target::Service(callee) if self.story.mesh.services[callee].is_tcp)
    }

    fn service(&self, place: Place) -> &'a Service {
        let mesh: &'a Mesh = &self.story.mesh;
        &mesh.services[place.service]
    }

    fn instance(&self, place: Place) -> &'a Instance {
        &self.service(place).instances[place.instance]
    }
}

/// Leaves of a row what is known of a connection.
fn connection_only(row: &mut Row) {
    for column in ["method", "path", "authority", "request_id", "response_code", "trace_id"] {
        row.values.remove(column);
    }
    row.text("layer", "l4");
    row.text("protocol", "TCP");
    row.text("source_format", "envoy_als_tcp");
}

fn own(row: &mut Row, end: &'static str, service: &Service, instance: &Instance) {
    let namespace = service.namespace.clone().unwrap_or_default();
    let columns = match end {
        "source" => SOURCE,
        _ => DESTINATION,
    };
    let cluster = instance.cluster().to_owned();
    let values = [
        &service.name,
        &namespace,
        &service.name,
        &instance.version,
        &instance.name,
        &instance.address,
        &cluster,
    ];
    for (column, value) in columns.into_iter().zip(values) {
        row.text(column, value.clone());
    }
}

const SOURCE: [&str; 7] = [
    "source_service",
    "source_namespace",
    "source_workload",
    "source_version",
    "source_instance",
    "source_address",
    "source_cluster",
];
const DESTINATION: [&str; 7] = [
    "destination_service",
    "destination_namespace",
    "destination_workload",
    "destination_version",
    "destination_instance",
    "destination_address",
    "destination_cluster",
];

fn answer(row: &mut Row, call: &Call, verdict: Verdict, outcome: &'static str, is_made: bool) {
    let (http, grpc) = match verdict {
        Verdict::Ok if call.upgrade == Some(Upgrade::Socket) => (101, 0),
        Verdict::Ok | Verdict::Threw => (200, 0),
        Verdict::NotFound => (404, 5),
        Verdict::Failed => (500, 13),
        Verdict::GrpcUnavailable => (503, 14),
        Verdict::GrpcExhausted => (429, 8),
        Verdict::TimedOut => (504, 4),
    };
    match (verdict, is_made) {
        (Verdict::TimedOut, true) => flagged(row, "UT"),
        (Verdict::TimedOut, false) => flagged(row, "DC"),
        _ => {}
    }
    let has_answer = verdict != Verdict::TimedOut || is_made;
    if has_answer {
        row.int("response_code", if call.is_grpc { 200 } else { http });
        if call.is_grpc {
            row.int("grpc_status", grpc);
        }
    }
    row.text("outcome", outcome);
    row.text("protocol", if call.is_grpc { "HTTP/2" } else { "HTTP/1.1" });
}

fn flagged(row: &mut Row, flags: &'static str) {
    row.int("response_flags", ResponseFlags::from_short_names(flags).0.cast_signed());
    row.text("response_flags_text", flags);
}

/// Sidecars of two releases, one an instance.
fn release(instance: &Instance) -> &'static str {
    if instance.name.len().is_multiple_of(2) { "1.27.1" } else { "1.28.0" }
}
