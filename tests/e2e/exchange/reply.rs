//! What an answer says: a partial success, or a `google.rpc.Status`, read strictly.
//!
//! Every body is read with the definitions of the specification and not with the collector's types; what
//! should not be there is a fault as much as what is missing.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use serde_json::Value;

use super::send::Reply;
use super::signal::{Signal, Transport};

/// What is wrong with an answer, as text for whoever reads the test's output.
pub type Fault = String;

/// A `partial_success` that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    pub rejected: i64,
    pub message: String,
}

/// A `google.rpc.Status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: i32,
    pub message: String,
    /// Types of the details, without what is before the last slash.
    pub details: Vec<String>,
    pub retry_delay: Option<Duration>,
}

/// google/rpc/status.proto
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyMessage>,
}

/// google/protobuf/any.proto
#[derive(Clone, PartialEq, prost::Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// google/rpc/error_details.proto; the delay is a google.protobuf.Duration.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const RETRY_INFO: &str = "google.rpc.RetryInfo";

/// The partial success in an answer that must be a success; `None` when the answer says nothing at all.
///
/// # Errors
/// An answer that is no success, or not as the transport has it to the byte.
pub fn success(reply: &Reply, signal: Signal, transport: Transport) -> Result<Option<Partial>, Fault> {
    if reply.status != 200 {
        return Err(format!("status {} instead of 200: {}", reply.status, text(&reply.body)));
    }
    check_content_type(reply, transport.media_type())?;
    if reply.headers.contains_key("content-encoding") {
        return Err("a content coding that nobody asked for".to_owned());
    }
    if transport == Transport::Json {
        return json_partial(&reply.body, signal);
    }
    let message = match transport {
        Transport::Grpc => grpc_message(reply)?,
        _ => &reply.body,
    };
    let partial = protobuf_partial(message, signal)?;
    match partial.is_none() && !message.is_empty() {
        true => Err(format!("{message:02x?} instead of an empty message")),
        false => Ok(partial),
    }
}

/// The one message of a gRPC answer whose status is 0.
fn grpc_message(reply: &Reply) -> Result<&[u8], Fault> {
    let status = reply.trailers.get("grpc-status").or(reply.headers.get("grpc-status"));
    if status.is_none_or(|status| status.as_bytes() != b"0") {
        return Err(format!("grpc-status {status:?} instead of 0 ({:?})", reply.header("grpc-message")));
    }
    if reply.headers.contains_key("grpc-encoding") {
        return Err("a grpc-encoding that nobody asked for".to_owned());
    }
    match reply.body.split_at_checked(5) {
        Some(([0, length @ ..], message)) => {
            let length = length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
            (length == message.len())
                .then_some(message)
                .ok_or(format!("a frame of {length} that holds {}", message.len()))
        }
        _ => Err(format!("{:02x?} is no frame with flag 0", &reply.body[..])),
    }
}

fn protobuf_partial(message: &[u8], signal: Signal) -> Result<Option<Partial>, Fault> {
    let fault = |error: prost::DecodeError| format!("{message:02x?} is no export response: {error}");
    let partial = match signal {
        Signal::Traces => ExportTraceServiceResponse::decode(message)
            .map_err(fault)?
            .partial_success
            .map(|partial| (partial.rejected_spans, partial.error_message)),
        Signal::Metrics => ExportMetricsServiceResponse::decode(message)
            .map_err(fault)?
            .partial_success
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
        Signal::Logs => ExportLogsServiceResponse::decode(message)
            .map_err(fault)?
            .partial_success
            .map(|partial| (partial.rejected_log_records, partial.error_message)),
    };
    Ok(partial.map(|(rejected, message)| Partial { rejected, message }))
}

fn json_partial(body: &[u8], signal: Signal) -> Result<Option<Partial>, Fault> {
    if body == b"{}" {
        return Ok(None);
    }
    let fault = || format!("{} is no export response", text(body));
    let answer: Value = serde_json::from_slice(body).map_err(|_| fault())?;
    let members = answer.as_object().ok_or_else(fault)?;
    let partial = members.get("partialSuccess").and_then(Value::as_object).ok_or_else(fault)?;
    let known = ["errorMessage", signal.rejected_name()];
    if members.len() != 1 || partial.keys().any(|key| !known.contains(&key.as_str())) {
        return Err(fault());
    }
    // A 64-bit integer is a string in ProtoJSON; what is zero may be left out.
    let rejected = match partial.get(signal.rejected_name()) {
        None => 0,
        Some(Value::String(count)) => count.parse().map_err(|_| fault())?,
        Some(_) => return Err(format!("{} is not a string in {}", signal.rejected_name(), text(body))),
    };
    let message = partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Some(Partial { rejected, message }))
}

/// The status of a refusal over gRPC: "Trailers-Only", so everything is in the headers.
///
/// # Errors
/// An answer that is no refusal, or whose parts contradict each other.
pub fn grpc_refusal(reply: &Reply) -> Result<Status, Fault> {
    if reply.status != 200 {
        return Err(format!("HTTP status {} instead of 200: {}", reply.status, text(&reply.body)));
    }
    check_content_type(reply, Transport::Grpc.media_type())?;
    if !reply.body.is_empty() {
        return Err(format!("a message beside a refusal: {:02x?}", &reply.body[..]));
    }
    let status = tonic::Status::from_header_map(&reply.headers).ok_or("no grpc-status in the headers")?;
    let (code, message) = (i32::from(status.code()), status.message().to_owned());
    if code == 0 {
        return Err("grpc-status 0 instead of a refusal".to_owned());
    }
    if status.details().is_empty() {
        return Ok(Status { code, message, details: Vec::new(), retry_delay: None });
    }
    let details = protobuf_status(status.details())?;
    if (details.code, &details.message) != (code, &message) {
        return Err(format!("grpc-status-details-bin says {details:?}, the headers {code} {message:?}"));
    }
    Ok(details)
}

/// The status of a refusal over HTTP, in that media type.
///
/// # Errors
/// A body that is no `google.rpc.Status`, or one in another type.
pub fn http_refusal(reply: &Reply, media_type: &str) -> Result<Status, Fault> {
    check_content_type(reply, media_type)?;
    match media_type == Transport::Json.media_type() {
        true => json_status(&reply.body),
        false => protobuf_status(&reply.body),
    }
}

fn protobuf_status(bytes: &[u8]) -> Result<Status, Fault> {
    let fault = |error: prost::DecodeError| format!("{bytes:02x?} is no google.rpc.Status: {error}");
    let RpcStatus { code, message, details } = RpcStatus::decode(bytes).map_err(fault)?;
    let mut status = Status { code, message, details: Vec::new(), retry_delay: None };
    for detail in details {
        let name = detail_name(&detail.type_url)?;
        if name == RETRY_INFO {
            let info = RetryInfo::decode(detail.value.as_slice()).map_err(fault)?;
            let delay = info.retry_delay.ok_or("RetryInfo without a delay")?;
            let seconds = u64::try_from(delay.seconds).map_err(|_| "a negative delay")?;
            status.retry_delay = Some(Duration::new(seconds, u32::try_from(delay.nanos).unwrap_or_default()));
        }
        status.details.push(name);
    }
    Ok(status)
}

fn json_status(bytes: &[u8]) -> Result<Status, Fault> {
    let fault = || format!("{} is no google.rpc.Status", text(bytes));
    let value: Value = serde_json::from_slice(bytes).map_err(|_| fault())?;
    let code = value["code"].as_i64().and_then(|code| i32::try_from(code).ok()).ok_or_else(fault)?;
    let message = value["message"].as_str().ok_or_else(fault)?.to_owned();
    let mut status = Status { code, message, details: Vec::new(), retry_delay: None };
    for detail in value["details"].as_array().into_iter().flatten() {
        let name = detail_name(detail["@type"].as_str().ok_or_else(fault)?)?;
        if name == RETRY_INFO {
            // A google.protobuf.Duration is seconds with an "s" in ProtoJSON.
            let delay = detail["retryDelay"].as_str().and_then(|text| text.strip_suffix('s'));
            let seconds: f64 = delay.and_then(|text| text.parse().ok()).ok_or_else(fault)?;
            status.retry_delay = Some(Duration::from_secs_f64(seconds));
        }
        status.details.push(name);
    }
    Ok(status)
}

fn detail_name(type_url: &str) -> Result<String, Fault> {
    let name = type_url.strip_prefix("type.googleapis.com/");
    name.map(str::to_owned).ok_or(format!("{type_url} is no type of googleapis.com"))
}

fn check_content_type(reply: &Reply, want: &str) -> Result<(), Fault> {
    match reply.header("content-type") {
        Some(found) if found == want => Ok(()),
        found => Err(format!("content type {found:?} instead of {want}: {}", text(&reply.body))),
    }
}

/// The first bytes of a body, for messages.
pub fn text(body: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 300;
    String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]).into_owned()
}
