//! What nodes are called, and what each side of a call knows of how it ended.

use crate::mesh::{GAP, Mesh, Nanos, PROXY_TIME, Sdk, Service};
use crate::story::{Call, Target, Try, Verdict};

use super::figures::{Label, Lasted, Outcome};

/// How long the caller's proxy saw the call take: less than the application, where that is seen too. A
/// gateway has one row for what it received and what it made of it, and that begins with the former.
pub fn proxied(call: &Call, caller: Option<&Service>) -> Nanos {
    match caller {
        Some(caller) if caller.is_gateway => call.duration + PROXY_TIME,
        Some(caller) if caller.sdk != Sdk::Silent => call.duration - PROXY_TIME,
        _ => call.duration,
    }
}

/// How long a call was, if it did not become a connection.
pub fn lasted(call: &Call, duration: Nanos) -> Lasted {
    if call.upgrade.is_some() { Lasted::Connection } else { Lasted::For(duration) }
}

/// How long the made span of one try is.
pub fn made_duration(tried: &Try) -> Nanos {
    tried.duration + 2 * GAP
}

pub fn service_label(service: &Service) -> Label {
    let name = match &service.namespace {
        Some(namespace) => format!("{namespace}/{}", service.name),
        None => service.name.clone(),
    };
    Label { kind: if service.is_gateway { "gateway" } else { "service" }, name, apart: String::new() }
}

pub fn far_end(mesh: &Mesh, target: Target) -> Label {
    match target {
        Target::Service(service) => service_label(&mesh.services[service]),
        Target::Store(store) => {
            let store = &mesh.stores[store];
            let name = match &store.namespace {
                Some(namespace) => format!("{namespace}/{}", store.name),
                None => store.name.clone(),
            };
            Label { kind: "database", name, apart: format!("{}:{}", store.system, store.port) }
        }
        Target::Host(host) => {
            let host = &mesh.hosts[host];
            Label { kind: "external", name: host.name.clone(), apart: host.port.to_string() }
        }
        Target::Queue(queue) => {
            let queue = &mesh.queues[queue];
            let name = queue.name.as_ref().or(queue.broker.as_ref()).cloned().unwrap_or_default();
            Label { kind: "messaging", name, apart: queue.system.to_owned() }
        }
    }
}

pub fn either(made: Outcome, received: Outcome) -> Outcome {
    if received == Outcome::Error { Outcome::Error } else { made }
}

/// What the caller hears: an answer that never came is a time-out, an error of the call.
pub fn made_outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Ok | Verdict::Threw => Outcome::Ok,
        Verdict::NotFound | Verdict::GrpcExhausted => Outcome::ClientError,
        Verdict::Failed | Verdict::GrpcUnavailable | Verdict::TimedOut => Outcome::Error,
    }
}

/// Who tells of a received call.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub by_application: bool,
    pub is_grpc: bool,
}

/// What the callee knows of a caller that is gone: a proxy, and gRPC, know that it is gone; a web server
/// writes 499, which is one of the 4xx.
pub fn received_outcome(verdict: Verdict, seen: Seen) -> Outcome {
    match verdict {
        Verdict::TimedOut if seen.by_application && !seen.is_grpc => Outcome::ClientError,
        Verdict::TimedOut => Outcome::Aborted,
        Verdict::Threw => Outcome::Error,
        other => made_outcome(other),
    }
}

/// Whether nothing is known of a queue, so that its messages go from producer to consumer.
pub fn is_direct(mesh: &Mesh, queue: usize) -> bool {
    mesh.queues[queue].name.is_none() && mesh.queues[queue].broker.is_none()
}
