//! Spans of sidecars, gateways, waypoints and plain proxies.

use super::*;

fn proxy(id: u64, parent: u64, kind: i32, service: (&'static str, &'static str)) -> Span {
    Span { is_proxy: true, ..span(id, parent, kind, service) }
}

#[test]
fn sidecars_are_looked_through_where_applications_report() {
    check(
        &[
            span(1, 0, INTERNAL, A),
            span(2, 1, CLIENT, A),
            proxy(3, 2, CLIENT, A),
            proxy(4, 3, SERVER, B),
            Span { outcome: "error", ..span(5, 4, SERVER, B) },
        ],
        &["default/a -> default/b 1/1"],
        &["default/b 1/1"],
    );
}

#[test]
fn sidecars_stand_in_where_no_application_reports() {
    check(
        &[proxy(1, 0, CLIENT, A), proxy(2, 1, SERVER, B)],
        &["default/a -> default/b 1/0"],
        &["default/b 1/0"],
    );
}

/// The application has spans, but none for what it received: call by call, the proxy's stand in.
#[test]
fn a_proxy_covers_for_an_application_that_only_tells_of_its_queries() {
    let query = Span { db_system: "mysql", server_address: "db.example", ..span(2, 1, CLIENT, ("", "b")) };
    let tags = &[("istio.canonical_service", "b"), ("istio.namespace", "default")];
    let inbound = Span { tags, ..proxy(1, 0, SERVER, ("", "b.default")) };
    check(
        &[inbound, query],
        &["client@default/b -> default/b 1/0", "default/b -> db.example 1/0"],
        &["db.example 1/0", "default/b 1/0"],
    );
}

#[test]
fn a_proxy_belongs_to_the_service_in_its_tags() {
    let tagged =
        Span { tags: &[("istio.canonical_service", "b")], ..proxy(3, 2, SERVER, ("default", "b.default")) };
    check(&[span(2, 0, CLIENT, A), tagged], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

#[test]
fn an_outbound_server_span_of_a_proxy_is_a_call_made() {
    let outer = Span {
        tags: &[("upstream_cluster", "outbound|80||dead.default.svc.cluster.local;")],
        outcome: "error",
        ..proxy(1, 0, SERVER, A)
    };
    check(&[outer], &["default/a -> default/dead 1/1"], &["default/dead 1/1"]);
}

#[test]
fn a_waypoint_is_transparent() {
    let tags = &[
        ("node_id", "waypoint~10.0.0.8~wp.default~default.svc.cluster.local"),
        ("upstream_cluster", "inbound-vip|80|http|b.default.svc.cluster.local"),
        ("istio.canonical_service", "wp"),
        ("istio.namespace", "default"),
    ];
    let waypoint = Span { tags, ..proxy(2, 1, SERVER, ("", "wp.default")) };
    let want = (&["default/a -> default/b 1/0"], &["default/b 1/0"]);
    check(&[span(1, 0, CLIENT, A), waypoint], want.0, want.1);
    check(&[span(1, 0, CLIENT, A), waypoint, span(3, 2, SERVER, B)], want.0, want.1);
}

#[test]
fn a_plain_envoy_names_its_upstreams_by_cluster() {
    let envoy = ("", "proxy");
    let egress = |id, cluster| Span { tags: cluster, ..proxy(id, 2, CLIENT, envoy) };
    check(
        &[
            span(1, 0, CLIENT, ("", "load")),
            proxy(2, 1, SERVER, envoy),
            egress(3, &[("upstream_cluster", "web")]),
            egress(4, &[("upstream_cluster", "images")]),
            egress(5, &[("upstream_cluster", "images")]),
            span(6, 3, SERVER, ("", "web")),
        ],
        &["load -> proxy 1/0", "proxy -> images 2/0", "proxy -> web 1/0"],
        &["images 2/0", "proxy 1/0", "web 1/0"],
    );
}

/// What the caller's sidecar, or the waypoint before the callee, refuses never arrives; Istio's spans say so by the flags
/// of the access log.
#[test]
fn what_a_proxy_refuses_is_on_the_edge_only() {
    let dead =
        &[("upstream_cluster", "outbound|80||dead.default.svc.cluster.local;"), ("response_flags", "UH")];
    let sidecar = Span { tags: dead, outcome: "error", ..proxy(2, 1, CLIENT, A) };
    let tags = &[
        ("node_id", "waypoint~10.0.0.8~wp.default~default.svc.cluster.local"),
        ("upstream_cluster", "inbound-vip|80|http|dead.default.svc.cluster.local"),
        ("response_flags", "UH"),
    ];
    let waypoint = Span { tags, outcome: "error", ..proxy(2, 1, SERVER, ("", "wp.default")) };
    let made = Span { outcome: "error", ..span(1, 0, CLIENT, A) };
    for refused in [sidecar, waypoint] {
        let picture = crate::fixture::picture(&[], &[made, refused]);
        assert_eq!(edges(&picture), ["default/a -> default/dead 1/1"]);
        assert_eq!((nodes(&picture), picture.edge_cells[0].refused), (Vec::new(), 1.0));
    }
}

/// The first try found no healthy host, the second one did: one arrived, and nothing arrived again.
#[test]
fn a_try_that_got_through_makes_a_call_of_it() {
    let tags = &[("upstream_cluster", "outbound|80||b.default.svc.cluster.local;"), ("response_flags", "UH")];
    let first = Span { tags, outcome: "error", millis: 1, ..proxy(2, 1, CLIENT, A) };
    let second = Span { at: 3, millis: 5, tags: &tags[..1], ..proxy(3, 1, CLIENT, A) };
    let picture =
        crate::fixture::picture(&[], &[span(1, 0, CLIENT, A), first, second, span(4, 3, SERVER, B)]);
    assert_eq!((edges(&picture), nodes(&picture)), {
        (vec!["default/a -> default/b 1/0".to_owned()], vec!["default/b 1/0".to_owned()])
    });
    assert_eq!(picture.edge_cells[0].refused, 0.0);
}

/// Sidecars of other meshes than Istio's hand calls to their application by clusters of other names.
#[test]
fn handing_a_call_to_its_own_application_is_none() {
    for cluster in [
        &[("upstream_cluster", "inbound|8080||")],
        &[("upstream_cluster", "local_app")],
        &[("upstream_cluster", "localhost_8080")],
    ] {
        let outer = Span { tags: cluster, ..proxy(2, 1, SERVER, B) };
        let inner = Span { tags: cluster, ..proxy(3, 2, CLIENT, B) };
        check(
            &[span(1, 0, CLIENT, A), outer, inner, span(4, 3, SERVER, B)],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }
}

#[test]
fn a_cluster_of_consul_names_the_service_in_it() {
    let tags = &[("upstream_cluster", "b.default.dc1.internal.e5b08d03-bfc3-c870-1833-baddb116e648.consul")];
    check(&[Span { tags, ..proxy(1, 0, CLIENT, A) }], &["default/a -> b 1/0"], &["b 1/0"]);
}

/// A waypoint before a host outside of the mesh.
#[test]
fn what_stands_behind_a_waypoint_may_be_outside() {
    let tags = &[
        ("node_id", "waypoint~10.0.0.8~wp.egress~egress.svc.cluster.local"),
        ("upstream_cluster", "inbound-vip|443|http|api.example.com"),
    ];
    let picture =
        picture(&[], &[span(1, 0, CLIENT, A), Span { tags, ..proxy(2, 1, SERVER, ("", "wp.egress")) }]);
    assert_eq!(edges(&picture), ["default/a -> api.example.com 1/0"]);
    assert_eq!(kind(&picture, "api.example.com"), Some("external"));
}
