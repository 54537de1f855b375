//! Rows of gateways, which are two sides at once.

use super::*;

#[test]
fn a_gateway_receives_what_it_passes_on() {
    let picture =
        picture(&[GATEWAY, GATEWAY, Request { source: ("istio-system", "ingress"), ..SERVED }], &[]);
    assert_eq!(
        edges(&picture),
        ["client@istio-system/ingress -> istio-system/ingress 2/0", "istio-system/ingress -> default/b 2/0"]
    );
    assert_eq!(nodes(&picture), ["default/b 1/0", "istio-system/ingress 2/0"]);
    assert_eq!(kind(&picture, "istio-system/ingress"), Some("gateway"));
    assert_eq!(kind(&picture, "client@istio-system/ingress"), Some("client"));
}

#[test]
fn a_gateway_that_answers_itself_calls_nobody() {
    let lost = Request { destination: ("", ""), flags: "NR", outcome: "error", attempts: 0, ..GATEWAY };
    let redirected = Request { flags: "", outcome: "ok", ..lost };
    let picture = picture(&[lost, redirected], &[]);
    assert_eq!(edges(&picture), ["client@istio-system/ingress -> istio-system/ingress 2/1"]);
}

#[test]
fn a_callers_proxy_names_the_caller_of_a_gateway() {
    let to_gateway = Request {
        destination: ("istio-system", "ingress"),
        upstream_local: "10.0.0.1:4000",
        request_id: "r1",
        ..CALL
    };
    let at_gateway = Request { downstream: "10.0.0.1:4000", request_id: "r1", ..GATEWAY };
    let picture = picture(&[at_gateway, to_gateway], &[]);
    assert_eq!(
        edges(&picture),
        ["default/a -> istio-system/ingress 1/0", "istio-system/ingress -> default/b 1/0"]
    );
}

/// Scenario: browser, gateway and callee on one machine, so that all have one address. Guarantee: what the gateway
/// received is not taken for the other side of what it made.
#[test]
fn a_gateway_does_not_call_itself_when_its_callers_have_its_address() {
    let local = Request {
        source_address: "127.0.0.1",
        downstream: "127.0.0.1:50000",
        downstream_local: "127.0.0.1:8080",
        upstream_host: "127.0.0.1:9080",
        authority: "shop.example",
        request_id: "r1",
        ..GATEWAY
    };
    assert_eq!(
        edges(&picture(&[local], &[])),
        ["client@istio-system/ingress -> istio-system/ingress 1/0", "istio-system/ingress -> default/b 1/0"]
    );
}

#[test]
fn an_aborted_call_is_no_error() {
    let aborted = Request { outcome: "aborted", flags: "DC", ..GATEWAY };
    let picture = picture(&[aborted, GATEWAY], &[]);
    let gateway = &picture.node_cells.last().expect("the gateway received calls").measure;
    assert_eq!((gateway.requests(), gateway.aborted(), gateway.errors()), (2.0, 1.0, 0.0));
}
