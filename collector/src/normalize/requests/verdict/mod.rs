//! What the facts of a request mean: observer, both ends, outcome, and whether it counts.
//!
//! The side is told by the strongest sign first: the node's type, the cluster's direction, then addresses,
//! TLS and metadata. The cluster outranks metadata because a sidecar reports its own application's
//! metadata as the downstream peer of outbound calls too (seen in captures of Envoy 1.40).

use meshlake_schema::outcome::{Evidence, fault_class, outcome};
use meshlake_schema::{FaultClass, Outcome, ResponseFlags};

use super::clusters::{self, Cluster, parse_server_name};
use super::endpoints::{callee, caller, own, own_as_callee};
use super::facts::{Layer, Observer, RequestFacts};
use super::peer::{IdentitySource, Peer};
use super::proxy::{ProxyIdentity, ProxyKind};

/// What the facts of a request mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict<'a> {
    pub observer: Observer,
    /// Whether the row stands for one call.
    pub counted: bool,
    /// The flags reported, and those that only the details tell of.
    pub flags: ResponseFlags,
    pub fault_class: Option<FaultClass>,
    pub outcome: Outcome,
    pub source: Peer<'a>,
    pub destination: Peer<'a>,
    /// What named the end that is not the proxy's own; `None` when nothing is known of it.
    pub identity_source: Option<IdentitySource>,
}

/// Judges one request that `proxy` reported.
pub fn judge<'a>(seen: &'a RequestFacts<'_>, proxy: &'a ProxyIdentity) -> Verdict<'a> {
    let cluster = clusters::parse(&seen.upstream_cluster, proxy.is_istio());
    let observer = observer(seen, proxy, cluster);
    let (source, destination, identity_source) = match observer {
        Observer::Client | Observer::Gateway => {
            let (callee, by) = callee(seen, proxy, cluster);
            (own(proxy, [&seen.upstream_local, &seen.downstream_local]), callee, by)
        }
        Observer::Server if proxy.kind == ProxyKind::Waypoint => {
            let (caller, by) = caller(seen, proxy);
            (caller, callee(seen, proxy, cluster).0, by)
        }
        Observer::Server => {
            let (caller, by) = caller(seen, proxy);
            (caller, own_as_callee(seen, proxy, cluster), by)
        }
    };
    let ends_call = seen.log_type.ends_call();
    let flags = flags_of(seen);
    // Only a row that ends an HTTP call says by a missing code that no response was sent.
    let no_response = (seen.layer == Layer::L7 && ends_call).then_some(0);
    let evidence = Evidence {
        http_status: seen.response_code.map(i64::from).or(no_response),
        grpc_status: seen.grpc_status.map(i64::from),
        dubbo_status: None,
        flags,
        span_error: false,
        client_side: observer != Observer::Server,
    };
    Verdict {
        observer,
        counted: ends_call && cluster != Cluster::Plumbing,
        flags,
        fault_class: fault_class(flags),
        outcome: outcome(&evidence),
        source,
        destination,
        identity_source,
    }
}

/// DO and UDO have no field in Envoy's message; its details tell of them (`stream_info.h`, response code
/// details `drop_overload` and `unconditional_drop_overload`).
fn flags_of(seen: &RequestFacts<'_>) -> ResponseFlags {
    let by_details = match &*seen.response_code_details {
        "drop_overload" => ResponseFlags::from_short_names("DO"),
        "unconditional_drop_overload" => ResponseFlags::from_short_names("UDO"),
        _ => ResponseFlags::default(),
    };
    ResponseFlags(seen.flags.0 | by_details.0)
}

fn observer(seen: &RequestFacts<'_>, proxy: &ProxyIdentity, cluster: Cluster<'_>) -> Observer {
    if let Some(observer) = seen.observer {
        return observer;
    }
    match proxy.kind {
        ProxyKind::Gateway => return Observer::Gateway,
        ProxyKind::Waypoint => return Observer::Server,
        ProxyKind::Sidecar | ProxyKind::Plain => {}
    }
    match cluster {
        Cluster::Outbound(_) | Cluster::Passthrough | Cluster::BlackHole => return Observer::Client,
        Cluster::Inbound(_) | Cluster::InboundVip(_) | Cluster::InboundPassthrough => {
            return Observer::Server;
        }
        Cluster::Plumbing | Cluster::Named(_) | Cluster::Absent => {}
    }
    if proxy.has_address(&seen.downstream_local.host) {
        return Observer::Server;
    }
    if proxy.has_address(&seen.downstream_direct_remote.host) {
        return Observer::Client;
    }
    if proxy.kind == ProxyKind::Plain {
        // A plain Envoy that names no direction stands between others as a party of its own.
        return Observer::Gateway;
    }
    let called_over_mesh_tls =
        parse_server_name(&seen.requested_server_name).is_some() || !seen.caller_principal.is_empty();
    let called_by_peer = seen.downstream_peer.as_deref().is_some_and(|facts| !proxy.is_self(facts));
    if seen.upstream_peer.is_none() && (called_over_mesh_tls || called_by_peer) {
        Observer::Server
    } else {
        Observer::Client
    }
}

#[cfg(test)]
mod tests;
