//! One request over HTTP/1.1 or HTTP/2, and its answer to the last trailer.
//!
//! hyper's client and not tonic's or a pooled one: statuses, headers and bytes are what is judged.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// No answer takes that long, on the slowest machine; a server that says nothing must not hang the suite.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A connection that can send several requests.
pub enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Connects with that version of HTTP.
    ///
    /// # Errors
    /// When the server does not take the connection.
    pub async fn open(address: &str, http: u8) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true)?;
        if http == 1 {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            return Ok(Connection::Http1(sender));
        }
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection::Http2(sender))
    }

    /// Sends one request; over HTTP/2 a clone of the sender could send more meanwhile.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply> {
        match self {
            Connection::Http1(sender) => read(sender.send_request(request)).await,
            Connection::Http2(sender) => read(sender.send_request(request)).await,
        }
    }
}

/// The whole answer that `answering` begins.
///
/// # Errors
/// When none comes.
pub async fn read(answering: impl Future<Output = hyper::Result<Response<Incoming>>>) -> Result<Reply> {
    let reading = async {
        let (head, body) = answering.await.context("no answer")?.into_parts();
        let collected = body.collect().await.context("a broken answer")?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Ok(Reply { status, headers, body: collected.to_bytes(), trailers })
    };
    tokio::time::timeout(ANSWER_TIMEOUT, reading).await.context("no answer in time")?
}
