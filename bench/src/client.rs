//! A client for requests that are already encoded: it only writes bytes and reads the answer.
//!
//! Straight on HTTP and not through a generated client, because the generator shares the machine with what is
//! measured: encoding during the run would be measured too. gRPC goes over HTTP/2, the rest over HTTP/1.1, as
//! SDKs and collectors send it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use crate::payload::{Compression, Protocol, Shape};

/// A call that takes longer is counted as failed.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// What a receiver said to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, but for this many records.
    Accepted { rejected: u64 },
    /// Told to come back later: UNAVAILABLE, 503.
    Unavailable(String),
    /// Any other status with its message, or why there is none.
    Failed(String),
}

/// One connection to one path.
#[derive(Debug)]
pub struct Connection {
    address: String,
    path: &'static str,
    protocol: Protocol,
    compression: Compression,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    /// Calls run side by side. Opened anew by the next call when it was closed, as every client of gRPC does.
    Http2(Arc<Mutex<Http2>>),
    /// One call at a time. `None` before the first, and after a refusal, which ends a connection.
    Http1(Option<Http1>),
}

type Http2 = http2::SendRequest<Full<Bytes>>;

/// Closed when dropped, without the rest of a body that was refused, as Go's client does.
#[derive(Debug)]
struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: AbortHandle,
}

impl Drop for Http1 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Connection {
    /// A connection for requests of this shape; one of HTTP/1.1 is opened by its first call.
    ///
    /// # Errors
    /// When nothing listens at the address (`host:port`), or it does not speak HTTP/2.
    pub async fn open(address: &str, shape: &Shape) -> anyhow::Result<Self> {
        let sender = match shape.protocol {
            Protocol::Grpc => Sender::Http2(Arc::new(Mutex::new(open_http2(address).await?))),
            Protocol::HttpProtobuf | Protocol::HttpJson => Sender::Http1(None),
        };
        Ok(Connection {
            address: address.to_owned(),
            path: shape.signal.path(shape.protocol),
            protocol: shape.protocol,
            compression: shape.compression,
            sender,
        })
    }

    /// For calls at the same time: the same connection of HTTP/2, or another one of HTTP/1.1.
    pub fn shared(&self) -> Self {
        let sender = match &self.sender {
            Sender::Http2(open) => Sender::Http2(Arc::clone(open)),
            Sender::Http1(_) => Sender::Http1(None),
        };
        Connection { address: self.address.clone(), sender, ..*self }
    }

    /// Sends one body and waits for the answer.
    pub async fn call(&mut self, body: Bytes) -> Answer {
        let answer = match tokio::time::timeout(CALL_TIME_MAX, self.answer(body)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Failed(format!("{error:#}")),
            Err(_) => Answer::Failed(format!("no answer in {} s", CALL_TIME_MAX.as_secs())),
        };
        if !matches!(answer, Answer::Accepted { .. })
            && let Sender::Http1(open) = &mut self.sender
        {
            *open = None;
        }
        answer
    }

    async fn answer(&mut self, body: Bytes) -> anyhow::Result<Answer> {
        let request = self.request(body)?;
        let response = match &mut self.sender {
            Sender::Http2(open) => {
                let mut sender = {
                    let mut open = open.lock().await;
                    if open.is_closed() {
                        *open = open_http2(&self.address).await?;
                    }
                    open.clone()
                };
                sender.ready().await.context("wait for the connection")?;
                sender.send_request(request).await
            }
            Sender::Http1(open) => {
                let open = match open {
                    Some(open) => open,
                    None => open.insert(open_http1(&self.address).await?),
                };
                open.sender.ready().await.context("wait for the connection")?;
                open.sender.send_request(request).await
            }
        };
        let (head, body) = response.context("send the request")?.into_parts();
        let body = body.collect().await.context("read the answer")?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let body = body.to_bytes();
        Ok(match self.protocol {
            Protocol::Grpc => read_answer(&head.headers, &trailers, &body),
            Protocol::HttpProtobuf => read_http_answer(head.status, &body, rejected),
            Protocol::HttpJson => read_http_answer(head.status, &body, rejected_by_json),
        })
    }

    fn request(&self, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = match self.protocol {
            Protocol::Grpc => {
                Request::post(format!("http://{}{}", self.address, self.path)).header(header::TE, "trailers")
            }
            _ => Request::post(self.path).header(header::HOST, &self.address),
        };
        request = request.header(header::CONTENT_TYPE, self.protocol.media_type());
        if self.compression != Compression::None {
            let name = if self.protocol == Protocol::Grpc { "grpc-encoding" } else { "content-encoding" };
            request = request.header(name, self.compression.name());
        }
        request.body(Full::new(body)).context("build the request")
    }
}

async fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true).context("set TCP_NODELAY")?;
    Ok(stream)
}

async fn open_http2(address: &str) -> anyhow::Result<Http2> {
    let stream = TokioIo::new(connect(address).await?);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .with_context(|| format!("open HTTP/2 to {address}"))?;
    // Its end is seen by the calls on it.
    tokio::spawn(connection);
    Ok(sender)
}

async fn open_http1(address: &str) -> anyhow::Result<Http1> {
    let stream = TokioIo::new(connect(address).await?);
    let (sender, connection) =
        http1::handshake(stream).await.with_context(|| format!("open HTTP/1.1 to {address}"))?;
    let connection = tokio::spawn(connection).abort_handle();
    Ok(Http1 { sender, connection })
}

fn read_http_answer(status: StatusCode, body: &[u8], rejected: fn(&[u8]) -> anyhow::Result<u64>) -> Answer {
    match status {
        StatusCode::OK => match rejected(body) {
            Ok(rejected) => Answer::Accepted { rejected },
            Err(error) => Answer::Failed(format!("{error:#}")),
        },
        status => {
            let said = format!("{status}: {}", String::from_utf8_lossy(body));
            if status == StatusCode::SERVICE_UNAVAILABLE {
                Answer::Unavailable(said)
            } else {
                Answer::Failed(said)
            }
        }
    }
}

/// The status is in the trailers, or in the headers when there is nothing else.
fn read_answer(headers: &HeaderMap, trailers: &HeaderMap, body: &[u8]) -> Answer {
    let field = |name| trailers.get(name).or(headers.get(name)).and_then(|value| value.to_str().ok());
    match field("grpc-status") {
        Some("0") => match message_of(body).and_then(rejected) {
            Ok(rejected) => Answer::Accepted { rejected },
            Err(error) => Answer::Failed(format!("{error:#}")),
        },
        Some(status) => {
            let said = format!("grpc-status {status}: {}", field("grpc-message").unwrap_or_default());
            if status == "14" { Answer::Unavailable(said) } else { Answer::Failed(said) }
        }
        None => Answer::Failed("no grpc-status in the answer".to_owned()),
    }
}

/// What is in a frame of gRPC.
fn message_of(body: &[u8]) -> anyhow::Result<&[u8]> {
    body.get(5..).ok_or_else(|| anyhow!("an answer of {} bytes has no message", body.len()))
}

/// The partial success has the same fields for every signal, so that one message reads all.
fn rejected(message: &[u8]) -> anyhow::Result<u64> {
    let response = ExportTraceServiceResponse::decode(message).context("decode the answer")?;
    let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
    u64::try_from(rejected).context("read the number of rejected records")
}

/// Only the name of the number differs between signals; as all of 64 bits in OTLP/JSON, it may be text.
fn rejected_by_json(body: &[u8]) -> anyhow::Result<u64> {
    let response: Value = serde_json::from_slice(body).context("decode the answer")?;
    let Some(partial) = response["partialSuccess"].as_object() else { return Ok(0) };
    let rejected = partial.iter().find(|(name, _)| name.starts_with("rejected")).map(|(_, number)| number);
    match rejected {
        None => Ok(0),
        Some(Value::String(text)) => text.parse().context("read the number of rejected records"),
        Some(number) => number.as_u64().context("read the number of rejected records"),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    fn status(status: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("grpc-status", status.parse().expect("digits"));
        map
    }

    #[test]
    fn an_empty_answer_with_status_0_accepts_everything() {
        let answer = read_answer(&HeaderMap::new(), &status("0"), b"\0\0\0\0\0");
        assert_eq!(answer, Answer::Accepted { rejected: 0 });
    }

    #[test]
    fn a_partial_success_is_read() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let body = [&[0, 0, 0, 0, message.len() as u8], message.as_slice()].concat();
        assert_eq!(read_answer(&HeaderMap::new(), &status("0"), &body), Answer::Accepted { rejected: 3 });
    }

    #[test]
    fn a_status_in_the_headers_is_a_failure() {
        let mut headers = status("14");
        headers.insert("grpc-message", "busy".parse().expect("text"));
        let answer = read_answer(&headers, &HeaderMap::new(), b"");
        assert_eq!(answer, Answer::Unavailable("grpc-status 14: busy".to_owned()));
    }

    #[test]
    fn an_answer_of_http_is_read() {
        let ok = |body: &str| read_http_answer(StatusCode::OK, body.as_bytes(), rejected_by_json);
        assert_eq!(ok("{}"), Answer::Accepted { rejected: 0 });
        assert_eq!(
            ok(r#"{"partialSuccess":{"errorMessage":"old","rejectedLogRecords":"3"}}"#),
            Answer::Accepted { rejected: 3 }
        );
        assert_eq!(ok(r#"{"partialSuccess":{"rejectedSpans":2}}"#), Answer::Accepted { rejected: 2 });
        assert!(matches!(ok("no JSON"), Answer::Failed(_)));
        assert_eq!(read_http_answer(StatusCode::OK, b"", rejected), Answer::Accepted { rejected: 0 });
        let refused = |status| read_http_answer(status, b"busy", rejected);
        let busy = Answer::Unavailable("503 Service Unavailable: busy".to_owned());
        assert_eq!(refused(StatusCode::SERVICE_UNAVAILABLE), busy);
        assert!(matches!(refused(StatusCode::BAD_REQUEST), Answer::Failed(_)));
    }

    #[test]
    fn an_answer_without_status_or_message_is_a_failure() {
        let none = HeaderMap::new();
        assert!(matches!(read_answer(&none, &none, b"\0\0\0\0\0"), Answer::Failed(_)));
        assert!(matches!(read_answer(&none, &status("0"), b"\0\0"), Answer::Failed(_)));
    }
}
