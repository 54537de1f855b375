//! What is written is compared with texts that the grammar of `meshlake_schema::attributes` gives.

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
fn broken_text_is_replaced_and_counted() {
    let mut writer = ValueWriter::default();
    let (mut column, mut types) = (AttributesColumn::default(), DictionaryColumn::default());
    let entry = KeyValue { key: b"k\xff", value: AnyValue::String(b"\xfev") };
    writer.push_entry(&mut column, entry).expect("a string always fits");
    column.end_row();
    writer.end_row(&mut types);
    assert_eq!(writer.warnings().count(Warning::TextReplaced), 2);
    let map = column.finish();
    assert_eq!(map.as_map().keys().as_string::<i32>().value(0), "k\u{fffd}");
    assert_eq!(map.as_map().values().as_string::<i32>().value(0), "\u{fffd}v");
}
