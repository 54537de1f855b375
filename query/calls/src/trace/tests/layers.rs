//! Made spans inside one another.

use super::*;

fn host(id: u64, parent: u64, server_address: &'static str) -> Span {
    Span { server_address, ..span(id, parent, CLIENT, A) }
}

#[test]
fn an_operation_its_request_and_its_look_up_are_one_call() {
    let lookup = Span { name: "dns.lookup", peer_address: "10.0.0.53", ..span(3, 2, CLIENT, A) };
    let connect = Span { name: "tcp.connect", server_address: "loki", ..span(4, 2, CLIENT, A) };
    check(
        &[span(1, 0, CLIENT, A), host(2, 1, "loki"), lookup, connect],
        &["default/a -> loki 1/0"],
        &["loki 1/0"],
    );
}

#[test]
fn an_answered_request_keeps_its_answer_whatever_is_inside() {
    let lookup = Span { name: "dns.lookup", ..host(3, 1, "b.example") };
    let connect = Span { peer_address: "10.0.0.9", ..span(4, 1, CLIENT, A) };
    check(
        &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), lookup, connect],
        &["default/a -> default/b 1/0"],
        &["default/b 1/0"],
    );
}

#[test]
fn a_far_end_of_another_name_inside_is_a_call_of_its_own() {
    check(
        &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), host(3, 1, "loki")],
        &["default/a -> default/b 1/0", "default/a -> loki 1/0"],
        &["default/b 1/0", "loki 1/0"],
    );
}

#[test]
fn layers_answered_by_different_services_are_calls_each() {
    check(
        &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), span(3, 1, CLIENT, A), span(4, 3, SERVER, C)],
        &["default/a -> default/b 1/0", "default/a -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0"],
    );
}

#[test]
fn an_operation_whose_requests_are_calls_is_none_itself() {
    check(
        &[host(1, 0, "facade"), host(2, 1, "x.example"), host(3, 1, "y.example")],
        &["default/a -> x.example 1/0", "default/a -> y.example 1/0"],
        &["x.example 1/0", "y.example 1/0"],
    );
    check(
        &[host(1, 0, "facade"), host(2, 1, "x.example")],
        &["default/a -> x.example 1/0"],
        &["x.example 1/0"],
    );
}

/// An SDK asks for `pay`, the HTTP inside of it goes to the address that the name stands for.
#[test]
fn an_address_inside_is_no_other_far_end() {
    let whole = Span { millis: 30, ..host(1, 0, "pay") };
    for inner in [host(2, 1, "10.0.0.9"), Span { url: "http://10.0.0.9:8080/", ..host(2, 1, "") }] {
        check(&[whole, inner], &["default/a -> pay 1/0"], &["pay 1/0"]);
    }
    let by_address = Span { server_address: "10.0.0.9", ..whole };
    check(&[by_address, host(2, 1, "pay")], &["default/a -> pay 1/0"], &["pay 1/0"]);
    let store = Span { db_system: "elasticsearch", ..by_address };
    let picture = picture(&[], &[store, host(2, 1, "pay")]);
    assert_eq!(edges(&picture), ["default/a -> 10.0.0.9 1/0"]);
    assert_eq!(kind(&picture, "10.0.0.9"), Some("database"));
}

#[test]
fn a_database_over_http_is_a_call_to_the_database() {
    let operation = Span { db_system: "elasticsearch", ..host(1, 0, "search") };
    check(&[operation, host(2, 1, "es-0.example")], &["default/a -> search 1/0"], &["search 1/0"]);
    assert_eq!(kind(&picture(&[], &[operation, host(2, 1, "es-0.example")]), "search"), Some("database"));
}

/// 20 ms in all, of which the request took 10: the edge's latency is the whole.
#[test]
fn a_call_of_layers_takes_as_long_as_the_outermost() {
    let operation = Span { millis: 20, ..span(1, 0, CLIENT, A) };
    let picture = picture(&[], &[operation, span(2, 1, CLIENT, A), span(3, 2, SERVER, B)]);
    assert_eq!(edges(&picture), ["default/a -> default/b 1/0"]);
    assert_eq!(picture.edge_cells[0].measure.max_ms(), Some(20.0));
    assert_eq!(picture.node_cells[0].measure.max_ms(), Some(10.0));
}
