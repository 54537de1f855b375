//! Names the far end of a call by what the near end knows of it.
//!
//! A database, a queue or another company's API never reports itself, so its caller's words are all there
//! is: the strongest of them names the node. Names that mean something else on every host (`localhost`, a
//! bare database product) are marked as belonging to their caller; a shared node for them would join parts
//! of the graph that have nothing to do with each other.

use std::net::IpAddr;

/// What the far end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerKind {
    Database,
    Queue,
    Host,
}

/// The far end of a call, in its caller's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer<'a> {
    pub kind: PeerKind,
    pub name: &'a str,
    /// The name means this only to its caller.
    pub scoped: bool,
}

/// What a span says about its far end.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeerEvidence<'a> {
    pub db_system: Option<&'a str>,
    pub db_namespace: Option<&'a str>,
    pub messaging_system: Option<&'a str>,
    pub messaging_destination: Option<&'a str>,
    pub peer_service: Option<&'a str>,
    pub server_address: Option<&'a str>,
    pub network_peer_address: Option<&'a str>,
    /// Envoy's name for the upstream cluster.
    pub upstream_cluster: Option<&'a str>,
}

/// The far end of a span, or `None` where the span does not tell.
///
/// A database is named by its address, else by the database inside it, else by its product; a queue by its
/// destination, else by its product; anything else by `peer.service`, address, or the peer of the connection.
pub fn peer<'a>(evidence: &PeerEvidence<'a>) -> Option<Peer<'a>> {
    let named = |kind, name: &'a str| Some(Peer { kind, name, scoped: is_loopback(name) });
    if let Some(system) = evidence.db_system {
        let name = evidence.server_address.map(without_port).or(evidence.db_namespace);
        let product = Peer { kind: PeerKind::Database, name: system, scoped: true };
        return name.map_or(Some(product), |name| named(PeerKind::Database, name));
    }
    if evidence.messaging_system.is_some() || evidence.messaging_destination.is_some() {
        let product =
            evidence.messaging_system.map(|name| Peer { kind: PeerKind::Queue, name, scoped: true });
        return evidence.messaging_destination.map_or(product, |name| named(PeerKind::Queue, name));
    }
    let host = evidence.upstream_cluster.and_then(cluster_host).or(evidence.peer_service);
    let host = host.or(evidence.server_address).or(evidence.network_peer_address)?;
    named(PeerKind::Host, without_port(host))
}

/// The host in an Istio cluster name, `direction|port|subset|host`; other names tell nothing.
/// Source: istio pilot/pkg/model/service.go, `BuildSubsetKey`.
pub fn cluster_host(cluster: &str) -> Option<&str> {
    let host = cluster.trim_end_matches(';').splitn(4, '|').nth(3)?;
    (!host.is_empty()).then_some(host)
}

fn is_loopback(name: &str) -> bool {
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A host without its port; addresses of IP version 6 stay whole unless bracketed.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
        }
        _ => host,
    }
}

/// Whether a name is only an address.
pub fn is_address(name: &str) -> bool {
    without_port(name).trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(evidence: PeerEvidence<'_>, want: Option<(PeerKind, &str, bool)>) {
        let got = peer(&evidence).map(|peer| (peer.kind, peer.name, peer.scoped));
        assert_eq!(got, want, "{evidence:?}");
    }

    #[test]
    fn a_database_is_named_by_address_then_database_then_product() {
        let product = PeerEvidence { db_system: Some("mysql"), ..PeerEvidence::default() };
        let database = PeerEvidence { db_namespace: Some("ratings"), ..product };
        let address = PeerEvidence { server_address: Some("mysql.default:3306"), ..database };
        check(product, Some((PeerKind::Database, "mysql", true)));
        check(database, Some((PeerKind::Database, "ratings", false)));
        check(address, Some((PeerKind::Database, "mysql.default", false)));
        let local = PeerEvidence { server_address: Some("127.0.0.1"), ..database };
        check(local, Some((PeerKind::Database, "127.0.0.1", true)));
    }

    #[test]
    fn a_queue_is_named_by_its_destination() {
        let kafka = PeerEvidence { messaging_system: Some("kafka"), ..PeerEvidence::default() };
        check(kafka, Some((PeerKind::Queue, "kafka", true)));
        let orders = PeerEvidence { messaging_destination: Some("orders"), ..kafka };
        check(orders, Some((PeerKind::Queue, "orders", false)));
    }

    #[test]
    fn a_host_is_named_by_its_strongest_word() {
        let address = PeerEvidence { network_peer_address: Some("10.0.0.9"), ..PeerEvidence::default() };
        let host = PeerEvidence { server_address: Some("api.example:443"), ..address };
        let service = PeerEvidence { peer_service: Some("payments"), ..host };
        let cluster =
            PeerEvidence { upstream_cluster: Some("outbound|80||dead.ns.svc.cluster.local;"), ..service };
        check(PeerEvidence::default(), None);
        check(address, Some((PeerKind::Host, "10.0.0.9", false)));
        check(host, Some((PeerKind::Host, "api.example", false)));
        check(service, Some((PeerKind::Host, "payments", false)));
        check(cluster, Some((PeerKind::Host, "dead.ns.svc.cluster.local", false)));
        let inbound = PeerEvidence { upstream_cluster: Some("inbound|9080||"), ..PeerEvidence::default() };
        check(inbound, None);
    }

    #[test]
    fn ports_are_cut_off_hosts() {
        for (host, want) in [
            ("api.example:443", "api.example"),
            ("api.example", "api.example"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("fe80::1", "fe80::1"),
            ("odd:name", "odd:name"),
        ] {
            assert_eq!(without_port(host), want);
        }
    }

    #[test]
    fn addresses_are_not_names() {
        for (name, want) in [
            ("10.0.0.1", true),
            ("10.0.0.1:80", true),
            ("[::1]:80", true),
            ("fe80::1", true),
            ("reviews", false),
        ] {
            assert_eq!(is_address(name), want, "{name}");
        }
    }
}
