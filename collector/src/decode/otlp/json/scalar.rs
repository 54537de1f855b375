//! One JSON scalar as one protobuf scalar: ranges, ids, base64.
//!
//! Integers are compared in 128 bits, where every source and target fits, so that each range is one
//! comparison. Source: ProtoJSON (protobuf.dev, "ProtoJSON Format") with OTLP's exceptions for ids and enums.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::Unexpected;

use super::Wire;
use crate::protobuf::messages::FieldType;

/// A scalar as it stands in JSON.
#[derive(Clone, Copy)]
pub(super) enum Json<'a> {
    Bool(bool),
    Integer(i128),
    Double(f64),
    Text(&'a str),
}

impl Json<'_> {
    /// A number, not text, that no signed 64-bit integer is. All doubles of that size are whole.
    pub(super) fn is_number_beyond_int64(&self) -> bool {
        /// 2^63, the first above the largest.
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Json::Integer(value) => i64::try_from(*value).is_err(),
            Json::Double(value) => !(-BEYOND..BEYOND).contains(value),
            Json::Bool(_) | Json::Text(_) => false,
        }
    }

    pub(super) fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Json::Bool(value) => Unexpected::Bool(*value),
            Json::Integer(_) => Unexpected::Other("integer"),
            Json::Double(value) => Unexpected::Float(*value),
            Json::Text(value) => Unexpected::Str(shortened(value)),
        }
    }
}

/// What a field of that type wants, for error messages.
pub(super) fn expected(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Message(_) => "an object",
        FieldType::Text => "a string",
        FieldType::Bytes => "base64 text",
        FieldType::HexId => "hex digits",
        FieldType::Bool => "true or false",
        FieldType::Enum => "an enum number (names are not allowed)",
        FieldType::Int32 | FieldType::Sint32 => "a signed 32-bit integer",
        FieldType::Uint32 | FieldType::Fixed32 => "an unsigned 32-bit integer",
        FieldType::Int64 | FieldType::Sfixed64 => "a signed 64-bit integer",
        FieldType::Uint64 | FieldType::Fixed64 => "an unsigned 64-bit integer",
        FieldType::Double => "a number",
    }
}

/// Writes the value without its tag.
///
/// # Errors
/// What was wrong, as text for the sender.
pub(super) fn write(wire: &mut Wire, field_type: FieldType, json: &Json<'_>) -> Result<(), String> {
    let fault = || format!("{} is not {}", Shown(json), expected(field_type));
    match (field_type, json) {
        (FieldType::Text, Json::Text(text)) => wire.counted(text.as_bytes()),
        (FieldType::Bytes, Json::Text(text)) => wire.counted(&from_base64(text).ok_or_else(fault)?),
        (FieldType::HexId, Json::Text(text)) => write_hex(wire, text).ok_or_else(fault)?,
        (FieldType::Bool, Json::Bool(value)) => wire.varint(u64::from(*value)),
        (FieldType::Double, json) => {
            let value = double_of(json).ok_or_else(fault)?;
            wire.bytes.extend_from_slice(&value.to_le_bytes());
        }
        (FieldType::Enum, Json::Text(_)) => return Err(fault()),
        (_, json) => {
            write_integer(wire, field_type, integer_of(json).ok_or_else(fault)?).ok_or_else(fault)?;
        }
    }
    Ok(())
}

fn write_integer(wire: &mut Wire, field_type: FieldType, value: i128) -> Option<()> {
    match field_type {
        // Negative numbers of 32 bits are sign-extended on the wire.
        FieldType::Int32 | FieldType::Enum => wire.varint(i64::from(i32::try_from(value).ok()?) as u64),
        FieldType::Sint32 => {
            let value = i32::try_from(value).ok()?;
            wire.varint(u64::from(((value << 1) ^ (value >> 31)) as u32));
        }
        FieldType::Uint32 => wire.varint(u64::from(u32::try_from(value).ok()?)),
        FieldType::Fixed32 => wire.bytes.extend_from_slice(&u32::try_from(value).ok()?.to_le_bytes()),
        FieldType::Int64 => wire.varint(i64::try_from(value).ok()? as u64),
        FieldType::Uint64 => wire.varint(u64::try_from(value).ok()?),
        FieldType::Sfixed64 => wire.bytes.extend_from_slice(&i64::try_from(value).ok()?.to_le_bytes()),
        FieldType::Fixed64 => wire.bytes.extend_from_slice(&u64::try_from(value).ok()?.to_le_bytes()),
        _ => return None,
    }
    Some(())
}

/// Doubles hold integers exactly up to here; a larger one in JSON was rounded before it came.
const EXACT_DOUBLE_MAX: f64 = 9_007_199_254_740_992.0;

fn integer_of(json: &Json<'_>) -> Option<i128> {
    match json {
        Json::Integer(value) => Some(*value),
        Json::Double(value) if value.fract() == 0.0 && value.abs() <= EXACT_DOUBLE_MAX => {
            Some(*value as i128)
        }
        Json::Text(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            decimal.then(|| text.parse().ok()).flatten()
        }
        _ => None,
    }
}

fn double_of(json: &Json<'_>) -> Option<f64> {
    match json {
        Json::Integer(value) => Some(*value as f64),
        Json::Double(value) => Some(*value),
        Json::Text("NaN") => Some(f64::NAN),
        Json::Text("Infinity") => Some(f64::INFINITY),
        Json::Text("-Infinity") => Some(f64::NEG_INFINITY),
        Json::Text(text) => {
            let numeric =
                text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
            numeric.then(|| text.parse().ok()).flatten().filter(|value: &f64| value.is_finite())
        }
        Json::Bool(_) => None,
    }
}

fn write_hex(wire: &mut Wire, text: &str) -> Option<()> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    wire.varint(pairs.len() as u64);
    for pair in pairs {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        wire.bytes.push((high? << 4 | low?) as u8);
    }
    Some(())
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
}

/// A value in an error message.
struct Shown<'a>(&'a Json<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Json::Bool(value) => write!(out, "{value}"),
            Json::Integer(value) => write!(out, "{value}"),
            Json::Double(value) => write!(out, "{value}"),
            Json::Text(value) => write!(out, "{:?}", shortened(value)),
        }
    }
}

/// The first characters of a text: enough to recognise it, too few to fill a log.
fn shortened(text: &str) -> &str {
    const SHOWN_BYTES_MAX: usize = 60;
    text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or(text)
}
