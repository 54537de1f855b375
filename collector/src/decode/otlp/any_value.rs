//! OTLP's `AnyValue` and `KeyValue`: read where they lie, written as the text and types that columns hold.
//!
//! Most attribute values are strings; those go from the payload into the column without a stop. The others
//! pass through one scratch text that is kept from row to row. The text form and the grammar of types are
//! defined in `meshlake_schema::attributes`.
//!
//! Source: opentelemetry/proto/common/v1/common.proto. Limits: nesting of [`NESTING_MAX`] levels;
//! `string_value_strindex` belongs to profiles and reads as no value; keys that
//! differ only in bytes that are no UTF-8 become equal keys of one object.

use std::borrow::Cow;

use meshlake_schema::attributes::{push_bytes, push_double, push_int, push_json_string};

use crate::columns::attributes::AttributesColumn;
use crate::columns::{DictionaryColumn, TextColumn};
use crate::protobuf::validate::VALUE_DEPTH_MAX;
use crate::protobuf::wire::{self, Fields, WireError};

/// Levels of nesting that are written. It only guards the stack (guess, not measured: a level takes some 300
/// bytes of it): a validated payload nests less.
const NESTING_MAX: usize = 64;

const _: () = assert!(NESTING_MAX > VALUE_DEPTH_MAX, "what validation lets pass is written");

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

/// The sub-messages of a repeated field, in the order sent.
pub fn repeated(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], WireError>> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((found, value)) => (found == number).then(|| value.bytes(number)),
        Err(error) => Some(Err(error)),
    })
}

/// Writes values as text, and beside it the types of all values of a row.
#[derive(Debug, Default)]
pub struct ValueWriter {
    /// The value being written, and its type or types.
    text: String,
    types: String,
    /// Types of the entries since the row began.
    row_types: String,
    text_replaced: u64,
}

impl ValueWriter {
    /// Adds an attribute to the row that is being built in `column`, its type to the row's types.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    #[inline]
    pub fn push_entry(
        &mut self,
        column: &mut AttributesColumn,
        entry: KeyValue<'_>,
    ) -> Result<(), WireError> {
        if let AnyValue::String(text) = entry.value {
            self.row_types.push('s');
            self.text_replaced += column.push_wire_entry(entry.key, text);
            return Ok(());
        }
        self.begin();
        self.write_plain(entry.value)?;
        self.row_types.push_str(&self.types);
        self.text_replaced += column.push_wire_key(entry.key, &self.text);
        Ok(())
    }

    /// Ends a row of attributes: pushes the types of its entries.
    #[inline]
    pub fn end_row(&mut self, types: &mut DictionaryColumn) {
        types.push(&self.row_types);
        self.row_types.clear();
    }

    /// Like [`end_row`](Self::end_row), for entries inside lists, whose types are plain text.
    pub fn end_list_row(&mut self, types: &mut TextColumn) {
        types.push(&self.row_types);
        self.row_types.clear();
    }

    /// One value by itself: its text and its type.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    pub fn single(&mut self, value: AnyValue<'_>) -> Result<(&str, &str), WireError> {
        self.begin();
        self.write_plain(value)?;
        Ok((&self.text, &self.types))
    }

    /// Attributes as one canonical JSON object: keys sorted by their bytes, each key once (of several
    /// entries the last one counts), no white space. Returns the object and the types of its values.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    pub fn object(&mut self, mut entries: Vec<KeyValue<'_>>) -> Result<(&str, &str), WireError> {
        self.begin();
        self.text.push('{');
        // The sort is stable, so that the last of equal keys is the last one sent.
        entries.sort_by(|a, b| a.key.cmp(b.key));
        let mut first = true;
        for (at, entry) in entries.iter().enumerate() {
            if entries.get(at + 1).is_some_and(|next| next.key == entry.key) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.write_json_entry(*entry, 1)?;
        }
        self.text.push('}');
        Ok((&self.text, &self.types))
    }

    /// Pushes text as it lies on the wire, made text where it is none, and counts that.
    #[inline]
    pub fn push_text(&mut self, column: &mut TextColumn, bytes: &[u8]) {
        self.text_replaced += u64::from(column.push_wire(bytes));
    }

    /// Like [`push_text`](Self::push_text), for text that repeats.
    #[inline]
    pub fn push_repeating(&mut self, column: &mut DictionaryColumn, bytes: &[u8]) {
        self.text_replaced += u64::from(column.push_wire(bytes));
    }

    /// Proves that `bytes` are text, or makes them so and counts it.
    #[inline]
    pub fn utf8<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = wire::text(bytes);
        self.text_replaced += u64::from(matches!(text, Cow::Owned(_)));
        text
    }

    /// Strings replaced since the last call.
    pub fn take_text_replaced(&mut self) -> u64 {
        std::mem::take(&mut self.text_replaced)
    }

    fn begin(&mut self) {
        self.text.clear();
        self.types.clear();
    }

    fn write_plain(&mut self, value: AnyValue<'_>) -> Result<(), WireError> {
        match value {
            AnyValue::String(bytes) => {
                self.types.push('s');
                let text = self.utf8(bytes);
                self.text.push_str(&text);
            }
            AnyValue::Bytes(bytes) => {
                self.types.push('y');
                push_bytes(&mut self.text, bytes);
            }
            AnyValue::Double(double) => {
                self.types.push('d');
                push_double(&mut self.text, double);
            }
            AnyValue::Unset => self.types.push('n'),
            AnyValue::Bool(_) | AnyValue::Int(_) | AnyValue::Array(_) | AnyValue::KeyValueList(_) => {
                return self.write_json(value, 1);
            }
        }
        Ok(())
    }

    fn write_json(&mut self, value: AnyValue<'_>, depth: usize) -> Result<(), WireError> {
        if depth > NESTING_MAX {
            return Err(WireError::TooDeep(NESTING_MAX));
        }
        match value {
            AnyValue::Unset => {
                self.types.push('n');
                self.text.push_str("null");
            }
            AnyValue::String(bytes) => {
                self.types.push('s');
                let text = self.utf8(bytes);
                push_json_string(&mut self.text, &text);
            }
            AnyValue::Bool(bool) => {
                self.types.push('b');
                self.text.push_str(if bool { "true" } else { "false" });
            }
            AnyValue::Int(int) => {
                self.types.push('i');
                push_int(&mut self.text, int);
            }
            AnyValue::Double(double) if double.is_finite() => {
                self.types.push('d');
                push_double(&mut self.text, double);
            }
            AnyValue::Double(_) | AnyValue::Bytes(_) => {
                self.text.push('"');
                self.write_plain(value)?;
                self.text.push('"');
            }
            AnyValue::Array(message) => self.write_array(message, depth)?,
            AnyValue::KeyValueList(message) => self.write_list(message, depth)?,
        }
        Ok(())
    }

    fn write_array(&mut self, message: &[u8], depth: usize) -> Result<(), WireError> {
        self.bracket('[');
        let mut first = true;
        for element in repeated(message, 1) {
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.write_json(AnyValue::read(element?)?, depth + 1)?;
        }
        self.bracket(']');
        Ok(())
    }

    fn write_list(&mut self, message: &[u8], depth: usize) -> Result<(), WireError> {
        self.bracket('{');
        let mut first = true;
        for entry in repeated(message, 1) {
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.write_json_entry(KeyValue::read(entry?)?, depth + 1)?;
        }
        self.bracket('}');
        Ok(())
    }

    fn bracket(&mut self, bracket: char) {
        self.types.push(bracket);
        self.text.push(bracket);
    }

    fn write_json_entry(&mut self, entry: KeyValue<'_>, depth: usize) -> Result<(), WireError> {
        let key = self.utf8(entry.key);
        push_json_string(&mut self.text, &key);
        self.text.push(':');
        self.write_json(entry.value, depth)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;
    use opentelemetry_proto::tonic::common::v1 as otlp;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Otlp;
    use prost::Message;

    use super::*;
    use crate::decode::otlp::testing::{any, array, entry, list};

    fn single(value: &otlp::AnyValue) -> Result<(String, String), WireError> {
        let bytes = value.encode_to_vec();
        let mut writer = ValueWriter::default();
        let (text, types) = writer.single(AnyValue::read(&bytes)?)?;
        Ok((text.to_owned(), types.to_owned()))
    }

    fn check(value: &otlp::AnyValue, text: &str, types: &str) {
        assert_eq!(single(value), Ok((text.to_owned(), types.to_owned())), "{value:?}");
    }

    #[test]
    fn scalars_are_written_as_their_grammar_says() {
        check(&any(Otlp::StringValue("a\"b".into())), "a\"b", "s");
        check(&any(Otlp::StringValue(String::new())), "", "s");
        check(&any(Otlp::IntValue(i64::MIN)), "-9223372036854775808", "i");
        check(&any(Otlp::BoolValue(false)), "false", "b");
        check(&any(Otlp::DoubleValue(1.0)), "1.0", "d");
        check(&any(Otlp::DoubleValue(f64::NEG_INFINITY)), "-Infinity", "d");
        check(&any(Otlp::BytesValue(vec![0, 1])), "AAE=", "y");
        check(&otlp::AnyValue { value: None }, "", "n");
    }

    #[test]
    fn structures_are_json_with_the_types_beside() {
        let inner = list(vec![
            entry("z", any(Otlp::IntValue(-1))),
            entry("a", any(Otlp::BytesValue(vec![0]))),
            entry("n", otlp::AnyValue { value: None }),
        ]);
        let value = array(vec![
            any(Otlp::StringValue("\n".into())),
            any(Otlp::DoubleValue(f64::NAN)),
            any(Otlp::BoolValue(true)),
            inner,
            array(vec![]),
        ]);
        check(&value, "[\"\\n\",\"NaN\",true,{\"z\":-1,\"a\":\"AA==\",\"n\":null},[]]", "[sdb{iyn}[]]");
    }

    #[test]
    fn objects_are_canonical() {
        let entries = [
            entry("b", any(Otlp::IntValue(1))),
            entry("a", any(Otlp::StringValue("x".into()))),
            entry("b", any(Otlp::BoolValue(true))),
            entry("B", any(Otlp::DoubleValue(0.5))),
        ];
        let bytes: Vec<_> = entries.iter().map(Message::encode_to_vec).collect();
        let read: Vec<_> = bytes.iter().map(|b| KeyValue::read(b).expect("encoded above")).collect();
        let mut writer = ValueWriter::default();
        // Upper case sorts before lower case, and the last of two "b" counts.
        assert_eq!(writer.object(read), Ok(("{\"B\":0.5,\"a\":\"x\",\"b\":true}", "dsb")));
        assert_eq!(writer.object(vec![]), Ok(("{}", "")));
    }

    #[test]
    fn values_written_between_entries_leave_the_row_alone() {
        let mut writer = ValueWriter::default();
        let (mut column, mut types) = (AttributesColumn::default(), TextColumn::default());
        let entry = |value| KeyValue { key: b"k", value };
        writer.push_entry(&mut column, entry(AnyValue::Int(1))).expect("a scalar always fits");
        writer.single(AnyValue::Bool(true)).expect("a scalar always fits");
        writer.object(vec![entry(AnyValue::Double(0.5))]).expect("a scalar always fits");
        writer.push_entry(&mut column, entry(AnyValue::String(b"x"))).expect("a scalar always fits");
        writer.end_list_row(&mut types);
        assert_eq!(types.finish().as_string::<i32>().value(0), "is");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| (1..levels).fold(array(vec![]), |inner, _| array(vec![inner]));
        assert!(single(&nested(NESTING_MAX)).is_ok());
        assert_eq!(single(&nested(NESTING_MAX + 1)), Err(WireError::TooDeep(NESTING_MAX)));
    }

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

    #[test]
    fn broken_text_is_replaced_and_counted() {
        let mut writer = ValueWriter::default();
        let (mut column, mut types) = (AttributesColumn::default(), DictionaryColumn::default());
        let entry = KeyValue { key: b"k\xff", value: AnyValue::String(b"\xfev") };
        writer.push_entry(&mut column, entry).expect("a string always fits");
        column.end_row();
        writer.end_row(&mut types);
        assert_eq!(writer.take_text_replaced(), 2);
        let map = column.finish();
        assert_eq!(map.as_map().keys().as_string::<i32>().value(0), "k\u{fffd}");
        assert_eq!(map.as_map().values().as_string::<i32>().value(0), "\u{fffd}v");
    }
}
