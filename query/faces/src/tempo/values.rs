//! Values of the language as OTLP's, in which Tempo tells them.

use meshlake_query::traceql_language::Value;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// An attribute; words of the language and durations are texts.
pub fn key_value(key: &str, value: &Value<'_>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any_value(value)), ..KeyValue::default() }
}

fn any_value(value: &Value<'_>) -> AnyValue {
    let value = match value {
        Value::Text(text) => Any::StringValue(text.to_string()),
        Value::Integer(value) => Any::IntValue(*value),
        Value::Float(value) => Any::DoubleValue(*value),
        Value::Boolean(value) => Any::BoolValue(*value),
        Value::List(items) => Any::ArrayValue(ArrayValue { values: items.iter().map(any_value).collect() }),
        Value::Nil | Value::Duration(_) | Value::Status(_) | Value::Kind(_) => {
            Any::StringValue(value.to_string())
        }
    };
    AnyValue { value: Some(value) }
}

/// A value as plain text, and the name of its kind.
pub fn told(value: &Value<'_>) -> (&'static str, String) {
    match value {
        Value::Text(text) => ("string", text.to_string()),
        Value::Integer(_) => ("int", value.to_string()),
        Value::Float(_) => ("float", value.to_string()),
        Value::Boolean(_) => ("bool", value.to_string()),
        Value::Duration(_) => ("duration", value.to_string()),
        Value::Status(_) | Value::Kind(_) => ("keyword", value.to_string()),
        Value::Nil | Value::List(_) => ("string", value.to_string()),
    }
}
