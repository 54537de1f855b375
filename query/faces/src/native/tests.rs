//! Requests in, answers out, over hand-made snapshots.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request as HttpRequest, StatusCode};
use meshlake_fixture::{Cell, InFlight, Row, SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{FaceState, HEADERS, router};

const SECOND: i64 = 1_000_000_000;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const BODY_BYTES_MAX: usize = 1 << 20;

fn api(snapshot: SnapshotBuilder) -> Router {
    let config = EngineConfig { parallelism: 1, rows_max: 10, ..EngineConfig::default() };
    let engine =
        Engine::new(snapshot.reader(), config, Arc::new(SystemClock)).expect("no directory is named");
    router(FaceState::new(engine))
}

/// As a listener hands it on.
pub(super) fn asked_by(mut request: HttpRequest<Body>) -> HttpRequest<Body> {
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    request
}

async fn send(api: Router, request: HttpRequest<Body>) -> (StatusCode, axum::http::HeaderMap, Bytes) {
    let response = api.oneshot(asked_by(request)).await.expect("the router cannot fail");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.expect("the answer is whole");
    (parts.status, parts.headers, body)
}

async fn get_json(api: Router, path: &str) -> (u16, Value) {
    let request = HttpRequest::get(path).body(Body::empty()).expect("the path is a URI");
    let (status, _, body) = send(api, request).await;
    (status.as_u16(), serde_json::from_slice(&body).expect("the answer is JSON"))
}

fn sql_request(sql: &str, accept: &str) -> HttpRequest<Body> {
    HttpRequest::post("/api/v1/sql")
        .header("content-type", "application/json")
        .header("accept", accept)
        .body(Body::from(json!({"sql": sql}).to_string()))
        .expect("the request is whole")
}

async fn sql_json(api: Router, sql: &str) -> (u16, Value) {
    let (status, _, body) = send(api, sql_request(sql, "application/json")).await;
    (status.as_u16(), serde_json::from_slice(&body).expect("the answer is JSON"))
}

fn spans(count: i64) -> SnapshotBuilder {
    let rows: Vec<Row> = (0..count).map(|second| row(second * SECOND, [("name", "a".into())])).collect();
    SnapshotBuilder::new().hot(Table::Spans, 1, &rows)
}

#[tokio::test]
async fn sql_answers_columns_and_rows() {
    let sql = "SELECT name, kind, time, time_unix_nano, attributes, parent_span_id FROM spans";
    let (status, answer) = sql_json(api(spans(1)), sql).await;
    let want = json!({
        "columns": [
            {"name": "name", "type": "string"}, {"name": "kind", "type": "int32"},
            {"name": "time", "type": "timestamp"}, {"name": "time_unix_nano", "type": "int64"},
            {"name": "attributes", "type": "map"}, {"name": "parent_span_id", "type": "string"},
        ],
        "rows": [["a", 0, "1970-01-01T00:00:00Z", 0, {}, null]],
    });
    assert_eq!((status, answer), (200, want));
}

#[tokio::test]
async fn parameters_are_values_of_the_statement() {
    let ask = async |sql: &str, parameters: Value| {
        let body = json!({"sql": sql, "parameters": parameters}).to_string();
        let request = HttpRequest::post("/api/v1/sql").body(Body::from(body)).expect("the request is whole");
        let (status, _, body) = send(api(spans(3)), request).await;
        let answer: Value = serde_json::from_slice(&body).expect("the answer is JSON");
        (status.as_u16(), answer)
    };
    let count = "SELECT count(*) FROM spans WHERE name = $1 AND time < $2";
    let (status, answer) = ask(count, json!(["a", "1970-01-01T00:00:02Z"])).await;
    assert_eq!((status, &answer["rows"]), (200, &json!([[2]])));
    let (status, answer) = ask(count, json!(["a' OR 1=1 --", "1970-01-01T00:00:02Z"])).await;
    assert_eq!((status, &answer["rows"]), (200, &json!([[0]])));
    let (status, answer) = ask(count, json!(["a"])).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid_query")));
    assert_eq!(ask("SELECT 1 AS one", json!([])).await.1["rows"], json!([[1]]));
}

#[tokio::test]
async fn an_answer_past_the_cap_says_so() {
    let (status, answer) = sql_json(api(spans(11)), "SELECT name FROM spans").await;
    assert_eq!((status, &answer["truncated"]), (200, &json!(true)));
    assert_eq!(answer["rows"].as_array().map(Vec::len), Some(10));
    let (_, whole) = sql_json(api(spans(10)), "SELECT name FROM spans").await;
    assert_eq!(whole["truncated"], Value::Null);
    // CSV has no place to say it.
    let (status, _, body) = send(api(spans(11)), sql_request("SELECT name FROM spans", "text/csv")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.starts_with(b"{\"error\":"), "{body:?}");
}

#[tokio::test]
async fn sql_answers_csv_arrow_and_parquet() {
    let sql = "SELECT name, kind FROM spans";
    let (_, headers, csv) = send(api(spans(2)), sql_request(sql, "text/csv")).await;
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(csv, "name,kind\na,0\na,0\n");

    let (_, _, stream) = send(api(spans(2)), sql_request(sql, "application/vnd.apache.arrow.stream")).await;
    let reader = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(stream), None);
    let rows =
        reader.expect("the stream has a schema").map(|batch| batch.expect("each batch is whole").num_rows());
    assert_eq!(rows.sum::<usize>(), 2);

    let (_, _, file) = send(api(spans(2)), sql_request(sql, "application/vnd.apache.parquet")).await;
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100);
    let rows =
        reader.expect("the file has a footer").map(|batch| batch.expect("each batch is whole").num_rows());
    assert_eq!(rows.sum::<usize>(), 2);
}

#[tokio::test]
async fn an_answer_without_rows_is_whole() {
    let sql = "SELECT name FROM logs_none";
    assert_eq!(sql_json(api(spans(0)), sql).await.0, 400);
    let (status, answer) = sql_json(api(spans(0)), "SELECT event_name FROM logs").await;
    let want = json!({"columns": [{"name": "event_name", "type": "string"}], "rows": []});
    assert_eq!((status, answer), (200, want));
    let parquet = sql_request("SELECT event_name FROM logs", "application/vnd.apache.parquet");
    let (_, _, file) = send(api(spans(0)), parquet).await;
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
}

#[tokio::test]
async fn bad_requests_have_a_code_and_a_message() {
    let (status, answer) = sql_json(api(spans(1)), "SELEC 1").await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid_query")));
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("SELEC")), "{answer}");
    let (status, answer) = sql_json(api(spans(1)), "DROP TABLE spans").await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("refused_query")));

    assert_eq!(get_json(api(spans(1)), "/api/v1/nothing").await.0, 404);
    let (status, answer) = get_json(api(spans(1)), "/v1/traces").await;
    let message = "telemetry is not taken here but at http://127.0.0.1:4318/v1/traces";
    assert_eq!((status, &answer["error"]["message"]), (404, &json!(message)));
    let (status, answer) = get_json(api(spans(1)), "/api/v1/sql").await;
    assert_eq!((status, &answer["error"]["code"]), (405, &json!("method_not_allowed")));

    let bodies = [("application/json", "{", 400), ("text/plain", "{}", 400), ("image/png", "SELECT 1", 415)];
    for (content_type, body, want) in bodies {
        let request = HttpRequest::post("/api/v1/sql").header("content-type", content_type);
        let request = request.body(Body::from(body)).expect("the request is whole");
        let (status, _, body) = send(api(spans(1)), request).await;
        assert_eq!(status.as_u16(), want, "{body:?}");
        assert!(body.starts_with(b"{\"error\":"), "{body:?}");
    }
}

/// As `curl -d` and `curl --data-binary @file` send it.
#[tokio::test]
async fn sql_is_taken_from_a_form_that_is_none() {
    for body in [r#"{"sql": "SELECT count(*) FROM spans"}"#, "SELECT count(*)\nFROM spans -- all\n"] {
        let request =
            HttpRequest::post("/api/v1/sql").header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Body::from(body)).expect("the request is whole");
        let (status, _, answer) = send(api(spans(3)), request).await;
        let answer: Value = serde_json::from_slice(&answer).expect("the answer is JSON");
        assert_eq!((status.as_u16(), &answer["rows"]), (200, &json!([[3]])), "{body}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_make_us_work() {
    let statuses = async |origin: &'static str| {
        let post = HttpRequest::post("/api/v1/sql").header("host", "mesh:7070").header("origin", origin);
        let post = post.body(Body::from("SELECT 1")).expect("the request is whole");
        let get = HttpRequest::get("/api/v1/services").header("host", "mesh:7070").header("origin", origin);
        let get = get.body(Body::empty()).expect("the request is whole");
        let post = send(api(spans(1)), post).await;
        (post.0.as_u16(), send(api(spans(1)), get).await.0.as_u16())
    };
    assert_eq!(statuses("http://mesh:7070").await, (200, 200));
    assert_eq!(statuses("http://evil.example").await, (403, 200), "GET changes nothing and is not readable");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    // Features named with the origins that have them, none; a bare list is ignored by browsers.
    let (_, policy) = HEADERS.into_iter().find(|(name, _)| name == "permissions-policy").expect("it is set");
    let policy = policy.to_str().expect("it is ASCII");
    assert!(policy.split(", ").all(|feature| feature.len() > 3 && feature.ends_with("=()")), "{policy}");
    for path in ["/api/v1/services", "/nowhere"] {
        let request = HttpRequest::get(path).body(Body::empty()).expect("the path is a URI");
        let (_, headers, _) = send(api(spans(1)), request).await;
        for (name, value) in HEADERS {
            assert_eq!(headers.get(&name), Some(&value), "{path}");
        }
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn tenants_are_names() {
    let ask = |tenant: Vec<u8>| {
        let request = HttpRequest::get("/api/v1/services").header("x-scope-orgid", tenant);
        send(api(spans(1)), request.body(Body::empty()).expect("the header is visible"))
    };
    for good in ["team-a", "a!b_c.d*'()", &"x".repeat(150)] {
        assert_eq!(ask(good.into()).await.0, 200, "{good}");
    }
    for bad in ["", ".", "..", "a/b", "a|b", "a b", "é", &"x".repeat(151)] {
        assert_eq!(ask(bad.into()).await.0, 400, "{bad}");
    }
    let twice =
        HttpRequest::get("/api/v1/services").header("x-scope-orgid", "a").header("x-scope-orgid", "a");
    let twice = twice.body(Body::empty()).expect("the headers are visible");
    assert_eq!(send(api(spans(1)), twice).await.0, 400);
}

fn traced() -> SnapshotBuilder {
    let attributes = [("http.method", "GET"), ("retry.count", "2"), ("Tags", "[\"a\"]")];
    let root = row(
        2 * SECOND,
        [
            ("trace_id", TRACE.into()),
            ("span_id", "b7ad6b7169203331".into()),
            ("name", "GET /cart".into()),
            ("kind", 2_i64.into()),
            ("status_code", 2_i64.into()),
            ("duration_nano", 1_500_000_i64.into()),
            ("service_name", "cart".into()),
            ("resource", "{\"service.name\":\"cart\"}".into()),
            ("http_route", "/cart".into()),
            ("http_request_method", "GET".into()),
            ("http_response_status_code", 503_i64.into()),
            ("attributes", Cell::from(attributes.as_slice())),
            ("attribute_types", "si[s]".into()),
        ],
    );
    let earlier = row(
        SECOND,
        [
            ("trace_id", TRACE.into()),
            ("span_id", "00f067aa0ba902b7".into()),
            ("parent_span_id", "b7ad6b7169203331".into()),
            ("name", "first".into()),
        ],
    );
    SnapshotBuilder::new().hot(Table::Spans, 1, &[root, earlier])
}

#[tokio::test]
async fn a_trace_is_its_spans_by_start_with_attributes_as_sent() {
    let (status, trace) = get_json(api(traced()), &format!("/api/v1/traces/{TRACE}")).await;
    assert_eq!((status, &trace["trace_id"]), (200, &json!(TRACE)));
    let names: Vec<_> = trace["spans"].as_array().into_iter().flatten().map(|span| &span["name"]).collect();
    assert_eq!(names, ["first", "GET /cart"]);
    let root = &trace["spans"][1];
    // http.method is in the map, so http.request.method was never sent.
    let attributes = json!({
        "http.method": "GET", "retry.count": 2, "Tags": ["a"],
        "http.route": "/cart", "http.response.status_code": 503,
    });
    assert_eq!(root["attributes"], attributes);
    assert_eq!(root["resource"], json!({"service.name": "cart"}));
    assert_eq!(root["time"], json!("1970-01-01T00:00:02Z"));
    let told = [&root["kind"], &root["status"], &root["duration_ms"], &root["parent_span_id"]];
    assert_eq!(told, [&json!("server"), &json!("error"), &json!(1.5), &Value::Null]);
}

#[tokio::test]
async fn an_absent_trace_is_404_and_a_bad_id_400() {
    let absent = format!("/api/v1/traces/{}", "a".repeat(32));
    assert_eq!(get_json(api(traced()), &absent).await.0, 404);
    assert_eq!(get_json(api(traced()), "/api/v1/traces/xyz").await.0, 400);
}

#[tokio::test]
async fn services_are_those_that_spoke() {
    let call = |second: i64, observer: &str, counted: bool| {
        row(
            second * SECOND,
            [
                ("observer", observer.into()),
                ("counted", counted.into()),
                ("source_service", "web".into()),
                ("destination_service", "cart".into()),
                ("destination_namespace", "shop".into()),
            ],
        )
    };
    let cart = row(3 * SECOND, [("service_name", "cart".into()), ("service_namespace", "shop".into())]);
    let calls = [call(1, "server", true), call(5, "server", false), call(2, "client", true)];
    let nameless = row(6 * SECOND, []);
    let empty = row(4 * SECOND, [("service_name", "".into()), ("service_namespace", "".into())]);
    let spans = [cart, nameless, empty];
    let snapshot = SnapshotBuilder::new().hot(Table::Spans, 1, &spans).hot(Table::Requests, 1, &calls);
    let (status, answer) = get_json(api(snapshot), "/api/v1/services?from=0&to=10").await;
    let want = json!({
        "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:10Z",
        "services": [
            {"service": "cart", "namespace": "shop", "first_seen": "1970-01-01T00:00:01Z",
             "last_seen": "1970-01-01T00:00:05Z", "spans": 1, "requests": 1},
            {"service": "unknown_service", "namespace": null, "first_seen": "1970-01-01T00:00:04Z",
             "last_seen": "1970-01-01T00:00:06Z", "spans": 2, "requests": 0},
            {"service": "web", "namespace": null, "first_seen": "1970-01-01T00:00:02Z",
             "last_seen": "1970-01-01T00:00:02Z", "spans": 0, "requests": 1},
        ],
    });
    assert_eq!((status, answer), (200, want));
}

#[tokio::test]
async fn the_services_range_is_checked() {
    for path in ["/api/v1/services?from=5&to=5", "/api/v1/services?from=yesterday"] {
        assert_eq!(get_json(api(spans(1)), path).await.0, 400, "{path}");
    }
}

fn change(event: &str, reason: Option<&str>, records: i64) -> Row {
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

/// LSN 5 is in files, LSN 6 in the buffer: 10 spans of LSN 5 are flushed, 4 of LSN 6 are not, 3 are in flight.
#[tokio::test]
async fn the_ledger_balances() {
    let fifth =
        [change("received", None, 12), change("accepted", None, 10), change("rejected", Some("late"), 2)];
    let sixth = [change("received", None, 4), change("accepted", None, 4), change("deduplicated", None, 7)];
    let snapshot = SnapshotBuilder::new().hot(Table::Ledger, 5, &fifth).hot(Table::Ledger, 6, &sixth).hot(
        Table::Spans,
        6,
        &[row(0, [])],
    );
    let waiting = |tenant: &str, records| InFlight {
        tenant: tenant.to_owned(),
        signal: "traces".to_owned(),
        source: "otlp_grpc".to_owned(),
        records,
    };
    let snapshot = snapshot.in_flight([waiting("default", 3), waiting("other", 100)]);
    let (status, answer) = get_json(api(snapshot), "/api/v1/ledger").await;
    let want = json!({"rows": [{
        "tenant": "default", "signal": "traces", "source": "otlp_grpc",
        "received": 19, "accepted": 17, "rejected": {"late": 2}, "durable": 14, "in_flight": 3,
        "deduplicated": 7, "flushed": 10,
    }]});
    assert_eq!((status, answer), (200, want));
}
