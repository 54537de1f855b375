//! What is written on spans as attributes, in the spellings of SDKs of all ages.
//!
//! Sources: OpenTelemetry semantic conventions for HTTP, RPC, databases and messaging, today's names and those
//! before 1.20; Envoy's tracer, read from its payloads.

use meshlake_schema::tables::{OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};

use super::{Row, Value};
use crate::mesh::{Mesh, Sdk};
use crate::story::{Call, Spelling, Target, Upgrade, Verdict};

pub type Tags = Vec<(&'static str, String)>;

/// What is written on the operation around a request: which store it is, if the request knows only a host.
pub fn of_operation(mesh: &Mesh, call: &Call) -> Tags {
    match call.target {
        Target::Store(store) if mesh.stores[store].is_behind_http => {
            let store = &mesh.stores[store];
            vec![("db.system.name", store.system.to_owned()), ("db.namespace", store.name.clone())]
        }
        _ => Vec::new(),
    }
}

/// What the SDK of the caller writes on a made span.
pub fn made(mesh: &Mesh, call: &Call, verdict: Verdict) -> Tags {
    let mut tags = match call.target {
        Target::Queue(queue) => return of_message(mesh, queue, "send"),
        Target::Store(_) => Vec::new(),
        Target::Service(_) | Target::Host(_) => of_status(call, verdict, true, false),
    };
    tags.extend(far_end(mesh, call));
    tags
}

/// The far end, in one of the ways in which SDKs of all ages write it.
fn far_end(mesh: &Mesh, call: &Call) -> Tags {
    let (host, port, scheme) = match call.target {
        Target::Service(service) => (mesh.services[service].full_host(), 80, "http"),
        Target::Host(host) => (mesh.hosts[host].name.clone(), mesh.hosts[host].port, "https"),
        Target::Store(store) => return of_store(mesh, call, store),
        Target::Queue(_) => return Vec::new(),
    };
    // A callee that answers by spans of its own need not be named at all.
    let answers = call.tries.iter().any(|tried| mesh.services[tried.at.service].sdk == Sdk::Full);
    let url = match port {
        80 | 443 => format!("{scheme}://{host}/path?x=1"),
        port => format!("{scheme}://{host}:{port}/path?x=1"),
    };
    match call.made.spelling {
        Spelling::NetPeerName => vec![("net.peer.name", host), ("net.peer.port", port.to_string())],
        Spelling::UrlFull => vec![("url.full", url)],
        Spelling::HttpUrl => vec![("http.url", url)],
        Spelling::PeerService if answers => vec![("peer.service", host)],
        Spelling::PeerAddress if answers => vec![("network.peer.address", address(mesh, call))],
        Spelling::Nothing if answers => Vec::new(),
        _ => vec![("server.address", host), ("server.port", port.to_string())],
    }
}

pub fn of_store(mesh: &Mesh, call: &Call, store: usize) -> Tags {
    let store = &mesh.stores[store];
    if store.is_behind_http {
        let port = store.port.to_string();
        return vec![("server.address", store.address.clone()), ("server.port", port)];
    }
    let (system, address, port) = (store.system.to_owned(), store.address.clone(), store.port.to_string());
    match call.made.spelling {
        Spelling::ServerAddress | Spelling::UrlFull => {
            vec![("db.system.name", system), ("server.address", address), ("server.port", port)]
        }
        _ => vec![("db.system", system), ("net.peer.name", address), ("net.peer.port", port)],
    }
}

/// An address that the far end has, whatever it is.
pub fn address(mesh: &Mesh, call: &Call) -> String {
    match call.tries.first() {
        Some(tried) => mesh.services[tried.at.service].instances[tried.at.instance].address.clone(),
        None => "10.99.0.1".to_owned(),
    }
}

/// What is done about a message that was worked on, which moves none.
pub const SETTLING: [&str; 3] = ["settle", "renew", "modack"];

/// What is written on a span of a message, as far as its queue is known.
pub fn of_message(mesh: &Mesh, queue: usize, operation: &str) -> Tags {
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
pub fn of_status(call: &Call, verdict: Verdict, is_made: bool, by_proxy: bool) -> Tags {
    let mut tags = Vec::new();
    let is_grpc = call.is_grpc;
    if is_grpc {
        tags.push(("rpc.system", "grpc".to_owned()));
    } else {
        let method = if call.upgrade == Some(Upgrade::Tunnel) { "CONNECT" } else { "GET" };
        tags.push((if by_proxy { "http.method" } else { "http.request.method" }, method.to_owned()));
    }
    let (http, grpc) = match (verdict, is_made) {
        (Verdict::Ok, _) if call.upgrade == Some(Upgrade::Socket) => (Some(101), None),
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
pub fn promote(row: &mut Row, tags: Tags) {
    let mut kept = Vec::new();
    for (key, value) in tags {
        let today = PROMOTED_SPAN_KEYS.iter().find(|(name, ..)| *name == key).map(|(_, column, _)| *column);
        let older = OTHER_SPAN_KEYS.iter().find(|(name, _)| *name == key).map(|(_, column)| *column);
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
