//! What the name of an Envoy cluster says: direction, port, subset and host.
//!
//! ```text
//! outbound|8080|v1|reviews.default.svc.cluster.local     towards a service; the subset may be empty
//! inbound|8080||                                         towards the proxy's own application
//! inbound|9080|http|reviews.default.svc.cluster.local    the same before Istio 1.6; port name for subset
//! inbound-vip|80|http|reviews.default.svc.cluster.local  at a waypoint; the protocol stands for the subset,
//! inbound-vip|80|http/v1|reviews.default.svc.cluster...  and before it where there is one
//! outbound_.8080_.v1_.reviews.default.svc.cluster.local  the same as TLS server name
//! ```
//! Sources: Istio `pilot/pkg/model/service.go` (`BuildSubsetKey`, `BuildDNSSrvSubsetKey`) and the cluster
//! names of `pilot/pkg/networking` (`buildWaypointInboundVIP`). The stats form of a name ends in `;`, which is no part of it.

/// Where a cluster leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cluster<'a> {
    /// To a service.
    Outbound(Target<'a>),
    /// To the proxy's own application; the host is empty in current versions.
    Inbound(Target<'a>),
    /// To a service, through the waypoint that logs.
    InboundVip(Target<'a>),
    /// To wherever the caller meant: a host that the mesh does not know.
    Passthrough,
    /// Nowhere: a host that the mesh does not know and does not allow.
    BlackHole,
    /// To the proxy's own application, on a port that no service declares.
    InboundPassthrough,
    /// To the proxy's own machinery or through a tunnel: no call between services.
    Plumbing,
    /// Any other name: a plain Envoy's clusters are named by its operator, mostly after the service.
    Named(&'a str),
    /// None was chosen.
    Absent,
}

/// A service as the caller addressed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub host: &'a str,
    /// Names a version, but under `inbound` a port.
    pub subset: &'a str,
}

/// Tunnels of ambient mode and clusters that every Istio proxy has for itself. Only names that no
/// operator would give a service; anything else counts as [`Cluster::Named`].
const PLUMBING: [&str; 14] = [
    "agent",
    "connect_originate",
    "connect_terminate",
    "encap",
    "envoy_accesslog_service",
    "forward_inner_connect",
    "inner_connect_originate",
    "main_internal",
    "outer_connect_originate",
    "prometheus_stats",
    "sds-grpc",
    "xds-grpc",
    "xds_cluster",
    "zipkin",
];

/// Reads a cluster name. Names of an Istio proxy's own machinery are told from services only if the proxy
/// `is_istio`: a plain Envoy may well call a service `zipkin`.
pub(super) fn parse(name: &str, is_istio: bool) -> Cluster<'_> {
    let name = name.strip_suffix(';').unwrap_or(name);
    // Most of all clusters are those of services.
    if let Some(cluster) = of_service(name) {
        return cluster;
    }
    match name {
        "" | "-" => Cluster::Absent,
        "PassthroughCluster" => Cluster::Passthrough,
        "BlackHoleCluster" => Cluster::BlackHole,
        _ if name.starts_with("InboundPassthroughCluster") => Cluster::InboundPassthrough,
        _ if is_istio && PLUMBING.contains(&name) => Cluster::Plumbing,
        _ => Cluster::Named(name),
    }
}

/// Reads the name that Istio gives a service's cluster; `None` for any other name.
fn of_service(name: &str) -> Option<Cluster<'_>> {
    let mut bars = memchr::memchr_iter(b'|', name.as_bytes());
    let (before_port, before_subset, before_host) = (bars.next()?, bars.next()?, bars.next()?);
    let (subset, host) = (&name[before_subset + 1..before_host], &name[before_host + 1..]);
    Some(match &name[..before_port] {
        "outbound" => Cluster::Outbound(Target { host, subset }),
        "inbound" => Cluster::Inbound(Target { host, subset }),
        "inbound-vip" => {
            let subset = subset.split_once('/').map_or("", |(_protocol, subset)| subset);
            Cluster::InboundVip(Target { host, subset })
        }
        _ => return None,
    })
}

/// Reads the TLS server name that an Istio proxy asks for; `None` for any other name.
pub(super) fn parse_server_name(name: &str) -> Option<Target<'_>> {
    let mut parts = name.strip_prefix("outbound_.")?.splitn(3, "_.");
    let (_port, subset, host) = (parts.next()?, parts.next()?, parts.next()?);
    // An empty subset leaves one underscore: `outbound_.8000_._.host`.
    Some(Target { host, subset: if subset == "_" { "" } else { subset } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "reviews.default.svc.cluster.local";

    #[test]
    fn names_of_every_grammar() {
        let to = |host, subset| Target { host, subset };
        let cases = [
            ("outbound|8080|v1|reviews.default.svc.cluster.local", Cluster::Outbound(to(HOST, "v1"))),
            ("outbound|8080||reviews.default.svc.cluster.local;", Cluster::Outbound(to(HOST, ""))),
            ("outbound|443||*.example.com", Cluster::Outbound(to("*.example.com", ""))),
            ("inbound|8080||", Cluster::Inbound(to("", ""))),
            ("inbound|9080|http|reviews.default.svc.cluster.local", Cluster::Inbound(to(HOST, "http"))),
            ("inbound-vip|80|http|reviews.default.svc.cluster.local;", Cluster::InboundVip(to(HOST, ""))),
            ("inbound-vip|80|tcp|reviews.default.svc.cluster.local", Cluster::InboundVip(to(HOST, ""))),
            ("inbound-vip|80|http/v1|reviews.default.svc.cluster.local", Cluster::InboundVip(to(HOST, "v1"))),
            ("inbound-vip|80|tcp/v2|reviews.default.svc.cluster.local;", Cluster::InboundVip(to(HOST, "v2"))),
            ("inbound-vip|80|http/|reviews.default.svc.cluster.local", Cluster::InboundVip(to(HOST, ""))),
            ("inbound-vip|80||reviews.default.svc.cluster.local", Cluster::InboundVip(to(HOST, ""))),
            ("PassthroughCluster", Cluster::Passthrough),
            ("PassthroughCluster;", Cluster::Passthrough),
            ("BlackHoleCluster", Cluster::BlackHole),
            ("InboundPassthroughCluster", Cluster::InboundPassthrough),
            ("InboundPassthroughClusterIpv4", Cluster::InboundPassthrough),
            ("connect_originate", Cluster::Plumbing),
            ("zipkin", Cluster::Plumbing),
            ("local_app", Cluster::Named("local_app")),
            ("a|b", Cluster::Named("a|b")),
            ("sideways|1||x", Cluster::Named("sideways|1||x")),
            ("", Cluster::Absent),
            (";", Cluster::Absent),
            ("-", Cluster::Absent),
        ];
        for (name, want) in cases {
            assert_eq!(parse(name, true), want, "{name}");
        }
        assert_eq!(parse("zipkin", false), Cluster::Named("zipkin"), "a plain Envoy's service");
    }

    #[test]
    fn server_names_of_every_form() {
        let cases = [
            ("outbound_.8080_.v1_.reviews.default.svc.cluster.local", Some(("v1", HOST))),
            ("outbound_.8080_._.reviews.default.svc.cluster.local", Some(("", HOST))),
            ("outbound_.8080", None),
            ("www.example.com", None),
            ("", None),
        ];
        for (name, want) in cases {
            let target = parse_server_name(name).map(|target| (target.subset, target.host));
            assert_eq!(target, want, "{name}");
        }
    }
}
