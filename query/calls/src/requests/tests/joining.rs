//! Rows of two proxies that are one call.

use super::*;

/// a's proxy calls b's: both know the connection and the request.
const MADE: Request = Request {
    source_address: "10.0.0.1",
    upstream_local: "10.0.0.1:4000",
    upstream_host: "10.0.0.2:80",
    authority: "b",
    request_id: "r1",
    ..CALL
};
const RECEIVED: Request = Request {
    destination_address: "10.0.0.2",
    downstream: "10.0.0.1:4000",
    downstream_local: "10.0.0.2:80",
    authority: "b",
    request_id: "r1",
    ..SERVED
};

#[test]
fn two_observations_of_one_call_are_one_call() {
    check(&[CALL, SERVED], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// Plaintext: b's proxy knows its caller's address only, and calls itself otherwise than its callers do.
#[test]
fn names_do_not_matter_where_the_hop_is_known() {
    let called = Request { destination: ("default", "web"), ..MADE };
    let received = Request { source: ("", ""), destination: ("default", "nginx"), ..RECEIVED };
    check(&[called, received], &["default/a -> default/nginx 1/0"], &["default/nginx 1/0"]);
}

#[test]
fn a_service_account_is_no_second_caller() {
    let received = Request {
        source: ("default", "backend"),
        principal: "spiffe://cluster.local/ns/default/sa/backend",
        ..RECEIVED
    };
    check(&[MADE, received], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// One call, three tries: the client's row knows the last connection only, the request tells of the others.
#[test]
fn a_retried_call_is_one_on_the_edge_and_three_at_the_node() {
    let made = Request { attempts: 3, millis: 100, upstream_local: "10.0.0.1:4002", ..MADE };
    let cut = |at, downstream| Request { outcome: "aborted", flags: "DC", at, downstream, ..RECEIVED };
    let last = Request { at: 60, downstream: "10.0.0.1:4002", ..RECEIVED };
    let rows = [made, cut(0, "10.0.0.1:4000"), cut(30, "10.0.0.1:4001"), last];
    let picture = picture(&rows, &[]);
    assert_eq!(edges(&picture), ["default/a -> default/b 1/0 +2"]);
    let node = &picture.node_cells[0].measure;
    assert_eq!((node.requests(), node.errors(), node.aborted()), (3.0, 0.0, 2.0));
    let edge = &picture.edge_cells[0].measure;
    assert_eq!((edge.made(), edge.received(), edge.completeness()), (1.0, 3.0, Some(1.0)));
}

/// One request id through a whole trace: each hop keeps its own rows.
#[test]
fn hops_of_one_request_id_are_calls_each() {
    let next = Request {
        source: ("default", "b"),
        destination: ("default", "c"),
        source_address: "10.0.0.2",
        upstream_local: "10.0.0.2:7000",
        upstream_host: "10.0.0.3:80",
        authority: "c",
        at: 2,
        millis: 5,
        ..MADE
    };
    let at_c = Request {
        source: ("", ""),
        destination: ("default", "c"),
        destination_address: "10.0.0.3",
        // Another connection than the one in the client's row: a try before the last.
        downstream: "10.0.0.2:6999",
        downstream_local: "10.0.0.3:80",
        authority: "c",
        at: 3,
        millis: 2,
        ..RECEIVED
    };
    check(
        &[MADE, RECEIVED, next, at_c],
        &["default/a -> default/b 1/0", "default/b -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0"],
    );
}

/// Two calls of one proxy with one request id, 2 s apart, and clocks that differ by half a second.
#[test]
fn clocks_may_differ() {
    let later = Request { second: FROM_SECOND + 2, upstream_local: "", ..MADE };
    let first = Request { upstream_local: "", ..MADE };
    let at_b = |second, at| Request { second, at, source: ("", ""), ..RECEIVED };
    let rows = [first, later, at_b(FROM_SECOND, 500), at_b(FROM_SECOND + 2, 500)];
    check(&rows, &["default/a -> default/b 2/0"], &["default/b 2/0"]);
}

#[test]
fn without_an_id_both_ends_of_the_connection_join() {
    let plain = |row| Request { request_id: "", authority: "", ..row };
    let received = Request { source: ("", ""), destination: ("default", "nginx"), ..plain(RECEIVED) };
    check(&[plain(MADE), received], &["default/a -> default/nginx 1/0"], &["default/nginx 1/0"]);
}

/// The pod that had the port went away, another one has it now.
#[test]
fn a_source_port_alone_joins_nothing() {
    let connection = |row| Request { layer: "l4", code: 0, request_id: "", authority: "", ..row };
    let made = Request { destination: ("default", "pg"), upstream_host: "10.0.0.7:5432", ..connection(MADE) };
    let received = Request { source: ("", ""), second: FROM_SECOND + 50, ..connection(RECEIVED) };
    let want = ["client@default/b -> default/b 1/0", "default/a -> default/pg 1/0"];
    check(&[made, received], &want, &["default/b 1/0", "default/pg 1/0"]);
}

#[test]
fn a_request_that_two_callers_share_names_neither() {
    let client = Request { request_id: "r1", ..CALL };
    let other = Request { source: ("default", "c"), ..client };
    let unknown = Request { source: ("", "10.9.9.9"), request_id: "r1", ..SERVED };
    let picture = picture(&[client, other, unknown], &[]);
    assert_eq!(
        edges(&picture),
        ["client@default/b -> default/b 1/0", "default/a -> default/b 1/0", "default/c -> default/b 1/0"]
    );
}

#[test]
fn unknown_callers_of_two_services_are_two_nodes() {
    let unknown = Request { source: ("", ""), ..SERVED };
    let picture = picture(&[unknown, Request { destination: ("shop", "cart"), ..unknown }], &[]);
    assert_eq!(edges(&picture), ["client@default/b -> default/b 1/0", "client@shop/cart -> shop/cart 1/0"]);
}

#[test]
fn a_passed_through_address_is_named_by_its_own_proxy() {
    let passed = Request { destination: ("", "10.0.0.2"), ..MADE };
    check(
        &[passed, Request { source: ("", ""), ..RECEIVED }],
        &["default/a -> default/b 1/0"],
        &["default/b 1/0"],
    );
}

#[test]
fn a_mirrored_request_is_a_call_of_its_own() {
    let shadow = Request {
        destination: ("default", "shadow"),
        destination_address: "10.0.0.4",
        downstream: "10.0.0.1:4009",
        downstream_local: "10.0.0.4:80",
        ..RECEIVED
    };
    check(
        &[MADE, RECEIVED, shadow],
        &["default/a -> default/b 1/0", "default/a -> default/shadow 1/0"],
        &["default/b 1/0", "default/shadow 1/0"],
    );
}
