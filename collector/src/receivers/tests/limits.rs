//! What bounds the receivers: sizes, the byte budget, connections, a failing disk, a stop.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use meshlake_listen::ListenerStats;
use meshlake_schema::Table;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;

use super::{
    Reply, STOP_TIME_MAX, StopReport, frame, gzip, send_http1, send_http2, start, start_with, stop, zstd,
};
use crate::intake::testing::spans;
use crate::protobuf::messages::otlp::EXPORT_TRACES;
use crate::protobuf::validate::validate;
use crate::{CollectorConfig, NoRoom};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LIMIT: usize = 1 << 20;

fn small() -> CollectorConfig {
    let bytes = LIMIT as u64;
    CollectorConfig {
        export_bytes_max: bytes,
        in_flight_bytes_max: 4 * bytes,
        retry_window_seconds: 0,
        ..CollectorConfig::default()
    }
}

async fn grpc(to: SocketAddr, flag: u8, message: &[u8]) -> Reply {
    let request = Request::post(format!("http://{to}{TRACES}"))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip")
        .body(Full::new(Bytes::from(frame(flag, message))));
    send_http2(to, request.expect("a request")).await
}

async fn http(to: SocketAddr, encoding: &str, body: Vec<u8>) -> Reply {
    let request = Request::post("/v1/traces")
        .header("host", "localhost")
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", encoding)
        .body(Full::new(Bytes::from(body)));
    send_http1(to, request.expect("a request")).await
}

/// An export of `bytes` bytes: one span, then a field that no decoder knows.
fn export_of(bytes: usize) -> Vec<u8> {
    let mut message = spans(1, 0).encode_to_vec();
    // One byte of tag, three of length: exact for fields of 16 KiB to 2 MiB.
    let padding = bytes - message.len() - 4;
    prost::encoding::bytes::encode(15, &vec![0u8; padding], &mut message);
    assert_eq!(message.len(), bytes);
    message
}

#[tokio::test]
async fn an_export_of_the_limit_fits_and_one_byte_more_does_not() {
    let running = start_with(small()).await;
    let (fits, too_large) = (export_of(LIMIT), export_of(LIMIT + 1));
    assert_eq!(grpc(running.grpc, 0, &fits).await.trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(http(running.http, "identity", fits.clone()).await.status.as_u16(), 200);
    for reply in [grpc(running.grpc, 0, &too_large).await, grpc(running.grpc, 1, &gzip(&too_large)).await] {
        assert_eq!(reply.header("grpc-status"), Some("8"));
        assert_eq!(reply.header("grpc-status-details-bin"), None, "RetryInfo would make it retryable");
    }
    assert_eq!(http(running.http, "identity", too_large.clone()).await.status.as_u16(), 413);
    assert_eq!(http(running.http, "gzip", gzip(&too_large)).await.status.as_u16(), 413);
    assert_eq!((running.log.rows(Table::Spans), running.counted("too_large")), (vec![1, 1], 4));
    running.stop().await;
}

#[tokio::test]
async fn a_body_far_over_the_limit_still_hears_its_413() {
    let running = start_with(small()).await;
    let reply = http(running.http, "identity", vec![0; 32 * LIMIT]).await;
    assert_eq!(reply.status.as_u16(), 413);
    running.stop().await;
}

#[tokio::test]
async fn a_bomb_is_too_large() {
    let running = start_with(small()).await;
    let bytes = vec![0; 64 << 20];
    let bomb = gzip(&bytes);
    assert_eq!(grpc(running.grpc, 1, &bomb).await.header("grpc-status"), Some("8"));
    assert_eq!(http(running.http, "gzip", bomb).await.status.as_u16(), 413);
    assert_eq!(http(running.http, "zstd", zstd(&bytes)).await.status.as_u16(), 413);
    assert_eq!(running.collector.stats().in_flight_bytes, 0, "every byte was given back");
    running.stop().await;
}

/// Exports that wait for the disk hold the whole budget: the next one is told to come back, and finds room
/// when they have been answered.
#[tokio::test]
async fn a_used_up_budget_is_unavailable_with_a_delay() {
    let config = CollectorConfig { in_flight_bytes_max: LIMIT as u64, ..small() };
    let running = start_with(config).await;
    running.log.hold();
    let (to, fits) = (running.grpc, export_of(LIMIT));
    let first = tokio::spawn(async move { grpc(to, 0, &fits).await });
    running.wait_until_held().await;
    assert_eq!(running.collector.stats().in_flight_bytes, LIMIT);

    let refused = grpc(running.grpc, 0, b"\x0a\0").await;
    assert_eq!(refused.header("grpc-status"), Some("14"));
    let details = refused.header("grpc-status-details-bin").expect("RetryInfo");
    let details = STANDARD_NO_PAD.decode(details).expect("base64");
    // RetryInfo {retry_delay {seconds: 1}} ends the status.
    assert!(details.ends_with(b"type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x01"));
    let refused = http(running.http, "identity", b"\x0a\0".to_vec()).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("1")));

    running.log.release();
    assert_eq!(first.await.expect("no panic").trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(http(running.http, "identity", b"\x0a\0".to_vec()).await.status.as_u16(), 200);
    running.stop().await;
}

#[tokio::test]
async fn a_failing_disk_is_unavailable_and_passes() {
    let running = start().await;
    let message = spans(1, 0).encode_to_vec();
    running.log.disk.fail_syncs(0, 1);
    let failed = grpc(running.grpc, 0, &message).await;
    assert_eq!(failed.header("grpc-status"), Some("14"));
    assert!(failed.header("grpc-status-details-bin").is_some());
    assert!(running.log.rows(Table::Spans).is_empty(), "nothing of it is stored");
    let stored = http(running.http, "identity", message).await;
    assert_eq!((stored.status.as_u16(), running.log.rows(Table::Spans)), (200, vec![1]));
    assert_eq!(running.counted("not_durable"), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_store_without_room_is_unavailable_until_it_has_room() {
    let running = start().await;
    let room = Arc::new(Mutex::new(Ok(())));
    let asked = Arc::clone(&room);
    running.collector.refuse_without(move |_| *asked.lock().expect("no panic"));
    let flush_time = Duration::from_millis(4_100);
    for (full, name) in [(NoRoom::Buffer { flush_time }, "store_full"), (NoRoom::Disk, "disk_full")] {
        *room.lock().expect("no panic") = Err(full);
        let refused = http(running.http, "identity", b"\x0a\0".to_vec()).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("5")));
        assert_eq!(grpc(running.grpc, 0, b"").await.header("grpc-status"), Some("14"));
        assert_eq!(running.counted(name), 2);
    }
    *room.lock().expect("no panic") = Ok(());
    assert_eq!(http(running.http, "identity", b"\x0a\0".to_vec()).await.status.as_u16(), 200);
    running.stop().await;
}

/// Scenario: one export waits for the disk when the next one comes. Guarantee: the store is asked for room beside it.
#[tokio::test]
async fn what_is_in_flight_is_counted_as_rows_to_come() {
    let running = start().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    running.collector.refuse_without(move |bytes_to_come| {
        seen.lock().expect("no panic").push(bytes_to_come);
        Ok(())
    });
    running.log.disk.hold_syncs();
    let message = spans(1, 0).encode_to_vec();
    let column_bytes = validate(&message, &EXPORT_TRACES).expect("valid");
    assert!(column_bytes > message.len(), "a short span");
    let first = tokio::spawn(http(running.http, "identity", message.clone()));
    while running.collector.stats().in_flight_bytes < column_bytes {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let second = tokio::spawn(http(running.http, "identity", spans(2, 0).encode_to_vec()));
    while asked.lock().expect("no panic").len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.log.disk.release_syncs();
    assert_eq!(first.await.expect("no panic").status.as_u16(), 200);
    assert_eq!(second.await.expect("no panic").status.as_u16(), 200);
    assert_eq!(*asked.lock().expect("no panic"), [0, column_bytes]);
    running.stop().await;
}

/// Scenario: there is room when a call over gRPC begins and none when its length is known, because others have told theirs
/// meanwhile. Guarantee: it is refused before it is read.
#[tokio::test]
async fn room_is_asked_for_again_when_the_length_is_known() {
    let running = start().await;
    let asked = Arc::new(Mutex::new(0));
    let times = Arc::clone(&asked);
    running.collector.refuse_without(move |_| {
        let mut times = times.lock().expect("no panic");
        *times += 1;
        if *times == 1 { Ok(()) } else { Err(NoRoom::Disk) }
    });
    let refused = grpc(running.grpc, 0, &spans(1, 0).encode_to_vec()).await;
    assert_eq!(refused.header("grpc-status"), Some("14"));
    assert_eq!((running.counted("disk_full"), *asked.lock().expect("no panic")), (1, 2));
    running.stop().await;
}

#[tokio::test]
async fn a_disk_that_fills_up_is_unavailable_and_passes() {
    let running = start().await;
    let message = spans(1, 0).encode_to_vec();
    running.log.disk.fail_writes_full(0, 1);
    let refused = http(running.http, "identity", message.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("5")));
    let stored = http(running.http, "identity", message).await;
    assert_eq!((stored.status.as_u16(), running.log.rows(Table::Spans)), (200, vec![1]));
    assert_eq!(running.counted("disk_full"), 1);
    running.stop().await;
}

/// Scenario: the fdatasync does not come back. Guarantee: who waits hears of it in the time it set; what is
/// at the disk is decided by the disk alone, and then stored once.
#[tokio::test]
async fn a_disk_that_stalls_is_a_deadline_exceeded_and_decides_by_itself() {
    let running = start().await;
    running.log.disk.hold_syncs();
    let to = running.grpc;
    let request = Request::post(format!("http://{to}{TRACES}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "50m")
        .body(Full::new(Bytes::from(frame(0, &spans(1, 0).encode_to_vec()))));
    let late = send_http2(to, request.expect("a request")).await;
    assert_eq!(late.header("grpc-status"), Some("4"));
    assert_eq!(late.header("grpc-status-details-bin"), None, "the code alone says that it may be retried");
    assert_eq!(running.counted("timed_out"), 1);
    assert!(running.log.rows(Table::Spans).is_empty());

    running.log.disk.release_syncs();
    let stored = http(running.http, "identity", spans(1, 0).encode_to_vec()).await;
    assert_eq!(stored.status.as_u16(), 200);
    assert_eq!(running.log.rows(Table::Spans).iter().sum::<usize>(), 2);
    running.stop().await;
}

/// Scenario: a sender that waits for 50 ms stalls in the middle of its message. Guarantee: it is answered in its
/// time, not after the 30 s that a body may take, and the memory comes back.
#[tokio::test]
async fn a_body_that_stalls_is_a_deadline_exceeded_when_its_sender_stops_to_wait() {
    let running = start().await;
    let to = running.grpc;
    let begun = Frame::data(Bytes::from_static(b"\0\0\0\0\x02\x0a"));
    let stalled = tokio_stream::once(Ok::<_, std::convert::Infallible>(begun)).chain(tokio_stream::pending());
    let stream = TcpStream::connect(to).await.expect("connect");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::post(format!("http://{to}{TRACES}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "50m")
        .body(StreamBody::new(stalled))
        .expect("a request");
    let answer = tokio::time::timeout(Duration::from_secs(10), sender.send_request(request)).await;
    let late = Reply::read(answer.expect("in time").expect("an answer")).await;
    assert_eq!(late.header("grpc-status"), Some("4"));
    assert_eq!((running.counted("timed_out"), running.collector.stats().in_flight_bytes), (1, 0));
    drop(sender);
    running.stop().await;
}

#[tokio::test]
async fn a_connection_above_the_cap_is_closed() {
    let running = start_with(CollectorConfig { connections_max: 1, ..small() }).await;
    let first = TcpStream::connect(running.http).await.expect("connect");
    let mut second = TcpStream::connect(running.grpc).await.expect("connect");
    let ended = tokio::select! {
        read = second.read_u8() => read.is_err(),
        // The listeners are two tasks: the second connection may have been accepted first.
        readable = first.readable() => readable.is_ok(),
    };
    assert!(ended);
    assert_eq!(running.stats.iter().map(ListenerStats::refused).sum::<u64>(), 1);
    drop((first, second));
    running.stop().await;
}

/// Scenario: connections have said nothing, or a part of the preface. Guarantee: a stop waits for none of them.
#[tokio::test]
async fn a_stop_does_not_wait_for_the_rest_of_a_preface() {
    let running = start().await;
    let mut silent = Vec::new();
    for to in [running.grpc, running.http] {
        for said in [b"".as_slice(), b"P", b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let mut stream = TcpStream::connect(to).await.expect("connect");
            stream.write_all(said).await.expect("connected");
            silent.push(stream);
        }
    }
    while running.connections_open() < silent.len() as u64 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    for mut stream in silent {
        // Closed; with a reset, when bytes were left unread.
        assert!(stream.read_u8().await.is_err());
    }
}

/// A stop waits for the export in flight, whose sender is still answered.
#[tokio::test]
async fn a_stop_answers_what_is_in_flight() {
    let running = start().await;
    running.log.hold();
    let to = running.grpc;
    let first = tokio::spawn(async move { grpc(to, 0, &spans(1, 0).encode_to_vec()).await });
    running.wait_until_held().await;
    let (collector, served, log) = (running.collector, running.served, running.log);
    let stopping = tokio::spawn(stop(collector, served, STOP_TIME_MAX, STOP_TIME_MAX));
    // The port closes first; then the stop waits for the disk.
    while TcpStream::connect(to).await.is_ok() {
        tokio::task::yield_now().await;
    }
    log.release();
    let report = stopping.await.expect("no panic");
    assert!(report.connections_ended && report.intake_drained, "{report:?}");
    assert_eq!(first.await.expect("no panic").trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(log.rows(Table::Spans), [1]);
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_up_a_stop_beyond_its_deadline() {
    let running = start().await;
    running.log.hold();
    let to = running.grpc;
    let first = tokio::spawn(async move {
        let request =
            Request::post(format!("http://{to}{TRACES}")).header("content-type", "application/grpc");
        let body = Full::new(Bytes::from(frame(0, &spans(1, 0).encode_to_vec())));
        let stream = TcpStream::connect(to).await.expect("connect");
        let (mut sender, connection) = hyper::client::conn::http2::handshake(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(stream),
        )
        .await
        .expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request.body(body).expect("a request")).await.is_ok()
    });
    running.wait_until_held().await;
    let (collector, served, log) = (running.collector, running.served, running.log);
    let report = stop(collector, served, Duration::ZERO, Duration::from_millis(1)).await;
    assert!(!report.connections_ended && !report.intake_drained, "{report:?}");
    assert!(!first.await.expect("no panic"), "it was cut off, unanswered");
    log.release();
}

/// Scenario: a peer opens HTTP/2 and says nothing more, not even that it has seen the GOAWAY. Guarantee: it is cut off,
/// and what is in the intake becomes durable in the time that is left.
#[tokio::test]
async fn a_peer_that_does_not_leave_takes_no_time_from_the_last_group() {
    let running = start().await;
    let mut silent = TcpStream::connect(running.grpc).await.expect("connect");
    // The preface and an empty SETTINGS frame: RFC 9113, 3.4 and 6.5.
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("write");
    let mut settings = [0; 9];
    silent.read_exact(&mut settings).await.expect("SETTINGS");
    let report = stop(running.collector, running.served, Duration::from_millis(400), STOP_TIME_MAX).await;
    assert_eq!(report, StopReport { connections_ended: false, intake_drained: true });
}
