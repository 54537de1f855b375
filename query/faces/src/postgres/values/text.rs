//! Values as text, the way PostgreSQL writes them.
//!
//! Source: PostgreSQL 16, "Data Types"; the rules for arrays are in "Array Input and Output Syntax".

use std::fmt::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use bytes::{BufMut as _, BytesMut};
use meshlake_query::postgres::{PostgresType, Scalar};

use super::numbers::{push_float4, push_float8};
use super::times::{push_date, push_interval, push_time, push_timestamp};
use super::{json, text_at};

/// Appends a value that is not null.
pub fn push(out: &mut BytesMut, array: &dyn Array, row: usize, postgres_type: PostgresType) {
    if postgres_type.is_array {
        return push_array(out, array.as_list::<i32>().value(row).as_ref(), postgres_type.scalar);
    }
    match postgres_type.scalar {
        Scalar::Bool => out.put_u8(if array.as_boolean().value(row) { b't' } else { b'f' }),
        Scalar::Int2 => push_integer(out, array.as_primitive::<Int16Type>().value(row)),
        Scalar::Int4 | Scalar::Oid => push_integer(out, array.as_primitive::<Int32Type>().value(row)),
        Scalar::Int8 => push_integer(out, array.as_primitive::<Int64Type>().value(row)),
        Scalar::Float4 => push_float4(out, array.as_primitive::<Float32Type>().value(row)),
        Scalar::Float8 => push_float8(out, array.as_primitive::<Float64Type>().value(row)),
        Scalar::Char | Scalar::Name | Scalar::Text | Scalar::Numeric => {
            out.put_slice(text_at(array, row).as_bytes());
        }
        Scalar::Bytea => {
            out.put_slice(b"\\x");
            for byte in array.as_binary::<i32>().value(row) {
                write!(out, "{byte:02x}").expect("writing to a buffer cannot fail");
            }
        }
        Scalar::Date => push_date(out, array.as_primitive::<Date32Type>().value(row)),
        Scalar::Time => push_time(out, array.as_primitive::<Time64MicrosecondType>().value(row)),
        Scalar::Timestamp => {
            push_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row), false);
        }
        Scalar::Timestamptz => {
            push_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row), true);
        }
        Scalar::Interval => {
            push_interval(out, array.as_primitive::<IntervalMonthDayNanoType>().value(row));
        }
        Scalar::Jsonb => out.put_slice(json(array, row).as_bytes()),
        Scalar::Int2vector => push_vector(out, &array.as_list::<i32>().value(row), Scalar::Int2),
        Scalar::Oidvector => push_vector(out, &array.as_list::<i32>().value(row), Scalar::Oid),
    }
}

fn push_integer(out: &mut BytesMut, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("writing to a buffer cannot fail");
}

/// `1 2 3`
fn push_vector(out: &mut BytesMut, elements: &dyn Array, scalar: Scalar) {
    for place in 0..elements.len() {
        if place > 0 {
            out.put_u8(b' ');
        }
        push(out, elements, place, PostgresType { scalar, is_array: false });
    }
}

/// `{1,NULL,"a b"}`
fn push_array(out: &mut BytesMut, elements: &dyn Array, scalar: Scalar) {
    let one = PostgresType { scalar, is_array: false };
    let mut element = BytesMut::new();
    out.put_u8(b'{');
    for place in 0..elements.len() {
        if place > 0 {
            out.put_u8(b',');
        }
        if elements.is_null(place) {
            out.put_slice(b"NULL");
            continue;
        }
        element.clear();
        push(&mut element, elements, place, one);
        push_element(out, &element);
    }
    out.put_u8(b'}');
}

fn push_element(out: &mut BytesMut, element: &[u8]) {
    let is_plain = !element.is_empty()
        && !element.eq_ignore_ascii_case(b"null")
        && !element.iter().any(|byte| b"{},\"\\ \t\n\r\x0b\x0c".contains(byte));
    if is_plain {
        return out.put_slice(element);
    }
    out.put_u8(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}
