//! What a proxy's row says of a call to where the proxy knew no service.
//!
//! Istio's proxies have clusters and routes that take what no service takes; cells tell them apart by what they do with it.
//! Source: istio pilot/pkg/util/constants and pilot/pkg/networking/util (names of clusters and of virtual hosts' routes).

/// It was let pass.
pub const PASSTHROUGH: &str = "passthrough";

/// It was dropped.
pub const BLACK_HOLE: &str = "blackhole";

/// What the upstream cluster of a call, or else its route, says; none for a call to a service.
pub fn of_call(cluster: Option<&str>, route: Option<&str>) -> Option<&'static str> {
    match (cluster, route) {
        (Some("BlackHoleCluster"), _) | (None, Some("block_all")) => Some(BLACK_HOLE),
        (Some("PassthroughCluster"), _) | (None, Some("allow_any")) => Some(PASSTHROUGH),
        (Some(cluster), _) if cluster.starts_with("InboundPassthroughCluster") => Some(PASSTHROUGH),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_and_routes_that_take_all_are_known() {
        for (cluster, route, want) in [
            (Some("BlackHoleCluster"), None, Some(BLACK_HOLE)),
            (None, Some("block_all"), Some(BLACK_HOLE)),
            (Some("PassthroughCluster"), Some("allow_any"), Some(PASSTHROUGH)),
            (Some("InboundPassthroughClusterIpv4"), None, Some(PASSTHROUGH)),
            (Some("InboundPassthroughCluster"), None, Some(PASSTHROUGH)),
            (Some("outbound|80||a.b.svc.cluster.local"), Some("allow_any"), None),
            (None, Some("default"), None),
            (None, None, None),
        ] {
            assert_eq!(of_call(cluster, route), want, "{cluster:?} {route:?}");
        }
    }
}
