//! The protocols: one file each, the table of their routes, and what they share: where they send what they read, and
//! how answers leave.
//!
//! A receiver finds out what a request is and hands its bytes on; it knows no columns. Everything that
//! chooses a status is in `admit`. A panic while an export is handled is caught here, so that it costs one
//! answer and not a connection with its hundred other requests.

mod otlp_grpc;
mod otlp_http;
mod envoy_als;
mod access_log_http;
mod remote_write;
mod health;
pub(crate) mod syslog;
pub(crate) mod tail;
mod line_parts;
mod posted;
mod unacknowledged;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, Request, Response, Version, header};
use hyper::body::Incoming;
use meshlake_listen::Caller;
use meshlake_schema::Clock;
use tokio::sync::oneshot;

use crate::admit::ReplyBody;
use crate::admit::cors::Origins;
use crate::admit::deadline::time_left;
use crate::admit::headers::{check_grpc, is_grpc, written_as};
use crate::admit::quota::Quotas;
use crate::admit::refusal::Refusal;
use crate::admit::senders::{SenderKey, Senders};
use crate::admit::stats::{ExportLabels, Stats};
use crate::admit::unpack::{Packed, Unpacked, export_hash};
use crate::decode::{Format, Sender};
use crate::intake::{Answer, Budget, Intake, Payload};
use crate::positions::Positions;
use crate::signal::Signal;
use crate::tally::Tally;
use posted::{
    closing, linger, read_posted, read_posted_as, read_posted_block, refuse_unread, refuse_unread_grpc,
    unknown_path,
};
use unacknowledged::Unacknowledged;

pub use syslog::SyslogAppConfig;
pub use tail::TailConfig;

/// Everything that can be sent, by port and path.
static ROUTES: &[&[Route]] = &[
    // A protocol is a line here.
    &otlp_grpc::ROUTES,
    &otlp_http::ROUTES,
    &envoy_als::ROUTES,
    &access_log_http::ROUTES,
    &remote_write::ROUTES,
    &health::ROUTES,
];

/// How long an export waits for its fdatasync, unless its sender wants to know sooner. A disk that takes
/// longer is broken or hopelessly behind, and twice the time-out of the OpenTelemetry SDKs (10 s) has
/// passed. The rows may still become durable: a group at the disk cannot be called back.
const ACK_TIME_MAX: Duration = Duration::from_secs(20);

const UNKNOWN: &str = "unknown";

/// Which protocols a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// gRPC over HTTP/2.
    Grpc,
    /// OTLP over HTTP.
    Http,
}

/// The ports by their numbers, for those who come to the wrong one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub grpc: u16,
    pub http: u16,
}

/// Where something is sent to, and what takes it.
struct Route {
    port: Port,
    path: &'static str,
    /// What is sent here, by its content type; nothing where no telemetry is.
    formats: &'static [(&'static str, &'static Format)],
    receive: fn(Call) -> Answering,
}

type Answering = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

/// One request on its route.
struct Call {
    receivers: Arc<Receivers>,
    route: &'static Route,
    request: Request<Incoming>,
    caller: Caller,
}

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

/// Says whether the process is fit to take exports at all.
pub(crate) type Fitness = Box<dyn Fn() -> bool + Send + Sync>;

/// What all receivers work with.
pub(crate) struct Receivers {
    pub(crate) intake: Intake,
    pub(crate) budget: Budget,
    pub(crate) quotas: Quotas,
    pub(crate) positions: Positions,
    /// The most bytes of an export, as sent and after inflating.
    pub(crate) export_bytes_max: AtomicUsize,
    pub(crate) stats: Arc<Stats>,
    pub(crate) senders: Arc<Senders>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Says of log records that lines of access logs are looked for in them; `None` where they are not.
    pub(crate) sender_of_logs: Option<Arc<Sender>>,
    /// Says of samples what was told of their metrics.
    pub(crate) sender_of_samples: Arc<Sender>,
    pub(crate) origins: Origins,
    pub(crate) ports: Ports,
    /// Set once, by whoever started the store; nothing is refused before.
    pub(crate) room: OnceLock<Room>,
    /// Set once; the process counts as fit before.
    pub(crate) fitness: OnceLock<Fitness>,
}

/// What a payload is known by when it comes again.
#[derive(Debug, Clone, Copy)]
enum Name {
    /// By nothing: what is alike may be something else.
    Unnamed,
    /// By its bytes, for as long as senders try again.
    Bytes(u128),
    /// By the file that it is a part of, for good. It may be of any age.
    Part(u128),
}

/// A whole export that was read and not yet unpacked.
struct Read {
    path: &'static str,
    tenant: Arc<str>,
    packed: Packed,
    /// When its sender stops to wait for the answer; `None` when it does not say.
    answer_by: Option<tokio::time::Instant>,
}

fn all_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().copied().flatten()
}

impl Route {
    fn of(port: Port, path: &str) -> Option<&'static Route> {
        all_routes().find(|route| route.port == port && route.path == path)
    }

    fn signal(&self) -> Option<Signal> {
        self.formats.first().map(|(_, format)| format.signal)
    }
}

impl Receivers {
    /// Answers a request that came in on the gRPC port.
    pub(crate) async fn answer_grpc(
        self: Arc<Self>,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Response<ReplyBody> {
        if request.version() <= Version::HTTP_11 {
            let refusal = Refusal::WrongPort { here: "gRPC", sent: "OTLP over HTTP", port: self.ports.http };
            self.count(otlp_grpc::RECEIVER, None, Err(&refusal));
            return refuse_unread(request, refusal);
        }
        if let Some(route) = Route::of(Port::Grpc, request.uri().path()) {
            return self.answer(Call { receivers: Arc::clone(&self), route, request, caller }).await;
        }
        let (head, body) = request.into_parts();
        let checked = check_grpc_head(&self, &head);
        let refusal = checked.err().unwrap_or_else(|| unknown_path(Port::Grpc, head.uri.path()));
        self.count(otlp_grpc::RECEIVER, None, Err(&refusal));
        refuse_unread_grpc(body, refusal)
    }

    /// Answers a request that came in on the HTTP port.
    pub(crate) async fn answer_http(
        self: Arc<Self>,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Response<ReplyBody> {
        if request.version() == Version::HTTP_2 && is_grpc(request.headers()) {
            let port = self.ports.grpc;
            let refusal = Refusal::WrongPort { here: "OTLP over HTTP", sent: "gRPC", port };
            self.count(otlp_http::RECEIVER, None, Err(&refusal));
            return refuse_unread_grpc(request.into_body(), refusal);
        }
        let allowed = self.origins.allow(request.headers());
        let route = Route::of(Port::Http, request.uri().path());
        let mut response = match (route, &allowed) {
            (Some(route), allowed) => match allowed.as_ref().and_then(|page| page.preflight(&request)) {
                Some(response) => return response,
                None => self.answer(Call { receivers: Arc::clone(&self), route, request, caller }).await,
            },
            (None, _) => {
                let refusal = unknown_path(Port::Http, request.uri().path());
                self.count(otlp_http::RECEIVER, None, Err(&refusal));
                refuse_unread(request, refusal)
            }
        };
        if let Some(page) = allowed {
            page.mark(response.headers_mut());
        }
        response
    }

    /// Answers a request on its route, and remembers who sent it.
    async fn answer(&self, call: Call) -> Response<ReplyBody> {
        let sender = sender_of(&call);
        if let Some(sender) = &sender {
            let agent = call.request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
            self.senders.hear(sender.clone(), agent.unwrap_or_default(), self.clock.now());
        }
        let response = (call.route.receive)(call).await;
        if let Some(sender) = sender.filter(|_| is_refusal(&response)) {
            self.senders.refuse(&sender);
        }
        response
    }

    /// Whether exports are taken: what health checks are told.
    fn is_fit(&self) -> bool {
        self.fitness.get().is_none_or(|is_fit| is_fit())
    }

    /// What an export of `tenant` takes its bytes from; asked before a body is read.
    ///
    /// # Errors
    /// A refusal while the store has no room, or the tenant is over its quota.
    fn admit(&self, tenant: &Arc<str>) -> Result<Budget, Refusal> {
        self.check_room()?;
        self.quotas.admit(tenant, Instant::now())
    }

    fn export_bytes_max(&self) -> usize {
        self.export_bytes_max.load(Ordering::Relaxed)
    }

    fn check_room(&self) -> Result<(), Refusal> {
        self.room.get().map_or(Ok(()), |room| room(self.budget.used_bytes())).map_err(|full| match full {
            NoRoom::Buffer { flush_time } => Refusal::StoreFull(flush_time),
            NoRoom::Disk => Refusal::DiskFull,
        })
    }

    /// Unpacks an export, hands it to the intake and waits until it is durable.
    ///
    /// Cancel: once handed over it becomes durable all the same.
    async fn store(&self, read: Read) -> Result<Tally, Refusal> {
        let Read { path, tenant, packed, answer_by } = read;
        let (format, wire_bytes) = (packed.format, packed.bytes.len());
        let mut unpacked = packed.unpack().await?;
        self.stats.count_bytes(wire_bytes, unpacked.bytes.len());
        let found_instead = unpacked.found_instead.take();
        let name = name_of(format, &tenant, path, &unpacked);
        let sender = match format.signal {
            Signal::Logs => self.sender_of_logs.clone(),
            Signal::Metrics => Some(Arc::clone(&self.sender_of_samples)),
            Signal::Traces | Signal::Requests => None,
        };
        let answer = self.submit(format, name, tenant, sender, unpacked)?;
        let tally = self.acknowledged(answer, answer_by).await?;
        Ok(Tally { found_instead: found_instead.filter(|_| tally.received == 0), ..tally })
    }

    /// Hands valid bytes to the intake; the answer comes when they are durable.
    fn submit(
        &self,
        format: &'static Format,
        name: Name,
        tenant: Arc<str>,
        sender: Option<Arc<Sender>>,
        unpacked: Unpacked,
    ) -> Result<oneshot::Receiver<Answer>, Refusal> {
        let Unpacked { bytes, column_bytes, tickets, .. } = unpacked;
        let (hash, any_age) = match name {
            Name::Unnamed => (None, false),
            Name::Bytes(hash) => (Some(hash), false),
            Name::Part(name) => (Some(name), true),
        };
        let (reply, answer) = oneshot::channel();
        let payload = Payload { tenant, format, sender, bytes, column_bytes, hash, any_age, tickets, reply };
        self.intake.submit(payload)?;
        Ok(answer)
    }

    /// What becomes of a payload, for a sender who waits for it until `answer_by`.
    async fn acknowledged(
        &self,
        answer: oneshot::Receiver<Answer>,
        answer_by: Option<tokio::time::Instant>,
    ) -> Result<Tally, Refusal> {
        let ack_time_max = time_left(answer_by, tokio::time::Instant::now(), ACK_TIME_MAX);
        match tokio::time::timeout(ack_time_max, answer).await {
            Ok(answer) => settled(answer),
            Err(_) => Err(Refusal::TimedOut("the disk did not answer in time")),
        }
    }

    fn count(&self, receiver: &'static str, signal: Option<Signal>, result: Result<&Tally, &Refusal>) {
        let signal = signal.map_or(UNKNOWN, Signal::name);
        self.stats.count_export(ExportLabels { receiver, signal, status: status_of(result) });
    }
}

/// Who sends telemetry; none where a route takes none.
fn sender_of(call: &Call) -> Option<SenderKey> {
    let (_, first) = call.route.formats.first()?;
    let format = written_as(call.request.headers(), call.route.formats).unwrap_or(first);
    let tenant = call.caller.principal.as_ref().map(|principal| principal.tenant.shared());
    Some(SenderKey {
        peer: call.caller.peer.ip().to_canonical().to_string().into(),
        tenant: tenant.unwrap_or_default(),
        signal: format.signal.name(),
        source: format.source,
    })
}

/// Whether an answer refuses an export as a whole, over HTTP or, in its head as every answer without a message is, gRPC.
fn is_refusal(response: &Response<ReplyBody>) -> bool {
    let grpc_status = response.headers().get("grpc-status");
    !response.status().is_success() || grpc_status.is_some_and(|status| status != "0")
}

/// The name of a payload that came to `path`.
fn name_of(format: &Format, tenant: &str, path: &str, unpacked: &Unpacked) -> Name {
    if !(format.resends)(&unpacked.bytes) {
        return Name::Unnamed;
    }
    Name::Bytes(export_hash(tenant, path, &unpacked.bytes))
}

/// Checks what every gRPC call has to say before it is looked at further.
fn check_grpc_head(receivers: &Receivers, head: &Parts) -> Result<(), Refusal> {
    if head.method != Method::POST {
        return Err(Refusal::WrongVerb(head.method.to_string()));
    }
    check_grpc(&head.headers, receivers.ports.http)
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

    /// Paths are compared as they stand, each on its own port.
    #[test]
    fn routes_are_known_by_their_exact_path() {
        let service = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let cases = [
            (Port::Grpc, service, Some(Signal::Traces)),
            (Port::Grpc, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", Some(Signal::Logs)),
            (
                Port::Grpc,
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                Some(Signal::Metrics),
            ),
            (
                Port::Grpc,
                "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
                Some(Signal::Requests),
            ),
            (Port::Http, "/v1/traces", Some(Signal::Traces)),
            (Port::Http, "/v1/logs", Some(Signal::Logs)),
            (Port::Http, "/v1/metrics", Some(Signal::Metrics)),
            (Port::Http, "/api/v1/write", Some(Signal::Metrics)),
            (Port::Http, service, None),
            (Port::Grpc, "/v1/traces", None),
        ];
        for (port, path, want) in cases {
            assert_eq!(Route::of(port, path).and_then(Route::signal), want, "{path}");
        }
        let near = ["", "/", &service[1..], &format!("/{service}"), &format!("{service}/"), "/x.Y/Z"];
        for path in near.into_iter().chain([
            "//v1/traces",
            "/v1/traces/",
            "/v1/%74races",
            "/v1/../v1/traces",
            "/v1/profiles",
        ]) {
            assert!(Route::of(Port::Grpc, path).or(Route::of(Port::Http, path)).is_none(), "{path}");
        }
    }
}
