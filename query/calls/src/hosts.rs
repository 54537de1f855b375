//! Reads hosts, addresses and URLs out of what rows say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports that say nothing: those of HTTP itself.
pub const PORTS_OF_HTTP: [u16; 2] = [80, 443];

/// A host and its port; 0 where none is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPort<'a> {
    pub host: &'a str,
    pub port: u16,
}

/// Splits `host:port`; addresses of IP version 6 stay whole unless bracketed. The host is as others write it who say no
/// port: without brackets, and without the dot that ends a whole domain name.
pub fn host_port(text: &str) -> HostPort<'_> {
    let whole = HostPort { host: bare(text), port: 0 };
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            port.parse().map_or(whole, |port| HostPort { host: bare(host), port })
        }
        _ => whole,
    }
}

fn bare(host: &str) -> &str {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    one_spelling(address.or_else(|| host.strip_suffix('.')).unwrap_or(host))
}

/// An IP address of version 6 without its zone, the name of an interface of one machine, and one that stands for version 4
/// as that: what Node.js says of its callers. Source: RFC 4291 2.5.5.2, RFC 4007 11.2.
fn one_spelling(host: &str) -> &str {
    let mapped = host.strip_prefix("::ffff:").filter(|rest| rest.parse::<Ipv4Addr>().is_ok());
    let without_zone = || host.split_once('%').filter(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    mapped.or_else(|| without_zone().map(|(address, _)| address)).unwrap_or(host)
}

/// Host and port of a URL; `None` when it has no authority.
pub fn host_of_url(url: &str) -> Option<HostPort<'_>> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host_port(authority)).filter(|at| !at.host.is_empty())
}

/// An address as Envoy writes it. A listener inside Envoy (`envoy://name/10.0.0.1:80`) stands for the address
/// inside, or for nothing, for its name means nothing outside of that process.
/// Source: Envoy, `Network::Address::EnvoyInternalInstance`.
pub fn address(text: &str) -> Option<HostPort<'_>> {
    let Some(internal) = text.strip_prefix("envoy://") else {
        return Some(host_port(text)).filter(|at| !at.host.is_empty());
    };
    let inside = host_port(internal.rsplit_once('/').map_or("", |(_, inside)| inside));
    is_address(inside.host).then_some(inside)
}

/// The host and port in what a client was told to connect to, which some instrumentation tells instead of a host: a URL, or a
/// target of gRPC with its resolver. Source: gRPC, "Name Resolution" (`doc/naming.md`).
pub fn target(text: &str) -> Option<HostPort<'_>> {
    const RESOLVERS: [&str; 6] = ["dns", "xds", "passthrough", "kubernetes", "consul", "ipv4"];
    let Some((scheme, rest)) = text.split_once(':') else { return address(text) };
    let resolver = RESOLVERS.contains(&scheme);
    match rest.strip_prefix("//") {
        Some(endpoint) if resolver => address(endpoint.split_once('/').map_or(endpoint, |(_, host)| host)),
        Some(_) if scheme != "envoy" => host_of_url(text),
        None if resolver && rest.contains([':', '.']) => address(rest),
        _ => address(text),
    }
}

/// Whether a name is only an address.
pub fn is_address(name: &str) -> bool {
    host_port(name).host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// Whether the name means another thing on every machine.
pub fn is_local(name: &str) -> bool {
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    name == "localhost" || name.starts_with('/') || address.is_ok_and(|address| address.is_loopback())
}

/// The port as far as it tells two things apart on one host.
pub fn telling_port(port: u16) -> u16 {
    if PORTS_OF_HTTP.contains(&port) { 0 } else { port }
}

/// Host and port in an Istio cluster name, `direction|port|subset|host`.
/// Source: istio pilot/pkg/model/service.go, `BuildSubsetKey`.
pub fn cluster_host(cluster: &str) -> Option<HostPort<'_>> {
    let mut parts = cluster.trim_end_matches(';').splitn(4, '|');
    let (_, port, _, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (!host.is_empty()).then_some(HostPort { host, port: port.parse().unwrap_or(0) })
}

/// A plain cluster's name, which an operator gave it, mostly after the service behind it, or the service in the name that
/// Consul gives it; `None` for names that Istio gives to clusters that stand for no service.
pub fn plain_cluster(cluster: &str) -> Option<&str> {
    let name = cluster.trim_end_matches(';');
    let is_plain = !name.is_empty()
        && !name.contains('|')
        && !["PassthroughCluster", "BlackHoleCluster"].contains(&name)
        && !name.starts_with("InboundPassthroughCluster");
    is_plain.then(|| consul_service(name).unwrap_or(name))
}

/// The service in a cluster that Consul made, `[subset.]service.namespace.datacenter.internal.<trust domain>`, or
/// `[subset.]service.namespace.partition.datacenter.internal-v1.<trust domain>`, a UUID and `consul`.
/// Source: Consul, `agent/connect/sni.go`.
fn consul_service(cluster: &str) -> Option<&str> {
    let (before, after) = match cluster.split_once(".internal.") {
        Some((service, _)) => (service, 2),
        None => (cluster.split_once(".internal-v1.")?.0, 3),
    };
    cluster.ends_with(".consul").then(|| before.rsplit('.').nth(after)).flatten()
}

/// Whether a proxy hands what it received to the application beside it by this cluster, which is no call.
/// Sources: Istio's `inbound|port||`, Consul's `local_app` (`agent/xds/naming.go`), App Mesh's `cds_ingress_...`, Kuma's
/// `localhost:port` and `localhost_port` (`pkg/plugins/policies/core/xds`).
pub fn is_own_cluster(cluster: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let local = cluster.strip_prefix("localhost").and_then(|rest| rest.strip_prefix([':', '_']));
    cluster.starts_with("inbound|")
        || cluster == "local_app"
        || cluster.starts_with("cds_ingress_")
        || local.is_some_and(is_port)
}

/// Service and namespace out of a Kubernetes host: `<service>.<namespace>.svc[.<domain>]`; of a pod behind a
/// headless service, `<pod>.<service>.<namespace>.svc`, the service. Source: Kubernetes, "DNS for Services and
/// Pods".
pub fn kubernetes(host: &str) -> Option<(&str, &str)> {
    let name = match host.find(".svc.") {
        Some(at) => &host[..at],
        None => host.strip_suffix(".svc")?,
    };
    let (pod_and_service, namespace) = name.rsplit_once('.')?;
    let service = pod_and_service.rsplit('.').next().unwrap_or(pod_and_service);
    (!service.is_empty() && !namespace.is_empty()).then_some((service, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut_off_hosts() {
        for (text, host, port) in [
            ("api.example:443", "api.example", 443),
            ("api.example", "api.example", 0),
            ("10.0.0.1:80", "10.0.0.1", 80),
            ("[::1]:80", "::1", 80),
            ("[::1]", "::1", 0),
            ("::ffff:10.0.0.1", "10.0.0.1", 0),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1", 80),
            ("fe80::1%eth0", "fe80::1", 0),
            ("::ffff:cafe", "::ffff:cafe", 0),
            ("api.example.:443", "api.example", 443),
            ("api.example.", "api.example", 0),
            ("", "", 0),
            ("fe80::1", "fe80::1", 0),
            ("odd:name", "odd:name", 0),
            ("a:99999", "a:99999", 0),
        ] {
            assert_eq!(host_port(text), HostPort { host, port }, "{text}");
        }
    }

    #[test]
    fn urls_name_a_host() {
        for (url, want) in [
            ("https://api.pay.example/v1/charge", Some(("api.pay.example", 0))),
            ("http://user:word@db.example:8080?x=1", Some(("db.example", 8080))),
            ("http://[::1]:9/", Some(("::1", 9))),
            ("/only/a/path", None),
            ("https:///nothing", None),
        ] {
            assert_eq!(host_of_url(url).map(|at| (at.host, at.port)), want, "{url}");
        }
    }

    #[test]
    fn addresses_inside_envoy_are_read_to_the_address_or_to_nothing() {
        for (text, want) in [
            ("10.0.0.1:80", Some(("10.0.0.1", 80))),
            ("envoy://connect_originate/10.0.0.7:8080", Some(("10.0.0.7", 8080))),
            ("envoy://connect_originate/", None),
            ("envoy://internal_client_address/", None),
            ("envoy://main_internal/endpoint", None),
        ] {
            assert_eq!(address(text).map(|at| (at.host, at.port)), want, "{text}");
        }
    }

    #[test]
    fn targets_name_a_host() {
        for (text, want) in [
            ("dns:///reviews.default:9080", Some(("reviews.default", 9080))),
            ("dns://10.0.0.53/reviews:9080", Some(("reviews", 9080))),
            ("passthrough:///reviews", Some(("reviews", 0))),
            ("ipv4:10.0.0.9:8080", Some(("10.0.0.9", 8080))),
            ("dns:reviews:9080", Some(("reviews", 9080))),
            ("tcp://10.0.0.9:8080", Some(("10.0.0.9", 8080))),
            ("https://api.example/v1", Some(("api.example", 0))),
            ("reviews:9080", Some(("reviews", 9080))),
            ("consul:8500", Some(("consul", 8500))),
            ("[::1]:80", Some(("::1", 80))),
            ("fe80::1", Some(("fe80::1", 0))),
            ("envoy://connect_originate/10.0.0.7:8080", Some(("10.0.0.7", 8080))),
            ("", None),
        ] {
            assert_eq!(target(text).map(|at| (at.host, at.port)), want, "{text}");
        }
    }

    #[test]
    fn addresses_are_not_names() {
        for (name, want) in
            [("10.0.0.1", true), ("10.0.0.1:80", true), ("[::1]:80", true), ("fe80::1", true), ("b", false)]
        {
            assert_eq!(is_address(name), want, "{name}");
        }
    }

    #[test]
    fn kubernetes_hosts_name_a_service_also_behind_a_pod() {
        for (host, want) in [
            ("reviews.default.svc.cluster.local", Some(("reviews", "default"))),
            ("reviews.default.svc", Some(("reviews", "default"))),
            ("mongo-0.mongo.prod.svc.cluster.local", Some(("mongo", "prod"))),
            ("api.payments.example", None),
            ("a.svc", None),
        ] {
            assert_eq!(kubernetes(host), want, "{host}");
        }
    }

    #[test]
    fn clusters_name_their_host_or_themselves() {
        for (cluster, host, plain) in [
            ("outbound|80|v1|b.ns.svc.cluster.local;", Some(("b.ns.svc.cluster.local", 80)), None),
            ("inbound|9080||", None, None),
            ("images", None, Some("images")),
            ("PassthroughCluster", None, None),
            ("InboundPassthroughClusterIpv4", None, None),
            (
                "billing.default.dc1.internal.e5b08d03-bfc3-c870-1833-baddb116e648.consul",
                None,
                Some("billing"),
            ),
            ("v1.billing.default.dc1.internal.e5b08d03.consul", None, Some("billing")),
            ("billing.default.part.dc1.internal-v1.e5b08d03.consul", None, Some("billing")),
            ("api.internal.example", None, Some("api.internal.example")),
        ] {
            let told = cluster_host(cluster).map(|at| (at.host, at.port));
            assert_eq!((told, plain_cluster(cluster)), (host, plain), "{cluster}");
        }
    }

    #[test]
    fn what_a_proxy_hands_to_its_own_application_is_known_by_the_cluster() {
        for (cluster, want) in [
            ("inbound|9080||", true),
            ("local_app", true),
            ("cds_ingress_mesh_node_http_8080", true),
            ("localhost:8080", true),
            ("localhost_8080", true),
            ("localhost", false),
            ("localhost_web", false),
            ("outbound|80||b.ns.svc.cluster.local", false),
            ("web", false),
        ] {
            assert_eq!(is_own_cluster(cluster), want, "{cluster}");
        }
    }
}
