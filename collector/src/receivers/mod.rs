//! The protocols: one file each, and what they share: where they send what they read, and how answers leave.
//!
//! A receiver finds out what a request is and hands its bytes on; it knows no columns. Everything that
//! chooses a status is in `admit`. A panic while a request is handled is caught here, so that it costs one
//! answer and not a connection with its hundred other requests.

pub mod listen;
mod otlp_grpc;
mod otlp_http;
mod envoy_als;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use tokio::sync::{oneshot, watch};

use crate::admit::ReplyBody;
use crate::admit::answer;
use crate::admit::deadline::time_left;
use crate::admit::media::MediaType;
use crate::admit::quota::Quotas;
use crate::admit::refusal::Refusal;
use crate::admit::stats::{RequestLabels, Stats};
use crate::admit::unpack::{Packed, Unpacked, request_hash};
use crate::intake::{Answer, Budget, Content, Intake, Payload};
use crate::ledger::{Signal, Source};
use crate::protobuf::messages::Message;
use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
use crate::tally::Tally;

/// How long a request waits for its fdatasync, unless its sender wants to know sooner. A disk that takes
/// longer is broken or hopelessly behind, and twice the time-out of the OpenTelemetry SDKs (10 s) has
/// passed. The rows may still become durable: a group at the disk cannot be called back.
const ACK_TIME_MAX: Duration = Duration::from_secs(20);

const UNKNOWN: &str = "unknown";

/// What the store has no room in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// Memory for rows that are not in files yet; a flush makes room and takes about this long.
    Buffer { flush_time: Duration },
    /// The disk; somebody has to make room.
    Disk,
}

/// Says whether the store takes rows beside those of as many bytes that are on their way to it.
pub(crate) type Room = Box<dyn Fn(usize) -> Result<(), NoRoom> + Send + Sync>;

/// What all receivers work with.
pub(crate) struct Receivers {
    pub(crate) intake: Intake,
    pub(crate) budget: Budget,
    pub(crate) quotas: Quotas,
    /// The most bytes of a request, as sent and after inflating.
    pub(crate) request_bytes_max: AtomicUsize,
    /// The most connections over all ports.
    pub(crate) connections_max: AtomicU64,
    pub(crate) stats: Arc<Stats>,
    /// Set once, by whoever started the store; nothing is refused before.
    pub(crate) room: OnceLock<Room>,
    /// Becomes true when the process stops; streams end then.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// A whole request that was read and not yet unpacked.
struct Read {
    signal: Signal,
    source: Source,
    path: &'static str,
    tenant: Arc<str>,
    packed: Packed,
    /// When its sender stops to wait for the answer; `None` when it does not say.
    answer_by: Option<tokio::time::Instant>,
}

impl Receivers {
    /// Answers a request that came in on the gRPC port.
    pub(crate) async fn answer_grpc(self: Arc<Self>, request: Request<Incoming>) -> Response<ReplyBody> {
        if request.uri().path() == envoy_als::PATH {
            let result = caught(envoy_als::receive(&self, request)).await;
            // The messages of a stream are counted one by one, and so is what ends it. A refused Envoy opens its
            // streams anew every second, which must not fill the log.
            if let Err(refusal) = &result {
                tracing::debug!(%refusal, "access log stream ended");
                self.count(envoy_als::RECEIVER, Some(Signal::Requests), Err(refusal));
            }
            return result.map_or_else(Refusal::into_grpc, |()| answer::grpc(&[]));
        }
        let signal = otlp_grpc::signal_of(request.uri().path());
        let result = caught(otlp_grpc::export(&self, signal, request)).await;
        self.count("otlp_grpc", signal, result.as_ref());
        match (result, signal) {
            (Ok(tally), Some(signal)) => answer::grpc(&answer::export_protobuf(signal, &tally)),
            (Ok(_), None) => Refusal::Panicked.into_grpc(),
            (Err(refusal), _) => refusal.into_grpc(),
        }
    }

    /// Answers a request that came in on the HTTP port.
    pub(crate) async fn answer_http(self: Arc<Self>, request: Request<Incoming>) -> Response<ReplyBody> {
        let signal = otlp_http::signal_of(request.uri().path());
        // Even "no such path" is answered in the type of the request, where that is one that we speak.
        let media_type = MediaType::of(request.headers()).unwrap_or(MediaType::Json);
        let is_http1 = request.version() <= Version::HTTP_11;
        let read = caught(otlp_http::read(&self, signal, request)).await;
        let closes = is_http1 && read.is_err();
        let result = match read {
            Ok(read) => caught(self.store(read)).await,
            Err(refusal) => Err(refusal),
        };
        self.count("otlp_http", signal, result.as_ref());
        let mut response = match (result, signal, media_type) {
            (Ok(tally), Some(signal), MediaType::Protobuf) => {
                answer::http(answer::export_protobuf(signal, &tally), media_type)
            }
            (Ok(tally), Some(signal), MediaType::Json) => {
                answer::http(answer::export_json(signal, &tally), media_type)
            }
            (Ok(_), None, _) => Refusal::Panicked.into_http(media_type),
            (Err(refusal), ..) => refusal.into_http(media_type),
        };
        if closes {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// What a request of `tenant` takes its bytes from; asked before a body is read.
    ///
    /// # Errors
    /// A refusal while the store has no room, or the tenant is over its quota.
    fn admit(&self, tenant: &Arc<str>) -> Result<Budget, Refusal> {
        self.check_room()?;
        self.quotas.admit(tenant, Instant::now())
    }

    fn request_bytes_max(&self) -> usize {
        self.request_bytes_max.load(Ordering::Relaxed)
    }

    fn check_room(&self) -> Result<(), Refusal> {
        self.room.get().map_or(Ok(()), |room| room(self.budget.used_bytes())).map_err(|full| match full {
            NoRoom::Buffer { flush_time } => Refusal::StoreFull(flush_time),
            NoRoom::Disk => Refusal::DiskFull,
        })
    }

    /// Unpacks a request, hands it to the intake and waits until it is durable.
    ///
    /// Cancel: once handed over it becomes durable all the same.
    async fn store(&self, read: Read) -> Result<Tally, Refusal> {
        let Read { signal, source, path, tenant, packed, answer_by } = read;
        let wire_bytes = packed.bytes.len();
        let mut unpacked = packed.unpack().await?;
        self.stats.count_bytes(wire_bytes, unpacked.bytes.len());
        let content = match signal {
            Signal::Traces => Content::Traces,
            Signal::Logs => Content::Logs,
            Signal::Metrics => Content::Metrics,
            Signal::Requests => return Err(Refusal::UnknownPath(path.to_owned())),
        };
        let unknown = unpacked.unknown.take();
        let answer = self.submit(source, path, tenant, content, unpacked)?;
        let ack_time_max = time_left(answer_by, tokio::time::Instant::now(), ACK_TIME_MAX);
        match tokio::time::timeout(ack_time_max, answer).await {
            Ok(answer) => settled(answer).map(|tally| Tally {
                found_instead: unknown.filter(|_| tally.received == 0).map(|field| field.to_string()),
                ..tally
            }),
            Err(_) => Err(Refusal::TimedOut("the disk did not answer in time")),
        }
    }

    /// Hands valid bytes to the intake; the answer comes when they are durable.
    fn submit(
        &self,
        source: Source,
        path: &str,
        tenant: Arc<str>,
        content: Content,
        unpacked: Unpacked,
    ) -> Result<oneshot::Receiver<Answer>, Refusal> {
        let Unpacked { bytes, column_bytes, tickets, .. } = unpacked;
        let hash = content.tells_when(&bytes).then(|| request_hash(&tenant, path, &bytes));
        let (reply, answer) = oneshot::channel();
        self.intake.submit(Payload { tenant, source, content, bytes, column_bytes, hash, tickets, reply })?;
        Ok(answer)
    }

    fn count(&self, receiver: &'static str, signal: Option<Signal>, result: Result<&Tally, &Refusal>) {
        let signal = signal.map_or(UNKNOWN, Signal::name);
        self.stats.count_request(RequestLabels { receiver, signal, status: status_of(result) });
    }
}

/// Returns when the process is told to stop, or when whoever could tell it is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// The protobuf message that an export of `signal` carries over OTLP.
fn message_of(signal: Signal) -> Option<&'static Message> {
    match signal {
        Signal::Traces => Some(&EXPORT_TRACES),
        Signal::Logs => Some(&EXPORT_LOGS),
        Signal::Metrics => Some(&EXPORT_METRICS),
        Signal::Requests => None,
    }
}

/// What the intake answered; no answer at all means that the group was lost to a bug.
fn settled(answer: Result<Answer, oneshot::error::RecvError>) -> Result<Tally, Refusal> {
    answer.map_err(|_| Refusal::Panicked)?.map_err(Refusal::from)
}

/// The label of a result in metrics.
fn status_of(result: Result<&Tally, &Refusal>) -> &'static str {
    match result {
        Ok(tally) if tally.deduplicated > 0 => "repeat",
        Ok(tally) if tally.rejected.is_empty() => "ok",
        Ok(_) => "partial",
        Err(refusal) => refusal.name(),
    }
}

/// The result of `handling`, or [`Refusal::Panicked`].
async fn caught<T>(handling: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let mut handling = pin!(handling);
    std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context)));
        polled.unwrap_or_else(|_panic| {
            tracing::error!("bug: handling a request panicked");
            Poll::Ready(Err(Refusal::Panicked))
        })
    })
    .await
}

#[cfg(test)]
mod own_tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let panics = async {
            tokio::task::yield_now().await;
            if tokio::runtime::Handle::try_current().is_ok() {
                panic!("a bug, on purpose");
            }
            Ok(())
        };
        assert_eq!(caught(panics).await, Err(Refusal::Panicked));
        assert_eq!(caught(async { Ok(1) }).await, Ok(1));
    }
}
