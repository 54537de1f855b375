//! One value as it was sent, of the text and the type that are stored of it (`attributes.rs`).
//!
//! What `serde_json::Value` would lose is kept: which of two numbers it was, bytes, the order of keys and keys that come
//! twice. Text that does not fit its type, which only another writer's file can hold, comes back as a text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::attributes::{Types, push_double, push_int, push_json_string};

/// One value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum SentValue<'a> {
    /// The attribute came without a value.
    Nothing,
    Text(Cow<'a, str>),
    Integer(i64),
    Double(f64),
    Boolean(bool),
    Bytes(Vec<u8>),
    List(Vec<SentValue<'a>>),
    /// Keys in the order sent.
    Map(Vec<(String, SentValue<'a>)>),
}

impl<'a> SentValue<'a> {
    pub fn text(text: &'a str) -> SentValue<'a> {
        SentValue::Text(Cow::Borrowed(text))
    }

    /// The value that was stored as `text` of a type of the grammar of `attributes.rs`.
    pub fn parse(text: &'a str, value_type: &str) -> SentValue<'a> {
        let parsed = match value_type.as_bytes().first() {
            Some(b'i') => text.parse().ok().map(SentValue::Integer),
            Some(b'd') => text.parse().ok().map(SentValue::Double),
            Some(b'b') => text.parse().ok().map(SentValue::Boolean),
            Some(b'y') => STANDARD.decode(text).ok().map(SentValue::Bytes),
            Some(b'n') => Some(SentValue::Nothing),
            Some(b'[' | b'{') => json(text, value_type),
            _ => None,
        };
        parsed.unwrap_or_else(|| SentValue::text(text))
    }

    /// As JSON, as values inside of others are stored: bytes as base64, what is no number as a string.
    pub fn json(&self) -> String {
        let mut out = String::new();
        self.push_json(&mut out);
        out
    }

    fn push_json(&self, out: &mut String) {
        match self {
            SentValue::Nothing => out.push_str("null"),
            SentValue::Text(text) => push_json_string(out, text),
            SentValue::Integer(value) => push_int(out, *value),
            SentValue::Double(value) if value.is_finite() => push_double(out, *value),
            SentValue::Double(value) => {
                out.push('"');
                push_double(out, *value);
                out.push('"');
            }
            SentValue::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            SentValue::Bytes(bytes) => push_json_string(out, &STANDARD.encode(bytes)),
            SentValue::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    item.push_json(out);
                }
                out.push(']');
            }
            SentValue::Map(entries) => {
                out.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    push_json_string(out, key);
                    out.push(':');
                    value.push_json(out);
                }
                out.push('}');
            }
        }
    }

    /// Borrows nothing any more.
    pub fn into_owned(self) -> SentValue<'static> {
        match self {
            SentValue::Nothing => SentValue::Nothing,
            SentValue::Text(text) => SentValue::Text(Cow::Owned(text.into_owned())),
            SentValue::Integer(value) => SentValue::Integer(value),
            SentValue::Double(value) => SentValue::Double(value),
            SentValue::Boolean(value) => SentValue::Boolean(value),
            SentValue::Bytes(bytes) => SentValue::Bytes(bytes),
            SentValue::List(items) => SentValue::List(items.into_iter().map(SentValue::into_owned).collect()),
            SentValue::Map(entries) => {
                SentValue::Map(entries.into_iter().map(|(key, value)| (key, value.into_owned())).collect())
            }
        }
    }
}

/// As JSON, as [`SentValue::json`] writes it.
impl From<SentValue<'_>> for Value {
    fn from(value: SentValue<'_>) -> Value {
        match value {
            SentValue::Nothing => Value::Null,
            SentValue::Text(text) => Value::String(text.into_owned()),
            SentValue::Integer(value) => value.into(),
            // No number of JSON is infinite.
            SentValue::Double(value) => Number::from_f64(value).map_or_else(
                || {
                    let mut name = String::new();
                    push_double(&mut name, value);
                    Value::String(name)
                },
                Value::Number,
            ),
            SentValue::Boolean(value) => value.into(),
            SentValue::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
            SentValue::List(items) => items.into_iter().map(Value::from).collect(),
            SentValue::Map(entries) => {
                entries.into_iter().map(|(key, value)| (key, Value::from(value))).collect()
            }
        }
    }
}

/// The entries of a whole JSON object, as `resource` and `scope_attributes` hold one, with the types of its values in
/// their order. Of what is no object there are none.
pub fn object(text: &str, types: &str) -> Vec<(String, SentValue<'static>)> {
    match json(text, &format!("{{{types}}}")) {
        Some(SentValue::Map(entries)) => entries,
        _ => Vec::new(),
    }
}

fn json(text: &str, value_type: &str) -> Option<SentValue<'static>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Typed(value_type).deserialize(&mut deserializer).ok()?;
    deserializer.end().is_ok().then_some(value)
}

/// Reads JSON's next value as one of a type; without one, as what JSON says that it is.
struct Typed<'t>(&'t str);

impl<'t> Typed<'t> {
    fn is(&self, letter: char) -> bool {
        self.0.starts_with(letter)
    }

    /// The types inside of its brackets.
    fn inner(&self) -> Types<'t> {
        let inner = self.0.get(1..self.0.len().saturating_sub(1));
        Types::new(inner.unwrap_or_default())
    }
}

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = SentValue<'static>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Typed<'_> {
    type Value = SentValue<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of an attribute")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let bytes = || STANDARD.decode(text).ok().filter(|_| self.is('y')).map(SentValue::Bytes);
        let double = || text.parse().ok().filter(|_| self.is('d')).map(SentValue::Double);
        Ok(bytes().or_else(double).unwrap_or_else(|| SentValue::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(if self.is('d') { SentValue::Double(value as f64) } else { SentValue::Integer(value) })
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Ok(SentValue::Double(value as f64)),
        }
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(SentValue::Double(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(SentValue::Boolean(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(SentValue::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let (mut types, mut items) = (self.inner(), Vec::new());
        while let Some(item) = elements.next_element_seed(Typed(types.next().unwrap_or_default()))? {
            items.push(item);
        }
        Ok(SentValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut types, mut map) = (self.inner(), Vec::new());
        while let Some(key) = entries.next_key()? {
            map.push((key, entries.next_value_seed(Typed(types.next().unwrap_or_default()))?));
        }
        Ok(SentValue::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SentValue<'_> {
        SentValue::text(text)
    }

    #[test]
    fn every_type_reads_back() {
        let cases = [
            ("a", "s", text("a")),
            ("42", "s", text("42")),
            ("-9223372036854775808", "i", SentValue::Integer(i64::MIN)),
            ("1.0", "d", SentValue::Double(1.0)),
            ("-Infinity", "d", SentValue::Double(f64::NEG_INFINITY)),
            ("false", "b", SentValue::Boolean(false)),
            ("AAE=", "y", SentValue::Bytes(vec![0, 1])),
            ("", "n", SentValue::Nothing),
            ("[]", "[]", SentValue::List(vec![])),
            ("{}", "{}", SentValue::Map(vec![])),
            ("not a number", "i", text("not a number")),
            ("[1", "[i]", text("[1")),
            ("[1] 2", "[i]", text("[1] 2")),
        ];
        for (stored, value_type, want) in cases {
            assert_eq!(SentValue::parse(stored, value_type), want, "{stored} as {value_type}");
        }
    }

    /// What JSON alone would not tell: bytes from text, 2.0 from 2, no number, and the order of keys.
    #[test]
    fn what_is_nested_keeps_types_and_order() {
        let stored = r#"{"z":[1,2.0,"AQ==","AQ==","Infinity",null,true],"a":{"k":"v","k":3}}"#;
        let want = SentValue::Map(vec![
            (
                "z".to_owned(),
                SentValue::List(vec![
                    SentValue::Integer(1),
                    SentValue::Double(2.0),
                    SentValue::Bytes(vec![1]),
                    text("AQ=="),
                    SentValue::Double(f64::INFINITY),
                    SentValue::Nothing,
                    SentValue::Boolean(true),
                ]),
            ),
            (
                "a".to_owned(),
                SentValue::Map(vec![("k".to_owned(), text("v")), ("k".to_owned(), SentValue::Integer(3))]),
            ),
        ]);
        assert_eq!(SentValue::parse(stored, "{[idysdnb]{si}}"), want);
        assert_eq!(want.json(), stored);
    }

    #[test]
    fn a_value_is_the_json_that_it_is_written_as() {
        let stored = r#"{"z":[1,2.0,"AQ==","Infinity",null,true],"a":{"k":"v"}}"#;
        let value = Value::from(SentValue::parse(stored, "{[idydnb]{s}}"));
        assert_eq!(serde_json::from_str::<Value>(stored).ok(), Some(value));
        assert_eq!(Value::from(SentValue::parse("NaN", "d")), Value::from("NaN"));
    }

    #[test]
    fn an_object_is_its_entries() {
        let want = vec![("a".to_owned(), text("x")), ("b".to_owned(), SentValue::Integer(5))];
        assert_eq!(object(r#"{"a":"x","b":5}"#, "si"), want);
        for broken in ["", "[]", "{\"a\":"] {
            assert_eq!(object(broken, "s"), [], "{broken}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(object(&deep, ""), [], "depth ends it, and not the stack");
    }
}
