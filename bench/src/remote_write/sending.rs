//! Sends requests of remote write as a Prometheus does: again for as long as there is no room for them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::messages::{Load, SAMPLES_PER_REQUEST, Version, bodies_of};

/// Before a request that was refused for want of room is sent once more.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How often one request is sent again: for a minute, in which a buffer becomes files.
const REPEATS_MAX: u32 = 1_200;

/// Sends a load to the receiver of remote write at `address`, 2,000 samples a request, one request in flight. Requests are made
/// as they are sent. Tells how many were sent again because there was no room for them.
///
/// # Errors
/// When a request is refused for good.
pub async fn send_all(address: &str, load: &Load) -> anyhow::Result<u64> {
    let mut repeats = 0;
    for scrape in 0..load.scrapes {
        let bodies = bodies_of(load, scrape..scrape + 1, SAMPLES_PER_REQUEST, Version::One)?;
        repeats += send(address.to_owned(), bodies, Version::One).await?;
    }
    Ok(repeats)
}

/// Sends requests one after the other over one connection; how many were sent again.
///
/// # Errors
/// When one is refused for good, or for a minute.
pub async fn send(address: String, bodies: Vec<Bytes>, version: Version) -> anyhow::Result<u64> {
    let mut connection = Connection { address, version, sender: None };
    let mut repeats = 0;
    for body in bodies {
        let mut left = REPEATS_MAX;
        while let Answer::NoRoom(why) = connection.post(body.clone()).await? {
            // As Prometheus does: whoever has no room for now is asked again.
            ensure!(left > 0, "refused {REPEATS_MAX} times and once: {why}");
            left -= 1;
            repeats += 1;
            tokio::time::sleep(ASKED_AGAIN_AFTER).await;
        }
    }
    Ok(repeats)
}

/// What became of a request.
enum Answer {
    Taken,
    /// For now, and why. Also when the connection ended: who refuses a request before its body was read closes it.
    NoRoom(String),
}

/// A connection that is opened anew when the other end has closed it.
struct Connection {
    address: String,
    version: Version,
    sender: Option<http1::SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// # Errors
    /// A refusal for good.
    async fn post(&mut self, body: Bytes) -> anyhow::Result<Answer> {
        let (status, text) = match self.answer(body).await {
            Ok(answer) => answer,
            Err(error) => {
                self.sender = None;
                return Ok(Answer::NoRoom(format!("{error:#}")));
            }
        };
        if status.is_success() {
            return Ok(Answer::Taken);
        }
        let said = format!("{status}: {}", String::from_utf8_lossy(&text));
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{said}");
        Ok(Answer::NoRoom(said))
    }

    async fn answer(&mut self, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let content_type = match self.version {
            Version::One => "application/x-protobuf",
            Version::Two => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        };
        let request = Request::post("/api/v1/write")
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONTENT_ENCODING, "snappy")
            .body(Full::new(body))?;
        let sender = self.open().await?;
        sender.ready().await.context("wait for the connection")?;
        let answer = sender.send_request(request).await.context("send a request")?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await.context("read an answer")?.to_bytes()))
    }

    async fn open(&mut self) -> anyhow::Result<&mut http1::SendRequest<Full<Bytes>>> {
        if self.sender.as_ref().is_none_or(http1::SendRequest::is_closed) {
            let stream = TcpStream::connect(&self.address).await.context("connect")?;
            let (sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.context("open HTTP/1.1")?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().context("a connection was just opened")
    }
}
