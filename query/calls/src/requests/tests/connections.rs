//! Connections, and what went through them.

use super::*;

const CONNECTION: Request =
    Request { destination: ("default", "mysql"), layer: "l4", millis: 60_000, code: 0, ..CALL };

/// A pooled connection carries many queries: the proxy sees one connection, the client three queries.
#[test]
fn queries_are_counted_and_not_connections() {
    let query = Span {
        kind: CLIENT,
        db_system: "mysql",
        server_address: "mysql",
        service: ("default", "a"),
        second: FROM_SECOND + 30,
        ..SPAN
    };
    let queries = [query, Span { id: 2, ..query }, Span { id: 3, ..query }];
    let with_spans = picture(&[CONNECTION], &queries);
    assert_eq!(edges(&with_spans), ["default/a -> default/mysql 3/0"]);
    // The connection tells of the bytes: 100 in, 1,000 out.
    assert_eq!(with_spans.edge_cells[0].measure.bytes_out(), 1_000.0);
    let without = picture(&[CONNECTION], &[]);
    assert_eq!(edges(&without), ["default/a -> default/mysql 1/0"]);
    assert_eq!(without.edge_cells[0].measure.quantile_ms(0.5), None);
    assert_eq!(without.edge_cells[0].measure.protocol().name(), "tcp");
}

/// ztunnel under a waypoint: a connection from a to b, and the requests in it.
#[test]
fn a_connection_under_requests_is_no_call() {
    let tunnel = |row| Request { layer: "l4", code: 0, millis: 5_000, ..row };
    let waypoint = Request { at: 100, ..SERVED };
    check(
        &[tunnel(CALL), tunnel(SERVED), waypoint, waypoint],
        &["default/a -> default/b 2/0"],
        &["default/b 2/0"],
    );
}
