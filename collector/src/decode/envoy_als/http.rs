//! `HTTPRequestProperties` and `HTTPResponseProperties`.
//!
//! Source: envoy/data/accesslog/v3/accesslog.proto. Two facts hide in headers that an operator may have
//! logged: `grpc-status` (in the trailers; in the headers of a response that has nothing else) and
//! `traceparent` (W3C Trace Context, level 1), whose parent id is this proxy's own span.

use std::borrow::Cow;

use super::fields::{Texts, map_entry, wrapped_u32};
use crate::columns::HEX;
use crate::normalize::requests::facts::RequestFacts;
use crate::normalize::requests::traceparent::parse_traceparent;
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
            attributes.push_with("", "trace_flags", |text, types| {
                text.extend(HEX[usize::from(flags)].map(char::from));
                types.push('s');
            });
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
