//! OTLP over HTTP/1.1 and HTTP/2, in protobuf and JSON.

use std::net::SocketAddr;

use ::http::{Method, Request};
use bytes::Bytes;
use http_body_util::Full;
use meshlake_schema::Table;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::{Headers, Reply, gzip, send_http1, send_http2, start, zstd};
use crate::intake::testing::{NOW, spans};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn request(to: SocketAddr, path: &str, headers: Headers<'_>, body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = Request::post(format!("http://{to}{path}")).header("host", to.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request")
}

async fn post(to: SocketAddr, path: &str, headers: Headers<'_>, body: &[u8]) -> Reply {
    send_http1(to, request(to, path, headers, body)).await
}

fn span_json(trace_id: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{trace_id}","spanId":"0202020202020202","name":"a","startTimeUnixNano":"{0}","endTimeUnixNano":"{0}"}}]}}]}}]}}"#,
        NOW.0
    )
}

#[tokio::test]
async fn protobuf_and_json_are_answered_in_kind() {
    let running = start().await;
    let body = spans(1, 0).encode_to_vec();
    let protobuf = post(running.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await;
    assert_eq!((protobuf.status.as_u16(), protobuf.header("content-type")), (200, Some(PROTOBUF)));
    assert_eq!(&protobuf.body[..], b"");
    let body = span_json("0102030405060708090a0b0c0d0e0f10");
    let with_charset = [("content-type", "application/json; charset=utf-8")];
    let json = post(running.http, "/v1/traces", &with_charset, body.as_bytes()).await;
    assert_eq!((json.status.as_u16(), json.header("content-type")), (200, Some(JSON)));
    assert_eq!(&json.body[..], b"{}");
    assert_eq!(running.log.rows(Table::Spans), [1, 1]);
    running.stop().await;
}

#[tokio::test]
async fn both_versions_of_http_and_all_paths_are_served() {
    let running = start().await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        for (content_type, body, want) in [(PROTOBUF, b"".as_slice(), b"".as_slice()), (JSON, b"{}", b"{}")] {
            let request = || request(running.http, path, &[("content-type", content_type)], body);
            let replies =
                [send_http1(running.http, request()).await, send_http2(running.http, request()).await];
            for reply in replies {
                assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, want), "{path} {content_type}");
            }
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn rejected_spans_are_counted_in_the_answer() {
    let running = start().await;
    let json = post(running.http, "/v1/traces", &[("content-type", JSON)], span_json("").as_bytes()).await;
    let want = r#"{"partialSuccess":{"errorMessage":"1 of 1 spans rejected: invalid_trace_id=1","rejectedSpans":"1"}}"#;
    assert_eq!((json.status.as_u16(), String::from_utf8_lossy(&json.body).as_ref()), (200, want));
    running.stop().await;
}

/// Scenario: an export in snake_case, one in an old field number of OTLP, and one of nothing. Guarantee: all are
/// successes, and those whose records are not seen say why.
#[tokio::test]
async fn an_export_whose_records_are_not_seen_is_told_so() {
    let running = start().await;
    let snake_case = br#"{"resource_spans":[{"scope_spans":[{"spans":[{"name":"n"}]}]}]}"#;
    let reply = post(running.http, "/v1/traces", &[("content-type", JSON)], snake_case).await;
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    let partial = &answer["partialSuccess"];
    assert_eq!((reply.status.as_u16(), partial["rejectedSpans"].as_str()), (200, Some("0")));
    let want = r#"no spans were found: "resource_spans" is no field of ExportTraceServiceRequest, whose fields are "resourceSpans""#;
    assert_eq!(partial["errorMessage"].as_str(), Some(want));

    // ResourceSpans with field 1000, instrumentation_library_spans up to OTLP 0.18, with an empty span.
    let old = b"\x0a\x05\xc2\x3e\x02\x12\x00";
    let reply = post(running.http, "/v1/traces", &[("content-type", PROTOBUF)], old).await;
    let answer = ExportTraceServiceResponse::decode(reply.body).expect("a response");
    let partial = answer.partial_success.expect("a warning");
    let want = "no spans were found: field 1000 is no field of ResourceSpans";
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (0, want));

    for nothing in
        [b"{}".as_slice(), br#"{"resourceSpans":[{"scopeSpans":[{"spans":[],"scope":{"new":1}}]}]}"#]
    {
        let reply = post(running.http, "/v1/traces", &[("content-type", JSON)], nothing).await;
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, b"{}".as_slice()));
    }
    assert!(running.log.groups().is_empty(), "nothing was stored");
    running.stop().await;
}

#[tokio::test]
async fn gzip_and_zstd_are_accepted() {
    let running = start().await;
    let message = spans(3, 0).encode_to_vec();
    for (coding, packed) in [("gzip", gzip(&message)), ("zstd", zstd(&message))] {
        let headers = [("content-type", PROTOBUF), ("content-encoding", coding)];
        let reply = post(running.http, "/v1/traces", &headers, &packed).await;
        assert_eq!(reply.status.as_u16(), 200, "{coding}");
    }
    assert_eq!(running.log.rows(Table::Spans), [3, 3]);
    running.stop().await;
}

#[tokio::test]
async fn broken_exports_are_refused_with_a_status_body() {
    let running = start().await;
    let good = spans(1, 0).encode_to_vec();
    let packed = gzip(&good);
    let protobuf = ("content-type", PROTOBUF);
    let json = ("content-type", JSON);
    let cases: [(&str, Headers, &[u8], u16); 13] = [
        ("/v1/traces", &[protobuf], &good[..good.len() - 1], 400),
        ("/v1/traces", &[json], b"", 400),
        ("/v1/traces", &[json], b"{}{}", 400),
        ("/v1/traces", &[json, ("x-scope-orgid", "a b")], b"{}", 400),
        ("/v1/traces", &[protobuf, ("content-encoding", "gzip")], &packed[..packed.len() - 1], 400),
        ("/v1/traces", &[protobuf, ("content-encoding", "gzip")], &good, 400),
        ("/v1/traces", &[protobuf, ("content-encoding", "gzip, gzip")], &packed, 415),
        ("/v1/traces", &[protobuf, ("content-encoding", "br")], &good, 415),
        ("/v1/traces", &[("content-type", "text/plain")], b"{}", 415),
        ("/v1/traces", &[], b"{}", 415),
        ("/v1/spans", &[json], b"{}", 404),
        ("/v1/traces/", &[protobuf], b"", 404),
        ("/v1development/profiles", &[protobuf], b"", 404),
    ];
    for (path, headers, body, want) in cases {
        let reply = post(running.http, path, headers, body).await;
        assert_eq!(reply.status.as_u16(), want, "{path} {headers:?}");
        if headers.contains(&protobuf) {
            assert_eq!(reply.header("content-type"), Some(PROTOBUF), "{path} {headers:?}");
            assert_eq!(reply.body.first(), Some(&0x08), "google.rpc.Status begins with its code");
        } else {
            assert_eq!(reply.header("content-type"), Some(JSON), "{path} {headers:?}");
            let status: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
            assert!(status["message"].as_str().is_some_and(|message| !message.is_empty()), "{status}");
        }
        assert_eq!(reply.header("accept-encoding").is_some(), headers.len() == 2 && want == 415);
    }
    assert!(running.log.groups().is_empty(), "nothing of them is left behind");
    running.stop().await;
}

#[tokio::test]
async fn only_post_is_allowed() {
    let running = start().await;
    for method in [Method::GET, Method::PUT, Method::OPTIONS, Method::DELETE] {
        let mut request = request(running.http, "/v1/traces", &[("content-type", JSON)], b"");
        *request.method_mut() = method.clone();
        let reply = send_http1(running.http, request).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")), "{method}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    running.stop().await;
}
