//! Envoy's access log service (ALS) v3: one endless stream of log messages per Envoy worker.
//!
//! The protocol has no acknowledgement: Envoy forgets what it has written to the socket, and drops what it
//! cannot write once 16 KiB wait. HTTP/2 flow control makes it wait when the stream is not read on. What ends a stream
//! is counted by its reason, such as a store without room; Envoy opens it anew with its next flush, a second
//! later.
//!
//! Who the proxy is comes with the first message of a stream; balancers that mix streams repeat it on
//! others, so it is taken from whichever message has it.
//!
//! Source: envoy/service/accesslog/v3/als.proto.

use std::sync::Arc;

use http::Response;

use super::{Call, Port, Route, Unacknowledged, caught, check_grpc_head};
use crate::admit::ReplyBody;
use crate::admit::answer;
use crate::admit::frame::{FrameReader, Message};
use crate::admit::headers::grpc_encoding_of;
use crate::admit::refusal::Refusal;
use crate::decode::Sender;
use crate::decode::envoy_als::{FORMAT, decode_identifier};

/// The receiver's name in metrics.
const RECEIVER: &str = "envoy_als";

pub(super) static ROUTES: [Route; 1] = [Route {
    port: Port::Grpc,
    path: "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
    formats: &[("application/grpc", &FORMAT)],
    receive: |call| Box::pin(receive(call)),
}];

async fn receive(call: Call) -> Response<ReplyBody> {
    let receivers = Arc::clone(&call.receivers);
    match caught(take_in(call)).await {
        Ok(()) => answer::grpc(&[]),
        // The messages of a stream are counted one by one, and so is what ends it. A refused Envoy opens its
        // streams anew every second, which must not fill the log.
        Err(refusal) => {
            tracing::debug!(%refusal, "access log stream ended");
            receivers.count(RECEIVER, Some(FORMAT.signal), Err(&refusal));
            refusal.into_grpc()
        }
    }
}

/// Takes in one stream until its sender ends it.
///
/// Cancel: what was taken in becomes durable all the same, and is counted when it is.
async fn take_in(call: Call) -> Result<(), Refusal> {
    let Call { receivers, route, request, caller } = call;
    let (head, body) = request.into_parts();
    check_grpc_head(&receivers, &head)?;
    let tenant = caller.principal?.tenant.shared();
    let encoding = grpc_encoding_of(&head.headers)?;
    let mut reader = FrameReader::new(body, encoding, &receivers.export_bytes_max);
    let mut stopping = caller.stopping;
    let messages =
        Unacknowledged::new(Arc::clone(&receivers), tenant, RECEIVER, route.path, &FORMAT, stopping.clone());
    let mut stream = Stream { proxy: None, messages };
    let result = loop {
        let next = async { reader.next(&stream.messages.admit().await?).await };
        let next = tokio::select! {
            next = next => next,
            () = stopping.wait() => Err(Refusal::Draining),
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
    stream.messages.wait_until_stored().await;
    result
}

struct Stream {
    /// Who sends; known from the first message on.
    proxy: Option<Arc<Sender>>,
    messages: Unacknowledged,
}

impl Stream {
    /// Stores one message.
    async fn take(&mut self, message: Message) -> Result<(), Refusal> {
        let unpacked = self.messages.unpack(message).await?;
        if let Some(proxy) = decode_identifier(&unpacked.bytes)? {
            self.proxy = Some(Arc::new(Sender::Proxy(proxy)));
        }
        let unknown = || Refusal::Undecodable("the first message of a stream has no identifier".to_owned());
        let proxy = self.proxy.clone().ok_or_else(unknown)?;
        self.messages.store(unpacked, Some(proxy)).await
    }
}
