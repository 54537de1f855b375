//! From the bytes of a body to a payload that is safe to decode: inflated, rewritten where its format asks for it,
//! valid throughout.
//!
//! All of it is computation on one export, so it runs in the handler's task and not in the one thread that
//! decodes for everybody; what would hold up the task's other connections runs on the blocking pool.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use super::inflate::inflate;
use super::media::Encoding;
use super::refusal::Refusal;
use crate::decode::{Format, Unreadable, Valid};
use crate::intake::Tickets;

/// Bytes that are only looked at are validated where they are up to this many: at several GB/s that is about 1 ms, the
/// longest that a task may keep its thread.
const INLINE_BYTES_MAX: usize = 4 << 20;

/// Bodies that are packed, or rewritten, cost some ten times as much per byte on the wire, and at worst, inflating to a
/// thousand times their size, a hundred times more.
const INLINE_COSTLY_BYTES_MAX: usize = 16 << 10;

/// The most bytes that one export may take in columns beside its text. Rows of nothing but defaults, two bytes each on
/// the wire, would be 10 GB for the largest export; this is reached where its records have less than 100 to 200 bytes.
const COLUMN_BYTES_MAX: usize = 128 << 20;

/// A body as it was read.
pub struct Packed {
    pub bytes: Bytes,
    pub encoding: Encoding,
    /// What the body is when it is inflated.
    pub format: &'static Format,
    /// The most bytes after inflating.
    pub limit_bytes: usize,
    pub tickets: Tickets,
}

/// Valid bytes, and the tickets that pay for them and for what their rows take beyond that.
#[derive(Debug)]
pub struct Unpacked {
    pub bytes: Bytes,
    /// What the rows take in columns beside their text.
    pub column_bytes: usize,
    /// Where it has no records: what it holds in their place.
    pub found_instead: Option<String>,
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
        let costly = self.encoding != Encoding::Identity || self.format.rewrites;
        let inline_max = if costly { INLINE_COSTLY_BYTES_MAX } else { INLINE_BYTES_MAX };
        if self.bytes.len() <= inline_max {
            return self.unpack_here();
        }
        match tokio::task::spawn_blocking(|| self.unpack_here()).await {
            Ok(unpacked) => unpacked,
            Err(error) => {
                tracing::error!(%error, "bug: unpacking an export panicked");
                Err(Refusal::Panicked)
            }
        }
    }

    fn unpack_here(mut self) -> Result<Unpacked, Refusal> {
        let inflated = inflate(self.bytes, self.encoding, self.limit_bytes, &mut self.tickets)?;
        let inflated_bytes = inflated.len();
        if self.format.rewrites {
            // Nearly always more than comes out.
            self.tickets.grow(inflated_bytes)?;
        }
        let unreadable = |error| match error {
            Unreadable::TooLarge => Refusal::TooLarge { limit_bytes: self.limit_bytes, when: "as protobuf" },
            Unreadable::Undecodable(why) => Refusal::Undecodable(why),
        };
        let Valid { bytes, column_bytes, found_instead } =
            (self.format.unpack)(inflated).map_err(unreadable)?;
        if self.format.rewrites {
            self.tickets.grow(bytes.len().saturating_sub(inflated_bytes))?;
        }
        if column_bytes > COLUMN_BYTES_MAX {
            return Err(Refusal::TooLarge { limit_bytes: COLUMN_BYTES_MAX, when: "in columns" });
        }
        self.tickets.grow(column_bytes.saturating_sub(bytes.len()))?;
        Ok(Unpacked { bytes, column_bytes, found_instead, tickets: self.tickets })
    }
}

/// What tells an export from every other: 128 bits over tenant, path and payload, for recognising a retry.
/// A zero byte, which neither tenant nor path can hold, ends each of them.
pub fn export_hash(tenant: &str, path: &str, payload: &[u8]) -> u128 {
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
    use crate::decode::otlp::formats::{JSON_OVER_HTTP, OVER_GRPC};
    use crate::intake::Budget;

    fn packed(bytes: &[u8], format: &'static Format) -> Packed {
        Packed {
            bytes: Bytes::copy_from_slice(bytes),
            encoding: Encoding::Identity,
            format,
            limit_bytes: 100 << 20,
            tickets: Budget::new(1 << 30).take(bytes.len()).expect("free"),
        }
    }

    #[tokio::test]
    async fn valid_bytes_come_back_and_others_are_refused() {
        // ExportTraceServiceRequest: field 1 = an empty ResourceSpans.
        let unpacked = packed(b"\x0a\0", &OVER_GRPC.traces).unpack().await.expect("valid");
        assert_eq!(&unpacked.bytes[..], b"\x0a\0");
        let json =
            packed(br#"{"resourceSpans":[{}]}"#, &JSON_OVER_HTTP.traces).unpack().await.expect("valid");
        assert_eq!(json.bytes[0], 0x0a);
        for (bytes, format) in [(b"\x0a".as_slice(), &OVER_GRPC.traces), (b"", &JSON_OVER_HTTP.traces)] {
            let refused = packed(bytes, format).unpack().await.map(|_| ());
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
        assert_eq!(packed(&bytes, &OVER_GRPC.traces).unpack().await.map(|u| u.bytes.len()), Ok(bytes.len()));
        let cut = &bytes[..bytes.len() - 1];
        assert!(packed(cut, &OVER_GRPC.traces).unpack().await.is_err());
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
        let unpacked = |bytes: Vec<u8>| packed(&bytes, &OVER_GRPC.logs).unpack();
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
            .map(|(tenant, path, body)| export_hash(tenant, path, body.as_bytes()));
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash));
        }
        assert_eq!(export_hash("a", "b", b"c"), hashes[0]);
    }
}
