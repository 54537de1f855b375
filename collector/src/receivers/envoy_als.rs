//! Envoy's access log service (ALS) v3: one endless stream of log messages per Envoy worker.
//!
//! The protocol has no acknowledgement: Envoy forgets what it has written to the socket, and drops what it
//! cannot write once 16 KiB wait. So messages are read as fast as they come and stored in the background;
//! only when [`UNSTORED_MESSAGES_MAX`] of a stream are not durable yet, or the byte budget is used up, is
//! the stream not read on and HTTP/2 flow control makes Envoy wait. A packed message waits likewise for the
//! bytes that it inflates to, but no longer than [`UNPACK_WAIT_MAX`]. What a failing disk loses is counted
//! and logged, also when the peer has gone meanwhile; nobody can be asked to send it again. What ends a stream
//! is counted by its reason, such as a store without room; Envoy opens it anew with its next flush, a second
//! later.
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
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Receivers, settled, stopped};
use crate::admit::body::BODY_TIME_MAX;
use crate::admit::frame::{FrameReader, Message};
use crate::admit::media::{Encoding, MediaType};
use crate::admit::refusal::Refusal;
use crate::admit::tenant::tenant_of;
use crate::admit::unpack::{Packed, Unpacked};
use crate::decode::envoy_als::decode_identifier;
use crate::intake::{Answer, Budget, Content};
use crate::ledger::{Signal, Source};
use crate::normalize::requests::proxy::ProxyIdentity;
use crate::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;

/// The one method of the service.
pub(super) const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/// The receiver's name in metrics.
pub(super) const RECEIVER: &str = "envoy_als";

/// How many messages of a stream may be on their way to the disk. Envoy sends a message of about 16 KiB at
/// a time: 64 of them are 1 MiB, some 1,000 entries, many fdatasyncs ahead of what one worker logs.
const UNSTORED_MESSAGES_MAX: usize = 64;

/// How long a packed message, which is in memory, waits for the bytes that it inflates to. Many that wait so may
/// hold all that they wait for; this ends it. As long as a body may take to arrive, which holds as much; an Envoy
/// whose stream stands still for that long has dropped more than this message.
const UNPACK_WAIT_MAX: Duration = BODY_TIME_MAX;

/// Takes in one stream until its sender ends it.
///
/// Cancel: what was taken in becomes durable all the same, and is counted when it is.
pub(super) async fn receive(receivers: &Arc<Receivers>, request: Request<Incoming>) -> Result<(), Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::WrongVerb(request.method().to_string()));
    }
    MediaType::check_grpc(request.headers())?;
    let tenant = tenant_of(request.headers())?;
    let encoding = Encoding::of_grpc(request.headers())?;
    let mut reader = FrameReader::new(request.into_body(), encoding, &receivers.request_bytes_max);
    let unstored = Unstored { receivers: Arc::clone(receivers), tenant, answers: VecDeque::new() };
    let mut stream = Stream { proxy: None, unstored };
    let mut stopping = receivers.stopping.clone();
    let result = loop {
        let next = tokio::select! {
            next = next_message(receivers, &stream.unstored.tenant, &mut reader) => next,
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
    stream.unstored.wait_until_stored().await;
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
/// budget of its own, in which as much is free as has been paid for, and begins anew when more has been: as steps of
/// inflating double, all tries together cost at most twice the last.
async fn unpack(receivers: &Receivers, message: Message) -> Result<Unpacked, Refusal> {
    let limit_bytes = receivers.request_bytes_max();
    let mut stopping = receivers.stopping.clone();
    let Message { bytes, encoding, tickets: mut paid } = message;
    loop {
        let own = Budget::new(usize::MAX);
        let unpaid = own.take(own.limit_bytes() - paid.bytes())?;
        let packed = Packed {
            bytes: bytes.clone(),
            encoding,
            media_type: MediaType::Protobuf,
            message: &STREAM_ACCESS_LOGS_MESSAGE,
            limit_bytes,
            tickets: own.take(bytes.len())?,
        };
        // In a task of its own: when the peer leaves, unpacking goes on to its end, and so long it must be paid for.
        let unpacking = tokio::spawn(async move { (packed.unpack().await, paid, unpaid) });
        let unpacked;
        (unpacked, paid, _) = unpacking.await.map_err(|_panic| Refusal::Panicked)?;
        match unpacked {
            Err(Refusal::Overloaded(over)) => {
                let growing = paid.grow_when_free(over.wanted.saturating_sub(paid.bytes()));
                let late = |_| Refusal::TimedOut("no memory to unpack a message came free in time");
                tokio::select! {
                    grown = tokio::time::timeout(UNPACK_WAIT_MAX, growing) => grown.map_err(late)??,
                    () = stopped(&mut stopping) => return Err(Refusal::Draining),
                }
            }
            unpacked => return unpacked.map(|unpacked| Unpacked { tickets: paid, ..unpacked }),
        }
    }
}

struct Stream {
    /// Who sends; known from the first message on.
    proxy: Option<Arc<ProxyIdentity>>,
    unstored: Unstored,
}

impl Stream {
    /// Hands one message to the intake.
    async fn take(&mut self, message: Message) -> Result<(), Refusal> {
        let answer = self.submit(message).await?;
        let unstored = &mut self.unstored;
        unstored.answers.push_back(answer);
        unstored.settle_stored();
        if unstored.answers.len() >= UNSTORED_MESSAGES_MAX {
            unstored.settle_oldest().await;
        }
        Ok(())
    }

    async fn submit(&mut self, message: Message) -> Result<oneshot::Receiver<Answer>, Refusal> {
        let Unstored { receivers, tenant, .. } = &self.unstored;
        receivers.check_room()?;
        let wire_bytes = message.bytes.len();
        let unpacked = unpack(receivers, message).await?;
        receivers.stats.count_bytes(wire_bytes, unpacked.bytes.len());
        if let Some(proxy) = decode_identifier(&unpacked.bytes)? {
            self.proxy = Some(Arc::new(proxy));
        }
        let unknown = || Refusal::Undecodable("the first message of a stream has no identifier".to_owned());
        let content = Content::AccessLog(Arc::clone(self.proxy.as_ref().ok_or_else(unknown)?));
        receivers.submit(Source::EnvoyAls, PATH, Arc::clone(tenant), content, unpacked)
    }
}

impl Drop for Stream {
    /// A peer that leaves ends the handler wherever it is; what becomes of its messages is counted all the same.
    fn drop(&mut self) {
        let mut unstored = self.unstored.take();
        // Without a runtime the process is ending, and nobody reads the counters any more.
        if !unstored.answers.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move { unstored.wait_until_stored().await });
        }
    }
}

/// The messages of a stream that are on their way to the disk.
struct Unstored {
    receivers: Arc<Receivers>,
    tenant: Arc<str>,
    /// Answers to come, in the order of the messages.
    answers: VecDeque<oneshot::Receiver<Answer>>,
}

impl Unstored {
    /// All of them; none are left here.
    fn take(&mut self) -> Unstored {
        let answers = std::mem::take(&mut self.answers);
        Unstored { receivers: Arc::clone(&self.receivers), tenant: Arc::clone(&self.tenant), answers }
    }

    /// Counts the messages whose answer is there already.
    fn settle_stored(&mut self) {
        while let Some(oldest) = self.answers.front_mut() {
            match oldest.try_recv() {
                Ok(answer) => self.settle(Ok(answer)),
                Err(oneshot::error::TryRecvError::Empty) => return,
                Err(oneshot::error::TryRecvError::Closed) => self.settle(Err(Refusal::Panicked)),
            }
            self.answers.pop_front();
        }
    }

    /// Cancel: nothing is lost, the oldest is still in line.
    async fn settle_oldest(&mut self) {
        if let Some(oldest) = self.answers.front_mut() {
            let answer = oldest.await;
            self.answers.pop_front();
            self.settle(answer.map_err(|_| Refusal::Panicked));
        }
    }

    async fn wait_until_stored(&mut self) {
        while !self.answers.is_empty() {
            self.settle_oldest().await;
        }
    }

    fn settle(&self, answer: Result<Answer, Refusal>) {
        let result = answer.and_then(|answer| settled(Ok(answer)));
        if let Err(refusal) = &result {
            tracing::warn!(tenant = &*self.tenant, %refusal, "lost a message of an access log stream");
        }
        self.receivers.count(RECEIVER, Some(Signal::Requests), result.as_ref());
    }
}
