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

/// A plain cluster's name, which an operator gave it, mostly after the service behind it; `None` for names
/// that Istio gives to clusters that stand for no service.
pub fn plain_cluster(cluster: &str) -> Option<&str> {
    let name = cluster.trim_end_matches(';');
    let is_plain = !name.is_empty()
        && !name.contains('|')
        && !["PassthroughCluster", "BlackHoleCluster"].contains(&name)
        && !name.starts_with("InboundPassthroughCluster");
    is_plain.then_some(name)
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
        ] {
            let told = cluster_host(cluster).map(|at| (at.host, at.port));
            assert_eq!((told, plain_cluster(cluster)), (host, plain), "{cluster}");
        }
    }
}
