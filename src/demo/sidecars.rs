//! The proxies of the mesh: each with one long-lived access log stream, as Envoy keeps it.
//!
//! The stream opens with a proxy's first entry; only its first message says who is speaking. Entries are
//! sent with each tick rather than after Envoy's second. Envoy drops entries when a receiver is slow; these
//! proxies wait instead, because the truth must be what arrived.
//! Limit: the protocol has no acknowledgement before the stream ends, so what was sent is known to be accepted only
//! when [`Sidecars::finish`] returns.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::access_log;
use super::envoy_messages::{
    HttpAccessLogEntries, HttpAccessLogEntry, Identifier, STREAM_ACCESS_LOGS, StreamAccessLogsMessage,
    StreamAccessLogsResponse,
};
use super::mesh::{Instance, InstanceId, Mesh};
use super::model::Visit;
use super::proxy_identity;

/// Entries of one message: about 64 KiB, the size of the messages that real Envoys sent under load.
const MESSAGE_ENTRIES_MAX: usize = 64;
/// Messages that wait for a stream before the mesh waits.
const QUEUED_MESSAGES_MAX: usize = 16;
/// A receiver that takes no message for this long, or does not end the stream, is taken for dead.
const STALL_MAX: Duration = Duration::from_secs(30);

/// All proxies.
pub struct Sidecars {
    mesh: Mesh,
    /// In the order of the mesh's pods; none of one that is gone.
    proxies: Vec<Option<Proxy>>,
}

impl Sidecars {
    pub fn new(mesh: &Mesh, channel: &Channel) -> Self {
        let mut sidecars = Sidecars { mesh: mesh.clone(), proxies: Vec::new() };
        sidecars.join(mesh, channel);
        sidecars
    }

    /// Takes in the proxies of the pods that are new in `mesh`.
    pub fn join(&mut self, mesh: &Mesh, channel: &Channel) {
        let new = &mesh.instances()[self.proxies.len()..];
        self.proxies.extend(new.iter().map(|instance| Some(Proxy::new(instance, channel.clone()))));
        self.mesh = mesh.clone();
    }

    /// Ends the stream of a pod that is gone.
    ///
    /// # Errors
    /// When it broke: some of its entries may not have been accepted.
    pub async fn leave(&mut self, pod: InstanceId) -> anyhow::Result<()> {
        let Some(mut proxy) = self.proxies[pod].take() else { return Ok(()) };
        proxy.flush().await?;
        proxy.finish().await
    }

    /// Takes the entries of a visit that started at `start` (nanoseconds since the epoch) and gives back
    /// how many there are. They are sent by the next [`Sidecars::flush`].
    pub fn log(&mut self, visit: &Visit, start: i64) -> u64 {
        let entries = access_log::entries(&self.mesh, visit, start);
        let count = entries.len() as u64;
        for (instance, entry) in entries {
            let proxy = self.proxies[instance].as_mut();
            proxy.expect("pods stay until their last visit has ended").waiting.push(entry);
        }
        count
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// When a stream broke or stalled.
    ///
    /// cancel: entries already handed to a stream are sent, the others are lost.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        for proxy in self.proxies.iter_mut().flatten() {
            proxy.flush().await?;
        }
        Ok(())
    }

    /// Sends what waits, ends the streams and waits until the receiver has confirmed each end.
    ///
    /// # Errors
    /// When a stream broke: some of its entries may not have been accepted.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        self.flush().await?;
        for proxy in self.proxies.into_iter().flatten() {
            proxy.finish().await?;
        }
        Ok(())
    }
}

/// One proxy and its stream.
struct Proxy {
    pod: String,
    identifier: Identifier,
    channel: Channel,
    waiting: Vec<HttpAccessLogEntry>,
    stream: Option<Stream>,
}

struct Stream {
    messages: mpsc::Sender<StreamAccessLogsMessage>,
    call: JoinHandle<Result<(), Status>>,
}

impl Proxy {
    fn new(instance: &Instance, channel: Channel) -> Self {
        let identifier = proxy_identity::identifier(instance);
        Proxy { pod: instance.pod.clone(), identifier, channel, waiting: Vec::new(), stream: None }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        while !self.waiting.is_empty() {
            let taken = self.waiting.len().min(MESSAGE_ENTRIES_MAX);
            let log_entry = self.waiting.drain(..taken).collect();
            let opens = self.stream.is_none();
            let message = StreamAccessLogsMessage {
                identifier: opens.then(|| self.identifier.clone()),
                http_logs: Some(HttpAccessLogEntries { log_entry }),
            };
            let stream = self.stream.get_or_insert_with(|| Stream::open(self.channel.clone()));
            let sent = tokio::time::timeout(STALL_MAX, stream.messages.send(message)).await;
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(self.broken().await),
                Err(_) => return Err(anyhow!("the access log stream of {} stalls", self.pod)),
            }
        }
        Ok(())
    }

    /// Why the stream no longer takes messages.
    async fn broken(&mut self) -> anyhow::Error {
        let Some(stream) = self.stream.take() else { return anyhow!("no stream") };
        let why = match stream.call.await {
            Ok(Ok(())) => "the receiver ended it".to_owned(),
            Ok(Err(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        anyhow!("the access log stream of {} broke: {why}", self.pod)
    }

    async fn finish(self) -> anyhow::Result<()> {
        let Some(Stream { messages, call }) = self.stream else { return Ok(()) };
        drop(messages);
        let what = || format!("end the access log stream of {}", self.pod);
        tokio::time::timeout(STALL_MAX, call).await.with_context(what)?.with_context(what)?.with_context(what)
    }
}

impl Stream {
    fn open(channel: Channel) -> Self {
        let (messages, waiting) = mpsc::channel(QUEUED_MESSAGES_MAX);
        let call = tokio::spawn(async move {
            let mut client = Grpc::new(channel);
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let codec = ProstCodec::<StreamAccessLogsMessage, StreamAccessLogsResponse>::default();
            let path = PathAndQuery::from_static(STREAM_ACCESS_LOGS);
            let messages = Request::new(ReceiverStream::new(waiting));
            client.client_streaming(messages, path, codec).await.map(|_response| ())
        });
        Stream { messages, call }
    }
}
