//! Texts and arrays, as far as PostgreSQL has functions for them that the engine has not.

use datafusion::error::{DataFusionError, Result};

use super::{Arguments, Declared};
use crate::postgres::array_text::elements_of;
use crate::postgres::cell::{Cell, CellType};
use crate::postgres::known::Facts;
use crate::postgres::postgres_type::{PostgresType, Scalar};

const fn declared(
    name: &'static str,
    returns: CellType,
    body: fn(&Facts, Arguments<'_>) -> Result<Cell>,
) -> Declared {
    Declared { name, returns, takes_nulls: false, body }
}

pub const ALL: [Declared; 15] = [
    declared("quote_ident", CellType::Text, |_, arguments| Ok(quoted(&text(arguments)?).into())),
    declared("quote_literal", CellType::Text, |_, arguments| {
        Ok(format!("'{}'", text(arguments)?.replace('\'', "''")).into())
    }),
    declared("parse_ident", CellType::Texts, |_, arguments| parse_ident(&text(arguments)?)),
    declared("array_lower", CellType::Int4, |_, arguments| {
        Ok((arguments.length(0)? > 0).then_some(1).into())
    }),
    declared("array_upper", CellType::Int4, |_, arguments| {
        let length = i64::try_from(arguments.length(0)?).unwrap_or(i64::MAX);
        Ok((length > 0).then_some(length).into())
    }),
    declared("format", CellType::Text, format_text).with_nulls(),
    declared("bytea", CellType::Bytea, |_, arguments| bytes_of(&text(arguments)?)),
    declared("jsonb", CellType::Named(Scalar::Jsonb), |_, arguments| document(text(arguments)?)),
    declared("text_array", CellType::Texts, |_, arguments| {
        let text = text(arguments)?;
        let elements = elements_of(&text).ok_or_else(|| {
            DataFusionError::Execution(format!("Cast error: malformed array literal: \"{text}\""))
        })?;
        Ok(Cell::Texts(elements.into_iter().flatten().collect()))
    }),
    declared("like_pattern", CellType::Text, |_, arguments| {
        let escape = arguments.text(1)?.unwrap_or_default();
        Ok(like_pattern(&text(arguments)?, &escape).into())
    }),
    declared("pg_encoding_to_char", CellType::Text, |_, arguments| {
        Ok(if text(arguments)? == "6" { "UTF8".into() } else { "".into() })
    }),
    declared("pg_char_to_encoding", CellType::Int4, |_, arguments| {
        Ok(if text(arguments)?.eq_ignore_ascii_case("utf8") { 6.into() } else { (-1).into() })
    }),
    declared("pg_size_pretty", CellType::Text, |_, arguments| pretty_size(&text(arguments)?)),
    declared("pg_typeof", CellType::Text, |_, arguments| {
        let data_type = arguments.data_type(0);
        Ok(data_type.map(|data_type| PostgresType::of_data(&data_type).sql_name()).into())
    })
    .with_nulls(),
    declared("pg_advisory_unlock_all", CellType::Text, |_, _| Ok("".into())),
];

fn text(arguments: Arguments<'_>) -> Result<String> {
    Ok(arguments.text(0)?.unwrap_or_default())
}

/// In quotes where it would be read as something else. Source: PostgreSQL 16, `quote_identifier`; its list of reserved
/// words is left out: none of our names is one.
pub fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A pattern of LIKE whose `escape` is the backslash, which is the only one that the engine knows; none where the escape
/// is empty.
fn like_pattern(pattern: &str, escape: &str) -> String {
    let escape = escape.chars().next();
    let mut plain = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            plain.push('\\');
            plain.extend(chars.next());
        } else {
            plain.extend((c == '\\').then_some('\\'));
            plain.push(c);
        }
    }
    plain
}

/// The parts of `a."B".c`.
fn parse_ident(text: &str) -> Result<Cell> {
    let wrong = || DataFusionError::Execution(format!("string is not a valid identifier: \"{text}\""));
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').ok_or_else(wrong)?;
            part = quoted[..end].to_owned();
            rest = &quoted[end + 1..];
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            part = rest[..end].trim().to_lowercase();
            rest = &rest[end..];
        }
        if part.is_empty() {
            return Err(wrong());
        }
        parts.push(part);
        match rest.trim_start().strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.trim().is_empty() => return Ok(Cell::Texts(parts)),
            None => return Err(wrong()),
        }
    }
}

/// `%s`, `%I` and `%L` for the next argument, or `%2$s` for the second. Source: PostgreSQL 16, "format". Limits: no
/// widths.
fn format_text(_: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let Some(pattern) = arguments.text(0)? else { return Ok(Cell::Null) };
    let wrong = |what: &str| DataFusionError::Execution(format!("format: {what}"));
    let mut out = String::new();
    let (mut next, mut rest) = (1, pattern.as_str());
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let digits = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (place, kind) = match behind[digits..].strip_prefix('$') {
            Some(kind) => (behind[..digits].parse().map_err(|_| wrong("no such argument"))?, kind),
            None => (next, behind),
        };
        let mut kinds = kind.chars();
        let kind = kinds.next();
        rest = kinds.as_str();
        if kind == Some('%') {
            out.push('%');
            continue;
        }
        if place >= arguments.0.len() {
            return Err(wrong("too few arguments"));
        }
        next = place + 1;
        match (kind, arguments.text(place)?) {
            (Some('s'), value) => out.push_str(&value.unwrap_or_default()),
            (Some('I'), Some(value)) => out.push_str(&quoted(&value)),
            (Some('I'), None) => return Err(wrong("null values cannot be formatted as an SQL identifier")),
            (Some('L'), Some(value)) => out.push_str(&format!("'{}'", value.replace('\'', "''"))),
            (Some('L'), None) => out.push_str("NULL"),
            _ => return Err(wrong("only %s, %I, %L and %% are known")),
        }
    }
    out.push_str(rest);
    Ok(out.into())
}

/// `\x00ff`, or text with `\\` and `\ooo` in it. Source: PostgreSQL 16, "Binary Data Types".
fn bytes_of(text: &str) -> Result<Cell> {
    let wrong = || DataFusionError::Execution("Cast error: invalid input syntax for type bytea".to_owned());
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let bytes = digits.chunks(2).map(|pair| {
            let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2 && !pair.starts_with('+'));
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)
        });
        return Ok(Cell::Bytes(bytes.collect::<Result<_>>()?));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => {
                bytes.push(b'\\');
                rest = behind;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = behind;
            }
            (b'\\', _) => return Err(wrong()),
            (byte, _) => bytes.push(*byte),
        }
    }
    Ok(Cell::Bytes(bytes))
}

/// A document as it was written, which it must be.
fn document(text: String) -> Result<Cell> {
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text.into()),
        Err(_) => {
            Err(DataFusionError::Execution("Cast error: invalid input syntax for type json".to_owned()))
        }
    }
}

/// Source: PostgreSQL 16, `pg_size_pretty`: a unit is used until its number reaches 10,240.
fn pretty_size(text: &str) -> Result<Cell> {
    let wrong = |_| DataFusionError::Plan(format!("pg_size_pretty takes a number of bytes, not {text}"));
    let mut size: i64 = text.parse().map_err(wrong)?;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if size.unsigned_abs() < 10_240 {
            return Ok(format!("{size} {unit}").into());
        }
        size = (size + size.signum() * 512) / 1_024;
    }
    Ok(format!("{size} TB").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, want) in
            [("spans", "spans"), ("Spans", "\"Spans\""), ("a b", "\"a b\""), ("a\"", "\"a\"\"\"")]
        {
            assert_eq!(quoted(name), want);
        }
    }

    #[test]
    fn identifiers_are_taken_apart_at_their_dots() {
        let parts = |text| parse_ident(text).map_err(|error| error.to_string());
        let texts = |parts: &[&str]| Ok(Cell::Texts(parts.iter().map(ToString::to_string).collect()));
        assert_eq!(parts("Public.spans"), texts(&["public", "spans"]));
        assert_eq!(parts(r#""A.b".c"#), texts(&["A.b", "c"]));
        assert!(parts("a..b").is_err() && parts("").is_err() && parts("\"a").is_err());
    }

    #[test]
    fn patterns_are_escaped_by_backslashes() {
        let cases =
            [("pg/_%", "/", r"pg\_%"), (r"a\b", "/", r"a\\b"), ("a//b", "/", r"a\/b"), (r"a\_", "", r"a\\_")];
        for (pattern, escape, want) in cases {
            assert_eq!(like_pattern(pattern, escape), want, "{pattern}");
        }
    }

    /// As PostgreSQL 15 answers `SELECT '...'::bytea`.
    #[test]
    fn bytes_are_written_in_hex_or_as_they_are() {
        let cases = [
            (r"\x00fF", Some(vec![0, 255])),
            (r"a\\b\001", Some(vec![b'a', b'\\', b'b', 1])),
            ("", Some(vec![])),
            (r"\x0", None),
            (r"\xg0", None),
            (r"a\b", None),
        ];
        for (text, want) in cases {
            assert_eq!(bytes_of(text).ok(), want.map(Cell::Bytes), "{text}");
        }
    }

    /// As the documentation of PostgreSQL's function shows them.
    #[test]
    fn sizes_are_rounded_to_a_unit() {
        let cases =
            [("0", "0 bytes"), ("10239", "10239 bytes"), ("10240", "10 kB"), ("1073741824", "1024 MB")];
        for (bytes, want) in cases {
            assert_eq!(pretty_size(bytes).expect("a number"), want.into());
        }
    }
}
