//! OTLP/JSON to protobuf wire bytes, so that one set of decoders serves both encodings.
//!
//! The JSON is read once, as a stream, by the tables of `messages`; no tree of values is built. The length
//! of a sub-message is not known before it ends, so it is written as a varint padded to four bytes (legal
//! protobuf) and filled in afterwards; nothing is moved.
//!
//! What is accepted (OTLP specification, "JSON Protobuf Encoding", and the ProtoJSON format it builds on):
//! keys are lowerCamelCase, others are unknown and ignored at every level; trace and span ids are hex;
//! enums are numbers only; integers are numbers or strings, with a fraction of zeros or an exponent where their sender
//! likes (`scalar`); a number beyond 64 bits under `intValue` is the double that it is; doubles may be `"NaN"`,
//! `"Infinity"`, `"-Infinity"` or numeric strings; bytes are base64 in either alphabet, padded or not; `null` leaves a
//! field unset. Of a key given twice the last one holds (a list given twice is joined); of two members of a oneof
//! likewise.
//!
//! Limits: values nest at most [`VALUE_DEPTH_MAX`] deep, the result has at most [`WIRE_BYTES_MAX`] bytes,
//! `null` inside a list is refused.

mod scalar;

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize as _, Deserializer as _};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::decode::otlp::unknown::UnknownField;
use crate::protobuf::messages::otlp::DOUBLE_VALUE;
use crate::protobuf::messages::{Field, FieldType, Message, wire_type};
use crate::protobuf::validate::VALUE_DEPTH_MAX;

/// Most bytes that a payload may have as protobuf: the limit that OTLP sets to payloads. JSON is longer
/// than protobuf but for lists of small numbers (`0,` becomes eight bytes), which this keeps from growing.
pub const WIRE_BYTES_MAX: usize = 64 << 20;

/// Bytes that a length takes: 28 bits, enough for every message that fits [`WIRE_BYTES_MAX`].
const LENGTH_BYTES: usize = 4;

const _: () = assert!(WIRE_BYTES_MAX < 1 << (7 * LENGTH_BYTES));

/// Why JSON is not the message it should be. Always the sender's fault; trying again cannot help.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    #[error("invalid UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// With the field, the bad value, and the line and column.
    #[error("{0}")]
    Malformed(String),
    #[error("payload is larger than {WIRE_BYTES_MAX} bytes as protobuf")]
    TooLarge,
}

/// The wire bytes of `message` that `json` stands for.
///
/// # Errors
/// [`JsonError`], with the place of the first fault.
pub fn transcode(json: &[u8], message: &'static Message) -> Result<Vec<u8>, JsonError> {
    read(json, message).map(|wire| wire.bytes)
}

/// The first name above the records of `message` that is none of its fields' and holds a list of objects, as records
/// are held: one in snake_case, say. To be asked for where no records were found.
pub fn first_unknown(json: &[u8], message: &'static Message) -> Option<UnknownField> {
    read(json, message).ok()?.unknown
}

fn read(json: &[u8], message: &'static Message) -> Result<Wire, JsonError> {
    let text = std::str::from_utf8(json).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // Depth is bounded below, per value; the library's own limit of 128 brackets would refuse less.
    deserializer.disable_recursion_limit();
    let mut wire = Wire { bytes: Vec::with_capacity(json.len() / 2), too_large: false, unknown: None };
    let body = Body { wire: &mut wire, message, values: 0 };
    let read = deserializer.deserialize_any(body).and_then(|()| deserializer.end());
    match read {
        Ok(()) => Ok(wire),
        Err(_) if wire.too_large => Err(JsonError::TooLarge),
        Err(error) => Err(JsonError::Malformed(error.to_string())),
    }
}

/// The bytes written so far.
struct Wire {
    bytes: Vec<u8>,
    too_large: bool,
    /// The first name that was none of a field's and held what may have been records.
    unknown: Option<UnknownField>,
}

impl Wire {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn tag(&mut self, field: &Field, wire_type: u32) {
        self.varint(u64::from(field.number << 3 | wire_type));
    }

    fn counted(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Leaves room for a length; what is written from here until [`close`](Self::close) is what it counts.
    fn open(&mut self, field: &Field) -> usize {
        self.tag(field, wire_type::LENGTH);
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        self.bytes.len()
    }

    fn close(&mut self, start: usize) {
        let length = self.bytes.len() - start;
        for (index, byte) in self.bytes[start - LENGTH_BYTES..start].iter_mut().enumerate() {
            let more = if index + 1 < LENGTH_BYTES { 0x80 } else { 0 };
            *byte = (length >> (7 * index)) as u8 & 0x7f | more;
        }
    }

    fn check_size<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.too_large = self.bytes.len() > WIRE_BYTES_MAX;
        if self.too_large { Err(E::custom("payload is too large")) } else { Ok(()) }
    }
}

/// Reads one JSON object as the fields of `message`.
struct Body<'w> {
    wire: &'w mut Wire,
    message: &'static Message,
    /// How many of the messages around and including this one are values that may nest.
    values: usize,
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} as an object", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(named) = entries.next_key_seed(Key(self.message))? {
            match named {
                Named::Field(field) => entries.next_value_seed(Slot {
                    wire: &mut *self.wire,
                    field,
                    values: self.values,
                    place: Place::Member,
                })?,
                Named::MayHoldRecords(unknown) => {
                    let json: &RawValue = entries.next_value()?;
                    if is_list_of_objects(json.get()) {
                        self.wire.unknown.get_or_insert(unknown);
                    }
                }
                Named::Unknown => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

fn is_list_of_objects(json: &str) -> bool {
    json.strip_prefix('[').is_some_and(|elements| elements.trim_start().starts_with('{'))
}

/// What a name of a message stands for.
enum Named {
    Field(&'static Field),
    Unknown,
    /// Unknown, where records or what holds them could have been.
    MayHoldRecords(UnknownField),
}

/// Reads a key.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Named;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Named;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match self.0.field_by_json_name(name) {
            Some(field) => Named::Field(field),
            None if self.0.is_above_records() => Named::MayHoldRecords(UnknownField::by_name(name, self.0)),
            None => Named::Unknown,
        })
    }
}

/// Where a value stands, which says what goes before it on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The value of a key: tag, then value; a repeated field wants a list here.
    Member,
    /// An element of a list that is not packed: tag, then value.
    Element,
    /// A number in a packed list: the value alone.
    Packed,
}

/// Reads the value of one field and writes it.
struct Slot<'w> {
    wire: &'w mut Wire,
    field: &'static Field,
    values: usize,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let is_number = self.field.field_type.is_number() || matches!(self.field.field_type, FieldType::Bool);
        if !is_number || self.wants_list() {
            return deserializer.deserialize_any(self);
        }
        // As text: a number that has passed through a double is another one, and the sender must be shown his own.
        self.raw(<&RawValue>::deserialize(deserializer)?.get())
    }
}

impl Slot<'_> {
    /// Reads one whole JSON value.
    fn raw<E: serde::de::Error>(self, json: &str) -> Result<(), E> {
        match json.as_bytes() {
            [b'n', ..] => self.visit_unit(),
            [b't' | b'f', ..] => self.scalar(scalar::Json::Bool(json == "true")),
            [b'{', ..] => Err(E::invalid_type(Unexpected::Map, &self)),
            [b'[', ..] => Err(E::invalid_type(Unexpected::Seq, &self)),
            [b'"', inner @ .., b'"'] if inner.contains(&b'\\') => {
                let text: String = serde_json::from_str(json).map_err(E::custom)?;
                self.scalar(scalar::Json::Text(&text))
            }
            [b'"', .., b'"'] => self.scalar(scalar::Json::Text(&json[1..json.len() - 1])),
            _ => self.scalar(scalar::Json::Number(json)),
        }
    }

    fn wants_list(&self) -> bool {
        self.field.repeated && self.place == Place::Member
    }

    /// The field that takes the value. JavaScript has no integers, and its exporter writes every whole number as
    /// `intValue`, the only field of OTLP of this type, 1e300 too. Refusing that would refuse all around it.
    fn field_for(&self, json: &scalar::Json<'_>) -> &'static Field {
        match self.field.field_type {
            FieldType::Int64 if json.is_number_beyond_int64() => &DOUBLE_VALUE,
            _ => self.field,
        }
    }

    fn scalar<E: serde::de::Error>(self, json: scalar::Json<'_>) -> Result<(), E> {
        if self.wants_list() || matches!(self.field.field_type, FieldType::Message(_)) {
            return Err(E::invalid_type(json.unexpected(), &self));
        }
        let field = self.field_for(&json);
        if self.place != Place::Packed {
            self.wire.tag(field, field.field_type.wire_type());
        }
        scalar::write(self.wire, field.field_type, &json)
            .map_err(|fault| E::custom(format_args!("{}: {fault}", self.field.json_name)))?;
        self.wire.check_size()
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = if self.wants_list() { "a list of " } else { "" };
        write!(out, "{list}{} for {}", scalar::expected(self.field.field_type), self.field.json_name)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        match self.place {
            Place::Member => Ok(()),
            _ => Err(E::invalid_type(Unexpected::Unit, &self)),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(scalar::Json::Bool(value))
    }

    // Numbers come here only where none is wanted.

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.scalar(scalar::Json::Text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let FieldType::Message(message) = self.field.field_type else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        if self.wants_list() {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        let values = self.values + usize::from(message.nests);
        if values > VALUE_DEPTH_MAX {
            return Err(A::Error::custom(format_args!("values nest deeper than {VALUE_DEPTH_MAX} levels")));
        }
        let start = self.wire.open(self.field);
        Body { wire: &mut *self.wire, message, values }.visit_map(entries)?;
        self.wire.check_size()?;
        self.wire.close(start);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if !self.wants_list() {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let packed = self.field.field_type.wire_type() != wire_type::LENGTH;
        let start = packed.then(|| self.wire.open(self.field));
        let place = if packed { Place::Packed } else { Place::Element };
        let (field, values) = (self.field, self.values);
        while elements.next_element_seed(Slot { wire: &mut *self.wire, field, values, place })?.is_some() {}
        if let Some(start) = start {
            self.wire.close(start);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
