//! Requests in, answers out: what of them no sample is needed for. Answers with samples are tested with the sources, and
//! end to end.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use meshlake_fixture::SnapshotBuilder;
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::SystemClock;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

use crate::{FaceState, router};

const BODY_BYTES_MAX: usize = 1 << 20;

fn api() -> Router {
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let reader = SnapshotBuilder::new().reader();
    let engine = Engine::new(reader, config, Arc::new(SystemClock)).expect("no directory is named");
    router(FaceState { calls_days: 396, ..FaceState::new(engine) })
}

async fn send(mut request: Request<Body>) -> (u16, HeaderMap, Bytes) {
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let response: Response<Body> = api().oneshot(request).await.expect("the router cannot fail");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.expect("the answer is whole");
    (parts.status.as_u16(), parts.headers, body)
}

async fn get(path: &str) -> (u16, Value) {
    let path = format!("/prometheus{path}");
    let request = Request::get(path).body(Body::empty()).expect("the path is a URI");
    let (status, _, body) = send(request).await;
    (status, serde_json::from_slice(&body).expect("the answer is JSON"))
}

async fn post(path: &str, form: &str) -> (u16, Value) {
    let request = Request::post(format!("/prometheus{path}"))
        .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
        .body(Body::from(form.to_owned()))
        .expect("the request is whole");
    let (status, _, body) = send(request).await;
    (status, serde_json::from_slice(&body).expect("the answer is JSON"))
}

/// What Grafana asks when a data source is saved.
#[tokio::test]
async fn a_scalar_is_answered_at_the_time_that_was_asked_for() {
    let want = json!({"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}});
    assert_eq!(post("/api/v1/query", "query=1%2B1&time=4").await, (200, want.clone()));
    assert_eq!(get("/api/v1/query?query=1%2B1&time=4").await, (200, want));
    // Of the form the parameters count first.
    let (_, answer) = post("/api/v1/query?time=5&query=3", "query=time()").await;
    assert_eq!(answer["data"]["result"], json!([5, "5"]));
    let (_, answer) = get("/api/v1/query?query=%22a%22&time=1970-01-01T00:00:01.5Z").await;
    assert_eq!(answer["data"], json!({"resultType": "string", "result": [1.5, "a"]}));
    // A scalar alone is written without an exponent.
    let of = async |query: &str| {
        get(&format!("/api/v1/query?query={query}&time=4")).await.1["data"]["result"].clone()
    };
    assert_eq!(of("1e21").await, json!([4, "1000000000000000000000"]));
    assert_eq!(of("vector(1e21)").await, json!([{"metric": {}, "value": [4, "1e+21"]}]));
}

#[tokio::test]
async fn a_range_is_answered_by_steps() {
    let (status, answer) = get("/api/v1/query_range?query=vector(time())&start=0&end=60&step=30s").await;
    let values = json!([[0, "0"], [30, "30"], [60, "60"]]);
    let want = json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]});
    assert_eq!((status, &answer["data"]), (200, &want));
    let (_, answer) = get("/api/v1/query?query=vector(1)%20or%20vector(2)&time=1&stats=true").await;
    let samples = &answer["data"]["stats"]["samples"];
    let none = json!([0, 0, 0]);
    assert_eq!(
        json!([samples["samplesRead"], samples["seriesTouched"], samples["totalQueryableSamples"]]),
        none
    );
    assert!(samples["peakSamples"].as_u64() >= Some(2), "a point of either vector: {samples}");
    assert_eq!(answer["data"]["result"], json!([{"metric": {}, "value": [1, "1"]}]));
}

#[tokio::test]
async fn what_is_wrong_is_told_in_prometheus_words() {
    let check = async |path: &str, status: u16, kind: &str, error: &str| {
        let want = json!({"status": "error", "errorType": kind, "error": error});
        assert_eq!(get(path).await, (status, want), "{path}");
    };
    let unclosed = "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis";
    check("/api/v1/query?query=sum(", 400, "bad_data", unclosed).await;
    let nothing = "invalid parameter \"query\": unknown position: parse error: no expression found in input";
    check("/api/v1/query", 400, "bad_data", nothing).await;
    let many = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
    check("/api/v1/query_range?query=1&start=0&end=11001&step=1", 400, "bad_data", many).await;
    assert_eq!(get("/api/v1/query_range?query=1&start=0&end=11000&step=1").await.0, 200);
    let backwards = "invalid parameter \"end\": end timestamp must not be before start time";
    check("/api/v1/query_range?query=1&start=1&end=0&step=1", 400, "bad_data", backwards).await;
    let zero = "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a \
                positive integer";
    check("/api/v1/query_range?query=1&start=0&end=1&step=0", 400, "bad_data", zero).await;
    let kind = "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar \
                or instant Vector";
    check("/api/v1/query_range?query=a[5m]&start=0&end=1&step=1", 400, "bad_data", kind).await;
    let timeout = "invalid parameter \"timeout\": timeout must be positive, got -1s";
    check("/api/v1/query?query=1&timeout=-1", 400, "bad_data", timeout).await;
    check("/api/v1/series", 400, "bad_data", "no match[] parameter provided").await;
    let series = "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher";
    check("/api/v1/series?match[]={}", 400, "bad_data", series).await;
    check(
        "/api/v1/labels?match[]=a%7B",
        400,
        "bad_data",
        "1:3: parse error: unexpected end of input inside braces",
    )
    .await;
    check("/api/v1/rules?type=x", 400, "bad_data", "invalid parameter \"type\": not supported value \"x\"")
        .await;
    check("/api/v1/status/tsdb?limit=0", 400, "bad_data", "limit must be a positive number").await;
    check("/api/v1/nothing", 404, "not_found", "there is nothing at this path").await;
    let (status, answer) = post("/api/v1/metadata", "").await;
    assert_eq!((status, &answer["status"]), (405, &json!("error")));
}

#[tokio::test]
async fn a_query_is_bounded_by_its_text_and_an_answer_by_its_series() {
    let (status, answer) = post("/api/v1/query", &format!("query={}", "1%2B".repeat(300_000) + "1")).await;
    assert_eq!((status, &answer["errorType"]), (400, &json!("bad_data")));
    let (status, _) = post("/api/v1/query", &format!("query={}", "1".repeat(3 << 20))).await;
    assert_eq!(status, 413);
    let or = ["vector(1)"; 1_000].join("%20or%20");
    assert_eq!(post("/api/v1/query", &format!("query={or}")).await.0, 400);
    let two = "label_replace(vector(1),%22a%22,%22b%22,%22%22,%22%22)%20or%20vector(2)";
    let (_, answer) = get(&format!("/api/v1/query?query={two}&limit=1&time=1")).await;
    assert_eq!(answer["data"]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["warnings"], json!(["results truncated due to limit"]));
}

#[tokio::test]
async fn lists_are_empty_without_series() {
    let empty = json!({"status": "success", "data": []});
    for path in [
        "/api/v1/labels",
        "/api/v1/labels?match[]=up&start=0&end=1&limit=40000",
        "/api/v1/label/__name__/values?start=0&end=1700000000",
        "/api/v1/label/U__a_2e_b/values",
        "/api/v1/series?match[]={__name__!=%22%22}&limit=40000",
        // Grafana's probe, in milliseconds for seconds.
        "/api/v1/query_exemplars?query=test&start=1700000000000&end=1700000060000",
        "/api/v1/query_exemplars?query=1",
        "/api/v1/targets/metadata",
    ] {
        assert_eq!(get(path).await, (200, empty.clone()), "{path}");
    }
    assert_eq!(get("/api/v1/metadata?limit=10").await.1["data"], json!({}));
    assert_eq!(post("/api/v1/series", "match[]=up").await, (200, empty));
}

#[tokio::test]
async fn a_server_tells_what_clients_read() {
    let data = async |path: &str| get(path).await.1["data"].clone();
    let build = data("/api/v1/status/buildinfo").await;
    assert_eq!((&build["branch"], &build["features"]), (&json!("meshlake"), &Value::Null));
    assert_eq!(data("/api/v1/status/runtimeinfo").await["storageRetention"], "396d");
    let config = data("/api/v1/status/config").await;
    assert!(config["yaml"].as_str().is_some_and(|yaml| yaml.contains("global:\n  scrape_interval: 15s\n")));
    assert_eq!(data("/api/v1/status/flags").await["query.timeout"], "30s");
    assert_eq!(data("/api/v1/status/tsdb").await["headStats"]["numSeries"], 0);
    assert_eq!(data("/api/v1/rules").await, json!({"groups": []}));
    assert_eq!(data("/api/v1/alerts").await, json!({"alerts": []}));
    for path in ["", "/", "/-/healthy", "/-/ready"] {
        let request = Request::get(format!("/prometheus{path}")).body(Body::empty()).expect("a URI");
        assert_eq!(send(request).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn queries_are_written_and_told_as_trees() {
    let (_, answer) = get("/api/v1/format_query?query=sum(a)by(b)").await;
    assert_eq!(answer, json!({"status": "success", "data": "sum by (b) (a)"}));
    let (_, answer) = post("/api/v1/parse_query", "query=-a[5m] offset 1h @ start()").await;
    assert_eq!(answer["errorType"], "bad_data", "a range has no sign");
    // As a Prometheus 0.316.0 answers it.
    let (_, answer) = get("/api/v1/parse_query?query=topk(2,rate(a{b=~%22c%22}[5m]))%20/%20on(d)%20e").await;
    let matchers = json!([
        {"name": "b", "type": "=~", "value": "c"}, {"name": "__name__", "type": "=", "value": "a"},
    ]);
    let range = json!({
        "type": "matrixSelector", "name": "a", "range": 300_000, "rangeExpr": null, "offset": 0, "offsetExpr": null,
        "matchers": matchers, "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
    });
    let function = json!({"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"});
    let left = json!({
        "type": "aggregation", "op": "topk", "param": {"type": "numberLiteral", "val": "2"}, "grouping": [],
        "without": false, "expr": {"type": "call", "func": function, "args": [range]},
    });
    let right = json!({
        "type": "vectorSelector", "name": "e", "offset": 0, "offsetExpr": null, "timestamp": null, "startOrEnd": null,
        "matchers": [{"name": "__name__", "type": "=", "value": "e"}], "anchored": false, "smoothed": false,
    });
    let matching = json!({
        "card": "one-to-one", "labels": ["d"], "on": true, "include": [], "fillValues": {"lhs": null, "rhs": null},
    });
    let want = json!({
        "type": "binaryExpr", "op": "/", "bool": false, "lhs": left, "rhs": right, "matching": matching,
    });
    assert_eq!(answer["data"], want);
}

#[tokio::test]
async fn tenants_and_other_pages_are_looked_at() {
    let ask = async |name: &'static str, value: &'static str| {
        let request = Request::post("/prometheus/api/v1/query?query=1").header(name, value);
        let (status, _, body) = send(request.body(Body::empty()).expect("it is whole")).await;
        let answer: Value = serde_json::from_slice(&body).expect("the answer is JSON");
        (status, answer["status"].clone())
    };
    assert_eq!(ask("x-scope-orgid", "team-a").await, (200, json!("success")));
    assert_eq!(ask("x-scope-orgid", "../a").await, (400, json!("error")));
    assert_eq!(ask("sec-fetch-site", "cross-site").await, (403, json!("error")));
}

#[tokio::test]
async fn large_answers_are_packed_for_those_who_take_it() {
    let ask = async |method: &str, accept: &str| {
        let path = "/prometheus/api/v1/query_range?query=vector(time())&start=0&end=1000&step=1";
        let request = Request::builder().method(method).uri(path).header("accept-encoding", accept);
        let (status, headers, body) = send(request.body(Body::empty()).expect("it is whole")).await;
        (status, headers.get("content-encoding").cloned(), body.len())
    };
    let (status, coding, length) = ask("GET", "gzip").await;
    let (_, none, whole) = ask("GET", "identity").await;
    assert_eq!(
        (status, coding.as_ref().map(HeaderValue::as_bytes), none),
        (200, Some(b"gzip".as_slice()), None)
    );
    assert!(length < whole, "{length} of {whole}");
    assert_eq!(ask("HEAD", "identity").await, (200, None, 0));
}

/// A request that selects nothing that there is: an empty list in a response, and no frames at all.
#[tokio::test]
async fn remote_read_answers_in_the_kind_that_was_asked_for() {
    let ask = async |message: &[u8]| {
        let body = snap::raw::Encoder::new().compress_vec(message).expect("there is memory");
        let request = Request::post("/prometheus/api/v1/read").body(Body::from(body)).expect("it is whole");
        let (status, headers, body) = send(request).await;
        (status, headers["content-type"].to_str().map(str::to_owned).unwrap_or_default(), body)
    };
    // One query of the label `a` = `b`, by hand: field 1 of the request, in it field 3, in that fields 2 and 3.
    let query = [0x0a, 0x08, 0x1a, 0x06, 0x12, 0x01, b'a', 0x1a, 0x01, b'b'];
    let (status, content_type, body) = ask(&query).await;
    assert_eq!((status, content_type.as_str()), (200, "application/x-protobuf"));
    let unpacked = snap::raw::Decoder::new().decompress_vec(&body).expect("it is snappy");
    assert_eq!(unpacked, [0x0a, 0x00], "one result, empty");
    let (status, content_type, body) = ask(&[&query[..], &[0x10, 0x01]].concat()).await;
    let streamed = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!((status, content_type.as_str(), body.len()), (200, streamed, 0));
    assert_eq!(ask(&[0x10, 0x05]).await.0, 400);
}

#[tokio::test]
async fn federation_wants_a_selector() {
    let ask = async |path: &str| send(Request::get(path).body(Body::empty()).expect("a URI")).await;
    // Who scrapes logs a line of text.
    let (status, headers, body) = ask("/prometheus/federate?match[]=up%7B").await;
    assert_eq!((status, &body[..]), (400, &b"1:4: parse error: unexpected end of input inside braces\n"[..]));
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(ask("/prometheus/federate").await.0, 400);
    assert_eq!(ask("/prometheus/federate?match[]=%7B%7D").await.0, 200, "one for all that there is");
    let request = Request::get("/prometheus/federate?match[]={__name__=~%22.%2B%22}");
    let (status, headers, body) = send(request.body(Body::empty()).expect("a URI")).await;
    assert_eq!((status, body.len()), (200, 0));
    assert!(
        headers["content-type"].to_str().is_ok_and(|value| value.starts_with("text/plain; version=0.0.4"))
    );
}
