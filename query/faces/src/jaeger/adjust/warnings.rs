//! What is told of a span, kept among its attributes as Jaeger keeps it until the span is written out.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;

/// Jaeger's attribute of warnings, an array of strings.
const KEY: &str = "@jaeger@warnings";

/// Adds a warning.
pub fn warn(span: &mut Span, text: impl Into<String>) {
    let warning = AnyValue { value: Some(Value::StringValue(text.into())) };
    let held = span.attributes.iter_mut().find(|attribute| attribute.key == KEY);
    let held = held.and_then(|attribute| attribute.value.as_mut()).and_then(|value| value.value.as_mut());
    if let Some(Value::ArrayValue(array)) = held {
        array.values.push(warning);
        return;
    }
    let array = Value::ArrayValue(ArrayValue { values: vec![warning] });
    let value = Some(AnyValue { value: Some(array) });
    span.attributes.push(KeyValue { key: KEY.to_owned(), value, ..KeyValue::default() });
}

/// Takes the warnings out of a span's attributes.
pub fn taken(span: &mut Span) -> Vec<String> {
    let Some(at) = span.attributes.iter().position(|attribute| attribute.key == KEY) else {
        return Vec::new();
    };
    let value = span.attributes.remove(at).value.and_then(|value| value.value);
    let Some(Value::ArrayValue(array)) = value else { return Vec::new() };
    let texts = array.values.into_iter().filter_map(|value| match value.value {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_taken_in_the_order_given() {
        let mut span = Span::default();
        assert_eq!(taken(&mut span), [] as [&str; 0]);
        warn(&mut span, "a");
        warn(&mut span, "b");
        assert_eq!(span.attributes.len(), 1);
        assert_eq!(taken(&mut span), ["a", "b"]);
        assert_eq!(span, Span::default());
    }
}
