//! Senders that come to the wrong port are told the right one, in words that their own protocol can read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::{HeaderMap, Request, Version};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{send_http1, send_http2, start};
use crate::NoRoom;
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

/// A body that is made piece by piece.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// More of a body than HTTP/2's windows hold, so that it is read on or stands still.
const PIECES: usize = 128;
const PIECE_BYTES: usize = 32 * 1024;

/// The head and the trailers of the answer to a request over HTTP/2 of which nothing but the head was sent by then; all of
/// its body must be taken after that. hyper's client ends a body whose stream was reset, as OkHttp ends the whole request.
async fn answer_before_the_body(to: SocketAddr, path: &str, content_type: &str) -> (u16, HeaderMap) {
    let stream = TcpStream::connect(to).await.expect("connect");
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    tokio::spawn(connection);
    let (pieces, body) = mpsc::channel(1);
    let request = Request::post(format!("http://{to}{path}"))
        .header("content-type", content_type)
        .body(Pieces(body))
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
    let rest = answer.into_body().collect().await.expect("a whole answer");
    headers.extend(rest.trailers().cloned().unwrap_or_default());
    for piece in 0..PIECES {
        let sent = pieces.send(Bytes::from_static(&[0; PIECE_BYTES])).await;
        assert!(sent.is_ok(), "{path}, {content_type}: reset after {piece} pieces");
    }
    (status, headers)
}

#[tokio::test]
async fn an_answer_over_http2_is_not_followed_by_a_reset() {
    let running = start().await;
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let cases = [
        // (where, path, content type, status, grpc-status)
        (running.http, traces, "application/grpc", 200, Some("12")),
        (running.grpc, "/none.Such/Method", "application/grpc", 200, Some("12")),
        (running.grpc, traces, "application/json", 415, None),
        (running.http, "/v1/trace", "application/x-protobuf", 404, None),
        (running.http, "/v1/traces", "text/plain", 415, None),
    ];
    for (to, path, content_type, want, want_grpc) in cases {
        let (status, headers) = answer_before_the_body(to, path, content_type).await;
        let grpc = headers.get("grpc-status").and_then(|status| status.to_str().ok());
        assert_eq!((status, grpc), (want, want_grpc), "{path}, {content_type}");
    }
    running.stop().await;
}

/// What passes must be heard most of all: a sender that is told of a reset drops what it was to send again.
#[tokio::test]
async fn a_refusal_for_want_of_room_over_grpc_is_not_followed_by_a_reset() {
    let running = start().await;
    running.collector.refuse_without(|_| Err(NoRoom::Disk));
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let (_, headers) = answer_before_the_body(running.grpc, traces, "application/grpc").await;
    assert_eq!(headers["grpc-status"], "14");
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
