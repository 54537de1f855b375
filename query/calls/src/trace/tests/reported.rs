//! Traffic that other service graphs are reported to draw wrong, as their users describe it.

use super::*;

/// Instrumentation that sets no kind of span, or INTERNAL everywhere: parents of other services are all there is.
#[test]
fn services_that_set_no_kind_of_span_call_each_other() {
    for kind in [0, INTERNAL] {
        let spans = [span(1, 0, kind, A), span(2, 1, kind, A), span(3, 2, kind, B), span(4, 3, kind, C)];
        let want = ["default/a -> default/b 1/0", "default/b -> default/c 1/0"];
        check(&spans, &want, &["default/b 1/0", "default/c 1/0"]);
    }
}

/// Only servers are instrumented.
#[test]
fn servers_whose_callers_are_not_seen_making_calls_are_called() {
    let spans = [span(1, 0, SERVER, A), span(2, 1, SERVER, B), span(3, 1, SERVER, B)];
    let picture = picture(&[], &spans);
    assert_eq!(edges(&picture), ["client@default/a -> default/a 1/0", "default/a -> default/b 2/0"]);
    assert_eq!(nodes(&picture), ["default/a 1/0", "default/b 2/0"]);
}

/// A cron job begins with a span of its own: nobody called it.
#[test]
fn a_job_that_calls_was_called_by_nobody() {
    let spans = [span(1, 0, INTERNAL, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, B)];
    check(&spans, &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// `peer.service` copied from the service's own configuration.
#[test]
fn a_far_end_that_answers_is_not_the_one_that_its_caller_names() {
    let made = Span { peer_service: "a", ..span(1, 0, CLIENT, A) };
    check(&[made, span(2, 1, SERVER, B)], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// A worker that puts back what it cannot do yet.
#[test]
fn a_message_that_is_put_back_goes_both_ways() {
    let of_queue = |span| Span { queue: "orders", ..span };
    check(
        &[of_queue(span(1, 0, CONSUMER, B)), of_queue(span(2, 1, PRODUCER, B))],
        &["default/b -> orders 1/0", "orders -> default/b 1/0"],
        &["default/b 1/0", "orders 1/0"],
    );
}

/// The callee's clock is five seconds behind: it answers before it is asked.
#[test]
fn a_child_that_begins_before_its_parent_is_its_child() {
    let received = Span { at: -5_000, ..span(2, 1, SERVER, B) };
    check(&[span(1, 0, CLIENT, A), received], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// An ORM, its driver and the pool in front of the database.
#[test]
fn layers_of_one_query_are_one_call() {
    let query = |span| Span { db_system: "postgresql", server_address: "pool", server_port: 6432, ..span };
    let spans = [
        span(1, 0, SERVER, A),
        Span { db_system: "postgresql", ..span(2, 1, CLIENT, A) },
        query(span(3, 2, CLIENT, A)),
        Span { peer_address: "10.0.0.7", ..span(4, 3, CLIENT, A) },
    ];
    let picture = picture(&[], &spans);
    assert_eq!(edges(&picture), ["client@default/a -> default/a 1/0", "default/a -> pool 1/0"]);
    assert_eq!(kind(&picture, "pool"), Some("database"));
}

/// A federated query asks one service three times at once; none is a try of another.
#[test]
fn requests_at_once_to_one_service_are_calls_of_their_own() {
    let asked = (0..3).flat_map(|n: u64| {
        [span(10 + n, 2, CLIENT, A), Span { at: 1, millis: 5, ..span(20 + n, 10 + n, SERVER, B) }]
    });
    let spans: Vec<Span> =
        [span(1, 0, SERVER, A), span(2, 1, INTERNAL, A)].into_iter().chain(asked).collect();
    let picture = picture(&[], &spans);
    assert_eq!(edges(&picture), ["client@default/a -> default/a 1/0", "default/a -> default/b 3/0"]);
    assert_eq!(nodes(&picture), ["default/a 1/0", "default/b 3/0"]);
}

/// A redirect is followed to another host: two requests inside one operation, both of them calls.
#[test]
fn a_redirect_to_another_host_is_a_call_to_each() {
    let to = |id, url, http_status| Span { url, http_status, ..span(id, 1, CLIENT, A) };
    let later = Span { at: 20, ..to(3, "https://new.example/", 200) };
    let spans = [span(1, 0, CLIENT, A), to(2, "https://old.example/", 302), later];
    let want = ["default/a -> new.example 1/0", "default/a -> old.example 1/0"];
    assert_eq!(edges(&picture(&[], &spans)), want);
}

/// One balancer in front of two services: what it alone is known of stays its own, and is neither's.
#[test]
fn a_balancers_name_is_neither_of_the_services_behind_it() {
    let through = |trace, made: Span| Span { trace, server_address: "lb.example", ..made };
    let spans = [
        through(1, span(1, 0, CLIENT, A)),
        Span { trace: 1, ..span(2, 1, SERVER, B) },
        through(2, span(1, 0, CLIENT, A)),
        Span { trace: 2, ..span(2, 1, SERVER, C) },
        through(3, span(1, 0, CLIENT, A)),
    ];
    let want = ["default/a -> default/b 1/0", "default/a -> default/c 1/0", "default/a -> lb.example 1/0"];
    assert_eq!(edges(&picture(&[], &spans)), want);
}
