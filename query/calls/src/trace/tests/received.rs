//! Received sides, each once.

use super::*;

#[test]
fn frameworks_inside_one_another_received_once() {
    check(
        &[
            span(1, 0, CLIENT, A),
            span(2, 1, SERVER, B),
            span(3, 2, INTERNAL, B),
            span(4, 3, SERVER, B),
            span(5, 4, SERVER, B),
        ],
        &["default/a -> default/b 1/0"],
        &["default/b 1/0"],
    );
}

#[test]
fn a_service_with_only_internal_spans_received_its_call() {
    check(
        &[
            span(1, 0, CLIENT, A),
            span(2, 1, INTERNAL, B),
            span(3, 1, INTERNAL, B),
            span(4, 3, CLIENT, B),
            span(5, 4, SERVER, C),
        ],
        &["default/a -> default/b 1/0", "default/b -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0"],
    );
}

/// Gateways record CLIENT spans only; pairing CLIENT with SERVER breaks A -> gateway -> B apart.
#[test]
fn a_gateway_with_client_spans_only_is_on_the_path() {
    let gateway =
        Span { is_proxy: true, tags: &[("node_id", "router~1~g~d")], ..span(3, 2, CLIENT, GATEWAY) };
    let spans = [span(2, 0, CLIENT, A), gateway, span(4, 3, SERVER, B)];
    check(
        &spans,
        &["default/a -> istio-system/gateway 1/0", "istio-system/gateway -> default/b 1/0"],
        &["default/b 1/0", "istio-system/gateway 1/0"],
    );
    assert_eq!(kind(&picture(&[], &spans), "istio-system/gateway"), Some("gateway"));
    let root = Span { parent: 0, ..gateway };
    check(
        &[root, span(4, 3, SERVER, B)],
        &["client@istio-system/gateway -> istio-system/gateway 1/0", "istio-system/gateway -> default/b 1/0"],
        &["default/b 1/0", "istio-system/gateway 1/0"],
    );
}

#[test]
fn a_fan_out_of_client_spans_was_received_once() {
    let edge = ("", "edge");
    check(
        &[
            span(1, 0, CLIENT, A),
            span(2, 1, CLIENT, edge),
            span(3, 1, CLIENT, edge),
            span(4, 2, SERVER, B),
            span(5, 3, SERVER, C),
        ],
        &["default/a -> edge 1/0", "edge -> default/b 1/0", "edge -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0", "edge 1/0"],
    );
}

/// A stream of an hour beside calls of 10 ms.
#[test]
fn streams_of_grpc_have_no_latency_among_those_of_requests() {
    let call = |id, name| Span { rpc_system: "grpc", name, ..span(id, 0, SERVER, B) };
    let stream = Span { millis: 3_600_000, ..call(2, "flagd.evaluation.v1.Service/EventStream") };
    let picture = crate::fixture::picture(&[], &[call(1, "shop.Cart/Get"), stream]);
    let node = &picture.node_cells[0].measure;
    assert_eq!((node.requests(), node.max_ms()), (2.0, Some(10.0)));
}

/// A web socket and a tunnel last as long as their users like.
#[test]
fn upgrades_count_and_have_no_latency_among_those_of_requests() {
    let made = |id| Span { millis: 20, ..span(id, 0, CLIENT, A) };
    let socket = Span { http_status: 101, millis: 3_600_000, ..span(2, 1, SERVER, B) };
    let tunnel = Span { method: "CONNECT", millis: 3_600_000, ..span(4, 3, SERVER, B) };
    let spans = [made(1), socket, made(3), tunnel, made(5), span(6, 5, SERVER, B)];
    let picture = crate::fixture::picture(&[], &spans);
    let (edge, node) = (&picture.edge_cells[0].measure, &picture.node_cells[0].measure);
    assert_eq!((edge.requests(), edge.max_ms()), (3.0, Some(20.0)));
    assert_eq!((node.requests(), node.max_ms()), (3.0, Some(10.0)));
}
