//! Requests in, answers out, over hand-made snapshots: paths, envelopes and codes of every version. What real clients make of them
//! is tested with the binary.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{FaceState, router};

const BODY_BYTES_MAX: usize = 1 << 20;

/// 2026-01-01, nanoseconds.
const DAY: i64 = 1_767_225_600_000_000_000;
const MILLI: i64 = 1_000_000;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn span(id: &str, parent: Option<&str>, service: &str, name: &str, kind: i64, offset: i64) -> Row {
    let resource = format!("{{\"service.name\":\"{service}\"}}");
    let mut row = row(
        DAY + offset,
        [
            ("trace_id", TRACE.into()),
            ("span_id", id.into()),
            ("service_name", service.into()),
            ("name", name.into()),
            ("kind", Cell::Int(kind)),
            ("duration_nano", Cell::Int(5 * MILLI)),
            ("resource", resource.as_str().into()),
            ("resource_types", "s".into()),
        ],
    );
    if let Some(parent) = parent {
        row.insert("parent_span_id", parent.into());
    }
    row
}

/// One call of web to cart.
fn api() -> Router {
    let rows = [
        span("0000000000000001", None, "web", "GET /", 3, 0),
        span("0000000000000002", Some("0000000000000001"), "cart", "GET /items", 2, MILLI),
    ];
    let reader = SnapshotBuilder::new().hot(Table::Spans, 1, &rows).reader();
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let engine = Engine::new(reader, config, Arc::new(SystemClock)).expect("no directory is named");
    router(FaceState::new(engine))
}

async fn get(path: &str) -> (u16, Value) {
    let mut request = Request::get(format!("/jaeger{path}")).body(Body::empty()).expect("the path is a URI");
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let response = api().oneshot(request).await.expect("the router cannot fail");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("the answer is whole");
    (status, serde_json::from_slice(&body).expect("the answer is JSON"))
}

fn envelope(data: &Value, total: usize) -> Value {
    json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": null})
}

#[tokio::test]
async fn names_are_told_to_choose_from() {
    assert_eq!(get("/api/services").await, (200, envelope(&json!(["cart", "web"]), 2)));
    assert_eq!(get("/api/services/cart/operations").await, (200, envelope(&json!(["GET /items"]), 1)));
    let operations = json!([{"name": "GET /items", "spanKind": "server"}]);
    assert_eq!(get("/api/operations?service=cart").await, (200, envelope(&operations, 1)));
    assert_eq!(get("/api/operations?service=cart&spanKind=client").await, (200, envelope(&json!([]), 0)));
    assert_eq!(get("/api/v3/services").await, (200, json!({"services": ["cart", "web"]})));
    assert_eq!(get("/api/v3/operations?service=cart").await, (200, json!({"operations": operations})));
}

fn ids_of(answer: &Value) -> Vec<&str> {
    let spans = answer["data"][0]["spans"].as_array().expect("a trace");
    spans.iter().filter_map(|span| span["spanID"].as_str()).collect()
}

/// Grafana adds times in milliseconds, Jaeger's page none; an id may lack the zeros that it begins with.
#[tokio::test]
async fn a_trace_is_found_by_its_id() {
    let grafana = format!("/api/traces/{TRACE}?start=1767225600000&end=1767225601000");
    for path in [grafana, format!("/api/traces/{}", &TRACE[1..]), format!("/api/traces?traceID={TRACE}")] {
        let (status, answer) = get(&path).await;
        assert_eq!((status, ids_of(&answer)), (200, vec!["0000000000000001", "0000000000000002"]), "{path}");
    }
    let (status, answer) = get(&format!("/api/v3/traces/{TRACE}")).await;
    let names: Vec<_> = answer["result"]["resourceSpans"].as_array().expect("OTLP").iter().collect();
    assert_eq!((status, names.len()), (200, 2), "{answer}");
    assert_eq!(names[1]["scopeSpans"][0]["spans"][0]["name"], "GET /items");
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_words_of_each_version() {
    let unknown = "f".repeat(32);
    let error = |code: u16, text: &str| {
        let errors = json!([{"code": code, "msg": text}]);
        (code, json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors}))
    };
    let error_v3 = |code: u16, text: &str| (code, json!({"error": {"httpCode": code, "message": text}}));
    assert_eq!(get(&format!("/api/traces/{unknown}")).await, error(404, "trace not found"));
    assert_eq!(get(&format!("/api/v3/traces/{unknown}")).await, error_v3(404, "No traces found"));
    assert_eq!(get("/api/traces").await, error(400, "parameter 'service' is required"));
    assert_eq!(get("/api/nothing").await, error(404, "there is nothing at this path"));
    let required = "query.startTimeMin and query.startTimeMax are required";
    assert_eq!(get("/api/v3/traces?query.serviceName=web").await, error_v3(400, required));
    let (status, answer) = get(&format!("/api/traces?traceID={unknown}&traceID={TRACE}")).await;
    assert_eq!((status, ids_of(&answer).len()), (200, 2));
    assert_eq!(answer["errors"], json!([{"msg": "trace not found", "traceID": unknown}]));
}

/// The search's own tests are with the language; here both ends are in the range, and v1 answers none where v3 says so.
#[tokio::test]
async fn a_search_finds_whole_traces() {
    let micros = DAY / 1_000;
    let (status, answer) =
        get(&format!("/api/traces?service=web&start={micros}&end={micros}&limit=20")).await;
    assert_eq!((status, ids_of(&answer).len()), (200, 2));
    let none = format!("/api/traces?service=web&operation=x&start={micros}&end={micros}");
    assert_eq!(get(&none).await, (200, envelope(&json!([]), 0)));
    let v3 = "/api/v3/traces?query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-01-01T00:00:01Z";
    let (status, answer) = get(&format!("{v3}&query.serviceName=cart")).await;
    assert_eq!((status, answer["result"]["resourceSpans"].as_array().map(Vec::len)), (200, Some(2)));
    let none = json!({"error": {"httpCode": 404, "message": "No traces found"}});
    assert_eq!(get(&format!("{v3}&query.serviceName=nobody")).await, (404, none));
    let (_, answer) =
        get(&format!("{}&query.serviceName=cart", v3.replace("traces", "trace-summaries"))).await;
    let summary = &answer["summaries"][0];
    assert_eq!((&summary["rootServiceName"], &summary["spanCount"]), (&json!("web"), &json!(2)));
}

#[tokio::test]
async fn dependencies_are_the_edges_of_the_graph() {
    let asked = format!("/api/dependencies?endTs={}&lookback=60000", DAY / MILLI + 1_000);
    let link = json!([{"parent": "web", "child": "cart", "callCount": 1}]);
    assert_eq!(get(&asked).await, (200, envelope(&link, 0)));
    assert_eq!(get(&format!("{asked}&service=web")).await, (200, envelope(&link, 0)));
    assert_eq!(get(&format!("{asked}&service=nobody")).await, (200, envelope(&json!([]), 0)));
    let v3 = "/api/v3/dependencies?startTime=2026-01-01T00:00:00Z&endTime=2026-01-01T00:01:00Z";
    let link = json!([{"parent": "web", "child": "cart", "callCount": "1"}]);
    assert_eq!(get(v3).await, (200, json!({"dependencies": link})));
}

/// One call at the beginning of the hour: over ten minutes it is 1/600 a second.
#[tokio::test]
async fn monitoring_has_the_shape_of_a_metric_family() {
    let end = DAY / MILLI + 600_000;
    let asked =
        format!("service=cart&groupByOperation=true&endTs={end}&lookback=1&step=60000&ratePer=600000");
    let (status, answer) = get(&format!("/api/metrics/calls?{asked}")).await;
    let labels =
        json!([{"name": "service_name", "value": "cart"}, {"name": "operation", "value": "GET /items"}]);
    assert_eq!(
        (status, &answer["name"], &answer["type"]),
        (200, &json!("service_operation_call_rate"), &json!("GAUGE"))
    );
    assert_eq!(answer["metrics"][0]["labels"], labels, "{answer}");
    let rate =
        answer["metrics"][0]["metricPoints"][0]["gaugeValue"]["doubleValue"].as_f64().expect("a number");
    assert!((rate - 1.0 / 600.0).abs() < 1e-9, "{rate}");
    let (_, answer) = get(&format!("/api/metrics/errors?{asked}")).await;
    assert_eq!(answer["metrics"][0]["metricPoints"][0]["gaugeValue"]["doubleValue"], 0.0, "{answer}");
    assert_eq!(get("/api/metrics/minstep").await, (200, envelope(&json!(1), 0)));
    assert_eq!(get(&format!("/api/metrics/latencies?{asked}&quantile=2")).await.0, 400);
    let (_, answer) = get(&format!("/api/metrics/latencies?{asked}&quantile=0.95")).await;
    assert_eq!(answer["help"], "0.95th quantile latency, grouped by service & operation");
}
