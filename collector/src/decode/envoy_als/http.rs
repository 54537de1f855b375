//! `HTTPRequestProperties` and `HTTPResponseProperties`.
//!
//! Source: envoy/data/accesslog/v3/accesslog.proto. Two facts hide in headers that an operator may have
//! logged: `grpc-status` (in the trailers; in the headers of a response that has nothing else) and
//! `traceparent` (W3C Trace Context, level 1), whose parent id is this proxy's own span.

use std::borrow::Cow;

use super::fields::{Texts, map_entry, wrapped_u32};
use crate::normalize::requests::facts::{RequestFacts, TraceContext};
use crate::protobuf::wire::{Fields, WireError};
use crate::row_attributes::RowAttributes;

/// What is known only when both messages have been read.
#[derive(Debug, Default)]
pub(super) struct Http {
    /// Request headers as received, upstream header bytes sent, downstream header bytes received.
    request_bytes: [Option<u64>; 3],
    /// Response headers as sent, upstream header bytes received, downstream header bytes sent.
    response_bytes: [Option<u64>; 3],
    grpc_status_header: Option<i32>,
    grpc_status_trailer: Option<i32>,
    trace_flags: Option<u8>,
}

impl Http {
    pub(super) fn read_request<'a>(
        &mut self,
        message: &'a [u8],
        seen: &mut RequestFacts<'a>,
        texts: &mut Texts,
        attributes: &mut RowAttributes,
    ) -> Result<(), WireError> {
        let (mut path, mut original_path): (Cow<'a, str>, Cow<'a, str>) = Default::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => seen.method = method(value.varint(1)?).into(),
                (2, value) => seen.scheme = texts.read(value.bytes(2)?),
                (3, value) => seen.authority = texts.read(value.bytes(3)?),
                (4, value) => attributes.push_int("port", u64::from(wrapped_u32(value.bytes(4)?)?)),
                (5, value) => path = texts.read(value.bytes(5)?),
                (6, value) => seen.user_agent = texts.read(value.bytes(6)?),
                (7, value) => attributes.push_text("", "referer", &texts.read(value.bytes(7)?)),
                (8, value) => seen.forwarded_for = texts.read(value.bytes(8)?),
                (9, value) => seen.request_id = texts.read(value.bytes(9)?),
                (10, value) => original_path = texts.read(value.bytes(10)?),
                (11, value) => self.request_bytes[0] = Some(value.varint(11)?),
                (12, value) => seen.request_bytes = value.varint(12)?,
                (13, value) => self.read_request_header(value.bytes(13)?, seen, texts, attributes)?,
                (14, value) => self.request_bytes[1] = Some(value.varint(14)?),
                (15, value) => self.request_bytes[2] = Some(value.varint(15)?),
                _ => {}
            }
        }
        // The original path is there only when the request was rewritten.
        if original_path.is_empty() {
            seen.path = path;
        } else {
            attributes.push_text("", "rewritten_path", &path);
            seen.path = original_path;
        }
        Ok(())
    }

    fn read_request_header(
        &mut self,
        entry: &[u8],
        seen: &mut RequestFacts<'_>,
        texts: &mut Texts,
        attributes: &mut RowAttributes,
    ) -> Result<(), WireError> {
        let (name, header) = map_entry(entry)?;
        if name == b"traceparent"
            && let Some((context, flags)) = parse_traceparent(header)
        {
            seen.trace_context = Some(context);
            self.trace_flags = Some(flags);
            return Ok(());
        }
        attributes.push_text("request_header.", &texts.read(name), &texts.read(header));
        Ok(())
    }

    pub(super) fn read_response<'a>(
        &mut self,
        message: &'a [u8],
        seen: &mut RequestFacts<'a>,
        texts: &mut Texts,
        attributes: &mut RowAttributes,
    ) -> Result<(), WireError> {
        for field in Fields::new(message) {
            let (number, value) = field?;
            match number {
                // A code of 0 stands for none sent, like an absent one.
                1 => {
                    let code = i32::try_from(wrapped_u32(value.bytes(1)?)?).unwrap_or_default();
                    seen.response_code = (code != 0).then_some(code);
                }
                2 => self.response_bytes[0] = Some(value.varint(2)?),
                3 => seen.response_bytes = value.varint(3)?,
                4 | 5 => {
                    let (name, header) = map_entry(value.bytes(number)?)?;
                    let (prefix, status) = match number {
                        4 => ("response_header.", &mut self.grpc_status_header),
                        _ => ("response_trailer.", &mut self.grpc_status_trailer),
                    };
                    let header = texts.read(header);
                    if name == b"grpc-status" {
                        *status = header.parse().ok();
                    }
                    attributes.push_text(prefix, &texts.read(name), &header);
                }
                6 => seen.response_code_details = texts.read(value.bytes(6)?),
                7 => self.response_bytes[1] = Some(value.varint(7)?),
                8 => self.response_bytes[2] = Some(value.varint(8)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Byte counts that have no column, with their names in the attribute `bytes`.
    pub(super) fn header_bytes(&self) -> [(&'static str, Option<u64>); 6] {
        [
            ("request_headers", self.request_bytes[0]),
            ("upstream_headers_sent", self.request_bytes[1]),
            ("downstream_headers_received", self.request_bytes[2]),
            ("response_headers", self.response_bytes[0]),
            ("upstream_headers_received", self.response_bytes[1]),
            ("downstream_headers_sent", self.response_bytes[2]),
        ]
    }

    pub(super) fn finish(self, seen: &mut RequestFacts<'_>, attributes: &mut RowAttributes) {
        seen.grpc_status = self.grpc_status_trailer.or(self.grpc_status_header);
        if let Some(flags) = self.trace_flags {
            attributes.push_text("", "trace_flags", &format!("{flags:02x}"));
        }
    }
}

fn method(number: u64) -> &'static str {
    match number {
        1 => "GET",
        2 => "HEAD",
        3 => "POST",
        4 => "PUT",
        5 => "DELETE",
        6 => "CONNECT",
        7 => "OPTIONS",
        8 => "TRACE",
        9 => "PATCH",
        _ => "",
    }
}

/// Reads `<version>-<trace id>-<parent id>-<flags>`; later versions may go on after the flags.
fn parse_traceparent(header: &[u8]) -> Option<(TraceContext, u8)> {
    let mut parts = header.split(|byte| *byte == b'-');
    let [version]: [u8; 1] = hex(parts.next()?)?;
    let (trace_id, span_id) = (hex(parts.next()?)?, hex(parts.next()?)?);
    let [flags] = hex(parts.next()?)?;
    let whole = version != 0 || parts.next().is_none();
    let valid = version != 0xff && trace_id != [0; 16] && span_id != [0; 8];
    (whole && valid).then_some((TraceContext { trace_id, span_id }, flags))
}

/// `N` bytes from lower-case hex digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents_by_the_specification() {
        // The example of W3C Trace Context, 3.2.
        let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (context, flags) = parse_traceparent(example.as_bytes()).expect("valid");
        assert_eq!((context.trace_id[0], context.trace_id[15]), (0x4b, 0x36));
        assert_eq!((context.span_id[0], context.span_id[7], flags), (0x00, 0xb7, 1));
        let later = example.replacen("00-", "01-", 1) + "-more";
        assert!(parse_traceparent(later.as_bytes()).is_some(), "later versions may add parts");
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse_traceparent(bad.as_bytes()), None, "{bad}");
        }
    }
}
