//! Accepts connections, bounds them, and ends them gracefully.
//!
//! hyper carries HTTP/1.1 and HTTP/2 for both ports; requests meet our own code first. A connection above
//! the cap is closed at once: a sender that is refused tries again, one that waits unaccepted in the
//! kernel's queue only times out.
//!
//! Limits: no TLS, no cap per address. An HTTP/2 connection may have unread data up to its flow control
//! window in memory, which the byte budget does not see.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Receivers, stopped};
use crate::admit::ReplyBody;

/// Streams of one HTTP/2 connection; what gRPC servers allow by habit, and what RFC 9113 asks for at least.
const STREAMS_PER_CONNECTION_MAX: u32 = 100;

/// Bytes of a request's headers. OTLP needs a few hundred; 16 KiB is the default of hyper's HTTP/2.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// Bytes of an HTTP/2 frame. A request of a thousand spans is some 13 of them, each read at once, instead of 50
/// of the 16 KiB that are the default; senders that always use those (Go's) lose nothing.
const FRAME_BYTES_MAX: u32 = 64 << 10;

/// Bytes that an HTTP/1.1 connection reads ahead; headers must fit in it.
const READ_AHEAD_BYTES_MAX: usize = 64 << 10;

/// Streams that were reset before we took them in (rapid reset, CVE-2023-44487), before the connection is
/// ended; the default of h2.
const RESET_STREAMS_MAX: usize = 20;

/// A silent connection is asked for a sign of life after this long.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// How long that sign may take.
const KEEP_ALIVE_TIME_MAX: Duration = Duration::from_secs(20);

/// How long a new connection may say nothing, and an HTTP/1.1 connection take for a request's headers.
/// HTTP/2 clients begin to talk at once, HTTP/1.1 clients that keep a spare connection open it anew.
const HEADER_TIME_MAX: Duration = Duration::from_secs(60);

/// How long accepting pauses after an error such as "too many open files", which would repeat at once.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Which protocols a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// HTTP/2 with prior knowledge: gRPC.
    Grpc,
    /// HTTP/1.1, and HTTP/2 with prior knowledge.
    Http,
}

/// Serves a port until told to stop; returns when its last connection has ended.
///
/// Cancel: all its connections are dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    port: Port,
    receivers: Arc<Receivers>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let stop = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some(open) = Open::within_cap(&receivers) {
                        connections.spawn(connection(stream, port, open, stop.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection");
                    tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stopping) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection.
async fn connection(stream: TcpStream, port: Port, open: Open, mut stopping: watch::Receiver<bool>) {
    // Answers are small and must not wait for more bytes to share a packet with. If the socket has gone
    // already, serving it finds out.
    let _ = stream.set_nodelay(true);
    let spoke = tokio::select! {
        spoke = tokio::time::timeout(HEADER_TIME_MAX, stream.readable()) => matches!(spoke, Ok(Ok(()))),
        () = stopped(&mut stopping) => false,
    };
    if !spoke {
        return;
    }
    let builder = builder(port);
    let service = service_fn(|request| answer(port, Arc::clone(&open.receivers), request));
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopped(&mut stopping) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // The peer's doing: resets, garbage instead of HTTP, keep-alive time-outs.
        tracing::debug!(error, "connection ended");
    }
}

async fn answer(
    port: Port,
    receivers: Arc<Receivers>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    Ok(match port {
        Port::Grpc => receivers.answer_grpc(request).await,
        Port::Http => receivers.answer_http(request).await,
    })
}

fn builder(port: Port) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(READ_AHEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIME_MAX);
    match port {
        Port::Grpc => builder.http2_only(),
        Port::Http => builder,
    }
}

/// A connection that counts as open while this lives.
struct Open {
    receivers: Arc<Receivers>,
}

impl Open {
    /// `None`, and counted as refused, when as many are open as may be.
    fn within_cap(receivers: &Arc<Receivers>) -> Option<Open> {
        let most = receivers.connections_max.load(Ordering::Relaxed);
        let is_open = receivers.stats.open_connection(most);
        is_open.then(|| Open { receivers: Arc::clone(receivers) })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.receivers.stats.connection_closed();
    }
}
