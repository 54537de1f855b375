//! From the bytes of a body to a payload that is safe to decode: inflated, in protobuf, valid throughout.
//!
//! All of it is computation on one request, so it runs in the handler's task and not in the one thread that
//! decodes for everybody; what would hold up the task's other connections runs on the blocking pool.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use super::inflate::inflate;
use super::media::{Encoding, MediaType};
use super::refusal::Refusal;
use crate::decode::otlp::json::{self, JsonError, transcode};
use crate::decode::otlp::unknown;
use crate::intake::Tickets;
use crate::protobuf::messages::Message;
use crate::protobuf::validate::validate;

/// Plain protobuf up to this many bytes is validated where it is: at several GB/s that is about 1 ms, the
/// longest that a task may keep its thread.
const INLINE_BYTES_MAX: usize = 4 << 20;

/// Bodies that are packed, or JSON, cost some ten times as much per byte on the wire, and at worst, inflating to a
/// thousand times their size, a hundred times more.
const INLINE_COSTLY_BYTES_MAX: usize = 16 << 10;

/// The most bytes that one request may take in columns beside its text. Rows of nothing but defaults, two bytes each on
/// the wire, would be 10 GB for the largest request; this is reached where its records have less than 100 to 200 bytes.
const COLUMN_BYTES_MAX: usize = 128 << 20;

/// A body as it was read.
pub struct Packed {
    pub bytes: Bytes,
    pub encoding: Encoding,
    pub media_type: MediaType,
    /// What the body is when it is protobuf.
    pub message: &'static Message,
    /// The most bytes after inflating.
    pub limit_bytes: usize,
    pub tickets: Tickets,
}

/// Valid wire bytes, and the tickets that pay for them and for what their rows take beyond that.
#[derive(Debug)]
pub struct Unpacked {
    pub bytes: Bytes,
    /// What the rows take in columns beside their text.
    pub column_bytes: usize,
    /// Where it has no records: the first field in their place that is not known.
    pub unknown: Option<unknown::UnknownField>,
    pub tickets: Tickets,
}

impl Packed {
    /// Unpacks, on the blocking pool when it would take long.
    ///
    /// # Errors
    /// [`Refusal::Undecodable`], [`Refusal::TooLarge`], [`Refusal::Overloaded`]; [`Refusal::Panicked`] for
    /// a bug.
    ///
    /// Cancel: the work goes on for nobody; the tickets are given back at its end.
    pub async fn unpack(self) -> Result<Unpacked, Refusal> {
        let costly = self.encoding != Encoding::Identity || self.media_type != MediaType::Protobuf;
        let inline_max = if costly { INLINE_COSTLY_BYTES_MAX } else { INLINE_BYTES_MAX };
        if self.bytes.len() <= inline_max {
            return self.unpack_here();
        }
        match tokio::task::spawn_blocking(|| self.unpack_here()).await {
            Ok(unpacked) => unpacked,
            Err(error) => {
                tracing::error!(%error, "bug: unpacking a request panicked");
                Err(Refusal::Panicked)
            }
        }
    }

    fn unpack_here(mut self) -> Result<Unpacked, Refusal> {
        let mut bytes = inflate(self.bytes, self.encoding, self.limit_bytes, &mut self.tickets)?;
        let json = (self.media_type == MediaType::Json).then(|| bytes.clone());
        if let Some(json) = &json {
            // Nearly always more than comes out.
            self.tickets.grow(bytes.len())?;
            let wire = transcode(json, self.message).map_err(|error| match error {
                JsonError::TooLarge => {
                    Refusal::TooLarge { limit_bytes: self.limit_bytes, when: "as protobuf" }
                }
                error => Refusal::Undecodable(error.to_string()),
            })?;
            self.tickets.grow(wire.len().saturating_sub(bytes.len()))?;
            bytes = wire.into();
        }
        let column_bytes = validate(&bytes, self.message)?;
        if column_bytes > COLUMN_BYTES_MAX {
            return Err(Refusal::TooLarge { limit_bytes: COLUMN_BYTES_MAX, when: "in columns" });
        }
        self.tickets.grow(column_bytes.saturating_sub(bytes.len()))?;
        // Every record takes some.
        let unknown = match json {
            _ if column_bytes > 0 => None,
            Some(json) => json::first_unknown(&json, self.message),
            None => unknown::first_unknown(&bytes, self.message),
        };
        Ok(Unpacked { bytes, column_bytes, unknown, tickets: self.tickets })
    }
}

/// What tells a request from every other: 128 bits over tenant, path and payload, for recognising a retry.
/// A zero byte, which neither tenant nor path can hold, ends each of them.
pub fn request_hash(tenant: &str, path: &str, payload: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    for text in [tenant, path] {
        hash.update(text.as_bytes());
        hash.update(&[0]);
    }
    hash.update(payload);
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::Budget;
    use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_TRACES};

    fn packed(bytes: &[u8], media_type: MediaType) -> Packed {
        Packed {
            bytes: Bytes::copy_from_slice(bytes),
            encoding: Encoding::Identity,
            media_type,
            message: &EXPORT_TRACES,
            limit_bytes: 100 << 20,
            tickets: Budget::new(1 << 30).take(bytes.len()).expect("free"),
        }
    }

    #[tokio::test]
    async fn valid_bytes_come_back_and_others_are_refused() {
        // ExportTraceServiceRequest: field 1 = an empty ResourceSpans.
        let unpacked = packed(b"\x0a\0", MediaType::Protobuf).unpack().await.expect("valid");
        assert_eq!(&unpacked.bytes[..], b"\x0a\0");
        let json = packed(br#"{"resourceSpans":[{}]}"#, MediaType::Json).unpack().await.expect("valid");
        assert_eq!(json.bytes[0], 0x0a);
        for (bytes, media_type) in [(b"\x0a".as_slice(), MediaType::Protobuf), (b"", MediaType::Json)] {
            let refused = packed(bytes, media_type).unpack().await.map(|_| ());
            assert!(matches!(refused, Err(Refusal::Undecodable(_))), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_large_body_is_unpacked_elsewhere_with_the_same_result() {
        // Field 15 (unknown), length-delimited, INLINE_BYTES_MAX bytes: 0x7a, then the length as a varint.
        let length = INLINE_BYTES_MAX as u32;
        let varint = [
            length as u8 | 0x80,
            (length >> 7) as u8 | 0x80,
            (length >> 14) as u8 | 0x80,
            (length >> 21) as u8,
        ];
        let bytes = [&[0x7a], varint.as_slice(), &vec![0; INLINE_BYTES_MAX]].concat();
        assert_eq!(
            packed(&bytes, MediaType::Protobuf).unpack().await.map(|u| u.bytes.len()),
            Ok(bytes.len())
        );
        let cut = &bytes[..bytes.len() - 1];
        assert!(packed(cut, MediaType::Protobuf).unpack().await.is_err());
    }

    /// LogRecords of nothing, two bytes each, are 180 in columns: 745,654 of them are within the limit, one more is not.
    #[tokio::test]
    async fn rows_are_paid_for_and_bounded() {
        let logs = |records: usize| {
            let counted = |tag: u8, inner: Vec<u8>| {
                let mut message = vec![tag];
                let mut length = inner.len();
                while length >= 0x80 {
                    message.push(length as u8 | 0x80);
                    length >>= 7;
                }
                message.push(length as u8);
                [message, inner].concat()
            };
            counted(0x0a, counted(0x12, b"\x12\0".repeat(records)))
        };
        let unpacked = |bytes: Vec<u8>| {
            let packed = Packed { message: &EXPORT_LOGS, ..packed(&bytes, MediaType::Protobuf) };
            packed.unpack()
        };
        let three = unpacked(logs(3)).await.expect("valid");
        assert_eq!((three.bytes.len(), three.column_bytes, three.tickets.bytes()), (10, 540, 540));
        let most = unpacked(logs(COLUMN_BYTES_MAX / 180)).await.map(|unpacked| unpacked.column_bytes);
        assert_eq!(most, Ok(745_654 * 180));
        let refused = unpacked(logs(COLUMN_BYTES_MAX / 180 + 1)).await.map(drop);
        assert_eq!(refused, Err(Refusal::TooLarge { limit_bytes: 128 << 20, when: "in columns" }));
    }

    #[test]
    fn the_hash_tells_tenant_path_and_body_apart() {
        let hashes = [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("a", "b", "d"), ("x", "b", "c")]
            .map(|(tenant, path, body)| request_hash(tenant, path, body.as_bytes()));
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash));
        }
        assert_eq!(request_hash("a", "b", b"c"), hashes[0]);
    }
}
