//! Requests in, answers out.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use meshlake_fixture::{Cell, SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{FaceState, router};

const BODY_BYTES_MAX: usize = 1 << 20;

/// Three lines of one service, at the seconds 10, 20 and 30.
fn engine() -> Engine {
    let line = |second: i64, body: &str| {
        row(
            second * 1_000_000_000,
            [
                ("service_name", Cell::from("cart")),
                ("resource", Cell::from(r#"{"service.name":"cart"}"#)),
                ("severity_number", Cell::from(9)),
                ("body", Cell::from(body)),
                ("trace_id", Cell::from("0af7651916cd43dd8448eb211c80319c")),
            ],
        )
    };
    let rows = [line(10, "code=200"), line(20, "code=500 \"q\""), line(30, "code=200")];
    let reader = SnapshotBuilder::new().hot(Table::Logs, 1, &rows).reader();
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    Engine::new(reader, config, Arc::new(SystemClock)).expect("no directory is named")
}

async fn send(mut request: Request<Body>) -> (u16, String) {
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let app = router(FaceState::new(engine()));
    let response: Response<Body> = app.oneshot(request).await.expect("the router cannot fail");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("the answer is whole");
    (status, String::from_utf8(body.to_vec()).expect("the answer is text"))
}

fn encoded(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

async fn get(path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
    let uri = format!("/loki/api/v1/{path}?{}", encoded(parameters));
    let (status, body) = send(Request::get(uri).body(Body::empty()).expect("a URI")).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// What Grafana asks when a data source is saved: one sample, which is 2.
#[tokio::test]
async fn the_health_check_is_one_sample() {
    let (status, answer) = get("query", &[("query", "vector(1)+vector(1)"), ("time", "4000000000")]).await;
    assert_eq!((status, &answer["data"]["resultType"]), (200, &json!("vector")));
    assert_eq!(answer["data"]["result"], json!([{"metric": {}, "value": [4_000_000_000_u64, "2"]}]));
}

#[tokio::test]
async fn lines_are_streams_with_all_labels_or_with_their_origin() {
    let asked = [("query", r#"{service_name="cart"} | logfmt | code=500"#), ("start", "0"), ("end", "60")];
    let (status, answer) = get("query_range", &asked).await;
    assert_eq!((status, &answer["data"]["resultType"]), (200, &json!("streams")));
    let stream = &answer["data"]["result"][0];
    assert_eq!(stream["values"], json!([["20000000000", "code=500 \"q\""]]));
    assert_eq!(stream["stream"]["code"], "500");
    assert_eq!(stream["stream"]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    let uri = format!("/loki/loki/api/v1/query_range?{}", encoded(&asked));
    let request = Request::get(uri).header("X-Loki-Response-Encoding-Flags", "categorize-labels");
    let (_, body) = send(request.body(Body::empty()).expect("a URI")).await;
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["data"]["encodingFlags"], json!(["categorize-labels"]));
    let stream = &answer["data"]["result"][0];
    let labels = json!({"job": "cart", "level": "info", "service_name": "cart", "source": "logs"});
    assert_eq!(stream["stream"], labels);
    let categories = &stream["values"][0][2];
    assert_eq!(categories["parsed"], json!({"code": "500"}));
    assert_eq!(categories["structuredMetadata"]["detected_level"], "info");
}

#[tokio::test]
async fn numbers_are_a_matrix_by_steps() {
    let query = "sum by (level) (count_over_time({service_name=\"cart\"}[10s]))";
    let asked = [("query", query), ("start", "10"), ("end", "40"), ("step", "10")];
    let (status, answer) = get("query_range", &asked).await;
    let values = json!([[10, "1"], [20, "1"], [30, "1"]]);
    let want = json!([{"metric": {"level": "info"}, "values": values}]);
    assert_eq!((status, &answer["data"]["result"]), (200, &want));
    let form = encoded(&[("query", "1+1"), ("time", "5")]);
    let request =
        Request::post("/loki/api/v1/query").header("content-type", "application/x-www-form-urlencoded");
    let (_, body) = send(request.body(Body::from(form)).expect("a request")).await;
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["data"]["result"], json!([5, "2"]));
}

#[tokio::test]
async fn labels_series_and_counts() {
    let range = [("start", "0"), ("end", "60")];
    let (_, answer) = get("labels", &range).await;
    assert_eq!(answer["data"], json!(["job", "level", "service_name", "source"]));
    let (_, answer) = get("label/service_name/values", &range).await;
    assert_eq!(answer["data"], json!(["cart"]));
    let (_, answer) = get("series", &[("match[]", "{job=\"cart\"}"), ("start", "0"), ("end", "60")]).await;
    assert_eq!(answer["data"][0]["service_name"], "cart");
    let asked = [("query", "{job=\"cart\"}"), ("start", "0"), ("end", "60")];
    let (_, answer) = get("index/stats", &asked).await;
    // Lines of 8, 12 and 8 bytes.
    assert_eq!(answer, json!({"streams": 1, "chunks": 1, "entries": 3, "bytes": 28}));
    let (_, answer) = get("detected_fields", &asked).await;
    let code = answer["fields"].as_array().expect("fields").iter().find(|field| field["label"] == "code");
    let want = json!({"label": "code", "type": "int", "cardinality": 2, "parsers": ["logfmt"]});
    assert_eq!(code, Some(&want));
    let (_, answer) = get("detected_field/code/values", &asked).await;
    assert_eq!(answer["values"], json!(["200", "500"]));
    let (_, answer) = get("detected_labels", &asked).await;
    assert_eq!(answer["detectedLabels"][0], json!({"label": "job", "cardinality": 1}));
}

/// Lines of 8, 12 and 8 bytes at 10, 20 and 30 s, all of one stream.
#[tokio::test]
async fn volumes_are_bytes_by_labels() {
    let check = async |path: &str, more: &[(&str, &str)], want: Value| {
        let asked = [&[("start", "0"), ("end", "40")], more].concat();
        let (status, answer) = get(path, &asked).await;
        assert_eq!((status, &answer["data"]["result"]), (200, &want), "{more:?}");
        answer["data"]["resultType"].as_str().map(str::to_owned)
    };
    let of_cart = json!([{"metric": {"job": "cart"}, "value": [40.0, "28"]}]);
    let kind = check("index/volume", &[("query", "{job=\"cart\"}")], of_cart.clone()).await;
    assert_eq!(kind.as_deref(), Some("vector"));
    check("index/volume", &[("query", "{}"), ("targetLabels", "job")], of_cart).await;
    let labels = json!({"job": "cart", "level": "info", "service_name": "cart", "source": "logs"});
    check("index/volume", &[("query", "{ }")], json!([{"metric": labels, "value": [40.0, "28"]}])).await;
    let by_label = [("query", "{job=\"cart\", level=~\".+\"}"), ("aggregateBy", "labels"), ("limit", "1")];
    check("index/volume", &by_label, json!([{"metric": {"job": ""}, "value": [40.0, "28"]}])).await;
    check("index/volume", &[("query", "{job=\"other\"}")], json!([])).await;
    // Of steps from 0 on, 0 not included: 8 and 12 bytes until 20 s, 8 until 40 s.
    let values = json!([[20.0, "20"], [40.0, "8"]]);
    let asked = [("query", "{job=\"cart\"}"), ("step", "20")];
    let kind =
        check("index/volume_range", &asked, json!([{"metric": {"job": "cart"}, "values": values}])).await;
    assert_eq!(kind.as_deref(), Some("matrix"));
    for wrong in [("query", "{a=\"b\"} |= \"x\""), ("aggregateBy", "x"), ("limit", "0"), ("query", "1")] {
        assert_eq!(get("index/volume", &[wrong]).await.0, 400, "{wrong:?}");
    }
}

#[tokio::test]
async fn mistakes_are_plain_texts() {
    let check = async |path: &str, parameters: &[(&str, &str)], status: u16, text: &str| {
        assert_eq!(
            get(path, parameters).await,
            (status, Value::String(format!("{text}\n"))),
            "{parameters:?}"
        );
    };
    let text = "parse error at line 1, col 9: unexpected the end, expected ,";
    check("query_range", &[("query", "{app=\"a\"")], 400, text).await;
    let text = "log queries are not supported as an instant query type, please change your query to a range query type";
    check("query", &[("query", "{app=\"a\"}")], 400, text).await;
    let text = "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)";
    check("query_range", &[("query", "{app=\"a\"}"), ("limit", "5001")], 400, text).await;
    let text = "end timestamp must not be before or equal to start time";
    check("query_range", &[("query", "{app=\"a\"}"), ("start", "2"), ("end", "1")], 400, text).await;
    let text = "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter";
    check(
        "query_range",
        &[("query", "vector(1)"), ("start", "0"), ("end", "11000"), ("step", "1")],
        400,
        text,
    )
    .await;
    check(
        "query",
        &[("query", "vector(1)"), ("time", "x")],
        400,
        "could not parse 'time' parameter: \"x\" is no time",
    )
    .await;
    check("nope", &[], 404, "404 page not found").await;
    let (status, answer) =
        get("query", &[("query", "count_over_time({job=\"cart\"} | json [1m])"), ("time", "40")]).await;
    let text = answer.as_str().expect("a text");
    assert!(status == 400 && text.starts_with("pipeline error: 'JSONParserErr' for series: '{"), "{text}");
}

#[tokio::test]
async fn what_the_server_is_and_how_a_query_reads() {
    let (_, answer) = get("format_query", &[("query", "1+2*3")]).await;
    assert_eq!(answer, json!({"status": "success", "data": "(1 + (2 * 3))"}));
    assert_eq!(get("status/buildinfo", &[]).await.1["version"], "3.7.8");
    assert_eq!(get("patterns", &[]).await, (200, json!({"status": "success", "data": []})));
    for path in ["/loki", "/loki/"] {
        let (status, body) = send(Request::get(path).body(Body::empty()).expect("a URI")).await;
        assert!(status == 200 && body.contains("logcli"), "{path}: {status} {body}");
    }
    let (status, body) = send(Request::get("/loki/ready").body(Body::empty()).expect("a URI")).await;
    assert_eq!((status, body.as_str()), (200, "ready\n"));
}

#[tokio::test]
async fn a_page_of_another_origin_may_neither_post_nor_watch() {
    let from = |request: axum::http::request::Builder| request.header("origin", "http://evil.example");
    let (status, _) =
        send(from(Request::post("/loki/api/v1/query")).body(Body::empty()).expect("a request")).await;
    assert_eq!(status, 403);
    let (status, _) =
        send(from(Request::get("/loki/api/v1/tail")).body(Body::empty()).expect("a request")).await;
    assert_eq!(status, 403);
}
