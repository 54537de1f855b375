//! Values that come from outside of a statement, as DataFusion's.
//!
//! A value becomes a literal of the plan and is never text of a statement, so there is nothing in it to escape.
//! What a parameter's type asks for is held strictly, but for text: programs that have only text to send (the
//! Postgres protocol, a form) send every value as text, and it is read as what the parameter is.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use meshlake_schema::filter::Value;

use crate::error::QueryError;

/// `value` as it is: text, a 64-bit number, a boolean, or a time in whole microseconds.
pub fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Integer(number) => ScalarValue::Int64(Some(*number)),
        Value::Double(number) => ScalarValue::Float64(Some(*number)),
        Value::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        Value::Time(time) => ScalarValue::TimestampMicrosecond(Some(time.micros()), Some("UTC".into())),
    }
}

/// `value`, null when there is none, as a parameter of `wanted`; as it is, where no type is known.
///
/// # Errors
/// [`QueryError::Invalid`] for a value of another kind, text that does not read as one, and a number that is too
/// large. `place` says which parameter it is, counted from 1.
pub fn parameter(
    place: usize,
    value: Option<&Value>,
    wanted: Option<&DataType>,
) -> Result<ScalarValue, QueryError> {
    let misfit = |reason: String| QueryError::Invalid(format!("parameter ${place}: {reason}"));
    let Some(value) = value else {
        return wanted.map_or(Ok(ScalarValue::Null), |wanted| Ok(ScalarValue::try_new_null(wanted)?));
    };
    let given = scalar(value);
    let Some(wanted) = wanted else { return Ok(given) };
    if let (Value::Text(json), DataType::List(element)) = (value, wanted) {
        let list = list_of(json, element.data_type());
        return list.ok_or_else(|| {
            misfit(format!("{given} does not read as a list, as [1, 2], of {}", element.data_type()))
        });
    }
    let is_kind = match value {
        Value::Text(_) => true,
        Value::Integer(_) => wanted.is_numeric(),
        Value::Double(_) => wanted.is_floating() || wanted.is_decimal(),
        Value::Boolean(_) => *wanted == DataType::Boolean,
        Value::Time(_) => matches!(wanted, DataType::Timestamp(..)),
    };
    if !is_kind {
        return Err(misfit(format!("{given} is {}, not {wanted}", given.data_type())));
    }
    given.cast_to(wanted).map_err(|_| misfit(format!("{given} does not read as {wanted}")))
}

/// The JSON array of `json`, each element read as `element`; none when it is no such array.
fn list_of(json: &str, element: &DataType) -> Option<ScalarValue> {
    let values: Vec<serde_json::Value> = serde_json::from_str(json).ok()?;
    let value = |json: serde_json::Value| {
        let value = match json {
            serde_json::Value::Null => ScalarValue::Null,
            serde_json::Value::Bool(value) => ScalarValue::from(value),
            serde_json::Value::Number(number) => {
                number.as_i64().map(ScalarValue::from).or_else(|| number.as_f64().map(ScalarValue::from))?
            }
            serde_json::Value::String(text) => ScalarValue::from(text),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
        };
        value.cast_to(element).ok()
    };
    let values = values.into_iter().map(value).collect::<Option<Vec<_>>>()?;
    Some(ScalarValue::List(ScalarValue::new_list(&values, element, true)))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;
    use meshlake_schema::UnixNanos;

    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn utc() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    #[test]
    fn values_of_a_parameters_kind_become_its_type() {
        let at = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        let cases = [
            (text("a"), DataType::Utf8, ScalarValue::from("a")),
            (Value::Integer(7), DataType::Int32, ScalarValue::Int32(Some(7))),
            (Value::Integer(7), DataType::Float64, ScalarValue::Float64(Some(7.0))),
            (Value::Double(0.5), DataType::Float64, ScalarValue::Float64(Some(0.5))),
            (Value::Boolean(true), DataType::Boolean, ScalarValue::Boolean(Some(true))),
            (Value::Time(UnixNanos(1_999)), utc(), at(1)),
            // Text reads as every type.
            (text("-7"), DataType::Int64, ScalarValue::Int64(Some(-7))),
            (text("0.5"), DataType::Float64, ScalarValue::Float64(Some(0.5))),
            (text("true"), DataType::Boolean, ScalarValue::Boolean(Some(true))),
            (text("1970-01-02"), DataType::Date32, ScalarValue::Date32(Some(1))),
            (text("1970-01-01T00:00:01Z"), utc(), at(1_000_000)),
            (text("1970-01-01T01:00:01+01:00"), utc(), at(1_000_000)),
        ];
        for (value, wanted, want) in cases {
            assert_eq!(parameter(1, Some(&value), Some(&wanted)), Ok(want), "{value:?} as {wanted}");
        }
    }

    #[test]
    fn null_has_the_parameters_type() {
        assert_eq!(parameter(1, None, Some(&DataType::Int32)), Ok(ScalarValue::Int32(None)));
        assert_eq!(parameter(1, None, None), Ok(ScalarValue::Null));
    }

    #[test]
    fn values_of_another_kind_are_named() {
        let cases = [
            (Value::Integer(1), DataType::Utf8, "parameter $1: 1 is Int64, not Utf8"),
            (Value::Integer(1), DataType::Boolean, "parameter $1: 1 is Int64, not Boolean"),
            (Value::Integer(1 << 40), DataType::Int32, "parameter $1: 1099511627776 does not read as Int32"),
            (Value::Double(1.0), DataType::Int64, "parameter $1: 1 is Float64, not Int64"),
            (Value::Boolean(true), DataType::Int64, "parameter $1: true is Boolean, not Int64"),
            (text("1 OR 1=1"), DataType::Int64, "parameter $1: 1 OR 1=1 does not read as Int64"),
            (text(""), DataType::Int64, "parameter $1:  does not read as Int64"),
        ];
        for (value, wanted, want) in cases {
            let error = parameter(1, Some(&value), Some(&wanted)).map_err(|error| error.to_string());
            assert_eq!(error, Err(want.to_owned()));
        }
    }

    #[test]
    fn a_list_is_read_from_a_json_array() {
        let of = |element| DataType::new_list(element, true);
        let list = |values: &[ScalarValue], element| {
            ScalarValue::List(ScalarValue::new_list(values, &element, true))
        };
        let read = |json: &str, element: DataType| parameter(1, Some(&text(json)), Some(&of(element)));
        let texts = [ScalarValue::from("a"), ScalarValue::Utf8(None)];
        assert_eq!(read(r#"["a", null]"#, DataType::Utf8), Ok(list(&texts, DataType::Utf8)));
        let numbers = [ScalarValue::Int64(Some(1)), ScalarValue::Int64(Some(2))];
        assert_eq!(read(r#"[1, "2"]"#, DataType::Int64), Ok(list(&numbers, DataType::Int64)));
        assert_eq!(read("[]", DataType::Int64), Ok(list(&[], DataType::Int64)));
        for bad in ["", "1", "[[1]]", "[\"x\"]", "[1"] {
            assert!(read(bad, DataType::Int64).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_a_known_type_a_value_keeps_its_own() {
        let own = |value: &Value| parameter(1, Some(value), None).map(|value| value.data_type());
        assert_eq!(own(&text("1")), Ok(DataType::Utf8));
        assert_eq!(own(&Value::Integer(1)), Ok(DataType::Int64));
        assert_eq!(own(&Value::Time(UnixNanos(0))), Ok(utc()));
    }
}
