//! Values in the binary format: what PostgreSQL's functions `*_send` write.
//!
//! ```text
//! date          days since 2000-01-01 i32
//! timestamp[tz] microseconds since 2000-01-01 00:00 UTC i64
//! interval      microseconds i64 | days i32 | months i32
//! numeric       digits u16 | weight i16 | sign u16 | decimals u16 | digits of base 10,000, u16 each
//! jsonb         version u8 = 1 | text
//! array         dimensions i32 | has nulls i32 | oid of elements u32 | length i32, lower bound i32 | elements
//! ```
//! Source: PostgreSQL 16, `src/backend/utils/adt/{date,timestamp,numeric,jsonb,arrayfuncs}.c`.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use bytes::{BufMut as _, BytesMut};
use meshlake_query::postgres::{PostgresType, Scalar};

use super::{json, push_sized, text_at};

/// From 1970, where Arrow counts from, to 2000.
const DAYS_TO_2000: i32 = 10_957;
const MICROS_TO_2000: i64 = DAYS_TO_2000 as i64 * 86_400_000_000;

const NUMERIC_NEGATIVE: u16 = 0x4000;

/// What arrays are counted from, but for the vectors of the catalogue.
const FIRST: i32 = 1;

/// Decimal digits in one of `numeric`'s.
const NUMERIC_DIGITS: usize = 4;

/// Appends a value that is not null.
pub fn push(out: &mut BytesMut, array: &dyn Array, row: usize, postgres_type: PostgresType) {
    if postgres_type.is_array {
        return push_array(out, &array.as_list::<i32>().value(row), postgres_type.scalar, FIRST);
    }
    match postgres_type.scalar {
        Scalar::Bool => out.put_u8(array.as_boolean().value(row).into()),
        Scalar::Int2 => out.put_i16(array.as_primitive::<Int16Type>().value(row)),
        Scalar::Int4 | Scalar::Oid => out.put_i32(array.as_primitive::<Int32Type>().value(row)),
        Scalar::Int8 => out.put_i64(array.as_primitive::<Int64Type>().value(row)),
        Scalar::Float4 => out.put_f32(array.as_primitive::<Float32Type>().value(row)),
        Scalar::Float8 => out.put_f64(array.as_primitive::<Float64Type>().value(row)),
        Scalar::Char | Scalar::Name | Scalar::Text => out.put_slice(text_at(array, row).as_bytes()),
        Scalar::Numeric => push_numeric(out, text_at(array, row)),
        Scalar::Bytea => out.put_slice(array.as_binary::<i32>().value(row)),
        Scalar::Date => {
            out.put_i32(array.as_primitive::<Date32Type>().value(row).saturating_sub(DAYS_TO_2000));
        }
        Scalar::Time => out.put_i64(array.as_primitive::<Time64MicrosecondType>().value(row)),
        Scalar::Timestamp | Scalar::Timestamptz => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            out.put_i64(micros.saturating_sub(MICROS_TO_2000));
        }
        Scalar::Interval => {
            let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            out.put_i64(interval.nanoseconds / 1_000);
            out.put_i32(interval.days);
            out.put_i32(interval.months);
        }
        Scalar::Jsonb => {
            out.put_u8(1);
            out.put_slice(json(array, row).as_bytes());
        }
        Scalar::Int2vector => push_array(out, &array.as_list::<i32>().value(row), Scalar::Int2, 0),
        Scalar::Oidvector => push_array(out, &array.as_list::<i32>().value(row), Scalar::Oid, 0),
    }
}

/// `first` is the number of the first element.
fn push_array(out: &mut BytesMut, elements: &dyn Array, scalar: Scalar, first: i32) {
    let one = PostgresType { scalar, is_array: false };
    let dimensions = i32::from(!elements.is_empty());
    out.put_i32(dimensions);
    out.put_i32((elements.null_count() > 0).into());
    out.put_u32(one.oid());
    if dimensions == 0 {
        return;
    }
    out.put_i32(i32::try_from(elements.len()).unwrap_or(i32::MAX));
    out.put_i32(first);
    for place in 0..elements.len() {
        push_sized(out, elements, place, one, true);
    }
}

/// A decimal number, which Arrow writes without an exponent.
fn push_numeric(out: &mut BytesMut, text: &str) {
    let (sign, digits) = text.strip_prefix('-').map_or((0, text), |digits| (NUMERIC_NEGATIVE, digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    // Both sides are filled up with zeros to whole digits of base 10,000.
    let filled = whole.len().next_multiple_of(NUMERIC_DIGITS);
    let all = format!("{}{whole}{decimals}", "0".repeat(filled - whole.len()));
    let padding = all.len().next_multiple_of(NUMERIC_DIGITS) - all.len();
    let all = format!("{all}{}", "0".repeat(padding));
    let groups = all.as_bytes().chunks(NUMERIC_DIGITS).map(|group| {
        group.iter().fold(0u16, |value, digit| value * 10 + u16::from(digit.saturating_sub(b'0')))
    });
    let mut groups: Vec<u16> = groups.collect();
    let mut weight = i16::try_from(filled / NUMERIC_DIGITS).unwrap_or(i16::MAX) - 1;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= i16::try_from(leading).unwrap_or(i16::MAX);
    let is_zero = groups.is_empty();
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(if is_zero { 0 } else { weight });
    out.put_u16(if is_zero { 0 } else { sign });
    out.put_u16(u16::try_from(decimals.len()).unwrap_or(u16::MAX));
    groups.into_iter().for_each(|group| out.put_u16(group));
}

/// The text of a `numeric`; none when it is malformed or no finite number.
pub fn numeric_text(mut bytes: &[u8]) -> Option<String> {
    use bytes::Buf as _;
    let digits = usize::from(bytes.try_get_u16().ok()?);
    let (weight, sign) = (bytes.try_get_i16().ok()?, bytes.try_get_u16().ok()?);
    let decimals = usize::from(bytes.try_get_u16().ok()?);
    if bytes.len() != 2 * digits || !matches!(sign, 0 | NUMERIC_NEGATIVE) {
        return None;
    }
    let groups: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let group_at = |place: i32| {
        let group = usize::try_from(i32::from(weight) - place).ok().and_then(|index| groups.get(index));
        format!("{:04}", group.copied().unwrap_or_default())
    };
    let whole: String = (0..=i32::from(weight).max(0)).rev().map(group_at).collect();
    let whole = whole.trim_start_matches('0');
    let places = i32::try_from(decimals.div_ceil(NUMERIC_DIGITS)).ok()?;
    let mut fraction: String = (1..=places).map(|place| group_at(-place)).collect();
    fraction.truncate(decimals);
    let sign = if sign == 0 { "" } else { "-" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if decimals == 0 { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits as `numeric_send` lays them out; see the source above. 12345.678 is 1, 2345, 6780 from 10,000^1 down.
    #[test]
    fn numerics_are_digits_of_base_ten_thousand() {
        let cases: [(&str, &[u16]); 7] = [
            ("0", &[0, 0, 0, 0]),
            ("0.00", &[0, 0, 0, 2]),
            ("1", &[1, 0, 0, 0, 1]),
            ("10000", &[1, 1, 0, 0, 1]),
            ("-12345.678", &[3, 1, 0x4000, 3, 1, 2345, 6780]),
            ("0.0001", &[1, 0xffff, 0, 4, 1]),
            ("0.00001", &[1, 0xfffe, 0, 5, 1000]),
        ];
        for (text, want) in cases {
            let mut out = BytesMut::new();
            push_numeric(&mut out, text);
            let want: Vec<u8> = want.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(out.as_ref(), want, "{text}");
            assert_eq!(numeric_text(&out).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_numeric_that_is_none_has_no_text() {
        // NaN, and fewer digits than it says.
        let cases: [&[u8]; 3] = [&[0, 0, 0, 0, 0xc0, 0, 0, 0], &[0, 1, 0, 0, 0, 0, 0, 0], b"abc"];
        for bytes in cases {
            assert_eq!(numeric_text(bytes), None);
        }
    }
}
