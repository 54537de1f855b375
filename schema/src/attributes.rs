//! How an attribute value is written as text, and read back without loss.
//!
//! The `attributes` map holds text only, because every reader of Parquet knows string maps and none of
//! OTLP's `AnyValue`. The type that text alone would lose stands beside it in `attribute_types`, one
//! entry of this grammar per map entry, in order:
//! ```text
//! type  = "s"                string: the text itself
//!       | "i"                int: decimal
//!       | "d"                double: shortest decimal that reads back to the same bits; NaN, Infinity, -Infinity
//!       | "b"                bool: true or false
//!       | "y"                bytes: base64 (RFC 4648 section 4, padded)
//!       | "n"                no value set: empty text
//!       | "[" type* "]"      array: JSON array
//!       | "{" type* "}"      key-value list: JSON object, keys in the order sent
//! ```
//! Inside JSON, ints, finite doubles and bools are JSON's own; bytes and non-finite doubles are strings,
//! told from strings by their type. `resource`, `scope_attributes` and `metric_metadata` are whole JSON
//! objects; their `*_types` column holds the types of the values in the order of the keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Reads the types of consecutive entries off one `*_types` text.
#[derive(Debug, Clone)]
pub struct Types<'a> {
    rest: &'a str,
}

impl<'a> Types<'a> {
    pub fn new(types: &'a str) -> Self {
        Types { rest: types }
    }
}

impl<'a> Iterator for Types<'a> {
    type Item = &'a str;

    /// The next whole type, nested ones with their brackets. `None` at the end, or where brackets do not match.
    fn next(&mut self) -> Option<&'a str> {
        let mut depth = 0usize;
        for (at, byte) in self.rest.bytes().enumerate() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                let (entry, rest) = self.rest.split_at(at + 1);
                self.rest = rest;
                return Some(entry);
            }
        }
        None
    }
}

/// An attribute value as JSON for people and APIs: ints, doubles, bools and structures keep their kind;
/// bytes stay base64 text; an unset value is null. Text that does not fit its type comes back as a string.
pub fn to_json(text: &str, value_type: &str) -> Value {
    let parsed = match value_type.as_bytes().first() {
        Some(b'i') => text.parse::<i64>().ok().map(Value::from),
        Some(b'd') => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        Some(b'b') => text.parse::<bool>().ok().map(Value::Bool),
        Some(b'n') => Some(Value::Null),
        Some(b'[' | b'{') => serde_json::from_str(text).ok(),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// The value of a key in a whole JSON object such as `resource` holds, as text: strings as they are, anything else as
/// JSON. None without the key, for null, and of what is no object.
pub fn resource_value(object: &str, key: &str) -> Option<String> {
    let object: Map<String, Value> = serde_json::from_str(object).ok()?;
    match object.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

/// A map of attributes as one JSON object, in the order of the keys' first appearance.
pub fn map_to_json<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>, types: &str) -> Map<String, Value> {
    let mut types = Types::new(types);
    entries.map(|(key, text)| (key.to_owned(), to_json(text, types.next().unwrap_or("s")))).collect()
}

/// Appends an int as `attributes` holds it.
pub fn push_int(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    push_unsigned(out, value.unsigned_abs());
}

/// Appends the decimal digits of a number. `write!` takes several times as long for the same, and access logs have a dozen
/// numbers a row.
pub fn push_unsigned(out: &mut String, value: u64) {
    let mut digits = [0; UNSIGNED_DIGITS_MAX];
    let (mut at, mut left) = (digits.len(), value);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

/// Digits of 2^64 - 1.
const UNSIGNED_DIGITS_MAX: usize = 20;

/// Appends a double as `attributes` holds it: always with a point or an exponent, so that JSON readers
/// take it for a double, and always the shortest text that reads back to the same bits.
pub fn push_double(out: &mut String, value: f64) {
    use std::fmt::Write as _;
    if value.is_finite() {
        write!(out, "{value:?}").expect("writing to a String cannot fail");
    } else {
        out.push_str(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
    }
}

/// Appends bytes as `attributes` holds them.
pub fn push_bytes(out: &mut String, value: &[u8]) {
    STANDARD.encode_string(value, out);
}

/// Appends a JSON string literal with its quotes (RFC 8259 section 7).
pub fn push_json_string(out: &mut String, value: &str) {
    use std::fmt::Write as _;
    out.push('"');
    let mut clean_from = 0;
    for (at, byte) in value.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&value[clean_from..at]);
        clean_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => write!(out, "\\u{byte:04x}").expect("writing to a String cannot fail"),
        }
    }
    out.push_str(&value[clean_from..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_are_written_to_the_last_digit() {
        let mut text = String::new();
        for value in [0, 9, -10, 100, i64::MAX, i64::MIN] {
            push_int(&mut text, value);
            text.push(' ');
        }
        push_unsigned(&mut text, u64::MAX);
        let want = "0 9 -10 100 9223372036854775807 -9223372036854775808 18446744073709551615";
        assert_eq!(text, want);
    }

    #[test]
    fn types_split_at_whole_entries() {
        let entries: Vec<_> = Types::new("si[s{id}b]n{}").collect();
        assert_eq!(entries, ["s", "i", "[s{id}b]", "n", "{}"]);
    }

    #[test]
    fn a_value_of_a_resource_is_its_text() {
        let resource = r#"{"a.b":"x y","n":5,"l":[1,"z"],"none":null}"#;
        for (key, want) in
            [("a.b", Some("x y")), ("n", Some("5")), ("l", Some(r#"[1,"z"]"#)), ("none", None), ("a", None)]
        {
            assert_eq!(resource_value(resource, key).as_deref(), want, "{key}");
        }
        for broken in ["", "[]", "{\"a\":"] {
            assert_eq!(resource_value(broken, "a"), None, "{broken}");
        }
    }

    #[test]
    fn unbalanced_types_end_the_reading() {
        for broken in ["[s", "]", "s]"] {
            let entries: Vec<_> = Types::new(broken).collect();
            assert!(entries.len() <= 1, "{broken} gave {entries:?}");
        }
    }

    #[test]
    fn every_type_reads_back() {
        let cases = [
            ("text", "s", json!("text")),
            ("42", "s", json!("42")),
            ("-9223372036854775808", "i", json!(i64::MIN)),
            ("1.0", "d", json!(1.0)),
            ("NaN", "d", json!("NaN")),
            ("true", "b", json!(true)),
            ("AAE=", "y", json!("AAE=")),
            ("", "n", Value::Null),
            ("[1,\"a\"]", "[is]", json!([1, "a"])),
            ("{\"k\":{}}", "{{}}", json!({"k": {}})),
            ("not a number", "i", json!("not a number")),
        ];
        for (text, value_type, want) in cases {
            assert_eq!(to_json(text, value_type), want, "{text} as {value_type}");
        }
    }

    #[test]
    fn doubles_read_back_to_the_same_bits() {
        for value in [0.1, -0.0, 1e300, 5e-324, f64::MAX, 3.0] {
            let mut text = String::new();
            push_double(&mut text, value);
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{text}");
            assert!(text.contains(['.', 'e']), "{text} would read as an int");
        }
        let mut text = String::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            push_double(&mut text, value);
            text.push(' ');
        }
        assert_eq!(text, "NaN Infinity -Infinity ");
    }

    #[test]
    fn json_strings_read_back() {
        for value in ["", "plain", "q\"b\\n\n\r\t\u{1}\u{7f}é\u{2028}", "\u{0}"] {
            let mut literal = String::new();
            push_json_string(&mut literal, value);
            assert_eq!(serde_json::from_str::<String>(&literal).ok().as_deref(), Some(value), "{literal}");
        }
    }
}
