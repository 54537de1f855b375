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
    let entry = |key, value| KeyValue { key, value };
    writer.push_entry(&mut column, entry(b"i", AnyValue::Int(1))).expect("a scalar always fits");
    writer.single(AnyValue::Bool(true)).expect("a scalar always fits");
    writer.object(vec![entry(b"i", AnyValue::Double(0.5))]).expect("a scalar always fits");
    writer.push_entry(&mut column, entry(b"s", AnyValue::String(b"x"))).expect("a scalar always fits");
    writer.end_list_row(&mut column, &mut types);
    assert_eq!(types.finish().as_string::<i32>().value(0), "is");
}

/// The text and type of one attribute's value, and what was warned of.
fn single_warned(value: &otlp::AnyValue) -> (String, String, Vec<(Warning, u64)>) {
    let bytes = value.encode_to_vec();
    let mut writer = ValueWriter::default();
    let value = AnyValue::read(&bytes).expect("encoded above");
    let (text, types) = writer.single(value).expect("encoded above");
    (text.to_owned(), types.to_owned(), writer.warnings().given().collect())
}

#[test]
fn values_below_the_deepest_level_are_null() {
    // The list at level 1 holds the list at level 2; the int is at the last of `levels`.
    let nested = |levels: usize| (1..levels).fold(any(Otlp::IntValue(7)), |inner, _| array(vec![inner]));
    let around =
        |levels: usize, core: &str| format!("{}{core}{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let deepest = single_warned(&nested(LEVELS_MAX));
    assert_eq!(deepest, (around(LEVELS_MAX, "7"), around(LEVELS_MAX, "i"), vec![]));
    for levels in [LEVELS_MAX + 1, LEVELS_MAX + 2, 100] {
        let (text, types, warnings) = single_warned(&nested(levels));
        assert_eq!((text, types), (around(LEVELS_MAX + 1, "null"), around(LEVELS_MAX + 1, "n")), "{levels}");
        assert_eq!(warnings, [(Warning::ValueTooDeep, 1)]);
    }
    // One value is one warning, however many of its parts were too deep.
    let wide = array(vec![nested(LEVELS_MAX), nested(LEVELS_MAX), any(Otlp::BoolValue(true))]);
    let (text, _, warnings) = single_warned(&wide);
    assert!(text.ends_with("]],true]"), "what is beside is kept: {text}");
    assert_eq!(warnings, [(Warning::ValueTooDeep, 1)]);
}

#[test]
fn keys_and_values_are_cut_at_their_limits() {
    let sent = |key_bytes: usize, value| (vec![b'k'; key_bytes], value);
    let text = vec![b'v'; VALUE_BYTES_MAX + 1];
    let cases = [
        (sent(KEY_BYTES_MAX, AnyValue::Int(1)), None),
        (sent(KEY_BYTES_MAX + 1, AnyValue::Int(1)), Some((KEY_BYTES_MAX, AnyValue::Int(1)))),
        (sent(1, AnyValue::String(&text[1..])), None),
        (sent(1, AnyValue::String(&text)), Some((1, AnyValue::String(&text[1..])))),
        (sent(1, AnyValue::Bytes(&text[1..])), None),
        (sent(1, AnyValue::Bytes(&text)), Some((1, AnyValue::Bytes(&text[1..])))),
        (sent(1000, AnyValue::Bytes(&text)), Some((KEY_BYTES_MAX, AnyValue::Bytes(&text[1..])))),
    ];
    for ((key, value), cut) in cases {
        let any = match value {
            AnyValue::String(text) => any(Otlp::StringValue(String::from_utf8_lossy(text).into_owned())),
            AnyValue::Bytes(bytes) => any(Otlp::BytesValue(bytes.to_vec())),
            _ => any(Otlp::IntValue(1)),
        };
        let message = entry(&String::from_utf8_lossy(&key), any).encode_to_vec();
        let mut writer = ValueWriter::default();
        let (key_bytes, want) = cut.unwrap_or((key.len(), value));
        assert_eq!(writer.read(&message), Ok(KeyValue { key: &key[..key_bytes], value: want }));
        assert_eq!(writer.warnings().count(Warning::ValueCut), u64::from(cut.is_some()), "one an attribute");
    }
}

#[test]
fn lists_and_maps_end_with_the_element_that_fills_them() {
    // Each element is a quote, 98 letters, a quote; with a bracket or comma before it 101 bytes. The 649th begins at
    // 648 * 101 = 65448 and ends at 65549, beyond 65536 bytes, so it is the last.
    let element = any(Otlp::StringValue("x".repeat(98)));
    let want = 649;
    let (text, types, warnings) = single_warned(&array(vec![element.clone(); 10_000]));
    assert_eq!(text, format!("[{}]", vec![format!("\"{}\"", "x".repeat(98)); want].join(",")));
    assert_eq!(types, format!("[{}]", "s".repeat(want)));
    assert_eq!(warnings, [(Warning::ValueCut, 1)]);
    let whole = single_warned(&array(vec![element.clone(); want]));
    assert_eq!((whole.0, whole.2), (text, vec![]), "as long without being cut");
    let (text, types, warnings) = single_warned(&list(vec![entry("k", element); 10_000]));
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() && text.len() < VALUE_BYTES_MAX + 200);
    assert_eq!((types.len() - 2, warnings), (text.matches("\"k\":").count(), vec![(Warning::ValueCut, 1)]));
    // Texts, bytes and keys inside are bounded like those outside.
    let long = |bytes: usize| any(Otlp::StringValue("x".repeat(bytes)));
    let (text, ..) = single_warned(&array(vec![long(VALUE_BYTES_MAX + 9)]));
    assert_eq!(text.len(), VALUE_BYTES_MAX + r#"[""]"#.len());
    let (text, ..) = single_warned(&list(vec![entry(&"k".repeat(KEY_BYTES_MAX + 9), long(0))]));
    assert_eq!(text.len(), KEY_BYTES_MAX + r#"{"":""}"#.len());
    let (text, ..) = single_warned(&array(vec![any(Otlp::BytesValue(vec![0; VALUE_BYTES_MAX + 9]))]));
    assert_eq!(
        text.len(),
        VALUE_BYTES_MAX.div_ceil(3) * 4 + r#"[""]"#.len(),
        "base64: four letters for three bytes"
    );
}

#[test]
fn a_time_that_no_column_can_hold_is_the_latest_there_is() {
    let latest = i64::MAX as u64;
    for (unix_nano, want, lowered) in
        [(latest, i64::MAX, 0), (latest + 1, i64::MAX, 1), (u64::MAX, i64::MAX, 1)]
    {
        let mut writer = ValueWriter::default();
        assert_eq!(writer.time(unix_nano), want);
        assert_eq!(writer.warnings().count(Warning::TimeLowered), lowered);
    }
}

#[test]
fn a_body_may_be_longer_than_an_attribute() {
    for (bytes, kept) in [(BODY_BYTES_MAX, BODY_BYTES_MAX), (BODY_BYTES_MAX + 1, BODY_BYTES_MAX)] {
        let text = vec![b'x'; bytes];
        let mut writer = ValueWriter::default();
        let stored = writer.body(AnyValue::String(&text)).map(|(text, _)| text.len());
        assert_eq!(stored, Ok(kept));
        assert_eq!(writer.warnings().count(Warning::ValueCut), u64::from(bytes > kept));
    }
}

#[test]
fn of_a_key_that_comes_again_the_last_stays_with_its_type() {
    let mut writer = ValueWriter::default();
    let (mut column, mut types) = (AttributesColumn::default(), TextColumn::default());
    let nested = array(vec![any(Otlp::IntValue(1))]).encode_to_vec();
    let values = [
        ("a", AnyValue::Int(1)),
        ("b", AnyValue::read(&nested).expect("encoded above")),
        ("a", AnyValue::Bool(true)),
        ("c", AnyValue::Double(0.5)),
        ("b", AnyValue::String(b"x")),
    ];
    for (key, value) in values {
        let pushed = writer.push_entry(&mut column, KeyValue { key: key.as_bytes(), value });
        assert_eq!(pushed, Ok(()));
    }
    writer.end_list_row(&mut column, &mut types);
    assert_eq!(types.finish().as_string::<i32>().value(0), "bds");
    let map = column.finish();
    let texts: Vec<_> = map.as_map().values().as_string::<i32>().iter().flatten().collect();
    assert_eq!(texts, ["true", "0.5", "x"]);
    assert_eq!(writer.warnings().given().collect::<Vec<_>>(), [(Warning::AttributeRepeated, 2)]);
}

#[test]
fn a_full_row_takes_no_more_attributes() {
    let mut writer = ValueWriter::default();
    let (mut column, mut types) = (AttributesColumn::default(), TextColumn::default());
    let keys: Vec<String> = (0..=ATTRIBUTES_MAX).map(|number| format!("key {number}")).collect();
    for row in 0..2 {
        for (at, key) in keys.iter().enumerate() {
            let message = otlp::KeyValue { key: key.clone(), ..otlp::KeyValue::default() }.encode_to_vec();
            let left_out = writer.push_sent(&mut column, &message);
            assert_eq!(left_out, Ok(u32::from(at == ATTRIBUTES_MAX)), "row {row}, {key}");
        }
        writer.end_list_row(&mut column, &mut types);
    }
    assert_eq!(column.entry_count(), 2 * ATTRIBUTES_MAX);
    assert_eq!(writer.warnings().given().collect::<Vec<_>>(), [(Warning::AttributeDropped, 2)]);
}

#[test]
fn broken_text_is_replaced_and_counted() {
    let mut writer = ValueWriter::default();
    let (mut column, mut types) = (AttributesColumn::default(), DictionaryColumn::default());
    let entry = KeyValue { key: b"k\xff", value: AnyValue::String(b"\xfev") };
    writer.push_entry(&mut column, entry).expect("a string always fits");
    writer.end_row(&mut column, &mut types);
    assert_eq!(writer.warnings().count(Warning::TextReplaced), 2);
    let map = column.finish();
    assert_eq!(map.as_map().keys().as_string::<i32>().value(0), "k\u{fffd}");
    assert_eq!(map.as_map().values().as_string::<i32>().value(0), "\u{fffd}v");
}
