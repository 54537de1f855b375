//! A value as it was sent, as the `AnyValue` that it was.

use meshlake_schema::sent::{SentValue, object};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};

/// Attributes of which a whole column tells; none of what is no object.
pub fn attributes_of(text: Option<&str>, types: Option<&str>) -> Vec<KeyValue> {
    let entries = text.map(|text| object(text, types.unwrap_or_default())).unwrap_or_default();
    entries.into_iter().map(|(key, value)| key_value(&key, value)).collect()
}

pub fn key_value(key: &str, value: SentValue<'_>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any_value(value)), ..KeyValue::default() }
}

fn any_value(value: SentValue<'_>) -> AnyValue {
    let value = match value {
        SentValue::Nothing => None,
        SentValue::Text(text) => Some(Value::StringValue(text.into_owned())),
        SentValue::Integer(number) => Some(Value::IntValue(number)),
        SentValue::Double(number) => Some(Value::DoubleValue(number)),
        SentValue::Boolean(value) => Some(Value::BoolValue(value)),
        SentValue::Bytes(bytes) => Some(Value::BytesValue(bytes)),
        SentValue::List(items) => {
            let values = items.into_iter().map(any_value).collect();
            Some(Value::ArrayValue(ArrayValue { values }))
        }
        SentValue::Map(entries) => {
            let values = entries.into_iter().map(|(key, value)| key_value(&key, value)).collect();
            Some(Value::KvlistValue(KeyValueList { values }))
        }
    };
    AnyValue { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn every_type_is_what_it_was() {
        let text = |text: &str| any(Value::StringValue(text.to_owned()));
        let list = |values| any(Value::KvlistValue(KeyValueList { values }));
        let entry =
            |key: &str, value| KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() };
        let array = |values| any(Value::ArrayValue(ArrayValue { values }));
        let cases = [
            ("42", "s", text("42")),
            ("42", "i", any(Value::IntValue(42))),
            ("-Infinity", "d", any(Value::DoubleValue(f64::NEG_INFINITY))),
            ("true", "b", any(Value::BoolValue(true))),
            ("AAE=", "y", any(Value::BytesValue(vec![0, 1]))),
            ("", "n", AnyValue { value: None }),
            ("[1,null]", "[in]", array(vec![any(Value::IntValue(1)), AnyValue { value: None }])),
            (
                "{\"z\":{\"k\":\"v\"},\"a\":[]}",
                "{{s}[]}",
                list(vec![entry("z", list(vec![entry("k", text("v"))])), entry("a", array(vec![]))]),
            ),
        ];
        for (value, value_type, want) in cases {
            assert_eq!(any_value(SentValue::parse(value, value_type)), want, "{value} as {value_type}");
        }
        assert_eq!(attributes_of(Some("{\"k\":5}"), Some("i")), [entry("k", any(Value::IntValue(5)))]);
        assert_eq!((attributes_of(None, None), attributes_of(Some("[1]"), Some("i"))), (vec![], vec![]));
    }
}
