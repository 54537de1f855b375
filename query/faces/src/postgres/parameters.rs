//! Values that a client gives to a statement's parameters, in either format.
//!
//! What comes as text goes on as text: the engine reads it as what the parameter is. Of the binary format the numbers
//! and times are read here; what the engine has no value for (dates, numerics, intervals, arrays) becomes the text that it
//! reads.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use meshlake_query::Value;
use meshlake_query::postgres::{PostgresType, Scalar};
use meshlake_schema::UnixNanos;

use super::failure::{FEATURE_NOT_SUPPORTED, Failure, PROTOCOL_VIOLATION};
use super::values::{numeric_text, push_date};

const INVALID_BINARY: &str = "22P03";
const INVALID_TEXT: &str = "22021";

/// From 1970 to 2000, where PostgreSQL counts from.
const MICROS_TO_2000: i64 = 946_684_800_000_000;
const DAYS_TO_2000: i32 = 10_957;

/// How many of `formats` there may be for `count` values: none is all text, one is for all.
///
/// # Errors
/// Any other number.
pub fn format_of(formats: &[i16], count: usize, place: usize) -> Result<bool, Failure> {
    let format = match formats {
        [] => 0,
        [all] => *all,
        each if each.len() == count => each[place],
        _ => {
            let message = format!("{} formats are given for {count} values", formats.len());
            return Err(Failure::new(PROTOCOL_VIOLATION, message));
        }
    };
    match format {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::new(INVALID_PARAMETER_FORMAT, format!("unsupported format code: {format}"))),
    }
}

const INVALID_PARAMETER_FORMAT: &str = "22023";

/// The values of a statement whose parameters have `types`.
///
/// # Errors
/// Another number of values than of parameters, and the first value that is malformed.
pub fn values(
    types: &[PostgresType],
    formats: &[i16],
    given: &[Option<Bytes>],
) -> Result<Vec<Option<Value>>, Failure> {
    if types.len() != given.len() {
        let message =
            format!("{} values are given, and the statement has {} parameters", given.len(), types.len());
        return Err(Failure::new(PROTOCOL_VIOLATION, message));
    }
    let values = given.iter().zip(types).enumerate().map(|(place, (bytes, postgres_type))| {
        let is_binary = format_of(formats, given.len(), place)?;
        let Some(bytes) = bytes else { return Ok(None) };
        let value = if is_binary { of_bytes(bytes, *postgres_type) } else { of_text(bytes) };
        value.map(Some).map_err(|(code, why)| Failure::new(code, format!("parameter ${}: {why}", place + 1)))
    });
    values.collect()
}

type Wrong = (&'static str, &'static str);

fn of_text(bytes: &[u8]) -> Result<Value, Wrong> {
    let text = str::from_utf8(bytes).map_err(|_| (INVALID_TEXT, "it is not UTF-8"))?;
    Ok(Value::Text(text.to_owned()))
}

fn of_bytes(bytes: &[u8], postgres_type: PostgresType) -> Result<Value, Wrong> {
    if postgres_type.is_array {
        return array_text(bytes).map(Value::Text);
    }
    Ok(match postgres_type.scalar {
        Scalar::Bool => Value::Boolean(u8::from_be_bytes(sized(bytes)?) != 0),
        Scalar::Int2 => Value::Integer(i16::from_be_bytes(sized(bytes)?).into()),
        Scalar::Int4 => Value::Integer(i32::from_be_bytes(sized(bytes)?).into()),
        Scalar::Oid => Value::Integer(u32::from_be_bytes(sized(bytes)?).into()),
        Scalar::Int8 => Value::Integer(i64::from_be_bytes(sized(bytes)?)),
        Scalar::Float4 => Value::Double(f32::from_be_bytes(sized(bytes)?).into()),
        Scalar::Float8 => Value::Double(f64::from_be_bytes(sized(bytes)?)),
        Scalar::Char | Scalar::Name | Scalar::Text => of_text(bytes)?,
        Scalar::Timestamp | Scalar::Timestamptz => {
            let micros = i64::from_be_bytes(sized(bytes)?).checked_add(MICROS_TO_2000);
            let nanos = micros.and_then(|micros| micros.checked_mul(1_000));
            Value::Time(UnixNanos(nanos.ok_or((INVALID_BINARY, "the time is out of range"))?))
        }
        Scalar::Date => {
            let days = i32::from_be_bytes(sized(bytes)?).checked_add(DAYS_TO_2000);
            let mut text = BytesMut::new();
            push_date(&mut text, days.ok_or((INVALID_BINARY, "the date is out of range"))?);
            of_text(&text)?
        }
        Scalar::Numeric => {
            let text = numeric_text(bytes).ok_or((INVALID_BINARY, "it is no number"))?;
            Value::Text(text)
        }
        Scalar::Jsonb => of_text(bytes.strip_prefix(b"\x01").unwrap_or(bytes))?,
        Scalar::Bytea => Value::Text(bytes_text(bytes)),
        Scalar::Interval => {
            let bytes: [u8; 16] = sized(bytes)?;
            let (micros, rest) = bytes.split_at(8);
            let (days, months) = rest.split_at(4);
            let [days, months] = [i32::from_be_bytes(sized(days)?), i32::from_be_bytes(sized(months)?)];
            Value::Text(interval_text(months, days, i64::from_be_bytes(sized(micros)?)))
        }
        Scalar::Time => {
            let micros = i64::from_be_bytes(sized(bytes)?);
            let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            Value::Text(format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"))
        }
        Scalar::Int2vector | Scalar::Oidvector => {
            return Err((FEATURE_NOT_SUPPORTED, "this type is taken as text only"));
        }
    })
}

/// An interval as the engine reads it: `0 months -1 days -0.500000 seconds`.
fn interval_text(months: i32, days: i32, micros: i64) -> String {
    let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{months} months {days} days {sign}{}.{:06} seconds", size / 1_000_000, size % 1_000_000)
}

/// Bytes as PostgreSQL writes them in text: `\x00ff`.
fn bytes_text(bytes: &[u8]) -> String {
    let mut text = "\\x".to_owned();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

fn sized<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Wrong> {
    bytes.try_into().map_err(|_| (INVALID_BINARY, "it has the wrong length for its type"))
}

/// An array of one dimension, as text: `{"a",NULL}`.
fn array_text(mut bytes: &[u8]) -> Result<String, Wrong> {
    use bytes::Buf as _;
    const SHORT: Wrong = (INVALID_BINARY, "it is shorter than it says");
    let dimensions = bytes.try_get_i32().map_err(|_| SHORT)?;
    let _has_nulls = bytes.try_get_i32().map_err(|_| SHORT)?;
    let element = PostgresType::with_oid(bytes.try_get_u32().map_err(|_| SHORT)?);
    let element = element.ok_or((FEATURE_NOT_SUPPORTED, "its elements have a type that is not known"))?;
    let count = match dimensions {
        0 => 0,
        1 => bytes.try_get_i32().map_err(|_| SHORT)?,
        _ => return Err((FEATURE_NOT_SUPPORTED, "arrays have one dimension")),
    };
    if dimensions == 1 {
        bytes.try_get_i32().map_err(|_| SHORT)?;
    }
    let mut elements = Vec::new();
    for _ in 0..count {
        let Ok(length) = usize::try_from(bytes.try_get_i32().map_err(|_| SHORT)?) else {
            elements.push("NULL".to_owned());
            continue;
        };
        let value = bytes.split_off(..length).ok_or(SHORT)?;
        let text = match of_bytes(value, element)? {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Double(number) => number.to_string(),
            Value::Boolean(value) => value.to_string(),
            Value::Time(time) => time.to_rfc3339(),
        };
        elements.push(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    }
    Ok(format!("{{{}}}", elements.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn one(scalar: Scalar) -> PostgresType {
        PostgresType { scalar, is_array: false }
    }

    fn read(postgres_type: PostgresType, bytes: &[u8]) -> Result<Option<Value>, &'static str> {
        let given = [Some(Bytes::copy_from_slice(bytes))];
        let values = values(&[postgres_type], &[1], &given).map_err(|failure| failure.code)?;
        Ok(values.into_iter().next().expect("one value"))
    }

    /// Bytes as PostgreSQL's functions `*_send` write them.
    #[test]
    fn bytes_are_read_as_what_they_are() {
        let text = |text: &str| Value::Text(text.to_owned());
        // -1.5 s, 2 days, -1 month; 01:02:03.000004.
        let interval = [&(-1_500_000_i64).to_be_bytes()[..], &[0, 0, 0, 2], &[0xff; 4]].concat();
        let time = 3_723_000_004_i64.to_be_bytes();
        let cases: [(Scalar, &[u8], Value); 12] = [
            (Scalar::Bool, &[1], Value::Boolean(true)),
            (Scalar::Int2, &[0xff, 0xff], Value::Integer(-1)),
            (Scalar::Int4, &[0, 0, 1, 0], Value::Integer(256)),
            (Scalar::Int8, &[0, 0, 0, 0, 0, 0, 0, 7], Value::Integer(7)),
            (Scalar::Float8, &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Value::Double(1.5)),
            (Scalar::Timestamptz, &[0; 8], Value::Time(UnixNanos(946_684_800_000_000_000))),
            (Scalar::Date, &[0, 0, 0, 1], text("2000-01-02")),
            (Scalar::Jsonb, b"\x01{}", text("{}")),
            (Scalar::Bytea, &[0, 0xff], text("\\x00ff")),
            (Scalar::Text, "é".as_bytes(), text("é")),
            (Scalar::Interval, &interval, text("-1 months 2 days -1.500000 seconds")),
            (Scalar::Time, &time, text("01:02:03.000004")),
        ];
        for (scalar, bytes, want) in cases {
            assert_eq!(read(one(scalar), bytes), Ok(Some(want)), "{scalar:?}");
        }
    }

    #[test]
    fn an_array_becomes_its_text() {
        let head = [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 25], [0, 0, 0, 2], [0, 0, 0, 1]].concat();
        let body = [b"\0\0\0\x02a\"".as_slice(), b"\xff\xff\xff\xff"].concat();
        let texts = PostgresType { scalar: Scalar::Text, is_array: true };
        let want = Value::Text(r#"{"a\"",NULL}"#.to_owned());
        assert_eq!(read(texts, &[head.clone(), body].concat()), Ok(Some(want)));
        assert_eq!(read(texts, &head), Err(INVALID_BINARY));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(read(one(Scalar::Int4), &[0; 8]), Err(INVALID_BINARY));
        assert_eq!(read(one(Scalar::Text), &[0xff]), Err(INVALID_TEXT));
        assert_eq!(read(one(Scalar::Timestamptz), &[0x7f; 8]), Err(INVALID_BINARY));
        let none = values(&[one(Scalar::Text)], &[], &[]).map_err(|failure| failure.code);
        assert_eq!(none, Err(PROTOCOL_VIOLATION));
        assert_eq!(values(&[one(Scalar::Text)], &[], &[None]), Ok(vec![None]));
    }

    #[test]
    fn one_format_is_for_all_and_none_is_text() {
        assert_eq!(format_of(&[], 3, 2), Ok(false));
        assert_eq!(format_of(&[1], 3, 2), Ok(true));
        assert_eq!(format_of(&[1, 0, 1], 3, 1), Ok(false));
        let code = |formats: &[i16], count| format_of(formats, count, 0).map_err(|failure| failure.code);
        assert_eq!(code(&[1, 1], 3), Err(PROTOCOL_VIOLATION));
        assert_eq!(code(&[2], 1), Err(INVALID_PARAMETER_FORMAT));
    }
}
