//! What a callee is called that does not tell of itself.

use super::*;

#[test]
fn a_database_is_named_by_its_address() {
    let mysql = Span { db_system: "mysql", db_namespace: "ratings", ..span(2, 1, CLIENT, A) };
    let spans = [
        span(1, 0, INTERNAL, A),
        Span { server_address: "mysql.default.svc.cluster.local", ..mysql },
        Span { id: 3, ..mysql },
        Span { id: 4, db_namespace: "", ..mysql },
    ];
    check(
        &spans,
        &["default/a -> default/mysql 1/0", "default/a -> mysql@default/a 1/0", "default/a -> ratings 1/0"],
        &["default/mysql 1/0", "mysql@default/a 1/0", "ratings 1/0"],
    );
    for id in ["default/mysql", "ratings", "mysql@default/a"] {
        assert_eq!(kind(&picture(&[], &spans), id), Some("database"), "{id}");
    }
}

#[test]
fn two_stores_on_one_host_are_two_nodes() {
    let store = |id, db_system, server_port| Span {
        db_system,
        server_port,
        server_address: "10.0.0.5",
        ..span(id, 0, CLIENT, A)
    };
    check(
        &[store(1, "redis", 6379), store(2, "postgresql", 5432), store(3, "redis", 0)],
        &["default/a -> 10.0.0.5:5432 1/0", "default/a -> 10.0.0.5:6379 2/0"],
        &["10.0.0.5:5432 1/0", "10.0.0.5:6379 2/0"],
    );
}

#[test]
fn pods_behind_a_headless_service_are_the_service() {
    let find = |id, server_address| Span { db_system: "mongodb", server_address, ..span(id, 0, CLIENT, A) };
    let pods =
        [find(1, "mongo-0.mongo.prod.svc.cluster.local"), find(2, "mongo-1.mongo.prod.svc.cluster.local")];
    check(&pods, &["default/a -> prod/mongo 2/0"], &["prod/mongo 2/0"]);
}

#[test]
fn a_url_names_its_host() {
    let get = |id, url| Span { url, ..span(id, 0, CLIENT, A) };
    check(
        &[get(1, "https://api.pay.example/v1/charge"), get(2, "https://maps.geo.example/tile/1")],
        &["default/a -> api.pay.example 1/0", "default/a -> maps.geo.example 1/0"],
        &["api.pay.example 1/0", "maps.geo.example 1/0"],
    );
}

#[test]
fn a_far_end_that_reports_itself_is_that_service() {
    let query = Span { db_system: "redis", server_address: "cache", ..span(1, 0, CLIENT, A) };
    let spans = [query, Span { trace: 2, ..span(1, 0, SERVER, ("", "cache")) }];
    let picture = picture(&[], &spans);
    assert_eq!(edges(&picture), ["client@cache -> cache 1/0", "default/a -> cache 1/0"]);
    assert_eq!(kind(&picture, "cache"), Some("service"));
}

/// Of two calls to a host one was answered, by b: so the other went to b as well.
#[test]
fn what_a_caller_calls_its_callee_is_an_alias_of_it() {
    let call = |trace| Span { trace, server_address: "b-svc.example", ..span(1, 0, CLIENT, A) };
    check(&[call(1), span(2, 1, SERVER, B), call(2)], &["default/a -> default/b 2/0"], &["default/b 1/0"]);
    // Two services answer to it: nobody knows whom the third call reached.
    let spans =
        [call(1), span(2, 1, SERVER, B), call(2), Span { trace: 2, ..span(2, 1, SERVER, C) }, call(3)];
    assert_eq!(
        edges(&picture(&[], &spans)),
        ["default/a -> b-svc.example 1/0", "default/a -> default/b 1/0", "default/a -> default/c 1/0",]
    );
}

#[test]
fn a_domain_name_is_one_in_any_case() {
    let get = |id, url, server_address| Span { url, server_address, ..span(id, 0, CLIENT, A) };
    check(
        &[get(1, "https://API.Pay.Example/v1", ""), get(2, "", "api.pay.example")],
        &["default/a -> api.pay.example 2/0"],
        &["api.pay.example 2/0"],
    );
}

/// Two services keep a database each inside of themselves.
#[test]
fn an_embedded_database_belongs_to_its_caller() {
    let query =
        |id, service| Span { db_system: "sqlite", db_namespace: ":memory:", ..span(id, 0, CLIENT, service) };
    check(
        &[query(1, A), query(2, B)],
        &["default/a -> :memory:@default/a 1/0", "default/b -> :memory:@default/b 1/0"],
        &[":memory:@default/a 1/0", ":memory:@default/b 1/0"],
    );
}

/// gRPC's clients are told where to go by a target, which names its resolver too.
#[test]
fn a_target_of_grpc_names_its_host() {
    let call = |id, server_address| Span { rpc_system: "grpc", server_address, ..span(id, 0, CLIENT, A) };
    check(
        &[call(1, "dns:///b.default.svc.cluster.local:9080"), call(2, "b.default.svc.cluster.local")],
        &["default/a -> default/b 2/0"],
        &["default/b 2/0"],
    );
}
