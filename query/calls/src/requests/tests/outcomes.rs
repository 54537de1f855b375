//! What was refused, and what has no latency.

use super::*;

/// 5 calls, 2 refused by the caller's own proxy: the edge has 5; the callee, which has no proxy, 3.
#[test]
fn what_was_refused_on_the_way_counts_on_the_edge_only() {
    for flag in ["UH", "UF", "UO", "NR", "RL"] {
        let refused = Request { flags: flag, outcome: "error", attempts: 0, ..CALL };
        let picture = picture(&[CALL, CALL, CALL, refused, refused], &[]);
        assert_eq!(edges(&picture), ["default/a -> default/b 5/2"], "{flag}");
        assert_eq!(nodes(&picture), ["default/b 3/0"], "{flag}");
        assert_eq!(picture.edge_cells[0].refused, 2.0);
    }
}

/// A fixed answer or a redirect of the caller's own proxy: the callee never heard of the call.
#[test]
fn what_a_proxy_answers_by_itself_counts_on_the_edge_only() {
    let fixed = Request { details: "direct_response", attempts: 0, ..CALL };
    let answered = Request { details: "via_upstream", upstream_host: "10.0.0.2:80", ..CALL };
    // Older proxies do not count tries.
    let uncounted = Request { attempts: 0, ..answered };
    let picture = picture(&[fixed, answered, uncounted], &[]);
    assert_eq!((edges(&picture), nodes(&picture)), {
        (vec!["default/a -> default/b 3/0".to_owned()], vec!["default/b 2/0".to_owned()])
    });
    assert_eq!(picture.edge_cells[0].refused, 1.0);
}

/// Traffic to a dead upstream never arrives, so only the edge can show it; Tempo shows nothing at all. However often
/// the proxy tried to connect, nothing arrived a second time.
#[test]
fn a_dead_upstream_is_on_the_graph() {
    let dead =
        Request { destination: ("default", "dead"), flags: "UF,URX", outcome: "error", attempts: 3, ..CALL };
    check(&[dead; 30], &["default/a -> default/dead 30/30"], &[]);
    assert_eq!(picture(&[dead; 30], &[]).edge_cells[0].refused, 30.0);
}

#[test]
fn a_rate_limit_at_the_callee_counts_at_the_callee() {
    let limited = Request { flags: "RL", outcome: "client_error", ..SERVED };
    let picture = picture(&[limited, SERVED], &[]);
    let node = &picture.node_cells[0].measure;
    assert_eq!((node.requests(), node.client_errors(), node.errors()), (2.0, 1.0, 0.0));
}

/// A stream is known by its method, or by its proxy saying in between that it goes on; an hour of it is no latency.
#[test]
fn streams_of_grpc_count_and_have_no_latency_among_those_of_requests() {
    let call = Request { grpc_status: "0", path: "/shop.Cart/Get", method: "POST", ..SERVED };
    let hour = 3_600_000;
    let watch = Request { path: "/shop.Cart/WatchPrices", millis: hour, ..call };
    let chat = Request { path: "/shop.Cart/Chat", millis: hour, request_id: "r1", at: 5, ..call };
    let goes_on = Request { counted: false, access_log_type: "DownstreamPeriodic", millis: 60_000, ..chat };
    let picture = picture(&[call, watch, chat, goes_on, goes_on], &[]);
    let node = &picture.node_cells[0].measure;
    assert_eq!((node.requests(), node.max_ms(), node.protocol().name()), (3.0, Some(10.0), "grpc"));
}

#[test]
fn upgrades_count_and_have_no_latency_among_those_of_requests() {
    let upgraded = Request { code: 101, millis: 3_600_000, ..SERVED };
    let tunnel = Request { method: "CONNECT", millis: 3_600_000, ..SERVED };
    let picture = picture(&[SERVED, upgraded, tunnel], &[]);
    let node = &picture.node_cells[0].measure;
    assert_eq!((node.requests(), node.max_ms()), (3.0, Some(10.0)));
}

/// nginx's default format tells no duration, and 0 ms would be a good one. An edge's latency is the made side's, a
/// node's the received side's, and what one side does not tell is not taken from the other.
#[test]
fn a_call_whose_duration_nobody_tells_counts_and_has_no_latency() {
    let told = |rows: &[Request]| {
        let picture = picture(rows, &[]);
        let (edge, node) = (&picture.edge_cells[0].measure, &picture.node_cells[0].measure);
        [edge, node].map(|cell| (cell.requests(), cell.quantile_ms(0.99).is_some(), cell.max_ms()))
    };
    let untimed = Request { millis: 0, is_untimed: true, ..SERVED };
    assert_eq!(told(&[untimed, untimed]), [(2.0, false, None); 2]);
    let instant = Request { millis: 0, ..SERVED };
    assert_eq!(told(&[untimed, instant]), [(2.0, true, Some(0.0)); 2], "0 that is told is a duration");
    assert_eq!(told(&[untimed, SERVED]), [(2.0, true, Some(10.0)); 2]);

    let made = Request { request_id: "r1", ..CALL };
    let made_untimed = Request { millis: 0, is_untimed: true, ..made };
    let received = Request { request_id: "r1", ..SERVED };
    let received_untimed = Request { millis: 0, is_untimed: true, ..received };
    assert_eq!(told(&[made_untimed, received]), [(1.0, false, None), (1.0, true, Some(10.0))]);
    assert_eq!(told(&[made, received_untimed]), [(1.0, true, Some(10.0)), (1.0, false, None)]);
}
