//! OTLP over HTTP: POST of protobuf or JSON to `/v1/traces`, `/v1/logs` and `/v1/metrics`.
//!
//! HTTP/1.1 and HTTP/2 without TLS share the port; the answer is in the media type of the request. A refused
//! HTTP/1.1 request is read on for a while and thrown away, because closing a socket with unread bytes makes
//! the kernel reset it and the sender then never sees why it was refused.
//!
//! Source: OTLP 1.11 "OTLP/HTTP"; RFC 9112, 9.6 (lingering before a close).

use std::time::Duration;

use http::{Method, Request, Version};
use hyper::body::Incoming;

use super::{Read, Receivers, message_of};
use crate::admit::body::{Chunks, read_body};
use crate::admit::media::{Encoding, MediaType};
use crate::admit::refusal::Refusal;
use crate::admit::tenant::tenant_of;
use crate::admit::unpack::Packed;
use crate::ledger::{Signal, Source};

/// How long the rest of a refused body is read on; nginx's `lingering_timeout` has the same value.
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// How much of it: twice the default size limit, so that a body somewhat too large hears its 413.
const LINGER_BYTES_MAX: usize = 128 << 20;

/// The signal that is posted to `path`.
pub(super) fn signal_of(path: &str) -> Option<Signal> {
    [Signal::Traces, Signal::Logs, Signal::Metrics].into_iter().find(|signal| path_of(*signal) == path)
}

/// Reads one export request. What is left of a refused one over HTTP/1.1 is read on in the background; the
/// answer should then close the connection.
pub(super) async fn read(
    receivers: &Receivers,
    signal: Option<Signal>,
    request: Request<Incoming>,
) -> Result<Read, Refusal> {
    let lingers = request.version() <= Version::HTTP_11;
    let (head, mut body) = request.into_parts();
    let read = read_parts(receivers, signal, &head, &mut body).await;
    if read.is_err() && lingers {
        tokio::spawn(linger(body));
    }
    read
}

async fn read_parts(
    receivers: &Receivers,
    signal: Option<Signal>,
    head: &http::request::Parts,
    body: &mut Incoming,
) -> Result<Read, Refusal> {
    let unknown = || Refusal::UnknownPath(head.uri.path().to_owned());
    let signal = signal.ok_or_else(unknown)?;
    let message = message_of(signal).ok_or_else(unknown)?;
    if head.method != Method::POST {
        return Err(Refusal::WrongVerb(head.method.to_string()));
    }
    let media_type = MediaType::of(&head.headers)?;
    let encoding = Encoding::of_http(&head.headers)?;
    let tenant = tenant_of(&head.headers)?;
    let budget = receivers.admit(&tenant)?;
    let limit_bytes = receivers.request_bytes_max();
    let (bytes, tickets) = read_body(body, limit_bytes, &budget).await?;
    receivers.quotas.charge(&tenant, bytes.len());
    let source = match media_type {
        MediaType::Protobuf => Source::OtlpHttpProtobuf,
        MediaType::Json => Source::OtlpHttpJson,
    };
    let packed = Packed { bytes, encoding, media_type, message, limit_bytes, tickets };
    Ok(Read { signal, source, path: path_of(signal), tenant, packed, answer_by: None })
}

/// Reads the rest of a body and throws it away, within bounds.
async fn linger(body: Incoming) {
    let mut chunks = Chunks::new(body);
    let reading = async {
        let mut bytes = 0;
        while bytes < LINGER_BYTES_MAX
            && let Ok(Some(chunk)) = chunks.next().await
        {
            bytes += chunk.len();
        }
    };
    // Whether it ended or was cut off makes no difference: the request has been answered.
    let _ = tokio::time::timeout(LINGER_TIME_MAX, reading).await;
}

/// Where `signal` is posted; access logs are not, in OTLP.
fn path_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Logs => "/v1/logs",
        Signal::Metrics => "/v1/metrics",
        Signal::Requests => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_paths_are_known_and_none_is_normalised() {
        assert_eq!(signal_of("/v1/traces"), Some(Signal::Traces));
        assert_eq!(signal_of("/v1/logs"), Some(Signal::Logs));
        assert_eq!(signal_of("/v1/metrics"), Some(Signal::Metrics));
        for path in
            ["", "/", "//v1/traces", "/v1/traces/", "/v1/%74races", "/v1/../v1/traces", "/v1/profiles"]
        {
            assert_eq!(signal_of(path), None, "{path}");
        }
    }
}
