//! HTTP/1.1 and HTTP/2 without upgrade on a connection, within limits that are the same on every port.
//!
//! hyper carries both; requests meet our own code first. Both versions are spoken wherever HTTP is: a client that
//! speaks the other one than a port is for is told so in its own version, instead of in bytes that it cannot read.
//!
//! Limits: an HTTP/2 connection may have unread data up to its flow control window in memory, which no budget sees.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use meshlake_schema::tenant::TenantError;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::connection::Connection;
use crate::principal::Principal;
use crate::stopping::Stopping;

/// Streams of one HTTP/2 connection; what gRPC servers allow by habit, and what RFC 9113 asks for at least.
const STREAMS_PER_CONNECTION_MAX: u32 = 100;

/// Bytes of a request's headers. OTLP needs a few hundred; 16 KiB is the default of hyper's HTTP/2.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// Bytes of an HTTP/2 frame. An export of a thousand spans is some 13 of them, each read at once, instead of 50
/// of the 16 KiB that are the default; senders that always use those (Go's) lose nothing.
const FRAME_BYTES_MAX: u32 = 64 << 10;

/// Bytes that an HTTP/1.1 connection reads ahead; headers must fit in it.
const READ_AHEAD_BYTES_MAX: usize = 64 << 10;

/// Streams that were reset before we took them in (rapid reset, CVE-2023-44487), before the connection is
/// ended; the default of h2.
const RESET_STREAMS_MAX: usize = 20;

/// What holds on every port.
pub(crate) const TIME_LIMITS: TimeLimits = TimeLimits {
    header: Duration::from_secs(60),
    keep_alive_interval: Duration::from_secs(60),
    keep_alive: Duration::from_secs(20),
};

/// What an HTTP/2 connection begins with. Source: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a peer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// For a new connection to say that it speaks HTTP/2 or does not, and for an HTTP/1.1 connection to send a
    /// request's headers, the first and every later one. HTTP/2 clients begin to talk at once, HTTP/1.1 clients that
    /// keep a spare connection open it anew.
    pub header: Duration,
    /// A silent HTTP/2 connection is asked for a sign of life after this long.
    pub keep_alive_interval: Duration,
    /// For that sign.
    pub keep_alive: Duration,
}

/// Who sends a request, and how it is told to hurry.
#[derive(Debug, Clone)]
pub struct Caller {
    /// An error when the caller does not say who it is in a way that can be read; each protocol has its own words
    /// for a refusal.
    pub principal: Result<Principal, TenantError>,
    pub peer: SocketAddr,
    /// Answers that have no end of their own end when it says so.
    pub stopping: Stopping,
}

/// Answers the requests of one connection by `handler`, until the peer ends it or a stop does. A connection that a handler
/// makes another protocol's is the handler's from then on, who ends it when it is time.
///
/// What it says first is read here and given to hyper again: hyper waits for the rest of a preface without a limit of
/// time, and also when asked to stop.
///
/// Cancel: the connection is dropped, with the answers that are under way.
pub(crate) async fn serve<H, F, B>(connection: Connection, handler: &H, limits: TimeLimits)
where
    H: Fn(Request<Incoming>, Caller) -> F,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Connection { mut stream, peer, role, mut stopping, .. } = connection;
    let opening = tokio::select! {
        opening = opening_of(&mut stream, limits.header) => opening,
        () = stopping.wait() => None,
    };
    let Some(opening) = opening else {
        return;
    };
    stream.give_back(opening);
    let told = stopping.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let principal = Principal::of(request.headers(), role);
        let answer = handler(request, Caller { principal, peer, stopping: told.clone() });
        async { Ok::<_, Infallible>(answer.await) }
    });
    let builder = builder(limits);
    let mut serving = std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.wait() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // The peer's doing: resets, garbage instead of HTTP, keep-alive time-outs.
        tracing::debug!(error, "connection ended");
    }
}

/// What a connection says first: the preface, or the first bytes that are not it. `None` when neither came within
/// `time_max` or before the connection's end.
async fn opening_of(stream: &mut (impl AsyncRead + Unpin), time_max: Duration) -> Option<Vec<u8>> {
    let mut bytes = [0; PREFACE.len()];
    let mut length = 0;
    let reading = async {
        while length < PREFACE.len() && PREFACE.starts_with(&bytes[..length]) {
            match stream.read(&mut bytes[length..]).await {
                Ok(0) | Err(_) => return false,
                Ok(read) => length += read,
            }
        }
        true
    };
    let is_whole = tokio::time::timeout(time_max, reading).await.unwrap_or(false);
    is_whole.then(|| bytes[..length].to_vec())
}

fn builder(limits: TimeLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(READ_AHEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive);
    builder
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(60);

    /// What opens a connection on which `said` has come, when no time is given for more.
    async fn check(said: &[u8], want: Option<&[u8]>) {
        let (mut client, mut server) = tokio::io::duplex(said.len() + 1);
        client.write_all(said).await.expect("room");
        let opening = opening_of(&mut server, Duration::ZERO).await;
        assert_eq!(opening.as_deref(), want, "{:?}", String::from_utf8_lossy(said));
    }

    #[tokio::test]
    async fn only_a_whole_preface_or_something_else_opens_a_connection_in_time() {
        for length in 0..PREFACE.len() {
            check(&PREFACE[..length], None).await;
        }
        check(PREFACE, Some(PREFACE)).await;
        check(&[PREFACE, b"more"].concat(), Some(PREFACE)).await;
        // As much is read at once as there is, up to the length of the preface.
        check(b"POST /v1/traces HTTP/1.1\r\n\r\n", Some(b"POST /v1/traces HTTP/1.1")).await;
        check(b"PRI * HTTP/1", Some(b"PRI * HTTP/1")).await;
        check(b"\r\n", Some(b"\r\n")).await;
    }

    #[tokio::test]
    async fn pieces_are_put_together() {
        let (mut client, mut server) = tokio::io::duplex(1);
        let writing = tokio::spawn(async move { client.write_all(PREFACE).await });
        assert_eq!(opening_of(&mut server, LONG).await.as_deref(), Some(PREFACE));
        assert!(writing.await.is_ok_and(|written| written.is_ok()));
    }

    #[tokio::test]
    async fn a_connection_that_ends_inside_the_preface_says_nothing() {
        let (mut client, mut server) = tokio::io::duplex(PREFACE.len());
        client.write_all(&PREFACE[..23]).await.expect("room");
        drop(client);
        assert_eq!(opening_of(&mut server, LONG).await, None);
    }
}
