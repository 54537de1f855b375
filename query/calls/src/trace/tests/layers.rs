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

/// Node's driver of PostgreSQL: what it does to have a connection lies beside the query, in spans of the same store.
#[test]
fn connecting_beside_the_query_that_it_was_for_is_no_call() {
    let store = |span| Span { db_system: "postgresql", server_address: "pg", ..span };
    let connect = store(Span { name: "pg-pool.connect", ..span(2, 1, CLIENT, A) });
    let query = store(Span { name: "pg.query:SELECT shop", at: 10, ..span(3, 1, CLIENT, A) });
    let handled = span(1, 0, INTERNAL, A);
    check(&[handled, connect, query], &["default/a -> pg 1/0"], &["pg 1/0"]);
    // Nothing came of it, or nothing else tells of it.
    let failed = Span { outcome: "error", ..connect };
    check(&[handled, failed, Span { id: 4, ..query }], &["default/a -> pg 2/1"], &["pg 2/1"]);
    check(&[handled, connect], &["default/a -> pg 1/0"], &["pg 1/0"]);
    let elsewhere = Span { server_address: "other", ..query };
    check(
        &[handled, connect, elsewhere],
        &["default/a -> other 1/0", "default/a -> pg 1/0"],
        &["other 1/0", "pg 1/0"],
    );
}

/// Outside of any request; the address that a span of it tells is what was found, and nobody who was called.
#[test]
fn looking_a_name_up_is_no_call() {
    let lookup = Span { name: "dns.lookup", peer_address: "10.0.0.9", ..span(2, 1, CLIENT, A) };
    check(&[span(1, 0, INTERNAL, A), lookup], &[], &[]);
    check(&[span(1, 0, INTERNAL, A), Span { peer_address: "", name: "tcp.connect", ..lookup }], &[], &[]);
    let connect = Span { name: "tcp.connect", ..lookup };
    check(&[span(1, 0, INTERNAL, A), connect], &["default/a -> 10.0.0.9 1/0"], &["10.0.0.9 1/0"]);
}

/// Go's httptrace: a request is sent and its answer received in spans of their own, one of which the callee knows.
#[test]
fn nameless_layers_beside_an_answered_one_are_no_calls() {
    let layer = |id, name| Span { name, ..span(id, 1, CLIENT, A) };
    let whole = Span { url: "http://b/", method: "GET", ..span(1, 0, CLIENT, A) };
    check(
        &[
            whole,
            layer(2, "http.getconn"),
            layer(3, "http.send"),
            layer(4, "http.receive"),
            span(5, 3, SERVER, B),
        ],
        &["default/a -> default/b 1/0"],
        &["default/b 1/0"],
    );
    // One that failed was a try.
    let failed = Span { outcome: "error", ..layer(2, "GET") };
    let next = Span { at: 20, ..layer(3, "GET") };
    check(
        &[whole, failed, next, span(5, 3, SERVER, B)],
        &["default/a -> default/b 1/0 +1"],
        &["default/b 1/0"],
    );
}
