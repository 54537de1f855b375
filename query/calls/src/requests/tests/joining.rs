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

/// Both proxies share a machine: the callee's sees its caller at loopback, while the caller's own address is its pod's, and
/// only the last try's connection is known.
#[test]
fn tries_over_loopback_are_one_call() {
    let made = Request { upstream_host: "127.0.0.1:9000", millis: 100, ..MADE };
    let local = Request { source: ("", ""), downstream_local: "127.0.0.1:9000", ..RECEIVED };
    let failed = |at, downstream| Request { at, downstream, outcome: "error", code: 503, ..local };
    let last = Request { at: 60, downstream: "127.0.0.1:4002", ..local };
    let retried = Request { attempts: 3, upstream_local: "127.0.0.1:4002", ..made };
    check(
        &[retried, failed(0, "127.0.0.1:4000"), failed(30, "127.0.0.1:4001"), last],
        &["default/a -> default/b 1/0 +2"],
        &["default/b 3/2"],
    );
    // The last try could not connect, so that the caller's row knows no end of a connection.
    let cut =
        Request { attempts: 2, outcome: "error", code: 503, flags: "URX,UF", upstream_local: "", ..made };
    check(&[cut, failed(0, "127.0.0.1:4000")], &["default/a -> default/b 1/1"], &["default/b 1/1"]);
    // Two callers, either of which it may have been: neither is taken.
    let other = Request { source: ("default", "c"), source_address: "10.0.0.7", ..cut };
    let want =
        ["client@default/b -> default/b 1/1", "default/a -> default/b 1/1", "default/c -> default/b 1/1"];
    assert_eq!(edges(&picture(&[cut, other, failed(0, "127.0.0.1:4000")], &[])), want);
}

/// Everything runs on one machine, asks for the same host, and passes one request id on.
#[test]
fn a_call_onward_over_loopback_is_not_the_one_that_came_in() {
    let local = |row| Request { authority: "shop", ..row };
    let onward = local(Request {
        source: ("default", "b"),
        destination: ("default", "c"),
        source_address: "10.0.0.2",
        upstream_local: "127.0.0.1:7000",
        upstream_host: "127.0.0.1:9000",
        at: 2,
        millis: 5,
        ..MADE
    });
    let came_in = local(Request {
        source: ("", ""),
        downstream: "127.0.0.1:4000",
        downstream_local: "127.0.0.1:9000",
        ..RECEIVED
    });
    check(
        &[came_in, onward],
        &["client@default/b -> default/b 1/0", "default/b -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0"],
    );
}

/// The first try met a pod that was gone: the callee received one call, and received nothing again.
#[test]
fn a_try_that_could_not_connect_is_no_retry_of_the_callee() {
    let made = Request { attempts: 2, ..MADE };
    check(&[made, RECEIVED], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    // Where the callee tells nothing, its caller's word is all there is.
    check(&[made], &["default/a -> default/b 1/0 +1"], &["default/b 1/0"]);
}

/// Envoy asks a mirror for another host; here the mirror is another version of the same service.
#[test]
fn a_mirror_of_the_same_service_is_no_try() {
    let made = Request { attempts: 2, millis: 20, upstream_local: "10.0.0.1:4002", ..MADE };
    let at_b = |at, millis, downstream| Request { at, millis, downstream, source: ("", ""), ..RECEIVED };
    let failed = Request { outcome: "error", code: 503, ..at_b(0, 5, "10.0.0.1:4000") };
    let mirrored = Request { authority: "b-shadow", version: "v2", ..at_b(1, 8, "10.0.0.1:4009") };
    check(
        &[made, failed, mirrored, at_b(10, 8, "10.0.0.1:4002")],
        &["default/a -> default/b 2/0 +1"],
        &["default/b 3/1"],
    );
    // A service of such a name is called for itself.
    let shadow = |row| Request { authority: "b-shadow", ..row };
    check(&[shadow(MADE), shadow(RECEIVED)], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}
