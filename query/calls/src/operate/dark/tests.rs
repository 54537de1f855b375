//! Dark traffic of a few rows each.

use super::*;
use crate::Fold;
use crate::fixture::{self, CALL, CLIENT, PRODUCER, Request, SERVED, SERVER, SPAN, Span};

fn answer(rows: &[Request], spans: &[Span], service: Option<&str>) -> DarkTraffic {
    let folded = |question| {
        let mut fold = Fold::new(question).framed(frame(service));
        fold.add_requests(&fixture::requests(rows));
        fold.add_spans(&fixture::spans(spans));
        fold
    };
    let range = fixture::range();
    let picture = folded(question(range, Source::Auto)).finish().expect("a few cells");
    let parts = folded(parts_question(range, Source::Auto)).finish_parts().expect("a few cells");
    dark(&picture, &parts, service)
}

/// Each edge with what is dark about it.
fn told(rows: &[Request], spans: &[Span]) -> Vec<String> {
    let edge = |edge: &DarkEdge| {
        let dark = edge.dark.iter().map(|dark| format!("{} {}", dark.darkness.name(), dark.requests));
        let dark: Vec<String> = dark.collect();
        format!("{}>{} {}: {}", edge.source.id, edge.target.id, edge.requests, dark.join(", "))
    };
    answer(rows, spans, None).edges.iter().map(edge).collect()
}

/// As a sees it and as b does, by mutual TLS.
fn both(id: &'static str) -> [Request; 2] {
    let made = Request { request_id: id, ..CALL };
    [made, Request { observer: "server", tls: "TLSv1.3", principal: "spiffe://a", ..made }]
}

#[test]
fn what_both_proxies_saw_by_mutual_tls_is_not_dark() {
    assert_eq!(told(&both("1"), &[]), [""; 0]);
}

#[test]
fn plaintext_is_the_word_of_the_callees_proxy() {
    let [made, received] = both("2");
    let rows = [both("1"), [made, Request { tls: "", ..received }]].concat();
    assert_eq!(told(&rows, &[]), ["default/a>default/b 2: plaintext 1"]);
    let rows = [made, Request { principal: "", ..received }];
    assert_eq!(
        told(&rows, &[]),
        ["default/a>default/b 1: plaintext 1"],
        "TLS without a certificate of the caller"
    );
}

#[test]
fn a_side_without_rows_has_no_proxy() {
    assert_eq!(told(&[CALL], &[]), ["default/a>default/b 1: no_callee 1"]);
    assert_eq!(told(&[SERVED], &[]), ["default/a>default/b 1: plaintext 1, no_caller 1"]);
    let unknown = Request { source: ("", ""), ..SERVED };
    assert_eq!(told(&[unknown], &[]), ["client@default/b>default/b 1: plaintext 1, no_caller 1"]);
    let refused = Request { flags: "UO", outcome: "error", attempts: 0, ..CALL };
    assert_eq!(told(&[refused], &[]), [""; 0], "what never left is missing nowhere");
}

#[test]
fn gateways_are_there_for_callers_without_a_proxy() {
    let through = Request { observer: "gateway", request_id: "1", ..CALL };
    let [_, received] = both("1");
    assert_eq!(told(&[through, received], &[]), [""; 0]);
}

#[test]
fn where_only_spans_tell_there_is_no_proxy() {
    let made = Span { kind: CLIENT, ..SPAN };
    let served = Span { id: 2, parent: 1, kind: SERVER, service: ("default", "b"), ..SPAN };
    let query = Span { id: 3, kind: CLIENT, db_system: "mysql", server_address: "db", ..SPAN };
    let sent = Span { id: 4, kind: PRODUCER, queue: "orders", messaging_system: "kafka", ..SPAN };
    assert_eq!(
        told(&[], &[made, served, query, sent]),
        ["default/a>db 1: no_proxy 1", "default/a>default/b 1: no_proxy 1"]
    );
}

#[test]
fn what_goes_to_no_service_is_told_by_its_cluster() {
    let outside = Request { destination: ("", "api.example"), ..CALL };
    let passed = Request { cluster: "PassthroughCluster", ..outside };
    let dropped = Request {
        destination: ("", "evil.example"),
        cluster: "BlackHoleCluster",
        flags: "UH",
        outcome: "error",
        attempts: 0,
        ..CALL
    };
    assert_eq!(
        told(&[outside, passed, passed, dropped], &[]),
        [
            "default/a>api.example 3: passthrough 2, outside 3",
            "default/a>evil.example 1: blackhole 1, outside 1",
        ]
    );
    let [made, received] = both("1");
    let inbound = Request { cluster: "InboundPassthroughClusterIpv4", ..received };
    assert_eq!(told(&[made, inbound], &[]), ["default/a>default/b 1: passthrough 1"]);
}

#[test]
fn a_service_narrows_the_edges_and_an_unknown_one_is_said() {
    let rows = [CALL, Request { source: ("x", "c"), destination: ("x", "d"), ..CALL }];
    let edges = |service| answer(&rows, &[], Some(service)).edges.len();
    assert_eq!(answer(&rows, &[], Some("b")).requests, 2.0, "those of all edges");
    assert_eq!((edges("b"), edges("x/c"), answer(&rows, &[], None).edges.len()), (1, 1, 2));
    let nobody = answer(&rows, &[], Some("nobody"));
    assert_eq!((nobody.edges.len(), nobody.requests), (0, 2.0));
    assert_eq!(nobody.warnings, ["no node is called `nobody` in this range"]);
}

#[test]
fn no_more_edges_are_told_than_may_be() {
    let name = |number: usize| &*Box::leak(format!("b{number}").into_boxed_str());
    let rows: Vec<Request> =
        (0..=EDGES_MAX).map(|number| Request { destination: ("x", name(number)), ..CALL }).collect();
    let found = answer(&rows, &[], None);
    assert_eq!((found.edges.len(), found.requests), (EDGES_MAX, EDGES_MAX as f64 + 1.0));
    assert_eq!(found.warnings, ["1 edges with fewer dark calls are not shown"]);
}
