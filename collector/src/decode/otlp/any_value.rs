//! OTLP's `AnyValue` and `KeyValue`, read where they lie in the payload.
//!
//! A value is a slice of the payload until `value_writer` writes it, so that what is left out or refused costs
//! nothing but its reading.
//!
//! Source: opentelemetry/proto/common/v1/common.proto. Limits: `string_value_strindex` and `key_strindex` belong
//! to profiles and read as no value and as an empty key.

use std::borrow::Cow;

use meshlake_schema::attributes::push_double;

use crate::protobuf::wire::{self, Fields, WireError};

/// A value as it lies in the payload; nested values are read when they are written.
///
/// The tag is as wide as a word so that every payload is aligned: with a bool in its second byte values are
/// copied by unaligned moves, each of which waits for the stores before it. A span of 15 attributes took
/// 1.0 us to decode that way and takes 0.73 us this way.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u64)]
pub enum AnyValue<'a> {
    /// No value: legal, and not the same as an empty string.
    Unset,
    String(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// An `ArrayValue` message.
    Array(&'a [u8]),
    /// A `KeyValueList` message.
    KeyValueList(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> AnyValue<'a> {
    /// Reads an `AnyValue` message. Of several values the last one counts, as for every oneof.
    ///
    /// # Errors
    /// Bytes that are no such message.
    #[inline]
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut read = AnyValue::Unset;
        for field in Fields::new(message) {
            let (number, value) = field?;
            read = match number {
                1 => AnyValue::String(value.bytes(1)?),
                2 => AnyValue::Bool(value.varint(2)? != 0),
                3 => AnyValue::Int(value.varint(3)? as i64),
                4 => AnyValue::Double(value.double(4)?),
                5 => AnyValue::Array(value.bytes(5)?),
                6 => AnyValue::KeyValueList(value.bytes(6)?),
                7 => AnyValue::Bytes(value.bytes(7)?),
                _ => read,
            };
        }
        Ok(read)
    }

    /// A string, number or bool as text; `None` for any other value, and for those that say nothing: an empty string, a
    /// double that is no number.
    pub fn plain_text(&self) -> Option<Cow<'a, str>> {
        match *self {
            AnyValue::String(bytes) => (!bytes.is_empty()).then(|| wire::text(bytes)),
            AnyValue::Bool(bool) => Some(if bool { "true" } else { "false" }.into()),
            AnyValue::Int(int) => Some(int.to_string().into()),
            AnyValue::Double(double) if double.is_finite() => {
                let mut text = String::new();
                push_double(&mut text, double);
                Some(text.into())
            }
            _ => None,
        }
    }
}

/// Tags of `KeyValue.key`, `KeyValue.value` and `AnyValue.string_value`: field number times 8 plus wire type 2.
const KEY_TAG: u8 = 1 << 3 | 2;
const VALUE_TAG: u8 = 2 << 3 | 2;
const STRING_TAG: u8 = 1 << 3 | 2;

/// An attribute as it lies in the payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyValue<'a> {
    pub key: &'a [u8],
    pub value: AnyValue<'a>,
}

impl<'a> KeyValue<'a> {
    /// Reads a `KeyValue` message.
    ///
    /// # Errors
    /// Bytes that are no such message.
    #[inline(always)]
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        // The one encoding that encoders write for a short attribute: key, then value, both of less than 128
        // bytes, and the value a string. The general way reads the same out of it, in several times the instructions.
        if let [KEY_TAG, key_length @ ..0x80, rest @ ..] = message
            && let Some((key, rest)) = rest.split_at_checked(usize::from(*key_length))
            && let [VALUE_TAG, value_length @ ..0x80, value @ ..] = rest
            && value.len() == usize::from(*value_length)
        {
            return match value {
                [STRING_TAG, text_length @ ..0x80, text @ ..] if text.len() == usize::from(*text_length) => {
                    Ok(KeyValue { key, value: AnyValue::String(text) })
                }
                _ => AnyValue::read(value).map(|value| KeyValue { key, value }),
            };
        }
        Self::read_any(message)
    }

    #[inline(never)]
    fn read_any(message: &'a [u8]) -> Result<Self, WireError> {
        let mut read = KeyValue { key: &[], value: AnyValue::Unset };
        for field in Fields::new(message) {
            match field? {
                (1, value) => read.key = value.bytes(1)?,
                (2, value) => read.value = AnyValue::read(value.bytes(2)?)?,
                _ => {}
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Otlp;
    use prost::Message as _;

    use super::*;
    use crate::decode::otlp::testing::{any, entry};

    #[test]
    fn the_last_value_of_a_oneof_counts() {
        // string_value "a", then int_value 7.
        assert_eq!(AnyValue::read(b"\x0a\x01a\x18\x07"), Ok(AnyValue::Int(7)));
        assert_eq!(AnyValue::read(b"\x40\x05"), Ok(AnyValue::Unset), "field 8 refers into a profile");
    }

    #[test]
    fn a_value_may_come_before_its_key() {
        // field 2 { string_value "v" }, then field 1 "k".
        let read = KeyValue::read(b"\x12\x03\x0a\x01v\x0a\x01k");
        assert_eq!(read, Ok(KeyValue { key: b"k", value: AnyValue::String(b"v") }));
    }

    #[test]
    fn the_common_encoding_is_read_as_the_general_one() {
        for length in [0, 1, 120, 121, 122, 123, 124, 125, 126, 127, 128, 300] {
            for (key, text) in [("k".repeat(length), "v".to_owned()), ("k".to_owned(), "v".repeat(length))] {
                let sent = entry(&key, any(Otlp::StringValue(text.clone())));
                let mut bytes = sent.encode_to_vec();
                let want = KeyValue { key: key.as_bytes(), value: AnyValue::String(text.as_bytes()) };
                assert_eq!(KeyValue::read(&bytes), Ok(want), "{length}");
                assert_eq!(KeyValue::read_any(&bytes), Ok(want), "{length}");
                // Another value after it: the last one counts, so the common way must not take it.
                bytes.extend(b"\x12\x02\x18\x07");
                assert_eq!(KeyValue::read(&bytes).map(|read| read.value), Ok(AnyValue::Int(7)), "{length}");
            }
        }
        // A key of two bytes that is cut after one, and lengths that reach beyond the message.
        for cut in [b"\x0a\x02k".as_slice(), b"\x0a\x01k\x12\x03\x0a\x02v", b"\x0a\x01k\x12\x04\x0a\x01v"] {
            assert_eq!(KeyValue::read(cut), Err(WireError::Truncated), "{cut:02x?}");
        }
    }
}
