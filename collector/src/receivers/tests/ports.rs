//! Senders that come to the wrong port are told the right one, in words that their own protocol can read.

use ::http::{Request, Version};
use bytes::Bytes;
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;

use super::{send_http1, send_http2, start};
use crate::intake::testing::spans;

#[tokio::test]
async fn http_on_the_port_of_grpc_is_told_the_port_of_http() {
    let running = start().await;
    let body = Bytes::from(spans(1, 0).encode_to_vec());
    let want = format!("this port takes gRPC; OTLP over HTTP is taken on port {}", running.http.port());
    for (method, content_type) in
        [("POST", "application/x-protobuf"), ("POST", "application/json"), ("GET", "text/plain")]
    {
        let request = Request::builder()
            .method(method)
            .uri("/v1/traces")
            .header("host", "localhost")
            .header("content-type", content_type)
            .body(Full::new(body.clone()))
            .expect("a request");
        let reply = send_http1(running.grpc, request).await;
        assert_eq!((reply.status.as_u16(), reply.header("connection")), (421, Some("close")), "{method}");
        let said = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(said.contains(&want), "{said}");
        let answered_in = if method == "GET" { "application/json" } else { content_type };
        assert_eq!(reply.header("content-type"), Some(answered_in), "as every refusal");
    }
    assert_eq!(running.counted("wrong_port"), 3);
    running.stop().await;
}

/// Also where the client speaks HTTP/2 from the start; what is wrong then is its content type.
#[tokio::test]
async fn http2_on_the_port_of_grpc_is_told_the_port_of_http() {
    let running = start().await;
    let request = Request::post(format!("http://{}/v1/traces", running.grpc))
        .version(Version::HTTP_2)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(b"{}")))
        .expect("a request");
    let reply = send_http2(running.grpc, request).await;
    assert_eq!(reply.status.as_u16(), 415);
    let said = String::from_utf8_lossy(&reply.body).into_owned();
    let want = format!("use application/grpc; OTLP over HTTP is taken on port {}", running.http.port());
    assert!(said.contains(&want), "{said}");
    running.stop().await;
}

#[tokio::test]
async fn grpc_on_the_port_of_http_is_told_the_port_of_grpc() {
    let running = start().await;
    let endpoint = format!("http://{}", running.http);
    let mut client = TraceServiceClient::connect(endpoint).await.expect("connect");
    let status = client.export(spans(1, 0)).await.expect_err("refused");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    let want = format!("this port takes OTLP over HTTP; gRPC is taken on port {}", running.grpc.port());
    assert_eq!(status.message(), want);
    assert_eq!(running.counted("wrong_port"), 1);
    drop(client);
    running.stop().await;
}

/// What is left of a refused body is read on, so that the answer is not lost to a reset.
#[tokio::test]
async fn a_large_body_on_the_wrong_port_still_hears_its_answer() {
    let running = start().await;
    let request = Request::post("/v1/traces")
        .header("host", "localhost")
        .body(Full::new(Bytes::from(vec![0; 32 << 20])))
        .expect("a request");
    assert_eq!(send_http1(running.grpc, request).await.status.as_u16(), 421);
    running.stop().await;
}

/// Most who are told so have left out a signal's path, or put it behind an address that gets it anyway.
#[tokio::test]
async fn an_unknown_path_is_told_which_there_are() {
    let running = start().await;
    let request = Request::post("/v1/traces/v1/traces")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(b"{}")))
        .expect("a request");
    let reply = send_http1(running.http, request).await;
    let said = String::from_utf8_lossy(&reply.body).into_owned();
    let want = "no such path: /v1/traces/v1/traces; this port takes /v1/traces, /v1/logs, /v1/metrics, ";
    assert!(reply.status.as_u16() == 404 && said.contains(want), "{said}");
    running.stop().await;
}
