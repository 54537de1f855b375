//! Small messages that entries are made of: addresses, times, map entries, text.
//!
//! Sources: envoy/config/core/v3/address.proto, google/protobuf/{timestamp,duration,wrappers}.proto.

use std::borrow::Cow;

use crate::address::{Address, one_spelling};
use crate::protobuf::wire::{Fields, WireError, text};

/// Reads text and counts how often bytes had to be replaced because they were no UTF-8.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub replaced: u64,
}

impl Texts {
    pub(super) fn read<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = text(bytes);
        self.replaced += u64::from(matches!(text, Cow::Owned(_)));
        text
    }
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Reads a `Timestamp` or `Duration` as nanoseconds; saturates outside the years 1677 to 2262.
pub(super) fn nanos(message: &[u8]) -> Result<i64, WireError> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    for field in Fields::new(message) {
        match field? {
            (1, value) => seconds = value.varint(1)? as i64,
            (2, value) => nanos = i64::from(value.varint(2)? as i32),
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos))
}

/// Reads a `UInt32Value`.
pub(super) fn wrapped_u32(message: &[u8]) -> Result<u32, WireError> {
    let mut number = 0;
    for field in Fields::new(message) {
        if let (1, value) = field? {
            number = value.varint(1)? as u32;
        }
    }
    Ok(number)
}

/// Reads an entry of a map whose values are length-delimited: key and value.
pub(super) fn map_entry(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut key, mut entry_value) = ([].as_slice(), [].as_slice());
    for field in Fields::new(message) {
        match field? {
            (1, value) => key = value.bytes(1)?,
            (2, value) => entry_value = value.bytes(2)?,
            _ => {}
        }
    }
    Ok((key, entry_value))
}

/// An `Address` as it was sent.
pub(super) struct SentAddress<'a> {
    pub address: Address<'a>,
    /// The listener inside Envoy that it is, as Envoy writes it.
    pub internal: Option<String>,
}

/// Reads an `Address`: an IP and port, a Unix socket's path, or a listener inside Envoy.
pub(super) fn address<'a>(message: &'a [u8], texts: &mut Texts) -> Result<SentAddress<'a>, WireError> {
    let mut sent = SentAddress { address: Address::default(), internal: None };
    for field in Fields::new(message) {
        sent = match field? {
            (1, value) => SentAddress { address: socket_address(value.bytes(1)?, texts)?, internal: None },
            (2, value) => {
                let host = texts.read(first_text(value.bytes(2)?)?);
                SentAddress { address: Address { host, port: None }, internal: None }
            }
            (3, value) => {
                let (listener, id) = map_entry(value.bytes(3)?)?;
                let internal = Some(format!("envoy://{}/{}", texts.read(listener), texts.read(id)));
                // An id that is no UTF-8 is no address.
                let id = std::str::from_utf8(id).unwrap_or_default();
                SentAddress { address: Address::inside(id), internal }
            }
            _ => sent,
        };
    }
    Ok(sent)
}

/// The text of field 1, of messages whose other fields do not matter.
pub(super) fn first_text(message: &[u8]) -> Result<&[u8], WireError> {
    let mut first = [].as_slice();
    for field in Fields::new(message) {
        if let (1, value) = field? {
            first = value.bytes(1)?;
        }
    }
    Ok(first)
}

fn socket_address<'a>(message: &'a [u8], texts: &mut Texts) -> Result<Address<'a>, WireError> {
    let mut address = Address::default();
    for field in Fields::new(message) {
        match field? {
            (2, value) => {
                address.host = match texts.read(value.bytes(2)?) {
                    Cow::Borrowed(host) => one_spelling(host).into(),
                    // It was no UTF-8, so it is no address.
                    mended => mended,
                }
            }
            (3, value) => address.port = u16::try_from(value.varint(3)?).ok(),
            _ => {}
        }
    }
    Ok(address)
}
