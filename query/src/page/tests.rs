//! The page as a whole: what it shows, and that nothing on it can be more than text.

use crate::calls::fixture::{
    CALL, CLIENT, CONSUMER, PRODUCER, Request, SERVED, SERVER, SPAN, Span, picture, range,
};
use crate::graph::graph;

use super::*;

fn page(requests: &[Request], spans: &[Span]) -> Page {
    let range = range();
    Page {
        window: Window::FifteenMinutes,
        refresh_seconds: None,
        from: range.from(),
        to: range.to(),
        range_text: ("1970-01-01T00:16:40Z".to_owned(), "1970-01-01T00:17:40Z".to_owned()),
        tenant: "default".to_owned(),
        graph: graph(&picture(requests, spans), None),
        ledger: Vec::new(),
        diagnosis: Diagnosis::Fine,
        endpoints: Endpoints::default(),
    }
}

#[test]
fn figures_of_services_and_edges_are_on_the_page() {
    // 3 calls in a minute, one of them failed.
    let html =
        page(&[CALL, CALL, CALL, SERVED, SERVED, Request { outcome: "error", ..SERVED }], &[]).render();
    for want in ["default/a → default/b", "3/min", "33.3 %", "3 calls, 1 errors", "counted from requests"] {
        assert!(html.contains(want), "{want} is not in {html}");
    }
}

#[test]
fn hostile_names_are_text() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let request = Request { destination: (HOSTILE, HOSTILE), source: ("", HOSTILE), ..CALL };
    let span = Span { service: (HOSTILE, HOSTILE), queue: HOSTILE, kind: PRODUCER, ..SPAN };
    let mut page = page(&[request, Request { observer: "server", ..request }], &[span]);
    page.tenant = HOSTILE.to_owned();
    page.graph.warnings.push(HOSTILE.to_owned());
    page.ledger = vec![LedgerLine {
        signal: HOSTILE.to_owned(),
        source: HOSTILE.to_owned(),
        rejected: vec![(HOSTILE.to_owned(), 1)],
        ..LedgerLine::default()
    }];
    page.diagnosis = Diagnosis::Failed(HOSTILE.to_owned());
    page.endpoints.otlp_grpc = HOSTILE.to_owned();
    let html = page.render();
    assert!(html.contains("&lt;script&gt;"));
    for raw in ["<script", "<img", "\"'>"] {
        assert!(!html.contains(raw), "{raw} is markup on the page");
    }
}

#[test]
fn nothing_inline_that_the_policy_forbids() {
    let html = page(&[CALL, SERVED], &[]).render();
    for forbidden in ["<script", " style=", "<style", "javascript:", " onload=", " onclick=", " onerror="] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("<link rel=stylesheet href=/style.css>"));
}

#[test]
fn an_empty_page_says_why_and_how_to_send() {
    let mut page = page(&[], &[]);
    page.diagnosis = Diagnosis::NothingReceived;
    page.endpoints =
        Endpoints { otlp_grpc: "10.1.2.3:14317".to_owned(), otlp_http: "10.1.2.3:14318".to_owned() };
    let html = page.render();
    for want in [
        "Nothing has been received yet",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://10.1.2.3:14317",
        "address: 10.1.2.3, port_value: 14317",
        "<details class=card open>",
    ] {
        assert!(html.contains(want), "{want}");
    }
    assert!(!html.contains("<svg"), "there is nothing to draw");
}

#[test]
fn range_and_refresh_are_links_that_keep_each_other() {
    let mut page = page(&[], &[]);
    page.refresh_seconds = Some(10);
    let html = page.render();
    assert!(html.contains("<meta http-equiv=refresh content=10>"));
    assert!(html.contains("<a href=\"/?range=1h&amp;refresh=10\">1h</a>"));
    assert!(html.contains("<a href=\"/?range=15m&amp;refresh=10\" aria-current=true>15m</a>"));
}

#[test]
fn a_mesh_larger_than_the_drawing_says_what_is_left_out() {
    let names: Vec<&'static str> =
        (0..60).map(|i| &*Box::leak(format!("s{i:02}").into_boxed_str())).collect();
    let calls: Vec<Request> = names
        .windows(2)
        .map(|pair| Request { source: ("x", pair[0]), destination: ("x", pair[1]), ..SERVED })
        .collect();
    let html = page(&calls, &[]).render();
    assert!(html.contains("12 less busy nodes are not drawn"));
    assert_eq!(html.matches("<text class=name").count(), drawing::NODES_DRAWN_MAX);
}

/// A mesh of a dozen nodes like Istio's Bookinfo, with a queue, a database, an external host and a cycle.
#[test]
fn a_dozen_nodes_are_drawn_without_overlap() {
    let page = page(&bookinfo(), &bookinfo_spans());
    let html = page.render();
    assert!(page.graph.nodes.len() >= 12, "{}", page.graph.nodes.len());
    let mut boxes: Vec<(f64, f64)> = html
        .match_indices("</title><rect x=\"")
        .map(|(at, start)| {
            let rest = &html[at + start.len()..];
            let mut numbers = rest.split('"').step_by(2).map(|text| text.parse().expect("a number"));
            (numbers.next().expect("x"), numbers.next().expect("y"))
        })
        .collect();
    boxes.sort_by(|a, b| a.partial_cmp(b).expect("no number is NaN"));
    for pair in boxes.windows(2) {
        assert!(pair[0].0 < pair[1].0 || pair[1].1 - pair[0].1 >= 66.0, "{pair:?}");
    }
}

fn bookinfo() -> Vec<Request> {
    const MESH: [(&str, &str, usize, usize, i64); 7] = [
        ("productpage", "details", 600, 0, 9),
        ("productpage", "reviews", 600, 4, 45),
        ("reviews", "ratings", 400, 30, 18),
        ("productpage", "orders", 90, 1, 60),
        ("orders", "payments", 90, 3, 120),
        ("payments", "fraud", 40, 0, 80),
        ("fraud", "productpage", 5, 0, 12),
    ];
    let mut rows = Vec::new();
    for i in 0..600 {
        let outcome = if i % 150 == 0 { "error" } else { "ok" };
        rows.push(Request {
            observer: "gateway",
            source: ("istio-system", "istio-ingressgateway"),
            destination: ("default", "productpage"),
            millis: 40 + i % 60,
            outcome,
            ..CALL
        });
        rows.push(Request {
            source: ("istio-system", "istio-ingressgateway"),
            destination: ("default", "productpage"),
            millis: 38 + i % 60,
            outcome,
            ..SERVED
        });
    }
    for (source, destination, calls, errors, millis) in MESH {
        for i in 0..calls {
            let outcome = if i < errors { "error" } else { "ok" };
            let call = Request {
                source: ("default", source),
                destination: ("default", destination),
                millis: millis + (i % 17) as i64 * millis / 9,
                outcome,
                ..CALL
            };
            rows.push(call);
            rows.push(Request { observer: "server", ..call });
        }
    }
    for _ in 0..90 {
        rows.push(Request {
            source: ("default", "payments"),
            destination: ("", "api.payments.example"),
            millis: 230,
            ..CALL
        });
    }
    rows
}

fn bookinfo_spans() -> Vec<Span> {
    let mut spans = Vec::new();
    for trace in 0..300 {
        let query = Span {
            trace,
            kind: CLIENT,
            service: ("default", "ratings"),
            db_system: "mysql",
            server_address: "mysql.default.svc.cluster.local",
            millis: 4,
            ..SPAN
        };
        let sent = Span {
            trace,
            id: 2,
            kind: PRODUCER,
            service: ("default", "orders"),
            queue: "order-events",
            millis: 2,
            ..SPAN
        };
        let taken =
            Span { id: 3, parent: 2, kind: CONSUMER, service: ("default", "shipping"), millis: 33, ..sent };
        let cart =
            Span { trace, id: 4, parent: 0, kind: SERVER, service: ("default", "health"), millis: 1, ..SPAN };
        spans.extend([query, sent, taken, cart]);
    }
    spans
}
