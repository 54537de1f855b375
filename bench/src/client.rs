//! A gRPC client for calls whose request is already encoded: it only writes bytes and reads the answer.
//!
//! Straight on HTTP/2 and not through a generated client, because the generator shares the machine with what is
//! measured: encoding during the run would be measured too.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use tokio::net::TcpStream;

/// A call that takes longer is counted as failed.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// What a receiver said to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, but for this many records.
    Accepted { rejected: u64 },
    /// Told to come back later: UNAVAILABLE.
    Unavailable(String),
    /// Any other gRPC status with its message, or why there is none.
    Failed(String),
}

/// One connection.
#[derive(Debug, Clone)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

impl Connection {
    /// # Errors
    /// When nothing listens at the address (`host:port`), or it does not speak HTTP/2.
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .with_context(|| format!("open HTTP/2 to {address}"))?;
        // Its end is seen by the calls on it.
        tokio::spawn(connection);
        Ok(Connection { sender, authority: address.to_owned() })
    }

    /// Sends one framed message and waits for the answer.
    pub async fn call(&mut self, path: &str, frame: Bytes, gzip: bool) -> Answer {
        match tokio::time::timeout(CALL_TIME_MAX, self.answer(path, frame, gzip)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Failed(format!("{error:#}")),
            Err(_) => Answer::Failed(format!("no answer in {} s", CALL_TIME_MAX.as_secs())),
        }
    }

    async fn answer(&mut self, path: &str, frame: Bytes, gzip: bool) -> anyhow::Result<Answer> {
        let mut request = Request::post(format!("http://{}{path}", self.authority))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers");
        if gzip {
            request = request.header("grpc-encoding", "gzip");
        }
        let request = request.body(Full::new(frame)).context("build the request")?;
        self.sender.ready().await.context("wait for the connection")?;
        let response = self.sender.send_request(request).await.context("send the request")?;
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.context("read the answer")?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(read_answer(&headers, &trailers, &body.to_bytes()))
    }
}

/// The status is in the trailers, or in the headers when there is nothing else. The partial success has
/// the same fields for every signal, so that one message reads all.
fn read_answer(headers: &HeaderMap, trailers: &HeaderMap, body: &[u8]) -> Answer {
    let field = |name| trailers.get(name).or(headers.get(name)).and_then(|value| value.to_str().ok());
    match field("grpc-status") {
        Some("0") => match rejected(body) {
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

fn rejected(body: &[u8]) -> anyhow::Result<u64> {
    let message = body.get(5..).ok_or_else(|| anyhow!("an answer of {} bytes has no message", body.len()))?;
    let response = ExportTraceServiceResponse::decode(message).context("decode the answer")?;
    let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
    u64::try_from(rejected).context("read the number of rejected records")
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
    fn an_answer_without_status_or_message_is_a_failure() {
        let none = HeaderMap::new();
        assert!(matches!(read_answer(&none, &none, b"\0\0\0\0\0"), Answer::Failed(_)));
        assert!(matches!(read_answer(&none, &status("0"), b"\0\0"), Answer::Failed(_)));
    }
}
