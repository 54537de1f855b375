//! The face as its clients ask it, over rows in memory, without a socket.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use http_body_util::BodyExt as _;
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use prost::Message;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::messages::{
    QueryInstantRequest, QueryInstantResponse, QueryRangeRequest, QueryRangeResponse, SearchRequest,
    SearchResponse, SearchTagValuesRequest, SearchTagValuesV2Response, SearchTagsRequest,
    SearchTagsV2Response, Trace, TraceByIdResponse,
};
use crate::{FaceState, router};

const SECOND: i64 = 1_000_000_000;

/// 2026-11-29T12:00:00Z.
const NOON: i64 = 1_795_953_600 * SECOND;
const ID: &str = "0af7651916cd43dd8448eb211c80319c";

fn span(start: i64, id: &str, parent: Option<&str>, service: &str) -> Row {
    let resource = json!({"service.name": service}).to_string();
    let mut row = row(
        start,
        [
            ("trace_id", ID.into()),
            ("span_id", id.into()),
            ("name", "GET /".into()),
            ("kind", 2.into()),
            ("status_code", 2.into()),
            ("duration_nano", (250 * SECOND / 1_000).into()),
            ("service_name", service.into()),
            ("resource", Cell::Text(resource)),
            ("resource_types", "s".into()),
            ("attributes", [("user", "u1"), ("count", "5")].as_slice().into()),
            ("attribute_types", "si".into()),
        ],
    );
    if let Some(parent) = parent {
        row.insert("parent_span_id", parent.into());
    }
    row
}

fn state() -> FaceState {
    let spans = [
        span(NOON, "b7ad6b7169203331", None, "web"),
        span(NOON + SECOND, "b7ad6b7169203332", Some("b7ad6b7169203331"), "cart"),
    ];
    let reader = SnapshotBuilder::new().hot(Table::Spans, 1, &spans).reader();
    let engine = Engine::new(reader, EngineConfig::default(), Arc::new(SystemClock)).expect("no directory");
    FaceState::new(engine)
}

async fn ask(mut request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let response = router(state()).oneshot(request).await.expect("the router cannot fail");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("the answer is whole");
    let mut headers = parts.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    (parts.status.as_u16(), headers, body.to_bytes().to_vec())
}

async fn get(path: &str, accept: &str) -> (u16, HeaderMap, Vec<u8>) {
    let request = Request::get(format!("/tempo{path}")).header(header::ACCEPT, accept);
    ask(request.body(Body::empty()).expect("the path is a URI")).await
}

async fn json_of(path: &str) -> Value {
    let (status, _, body) = get(path, "application/json").await;
    let text = String::from_utf8(body).expect("text");
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

async fn refused(path: &str) -> (u16, String) {
    let (status, _, body) = get(path, "application/json").await;
    (status, String::from_utf8(body).expect("text").trim_end().to_owned())
}

/// A call as gRPC frames it: a byte that tells of compression, the length in four bytes, the message.
async fn call<A: Message + Default>(method: &str, message: &impl Message) -> Result<Vec<A>, String> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let framed = [&[0], length.as_slice(), &message].concat();
    let request = Request::post(format!("/tempopb.StreamingQuerier/{method}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(Body::from(framed));
    let (_, headers, body) = ask(request.expect("the path is a URI")).await;
    let code = headers.get("grpc-status").and_then(|code| code.to_str().ok()).unwrap_or("none");
    if code != "0" {
        return Err(code.to_owned());
    }
    let (mut rest, mut messages) = (body.as_slice(), Vec::new());
    while let Some((head, after)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        messages.push(A::decode(&after[..length]).expect("a message"));
        rest = &after[length..];
    }
    Ok(messages)
}

#[tokio::test]
async fn a_search_is_answered_as_grafana_reads_it() {
    let query = "/api/search?q=%7Bresource.service.name%3D%22cart%22%7D%20%7C%20select(span.user)&limit=5\
                 &spss=3&start=1795953000&end=1795954000";
    let set = json!({
        "spans": [{
            "spanID": "b7ad6b7169203332",
            "name": "GET /",
            "startTimeUnixNano": "1795953601000000000",
            "durationNanos": "250000000",
            "attributes": [
                {"key": "service.name", "value": {"stringValue": "cart"}},
                {"key": "user", "value": {"stringValue": "u1"}},
            ],
        }],
        "matched": 1,
    });
    let want = json!({
        "traces": [{
            "traceID": ID,
            "rootServiceName": "web",
            "rootTraceName": "GET /",
            "startTimeUnixNano": "1795953600000000000",
            "durationMs": 1250,
            "spanSet": set,
            "spanSets": [set],
            "serviceStats": {
                "cart": {"spanCount": 1, "errorCount": 1},
                "web": {"spanCount": 1, "errorCount": 1},
            },
        }],
        "metrics": {"inspectedTraces": 1, "completedJobs": 1, "totalJobs": 1, "inspectedSpans": "2"},
    });
    assert_eq!(json_of(query).await, want);
}

#[tokio::test]
async fn traces_are_searched_by_tags_durations_and_times() {
    let found = async |parameters: &str| {
        let answer = json_of(&format!("/api/search?{parameters}")).await;
        answer["traces"].as_array().map_or(0, Vec::len)
    };
    for parameters in [
        "",
        "tags=service.name%3Dcart%20count%3D5",
        "tags=root.service.name%3Dweb%20error%3Dtrue",
        "user=u1",
        "minDuration=1s&maxDuration=2s",
        "start=1795953601&end=1795953602",
        "q=%7B%20.service.name%20%3D%20%22cart%22%20%26%26%20.http.status_code%20!%3D%20%22200%22%20%7D\
         %20%7C%7C%20%7B%20%7D%7C%20select(status%2C%20.user)",
    ] {
        assert_eq!(found(parameters).await, 1, "{parameters}");
    }
    for parameters in ["tags=user%3Du2", "user=u2", "minDuration=2s", "maxDuration=1s", "start=1&end=2"] {
        assert_eq!(found(parameters).await, 0, "{parameters}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_search_is_told() {
    let told = async |parameters: &str| refused(&format!("/api/search?{parameters}")).await;
    let (status, text) = told("q=%7B").await;
    assert!(status == 400 && text.starts_with("invalid TraceQL query: 1:"), "{status} {text}");
    let cases = [
        ("q=%7B%7D&tags=a", "invalid request: can't specify tags and q in the same query"),
        ("limit=0", "invalid limit: must be a positive number"),
        ("limit=1001", "limit 1001 exceeds max limit 1000"),
        ("start=5&end=5", "http parameter start must be before end. received start=5 end=5"),
        ("minDuration=2s&maxDuration=1s", "invalid maxDuration: must be greater than minDuration"),
        ("q=%7B%7D%7Crate()", "a search finds traces, and this query makes series"),
    ];
    for (parameters, want) in cases {
        assert_eq!(told(parameters).await, (400, want.to_owned()), "{parameters}");
    }
    assert_eq!(json_of("/api/search?limit=1000").await["traces"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_trace_comes_as_json_and_as_protobuf_in_both_versions() {
    let first = json_of(&format!("/api/traces/{ID}")).await;
    let batches = first["batches"].as_array().expect("a list");
    assert_eq!(batches.len(), 2, "one a resource");
    let span = &batches[1]["scopeSpans"][0]["spans"][0];
    // The same bytes as the hexadecimal ids: `echo b7ad6b7169203332 | xxd -r -p | base64`.
    assert_eq!((&span["spanId"], &span["parentSpanId"]), (&json!("t61rcWkgMzI="), &json!("t61rcWkgMzE=")));
    assert_eq!(span["kind"], json!("SPAN_KIND_SERVER"));
    assert_eq!(span["status"]["code"], json!("STATUS_CODE_ERROR"));
    assert_eq!(span["attributes"][1], json!({"key": "count", "value": {"intValue": "5"}}));
    let second = json_of(&format!("/api/v2/traces/{ID}")).await;
    assert_eq!(second["trace"]["resourceSpans"].as_array().map(Vec::len), Some(2));
    let (_, headers, body) = get(&format!("/api/traces/{ID}"), "application/protobuf").await;
    assert_eq!(headers[header::CONTENT_TYPE], "application/protobuf");
    let trace = Trace::decode(body.as_slice()).expect("a trace");
    let (_, _, body) = get(&format!("/api/v2/traces/{}", &ID[1..]), "application/protobuf").await;
    let response = TraceByIdResponse::decode(body.as_slice()).expect("a response");
    assert_eq!(response.trace, Some(trace), "without the leading zero it is the same id");
}

#[tokio::test]
async fn unknown_traces_are_404_and_what_is_no_id_400() {
    for version in ["/api/traces", "/api/v2/traces"] {
        let unknown = refused(&format!("{version}/{}", "a".repeat(32))).await;
        assert_eq!(unknown, (404, "trace not found".to_owned()));
        assert_eq!(refused(&format!("{version}/xyz")).await.0, 400);
        assert_eq!(refused(&format!("{version}/{}", "a".repeat(64))).await.0, 400);
    }
    assert_eq!(refused("/api/nothing").await.0, 404);
}

#[tokio::test]
async fn names_and_values_are_offered() {
    let names = json_of("/api/v2/search/tags?limit=5000&start=1795953000&end=1795954000").await;
    let scopes = names["scopes"].as_array().expect("a list");
    assert_eq!(scopes[0], json!({"name": "span", "tags": ["count", "user"]}));
    assert_eq!(scopes[1], json!({"name": "resource", "tags": ["service.name"]}));
    assert_eq!(scopes[2]["name"], json!("intrinsic"));
    assert_eq!(scopes.len(), 3, "scopes without names are not told");
    let one = json_of("/api/v2/search/tags?scope=resource").await;
    assert_eq!(one["scopes"], json!([{"name": "resource", "tags": ["service.name"]}]));
    assert_eq!(refused("/api/v2/search/tags?scope=x").await, (400, "invalid scope: x".to_owned()));
    let all = json_of("/api/search/tags?scope=span").await;
    assert_eq!(all["tagNames"], json!(["count", "user"]));
    let values = async |path: &str| json_of(path).await["tagValues"].clone();
    let typed = |kind: &str, value: &str| json!({"type": kind, "value": value});
    let services = json!([typed("string", "cart"), typed("string", "web")]);
    assert_eq!(values("/api/v2/search/tag/resource.service.name/values?q=%7B%7D").await, services);
    assert_eq!(values("/api/v2/search/tag/.service.name/values?q=%7B%20broken").await, services);
    let of_web = "/api/v2/search/tag/resource.service.name/values?q=%7Bnestedset%7D%7B";
    assert_eq!(values(of_web).await, services, "what is no query narrows nothing");
    let narrowed = "/api/v2/search/tag/span.count/values?q=%7Bresource.service.name%3D%22web%22%7D";
    assert_eq!(values(narrowed).await, json!([typed("int", "5")]));
    assert_eq!(values("/api/search/tag/service.name/values").await, json!(["cart", "web"]));
    let status = json!([typed("keyword", "unset"), typed("keyword", "ok"), typed("keyword", "error")]);
    assert_eq!(values("/api/v2/search/tag/status/values").await, status);
}

#[tokio::test]
async fn series_are_answered_at_multiples_of_the_step() {
    let path = "/api/metrics/query_range?q=%7B%7D%7Ccount_over_time()by(resource.service.name)\
                &start=1795953600&end=1795953660&step=60s&exemplars=1";
    let answer = json_of(path).await;
    let series = answer["series"].as_array().expect("a list");
    let label = json!([{"key": "resource.service.name", "value": {"stringValue": "cart"}}]);
    assert_eq!(series[0]["labels"], label);
    // A step has its end and not its start: the span at noon counts at noon, the other a minute later.
    let samples = |at: usize| series[at]["samples"].clone();
    let sample = |millis: &str, value: f64| json!({"timestampMs": millis, "value": value});
    let want = json!([sample("1795953600000", 0.0), sample("1795953660000", 1.0)]);
    assert_eq!(samples(0), want);
    let want = json!([sample("1795953600000", 1.0), sample("1795953660000", 0.0)]);
    assert_eq!(samples(1), want);
    let exemplars: Vec<&Value> =
        series.iter().flat_map(|series| series["exemplars"].as_array()).flatten().collect();
    assert_eq!(exemplars.len(), 1);
    assert_eq!(exemplars[0]["labels"][0], json!({"key": "trace:id", "value": {"stringValue": ID}}));
    let path = "/api/metrics/query?query=%7B%7D%7Crate()&start=1795953590&end=1795953610";
    let want = json!([{"labels": [{"key": "__name__", "value": {"stringValue": "rate"}}], "value": 0.1}]);
    assert_eq!(json_of(path).await["series"], want);
}

#[tokio::test]
async fn what_is_wrong_with_series_is_told() {
    let cases = [
        ("q=%7B%7D&start=1&end=100", "series are asked for, and this query finds spans"),
        ("q=%7B%7D%7Crate()&start=1&end=100000&step=1", "more than 11000 steps are asked for"),
        ("q=%7B%7D%7Crate()&start=1&end=100&step=x", "invalid step: \"x\""),
    ];
    for (parameters, want) in cases {
        let path = format!("/api/metrics/query_range?{parameters}");
        assert_eq!(refused(&path).await, (400, want.to_owned()), "{parameters}");
    }
}

#[tokio::test]
async fn health_is_asked_in_several_ways() {
    for path in ["/api/echo", "/api/status/buildinfo", "/status/services", "/ready"] {
        assert_eq!(get(path, "*/*").await.0, 200, "{path}");
    }
    assert!(json_of("/api/status/buildinfo").await["version"].is_string());
}

/// Grafana's test of a source with streaming: the newest trace of a time.
#[tokio::test]
async fn the_same_is_answered_over_grpc() {
    let query = "{ resource.service.name = \"web\" }".to_owned();
    let (start, end) = (1_795_953_000, 1_795_954_000);
    let asked = SearchRequest { query: query.clone(), start, end, limit: 1, ..SearchRequest::default() };
    let found: Vec<SearchResponse> = call("Search", &asked).await.expect("it is answered");
    assert_eq!((found.len(), found[0].traces[0].trace_id.as_str()), (1, ID));
    let everything: Vec<SearchResponse> = call("Search", &SearchRequest::default()).await.expect("an answer");
    assert_eq!(everything[0].traces.len(), 1);
    let tags: Vec<SearchTagsV2Response> =
        call("SearchTagsV2", &SearchTagsRequest::default()).await.expect("an answer");
    assert_eq!(tags[0].scopes[0].tags, ["count", "user"]);
    let of_user = SearchTagValuesRequest { tag_name: "span.user".to_owned(), ..Default::default() };
    let values: Vec<SearchTagValuesV2Response> =
        call("SearchTagValuesV2", &of_user).await.expect("an answer");
    assert_eq!(values[0].tag_values[0].value, "u1");
    let query = "{ } | count_over_time()".to_owned();
    let (start, end) = ((NOON - SECOND) as u64, (NOON + SECOND) as u64);
    let asked = QueryInstantRequest { query: query.clone(), start, end };
    let instant: Vec<QueryInstantResponse> = call("MetricsQueryInstant", &asked).await.expect("an answer");
    assert_eq!(instant[0].series[0].value, 2.0);
    let asked = QueryRangeRequest { query, start, end, step: SECOND as u64, ..Default::default() };
    let range: Vec<QueryRangeResponse> = call("MetricsQueryRange", &asked).await.expect("an answer");
    let values: Vec<f64> = range[0].series[0].samples.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [0.0, 1.0, 1.0]);
}

/// 3 is INVALID_ARGUMENT.
#[tokio::test]
async fn what_is_wrong_with_a_call_is_told_by_its_code() {
    let asked =
        |query: &str, start, end| SearchRequest { query: query.to_owned(), start, end, ..Default::default() };
    for asked in [asked("{", 0, 0), asked("{ } | rate()", 0, 0), asked("{ }", 5, 5)] {
        let answer = call::<SearchResponse>("Search", &asked).await;
        assert_eq!(answer, Err("3".to_owned()), "{asked:?}");
    }
}
