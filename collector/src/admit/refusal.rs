//! The one status map: why an export is refused, and what that is over gRPC and over HTTP.
//!
//! Codes decide what a client does: a wrong one makes it drop good data (INTERNAL for a full disk) or send
//! bad data for ever (OUT_OF_RANGE for an export that will never fit). So no other file names a code. The
//! rule behind the table: causes that pass are UNAVAILABLE / 503 with a delay, causes that stay are never
//! retryable, and RESOURCE_EXHAUSTED never carries `RetryInfo` because here it means "too large".
//!
//! Source: OTLP 1.11 "Failures", "OTLP/gRPC Response" and "OTLP/HTTP Response"; the gRPC over HTTP/2
//! protocol (framing errors are INTERNAL, an unknown coding is UNIMPLEMENTED with grpc-accept-encoding).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full};
use meshlake_schema::tenant::TenantError;
use meshlake_store::group::AppendError;
use thiserror::Error;

use super::ReplyBody;
use super::media::MediaType;
use super::rpc_status::{self, Detail};
use crate::intake::{NotStored, OverBudget};
use crate::protobuf::wire::WireError;

/// Bounds of a delay that was measured, in whole seconds as Retry-After has them. Less than one cannot be said
/// there; after 30 s of waiting clients drop what they hold (the OpenTelemetry SDKs after 64 s in all).
const DELAY_MIN: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(30);

/// How long a client waits when the disk failed: a full or faulty disk does not mend within a second.
const DISK_DELAY: Duration = Duration::from_secs(5);

/// How long a client waits when this process is stopping: about the time that a restart takes.
const DRAIN_DELAY: Duration = Duration::from_secs(2);

/// How long a client waits after a bug was hit, so that an export which hits it every time costs little.
const PANIC_DELAY: Duration = Duration::from_secs(10);

/// Codes of google.rpc.Code that a refusal can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcCode {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

/// Why an export as a whole is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The bytes are not what they claim to be. The sender's fault.
    #[error("cannot be decoded: {0}")]
    Undecodable(String),
    /// The sender's fault.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// More bytes than an export may have: as sent, after inflating, in columns, or in memory altogether. The sender's
    /// fault.
    #[error("the export is larger than {limit_bytes} bytes {when}")]
    TooLarge { limit_bytes: usize, when: &'static str },
    /// No such path or method. The sender's fault.
    #[error("no such path: {path}; this port takes {known}")]
    UnknownPath { path: String, known: String },
    /// The sender's fault.
    #[error("method {0} is not allowed, use POST")]
    WrongVerb(String),
    /// The sender's fault.
    #[error("content type {found:?} is not supported, use {expected}")]
    WrongMediaType { found: String, expected: String },
    /// What is sent belongs to another port. The sender's fault.
    #[error("this port takes {here}; {sent} is taken on port {port}")]
    WrongPort { here: &'static str, sent: &'static str, port: u16 },
    /// A service that health is asked of and that is not here. The caller's fault.
    #[error("no such service: {0}")]
    UnknownService(String),
    /// The sender's fault.
    #[error("content coding {found:?} is not supported, use {accepted}")]
    UnknownEncoding { found: String, accepted: &'static str },
    /// Some of an export could not be stored, told to a sender who knows no partial success. The sender's fault.
    #[error("{0}")]
    PartlyRejected(String),
    /// The length-prefixed framing of gRPC is broken. The sender's fault.
    #[error("broken gRPC frame: {0}")]
    BrokenFrame(&'static str),
    /// The tenant uses more than its quota. Its own doing; passes after the time given.
    #[error("the tenant is over its quota")]
    OverQuota(Duration),
    /// Too many bytes are in flight. Ours; passes.
    #[error("too many bytes in flight: {0}")]
    Overloaded(OverBudget),
    /// The store has more rows in memory than it may, because files are not written fast enough. Ours;
    /// passes when one is written, which takes about the time given.
    #[error("the store has no room for more rows now")]
    StoreFull(Duration),
    /// The disk has no room for more rows. Ours; passes when somebody makes room, without a restart.
    #[error("the disk has no room for more rows now")]
    DiskFull,
    /// The rows could not be made durable. Ours; may pass.
    #[error("not stored: {0}")]
    NotDurable(AppendError),
    /// The process is stopping. Passes with the next start.
    #[error("the collector is stopping")]
    Draining,
    /// The body did not arrive, or the disk did not answer, in time. May pass.
    #[error("timed out: {0}")]
    TimedOut(&'static str),
    /// A bug. Nothing was stored.
    #[error("internal error, nothing was stored")]
    Panicked,
}

impl Refusal {
    pub fn grpc_code(&self) -> GrpcCode {
        match self {
            Refusal::Undecodable(_) | Refusal::Tenant(_) | Refusal::PartlyRejected(_) => {
                GrpcCode::InvalidArgument
            }
            Refusal::TooLarge { .. } => GrpcCode::ResourceExhausted,
            Refusal::UnknownPath { .. }
            | Refusal::WrongVerb(_)
            | Refusal::WrongMediaType { .. }
            | Refusal::WrongPort { .. }
            | Refusal::UnknownEncoding { .. } => GrpcCode::Unimplemented,
            Refusal::UnknownService(_) => GrpcCode::NotFound,
            Refusal::BrokenFrame(_) => GrpcCode::Internal,
            Refusal::OverQuota(_)
            | Refusal::Overloaded(_)
            | Refusal::StoreFull(_)
            | Refusal::DiskFull
            | Refusal::NotDurable(_)
            | Refusal::Draining
            | Refusal::Panicked => GrpcCode::Unavailable,
            Refusal::TimedOut(_) => GrpcCode::DeadlineExceeded,
        }
    }

    pub fn http_status(&self) -> StatusCode {
        match self {
            Refusal::Undecodable(_)
            | Refusal::Tenant(_)
            | Refusal::BrokenFrame(_)
            | Refusal::PartlyRejected(_) => StatusCode::BAD_REQUEST,
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnknownPath { .. } | Refusal::UnknownService(_) => StatusCode::NOT_FOUND,
            Refusal::WrongPort { .. } => StatusCode::MISDIRECTED_REQUEST,
            Refusal::WrongVerb(_) => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::WrongMediaType { .. } | Refusal::UnknownEncoding { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Refusal::OverQuota(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Overloaded(_)
            | Refusal::StoreFull(_)
            | Refusal::DiskFull
            | Refusal::NotDurable(_)
            | Refusal::Draining
            | Refusal::Panicked => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// How long to wait before sending the same export again; `None` where that is useless, or where the
    /// code alone says it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            // What is in flight now has been answered by then, if nothing changes.
            Refusal::Overloaded(over) => Some(whole_seconds(over.held)),
            Refusal::OverQuota(delay) | Refusal::StoreFull(delay) => Some(whole_seconds(*delay)),
            Refusal::NotDurable(_) | Refusal::DiskFull => Some(DISK_DELAY),
            Refusal::Draining => Some(DRAIN_DELAY),
            Refusal::Panicked => Some(PANIC_DELAY),
            _ => None,
        }
    }

    /// The refusal's name in metrics; one of a closed list.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Undecodable(_) => "undecodable",
            Refusal::Tenant(_) => "bad_tenant",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::UnknownPath { .. } => "unknown_path",
            Refusal::WrongVerb(_) => "wrong_verb",
            Refusal::WrongMediaType { .. } => "wrong_media_type",
            Refusal::WrongPort { .. } => "wrong_port",
            Refusal::UnknownService(_) => "unknown_service",
            Refusal::UnknownEncoding { .. } => "unknown_encoding",
            Refusal::PartlyRejected(_) => "partly_rejected",
            Refusal::BrokenFrame(_) => "broken_frame",
            Refusal::OverQuota(_) => "over_quota",
            Refusal::Overloaded(_) => "overloaded",
            Refusal::StoreFull(_) => "store_full",
            Refusal::DiskFull => "disk_full",
            Refusal::NotDurable(_) => "not_durable",
            Refusal::Draining => "draining",
            Refusal::TimedOut(_) => "timed_out",
            Refusal::Panicked => "panicked",
        }
    }

    /// The answer over gRPC: headers only, no message ("Trailers-Only"). A request that is not gRPC at all
    /// is answered as HTTP, as the gRPC protocol asks.
    pub fn into_grpc(self) -> Response<ReplyBody> {
        if matches!(self, Refusal::WrongVerb(_) | Refusal::WrongMediaType { .. }) {
            return self.into_http(MediaType::Json);
        }
        let mut response = Response::new(Empty::new().boxed());
        *response.headers_mut() = self.into_grpc_trailers();
        let content_type = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }

    /// What ends a stream of messages over gRPC.
    pub fn into_grpc_trailers(self) -> HeaderMap {
        let code = self.grpc_code() as i32;
        let message = rpc_status::cut(self.to_string());
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from(code));
        headers.insert("grpc-message", percent_encoded(&message));
        if let Some(detail) = self.detail() {
            let status = rpc_status::to_protobuf(code, &message, Some(&detail));
            let text = STANDARD_NO_PAD.encode(status);
            let value = HeaderValue::try_from(text).expect("base64 is ASCII");
            headers.insert("grpc-status-details-bin", value);
        }
        if let Refusal::UnknownEncoding { accepted, .. } = self {
            headers.insert("grpc-accept-encoding", HeaderValue::from_static(accepted));
        }
        headers
    }

    /// The answer over HTTP: a `google.rpc.Status` in the media type of the request.
    pub fn into_http(self, media_type: MediaType) -> Response<ReplyBody> {
        let code = self.grpc_code() as i32;
        let message = rpc_status::cut(self.to_string());
        let detail = self.detail();
        let body = match media_type {
            MediaType::Protobuf => rpc_status::to_protobuf(code, &message, detail.as_ref()),
            MediaType::Json => rpc_status::to_json(code, &message, detail.as_ref()),
        };
        self.respond(body, media_type.name())
    }

    /// The answer over HTTP to senders that log its body: one line of text.
    pub fn into_text(self) -> Response<ReplyBody> {
        let body = format!("{}\n", rpc_status::cut(self.to_string()));
        self.respond(body.into_bytes(), "text/plain; charset=utf-8")
    }

    fn respond(self, body: Vec<u8>, content_type: &'static str) -> Response<ReplyBody> {
        let mut response = Response::new(Full::new(Bytes::from(body)).boxed());
        *response.status_mut() = self.http_status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(delay) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
        }
        match self {
            Refusal::WrongVerb(_) => drop(headers.insert(header::ALLOW, HeaderValue::from_static("POST"))),
            Refusal::UnknownEncoding { accepted, .. } => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            }
            _ => {}
        }
        response
    }

    fn detail(&self) -> Option<Detail> {
        match self {
            Refusal::Undecodable(why) => {
                Some(Detail::BadRequest { description: rpc_status::cut(why.clone()) })
            }
            Refusal::Tenant(why) => Some(Detail::BadRequest { description: why.to_string() }),
            _ => self.retry_after().map(Detail::Retry),
        }
    }
}

impl From<OverBudget> for Refusal {
    fn from(over: OverBudget) -> Self {
        match over {
            // All of it would not be enough, now or later.
            OverBudget { wanted, limit, .. } if wanted > limit => {
                Refusal::TooLarge { limit_bytes: limit, when: "in memory" }
            }
            OverBudget { is_share: true, held, .. } => Refusal::OverQuota(held),
            over => Refusal::Overloaded(over),
        }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Refusal::Undecodable(error.to_string())
    }
}

impl From<NotStored> for Refusal {
    fn from(error: NotStored) -> Self {
        match error {
            NotStored::Append(AppendError::Closed) | NotStored::Stopping => Refusal::Draining,
            NotStored::Append(AppendError::DiskFull(_)) => Refusal::DiskFull,
            NotStored::Append(error) => Refusal::NotDurable(error),
            NotStored::Undecodable(why) => Refusal::Undecodable(why),
        }
    }
}

/// A delay that was measured, as it can be said.
fn whole_seconds(delay: Duration) -> Duration {
    Duration::from_secs(delay.as_secs_f64().ceil() as u64).clamp(DELAY_MIN, DELAY_MAX)
}

/// A gRPC message as a header value: everything outside printable ASCII, and `%`, is written as `%XX`.
/// Source: gRPC over HTTP/2, "Percent-Encoded".
fn percent_encoded(message: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                encoded.push('%');
                encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
                encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    HeaderValue::try_from(encoded).expect("printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::media::ACCEPTED_ENCODINGS;

    fn over() -> OverBudget {
        OverBudget { wanted: 2, free: 1, limit: 2, is_share: false, held: Duration::ZERO }
    }

    /// Every refusal: gRPC code, HTTP status, retry.
    #[test]
    fn the_map_is_the_law() {
        let disk = || AppendError::Disk("no space".to_owned());
        let cases = [
            (Refusal::Undecodable(String::new()), 3, 400, false),
            (Refusal::Tenant(TenantError::Empty), 3, 400, false),
            (Refusal::PartlyRejected(String::new()), 3, 400, false),
            (Refusal::TooLarge { limit_bytes: 1, when: "as sent" }, 8, 413, false),
            (Refusal::UnknownPath { path: "/x".to_owned(), known: "/y".to_owned() }, 12, 404, false),
            (Refusal::WrongVerb("GET".to_owned()), 12, 405, false),
            (Refusal::WrongMediaType { found: String::new(), expected: String::new() }, 12, 415, false),
            (
                Refusal::UnknownEncoding { found: "br".to_owned(), accepted: ACCEPTED_ENCODINGS },
                12,
                415,
                false,
            ),
            (Refusal::WrongPort { here: "", sent: "", port: 1 }, 12, 421, false),
            (Refusal::UnknownService("x".to_owned()), 5, 404, false),
            (Refusal::BrokenFrame("flag"), 13, 400, false),
            (Refusal::Overloaded(over()), 14, 503, true),
            (Refusal::OverQuota(Duration::ZERO), 14, 429, true),
            (Refusal::StoreFull(Duration::ZERO), 14, 503, true),
            (Refusal::DiskFull, 14, 503, true),
            (Refusal::NotDurable(disk()), 14, 503, true),
            (Refusal::Draining, 14, 503, true),
            (Refusal::Panicked, 14, 503, true),
            (Refusal::TimedOut("body"), 4, 504, false),
        ];
        for (refusal, code, status, retry) in cases {
            assert_eq!(refusal.grpc_code() as i32, code, "{refusal}");
            assert_eq!(refusal.http_status().as_u16(), status, "{refusal}");
            assert_eq!(refusal.retry_after().is_some(), retry, "{refusal}");
        }
    }

    #[test]
    fn a_measured_delay_is_whole_seconds_within_bounds() {
        for (measured_ms, want) in [(0, 1), (1_000, 1), (1_001, 2), (29_999, 30), (3_600_000, 30)] {
            let measured = Duration::from_millis(measured_ms);
            for refusal in [
                Refusal::StoreFull(measured),
                Refusal::from(OverBudget { held: measured, ..over() }),
                Refusal::from(OverBudget { held: measured, is_share: true, ..over() }),
            ] {
                assert_eq!(
                    refusal.retry_after(),
                    Some(Duration::from_secs(want)),
                    "{refusal}, {measured_ms} ms"
                );
            }
        }
    }

    /// 3 of 2 bytes are never free: to come back would be useless, whoever's budget it is.
    #[test]
    fn what_can_never_fit_is_too_large() {
        for is_share in [false, true] {
            let refusal = Refusal::from(OverBudget { wanted: 3, is_share, ..over() });
            assert_eq!(refusal, Refusal::TooLarge { limit_bytes: 2, when: "in memory" });
        }
    }

    #[test]
    fn only_a_passing_refusal_carries_retry_info() {
        let busy = Refusal::Overloaded(over()).into_grpc();
        let details = busy.headers().get("grpc-status-details-bin").expect("RetryInfo").as_bytes();
        let details = STANDARD_NO_PAD.decode(details).expect("base64 without padding");
        assert!(details.ends_with(b"google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x01"), "one second");
        let large = Refusal::TooLarge { limit_bytes: 1, when: "as sent" }.into_grpc();
        assert_eq!(large.headers()["grpc-status"], "8");
        assert!(!large.headers().contains_key("grpc-status-details-bin"));
    }

    #[test]
    fn http_answers_say_what_would_have_been_right() {
        let verb = Refusal::WrongVerb("GET".to_owned()).into_http(MediaType::Json);
        assert_eq!(verb.headers()["allow"], "POST");
        let coding = Refusal::UnknownEncoding { found: "br".to_owned(), accepted: ACCEPTED_ENCODINGS }
            .into_http(MediaType::Protobuf);
        assert_eq!(coding.headers()["accept-encoding"], "zstd, gzip, identity");
        assert_eq!(coding.headers()["content-type"], "application/x-protobuf");
        let busy = Refusal::Overloaded(over()).into_http(MediaType::Json);
        assert_eq!(busy.headers()["retry-after"], "1");
    }

    #[test]
    fn grpc_messages_are_percent_encoded() {
        // gRPC over HTTP/2: bytes outside 0x20-0x7e and '%' are %XX of their UTF-8.
        assert_eq!(percent_encoded("a b%\n\u{e9}"), "a b%25%0A%C3%A9");
    }
}
