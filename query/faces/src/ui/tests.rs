//! The page as a whole: what it shows, and that nothing on it can be more than text.

use meshlake_query::graph::{Graph, GraphEdge, GraphNode};
use meshlake_query::measure::Protocol;
use meshlake_query::{Evidence, Figures, NodeIdentity, NodeKind};

use super::*;
use crate::Endpoints;

/// An edge of a mesh: caller and callee as `namespace/name`, calls, errors, milliseconds.
type Calls<'a> = (&'a str, &'a str, u32, u32, f64);

/// In a minute.
fn figures(calls: u32, errors: u32, millis: f64) -> Figures {
    let (requests, errors) = (f64::from(calls), f64::from(errors));
    let latency = (calls > 0).then_some(millis);
    Figures {
        requests,
        rate: requests / 60.0,
        errors,
        error_ratio: if calls > 0 { errors / requests } else { 0.0 },
        client_errors: 0.0,
        aborted: 0.0,
        p50_ms: latency,
        p90_ms: latency,
        p95_ms: latency,
        p99_ms: latency,
        max_ms: latency,
        bytes_in: None,
        bytes_out: None,
        concurrency: requests * millis / 60_000.0,
    }
}

fn kind_of(id: &str) -> NodeKind {
    match id {
        "istio-system/istio-ingressgateway" => NodeKind::Gateway,
        "mysql.default.svc.cluster.local" => NodeKind::Database,
        "order-events" => NodeKind::Messaging,
        "api.payments.example" => NodeKind::External,
        _ => NodeKind::Service,
    }
}

/// The graph of these edges; a node received the sum of its edges in.
fn graph(edges: &[Calls<'_>]) -> Graph {
    let mut ids: Vec<&str> = edges.iter().flat_map(|(source, target, ..)| [*source, *target]).collect();
    ids.sort_unstable();
    ids.dedup();
    let node = |id: &&str| {
        let received = edges.iter().filter(|(_, target, ..)| target == id);
        let (calls, errors, millis) = received.fold((0, 0, 0.0_f64), |(calls, errors, most), edge| {
            (calls + edge.2, errors + edge.3, most.max(edge.4))
        });
        let (namespace, name) = id.rsplit_once('/').map_or((None, *id), |(space, name)| (Some(space), name));
        let identity = NodeIdentity {
            id: (*id).to_owned(),
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            version: None,
            workload: None,
            kind: kind_of(id),
            service: (*id).to_owned(),
        };
        GraphNode {
            identity,
            figures: figures(calls, errors, millis),
            evidence: Some(Evidence::Requests),
            hidden_requests: 0.0,
        }
    };
    let place = |id: &str| ids.binary_search(&id).expect("every end of an edge is a node");
    let edge = |&(source, target, calls, errors, millis): &Calls<'_>| GraphEdge {
        source: place(source),
        target: place(target),
        protocol: Protocol::Http,
        figures: figures(calls, errors, millis),
        evidence: Evidence::Requests,
        retries: 0.0,
        refused: 0.0,
        seen_by_client: true,
        seen_by_server: true,
        by_spans: 0.0,
        by_requests: f64::from(calls),
        completeness: Some(1.0),
    };
    Graph {
        nodes: ids.iter().map(node).collect(),
        edges: edges.iter().map(edge).collect(),
        ..Graph::default()
    }
}

fn page(edges: &[Calls<'_>]) -> Page {
    Page {
        span: Span::Last(Window::FifteenMinutes),
        refresh_seconds: None,
        range_text: ("1970-01-01T00:16:40Z".to_owned(), "1970-01-01T00:17:40Z".to_owned()),
        data_since: None,
        tenant: "default".to_owned(),
        graph: graph(edges),
        ledger: Vec::new(),
        diagnosis: Diagnosis::Fine,
        endpoints: Endpoints::default(),
    }
}

#[test]
fn figures_of_services_and_edges_are_on_the_page() {
    // 3 calls in a minute, one of them failed.
    let html = page(&[("default/a", "default/b", 3, 1, 10.0)]).render();
    for want in ["default/a → default/b", "3/min", "33.3 %", "3 calls, 1 errors", "counted from requests"] {
        assert!(html.contains(want), "{want} is not in {html}");
    }
}

#[test]
fn hostile_names_are_text() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let other = format!("{HOSTILE}2");
    let mut page = page(&[(HOSTILE, &other, 3, 1, 10.0)]);
    for node in &mut page.graph.nodes {
        node.identity.namespace = Some(HOSTILE.to_owned());
    }
    page.tenant = HOSTILE.to_owned();
    page.graph.warnings.push(HOSTILE.to_owned());
    page.ledger = vec![Account {
        signal: HOSTILE.to_owned(),
        source: HOSTILE.to_owned(),
        rejected: [(HOSTILE.to_owned(), 1)].into(),
        ..Account::default()
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
    let html = page(&[("default/a", "default/b", 1, 0, 10.0)]).render();
    for forbidden in ["<script", " style=", "<style", "javascript:", " onload=", " onclick=", " onerror="] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("<link rel=stylesheet href=/style.css>"));
}

#[test]
fn an_empty_page_says_why_and_how_to_send() {
    let mut page = page(&[]);
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
    let mut page = page(&[]);
    page.refresh_seconds = Some(10);
    let html = page.render();
    assert!(html.contains("<meta http-equiv=refresh content=10>"));
    assert!(html.contains("<a href=\"/?range=1h&amp;refresh=10\">1h</a>"));
    assert!(html.contains("<a href=\"/?range=15m&amp;refresh=10\" aria-current=true>15m</a>"));
}

/// What was imported lies in the past: its page stays there when it is loaded again.
#[test]
fn a_fixed_range_is_kept_by_the_links() {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    let span = Span::Fixed { from: at(1_000), to: at(1_060) };
    let html = Page { span, ..page(&[]) }.render();
    let fixed = "/?from=1970-01-01T00:16:40Z&amp;to=1970-01-01T00:17:40Z";
    assert!(html.contains(&format!("<a href=\"{fixed}&amp;refresh=10\">10 s</a>")), "{html}");
    assert!(html.contains("<a href=\"/?range=15m\">15m</a>"), "no window is the current one");
}

#[test]
fn a_mesh_larger_than_the_drawing_says_what_is_left_out() {
    let names: Vec<String> = (0..60).map(|i| format!("x/s{i:02}")).collect();
    let calls: Vec<Calls<'_>> = names.windows(2).map(|pair| (&*pair[0], &*pair[1], 1, 0, 10.0)).collect();
    let html = page(&calls).render();
    assert!(html.contains("12 less busy nodes are not drawn"));
    assert_eq!(html.matches("<text class=name").count(), drawing::NODES_DRAWN_MAX);
}

/// A mesh of a dozen nodes like Istio's Bookinfo, with a queue, a database, an external host and a cycle.
#[test]
fn a_dozen_nodes_are_drawn_without_overlap() {
    let page = page(&BOOKINFO);
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

const BOOKINFO: [Calls<'static>; 12] = [
    ("istio-system/istio-ingressgateway", "default/productpage", 600, 4, 70.0),
    ("default/productpage", "default/details", 600, 0, 9.0),
    ("default/productpage", "default/reviews", 600, 4, 45.0),
    ("default/reviews", "default/ratings", 400, 30, 18.0),
    ("default/productpage", "default/orders", 90, 1, 60.0),
    ("default/orders", "default/payments", 90, 3, 120.0),
    ("default/payments", "default/fraud", 40, 0, 80.0),
    ("default/fraud", "default/productpage", 5, 0, 12.0),
    ("default/payments", "api.payments.example", 90, 0, 230.0),
    ("default/ratings", "mysql.default.svc.cluster.local", 300, 0, 4.0),
    ("default/orders", "order-events", 300, 0, 2.0),
    ("order-events", "default/shipping", 300, 0, 33.0),
];
