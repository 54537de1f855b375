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

#[test]
fn upgrades_count_and_have_no_latency_among_those_of_requests() {
    let upgraded = Request { code: 101, millis: 3_600_000, ..SERVED };
    let tunnel = Request { method: "CONNECT", millis: 3_600_000, ..SERVED };
    let picture = picture(&[SERVED, upgraded, tunnel], &[]);
    let node = &picture.node_cells[0].measure;
    assert_eq!((node.requests(), node.max_ms()), (3.0, Some(10.0)));
}
