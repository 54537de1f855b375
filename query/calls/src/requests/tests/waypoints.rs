//! Rows of waypoints, and of proxies behind and before them.

use super::*;

/// What Istio's waypoint logs over ALS: whom the tunnel said to be the caller, and no addresses of its side.
const AT_WAYPOINT: Request = Request {
    cluster: "inbound-vip|80|http|b.default.svc.cluster.local",
    proxy: "waypoint~10.0.0.8~wp.default~default.svc.cluster.local",
    destination_address: "10.0.0.2",
    request_id: "r1",
    millis: 30,
    ..SERVED
};

/// What b's sidecar logs of it: the waypoint called.
const BEHIND: Request = Request {
    source: ("default", "wp"),
    principal: "spiffe://cluster.local/ns/default/sa/wp",
    destination_address: "10.0.0.2",
    downstream: "10.0.0.8:5000",
    downstream_local: "10.0.0.2:80",
    request_id: "r1",
    version: "v1",
    at: 1,
    millis: 20,
    ..SERVED
};

#[test]
fn what_a_sidecar_received_from_a_waypoint_is_what_the_waypoint_received() {
    check(&[AT_WAYPOINT], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    check(&[AT_WAYPOINT, BEHIND], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// a's own proxy called the waypoint, and the waypoint b.
#[test]
fn a_callers_proxy_before_a_waypoint_has_made_the_call() {
    let made = Request {
        source_address: "10.0.0.1",
        upstream_local: "10.0.0.1:4000",
        request_id: "r1",
        millis: 40,
        ..CALL
    };
    let picture = picture(&[made, AT_WAYPOINT, BEHIND], &[]);
    assert_eq!((edges(&picture), nodes(&picture)), {
        (vec!["default/a -> default/b 1/0".to_owned()], vec!["default/b 1/0".to_owned()])
    });
    assert_eq!(picture.edge_cells[0].measure.max_ms(), Some(40.0), "as its maker saw it");
    assert_eq!(picture.edge_cells[0].measure.completeness(), Some(1.0));
}

/// The waypoint tried three times; each try arrived, the edge is what the waypoint saw become of it.
#[test]
fn tries_of_a_waypoint_are_retries() {
    let failed = |at| Request { outcome: "error", code: 503, at, millis: 5, ..BEHIND };
    let waypoint = Request { attempts: 3, ..AT_WAYPOINT };
    check(
        &[waypoint, failed(1), failed(7), Request { at: 15, ..BEHIND }],
        &["default/a -> default/b 1/0 +2"],
        &["default/b 3/2"],
    );
}

#[test]
fn what_a_waypoint_refuses_is_on_the_edge_only() {
    let refused = Request { flags: "UH", outcome: "error", code: 503, attempts: 0, ..AT_WAYPOINT };
    let made = Request { request_id: "r1", outcome: "error", code: 503, millis: 40, ..CALL };
    for rows in [&[refused][..], &[made, refused]] {
        let picture = picture(rows, &[]);
        assert_eq!((edges(&picture), nodes(&picture)), {
            (vec!["default/a -> default/b 1/1".to_owned()], Vec::new())
        });
        assert_eq!(picture.edge_cells[0].refused, 1.0);
    }
}

/// Two calls of one request, each through the waypoint: each of b's rows belongs to the one around it.
#[test]
fn two_calls_of_one_request_through_a_waypoint_are_two() {
    let later = |row: Request| Request { at: row.at + 50, ..row };
    check(
        &[AT_WAYPOINT, BEHIND, later(AT_WAYPOINT), later(BEHIND)],
        &["default/a -> default/b 2/0"],
        &["default/b 2/0"],
    );
}

/// b's ztunnel sees a connection from the waypoint, whose requests the waypoint's own rows tell of.
#[test]
fn a_connection_from_a_waypoint_is_nobodys_call() {
    let tunnel = Request { layer: "l4", code: 0, request_id: "", millis: 5_000, ..BEHIND };
    check(&[AT_WAYPOINT, tunnel], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    let own = "10.0.0.9:5000";
    check(
        &[AT_WAYPOINT, Request { source: ("default", "c"), principal: "", downstream: own, ..tunnel }],
        &["default/a -> default/b 1/0", "default/c -> default/b 1/0"],
        &["default/b 1/0"],
    );
}

/// A ServiceEntry with a waypoint: the host stays outside of the mesh, whoever stands before it.
#[test]
fn a_waypoint_before_an_outside_host_makes_no_service_of_it() {
    let row = Request {
        cluster: "inbound-vip|443|http|api.example.com",
        destination: ("", "api.example.com"),
        ..AT_WAYPOINT
    };
    let picture = picture(&[row], &[]);
    assert_eq!(edges(&picture), ["default/a -> api.example.com 1/0"]);
    assert_eq!(kind(&picture, "api.example.com"), Some("external"));
}
