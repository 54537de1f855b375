//! Rows in, answers out: golden metrics, the graph and the page over hand-made snapshots.

mod listed;
mod exemplars;
mod questions;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use meshlake_schema::{Clock, Table, UnixNanos};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::native::tests::asked_by;
use crate::{FaceState, router};
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_query::{Engine, EngineConfig};

const SECOND: i64 = 1_000_000_000;
const BODY_BYTES_MAX: usize = 1 << 20;

/// Every test's present: 17 minutes after the epoch.
struct Now;

impl Clock for Now {
    fn now(&self) -> UnixNanos {
        UnixNanos(1_020 * SECOND)
    }
}

fn api(snapshot: SnapshotBuilder) -> Router {
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let engine = Engine::new(snapshot.reader(), config, Arc::new(Now)).expect("no directory is named");
    router(FaceState::new(engine))
}

async fn get(snapshot: SnapshotBuilder, path: &str, tenant: &str) -> (u16, HeaderMap, String) {
    let request = Request::get(path).header("x-scope-orgid", tenant).body(Body::empty());
    let response =
        api(snapshot).oneshot(asked_by(request.expect("the path is a URI"))).await.expect("never fails");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.expect("the answer is whole");
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).expect("the answer is text"))
}

async fn get_json(snapshot: SnapshotBuilder, path: &str) -> (u16, Value) {
    let (status, _, body) = get(snapshot, path, "default").await;
    (status, serde_json::from_str(&body).expect("the answer is JSON"))
}

/// A call of web to cart that took 10 ms, as `observer` saw it.
fn call(second: i64, observer: &str, outcome: &str) -> Row {
    row(
        second * SECOND,
        [
            ("duration_nano", 10_000_000.into()),
            ("observer", observer.into()),
            ("layer", "l7".into()),
            ("counted", true.into()),
            ("outcome", outcome.into()),
            ("attempts", 2.into()),
            ("request_bytes", 5.into()),
            ("response_bytes", 50.into()),
            ("source_service", "web".into()),
            ("source_namespace", "shop".into()),
            ("destination_service", "cart".into()),
            ("destination_namespace", "shop".into()),
        ],
    )
}

/// Two calls in the first ten seconds, one of which failed, and one in the next.
async fn calls() -> SnapshotBuilder {
    let in_a_file = [call(1_000, "client", "ok"), call(1_000, "server", "ok")];
    let hot = [
        call(1_001, "client", "error"),
        call(1_001, "server", "error"),
        call(1_010, "client", "ok"),
        call(1_010, "server", "ok"),
    ];
    SnapshotBuilder::new().file(Table::Requests, &in_a_file, &[]).await.hot(Table::Requests, 9, &hot)
}

#[tokio::test]
async fn golden_metrics_of_files_and_buffer_are_counted_once() {
    let (status, answer) = get_json(calls().await, "/api/v1/golden?from=1000&to=1020").await;
    let want = json!({
        "from": "1970-01-01T00:16:40Z", "to": "1970-01-01T00:17:00Z", "step": null, "by": "service",
        "observed_from": "1970-01-01T00:16:40Z", "observed_to": "1970-01-01T00:17:00Z",
        "source": "auto", "warnings": [],
        "rows": [{
            "id": "shop/cart", "service": "cart", "namespace": "shop", "kind": "service", "source": "requests",
            "requests": 3, "rate": 0.15, "errors": 1, "error_ratio": 1.0 / 3.0, "client_errors": 0, "aborted": 0,
            "p50_ms": 10, "p90_ms": 10, "p95_ms": 10, "p99_ms": 10, "max_ms": 10,
            "bytes_in": 15, "bytes_out": 150,
            // 3 calls of 10 ms in 20 s.
            "concurrency": 0.0015,
        }],
    });
    assert_eq!((status, answer), (200, want));
}

#[tokio::test]
async fn a_step_cuts_the_range_into_rows() {
    let (status, answer) = get_json(calls().await, "/api/v1/golden?from=1000&to=1020&step=10").await;
    let rows: Vec<Value> = answer["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| json!([row["time"], row["requests"], row["rate"], row["errors"]]))
        .collect();
    let want = [json!(["1970-01-01T00:16:40Z", 2, 0.2, 1]), json!(["1970-01-01T00:16:50Z", 1, 0.1, 0])];
    assert_eq!((status, &answer["step"], rows.as_slice()), (200, &json!(10), want.as_slice()));
}

/// 3 calls in the 20 s since the first row of all; with an older row, in the 15 minutes asked for.
#[tokio::test]
async fn rates_are_over_the_time_since_there_is_data() {
    let older = async || calls().await.hot(Table::Spans, 10, &[row(60 * SECOND, [])]);
    let cases = [
        (calls().await, calls().await, "1970-01-01T00:16:40Z", 3.0 / 20.0, "0.15/s", true),
        (older().await, older().await, "1970-01-01T00:02:00Z", 3.0 / 900.0, "0.2/min", false),
    ];
    for (for_api, for_page, since, rate, shown, is_said) in cases {
        let (_, answer) = get_json(for_api, "/api/v1/golden?from=120&to=1020&by=edge").await;
        assert_eq!((&answer["observed_from"], &answer["rows"][0]["rate"]), (&json!(since), &json!(rate)));
        let (_, _, page) = get(for_page, "/?range=15m", "default").await;
        assert!(page.contains(&format!("<dt>calls between nodes</dt><dd>{shown}</dd>")), "{shown}: {page}");
        assert_eq!(page.contains("data since <time datetime=\"1970-01-01T00:16:40Z\">"), is_said, "{page}");
    }
}

#[tokio::test]
async fn edges_tell_what_both_sides_saw() {
    let (_, answer) = get_json(calls().await, "/api/v1/golden?by=edge&from=1000&to=1020").await;
    let row = &answer["rows"][0];
    let told = ["client", "server", "requests", "client_requests", "server_requests", "retries", "refused"];
    let told = told.map(|name| row[name].clone());
    // Each was tried twice and arrived once: a try that could not connect is no retry.
    assert_eq!(
        told,
        [json!("shop/web"), json!("shop/cart"), json!(3), json!(3), json!(3), json!(0), json!(0)]
    );
}

#[tokio::test]
async fn rows_of_one_service_are_found_by_id_and_by_name() {
    for (service, want) in [("cart", 1), ("shop/cart", 1), ("web", 0), ("", 1)] {
        let path = format!("/api/v1/golden?from=1000&to=1020&service={service}");
        let (_, answer) = get_json(calls().await, &path).await;
        assert_eq!(answer["rows"].as_array().map(Vec::len), Some(want), "{service}");
    }
}

#[tokio::test]
async fn the_graph_has_nodes_and_edges_with_evidence() {
    let span = |id: &str, parent: Option<&str>, service: &str, kind: i64| {
        let mut span = row(
            1_000 * SECOND,
            [
                ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
                ("span_id", id.into()),
                ("service_name", service.into()),
                ("kind", kind.into()),
                ("adjusted_count", 1.0.into()),
                ("outcome", "ok".into()),
            ],
        );
        span.extend(parent.map(|parent| ("parent_span_id", Cell::from(parent))));
        span
    };
    let client = span("00000000000000aa", None, "web", 3);
    let server = span("00000000000000bb", Some("00000000000000aa"), "cart", 2);
    // The child came first, in another batch; neither names its namespace.
    let snapshot = calls().await.hot(Table::Spans, 10, &[server]).hot(Table::Spans, 11, &[client]);
    let (status, answer) = get_json(snapshot, "/api/v1/graph?from=1000&to=1020").await;
    assert_eq!(status, 200);
    let nodes: Vec<_> = answer["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|node| json!([node["id"], node["kind"], node["requests"], node["counted_from"]]))
        .collect();
    assert_eq!(
        nodes,
        [json!(["shop/cart", "service", 3, "requests"]), json!(["shop/web", "service", 0, null])]
    );
    assert_eq!(answer["edges"].as_array().map(Vec::len), Some(1));
    let edge = &answer["edges"][0];
    let told = [
        "source",
        "target",
        "protocol",
        "requests",
        "errors",
        "retries",
        "seen_by",
        "evidence",
        "completeness",
    ];
    // Each call was tried twice and arrived once: all that arrived was seen at both ends.
    let want = json!([
        "shop/web", "shop/cart", "http", 3, 1, 0, ["client", "server"], {"spans": 1, "requests": 3}, 1
    ]);
    assert_eq!(json!(told.map(|name| edge[name].clone())), want);
}

/// What tells a gateway lies in a plain attribute, which is read of proxies' spans only.
#[tokio::test]
async fn attributes_of_proxies_spans_are_read() {
    let proxy = row(
        1_000 * SECOND,
        [
            ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
            ("span_id", "00000000000000aa".into()),
            ("service_name", "ingress".into()),
            ("kind", 3.into()),
            ("is_proxy", true.into()),
            ("adjusted_count", 1.0.into()),
            ("outcome", "ok".into()),
            ("server_address", "cart".into()),
            ("attributes", Cell::from([("node_id", "router~10.0.0.1~g~ns")].as_slice())),
        ],
    );
    let snapshot = SnapshotBuilder::new().hot(Table::Spans, 1, &[proxy]);
    let (_, answer) = get_json(snapshot, "/api/v1/graph?from=1000&to=1020").await;
    let edges: Vec<_> = answer["edges"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|edge| json!([edge["source"], edge["target"]]))
        .collect();
    assert_eq!(edges, [json!(["client@ingress", "ingress"]), json!(["ingress", "cart"])], "{answer}");
}

#[tokio::test]
async fn a_focus_keeps_the_neighbourhood() {
    let (_, all) = get_json(calls().await, "/api/v1/graph?from=1000&to=1020&focus=cart&depth=1").await;
    assert_eq!(all["nodes"].as_array().map(Vec::len), Some(2));
    let (_, alone) = get_json(calls().await, "/api/v1/graph?from=1000&to=1020&focus=cart&depth=0").await;
    assert_eq!((alone["nodes"].as_array().map(Vec::len), &alone["edges"]), (Some(1), &json!([])));
    let (status, none) = get_json(calls().await, "/api/v1/graph?from=1000&to=1020&focus=nobody").await;
    let warning = json!(["no node is called `nobody` in this range"]);
    assert_eq!((status, &none["nodes"], &none["warnings"]), (200, &json!([]), &warning));
}

#[tokio::test]
async fn the_range_is_echoed_as_it_was_widened() {
    let (_, answer) = get_json(calls().await, "/api/v1/graph?from=1001&to=1009").await;
    assert_eq!(
        (&answer["from"], &answer["to"]),
        (&json!("1970-01-01T00:16:40Z"), &json!("1970-01-01T00:16:50Z"))
    );
    assert_eq!(answer["edges"][0]["requests"], json!(2));
}

#[tokio::test]
async fn wrong_parameters_are_the_askers_fault() {
    for path in [
        "/api/v1/golden?by=colour",
        "/api/v1/golden?source=logs",
        "/api/v1/golden?step=7",
        "/api/v1/golden?from=0&to=100000&step=10",
        "/api/v1/golden?from=5&to=5",
        "/api/v1/graph?by=edge",
        "/api/v1/graph?depth=-1",
    ] {
        let (status, answer) = get_json(SnapshotBuilder::new(), path).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_request")), "{path}");
    }
}

#[tokio::test]
async fn another_tenants_calls_are_not_there() {
    for path in ["/api/v1/golden?from=1000&to=1020", "/api/v1/graph?from=1000&to=1020"] {
        let (_, _, body) = get(calls().await, path, "other").await;
        assert!(!body.contains("cart"), "{body}");
    }
    let (_, _, page) = get(calls().await, "/", "other").await;
    assert!(!page.contains("cart") && page.contains("tenant other"));
}

/// The calls are within a minute that ended long before any window does; a range that makes no sense is none.
#[tokio::test]
async fn the_page_shows_a_range_of_the_past() {
    let old = || {
        SnapshotBuilder::new().hot(Table::Requests, 1, &[call(60, "client", "ok"), call(60, "server", "ok")])
    };
    for (path, is_shown) in [
        ("/?from=1970-01-01T00:01:00Z&to=1970-01-01T00:02:00Z", true),
        ("/?from=60&to=120", true),
        ("/?from=120&to=60", false),
        ("/?from=60", false),
        ("/?from=never&to=120", false),
        ("/?from=0&to=9223372036", false),
        ("/", false),
    ] {
        let (status, _, page) = get(old(), path, "default").await;
        assert_eq!((status, page.contains("shop/web → shop/cart")), (200, is_shown), "{path}");
    }
}

#[tokio::test]
async fn the_page_shows_the_mesh() {
    let (status, headers, page) = get(calls().await, "/?range=5m&refresh=10", "default").await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().expect("a type"))
    );
    assert!(
        headers["content-security-policy"].to_str().is_ok_and(|policy| policy.contains("default-src 'none'"))
    );
    for want in ["shop/web → shop/cart", "33.3 %", "http-equiv=\"refresh\" content=\"10\""] {
        assert!(page.contains(want), "{want}");
    }
}

fn counted(event: &str, reason: Option<&str>, records: i64) -> Row {
    let mut change = row(
        0,
        [
            ("signal", "traces".into()),
            ("source", "otlp_grpc".into()),
            ("event", event.into()),
            ("records", records.into()),
        ],
    );
    change.extend(reason.map(|reason| ("reason", Cell::from(reason))));
    change
}

#[tokio::test]
async fn an_empty_page_says_what_is_wrong() {
    let rejected = [counted("received", None, 5), counted("rejected", Some("outside_retention"), 5)];
    let cases = [
        (SnapshotBuilder::new(), "Nothing has been received yet"),
        (SnapshotBuilder::new().hot(Table::Ledger, 1, &rejected), "outside_retention (5)"),
        (
            SnapshotBuilder::new().hot(Table::Requests, 1, &[call(60, "client", "ok")]),
            "the newest one started 16 minutes ago",
        ),
        (
            SnapshotBuilder::new().hot(Table::Requests, 1, &[call(1_020 + 600, "client", "ok")]),
            "The newest call starts 10 minutes in the future",
        ),
    ];
    for (snapshot, want) in cases {
        let (status, _, page) = get(snapshot, "/", "default").await;
        assert_eq!(status, 200);
        assert!(page.contains(want), "{want} is not in {page}");
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_answered_says_so() {
    let broken = SnapshotBuilder::new().unreadable_file(Table::Requests, 1_000 * SECOND);
    let (status, _, page) = get(broken, "/", "default").await;
    assert_eq!(status, 503);
    assert!(page.contains("stored data could not be read"), "{page}");
}
