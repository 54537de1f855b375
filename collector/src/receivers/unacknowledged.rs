//! Messages that nobody acknowledges: a sender that forgets what it has written to a socket, and nobody to ask again.
//!
//! So messages are read as fast as they come and stored in the background; only when [`UNSTORED_MESSAGES_MAX`] of a
//! sender are not durable yet, or the byte budget is used up, is it not read on, and its transport makes it wait. A
//! packed message waits likewise for the bytes that it inflates to, but no longer than [`UNPACK_WAIT_MAX`]. What a
//! failing disk loses is counted and logged, also when the sender has gone meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshlake_listen::Stopping;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Receivers, name_of, settled};
use crate::admit::body::BODY_TIME_MAX;
use crate::admit::frame::Message;
use crate::admit::refusal::Refusal;
use crate::admit::unpack::{Packed, Unpacked};
use crate::decode::{Format, Sender};
use crate::intake::{Answer, Budget};

/// How many messages of a sender may be on their way to the disk. Envoy sends a message of about 16 KiB at
/// a time: 64 of them are 1 MiB, some 1,000 entries, many fdatasyncs ahead of what one worker logs.
const UNSTORED_MESSAGES_MAX: usize = 64;

/// How long a packed message, which is in memory, waits for the bytes that it inflates to. Many that wait so may
/// hold all that they wait for; this ends it. As long as a body may take to arrive, which holds as much; an Envoy
/// whose stream stands still for that long has dropped more than this message.
const UNPACK_WAIT_MAX: Duration = BODY_TIME_MAX;

/// The messages of one sender, in their order.
pub(super) struct Unacknowledged {
    /// Whose they are.
    origin: Origin,
    /// Where they come in, for what tells a message from others.
    path: &'static str,
    format: &'static Format,
    stopping: Stopping,
    unstored: Unstored,
}

/// Whose messages they are, and how they are counted.
#[derive(Clone)]
struct Origin {
    receivers: Arc<Receivers>,
    tenant: Arc<str>,
    receiver: &'static str,
    format: &'static Format,
}

/// Messages that are on their way to the disk.
struct Unstored {
    origin: Origin,
    /// Answers to come, in the order of the messages.
    answers: VecDeque<oneshot::Receiver<Answer>>,
}

impl Unacknowledged {
    pub(super) fn new(
        receivers: Arc<Receivers>,
        tenant: Arc<str>,
        receiver: &'static str,
        path: &'static str,
        format: &'static Format,
        stopping: Stopping,
    ) -> Unacknowledged {
        let origin = Origin { receivers, tenant, receiver, format };
        let unstored = Unstored { origin: origin.clone(), answers: VecDeque::new() };
        Unacknowledged { origin, path, format, stopping, unstored }
    }

    /// What the next message takes its bytes from. A tenant over its quota is not read on from, which makes its
    /// senders wait.
    ///
    /// # Errors
    /// A refusal that waiting does not mend.
    pub(super) async fn admit(&self) -> Result<Budget, Refusal> {
        let Origin { receivers, tenant, .. } = &self.origin;
        loop {
            match receivers.quotas.admit(tenant, Instant::now()) {
                Err(Refusal::OverQuota(delay)) => tokio::time::sleep(delay).await,
                admitted => return admitted,
            }
        }
    }

    /// Charges the tenant for a message that was read, and unpacks it. While the budget is used up it waits for what
    /// the message inflates to.
    ///
    /// Unpacking refuses at once when it cannot grow, and its sender would not send the message again. So it takes from
    /// a budget of its own, in which as much is free as has been paid for, and begins anew when more has been: as steps
    /// of inflating double, all tries together cost at most twice the last.
    ///
    /// # Errors
    /// The store has no room, the message cannot be decoded, or no memory came free in time.
    pub(super) async fn unpack(&self, message: Message) -> Result<Unpacked, Refusal> {
        let Origin { receivers, tenant, .. } = &self.origin;
        receivers.quotas.charge(tenant, message.bytes.len());
        receivers.check_room()?;
        let limit_bytes = receivers.export_bytes_max();
        let mut stopping = self.stopping.clone();
        let Message { bytes, encoding, tickets: mut paid } = message;
        loop {
            let own = Budget::new(usize::MAX);
            let unpaid = own.take(own.limit_bytes() - paid.bytes())?;
            let (format, tickets) = (self.format, own.take(bytes.len())?);
            let packed = Packed { bytes: bytes.clone(), encoding, format, limit_bytes, tickets };
            // In a task of its own: when the peer leaves, unpacking goes on to its end, and so long it must be paid for.
            let unpacking = tokio::spawn(async move { (packed.unpack().await, paid, unpaid) });
            let unpacked;
            (unpacked, paid, _) = unpacking.await.map_err(|_panic| Refusal::Panicked)?;
            match unpacked {
                Err(Refusal::Overloaded(over)) => {
                    let growing = paid.grow_when_free(over.wanted.saturating_sub(paid.bytes()));
                    let late = |_| Refusal::TimedOut("no memory to unpack a message came free in time");
                    tokio::select! {
                        // What there is room for is stored, also while stopping.
                        biased;
                        grown = tokio::time::timeout(UNPACK_WAIT_MAX, growing) => grown.map_err(late)??,
                        () = stopping.wait() => return Err(Refusal::Draining),
                    }
                }
                Err(refusal) => return Err(refusal),
                Ok(unpacked) => {
                    receivers.stats.count_bytes(bytes.len(), unpacked.bytes.len());
                    return Ok(Unpacked { tickets: paid, ..unpacked });
                }
            }
        }
    }

    /// Hands a message to the intake, and waits while too many are not stored yet.
    ///
    /// # Errors
    /// The collector is stopping.
    ///
    /// Cancel: what was handed over becomes durable all the same, and is counted when it is.
    pub(super) async fn store(
        &mut self,
        unpacked: Unpacked,
        sender: Option<Arc<Sender>>,
    ) -> Result<(), Refusal> {
        let Origin { receivers, tenant, .. } = &self.origin;
        let name = name_of(self.format, tenant, self.path, &unpacked);
        let answer = receivers.submit(self.format, name, Arc::clone(tenant), sender, unpacked)?;
        let unstored = &mut self.unstored;
        unstored.answers.push_back(answer);
        unstored.settle_stored();
        if unstored.answers.len() >= UNSTORED_MESSAGES_MAX {
            unstored.settle_oldest().await;
        }
        Ok(())
    }

    /// Returns when every message has been stored or lost, and counted.
    pub(super) async fn wait_until_stored(&mut self) {
        self.unstored.wait_until_stored().await;
    }
}

impl Drop for Unacknowledged {
    /// A peer that leaves ends the handler wherever it is; what becomes of its messages is counted all the same.
    fn drop(&mut self) {
        let answers = std::mem::take(&mut self.unstored.answers);
        // Without a runtime the process is ending, and nobody reads the counters any more.
        if !answers.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            let mut unstored = Unstored { origin: self.origin.clone(), answers };
            runtime.spawn(async move { unstored.wait_until_stored().await });
        }
    }
}

impl Unstored {
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
        let Origin { receivers, tenant, receiver, format } = &self.origin;
        let result = answer.and_then(|answer| settled(Ok(answer)));
        if let Err(refusal) = &result {
            let (tenant, format) = (&**tenant, format.name);
            tracing::warn!(tenant, format, %refusal, "lost a message that nobody sends again");
        }
        receivers.count(receiver, Some(format.signal), result.as_ref());
    }
}
