//! What is asked about traces beside the spans themselves: shapes and codes; what counts is tested with the answers.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use meshlake_fixture::{Cell, SnapshotBuilder, row};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::native::tests::asked_by;
use crate::{FaceState, router};

const BODY_BYTES_MAX: usize = 1 << 20;
const MILLI: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLI;

/// Ten traces of one failed call of web to cart: web lasts 10 ms, cart 4 ms of them. And ten that did not fail, elsewhere.
async fn get(path: &str) -> (u16, Value) {
    let span = |trace: i64, id: &str, parent: &str, service: &str, (start, millis): (i64, i64)| {
        let (outcome, route) = if trace < 10 { ("error", "/pay") } else { ("ok", "/") };
        row(
            trace * SECOND + start * MILLI,
            [
                ("trace_id", format!("{:032x}", trace + 1).as_str().into()),
                ("span_id", id.into()),
                ("parent_span_id", parent.into()),
                ("service_name", service.into()),
                ("name", "GET".into()),
                ("kind", Cell::Int(2)),
                ("duration_nano", Cell::Int(millis * MILLI)),
                ("outcome", outcome.into()),
                ("http_route", route.into()),
            ],
        )
    };
    let trace = |trace| {
        [
            span(trace, "0000000000000001", "", "web", (0, 10)),
            span(trace, "0000000000000002", "0000000000000001", "cart", (3, 4)),
        ]
    };
    let rows: Vec<_> = (0..20).flat_map(trace).collect();
    let reader = SnapshotBuilder::new().hot(Table::Spans, 1, &rows).reader();
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let engine = Engine::new(reader, config, Arc::new(SystemClock)).expect("no directory is named");
    let request = Request::get(format!("/api/v1{path}")).body(Body::empty()).expect("the path is a URI");
    let response = router(FaceState::new(engine)).oneshot(asked_by(request)).await;
    let response = response.expect("the router cannot fail");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("the answer is whole");
    (status, serde_json::from_slice(&body).expect("the answer is JSON"))
}

#[tokio::test]
async fn a_trace_is_taken_apart() {
    let (status, answer) = get("/traces/1/analysis").await;
    assert_eq!((status, &answer["duration_ms"], &answer["errors"]), (200, &json!(10.0), &json!(2)));
    let operations = json!([
        {"service": "web", "name": "GET", "spans": 1, "errors": 1, "self_ms": 6.0, "critical_ms": 6.0},
        {"service": "cart", "name": "GET", "spans": 1, "errors": 1, "self_ms": 4.0, "critical_ms": 4.0},
    ]);
    assert_eq!(answer["operations"], operations);
    let origin = &answer["error_origins"][0];
    assert_eq!((&origin["service"], &origin["reached_root"]), (&json!("cart"), &json!(true)));
    assert_eq!(origin["failed_ancestors"], json!(["0000000000000001"]));
    assert_eq!(answer["critical_path"].as_array().map(Vec::len), Some(2));
    assert_eq!(get(&format!("/traces/{}/analysis", "f".repeat(32))).await.0, 404);
    assert_eq!(get("/traces/x/analysis").await.0, 400);
}

#[tokio::test]
async fn two_traces_are_compared() {
    let (status, answer) = get("/traces/compare?base=1&other=2").await;
    assert_eq!((status, &answer["base"]["spans"], &answer["other"]["errors"]), (200, &json!(2), &json!(2)));
    let operation = &answer["operations"][0];
    assert_eq!((&operation["change"], &operation["self_ms_more"]), (&json!("kept"), &json!(0.0)));
    for (path, want) in [("base=1", 400), ("base=1&other=x", 400), ("base=1&other=ffff", 404)] {
        assert_eq!(get(&format!("/traces/compare?{path}")).await.0, want, "{path}");
    }
}

#[tokio::test]
async fn failed_and_slow_spans_are_compared_with_the_rest() {
    let (status, answer) = get("/spans/compare?service=web&from=0&to=100").await;
    assert_eq!((status, &answer["selected"], &answer["rest"]), (200, &json!(10), &json!(10)));
    let value = &answer["values"][0];
    assert_eq!(
        (&value["attribute"], &value["value"], &value["lift"]),
        (&json!("span.http.route"), &json!("/pay"), &Value::Null)
    );
    let (_, answer) = get("/spans/compare?slower_than=5ms&from=0&to=100").await;
    assert_eq!((&answer["selected"], &answer["rest"]), (&json!(20), &json!(20)));
    for path in ["slower_than=x", "failed=maybe", "failed=true&slower_than=1s", "failed=false"] {
        assert_eq!(get(&format!("/spans/compare?{path}")).await.0, 400, "{path}");
    }
}
