//! Answers over hand-made snapshots: their formats, their caps, and how one that fails late ends.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use tower::ServiceExt;

use crate::{FaceState, router};

const SECOND: i64 = 1_000_000_000;

/// No answer here is longer.
const BODY_BYTES_MAX: usize = 1 << 24;

/// For what must not wait for a query of a minute; it takes a fraction of this.
const DEADLINE: Duration = Duration::from_secs(20);

fn api(rows: i64, config: EngineConfig) -> Router {
    let rows: Vec<Row> = (0..rows).map(|second| row(second * SECOND, [("name", "a".into())])).collect();
    let reader = SnapshotBuilder::new().hot(Table::Spans, 1, &rows).reader();
    let engine = Engine::new(reader, config, Arc::new(SystemClock)).expect("no directory is named");
    router(FaceState::new(engine))
}

fn capped() -> EngineConfig {
    EngineConfig { parallelism: 1, rows_max: 10, ..EngineConfig::default() }
}

fn asked(query: &str, accept: &str, sql: &str) -> Request<Body> {
    let request = Request::post(format!("/api/v1/sql{query}")).header("accept", accept);
    let mut request = request.body(Body::from(sql.to_owned())).expect("the request is whole");
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    request
}

/// Status, headers, and the body as text; none where it broke off.
async fn ask(api: Router, query: &str, accept: &str, sql: &str) -> (u16, HeaderMap, Option<String>) {
    let response = api.oneshot(asked(query, accept, sql)).await.expect("the router cannot fail");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.ok();
    let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
    (parts.status.as_u16(), parts.headers, body)
}

#[tokio::test]
async fn a_named_format_is_meant_whatever_is_accepted() {
    let sql = "SELECT name, kind FROM spans";
    let (status, headers, body) = ask(api(2, capped()), "?format=ndjson", "text/csv", sql).await;
    let lines = "{\"name\":\"a\",\"kind\":0}\n";
    assert_eq!((status, body), (200, Some([lines, lines].concat())));
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let (_, _, body) = ask(api(1, capped()), "?format=csv", "*/*", sql).await;
    assert_eq!(body.as_deref(), Some("name,kind\na,0\n"));
    for bad in ["?format=xml", "?format=", "?formt=csv"] {
        assert_eq!(ask(api(1, capped()), bad, "*/*", sql).await.0, 400, "{bad}");
    }
    let twice = "SELECT a.name, b.name FROM spans a, spans b";
    assert_eq!(ask(api(1, capped()), "?format=ndjson", "*/*", twice).await.0, 400, "one name would be lost");
}

#[test]
fn chunks_have_about_as_many_bytes_whatever_their_rows_have() {
    for (rows, bytes, want) in [
        (128, 0, 256),
        (128, super::CHUNK_BYTES / 2, 128),
        (128, super::CHUNK_BYTES * 2, 128),
        (128, super::CHUNK_BYTES * 2 + 1, 64),
        (1, usize::MAX, 1),
        (super::CHUNK_ROWS_MAX, 0, super::CHUNK_ROWS_MAX),
    ] {
        assert_eq!(super::rows_after(rows, bytes), want, "{rows} rows of {bytes} bytes");
    }
}

#[tokio::test]
async fn every_answer_says_its_caps() {
    let (_, headers, _) = ask(api(1, capped()), "", "*/*", "SELECT 1").await;
    assert_eq!(headers["meshlake-rows-max"], "10");
    assert_eq!(headers["meshlake-bytes-max"], (256 << 20).to_string());
}

/// Ten rows of 10 KB come before the eleventh, more than what is held back for a status: each format ends so that nobody
/// takes it for whole.
#[tokio::test]
async fn what_outgrows_a_cap_is_never_taken_for_whole() {
    let sql = "SELECT repeat('x', 10000) AS x FROM spans";
    for format in ["ndjson", "csv", "arrow", "parquet"] {
        let query = format!("?format={format}");
        // Parquet is held as a row group until it is full, so it fails with a status.
        let (status, _, body) = ask(api(11, capped()), &query, "*/*", sql).await;
        let is_refused = status == 400 && body.as_ref().is_some_and(|body| body.contains("too_many_rows"));
        assert!(is_refused || (status == 200 && body.is_none()), "{format}: {status} {body:?}");
        let (status, ..) = ask(api(11, capped()), &query, "*/*", &format!("{sql} LIMIT 0")).await;
        assert_eq!(status, 200, "{format}");
    }
    let (status, _, body) = ask(api(11, capped()), "?format=json", "*/*", sql).await;
    let body = body.expect("JSON has a place to say it");
    let end =
        "\"truncated\":true,\"reason\":\"the answer has more than 10 rows: add a LIMIT or aggregate\"}\n";
    assert!(status == 200 && body.ends_with(end), "{status} {}", &body[body.len().saturating_sub(200)..]);
    let few_bytes = EngineConfig { answer_bytes_max: 100, ..capped() };
    let (_, _, body) = ask(api(11, few_bytes), "", "*/*", sql).await;
    assert!(body.is_some_and(|body| body.contains("\"reason\":\"the answer is larger than 100 bytes")));
}

/// The only place of the engine is taken by a query that would take years; who asked it goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_stops_its_query() {
    let config = EngineConfig { concurrent_queries_max: 1, timeout_seconds: 600, ..capped() };
    let api = api(1_000, config);
    let endless = "SELECT count(*) FROM spans a, spans b, spans c WHERE a.name || b.name <> c.name";
    let asking = tokio::spawn(api.clone().oneshot(asked("", "*/*", endless)));
    let beside = || ask(api.clone(), "", "*/*", "SELECT 1");
    // Until the endless query has the place and others wait for it.
    let taken = async { while tokio::time::timeout(Duration::from_millis(200), beside()).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, taken).await.expect("the place is taken");
    asking.abort();
    let (status, ..) = tokio::time::timeout(DEADLINE, beside()).await.expect("the place is free again");
    assert_eq!(status, 200);
}

/// More rows than one chunk has.
#[tokio::test]
async fn no_row_is_lost_between_two_chunks() {
    let sql = "SELECT n FROM generate_series(1, 1000) AS t(n)";
    let engine = EngineConfig { rows_max: 1_000, ..capped() };
    let (status, _, body) = ask(api(1, engine), "?format=csv", "*/*", sql).await;
    let want = (1..=1_000).map(|n| format!("{n}\n")).collect::<String>();
    assert_eq!((status, body), (200, Some(format!("n\n{want}"))));
}

#[tokio::test]
async fn an_interval_is_a_text_in_parquet() {
    let sql = "SELECT INTERVAL '1 day' AS i, [INTERVAL '2 days'] AS l, NULL AS n";
    let (status, ..) = ask(api(1, capped()), "?format=parquet", "*/*", sql).await;
    assert_eq!(status, 200);
}
