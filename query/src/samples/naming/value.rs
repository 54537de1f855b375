//! The value of a label that an attribute becomes: text as OpenTelemetry's own libraries write it.

use serde_json::Value;

/// The text of an attribute that is stored as `text` and was of `value_type` (see `meshlake_schema::attributes`). Only
/// doubles are written otherwise than they are stored.
pub fn of_attribute(text: &str, value_type: &str) -> String {
    match (value_type, text.parse::<f64>()) {
        ("d", Ok(value)) => double(value),
        _ => text.to_owned(),
    }
}

/// The text of a value of a resource, which is stored as JSON.
pub fn of_json(value: &Value, value_type: &str) -> String {
    match value {
        Value::String(text) => of_attribute(text, value_type),
        Value::Null => String::new(),
        Value::Number(number) if value_type == "d" => number.as_f64().map(double).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// A double as JSON of Go has it: in the shortest form, with an exponent below 1e-6 and from 1e21 on.
/// Source: `Value.AsString` of <https://pkg.go.dev/go.opentelemetry.io/collector/pdata/pcommon>.
fn double(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        value if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) => {
            let text = format!("{value:e}");
            if value.abs() < 1.0 { text } else { text.replace('e', "e+") }
        }
        value => value.to_string(),
    }
}

/// The entries of a JSON object with the types of their values, as text; none of what is no object.
pub fn of_object(object: &str, types: &str) -> Vec<(String, String)> {
    let Ok(Value::Object(entries)) = serde_json::from_str(object) else { return Vec::new() };
    let mut types = meshlake_schema::attributes::Types::new(types);
    let text = |(key, value): (String, Value)| {
        let text = of_json(&value, types.next().unwrap_or("s"));
        (key, text)
    };
    entries.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_json_writes_them() {
        let cases = [
            ("a b", "s", "a b"),
            ("1.0", "s", "1.0"),
            ("1.0", "d", "1"),
            ("0.1", "d", "0.1"),
            ("1e21", "d", "1e+21"),
            ("1e20", "d", "100000000000000000000"),
            ("1e-7", "d", "1e-7"),
            ("-2.5e-10", "d", "-2.5e-10"),
            ("-0.0", "d", "-0"),
            ("Infinity", "d", "Infinity"),
            ("-Infinity", "d", "-Infinity"),
            ("NaN", "d", "NaN"),
            ("7", "i", "7"),
            ("true", "b", "true"),
            ("[1,\"a\"]", "[is]", "[1,\"a\"]"),
        ];
        for (text, value_type, want) in cases {
            assert_eq!(of_attribute(text, value_type), want, "{text} {value_type}");
        }
    }

    #[test]
    fn an_object_is_told_entry_by_entry() {
        let told = of_object(r#"{"a":1.0,"b":"NaN","c":true,"d":[1,2],"e":null}"#, "ddb[ii]n");
        let pairs: Vec<_> = told.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        assert_eq!(pairs, [("a", "1"), ("b", "NaN"), ("c", "true"), ("d", "[1,2]"), ("e", "")]);
    }
}
