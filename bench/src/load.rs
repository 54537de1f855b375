//! Sends all requests of a load as fast as the receiver acknowledges them, with a fixed number in flight.
//!
//! A closed loop: a slow receiver slows the sender down, so throughput and the time to an acknowledgement belong
//! together and neither can be quoted without the number in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::client::{Answer, Connection};
use crate::payload::{Maker, Payloads, Shape};

/// A refused request is sent again after this time: often enough that the receiver never idles for want of
/// requests, seldom enough that refusals cost it little. A real client waits longer.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Requests of a large load that are in memory at a time: 400 MB at a thousand spans each.
const PART_REQUESTS: usize = 500;

/// A receiver that refuses for longer has not just fallen behind.
const RETRY_TIME_MAX: Duration = Duration::from_secs(60);

/// How the requests are sent.
#[derive(Debug, Clone)]
pub struct Sending {
    /// `host:port` of the receiver.
    pub address: String,
    /// Over HTTP/1.1 each request in flight has its own instead.
    pub connections: usize,
    /// Requests that wait for their acknowledgement at the same time, over all connections.
    pub in_flight: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub requests: u64,
    /// Records in acknowledged requests that the receiver did not reject.
    pub accepted: u64,
    pub rejected: u64,
    /// Times that a request was told to come back later, and was sent again.
    pub retries: u64,
    /// Requests that were not acknowledged.
    pub errors: u64,
    /// What the first of them was told.
    pub first_error: Option<String>,
    /// Bytes before compression.
    pub message_bytes: u64,
    /// Bytes as sent.
    pub body_bytes: u64,
    /// From the first byte sent to the last acknowledgement.
    pub elapsed: Duration,
    /// Times from sending a request to its acknowledgement, ascending.
    pub acknowledgements: Vec<Duration>,
}

impl Outcome {
    pub fn records_per_second(&self) -> f64 {
        self.accepted as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The time that this share of the acknowledgements did not exceed (nearest rank); zero when there is none.
    pub fn acknowledgement(&self, ratio: f64) -> Duration {
        let rank = (ratio * self.acknowledgements.len() as f64).ceil().max(1.0) as usize;
        self.acknowledgements.get(rank - 1).copied().unwrap_or_default()
    }
}

/// Sends all payloads once.
///
/// # Errors
/// When a connection cannot be opened; a request that fails is counted instead.
pub async fn send(sending: &Sending, shape: &Shape, payloads: Payloads) -> anyhow::Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..sending.connections.max(1) {
        connections.push(Connection::open(&sending.address, shape).await?);
    }
    let message_bytes = payloads.message_bytes;
    let body_bytes = payloads.bodies.iter().map(|body| body.len() as u64).sum();
    let bodies = Arc::new(payloads.bodies);
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..sending.in_flight.max(sending.connections) {
        let mut connection = connections[n % connections.len()].shared();
        let (bodies, next, records) = (Arc::clone(&bodies), Arc::clone(&next), shape.records_per_request);
        senders.spawn(async move {
            let mut outcome = Outcome::default();
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                let mut answer = connection.call(body.clone()).await;
                while matches!(answer, Answer::Unavailable(_)) && sent.elapsed() < RETRY_TIME_MAX {
                    outcome.retries += 1;
                    tokio::time::sleep(RETRY_DELAY).await;
                    answer = connection.call(body.clone()).await;
                }
                outcome.count(answer, sent.elapsed(), records as u64);
            }
            outcome
        });
    }
    let mut total = Outcome { message_bytes, body_bytes, ..Outcome::default() };
    while let Some(outcome) = senders.join_next().await {
        total.merge(outcome.context("join a sender")?);
    }
    total.elapsed = begin.elapsed();
    total.acknowledgements.sort_unstable();
    Ok(total)
}

/// Makes and sends a load of any size in parts; the time between parts, in which requests are made, is not
/// counted.
///
/// # Errors
/// As for [`send`], and when a request cannot be made.
pub async fn send_in_parts(sending: &Sending, shape: &Shape) -> anyhow::Result<Outcome> {
    let mut maker = Maker::new(shape)?;
    let mut total = Outcome::default();
    loop {
        let payloads = maker.take(PART_REQUESTS)?;
        if payloads.bodies.is_empty() {
            total.acknowledgements.sort_unstable();
            return Ok(total);
        }
        total.merge(send(sending, shape, payloads).await?);
    }
}

impl Outcome {
    fn count(&mut self, answer: Answer, time: Duration, records: u64) {
        self.requests += 1;
        match answer {
            Answer::Accepted { rejected } => {
                self.rejected += rejected;
                self.accepted += records.saturating_sub(rejected);
                self.acknowledgements.push(time);
            }
            Answer::Unavailable(why) | Answer::Failed(why) => {
                self.errors += 1;
                self.first_error.get_or_insert(why);
            }
        }
    }

    fn merge(&mut self, other: Outcome) {
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.message_bytes += other.message_bytes;
        self.body_bytes += other.body_bytes;
        self.elapsed += other.elapsed;
        self.retries += other.retries;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.acknowledgements.extend(other.acknowledgements);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::payload::{self, Compression, Protocol, Signal};

    /// Rejects one span of its first request, refuses the second, and counts what it accepts.
    #[derive(Clone, Default)]
    struct Receiver {
        requests: Arc<AtomicU64>,
        spans: Arc<AtomicU64>,
    }

    #[tonic::async_trait]
    impl TraceService for Receiver {
        async fn export(
            &self,
            request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            let scopes =
                request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            let spans = scopes.map(|scope| scope.spans.len() as u64).sum::<u64>();
            let rejected = match self.requests.fetch_add(1, Ordering::SeqCst) {
                0 => 1,
                1 => return Err(Status::unavailable("busy")),
                _ => 0,
            };
            self.spans.fetch_add(spans - rejected, Ordering::SeqCst);
            let partial =
                ExportTracePartialSuccess { rejected_spans: rejected as i64, error_message: String::new() };
            Ok(Response::new(ExportTraceServiceResponse {
                partial_success: (rejected > 0).then_some(partial),
            }))
        }
    }

    #[tokio::test]
    async fn every_request_is_sent_once_and_its_answer_counted() {
        let receiver = Receiver::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(receiver.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        let server = tokio::spawn(server);
        let shape = Shape {
            signal: Signal::Traces,
            requests: 20,
            records_per_request: 7,
            protocol: Protocol::Grpc,
            compression: Compression::None,
            seed: 1,
            now: 1 << 60,
        };
        let sending = Sending { address, connections: 3, in_flight: 8 };
        let payloads = payload::payloads(&shape).expect("small requests");
        let outcome = send(&sending, &shape, payloads).await.expect("connected");
        server.abort();
        // 20 requests of 7 spans: one is refused once and sent again, one span is rejected.
        assert_eq!((outcome.requests, outcome.retries, outcome.errors), (20, 1, 0));
        assert_eq!((outcome.accepted, outcome.rejected), (20 * 7 - 1, 1));
        assert_eq!(receiver.spans.load(Ordering::SeqCst), 20 * 7 - 1);
        assert_eq!(outcome.acknowledgements.len(), 20);
    }

    /// Refuses its first request over HTTP/1.1 and closes that connection, accepts the others; how many connections
    /// there were.
    async fn receive_over_http(listener: TcpListener, requests: usize) -> usize {
        let (mut left, mut connections) = (requests, 0);
        while left > 0 {
            let (stream, _) = listener.accept().await.expect("a connection");
            connections += 1;
            let mut stream = BufReader::new(stream);
            while left > 0 {
                let (mut line, mut body_bytes) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).await.expect("a line of the head");
                    if let Some(length) = line.strip_prefix("content-length: ") {
                        body_bytes = length.trim().parse().expect("a length");
                    }
                }
                stream.read_exact(&mut vec![0; body_bytes]).await.expect("the body");
                let refused = left == requests;
                let answer = if refused { "503 Service Unavailable" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\n{{}}");
                stream.write_all(answer.as_bytes()).await.expect("the answer is taken");
                left -= 1;
                if refused {
                    break;
                }
            }
        }
        connections
    }

    #[tokio::test]
    async fn a_request_refused_over_http_is_sent_again_on_another_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        // Three requests, one of them twice.
        let receiver = tokio::spawn(receive_over_http(listener, 4));
        let shape = Shape {
            signal: Signal::Logs,
            requests: 3,
            records_per_request: 7,
            protocol: Protocol::HttpJson,
            compression: Compression::Zstd,
            seed: 1,
            now: 1 << 60,
        };
        let sending = Sending { address, connections: 1, in_flight: 1 };
        let payloads = payload::payloads(&shape).expect("small requests");
        let outcome = send(&sending, &shape, payloads).await.expect("connected");
        assert_eq!((outcome.requests, outcome.retries, outcome.errors), (3, 1, 0));
        assert_eq!((outcome.accepted, outcome.rejected), (3 * 7, 0));
        assert!(outcome.body_bytes < outcome.message_bytes);
        assert_eq!(receiver.await.expect("every request came"), 2);
    }

    #[test]
    fn outcomes_add_up() {
        let mut total = Outcome::default();
        let mut one = Outcome::default();
        one.count(Answer::Accepted { rejected: 0 }, Duration::from_millis(5), 10);
        one.count(Answer::Accepted { rejected: 4 }, Duration::from_millis(7), 10);
        let mut other = Outcome::default();
        other.count(Answer::Failed("busy".to_owned()), Duration::from_millis(1), 10);
        total.merge(one);
        total.merge(other);
        assert_eq!((total.requests, total.accepted, total.rejected, total.errors), (3, 16, 4, 1));
        assert_eq!(total.first_error.as_deref(), Some("busy"));
        assert_eq!(total.acknowledgements.len(), 2);
    }

    #[test]
    fn an_acknowledgement_time_is_the_nearest_rank() {
        let acknowledgements: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let outcome = Outcome { acknowledgements, ..Outcome::default() };
        // Ranks ceil(0.5 * 200) = 100 and ceil(0.99 * 200) = 198.
        assert_eq!(outcome.acknowledgement(0.5), Duration::from_millis(100));
        assert_eq!(outcome.acknowledgement(0.99), Duration::from_millis(198));
        assert_eq!(Outcome::default().acknowledgement(0.99), Duration::ZERO);
    }
}
