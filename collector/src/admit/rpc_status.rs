//! `google.rpc.Status` with its details, in protobuf and in JSON.
//!
//! OTLP wants every HTTP error body to be this message and every back-pressure answer over gRPC to carry
//! `RetryInfo` inside it. Three small messages are written by hand here, because the generated crates for
//! them bring all of googleapis.
//!
//! Source: google/rpc/status.proto, google/rpc/error_details.proto (`RetryInfo`, `BadRequest`); OTLP 1.11,
//! "Failures". Limits: a message is cut at [`MESSAGE_BYTES_MAX`].

use std::time::Duration;

use prost::Message;
use serde_json::{Value, json};

/// The longest message in bytes: it travels in a header of gRPC answers, which proxies limit to a few KiB,
/// and OTLP 1.11 wants answers small.
pub const MESSAGE_BYTES_MAX: usize = 1024;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// What an error answer says beyond its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// The export may be sent again after this long. Its absence forbids a retry of RESOURCE_EXHAUSTED.
    Retry(Duration),
    /// The export itself is wrong.
    BadRequest { description: String },
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<DurationMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct DurationMessage {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

/// The protobuf form of a status.
pub fn to_protobuf(code: i32, message: &str, detail: Option<&Detail>) -> Vec<u8> {
    let details = detail.map(any_of).into_iter().collect();
    Status { code, message: message.to_owned(), details }.encode_to_vec()
}

/// The JSON form of a status (proto3 JSON: `Any` carries `@type`, a duration is text in seconds).
pub fn to_json(code: i32, message: &str, detail: Option<&Detail>) -> Vec<u8> {
    let mut status = json!({ "code": code, "message": message });
    if let Some(detail) = detail {
        status["details"] = Value::Array(vec![json_of(detail)]);
    }
    status.to_string().into_bytes()
}

/// `message` cut to [`MESSAGE_BYTES_MAX`] at a character.
pub fn cut(mut message: String) -> String {
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    message.truncate(end);
    message
}

fn any_of(detail: &Detail) -> Any {
    match detail {
        Detail::Retry(delay) => {
            let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
            let nanos = i32::try_from(delay.subsec_nanos()).expect("less than 10^9");
            let info = RetryInfo { retry_delay: Some(DurationMessage { seconds, nanos }) };
            Any { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() }
        }
        Detail::BadRequest { description } => {
            let violation = FieldViolation { field: String::new(), description: description.clone() };
            let bad = BadRequest { field_violations: vec![violation] };
            Any { type_url: BAD_REQUEST.to_owned(), value: bad.encode_to_vec() }
        }
    }
}

fn json_of(detail: &Detail) -> Value {
    match detail {
        Detail::Retry(delay) => {
            json!({ "@type": RETRY_INFO, "retryDelay": format!("{}s", delay.as_secs_f64()) })
        }
        Detail::BadRequest { description } => {
            json!({ "@type": BAD_REQUEST, "fieldViolations": [{ "description": description }] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_info_has_the_bytes_of_its_proto() {
        // Status: field 1 = 14, field 2 = "m", field 3 = Any. Any: field 1 = type url (40 bytes), field 2 =
        // RetryInfo. RetryInfo: field 1 = Duration: field 1 = 2 (seconds). Lengths: 4 = 2 + 2, 48 = 42 + 6.
        let status = to_protobuf(14, "m", Some(&Detail::Retry(Duration::from_secs(2))));
        let want = [
            b"\x08\x0e\x12\x01m\x1a\x30\x0a\x28".as_slice(),
            b"type.googleapis.com/google.rpc.RetryInfo",
            b"\x12\x04\x0a\x02\x08\x02",
        ];
        assert_eq!(status, want.concat());
    }

    #[test]
    fn json_follows_the_proto3_mapping() {
        let retry = to_json(14, "busy", Some(&Detail::Retry(Duration::from_millis(1500))));
        let want = r#"{"code":14,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}],"message":"busy"}"#;
        assert_eq!(String::from_utf8_lossy(&retry), want);
        let bad = to_json(3, "no", Some(&Detail::BadRequest { description: "why".to_owned() }));
        let bad: Value = serde_json::from_slice(&bad).expect("JSON");
        assert_eq!(bad["details"][0]["fieldViolations"][0]["description"], "why");
        assert_eq!(to_json(5, "x", None), br#"{"code":5,"message":"x"}"#);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(cut("a".repeat(MESSAGE_BYTES_MAX)).len(), MESSAGE_BYTES_MAX);
        assert_eq!(cut("a".repeat(MESSAGE_BYTES_MAX + 1)).len(), MESSAGE_BYTES_MAX);
        // 1,024 is no multiple of 3, the length of this character.
        assert_eq!(cut("€".repeat(400)).len(), 1023);
    }
}
