//! Lines of access logs by POST, whole and as parts of a file.

use std::net::SocketAddr;

use ::http::Request;
use arrow::array::AsArray as _;
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use http_body_util::Full;
use meshlake_schema::Table;
use serde_json::{Value, json};

use super::{Headers, Reply, Running, gzip, send_http1, start, start_with, zstd};
use crate::CollectorConfig;
use crate::intake::testing::NOW;

/// Lines in nginx's `combined` of the day before the tests' now, and one that is in no format.
const LINE: &str = "10.0.0.1 - - [22/Nov/2026:07:07:07 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";
const OLD_LINE: &str =
    "10.0.0.1 - - [22/Nov/2016:07:07:07 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";
const FUTURE_LINE: &str =
    "10.0.0.1 - - [22/Nov/2036:07:07:07 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";
const NO_LINE: &str = "\0\u{1}binary\n";

async fn post(to: SocketAddr, path: &str, headers: Headers<'_>, body: impl Into<Bytes>) -> Reply {
    let mut request = Request::post(format!("http://{to}{path}")).header("host", to.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send_http1(to, request.body(Full::new(body.into())).expect("a request")).await
}

/// The JSON that a post with status 200 is answered.
async fn posted(running: &Running, query: &str, headers: Headers<'_>, body: impl Into<Bytes>) -> Value {
    let reply = post(running.http, &format!("/v1/access_logs{query}"), headers, body).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).expect("JSON")
}

fn rows(running: &Running) -> usize {
    running.log.rows(Table::Requests).into_iter().sum()
}

#[tokio::test]
async fn lines_are_answered_when_they_are_stored() {
    let running = start().await;
    let body = [LINE, OLD_LINE, NO_LINE, "\n", LINE, FUTURE_LINE].concat();
    let check = |mut answer: Value, coding: &str| {
        let unparsed = answer["unparsed"].take();
        let unparsed: Vec<_> = unparsed.as_object().expect("by field").values().cloned().collect();
        assert_eq!(unparsed, [json!(1)], "{coding}");
        let rejected = json!({"time_out_of_range": 2});
        let want =
            json!({"lines": 5, "parsed": 2, "unparsed": null, "rejected": rejected, "stored_before": 0});
        assert_eq!(answer, want, "{coding}");
    };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    check(posted(&running, "?format=nginx_combined", &form, body.clone()).await, "none");
    for (coding, packed) in [("gzip", gzip(body.as_bytes())), ("zstd", zstd(body.as_bytes()))] {
        check(posted(&running, "", &[("content-encoding", coding)], packed).await, coding);
    }
    assert_eq!(rows(&running), 9);
    running.stop().await;
}

#[tokio::test]
async fn who_logs_is_said_by_the_query() {
    let running = start().await;
    posted(&running, "?service=edge&namespace=shop", &[], LINE).await;
    let groups = running.log.groups();
    let batch = groups.iter().flat_map(|group| &group.batches).find(|batch| batch.table() == Table::Requests);
    let rows = batch.expect("a row").rows();
    let text = |name: &str| {
        let column = arrow::compute::cast(&rows[name], &arrow::datatypes::DataType::Utf8).expect("text");
        column.as_string::<i32>().value(0).to_owned()
    };
    let named: Vec<_> =
        ["source_service", "source_namespace", "destination_service", "destination_namespace"]
            .into_iter()
            .filter(|name| !rows[*name].is_null(0))
            .map(|name| (name, text(name)))
            .collect();
    assert!(named.iter().any(|(_, value)| value == "edge"), "{named:?}");
    assert!(named.iter().any(|(_, value)| value == "shop"), "{named:?}");
    running.stop().await;
}

/// The same bytes again are the same post sent again, as with OTLP, but where they are said to be another's lines.
#[tokio::test]
async fn a_post_that_comes_again_is_stored_once() {
    let running = start_with(CollectorConfig::default()).await;
    posted(&running, "", &[], LINE.repeat(3)).await;
    assert_eq!(posted(&running, "", &[], LINE.repeat(3)).await["stored_before"], json!(3));
    assert_eq!(posted(&running, "", &[], LINE.repeat(4)).await["parsed"], json!(4));
    for (stored_before, query) in [(0, "?instance=web-0"), (0, "?instance=web-1"), (3, "?instance=web-0")] {
        let answer = posted(&running, query, &[], LINE.repeat(3)).await;
        assert_eq!(answer["stored_before"], json!(stored_before), "{query}");
    }
    assert_eq!(rows(&running), 13);
    running.stop().await;
}

/// Scenario: a file is posted in parts, then again in others, after it has grown. Guarantee: each line is stored once, of
/// whatever age it is, and the answers say how far the file is stored.
#[tokio::test]
async fn a_line_of_a_file_is_stored_once() {
    let running = start().await;
    let file = [LINE, OLD_LINE].concat().repeat(10);
    let (line, bytes) = (LINE.len(), file.len());
    let known = async |head: &str| -> Value {
        let reply = post(running.http, "/v1/access_logs/file", &[], head.to_owned()).await;
        serde_json::from_slice(&reply.body).expect("JSON")
    };
    let first = known(&file).await;
    assert_eq!((&first["position"], &first["head_bytes"]), (&json!(0), &json!(bytes)));
    let name = first["file"].as_str().expect("a name").to_owned();
    // (first line, lines, parsed, stored before)
    for (start, lines, parsed, before) in
        [(0, 4, 4, 0), (2, 6, 4, 2), (12, 8, 8, 0), (0, 20, 4, 16), (5, 3, 0, 3)]
    {
        let query = format!("?file={name}&offset={}", start * line);
        let part = file[start * line..(start + lines) * line].to_owned();
        let answer = posted(&running, &query, &[], part).await;
        assert_eq!(
            (&answer["parsed"], &answer["stored_before"]),
            (&json!(parsed), &json!(before)),
            "{start}"
        );
    }
    assert_eq!(rows(&running), 20);
    let grown = [&*file, LINE].concat();
    assert_eq!(known(&grown).await, json!({"file": name, "head_bytes": bytes, "position": bytes}));
    running.stop().await;
}

/// The lines look like those of IIS with its default fields, and are read as such only where nothing else may be said.
#[tokio::test]
async fn a_part_has_the_fields_that_its_post_says() {
    let running = start().await;
    let head = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) \
                cs(Referer) sc-win32-status sc-substatus sc-status time-taken\n";
    let line = "2026-11-22 07:07:07 10.0.0.1 GET /a - 80 - 10.0.0.9 curl/8 - 200 0 404 15\n";
    let known = post(running.http, "/v1/access_logs/file", &[], [head, line].concat()).await;
    let known: Value = serde_json::from_slice(&known.body).expect("JSON");
    let file = known["file"].as_str().expect("a name").to_owned();
    let fields: String = form_urlencoded::byte_serialize(head.trim_end().as_bytes()).collect();
    let (behind, more) = (head.len() + line.len(), line.len());
    let parts = [
        (0, String::new(), [head, line].concat(), json!({})),
        (behind, format!("&fields={fields}"), line.to_owned(), json!({})),
        (behind + more, String::new(), line.to_owned(), json!({"#Fields": 1})),
        (behind + 2 * more, "&format=w3c".to_owned(), line.to_owned(), json!({})),
    ];
    for (offset, said, body, unparsed) in parts {
        let answer = posted(&running, &format!("?file={file}&offset={offset}{said}"), &[], body).await;
        assert_eq!((&answer["lines"], &answer["unparsed"]), (&json!(1), &unparsed), "{offset}");
    }
    let groups = running.log.groups();
    let batches =
        groups.iter().flat_map(|group| &group.batches).filter(|batch| batch.table() == Table::Requests);
    let statuses: Vec<_> = batches
        .flat_map(|batch| {
            batch.rows()["response_code"].as_primitive::<Int32Type>().iter().collect::<Vec<_>>()
        })
        .collect();
    // By the default's order 200 is the status, and who names the format has said that it is.
    assert_eq!(statuses, [Some(404), Some(404), None, Some(200)]);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_posted_is_told_why() {
    let running = start().await;
    let unknown = format!("?file={:032x}&offset=0", 7);
    for (path, body, part_of_message) in [
        ("/v1/access_logs?format=nignx".to_owned(), LINE, "nginx"),
        ("/v1/access_logs?formt=nginx".to_owned(), LINE, "formt"),
        (format!("/v1/access_logs{unknown}"), LINE, "/v1/access_logs/file"),
        (format!("/v1/access_logs{unknown}&end=3"), LINE, "longer"),
        ("/v1/access_logs/file".to_owned(), "", "first bytes"),
    ] {
        let reply = post(running.http, &path, &[], body).await;
        let status: Value = serde_json::from_slice(&reply.body).expect("JSON");
        let message = status["message"].as_str().expect("a message");
        assert_eq!(reply.status.as_u16(), 400, "{path}");
        assert!(message.contains(part_of_message), "{path}: {message}");
    }
    assert_eq!(rows(&running), 0);
    assert_eq!(posted(&running, "", &[], "").await["lines"], json!(0), "nothing is no mistake");
    running.stop().await;
}

/// What a Collector makes of a file: a record a line, with the time at which it was read.
#[tokio::test]
async fn lines_in_log_records_are_requests_where_configured() {
    let record =
        |body: &str| json!({"observedTimeUnixNano": NOW.0.to_string(), "body": {"stringValue": body}});
    let records = [record(LINE.trim_end()), record("worker process 7 exited")];
    let export = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    for (otlp_access_logs, requests) in [(false, 0), (true, 1)] {
        let running = start_with(CollectorConfig { otlp_access_logs, ..CollectorConfig::default() }).await;
        let headers = [("content-type", "application/json")];
        let reply = post(running.http, "/v1/logs", &headers, export.clone()).await;
        assert_eq!(reply.status.as_u16(), 200, "{}", String::from_utf8_lossy(&reply.body));
        let logs: usize = running.log.rows(Table::Logs).into_iter().sum();
        assert_eq!((rows(&running), logs), (requests, 2 - requests));
        running.stop().await;
    }
}

/// Scenario: the store has room for one more post when a part is sent, and for none beside it. Guarantee: it is taken.
#[tokio::test]
async fn a_part_that_was_let_in_needs_no_more_room() {
    let running = start().await;
    running.collector.refuse_without(|bytes_to_come| match bytes_to_come {
        0 => Ok(()),
        _ => Err(crate::NoRoom::Buffer { flush_time: std::time::Duration::ZERO }),
    });
    let reply = post(running.http, "/v1/access_logs/file", &[], LINE).await;
    let known: Value = serde_json::from_slice(&reply.body).expect("JSON");
    let query = format!("?file={}&offset=0", known["file"].as_str().expect("a name"));
    assert_eq!(posted(&running, &query, &[], LINE).await["parsed"], json!(1));
    running.stop().await;
}
