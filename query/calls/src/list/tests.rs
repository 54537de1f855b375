//! Calls one by one, of rows as proxies and SDKs write them.

use super::*;
use crate::choice::Source;
use crate::fixture::{self, CALL, CLIENT, CONSUMER, PRODUCER, Request, SERVER, SPAN, Span};
use crate::fold::{Fold, Question};

const A: (&str, &str) = ("default", "a");
const B: (&str, &str) = ("default", "b");

/// What a's proxy saw of a call that took it 12 ms.
const MADE: Request = Request {
    source_address: "10.0.0.1",
    upstream_local: "10.0.0.1:4001",
    upstream_host: "10.0.0.2:80",
    request_id: "r1",
    path: "/carts/7",
    code: 503,
    outcome: "error",
    millis: 12,
    ..CALL
};

/// What b's proxy saw of it, 2 ms later: 9 ms.
const RECEIVED: Request = Request {
    observer: "server",
    destination_address: "10.0.0.2",
    source_address: "",
    downstream: "10.0.0.1:4001",
    downstream_local: "10.0.0.2:80",
    upstream_local: "",
    upstream_host: "",
    at: 2,
    millis: 9,
    ..MADE
};

const CALLER: Span = Span { kind: CLIENT, service: A, millis: 12, http_status: 200, ..SPAN };
const CALLEE: Span = Span { id: 2, parent: 1, kind: SERVER, service: B, millis: 9, name: "get", ..SPAN };

fn listed_of(
    requests: &[Request],
    spans: &[Span],
    source: Source,
    most: usize,
) -> (Picture, Vec<ListedCall>) {
    let (requests, spans) = (fixture::requests(requests), fixture::spans(spans));
    let question = Question { range: fixture::range(), by: By::Service, grain: Grain::Node, source };
    let mut fold = Fold::new(question).listing(most).on_threads(2);
    fold.add_requests(&requests);
    fold.add_spans(&spans);
    let picture = fold.finish().expect("a few rows are a few cells");
    let calls = newest(&picture, None, most);
    let lookups = [(Evidence::Requests, &requests), (Evidence::Spans, &spans)].map(|(evidence, batch)| {
        let mut lookup = Lookup::of(&calls, evidence);
        lookup.add(batch).expect("columns of the table");
        lookup
    });
    let listed = described(&picture, &calls, &lookups);
    (picture, listed)
}

fn listed(requests: &[Request], spans: &[Span]) -> Vec<ListedCall> {
    listed_of(requests, spans, Source::Auto, 100).1
}

/// Ends, sides, tries and milliseconds: `a -> b both 1x 12/9/3`.
fn told(call: &ListedCall) -> String {
    let millis = |nanos: Option<i64>| nanos.map_or("-".to_owned(), |nanos| (nanos / 1_000_000).to_string());
    let times = [call.client_nano, call.server_nano, call.overhead_nano()].map(millis).join("/");
    let source = call.source.as_deref().unwrap_or("?");
    format!("{source} -> {} {} {}x {times}", call.target, call.seen_by(), call.attempts)
}

fn check(requests: &[Request], spans: &[Span], want: &[&str]) {
    let got: Vec<String> = listed(requests, spans).iter().map(told).collect();
    assert_eq!(got, want);
}

/// 12 ms at the client less 9 at the server are 3 ms of proxies.
#[test]
fn two_rows_of_a_call_are_one_with_both_latencies() {
    let calls = listed(&[MADE, RECEIVED], &[]);
    assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), ["default/a -> default/b both 1x 12/9/3"]);
    let call = &calls[0];
    assert_eq!(call.time, UnixNanos(fixture::FROM_SECOND * 1_000_000_000));
    assert_eq!((call.operation.as_deref(), call.response_code), (Some("GET /carts/{id}"), Some(503)));
    assert_eq!((call.outcome, call.request_id.as_deref()), (Outcome::Error, Some("r1")));
    assert_eq!((call.protocol, call.evidence), (Protocol::Http, Evidence::Requests));
    check(&[MADE], &[], &["default/a -> default/b client 1x 12/-/-"]);
    check(&[RECEIVED], &[], &["default/a -> default/b server 1x -/9/-"]);
}

#[test]
fn spans_of_a_call_are_one_with_both_latencies() {
    let calls = listed(&[], &[CALLER, CALLEE]);
    let want = ["default/a -> default/b both 1x 12/9/3"];
    // The root that a's span is was called by nobody: it is CLIENT, and received nothing.
    assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), want);
    let call = &calls[0];
    assert_eq!((call.operation.as_deref(), call.response_code), (Some("get"), Some(200)));
    assert_eq!(call.trace_id.as_deref(), Some("00000000000000000000000000000001"));
    assert_eq!((call.evidence, call.request_id.as_deref()), (Evidence::Spans, None));
}

/// Zipkin: both halves of a call have one id, here also one start.
#[test]
fn halves_that_share_an_id_are_told_apart() {
    let callee = Span { id: 1, parent: 0, ..CALLEE };
    check(&[], &[CALLER, callee], &["default/a -> default/b both 1x 12/9/3"]);
    check(&[], &[callee, CALLER], &["default/a -> default/b both 1x 12/9/3"]);
}

/// 503 after 9 ms, and 200 when it was tried again at 20 ms: from the first try's start to the last one's end, 29 ms.
#[test]
fn tries_are_one_call_and_the_last_tells() {
    let first = Span {
        id: 2,
        parent: 1,
        kind: CLIENT,
        service: A,
        millis: 9,
        http_status: 503,
        outcome: "error",
        ..SPAN
    };
    let again = Span { id: 3, at: 20, http_status: 200, outcome: "ok", resends: 1, ..first };
    let answer = |id, parent, at| Span { id, parent, at, kind: SERVER, service: B, millis: 5, ..SPAN };
    let root = Span { kind: SERVER, service: A, millis: 40, ..SPAN };
    let calls = listed(&[], &[root, first, again, answer(4, 2, 0), answer(5, 3, 20)]);
    let told: Vec<String> = calls.iter().map(told).collect();
    // They began at one instant, and `client@...` comes first.
    let want = ["client@default/a -> default/a server 1x -/40/-", "default/a -> default/b both 2x 29/5/24"];
    assert_eq!(told, want);
    assert_eq!((calls[1].response_code, calls[1].outcome), (Some(200), Outcome::Ok));
}

#[test]
fn what_never_arrived_is_told_as_refused() {
    let refused = Request { flags: "UF", attempts: 1, ..MADE };
    let calls = listed(&[refused], &[]);
    assert!(calls[0].is_refused);
    assert_eq!(told(&calls[0]), "default/a -> default/b client 1x 12/-/-");
}

#[test]
fn a_call_whose_parent_is_not_stored_is_of_an_unknown_caller() {
    check(&[], &[Span { parent: 9, ..CALLEE }], &["? -> default/b server 1x -/9/-"]);
}

#[test]
fn a_message_is_a_call_to_its_queue_and_one_from_it() {
    let sent = Span { kind: PRODUCER, service: A, queue: "orders", millis: 2, ..SPAN };
    let heard =
        Span { id: 2, parent: 1, kind: CONSUMER, service: B, queue: "orders", at: 5, millis: 7, ..SPAN };
    check(
        &[],
        &[sent, heard],
        &["orders -> default/b server 1x -/7/-", "default/a -> orders client 1x 2/-/-"],
    );
}

/// A consumer's link to a producer that is not stored leads nowhere; one that it is also a child of is one call.
#[test]
fn a_message_without_a_queue_is_listed_once() {
    let heard = Span { id: 2, parent: 0, kind: CONSUMER, service: B, links: &[(7, 7)], ..SPAN };
    check(&[], &[heard], &["? -> default/b server 1x -/10/-"]);
    let sent = Span { kind: PRODUCER, service: A, millis: 2, ..SPAN };
    let child = Span { parent: 1, links: &[(1, 1), (7, 7)], ..heard };
    check(&[], &[sent, child], &["default/a -> default/b both 1x 2/10/-"]);
}

#[test]
fn a_duration_that_nobody_told_is_none() {
    check(&[Request { is_untimed: true, ..MADE }, RECEIVED], &[], &["default/a -> default/b both 1x -/9/-"]);
    check(&[MADE, Request { is_untimed: true, ..RECEIVED }], &[], &["default/a -> default/b both 1x 12/-/-"]);
}

/// Proxies saw two calls, spans one of them: rows count, and the spans are listed only when they are asked for.
#[test]
fn only_what_counts_is_listed() {
    let other = Request { request_id: "r2", upstream_local: "10.0.0.1:4002", second: 1_001, ..MADE };
    let (requests, spans) = ([MADE, RECEIVED, other], [CALLER, CALLEE]);
    let by = |source| {
        let (_, calls) = listed_of(&requests, &spans, source, 100);
        calls.iter().map(|call| (call.evidence, call.time.seconds())).collect::<Vec<_>>()
    };
    let rows = vec![(Evidence::Requests, 1_001), (Evidence::Requests, 1_000)];
    assert_eq!(by(Source::Auto), rows);
    assert_eq!(by(Source::Requests), rows);
    assert_eq!(by(Source::Spans), [(Evidence::Spans, 1_000)]);
}

/// 50 calls on two edges: the sum over calls is that of the cells, and of ten the newest ten are listed.
#[test]
fn the_newest_come_first_and_all_add_up() {
    let calls: Vec<Request> = (0..50)
        .map(|at| Request { at, destination: ("default", if at % 3 == 0 { "c" } else { "b" }), ..CALL })
        .collect();
    let (picture, all) = listed_of(&calls, &[], Source::Auto, 100);
    let counted: f64 = picture.edge_cells.iter().map(|edge| edge.measure.requests()).sum();
    assert_eq!((all.iter().map(|call| call.requests).sum::<f64>(), counted), (50.0, 50.0));
    let (_, ten) = listed_of(&calls, &[], Source::Auto, 10);
    let millis = |call: &ListedCall| call.time.0 / 1_000_000 % 1_000;
    assert_eq!(ten.iter().map(millis).collect::<Vec<_>>(), [49, 48, 47, 46, 45, 44, 43, 42, 41, 40]);
    let to_c = newest(&picture, Some("c"), 100);
    assert_eq!(to_c.len(), 17, "every third of 50");
}

/// The target names itself, is known by its address or by a name it answered to, or is what its caller says.
#[test]
fn what_names_the_target_is_told() {
    let by_nginx = Request { source: ("", "nginx"), destination: ("", "10.0.0.2"), request_id: "", ..MADE };
    let renamed = Request { destination: ("default", "b-lb"), request_id: "r3", ..MADE };
    let answered = Request { request_id: "r3", ..RECEIVED };
    let unanswered =
        Request { destination: ("default", "b-lb"), upstream_host: "", request_id: "r4", ..MADE };
    let outside = Request {
        destination: ("", "203.0.113.9"),
        upstream_host: "203.0.113.9:443",
        request_id: "",
        ..MADE
    };
    let calls = listed(&[by_nginx, renamed, answered, unanswered, outside], &[]);
    let mut named: Vec<String> =
        calls.iter().map(|call| format!("{} {}", call.target, call.named_by.name())).collect();
    named.sort_unstable();
    assert_eq!(named, ["203.0.113.9 caller", "default/b address", "default/b alias", "default/b own"]);
}

/// A span that stands for four calls is listed once and counts four.
#[test]
fn a_sampled_call_says_what_it_stands_for() {
    let spans = [Span { weight: 4.0, ..CALLER }, Span { weight: 4.0, ..CALLEE }];
    let calls = listed(&[], &spans);
    assert_eq!((calls.len(), calls[0].requests), (1, 4.0));
}

#[test]
fn the_columns_are_those_of_the_tables() {
    for evidence in [Evidence::Requests, Evidence::Spans] {
        let mut lookup = Lookup::of(&[], evidence);
        let table = lookup.table();
        assert!(
            lookup.columns().iter().all(|name| table.columns().iter().any(|column| column.name == *name))
        );
        assert!(lookup.add(&RecordBatch::new_empty(table.schema().clone())).is_ok());
        assert_eq!(lookup.times(), None);
    }
}
