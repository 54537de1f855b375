//! Envoy's access log stream: the identifier, the missing answers, the window, the end.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::data::accesslog::v3::{AccessLogCommon, HttpAccessLogEntry};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, Identifier, LogEntries,
};
use envoy_types::pb::google::protobuf::Timestamp;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use meshlake_schema::Table;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{Headers, Reply, frame, gzip, start, start_with};
use crate::CollectorConfig;
use crate::intake::testing::NOW;

const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/// A stream that stays open until its sender is dropped, and its answer.
fn open(to: SocketAddr) -> (mpsc::UnboundedSender<Vec<u8>>, JoinHandle<Reply>) {
    open_with(to, &[])
}

fn open_with(to: SocketAddr, headers: Headers<'_>) -> (mpsc::UnboundedSender<Vec<u8>>, JoinHandle<Reply>) {
    open_over(TcpStream::connect(to).expect("connect"), headers)
}

fn open_over(stream: TcpStream, headers: Headers<'_>) -> (mpsc::UnboundedSender<Vec<u8>>, JoinHandle<Reply>) {
    let to = stream.peer_addr().expect("connected");
    let mut request = Request::post(format!("http://{to}{PATH}")).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (messages, queue) = mpsc::unbounded_channel::<Vec<u8>>();
    let frames = UnboundedReceiverStream::new(queue)
        .map(|bytes| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(bytes))));
    let answer = tokio::spawn(async move {
        stream.set_nonblocking(true).expect("a socket");
        let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP/2");
        tokio::spawn(connection);
        let request = request.body(StreamBody::new(frames)).expect("a request");
        Reply::read(sender.send_request(request).await.expect("an answer")).await
    });
    (messages, answer)
}

/// A frame that is not packed.
fn message(entries: usize, identified: bool) -> Vec<u8> {
    frame(0, &message_bytes(entries, identified))
}

fn message_bytes(entries: usize, identified: bool) -> Vec<u8> {
    let seconds = NOW.0 / 1_000_000_000;
    let entry = HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            start_time: Some(Timestamp { seconds, nanos: 0 }),
            ..AccessLogCommon::default()
        }),
        ..HttpAccessLogEntry::default()
    };
    let node = Node { id: "node-1".to_owned(), cluster: "shop".to_owned(), ..Node::default() };
    let message = StreamAccessLogsMessage {
        identifier: identified.then(|| Identifier { node: Some(node), log_name: "log".to_owned() }),
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry: vec![entry; entries] })),
    };
    message.encode_to_vec()
}

#[tokio::test]
async fn the_identifier_holds_for_the_whole_stream() {
    let running = start().await;
    let (messages, answer) = open(running.grpc);
    messages.send(message(2, true)).expect("open");
    messages.send(message(3, false)).expect("open");
    drop(messages);
    let reply = answer.await.expect("no panic");
    assert_eq!(reply.trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(running.log.rows(Table::Requests).iter().sum::<usize>(), 5, "durable before the stream's end");
    assert_eq!(running.counted("ok"), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_stream_without_identifier_is_refused() {
    let running = start().await;
    let (messages, answer) = open(running.grpc);
    messages.send(message(1, false)).expect("open");
    assert_eq!(answer.await.expect("no panic").header("grpc-status"), Some("3"));
    assert!(running.log.groups().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn broken_bytes_end_the_stream_and_keep_what_came_before() {
    let running = start().await;
    let (messages, answer) = open(running.grpc);
    messages.send(message(2, true)).expect("open");
    messages.send(frame(0, b"\x0a")).expect("open");
    assert_eq!(answer.await.expect("no panic").header("grpc-status"), Some("3"));
    assert_eq!(running.log.rows(Table::Requests), [2]);
    running.stop().await;
}

#[tokio::test]
async fn a_refused_stream_is_counted_once_by_its_reason() {
    let running = start().await;
    let cases: [(Headers, Vec<u8>, &str); 5] = [
        (&[("grpc-encoding", "br")], message(1, true), "unknown_encoding"),
        (&[("x-scope-orgid", "a/b")], message(1, true), "bad_tenant"),
        (&[], b"\0\xff\xff\xff\xff".to_vec(), "too_large"),
        (&[], b"\x02\0\0\0\0".to_vec(), "broken_frame"),
        (&[], message(1, false), "undecodable"),
    ];
    for (headers, sent, status) in cases {
        let (messages, answer) = open_with(running.grpc, headers);
        // What is refused by its headers may have ended already.
        let _ = messages.send(sent);
        answer.await.expect("no panic");
        assert_eq!(running.counted(status), 1, "{status}");
    }
    running.stop().await;
}

/// Scenario: the peer is cut off while its message is at a disk that then fails. Guarantee: the loss is counted.
#[tokio::test]
async fn what_a_peer_that_has_gone_loses_is_counted() {
    let running = start().await;
    running.log.disk.hold_syncs();
    running.log.disk.fail_syncs(0, 1);
    let stream = TcpStream::connect(running.grpc).expect("connect");
    let cut = stream.try_clone().expect("a socket");
    let (messages, answer) = open_over(stream, &[]);
    messages.send(message(1, true)).expect("open");
    while running.collector.stats().exports.payload_bytes == 0 {
        tokio::task::yield_now().await;
    }
    answer.abort();
    cut.shutdown(Shutdown::Both).expect("connected");
    while running.connections_open() > 0 {
        tokio::task::yield_now().await;
    }
    running.log.disk.release_syncs();
    let counting = async {
        while running.counted("not_durable") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counting).await.expect("it is counted");
    running.stop().await;
}

/// While the disk is busy with the first message the stream is read on: all that came meanwhile are one
/// group.
#[tokio::test]
async fn no_message_waits_for_the_one_before() {
    let running = start().await;
    running.log.hold();
    let (messages, answer) = open(running.grpc);
    messages.send(message(1, true)).expect("open");
    running.wait_until_held().await;
    for _ in 0..10 {
        messages.send(message(1, false)).expect("open");
    }
    while running.collector.ledger().in_flight()[0].records < 11 {
        tokio::task::yield_now().await;
    }
    running.log.release();
    drop(messages);
    answer.await.expect("no panic");
    assert_eq!(running.log.rows(Table::Requests), [1, 10]);
    running.stop().await;
}

/// The window bounds what a slow disk can pile up; it opens again when the disk comes back.
#[tokio::test]
async fn a_slow_disk_stops_the_stream_at_its_window() {
    let running = start().await;
    running.log.hold();
    let (messages, answer) = open(running.grpc);
    messages.send(message(1, true)).expect("open");
    running.wait_until_held().await;
    for _ in 0..200 {
        messages.send(message(1, false)).expect("open");
    }
    let in_flight = || running.collector.ledger().in_flight()[0].records;
    while in_flight() < 64 {
        tokio::task::yield_now().await;
    }
    // The handler now waits for the oldest message; give it every chance to read on.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(in_flight(), 64, "UNSTORED_MESSAGES_MAX");
    running.log.release();
    drop(messages);
    answer.await.expect("no panic");
    assert_eq!(running.log.rows(Table::Requests).iter().sum::<usize>(), 201);
    running.stop().await;
}

/// Scenario: there is memory for a packed message as sent and not for what it holds, because another message is on its
/// way to the disk. Guarantee: it waits and is stored.
#[tokio::test]
async fn a_packed_message_waits_for_the_memory_to_inflate_it() {
    let limit: usize = 256 << 10;
    let config = CollectorConfig {
        export_bytes_max: limit as u64,
        in_flight_bytes_max: limit as u64,
        ..CollectorConfig::default()
    };
    let running = start_with(config).await;
    running.log.hold();
    let (held, held_answer) = open(running.grpc);
    // Field 15, which no decoder knows, fills all but 8 KiB of the limit.
    let mut filling = message_bytes(1, true);
    let padding = limit - (8 << 10) - filling.len();
    prost::encoding::bytes::encode(15, &vec![0u8; padding], &mut filling);
    held.send(frame(0, &filling)).expect("open");
    running.wait_until_held().await;

    let (messages, answer) = open_with(running.grpc, &[("grpc-encoding", "gzip")]);
    // More than 64 KiB are two steps of inflating.
    let mut large = message_bytes(100, true);
    prost::encoding::bytes::encode(15, &vec![0u8; 80_000], &mut large);
    messages.send(frame(1, &gzip(&large))).expect("open");
    // The waiter is first in line and all that is free is kept for it.
    while running.collector.stats().in_flight_bytes < limit && !answer.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished(), "it waits");
    running.log.release();
    drop((held, messages));
    assert_eq!(held_answer.await.expect("no panic").trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(answer.await.expect("no panic").trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(running.log.rows(Table::Requests), [1, 100]);
    assert_eq!(running.collector.stats().in_flight_bytes, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_stop_ends_open_streams() {
    let running = start().await;
    let (messages, answer) = open(running.grpc);
    messages.send(message(1, true)).expect("open");
    while running.collector.stats().exports.payload_bytes == 0 {
        tokio::task::yield_now().await;
    }
    let log = running.log.clone();
    running.stop().await;
    assert_eq!(answer.await.expect("no panic").header("grpc-status"), Some("14"));
    assert_eq!(log.rows(Table::Requests), [1]);
    drop(messages);
}
