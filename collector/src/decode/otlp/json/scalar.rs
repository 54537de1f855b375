//! One JSON scalar as one protobuf scalar: ranges, ids, base64.
//!
//! Integers are compared in 128 bits, where every source and target fits, so that each range is one
//! comparison. A number is taken as the text that was sent, in errors too: printed from a double it would be another
//! one. Source: ProtoJSON (protobuf.dev, "ProtoJSON Format") with OTLP's exceptions for ids and enums.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::Unexpected;

use super::Wire;
use crate::decode::otlp::decimal::{EXACT_DOUBLE_MAX, NotInteger, integer_of};
use crate::protobuf::messages::FieldType;

/// A scalar as it stands in JSON.
#[derive(Clone, Copy)]
pub(super) enum Json<'a> {
    Bool(bool),
    /// Not in quotes; by the grammar of JSON.
    Number(&'a str),
    Text(&'a str),
}

impl Json<'_> {
    /// A number, not text, that no signed 64-bit integer is.
    pub(super) fn is_number_beyond_int64(&self) -> bool {
        match self {
            Json::Number(number) => match integer_of_number(number) {
                Ok(value) => i64::try_from(value).is_err(),
                Err(why) => why == NotInteger::TooLarge,
            },
            Json::Bool(_) | Json::Text(_) => false,
        }
    }

    pub(super) fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Json::Bool(value) => Unexpected::Bool(*value),
            Json::Number(_) => Unexpected::Other("a number"),
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
        FieldType::HexId => "hex digits, two for each byte",
        FieldType::Bool => "a bool without quotes",
        FieldType::Enum => "an enum number without quotes (names are not allowed)",
        FieldType::Int32 | FieldType::Sint32 => "a signed 32-bit integer",
        FieldType::Uint32 | FieldType::Fixed32 => "an unsigned 32-bit integer",
        FieldType::Int64 | FieldType::Sfixed64 => "a signed 64-bit integer",
        FieldType::Uint64 | FieldType::Fixed64 => "an unsigned 64-bit integer",
        FieldType::Double => "a number",
    }
}

/// Why a scalar does not fit its field.
#[derive(Clone, Copy)]
enum Unfit {
    Other,
    HasFraction,
    OutOfRange,
}

impl From<NotInteger> for Unfit {
    fn from(why: NotInteger) -> Self {
        match why {
            NotInteger::NotNumber => Unfit::Other,
            NotInteger::HasFraction => Unfit::HasFraction,
            NotInteger::TooLarge => Unfit::OutOfRange,
        }
    }
}

/// Writes the value without its tag.
///
/// # Errors
/// What was wrong, as text for the sender.
pub(super) fn write(wire: &mut Wire, field_type: FieldType, json: &Json<'_>) -> Result<(), String> {
    write_value(wire, field_type, json).map_err(|why| {
        let (shown, wanted) = (Shown(json), expected(field_type));
        match (why, json) {
            (Unfit::HasFraction, _) => format!("{shown} has a fraction where {wanted} is wanted"),
            (Unfit::OutOfRange, _) => format!("{shown} is out of the range of {}", range(field_type)),
            // "+1" and " 1" are numbers to people.
            (Unfit::Other, Json::Text(_)) if field_type.is_number() => {
                format!("{shown} is not {wanted} in the form of ProtoJSON")
            }
            (Unfit::Other, _) => format!("{shown} is not {wanted}"),
        }
    })
}

/// The numbers that a field of that type can hold.
fn range(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Enum => "a signed 32-bit integer",
        FieldType::Double => "a 64-bit double",
        other => expected(other),
    }
}

fn write_value(wire: &mut Wire, field_type: FieldType, json: &Json<'_>) -> Result<(), Unfit> {
    match (field_type, json) {
        (FieldType::Text, Json::Text(text)) => wire.counted(text.as_bytes()),
        (FieldType::Bytes, Json::Text(text)) => wire.counted(&from_base64(text).ok_or(Unfit::Other)?),
        (FieldType::HexId, Json::Text(text)) => write_hex(wire, text).ok_or(Unfit::Other)?,
        (FieldType::Bool, Json::Bool(value)) => wire.varint(u64::from(*value)),
        (FieldType::Double, json) => wire.bytes.extend_from_slice(&double_of(json)?.to_le_bytes()),
        (FieldType::Enum, Json::Text(_)) | (_, Json::Bool(_)) => return Err(Unfit::Other),
        (_, Json::Number(number)) if field_type.is_number() => {
            write_integer(wire, field_type, integer_of_number(number)?).ok_or(Unfit::OutOfRange)?;
        }
        (_, Json::Text(text)) if field_type.is_number() => {
            write_integer(wire, field_type, integer_of(text)?).ok_or(Unfit::OutOfRange)?;
        }
        (_, Json::Number(_) | Json::Text(_)) => return Err(Unfit::Other),
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

/// The integer that a number without quotes is.
fn integer_of_number(number: &str) -> Result<i128, NotInteger> {
    match as_printed_double(number) {
        Some(double) => Ok(double as i128),
        None => integer_of(number),
    }
}

/// A double that was printed, as JSON's numbers in most languages are: beyond 2^53, with a fraction or an exponent, in
/// no more digits than it takes to read the same double back (`json.dumps(time.time() * 1e9)` of Python). Its sender
/// had that double, not the decimal that its digits happen to be. Google's parsers of C++ and Python read it so too.
fn as_printed_double(number: &str) -> Option<f64> {
    if !number.contains(['.', 'e', 'E']) {
        return None;
    }
    let double = number.parse().ok().filter(|double: &f64| double.is_finite())?;
    let significant = |text: &str| -> String {
        let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        digits.trim_matches('0').to_owned()
    };
    let shortest = format!("{double:e}");
    (double.abs() > EXACT_DOUBLE_MAX && significant(number) == significant(&shortest)).then_some(double)
}

fn double_of(json: &Json<'_>) -> Result<f64, Unfit> {
    let text = match json {
        Json::Text("NaN") => return Ok(f64::NAN),
        Json::Text("Infinity") => return Ok(f64::INFINITY),
        Json::Text("-Infinity") => return Ok(f64::NEG_INFINITY),
        Json::Number(text) | Json::Text(text) => text,
        Json::Bool(_) => return Err(Unfit::Other),
    };
    let numeric = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    let double: f64 = numeric.then(|| text.parse().ok()).flatten().ok_or(Unfit::Other)?;
    if double.is_finite() { Ok(double) } else { Err(Unfit::OutOfRange) }
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
            Json::Number(number) => out.write_str(shortened(number)),
            Json::Text(value) => write!(out, "{:?}", shortened(value)),
        }
    }
}

/// The first characters of a text: enough to recognise it, too few to fill a log.
fn shortened(text: &str) -> &str {
    const SHOWN_BYTES_MAX: usize = 60;
    text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or(text)
}
