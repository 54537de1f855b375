//! Requests in, answers out, over hand-made snapshots.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use meshlake_fixture::{Cell, SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{FaceState, router};

const BODY_BYTES_MAX: usize = 1 << 20;

/// 2026-01-01, milliseconds.
const DAY: i64 = 1_767_225_600_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// One call of web to cart.
fn api() -> Router {
    let span = |id: &str, parent: &str, service: &str, name: &str, kind: i64| {
        let resource = format!("{{\"service.name\":\"{service}\"}}");
        row(
            DAY * NANOS_PER_MILLI,
            [
                ("trace_id", TRACE.into()),
                ("span_id", id.into()),
                ("parent_span_id", parent.into()),
                ("service_name", service.into()),
                ("name", name.into()),
                ("kind", Cell::Int(kind)),
                ("duration_nano", Cell::Int(5_000_000)),
                ("peer_service", if kind == 3 { "cart" } else { "" }.into()),
                ("resource", resource.as_str().into()),
                ("resource_types", "s".into()),
            ],
        )
    };
    let rows = [
        span("0000000000000001", "", "web", "GET /", 3),
        span("0000000000000002", "0000000000000001", "cart", "GET /items", 2),
    ];
    let reader = SnapshotBuilder::new().hot(Table::Spans, 1, &rows).reader();
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let engine = Engine::new(reader, config, Arc::new(SystemClock)).expect("no directory is named");
    router(FaceState::new(engine))
}

async fn get(path: &str) -> (u16, Value) {
    let mut request = Request::get(format!("/zipkin{path}")).body(Body::empty()).expect("the path is a URI");
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let response = api().oneshot(request).await.expect("the router cannot fail");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("the answer is whole");
    let text = String::from_utf8_lossy(&body).into_owned();
    (status, serde_json::from_slice(&body).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn names_are_told_to_choose_from() {
    assert_eq!(get("/api/v2/services").await, (200, json!(["cart", "web"])));
    assert_eq!(get("/api/v2/spans?serviceName=cart").await, (200, json!(["GET /items"])));
    assert_eq!(get("/api/v2/remoteServices?serviceName=web").await, (200, json!(["cart"])));
    assert_eq!(get("/api/v2/remoteServices?serviceName=cart").await, (200, json!([])));
    assert_eq!(get("/api/v2/autocompleteKeys").await, (200, json!([])));
    assert_eq!(get("/api/v2/autocompleteValues?key=k").await, (200, json!([])));
    for path in ["/api/v2/spans", "/api/v2/remoteServices", "/api/v2/autocompleteValues", "/api/v2/traceMany"]
    {
        assert_eq!(get(path).await.0, 400, "{path}");
    }
}

/// Zipkin's page shows its search and its graph by these.
#[tokio::test]
async fn the_page_of_zipkin_is_configured() {
    let (status, config) = get("/config.json").await;
    assert_eq!((status, &config["searchEnabled"], &config["queryLimit"]), (200, &json!(true), &json!(10)));
    assert_eq!(config["dependency"]["enabled"], true);
}

fn ids_of(trace: &Value) -> Vec<&str> {
    trace.as_array().expect("a trace").iter().filter_map(|span| span["id"].as_str()).collect()
}

#[tokio::test]
async fn a_trace_is_found_by_its_id() {
    let both = vec!["0000000000000001", "0000000000000002"];
    let (status, trace) = get(&format!("/api/v2/trace/{TRACE}")).await;
    assert_eq!(
        (status, ids_of(&trace), &trace[1]["parentId"]),
        (200, both.clone(), &json!("0000000000000001"))
    );
    let (_, traces) = get(&format!("/api/v2/traceMany?traceIds={TRACE},{}", "f".repeat(32))).await;
    assert_eq!((traces.as_array().map(Vec::len), ids_of(&traces[0])), (Some(1), both));
    assert_eq!(get(&format!("/api/v2/trace/{}", "f".repeat(32))).await.0, 404);
    assert_eq!(get("/api/v2/trace/x").await.0, 400);
    assert_eq!(get("/api/v1/traces").await, (404, json!("there is nothing at this path\n")));
}

#[tokio::test]
async fn a_search_finds_whole_traces() {
    let found = async |query: &str| {
        let (status, traces) = get(&format!("/api/v2/traces?endTs={DAY}&lookback=1000&{query}")).await;
        assert_eq!(status, 200, "{traces}");
        traces.as_array().map(Vec::len)
    };
    assert_eq!(found("serviceName=web&spanName=GET%20/&limit=5").await, Some(1));
    assert_eq!(found("serviceName=web&remoteServiceName=cart").await, Some(1));
    assert_eq!(found("serviceName=web&minDuration=5001").await, Some(0));
    assert_eq!(found("serviceName=nobody").await, Some(0));
    assert_eq!(get("/api/v2/traces?limit=x").await.0, 400);
}

#[tokio::test]
async fn dependencies_are_the_edges_of_the_graph() {
    let link = json!([{"parent": "web", "child": "cart", "callCount": 1, "errorCount": 0}]);
    assert_eq!(get(&format!("/api/v2/dependencies?endTs={DAY}&lookback=60000")).await, (200, link));
    assert_eq!(get("/api/v2/dependencies").await.0, 400);
}
