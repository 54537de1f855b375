//! Envoy's access log service (ALS) v3: one endless stream of log messages per Envoy worker.
//!
//! The protocol has no acknowledgement: Envoy forgets what it has written to the socket, and drops what it
//! cannot write once 16 KiB wait. So messages are read as fast as they come and stored in the background;
//! only when [`UNSTORED_MESSAGES_MAX`] of a stream are not durable yet, or the byte budget is used up, is
//! the stream not read on and HTTP/2 flow control makes Envoy wait. A packed message waits likewise for the
//! bytes that it inflates to, but no longer than [`UNPACK_WAIT_MAX`]. What a failing disk loses is counted
//! and logged, nobody can be asked to send it again. A store without room ends the stream; Envoy opens it
//! anew with its next flush, a second later.
//!
//! Who the proxy is comes with the first message of a stream; balancers that mix streams repeat it on
//! others, so it is taken from whichever message has it.
//!
//! Source: envoy/service/accesslog/v3/als.proto.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::{Receivers, settled, status_of, stopped};
use crate::admit::body::BODY_TIME_MAX;
use crate::admit::frame::{FrameReader, Message, Patience};
use crate::admit::media::{Encoding, MediaType};
use crate::admit::refusal::Refusal;
use crate::admit::stats::RequestLabels;
use crate::admit::tenant::tenant_of;
use crate::admit::unpack::{Packed, Unpacked};
use crate::decode::envoy_als::decode_identifier;
use crate::intake::{Answer, Budget, Content};
use crate::ledger::{Signal, Source};
use crate::normalize::requests::proxy::ProxyIdentity;
use crate::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;
use crate::tally::Tally;

/// The one method of the service.
pub(super) const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/// How many messages of a stream may be on their way to the disk. Envoy sends a message of about 16 KiB at
/// a time: 64 of them are 1 MiB, some 1,000 entries, many fdatasyncs ahead of what one worker logs.
const UNSTORED_MESSAGES_MAX: usize = 64;

/// How long a packed message, which is in memory, waits for the bytes that it inflates to. Many that wait so may
/// hold all that they wait for; this ends it. As long as a body may take to arrive, which holds as much; an Envoy
/// whose stream stands still for that long has dropped more than this message.
const UNPACK_WAIT_MAX: Duration = BODY_TIME_MAX;

/// Takes in one stream until its sender ends it.
pub(super) async fn receive(receivers: &Receivers, request: Request<Incoming>) -> Result<(), Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::WrongVerb(request.method().to_string()));
    }
    MediaType::check_grpc(request.headers())?;
    let tenant = tenant_of(request.headers())?;
    let encoding = Encoding::of_grpc(request.headers())?;
    let mut reader =
        FrameReader::new(request.into_body(), encoding, &receivers.request_bytes_max, Patience::Wait);
    let mut stream = Stream { receivers, tenant, proxy: None, unstored: VecDeque::new() };
    let mut stopping = receivers.stopping.clone();
    let result = loop {
        let next = tokio::select! {
            next = next_message(receivers, &stream.tenant, &mut reader) => next,
            () = stopped(&mut stopping) => Err(Refusal::Draining),
        };
        match next {
            Ok(Some(message)) => {
                if let Err(refusal) = stream.take(message).await {
                    break Err(refusal);
                }
            }
            Ok(None) => break Ok(()),
            Err(refusal) => break Err(refusal),
        }
    };
    stream.wait_until_stored().await;
    result
}

/// The next message. A tenant over its quota is not read on from, which makes its proxies wait.
async fn next_message(
    receivers: &Receivers,
    tenant: &Arc<str>,
    reader: &mut FrameReader<'_, Incoming>,
) -> Result<Option<Message>, Refusal> {
    let budget = loop {
        match receivers.quotas.admit(tenant, Instant::now()) {
            Err(Refusal::OverQuota(delay)) => tokio::time::sleep(delay).await,
            admitted => break admitted?,
        }
    };
    let message = reader.next(&budget).await?;
    if let Some(message) = &message {
        receivers.quotas.charge(tenant, message.bytes.len());
    }
    Ok(message)
}

/// Unpacks a message. While the budget is used up it waits for what the message inflates to.
///
/// Unpacking refuses at once when it cannot grow, and its sender would not send the message again. So it takes from a
/// budget of its own, as large as what has been paid for, and begins anew when more has been: as steps of inflating
/// double, all tries together cost at most twice the last.
async fn unpack(receivers: &Receivers, message: Message) -> Result<Unpacked, Refusal> {
    let limit_bytes = receivers.request_bytes_max();
    let mut stopping = receivers.stopping.clone();
    let Message { bytes, encoding, tickets: mut paid } = message;
    loop {
        let packed = Packed {
            bytes: bytes.clone(),
            encoding,
            media_type: MediaType::Protobuf,
            message: &STREAM_ACCESS_LOGS_MESSAGE,
            limit_bytes,
            tickets: Budget::new(paid.bytes()).take(bytes.len())?,
        };
        // In a task of its own: when the peer leaves, unpacking goes on to its end, and so long it must be paid for.
        let unpacking = tokio::spawn(async move { (packed.unpack().await, paid) });
        let unpacked;
        (unpacked, paid) = unpacking.await.map_err(|_panic| Refusal::Panicked)?;
        match unpacked {
            Err(Refusal::Overloaded(over)) => {
                let growing = paid.grow_when_free(over.wanted - over.free);
                let late = |_| Refusal::TimedOut("no memory to unpack a message came free in time");
                tokio::select! {
                    grown = tokio::time::timeout(UNPACK_WAIT_MAX, growing) => grown.map_err(late)??,
                    () = stopped(&mut stopping) => return Err(Refusal::Draining),
                }
            }
            unpacked => return Ok(Unpacked { bytes: unpacked?.bytes, tickets: paid }),
        }
    }
}

struct Stream<'a> {
    receivers: &'a Receivers,
    tenant: Arc<str>,
    /// Who sends; known from the first message on.
    proxy: Option<Arc<ProxyIdentity>>,
    /// Answers to come, in the order of the messages.
    unstored: VecDeque<oneshot::Receiver<Answer>>,
}

impl Stream<'_> {
    /// Hands one message to the intake; a refusal of it is counted.
    async fn take(&mut self, message: Message) -> Result<(), Refusal> {
        let submitted = self.submit(message).await;
        match submitted {
            Ok(answer) => self.unstored.push_back(answer),
            Err(refusal) => {
                self.count(Err(&refusal));
                return Err(refusal);
            }
        }
        self.settle_stored();
        if self.unstored.len() >= UNSTORED_MESSAGES_MAX {
            self.settle_oldest().await;
        }
        Ok(())
    }

    async fn submit(&mut self, message: Message) -> Result<oneshot::Receiver<Answer>, Refusal> {
        self.receivers.check_room()?;
        let wire_bytes = message.bytes.len();
        let unpacked = unpack(self.receivers, message).await?;
        self.receivers.stats.count_bytes(wire_bytes, unpacked.bytes.len());
        if let Some(proxy) = decode_identifier(&unpacked.bytes)? {
            self.proxy = Some(Arc::new(proxy));
        }
        let unknown = || Refusal::Undecodable("the first message of a stream has no identifier".to_owned());
        let content = Content::AccessLog(Arc::clone(self.proxy.as_ref().ok_or_else(unknown)?));
        self.receivers.submit(Source::EnvoyAls, PATH, Arc::clone(&self.tenant), content, unpacked)
    }

    /// Counts the messages whose answer is there already.
    fn settle_stored(&mut self) {
        while let Some(oldest) = self.unstored.front_mut() {
            match oldest.try_recv() {
                Ok(answer) => self.settle(Ok(answer)),
                Err(oneshot::error::TryRecvError::Empty) => return,
                Err(oneshot::error::TryRecvError::Closed) => self.settle(Err(Refusal::Panicked)),
            }
            self.unstored.pop_front();
        }
    }

    async fn settle_oldest(&mut self) {
        if let Some(oldest) = self.unstored.pop_front() {
            let answer = oldest.await;
            self.settle(answer.map_err(|_| Refusal::Panicked));
        }
    }

    async fn wait_until_stored(&mut self) {
        while !self.unstored.is_empty() {
            self.settle_oldest().await;
        }
    }

    fn settle(&self, answer: Result<Answer, Refusal>) {
        let result = answer.and_then(|answer| settled(Ok(answer)));
        if let Err(refusal) = &result {
            tracing::warn!(tenant = &*self.tenant, %refusal, "lost a message of an access log stream");
        }
        self.count(result.as_ref());
    }

    fn count(&self, result: Result<&Tally, &Refusal>) {
        let signal = Signal::Requests.name();
        let labels = RequestLabels { receiver: "envoy_als", signal, status: status_of(result) };
        self.receivers.stats.count_request(labels);
    }
}
