//! OTLP over gRPC, byte by byte where the protocol says so.

use std::net::SocketAddr;

use ::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use meshlake_schema::Table;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;

use super::{Headers, Reply, frame, gzip, send_http2, start, zstd};
use crate::intake::testing::spans;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

async fn call(to: SocketAddr, path: &str, headers: Headers<'_>, body: Vec<u8>) -> Reply {
    let mut request = Request::post(format!("http://{to}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send_http2(to, request.body(Full::new(Bytes::from(body))).expect("a request")).await
}

/// The grpc-status of an answer without a message.
fn refused_with(reply: &Reply) -> Option<&str> {
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("application/grpc")));
    assert!(reply.body.is_empty() && reply.trailers.is_none(), "trailers-only: {reply:?}");
    reply.header("grpc-status")
}

#[tokio::test]
async fn stored_spans_are_answered_with_an_empty_message() {
    let running = start().await;
    let reply = call(running.grpc, TRACES, &[], frame(0, &spans(2, 0).encode_to_vec())).await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("application/grpc")));
    assert_eq!(&reply.body[..], b"\0\0\0\0\0", "a frame of no bytes: partial_success is unset");
    assert_eq!(reply.trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(running.log.rows(Table::Spans), [2], "durable before the answer");
    running.stop().await;
}

#[tokio::test]
async fn an_empty_export_is_a_success() {
    let running = start().await;
    let reply = call(running.grpc, TRACES, &[], frame(0, b"")).await;
    assert_eq!(&reply.body[..], b"\0\0\0\0\0");
    running.stop().await;
}

#[tokio::test]
async fn rejected_spans_are_counted_in_the_answer() {
    let running = start().await;
    let reply = call(running.grpc, TRACES, &[], frame(0, &spans(2, 3).encode_to_vec())).await;
    let message = b"3 of 5 spans rejected: invalid_trace_id=3";
    // Field 1 = partial success {field 1 = 3, field 2 = message}: 2 + 2 + 2 + 41 bytes.
    let want = [b"\0\0\0\0\x2f\x0a\x2d\x08\x03\x12\x29".as_slice(), message].concat();
    assert_eq!(reply.body, want);
    assert_eq!(reply.trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!((running.log.rows(Table::Spans), running.counted("partial")), (vec![2], 1));
    running.stop().await;
}

#[tokio::test]
async fn the_generated_clients_are_served() {
    let running = start().await;
    let endpoint = format!("http://{}", running.grpc);
    let mut traces = TraceServiceClient::connect(endpoint.clone()).await.expect("connect");
    let reply = traces.export(spans(1, 0)).await.expect("stored");
    assert_eq!(reply.into_inner().partial_success, None);
    let mut logs = LogsServiceClient::connect(endpoint.clone()).await.expect("connect");
    logs.export(ExportLogsServiceRequest::default()).await.expect("stored");
    let mut metrics = MetricsServiceClient::connect(endpoint).await.expect("connect");
    metrics.export(ExportMetricsServiceRequest::default()).await.expect("stored");
    drop((traces, logs, metrics));
    running.stop().await;
}

#[tokio::test]
async fn compression_is_said_per_message() {
    let running = start().await;
    let message = spans(1, 0).encode_to_vec();
    let packed = call(running.grpc, TRACES, &[("grpc-encoding", "gzip")], frame(1, &gzip(&message))).await;
    assert_eq!(&packed.body[..], b"\0\0\0\0\0");
    let plain = call(running.grpc, TRACES, &[("grpc-encoding", "gzip")], frame(0, &message)).await;
    assert_eq!(&plain.body[..], b"\0\0\0\0\0");
    let packed = call(running.grpc, TRACES, &[("grpc-encoding", "zstd")], frame(1, &zstd(&message))).await;
    assert_eq!(&packed.body[..], b"\0\0\0\0\0");
    assert_eq!(running.log.rows(Table::Spans), [1, 1, 1]);
    running.stop().await;
}

#[tokio::test]
async fn broken_exports_are_refused_with_their_code() {
    let running = start().await;
    let good = spans(1, 0).encode_to_vec();
    let cut = &good[..good.len() - 1];
    let packed = gzip(&good);
    let gzip_header: Headers = &[("grpc-encoding", "gzip")];
    let cases: [(&str, Headers, Vec<u8>, &str); 11] = [
        ("undecodable", &[], frame(0, cut), "3"),
        ("cut gzip", gzip_header, frame(1, &packed[..packed.len() - 1]), "3"),
        ("plain as gzip", gzip_header, frame(1, &good), "3"),
        ("tenant", &[("x-scope-orgid", "a/b")], frame(0, &good), "3"),
        ("unknown coding", &[("grpc-encoding", "br")], frame(1, &good), "12"),
        ("compressed without coding", &[], frame(1, &packed), "13"),
        ("flag 2", &[], frame(2, &good), "13"),
        ("two messages", &[], [frame(0, &good), frame(0, &good)].concat(), "13"),
        ("no message", &[], Vec::new(), "13"),
        ("cut frame", &[], frame(0, &good)[..good.len()].to_vec(), "13"),
        ("length 4 GiB", &[], b"\0\xff\xff\xff\xff".to_vec(), "8"),
    ];
    for (what, headers, body, want) in cases {
        let reply = call(running.grpc, TRACES, headers, body).await;
        assert_eq!(refused_with(&reply), Some(want), "{what}");
        assert!(reply.header("grpc-message").is_some_and(|message| !message.is_empty()), "{what}");
    }
    assert!(running.log.groups().is_empty(), "nothing of them is left behind");
    running.stop().await;
}

#[tokio::test]
async fn bad_data_carries_bad_request_and_codings_carry_the_known_ones() {
    let running = start().await;
    let bad = call(running.grpc, TRACES, &[], frame(0, b"\x0a")).await;
    let details = STANDARD_NO_PAD.decode(bad.header("grpc-status-details-bin").expect("details"));
    let details = String::from_utf8_lossy(&details.expect("base64")).into_owned();
    assert!(details.contains("type.googleapis.com/google.rpc.BadRequest"), "{details}");
    let coding = call(running.grpc, TRACES, &[("grpc-encoding", "br")], frame(1, b"")).await;
    assert_eq!(coding.header("grpc-accept-encoding"), Some("zstd, gzip, identity"));
    running.stop().await;
}

#[tokio::test]
async fn other_paths_types_and_verbs_are_refused() {
    let running = start().await;
    for path in
        ["/", "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", "/v1/traces"]
    {
        let reply = call(running.grpc, path, &[], frame(0, b"")).await;
        assert_eq!(refused_with(&reply), Some("12"), "{path}");
    }
    let web = Request::post(format!("http://{}{TRACES}", running.grpc))
        .header("content-type", "application/grpc-web");
    let web = send_http2(running.grpc, web.body(Full::default()).expect("a request")).await;
    assert_eq!(web.status.as_u16(), 415);
    let get = Request::get(format!("http://{}{TRACES}", running.grpc)).body(Full::default());
    let get = send_http2(running.grpc, get.expect("a request")).await;
    assert_eq!((get.status.as_u16(), get.header("allow")), (405, Some("POST")));
    running.stop().await;
}

#[tokio::test]
async fn rows_belong_to_the_tenant_of_the_header() {
    let running = start().await;
    call(running.grpc, TRACES, &[("x-scope-orgid", "team-a")], frame(0, &spans(1, 0).encode_to_vec())).await;
    let groups = running.log.groups();
    let batch = groups[0].batches.iter().find(|batch| batch.table() == Table::Spans).expect("spans");
    let tenant = arrow::util::display::array_value_to_string(&batch.rows()["tenant"], 0);
    assert_eq!(tenant.as_deref().ok(), Some("team-a"));
    running.stop().await;
}
