//! Who called and who was called, each named by the strongest evidence in the row.
//!
//! Callee: the cluster's host names the service (it is what the caller addressed); exchanged metadata
//! names workload, version and instance (who really answered). Without a cluster the authority, the TLS
//! server name, then the address stand in. Caller: exchanged metadata, else its node id, else the service
//! account of its certificate, else its address. A certificate's namespace outranks every claim.

use super::clusters::{Cluster, Target, parse_server_name};
use super::facts::RequestFacts;
use super::hosts::{Named, host_of, is_kubernetes, service_asked_for, service_of, spiffe};
use super::peer::{IdentitySource, Peer};
use super::proxy::{ProxyIdentity, ProxyKind, WorkloadFacts, first_known};
use crate::address::{Address, is_ip};

/// The proxy's own application.
pub(super) fn own<'a>(proxy: &'a ProxyIdentity, addresses: [&'a Address<'_>; 2]) -> Peer<'a> {
    let [first, second] = addresses;
    let proxy_address = proxy.addresses.first().map_or("", String::as_str);
    Peer {
        workload: &proxy.workload,
        service: &proxy.service,
        namespace: &proxy.namespace,
        version: &proxy.version,
        cluster: &proxy.cluster,
        principal: "",
        instance: &proxy.instance,
        address: if proxy_address.is_empty() {
            first_known([first.ip(), second.ip()])
        } else {
            proxy_address
        },
    }
}

/// The proxy's own application as the one called: under the name that the caller used, where the row has it.
pub(super) fn own_as_callee<'a>(
    seen: &'a RequestFacts<'_>,
    proxy: &'a ProxyIdentity,
    cluster: Cluster<'a>,
) -> Peer<'a> {
    let mut peer = own(proxy, [&seen.downstream_local, &seen.upstream_host]);
    peer.principal = &seen.own_principal;
    let by_cluster = match cluster {
        Cluster::Inbound(target) if !target.host.is_empty() => Some(target),
        _ => None,
    };
    if let Some(Target { host, .. }) = parse_server_name(&seen.requested_server_name).or(by_cluster) {
        let named = service_of(host);
        peer.service = named.service;
        if !named.namespace.is_empty() {
            peer.namespace = named.namespace;
        }
    }
    peer
}

/// The caller of the proxy's own application, and what named it.
pub(super) fn caller<'a>(
    seen: &'a RequestFacts<'_>,
    proxy: &'a ProxyIdentity,
) -> (Peer<'a>, Option<IdentitySource>) {
    let facts = seen.downstream_peer.as_deref().filter(|facts| !proxy.is_self(facts));
    let certificate = spiffe(&seen.caller_principal);
    let mut peer = facts.map(peer_of).unwrap_or_default();
    peer.principal = first_known([&seen.caller_principal, peer.principal]);
    peer.address = match seen.downstream_direct_remote.ip() {
        "" => first_known([seen.downstream_remote.ip(), peer.address]),
        direct => direct,
    };
    if let Some((namespace, account)) = certificate {
        peer.namespace = namespace;
        peer.service = first_known([peer.service, account]);
    }
    let evidence = match (facts, certificate) {
        (Some(facts), _) => Some(source_of(facts)),
        (None, Some(_)) => Some(IdentitySource::Certificate),
        (None, None) => (!peer.address.is_empty()).then_some(IdentitySource::Address),
    };
    (peer, evidence)
}

/// The one that was called through the proxy, and what named it.
pub(super) fn callee<'a>(
    seen: &'a RequestFacts<'_>,
    proxy: &'a ProxyIdentity,
    cluster: Cluster<'a>,
) -> (Peer<'a>, Option<IdentitySource>) {
    let facts = seen.upstream_peer.as_deref();
    let mut peer = facts.map(peer_of).unwrap_or_default();
    peer.address = first_known([seen.upstream_host.ip(), peer.address]);
    let (named, named_by) = match cluster {
        Cluster::Outbound(target) | Cluster::InboundVip(target) => {
            peer.version = first_known([peer.version, target.subset]);
            (Some(service_of(target.host)), IdentitySource::ClusterName)
        }
        Cluster::Named(name) => (Some(service_of(name)), IdentitySource::ClusterName),
        // Metadata of a workload that really answered says more than the host that was asked for.
        Cluster::Passthrough if facts.is_some() => (None, IdentitySource::PeerMetadata),
        Cluster::Passthrough | Cluster::BlackHole | Cluster::Absent => asked_for(seen, proxy, cluster),
        Cluster::Inbound(_) | Cluster::InboundPassthrough | Cluster::Plumbing => {
            (None, IdentitySource::Address)
        }
    };
    if let Some(named) = named.filter(|named| !named.service.is_empty()) {
        peer.service = named.service;
        // An external host has no namespace, unless metadata says that it is a workload of the mesh.
        peer.namespace = first_known([named.namespace, peer.namespace]);
    }
    let evidence = match facts {
        Some(facts) => Some(source_of(facts)),
        None if !peer.service.is_empty() => Some(named_by),
        None => (!peer.address.is_empty()).then_some(IdentitySource::Address),
    };
    (peer, evidence)
}

/// The callee by the host that the caller asked for.
fn asked_for<'a>(
    seen: &'a RequestFacts<'_>,
    proxy: &'a ProxyIdentity,
    cluster: Cluster<'a>,
) -> (Option<Named<'a>>, IdentitySource) {
    let authority = host_of(&seen.authority);
    let host = first_known([authority, &seen.requested_server_name]);
    // Whatever host a scanner on the internet sends to a gateway must not become a node of the graph.
    let trusted = match proxy.kind {
        ProxyKind::Sidecar => true,
        ProxyKind::Gateway | ProxyKind::Waypoint | ProxyKind::Plain => {
            is_kubernetes(host) || cluster == Cluster::Passthrough
        }
    };
    if !host.is_empty() && !is_ip(host) {
        let by = if authority.is_empty() { IdentitySource::ServerName } else { IdentitySource::Authority };
        let own_namespace = if proxy.is_istio() { proxy.namespace.as_str() } else { "" };
        return (trusted.then(|| service_asked_for(host, own_namespace)), by);
    }
    // An address that was asked for, or gone to, is all that names the other end.
    let address = first_known([seen.upstream_host.ip(), host, seen.downstream_local.ip()]);
    let named = (trusted && cluster != Cluster::Absent && !address.is_empty())
        .then_some(Named { service: address, namespace: "" });
    (named, IdentitySource::Address)
}

fn peer_of<'a>(facts: &'a WorkloadFacts<'_>) -> Peer<'a> {
    Peer {
        workload: facts.workload(),
        service: facts.service(),
        namespace: spiffe(&facts.principal).map_or(&*facts.namespace, |(namespace, _)| namespace),
        version: facts.version(),
        cluster: &facts.cluster,
        principal: &facts.principal,
        instance: &facts.instance,
        address: facts.address(),
    }
}

fn source_of(facts: &WorkloadFacts<'_>) -> IdentitySource {
    if facts.from_node_id { IdentitySource::NodeId } else { IdentitySource::PeerMetadata }
}
