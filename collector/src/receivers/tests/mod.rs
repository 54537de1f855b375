//! The receivers through real sockets: bytes in, bytes out, on ports that the system chose.
//!
//! Requests are written by hyper's client, because what is proven here are statuses, headers and bytes; one
//! test each drives the generated clients of tonic, which other senders are built on.

mod grpc;
mod http;
mod access_logs;
mod remote_write;
mod syslog;
mod tail;
mod als;
mod limits;
mod store;
mod health;
mod cors;
mod ports;
mod senders;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use meshlake_listen::{Listener, ListenerStats, Served};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::intake::testing::{StillClock, TestLog};
use crate::{Collector, CollectorConfig, Heard, Ports, SenderKey};

/// Longer than any test takes.
const STOP_TIME_MAX: Duration = Duration::from_secs(60);

pub(super) struct Running {
    pub(super) collector: Collector,
    served: Vec<Served>,
    /// Of both ports.
    stats: [ListenerStats; 2],
    pub(super) log: Arc<TestLog>,
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
}

/// How a stop went.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StopReport {
    connections_ended: bool,
    intake_drained: bool,
}

/// A collector that stores repeats: these tests send the same bytes again and again.
pub(super) async fn start() -> Running {
    start_with(CollectorConfig { retry_window_seconds: 0, ..CollectorConfig::default() }).await
}

pub(super) async fn start_with(config: CollectorConfig) -> Running {
    let log = Arc::new(TestLog::start());
    let (listeners, ports) = bind();
    let addresses = listeners.each_ref().map(Listener::address);
    let collector =
        Collector::start(&config, ports, log.writer.clone(), Arc::new(StillClock), Vec::new(), None)
            .expect("start");
    let stats = listeners.each_ref().map(Listener::stats);
    let served = serve(&collector, listeners);
    let [grpc, http] = addresses;
    Running { collector, served, stats, log, grpc, http }
}

/// The ports of gRPC and of HTTP.
pub(super) fn bind() -> ([Listener; 2], Ports) {
    let bound = |name| Listener::bind(name, "127.0.0.1:0").expect("a free port");
    let listeners = [bound("otlp_grpc"), bound("otlp_http")];
    let ports = Ports { grpc: listeners[0].address().port(), http: listeners[1].address().port() };
    (listeners, ports)
}

pub(super) fn serve(collector: &Collector, [grpc, http]: [Listener; 2]) -> Vec<Served> {
    let served =
        [grpc.serve(collector.door(), collector.grpc()), http.serve(collector.door(), collector.http())];
    served.map(|served| served.expect("in a runtime")).into()
}

/// Ports first, until `ports_deadline`, then what they have let in, as a server does it.
pub(super) async fn stop(
    collector: Collector,
    served: Vec<Served>,
    ports_deadline: Duration,
    deadline: Duration,
) -> StopReport {
    let ports_deadline = Instant::now() + ports_deadline;
    served.iter().for_each(Served::begin_stop);
    let mut connections_ended = true;
    for port in served {
        connections_ended &= port.stop(ports_deadline).await;
    }
    StopReport { connections_ended, intake_drained: collector.stop(deadline).await }
}

impl Running {
    pub(super) async fn stop(self) {
        let report = stop(self.collector, self.served, STOP_TIME_MAX, STOP_TIME_MAX).await;
        assert!(report.connections_ended && report.intake_drained, "{report:?}");
    }

    /// Connections that are open on both ports.
    fn connections_open(&self) -> u64 {
        self.stats.iter().map(ListenerStats::open).sum()
    }

    /// Returns when a group is held at the disk.
    async fn wait_until_held(&self) {
        let log = Arc::clone(&self.log);
        tokio::task::spawn_blocking(move || log.wait_until_held()).await.expect("no panic");
    }

    /// How many exports ended with `status`.
    fn counted(&self, status: &str) -> u64 {
        let stats = self.collector.stats();
        let exports = stats.exports.exports.iter();
        exports.filter(|(labels, _)| labels.status == status).map(|(_, count)| count).sum()
    }
}

/// Who is known to send, as (peer, tenant, signal, source, refused).
fn known_senders(collector: &Collector) -> Vec<(String, String, &'static str, &'static str, u64)> {
    let told = |(key, heard): (SenderKey, Heard)| {
        (key.peer.to_string(), key.tenant.to_string(), key.signal, key.source, heard.refused)
    };
    collector.stats().senders.into_iter().map(told).collect()
}

/// Names and values.
pub(super) type Headers<'a> = &'a [(&'a str, &'a str)];

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    async fn read(response: Response<Incoming>) -> Reply {
        let (head, body) = response.into_parts();
        let collected = body.collect().await.expect("a whole answer");
        let trailers = collected.trailers().cloned();
        Reply { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
    }
}

/// Sends one request over a new HTTP/2 connection.
pub(super) async fn send_http2(to: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    let stream = TcpStream::connect(to).await.expect("connect");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let reply = Reply::read(sender.send_request(request).await.expect("an answer")).await;
    drop(sender);
    let _ = connection.await;
    reply
}

/// Sends one request over a new HTTP/1.1 connection.
pub(super) async fn send_http1(to: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    let stream = TcpStream::connect(to).await.expect("connect");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let connection = tokio::spawn(connection);
    let reply = Reply::read(sender.send_request(request).await.expect("an answer")).await;
    drop(sender);
    let _ = connection.await;
    reply
}

/// A gRPC message frame, written by hand: flag, length, bytes.
pub(super) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("less than 4 GiB");
    [&[flag], length.to_be_bytes().as_slice(), message].concat()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("compressing in memory")
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}
