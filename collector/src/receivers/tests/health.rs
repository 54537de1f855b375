//! `grpc.health.v1`, byte by byte: what probes ask and are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Reply, frame, send_http2, start};
use crate::NoRoom;

const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

/// `HealthCheckResponse`: field 1, a varint; 1 is SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN.
const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";
const NOT_SERVING: &[u8] = b"\0\0\0\0\x02\x08\x02";
const SERVICE_UNKNOWN: &[u8] = b"\0\0\0\0\x02\x08\x03";

/// Longer than a status is looked at.
const TOLD_TIME_MAX: Duration = Duration::from_secs(10);

/// A question about `service`: field 1, text.
fn question(to: SocketAddr, method: &str, service: &str) -> Request<Full<Bytes>> {
    let length = u8::try_from(service.len()).expect("short");
    let name = if service.is_empty() { Vec::new() } else { [&[0x0a, length], service.as_bytes()].concat() };
    let request = Request::post(format!("http://{to}/grpc.health.v1.Health/{method}"))
        .header("content-type", "application/grpc");
    request.body(Full::new(Bytes::from(frame(0, &name)))).expect("a request")
}

async fn ask(to: SocketAddr, method: &str, service: &str) -> Reply {
    send_http2(to, question(to, method, service)).await
}

/// An answer that goes on, and the connection that it goes over.
async fn watch(to: SocketAddr, service: &str) -> (Incoming, JoinHandle<()>) {
    let stream = TcpStream::connect(to).await.expect("connect");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let connection = tokio::spawn(async move {
        let _ = connection.await;
    });
    let response = sender.send_request(question(to, "Watch", service)).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "application/grpc");
    (response.into_body(), connection)
}

/// The next message of a stream; its trailers as `Err`.
async fn next(body: &mut Incoming) -> Result<Bytes, String> {
    let frame = tokio::time::timeout(TOLD_TIME_MAX, body.frame()).await.expect("told in time");
    let frame = frame.expect("not the end").expect("not broken");
    frame.into_data().map_err(|frame| {
        let trailers = frame.into_trailers().expect("data or trailers");
        trailers["grpc-status"].to_str().expect("ASCII").to_owned()
    })
}

#[tokio::test]
async fn the_process_and_each_service_of_the_port_are_serving() {
    let running = start().await;
    for service in ["", TRACES, "envoy.service.accesslog.v3.AccessLogService", "grpc.health.v1.Health"] {
        let reply = ask(running.grpc, "Check", service).await;
        assert_eq!((&reply.body[..], reply.status.as_u16()), (SERVING, 200), "{service:?}");
        assert_eq!(reply.trailers.expect("trailers")["grpc-status"], "0");
    }
    let unknown = ask(running.grpc, "Check", "x.Y").await;
    assert_eq!((unknown.header("grpc-status"), unknown.body.len()), (Some("5"), 0));
    let list = ask(running.grpc, "List", "").await;
    // Field 1, an entry: field 1, the name; field 2, the answer, which is 08 01.
    let entry = [&[0x0a, 57, 0x0a, 51], TRACES.as_bytes(), b"\x12\x02\x08\x01"].concat();
    assert_eq!((TRACES.len(), entry.len()), (51, 59));
    assert!(list.body.windows(entry.len()).any(|window| window == entry), "{list:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_process_that_is_not_fit_is_not_serving_and_a_full_buffer_is_no_reason() {
    let running = start().await;
    let fit = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&fit);
    running.collector.unfit_without(move || asked.load(Ordering::Relaxed));
    running.collector.refuse_without(|_| Err(NoRoom::Buffer { flush_time: Duration::ZERO }));
    assert_eq!(&ask(running.grpc, "Check", "").await.body[..], SERVING);
    let (mut watched, connection) = watch(running.grpc, TRACES).await;
    assert_eq!(next(&mut watched).await.as_deref(), Ok(SERVING));
    fit.store(false, Ordering::Relaxed);
    assert_eq!(next(&mut watched).await.as_deref(), Ok(NOT_SERVING));
    assert_eq!(&ask(running.grpc, "Check", "").await.body[..], NOT_SERVING);
    fit.store(true, Ordering::Relaxed);
    assert_eq!(next(&mut watched).await.as_deref(), Ok(SERVING));
    drop(watched);
    connection.abort();
    running.stop().await;
}

#[tokio::test]
async fn who_watches_is_told_of_the_stop_and_let_go() {
    let running = start().await;
    let (mut known, _connection) = watch(running.grpc, "").await;
    assert_eq!(next(&mut known).await.as_deref(), Ok(SERVING));
    let (mut unknown, _connection) = watch(running.grpc, "x.Y").await;
    assert_eq!(next(&mut unknown).await.as_deref(), Ok(SERVICE_UNKNOWN));
    running.stop().await;
    assert_eq!(next(&mut known).await.as_deref(), Ok(NOT_SERVING));
    assert_eq!(next(&mut known).await, Err("14".to_owned()));
    assert_eq!(next(&mut unknown).await, Err("14".to_owned()));
}

#[tokio::test]
async fn a_question_of_the_longest_length_is_answered_and_a_longer_one_is_not() {
    let running = start().await;
    let asked = |length: usize| {
        let name = vec![b'a'; length - 3];
        // Field 1, a length of two bytes.
        let prefix = [0x0a, (name.len() & 0x7f) as u8 | 0x80, (name.len() >> 7) as u8];
        let request = Request::post(format!("http://{}/grpc.health.v1.Health/Check", running.grpc))
            .header("content-type", "application/grpc");
        let body = Full::new(Bytes::from(frame(0, &[prefix.as_slice(), &name].concat())));
        send_http2(running.grpc, request.body(body).expect("a request"))
    };
    assert_eq!(asked(1024).await.header("grpc-status"), Some("5"));
    assert_eq!(asked(1025).await.header("grpc-status"), Some("8"));
    running.stop().await;
}
