//! What several translations of OTLP's messages read: a value by its key, values as text, ids as digits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Value as Json, json};

/// The attribute of a resource that names its service.
pub const SERVICE_NAME: &str = "service.name";

/// The name of a resource's service; none if it has none.
pub fn service_name(resource: Option<&Resource>) -> Option<String> {
    match attribute_of(&resource?.attributes, SERVICE_NAME)? {
        Value::StringValue(name) => Some(name.clone()),
        _ => None,
    }
}

/// The value of the attribute of that key.
pub fn attribute_of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

/// Lower-case digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value as text: strings as they are, anything else as JSON, and bytes in base64.
pub fn plain(value: &AnyValue) -> String {
    value.value.as_ref().map(plain_value).unwrap_or_default()
}

/// As [`plain`].
pub fn plain_value(value: &Value) -> String {
    match json_of(value) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn json_of(value: &Value) -> Json {
    let inner =
        |value: Option<&AnyValue>| value.and_then(|value| value.value.as_ref()).map_or(Json::Null, json_of);
    match value {
        Value::StringValue(text) => json!(text),
        Value::BoolValue(value) => json!(value),
        Value::IntValue(number) => json!(number),
        Value::DoubleValue(number) if !number.is_finite() => json!(number.to_string()),
        Value::DoubleValue(number) => json!(number),
        Value::BytesValue(bytes) => json!(STANDARD.encode(bytes)),
        Value::ArrayValue(array) => array.values.iter().map(|value| inner(Some(value))).collect(),
        Value::KvlistValue(list) => {
            list.values.iter().map(|entry| (entry.key.clone(), inner(entry.value.as_ref()))).collect()
        }
        Value::StringValueStrindex(_) => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    use super::*;

    #[test]
    fn values_are_told_as_text() {
        let any = |value| AnyValue { value: Some(value) };
        let entry = |key: &str, value| KeyValue {
            key: key.to_owned(),
            value: Some(any(value)),
            ..KeyValue::default()
        };
        let list = Value::ArrayValue(ArrayValue {
            values: vec![
                any(Value::IntValue(1)),
                any(Value::StringValue("a".to_owned())),
                AnyValue { value: None },
            ],
        });
        let entries = Value::KvlistValue(KeyValueList { values: vec![entry("k", Value::DoubleValue(0.5))] });
        let cases = [
            (Value::StringValue("a\"".to_owned()), "a\""),
            (Value::BoolValue(true), "true"),
            (Value::IntValue(-1), "-1"),
            (Value::DoubleValue(f64::NAN), "NaN"),
            (Value::BytesValue(vec![0, 1]), "AAE="),
            (list, "[1,\"a\",null]"),
            (entries, "{\"k\":0.5}"),
        ];
        for (value, want) in cases {
            assert_eq!(plain(&any(value)), want);
        }
        assert_eq!(plain(&AnyValue { value: None }), "");
    }

    #[test]
    fn a_service_is_named_by_a_text() {
        let resource = |value| Resource {
            attributes: vec![KeyValue {
                key: SERVICE_NAME.to_owned(),
                value: Some(AnyValue { value: Some(value) }),
                ..KeyValue::default()
            }],
            ..Resource::default()
        };
        let named = resource(Value::StringValue("web".to_owned()));
        assert_eq!(service_name(Some(&named)).as_deref(), Some("web"));
        assert_eq!((service_name(Some(&resource(Value::IntValue(1)))), service_name(None)), (None, None));
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
