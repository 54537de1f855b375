//! The things that call one another: services and how each is watched, data stores, queues, outside hosts.
//!
//! Nothing here knows how a row looks. Who can be watched how decides what can be known; the rules that keep
//! a mesh knowable are in [`Mesh::may_call`].

mod clusters;
mod outside;

use outside::{queues, stores};

use crate::features::{Feature, Features};
use crate::random::Random;

pub type Nanos = i64;
pub const MILLI: Nanos = 1_000_000;
pub const SECOND: Nanos = 1_000 * MILLI;

/// Between a made span's start and the received one's, and between their ends.
pub const GAP: Nanos = MILLI;

const _: () = assert!(GAP > 2 * PROXY_TIME, "what a proxy saw lies between what two applications saw");

/// What lies between a call as an application sees it and as the proxy beside it does.
pub const PROXY_TIME: Nanos = 200_000;

/// How much earlier an operation of an SDK begins than the one request inside it, and how much later it ends.
pub const OPERATION_TIME: Nanos = PROXY_TIME / 50;

/// What the application's own SDK records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// Spans of what it received and of what it made.
    Full,
    /// INTERNAL spans of what it received, beside those that it made.
    Internal,
    /// Only what it made: a proxy with CLIENT spans alone.
    Made,
    /// Nothing.
    Silent,
}

/// What the proxy beside the application records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sidecar {
    pub rows: bool,
    pub spans: bool,
}

/// How much two proxies know of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Names, versions and instances, exchanged by the proxies.
    Metadata,
    /// The service account in the certificate.
    Certificate,
    /// Addresses: no mutual TLS.
    Address,
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub name: String,
    pub address: String,
    pub version: String,
    /// How far its clock is ahead.
    pub skew: Nanos,
}

#[derive(Debug, Clone)]
pub struct Service {
    /// What it calls itself.
    pub name: String,
    /// What its callers call it: the first label of its host.
    pub host: String,
    pub namespace: Option<String>,
    pub account: String,
    pub sdk: Sdk,
    pub sidecar: Sidecar,
    pub identity: Identity,
    pub is_gateway: bool,
    /// It speaks TCP of its own; no SDK knows.
    pub is_tcp: bool,
    /// It has no proxy beside it: its node's tunnels what leaves, and a waypoint stands before it.
    pub is_ambient: bool,
    /// There is a sidecar behind the waypoint, which logs.
    pub has_inner_sidecar: bool,
    /// Its proxy logs what it received and nothing else, and knows no id of a request.
    pub is_inbound_only: bool,
    /// Its proxy makes no spans of what it received.
    pub is_made_only: bool,
    /// Its spans say of themselves that they stand for one, whatever the trace stands for.
    pub forgets_weight: bool,
    pub instances: Vec<Instance>,
}

impl Service {
    pub fn full_host(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}.{namespace}.svc.cluster.local", self.host),
            None => self.host.clone(),
        }
    }

    /// Whether anything beside its callers tells that it was called.
    pub fn reports(&self) -> bool {
        self.logs_received() || self.spans_received()
    }

    /// Whether spans tell of calls that it received.
    pub fn spans_received(&self) -> bool {
        self.sdk != Sdk::Silent || self.sidecar.spans
    }

    /// Whether spans tell of calls that it made: a waypoint sees only what comes.
    pub fn spans_made(&self) -> bool {
        self.sdk != Sdk::Silent || self.proxy_makes_spans()
    }

    pub fn proxy_makes_spans(&self) -> bool {
        self.sidecar.spans && !self.is_ambient
    }

    /// Whether spans tell of what it received itself, not only by what it made of it.
    pub fn proxy_receives_spans(&self) -> bool {
        self.sidecar.spans && !self.is_made_only
    }

    /// How many traces its spans say to stand for.
    pub fn weight(&self, trace: u32) -> u32 {
        if self.forgets_weight { 1 } else { trace }
    }

    pub fn logs_received(&self) -> bool {
        self.sidecar.rows
    }

    pub fn logs_made(&self) -> bool {
        self.sidecar.rows && !self.is_ambient && !self.is_inbound_only
    }
}

#[derive(Debug, Clone)]
pub struct Store {
    pub system: &'static str,
    pub address: String,
    /// The name of the node and its namespace, where the address tells them.
    pub name: String,
    pub namespace: Option<String>,
    pub port: u16,
    /// Its SDK speaks HTTP to a host that many have, and the operation around that knows its name.
    pub is_behind_http: bool,
}

#[derive(Debug, Clone)]
pub struct Queue {
    pub system: &'static str,
    /// `None`: a broker that names no queue.
    pub name: Option<String>,
    /// The broker's address; `None`: nothing is known but that there are messages.
    pub broker: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Host {
    pub name: String,
    pub port: u16,
}

#[derive(Debug, Clone, Default)]
pub struct Mesh {
    pub services: Vec<Service>,
    pub stores: Vec<Store>,
    pub queues: Vec<Queue>,
    pub hosts: Vec<Host>,
}

const NAMES: [&str; 8] = ["web", "cart", "orders", "billing", "search", "stock", "mailer", "quotes"];

impl Mesh {
    pub fn drawn(features: Features, random: &mut Random) -> Mesh {
        let mut mesh = Mesh::default();
        let count = 3 + random.below(5);
        for (number, name) in NAMES.into_iter().enumerate().take(count) {
            mesh.services.push(service(number, name, features, random));
        }
        if features.has(Feature::Namespaces) {
            let namesake = service(mesh.services.len(), NAMES[0], features, random);
            mesh.services.push(Service { namespace: Some("bank".to_owned()), ..namesake });
            // Without a namespace the name would be read as that of the only one that has one.
            mesh.services[0].namespace = Some("shop".to_owned());
        }
        if features.has(Feature::Gateways) {
            mesh.services.push(gateway(mesh.services.len(), features, random));
        }
        if features.has(Feature::Silent) {
            mesh.services.push(silent(mesh.services.len()));
        }
        if features.has(Feature::Connections) {
            mesh.services.push(mail(mesh.services.len(), features, random));
        }
        if features.has(Feature::Waypoints) {
            for name in ["maps", "rates", "tiles"] {
                mesh.services.push(ambient(mesh.services.len(), name, features, random));
            }
        }
        if features.has(Feature::InboundOnly) {
            for name in ["rooms", "beds"] {
                mesh.services.push(inbound_only(mesh.services.len(), name, features, random));
            }
        }
        if features.has(Feature::Stores) {
            mesh.stores = stores();
        }
        if features.has(Feature::Hosts) {
            let host = |name: &str, port| Host { name: name.to_owned(), port };
            mesh.hosts = vec![
                host("api.pay.example", 443),
                host("maps.geo.example", 443),
                host("maps.geo.example", 8443),
            ];
        }
        mesh.queues = queues(features);
        mesh
    }

    /// Whether what `caller` does to `callee` can be known at all.
    ///
    /// A caller whose calls only spans see and a callee whose calls only access logs see have nothing in
    /// common by which the two could be one call; and behind a proxy that writes logs alone a trace is cut,
    /// so that an SDK behind it would see a call from nowhere.
    pub fn may_call(&self, caller: usize, callee: usize) -> bool {
        let (from, to) = (&self.services[caller], &self.services[callee]);
        let (logs, spans) = (from.logs_made(), from.spans_made());
        if !to.reports() {
            return logs || spans;
        }
        if to.is_tcp {
            return logs;
        }
        if from.is_inbound_only || to.is_inbound_only {
            return from.is_inbound_only && to.is_inbound_only;
        }
        if to.is_ambient {
            return from.is_ambient && (spans || !to.spans_received());
        }
        match (logs, spans) {
            (true, true) => true,
            (true, false) => to.logs_received() && !to.spans_received(),
            (false, true) => !to.logs_received(),
            (false, false) => false,
        }
    }
}

fn service(number: usize, name: &str, features: Features, random: &mut Random) -> Service {
    let has_rows = features.has(Feature::SidecarRows) && random.percent(60);
    let has_spans = features.has(Feature::SidecarSpans) && random.percent(50);
    let sidecar = Sidecar { rows: has_rows, spans: has_spans };
    let is_thin = features.has(Feature::Thin) && sidecar == Sidecar::default() && random.percent(25);
    let is_silent = sidecar != Sidecar::default() && random.percent(40);
    let sdk = match (is_thin, is_silent) {
        (true, _) => random.pick(&[Sdk::Internal, Sdk::Made]),
        (_, true) => Sdk::Silent,
        _ => Sdk::Full,
    };
    // An SDK that is not told its namespace; where there are proxies, they tell.
    let namespace = if sidecar == Sidecar::default() && random.percent(30) { None } else { Some("shop") };
    let identity = match random.below(3) {
        0 if features.has(Feature::Plaintext) => Identity::Address,
        1 if features.has(Feature::Accounts) => Identity::Certificate,
        _ => Identity::Metadata,
    };
    let has_alias = features.has(Feature::Aliases) && has_rows && identity == Identity::Address;
    let account = if features.has(Feature::Accounts) { "robot".to_owned() } else { name.to_owned() };
    Service {
        name: name.to_owned(),
        host: if has_alias { format!("{name}-svc") } else { name.to_owned() },
        namespace: namespace.map(str::to_owned),
        account,
        sdk,
        sidecar,
        identity,
        is_gateway: false,
        is_tcp: false,
        is_ambient: false,
        has_inner_sidecar: false,
        is_inbound_only: false,
        is_made_only: false,
        forgets_weight: features.has(Feature::Weights) && random.percent(30),
        instances: instances(number, name, features, random),
    }
}

fn instances(number: usize, name: &str, features: Features, random: &mut Random) -> Vec<Instance> {
    let count = 1 + random.below(3);
    (0..count)
        .map(|at| Instance {
            name: format!("{name}-{at}"),
            address: format!("10.0.{number}.{}", at + 1),
            version: format!("v{}", 1 + at % 2),
            skew: if features.has(Feature::Skew) { random.between(-3_000, 3_000) * MILLI } else { 0 },
        })
        .collect()
}

fn gateway(number: usize, features: Features, random: &mut Random) -> Service {
    let rows = features.has(Feature::SidecarRows) && random.percent(60);
    Service {
        name: "ingress".to_owned(),
        host: "ingress".to_owned(),
        namespace: Some("istio-system".to_owned()),
        account: "ingress".to_owned(),
        sdk: Sdk::Silent,
        sidecar: Sidecar { rows, spans: true },
        identity: Identity::Metadata,
        is_gateway: true,
        is_tcp: false,
        is_ambient: false,
        has_inner_sidecar: false,
        is_inbound_only: false,
        is_made_only: features.has(Feature::GatewayClients) && random.percent(60),
        forgets_weight: features.has(Feature::Weights) && random.percent(30),
        instances: instances(number, "ingress", features, random),
    }
}

fn silent(number: usize) -> Service {
    let instance = Instance {
        name: "legacy-0".to_owned(),
        address: format!("10.0.{number}.1"),
        version: String::new(),
        skew: 0,
    };
    Service {
        name: "legacy".to_owned(),
        host: "legacy".to_owned(),
        namespace: Some("shop".to_owned()),
        account: "legacy".to_owned(),
        sdk: Sdk::Silent,
        sidecar: Sidecar::default(),
        identity: Identity::Address,
        is_gateway: false,
        is_tcp: false,
        is_ambient: false,
        has_inner_sidecar: false,
        is_inbound_only: false,
        is_made_only: false,
        forgets_weight: false,
        instances: vec![instance],
    }
}

/// A service that only connections go to.
fn mail(number: usize, features: Features, random: &mut Random) -> Service {
    let identity = if features.has(Feature::Plaintext) { Identity::Address } else { Identity::Metadata };
    Service {
        sdk: Sdk::Silent,
        sidecar: Sidecar { rows: true, spans: false },
        namespace: Some("shop".to_owned()),
        host: "smtp".to_owned(),
        account: "smtp".to_owned(),
        identity,
        is_tcp: true,
        ..service(number, "smtp", Features::NONE, random)
    }
}

/// A service of which only its own proxy tells.
fn inbound_only(number: usize, name: &str, features: Features, random: &mut Random) -> Service {
    Service {
        sdk: Sdk::Silent,
        sidecar: Sidecar { rows: true, spans: false },
        namespace: Some("shop".to_owned()),
        identity: Identity::Metadata,
        is_inbound_only: true,
        instances: instances(number, name, features, random),
        ..service(number, name, Features::NONE, random)
    }
}

/// A service without a sidecar: the waypoint before it knows who calls, for the tunnel says so.
fn ambient(number: usize, name: &str, features: Features, random: &mut Random) -> Service {
    let sidecar = random.pick(&[
        Sidecar { rows: true, spans: false },
        Sidecar { rows: false, spans: true },
        Sidecar { rows: true, spans: true },
    ]);
    Service {
        sdk: random.pick(&[Sdk::Full, Sdk::Silent]),
        sidecar,
        namespace: Some("shop".to_owned()),
        identity: Identity::Metadata,
        is_ambient: true,
        has_inner_sidecar: sidecar.rows && features.has(Feature::BehindWaypoints) && random.percent(60),
        instances: instances(number, name, features, random),
        ..service(number, name, Features::NONE, random)
    }
}
