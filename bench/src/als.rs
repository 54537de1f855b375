//! Envoy's access log service: entries a second until all are durable, and what they cost until they are in files.
//!
//! Sidecars send what they have, each on a stream of its own over a connection of its own, as fast as the server takes it. The
//! protocol acknowledges nothing before a stream ends, and the server ends one when all of its entries are durable. Messages
//! are made before the clock starts and sent over and over: nothing tells a repeated entry from another.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;
use http::{Request, header};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::measure::{settle, start_fresh};
use crate::payload::als::{Stream, stream};
use crate::payload::{Protocol, STREAM_ACCESS_LOGS, StreamAccessLogsResponse};
use crate::process;
use crate::report::{self, MEBIBYTE};
use crate::server::Place;

const FLUSH_AGE: Duration = Duration::from_secs(1);

/// Entries of a message: about 64 KiB, the size of those that real Envoys sent under load.
const ENTRIES_A_MESSAGE: usize = 64;

/// Messages of a stream that are different.
const MESSAGES_OF_A_ROUND: usize = 250;

/// Bytes before a message in its frame of gRPC.
const FRAME_HEAD_BYTES: usize = 5;

/// A stream that is not ended for so long has stopped.
const STREAM_TIME_MAX: Duration = Duration::from_secs(300);

/// How much.
#[derive(Debug, Clone, Args)]
pub struct AlsArgs {
    #[arg(long, default_value_t = 2_000_000)]
    entries: usize,
    /// Sidecars at the same time.
    #[arg(long, default_value_t = 4)]
    streams: usize,
}

/// Sends entries and writes the page.
///
/// # Errors
/// When the server cannot be started, breaks a stream, or has not every entry in files at the end.
pub async fn page(place: &Place, args: &AlsArgs) -> anyhow::Result<String> {
    ensure!(args.streams > 0, "nobody sends");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let now = u64::try_from(now.as_nanos()).context("the clock stands after 2554")?;
    let messages = args.entries.div_ceil(args.streams * ENTRIES_A_MESSAGE);
    let streams: Vec<Arc<Stream>> = (0..args.streams)
        .map(|number| stream(number as u64, MESSAGES_OF_A_ROUND, ENTRIES_A_MESSAGE, now).map(Arc::new))
        .collect::<anyhow::Result<_>>()?;
    let round: usize = streams[0].entries.iter().map(Bytes::len).sum();
    let directory = place.fresh_directory()?;
    let server = start_fresh(place, directory.path(), FLUSH_AGE).await?;
    let (before, began) = (process::cpu_time(server.pid())?, Instant::now());
    let mut sending = JoinSet::new();
    for stream in &streams {
        let body = Messages { stream: Arc::clone(stream), sent: 0, messages };
        sending.spawn(send(server.address(Protocol::Grpc).to_owned(), body));
    }
    while let Some(sent) = sending.join_next().await {
        sent.context("join a stream")??;
    }
    let (elapsed, cpu) = (began.elapsed(), process::cpu_time(server.pid())?.saturating_sub(before));
    settle(&server, FLUSH_AGE).await?;
    let cpu_settled = process::cpu_time(server.pid())?.saturating_sub(before);
    let peak = process::peak_memory(server.pid())? as f64 / MEBIBYTE;
    let entries = (messages * ENTRIES_A_MESSAGE * args.streams) as u64;
    let rows = server.sql("SELECT count(*) FROM requests WHERE source_format = 'envoy_als_http'").await?;
    let rows = rows.first().and_then(|row| row[0].as_u64()).context("read the count of rows")?;
    ensure!(rows == entries, "{rows} rows of {entries} entries");
    server.stop().await?;
    let million = entries as f64 / 1e6;
    let row = vec![
        format!("{:.0}", entries as f64 / elapsed.as_secs_f64()),
        format!("{:.2}", cpu.as_secs_f64() / million),
        format!("{:.2}", cpu_settled.as_secs_f64() / million),
        format!("{:.0}", entries as f64 / cpu_settled.as_secs_f64()),
        format!("{peak:.0}"),
    ];
    let columns = [
        "entries/s durable",
        "CPU s per million when durable",
        "with the flush",
        "entries per CPU second, with the flush",
        "peak RSS MiB",
    ];
    Ok(format!(
        "# Envoy's access log service\n\n{} streams of messages of {ENTRIES_A_MESSAGE} entries, until the last is durable.\n\n{}\
         Load: {entries} entries of {} bytes.\n\n{}",
        args.streams,
        report::head(),
        round / (MESSAGES_OF_A_ROUND * ENTRIES_A_MESSAGE),
        report::table(&columns, &[row])
    ))
}

/// The head of a stream, then its messages, over and over.
struct Messages {
    stream: Arc<Stream>,
    /// The head is the first.
    sent: usize,
    messages: usize,
}

impl hyper::body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = match self.sent {
            0 => Some(self.stream.head.clone()),
            sent if sent > self.messages => None,
            sent => Some(self.stream.entries[(sent - 1) % self.stream.entries.len()].clone()),
        };
        self.sent += 1;
        Poll::Ready(message.map(|message| Ok(Frame::data(message))))
    }
}

/// Sends a stream and waits until the server has ended it.
async fn send(address: String, messages: Messages) -> anyhow::Result<()> {
    let socket = TcpStream::connect(&address).await.with_context(|| format!("connect to {address}"))?;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.context("open HTTP/2")?;
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{address}{STREAM_ACCESS_LOGS}"))
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(messages)?;
    let answer = async {
        let (head, body) = sender.send_request(request).await.context("send the messages")?.into_parts();
        let body = body.collect().await.context("read the answer")?;
        let of_trailers = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
        let status = of_trailers.or(head.headers.get("grpc-status")).cloned();
        ensure!(status.as_ref().is_some_and(|status| status == "0"), "the stream ended with {status:?}");
        let message = body.to_bytes();
        let message = message.get(FRAME_HEAD_BYTES..).unwrap_or_default();
        StreamAccessLogsResponse::decode(message).context("read the answer")?;
        anyhow::Ok(())
    };
    let answer =
        tokio::time::timeout(STREAM_TIME_MAX, answer).await.context("the stream was not ended in time")?;
    connection.abort();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head and three messages of two that are made.
    #[tokio::test]
    async fn a_round_is_sent_over_and_over() {
        let made = Arc::new(stream(0, 2, 1, 0).expect("short"));
        let mut body = Messages { stream: Arc::clone(&made), sent: 0, messages: 3 };
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            sent.push(frame.expect("infallible").into_data().expect("data"));
        }
        let [first, second] = made.entries.as_slice() else { panic!("two were made") };
        assert_eq!(sent.iter().collect::<Vec<_>>(), [&made.head, first, second, first]);
    }
}
