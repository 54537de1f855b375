//! One value of a column as JSON.
//!
//! Exact before convenient: 64-bit integers beyond 2^53 - 1 (every `time_unix_nano` is one) are JSON strings,
//! because JavaScript would round them in silence; smaller ones are numbers. NaN and infinities, which
//! JSON lacks, are strings. Times are RFC 3339 in UTC, dates `YYYY-MM-DD`, bytes base64, maps objects, lists
//! arrays. What is left (decimals, intervals) is a string as SQL shows it.

use arrow::array::{Array, ArrayRef, AsArray, LargeListArray, ListArray, MapArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::temporal_conversions::as_datetime;
use arrow::util::display::array_value_to_string;
use meshlake_schema::attributes::{push_double, push_json_string};

/// The largest magnitude up to which every integer is a double of its own. Source: RFC 8259 section 6.
const EXACT_INTEGER_MAX: u64 = (1 << 53) - 1;

/// What columns of `data_type` are called in an answer.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytes".to_owned(),
        DataType::List(_) | DataType::LargeList(_) => "list".to_owned(),
        DataType::Map(..) => "map".to_owned(),
        DataType::Struct(_) => "struct".to_owned(),
        other => other.to_string().to_ascii_lowercase(),
    }
}

/// Whether there is no value at `row`. A column of nulls alone has no mask of them.
pub fn is_null(array: &dyn Array, row: usize) -> bool {
    array.is_null(row) || array.data_type().is_null()
}

/// Appends the value of `array` at `row`.
pub fn push_value(out: &mut String, array: &dyn Array, row: usize) {
    if is_null(array, row) {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => push_int(out, array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => push_int(out, array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => push_int(out, array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => push_int(out, array.as_primitive::<Int64Type>().value(row).into()),
        DataType::UInt8 => push_int(out, array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => push_int(out, array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => push_int(out, array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => push_int(out, array.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Float32 => push_float(out, array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => push_float(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => push_json_string(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => push_json_string(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => push_json_string(out, array.as_string_view().value(row)),
        DataType::Dictionary(..) => push_dictionary(out, array, row),
        DataType::List(_) => push_list(out, array.as_list::<i32>(), row),
        DataType::LargeList(_) => push_large_list(out, array.as_list::<i64>(), row),
        DataType::Map(..) => push_map(out, array.as_map(), row),
        DataType::Struct(_) => push_struct(out, array.as_struct(), row),
        _ => push_as_text(out, array, row),
    }
}

/// The value as text without JSON's quotes: what CSV holds. Nested values are JSON.
pub fn push_plain(out: &mut String, array: &dyn Array, row: usize) {
    match array.data_type() {
        _ if is_null(array, row) => {}
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            push_plain(out, dictionary.values().as_ref(), dictionary.normalized_keys()[row]);
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) | DataType::Struct(_) => {
            push_value(out, array, row);
        }
        _ => {
            let mut json = String::new();
            push_value(&mut json, array, row);
            out.push_str(json.trim_matches('"'));
        }
    }
}

fn push_int(out: &mut String, value: i128) {
    use std::fmt::Write as _;
    let quote = if value.unsigned_abs() > u128::from(EXACT_INTEGER_MAX) { "\"" } else { "" };
    write!(out, "{quote}{value}{quote}").expect("writing to a String cannot fail");
}

fn push_float(out: &mut String, value: f64) {
    if value.is_finite() {
        push_double(out, value);
    } else {
        out.push('"');
        push_double(out, value);
        out.push('"');
    }
}

fn push_dictionary(out: &mut String, array: &dyn Array, row: usize) {
    let dictionary = array.as_any_dictionary();
    push_value(out, dictionary.values().as_ref(), dictionary.normalized_keys()[row]);
}

fn push_list(out: &mut String, list: &ListArray, row: usize) {
    push_elements(out, &list.value(row));
}

fn push_large_list(out: &mut String, list: &LargeListArray, row: usize) {
    push_elements(out, &list.value(row));
}

fn push_elements(out: &mut String, elements: &ArrayRef) {
    out.push('[');
    for element in 0..elements.len() {
        if element > 0 {
            out.push(',');
        }
        push_value(out, elements.as_ref(), element);
    }
    out.push(']');
}

fn push_map(out: &mut String, map: &MapArray, row: usize) {
    let entries = map.value(row);
    out.push('{');
    for entry in 0..entries.len() {
        if entry > 0 {
            out.push(',');
        }
        let mut key = String::new();
        push_plain(&mut key, entries.column(0).as_ref(), entry);
        push_json_string(out, &key);
        out.push(':');
        push_value(out, entries.column(1).as_ref(), entry);
    }
    out.push('}');
}

fn push_struct(out: &mut String, value: &StructArray, row: usize) {
    out.push('{');
    for (position, (field, column)) in value.fields().iter().zip(value.columns()).enumerate() {
        if position > 0 {
            out.push(',');
        }
        push_json_string(out, field.name());
        out.push(':');
        push_value(out, column.as_ref(), row);
    }
    out.push('}');
}

fn push_as_text(out: &mut String, array: &dyn Array, row: usize) {
    let text = match array.data_type() {
        DataType::Timestamp(unit, _) => timestamp(array, row, *unit),
        DataType::Date32 => {
            arrow::temporal_conversions::date32_to_datetime(array.as_primitive::<Date32Type>().value(row))
                .map(|date| date.format("%Y-%m-%d").to_string())
        }
        DataType::Binary => Some(base64(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => Some(base64(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => Some(base64(array.as_binary_view().value(row))),
        _ => None,
    };
    // A type without a text form would be a new type of the engine's; its name says more than nothing.
    let text = text.or_else(|| array_value_to_string(array, row).ok());
    push_json_string(out, &text.unwrap_or_else(|| array.data_type().to_string()));
}

/// The stored instant in UTC, whatever zone its type shows it in; None outside the calendar's range.
fn timestamp(array: &dyn Array, row: usize, unit: TimeUnit) -> Option<String> {
    let time = match unit {
        TimeUnit::Second => {
            as_datetime::<TimestampSecondType>(array.as_primitive::<TimestampSecondType>().value(row))
        }
        TimeUnit::Millisecond => as_datetime::<TimestampMillisecondType>(
            array.as_primitive::<TimestampMillisecondType>().value(row),
        ),
        TimeUnit::Microsecond => as_datetime::<TimestampMicrosecondType>(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
        ),
        TimeUnit::Nanosecond => {
            as_datetime::<TimestampNanosecondType>(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
    };
    time.map(|time| format!("{}Z", time.format("%Y-%m-%dT%H:%M:%S%.f")))
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    meshlake_schema::attributes::push_bytes(&mut text, bytes);
    text
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int64Array, NullArray,
        StringViewArray, TimestampMicrosecondArray, UInt64Array,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Float64Type, Int32Type};
    use std::sync::Arc;

    use super::*;

    fn check(array: &dyn Array, want: &[&str]) {
        let json = (0..array.len()).map(|row| {
            let mut out = String::new();
            push_value(&mut out, array, row);
            out
        });
        assert_eq!(json.collect::<Vec<_>>(), want);
    }

    #[test]
    fn integers_are_numbers_as_far_as_doubles_are_exact() {
        let values = [Some(9_007_199_254_740_991), Some(9_007_199_254_740_992), Some(i64::MIN), None];
        check(
            &Int64Array::from_iter(values),
            &["9007199254740991", "\"9007199254740992\"", "\"-9223372036854775808\"", "null"],
        );
        check(&UInt64Array::from(vec![u64::MAX]), &["\"18446744073709551615\""]);
    }

    #[test]
    fn nulls_of_no_type_are_null_also_inside_of_lists() {
        let nulls: ArrayRef = Arc::new(NullArray::new(2));
        check(nulls.as_ref(), &["null", "null"]);
        let mut plain = String::new();
        push_plain(&mut plain, nulls.as_ref(), 0);
        assert_eq!(plain, "");
        let element = Arc::new(Field::new("element", DataType::Null, true));
        check(&ListArray::new(element, OffsetBuffer::from_lengths([2]), nulls, None), &["[null,null]"]);
    }

    #[test]
    fn floats_are_numbers_where_json_has_them() {
        let values = vec![1.0, 0.1, f64::NAN, f64::NEG_INFINITY];
        check(&Float64Array::from(values), &["1.0", "0.1", "\"NaN\"", "\"-Infinity\""]);
    }

    #[test]
    fn times_and_dates_are_text() {
        let micros = TimestampMicrosecondArray::from(vec![1_700_000_000_000_000, 1]).with_timezone("UTC");
        check(&micros, &["\"2023-11-14T22:13:20Z\"", "\"1970-01-01T00:00:00.000001Z\""]);
        check(&Date32Array::from(vec![1]), &["\"1970-01-02\""]);
    }

    #[test]
    fn texts_bytes_and_booleans() {
        check(&StringViewArray::from(vec!["a\"b\n"]), &["\"a\\\"b\\n\""]);
        check(&DictionaryArray::<Int32Type>::from_iter([Some("x"), None]), &["\"x\"", "null"]);
        check(&BinaryArray::from_vec(vec![&[0, 1]]), &["\"AAE=\""]);
        check(&BooleanArray::from(vec![true]), &["true"]);
    }

    #[test]
    fn lists_are_arrays() {
        let lists = [Some(vec![Some(1.5), None]), Some(vec![])];
        check(&ListArray::from_iter_primitive::<Float64Type, _, _>(lists), &["[1.5,null]", "[]"]);
    }
}
