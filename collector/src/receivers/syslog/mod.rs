//! Syslog over UDP and TCP: access logs of whatever can log to a socket, which nearly every proxy can.
//!
//! Nobody acknowledges a message. Over TCP a sender waits while the store has no room, because it is not read on; over UDP the
//! kernel drops what is not read in time, and nobody is told. Messages that come together are stored together.
//!
//! Source: RFC 5424, 5426 (UDP), 6587 (TCP), 3164.

mod batch;
pub(crate) mod framing;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use meshlake_listen::{Connection, Datagrams, Stopping};
use meshlake_schema::tenant::Tenant;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use super::{Receivers, Unacknowledged};
use crate::admit::frame::Message;
use crate::admit::media::Encoding;
use crate::admit::refusal::Refusal;
use crate::admit::senders::SenderKey;
use crate::decode::access_log::SYSLOG_FORMAT;
use crate::intake::Tickets;
use crate::line_origin::LinesConfig;
use batch::{App, Batch, Lines};
use framing::{BrokenFraming, Frames};

/// The receiver's names in metrics.
const OVER_TCP: &str = "syslog_tcp";
const OVER_UDP: &str = "syslog_udp";

/// What is read of a connection at once: some 300 lines.
const READ_BYTES: usize = 64 << 10;

/// The longest datagram. Source: RFC 768, less the headers of RFC 791.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Datagrams that wait in the kernel are put together up to this many bytes: as long as they take to be copied, nothing else
/// can be done with them anyway.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// How long the rest of a message may take to come. Senders write a message at once; one that has stopped inside is gone.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a connection may be silent. Those who log little keep theirs open, and a message that is written to one that was
/// closed is lost; but a peer that has vanished must give its place back some day.
const SILENCE_MAX: Duration = Duration::from_secs(86_400);

/// Between two looks whether the store has room again.
const ROOM_POLL: Duration = Duration::from_millis(50);

/// A section `[[collector.syslog_apps]]`: what the lines of a program are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyslogAppConfig {
    /// The program, as syslog calls it: `APP-NAME`, or the tag.
    pub app: String,
    #[serde(flatten)]
    pub lines: LinesConfig,
}

impl SyslogAppConfig {
    /// What is wrong with it, each as one line that begins with its key.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = self.lines.problems();
        if self.app.is_empty() {
            problems.push("app: it is empty".to_owned());
        }
        problems
    }

    fn app(&self) -> Option<App> {
        let tenant = self.lines.tenant().ok()?.shared();
        Some(App { name: self.app.clone(), origin: self.lines.origin().ok()?, tenant })
    }
}

/// Takes syslog in.
#[derive(Clone)]
pub(crate) struct Syslog {
    receivers: Arc<Receivers>,
    apps: Arc<[App]>,
}

/// Where messages that come in at one socket go.
struct Sending {
    receivers: Arc<Receivers>,
    receiver: &'static str,
    stopping: Stopping,
    batch: Batch,
    /// Whom the messages of the batch are of, with the tenant; most come in runs, of which one is held.
    peers: Vec<(IpAddr, Arc<str>)>,
    by_tenant: HashMap<Arc<str>, Unacknowledged>,
}

impl Syslog {
    /// `apps` have been checked; one that has a problem is as if it were not there.
    pub(crate) fn new(receivers: Arc<Receivers>, apps: &[SyslogAppConfig]) -> Syslog {
        Syslog { receivers, apps: apps.iter().filter_map(SyslogAppConfig::app).collect() }
    }

    /// Reads one connection to its end.
    pub(crate) async fn serve_connection(self, connection: Connection) {
        let Connection { mut stream, peer, stopping, .. } = connection;
        let mut sending = self.sending(OVER_TCP, stopping);
        let mut frames = Frames::default();
        let from = peer.ip();
        let result = sending.read(from, &mut stream, &mut frames).await;
        if let Some(rest) = frames.rest() {
            sending.add(from, &rest.message);
        }
        sending.flush().await;
        if let Err(refusal) = result {
            tracing::debug!(%refusal, %peer, "a connection of syslog ended");
            sending.receivers.count(OVER_TCP, Some(SYSLOG_FORMAT.signal), Err(&refusal));
        }
        sending.wait_until_stored().await;
    }

    /// Reads datagrams until told to stop.
    pub(crate) async fn serve_datagrams(self, datagrams: Datagrams) {
        let Datagrams { socket, mut stopping, .. } = datagrams;
        let mut sending = self.sending(OVER_UDP, stopping.clone());
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        while !stopping.has_begun() {
            let readable = tokio::select! {
                readable = socket.readable() => readable,
                () = stopping.wait() => break,
            };
            if let Err(error) = readable {
                tracing::error!(%error, "read datagrams of syslog");
                break;
            }
            while sending.batch.bytes() < BATCH_BYTES_MAX && !sending.batch.is_full() {
                match socket.try_recv_from(&mut datagram) {
                    Ok((length, from)) => sending.add(from.ip(), &datagram[..length]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // What an earlier answer of ours would have met; we send none.
                    Err(error) => tracing::debug!(%error, "read a datagram of syslog"),
                }
            }
            sending.flush().await;
        }
        sending.wait_until_stored().await;
    }

    fn sending(self, receiver: &'static str, stopping: Stopping) -> Sending {
        let Syslog { receivers, apps } = self;
        let batch = Batch::new(apps, Tenant::default().shared());
        Sending { receivers, receiver, stopping, batch, peers: Vec::new(), by_tenant: HashMap::new() }
    }
}

impl Sending {
    /// Adds a message to the batch, and remembers who sent it.
    fn add(&mut self, from: IpAddr, message: &[u8]) {
        let Some(tenant) = self.batch.add(message) else { return };
        if self.peers.last().is_none_or(|(last, of)| *last != from || of != tenant) {
            self.peers.push((from, Arc::clone(tenant)));
        }
    }

    /// Reads messages until the peer ends or a stop does.
    ///
    /// # Errors
    /// Why it is not read on.
    async fn read(
        &mut self,
        from: IpAddr,
        stream: &mut (impl tokio::io::AsyncRead + Unpin),
        frames: &mut Frames,
    ) -> Result<(), Refusal> {
        let mut held = self.receivers.budget.take_when_free(READ_BYTES).await?;
        loop {
            self.wait_for_room().await;
            frames.buffer.reserve(READ_BYTES);
            let time_max = if frames.has_begun() { MESSAGE_TIME_MAX } else { SILENCE_MAX };
            let read = tokio::select! {
                read = tokio::time::timeout(time_max, stream.read_buf(&mut frames.buffer)) => read,
                () = self.stopping.wait() => return Ok(()),
            };
            match read {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Refusal::Undecodable(format!("the connection broke: {error}"))),
                Err(_) => return Err(Refusal::TimedOut("the rest of a message did not come in time")),
            }
            let told = self.take_framed(from, frames).await;
            pay_for(&mut held, frames.buffer.len() + READ_BYTES)?;
            told?;
        }
    }

    async fn take_framed(&mut self, from: IpAddr, frames: &mut Frames) -> Result<(), Refusal> {
        let told = loop {
            match frames.next() {
                Ok(Some(framed)) => self.add(from, &framed.message),
                Ok(None) => break Ok(()),
                Err(BrokenFraming) => {
                    break Err(Refusal::BrokenFrame("the length of a message is no number"));
                }
            }
            if self.batch.is_full() {
                self.flush().await;
            }
        };
        self.flush().await;
        told
    }

    /// Hands on what is in the batch. What cannot be taken is counted and lost.
    async fn flush(&mut self) {
        let senders = self.hear();
        for Lines { sender, tenant, bytes } in self.batch.take() {
            let of_tenant = Arc::clone(&tenant);
            let messages = self.by_tenant.entry(tenant).or_insert_with_key(|tenant| {
                let (receivers, tenant) = (Arc::clone(&self.receivers), Arc::clone(tenant));
                Unacknowledged::new(
                    receivers,
                    tenant,
                    self.receiver,
                    self.receiver,
                    &SYSLOG_FORMAT,
                    self.stopping.clone(),
                )
            });
            let handed = async {
                let tickets = messages.admit().await?.take_when_free(bytes.len()).await?;
                let message = Message { bytes, encoding: Encoding::Identity, tickets };
                let unpacked = messages.unpack(message).await?;
                messages.store(unpacked, Some(sender)).await
            };
            if let Err(refusal) = handed.await {
                tracing::debug!(%refusal, "lost messages of syslog");
                let senders = senders.iter().filter(|sender| sender.tenant == of_tenant);
                senders.for_each(|sender| self.receivers.senders.refuse(sender));
                self.receivers.count(self.receiver, Some(SYSLOG_FORMAT.signal), Err(&refusal));
            }
        }
    }

    /// Takes down who sent what is in the batch.
    fn hear(&mut self) -> Vec<SenderKey> {
        let mut peers = std::mem::take(&mut self.peers);
        peers.sort_unstable();
        peers.dedup();
        let sender = |(peer, tenant): (IpAddr, Arc<str>)| SenderKey {
            peer: peer.to_canonical().to_string().into(),
            tenant,
            signal: SYSLOG_FORMAT.signal.name(),
            source: SYSLOG_FORMAT.source,
        };
        let senders: Vec<_> = peers.into_iter().map(sender).collect();
        let now = self.receivers.clock.now();
        senders.iter().for_each(|sender| self.receivers.senders.hear(sender.clone(), "", now));
        senders
    }

    /// Returns when the store has room, or a stop has begun.
    async fn wait_for_room(&mut self) {
        while self.receivers.check_room().is_err() && !self.stopping.has_begun() {
            tokio::time::sleep(ROOM_POLL).await;
        }
    }

    async fn wait_until_stored(&mut self) {
        for messages in self.by_tenant.values_mut() {
            messages.wait_until_stored().await;
        }
    }
}

/// Takes so much that `held` pays for what is read and not told apart yet.
///
/// # Errors
/// The budget is used up; waiting for it while holding some of it could last for ever.
fn pay_for(held: &mut Tickets, bytes: usize) -> Result<(), Refusal> {
    if bytes > held.bytes() {
        held.grow(bytes - held.bytes())?;
    }
    Ok(())
}
