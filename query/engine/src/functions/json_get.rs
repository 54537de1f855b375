//! `json_get(json, key, ...)`: the value at a path of keys and indexes in JSON that is stored as text.
//!
//! The text is walked once, and what is not on the path is skipped without being built: a body of a log has hundreds of
//! values of which one is wanted. There are no operators (`->>`): the parser binds them looser than `=`, so
//! `body ->> 'k' = 'v'` would mean another thing than in PostgreSQL. The answer is text as `->>` gives it there: strings
//! without quotes, other values as JSON, and null where the path ends in nothing, in `null`, or the text is no JSON.
//!
//! Limits: keys and indexes are constants; an index counts from 0, from the end where it is negative. Of a key that is
//! there twice the last counts, as in PostgreSQL's jsonb. How deep the JSON is nested does not matter: the parser skips
//! values without recursion.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array as _, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{is_text, texts};

/// The function, one for all sessions.
pub fn json_get() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(JsonGet { signature }))
    });
    Arc::clone(&FUNCTION)
}

/// `json_get(json, key)`.
pub fn json_get_of(json: Expr, key: &str) -> Expr {
    json_get().call(vec![json, lit(key)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonGet {
    signature: Signature,
}

/// One step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(i64),
}

impl ScalarUDFImpl for JsonGet {
    fn name(&self) -> &str {
        "json_get"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let steps = match types {
            [json, steps @ ..] if is_text(json) && !steps.is_empty() => steps,
            _ => return plan_err!("json_get takes a text of JSON and then keys or indexes"),
        };
        let steps = steps.iter().map(|step| match step {
            text if is_text(text) => Ok(DataType::Utf8),
            number if number.is_integer() => Ok(DataType::Int64),
            other => plan_err!("json_get: {other} is neither a key nor an index"),
        });
        std::iter::once(Ok(DataType::Utf8View)).chain(steps).collect()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let path = args.args[1..].iter().map(step).collect::<Result<Option<Vec<_>>>>()?;
        let Some(path) = path else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(None)));
        };
        let texts = texts(&args.args[0], args.number_rows)?;
        let mut found = StringViewBuilder::with_capacity(texts.len());
        for text in &texts {
            found.append_option(text.and_then(|text| value_at(text, &path)));
        }
        Ok(ColumnarValue::Array(Arc::new(found.finish())))
    }
}

/// A step that is the same for all rows; none is null.
fn step(argument: &ColumnarValue) -> Result<Option<Step>> {
    match argument {
        ColumnarValue::Scalar(ScalarValue::Utf8(key)) => Ok(key.clone().map(Step::Key)),
        ColumnarValue::Scalar(ScalarValue::Int64(index)) => Ok(index.map(Step::Index)),
        _ => exec_err!("json_get: keys and indexes must be constants"),
    }
}

/// The text of what is at `path` in `json`.
fn value_at<'a>(json: &'a str, path: &[Step]) -> Option<Cow<'a, str>> {
    let mut value: &'a str = json;
    for step in path {
        let mut reader = serde_json::Deserializer::from_str(value);
        let found = Seek(step).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        value = found?.get();
    }
    match value.as_bytes().first()? {
        b'n' => None,
        b'"' => serde_json::from_str::<CowText<'a>>(value).ok().map(|text| text.0),
        _ => Some(Cow::Borrowed(value)),
    }
}

/// A string that is copied only where it has escapes.
#[derive(serde::Deserialize)]
struct CowText<'a>(#[serde(borrow)] Cow<'a, str>);

/// Finds what is one step below a value.
struct Seek<'s>(&'s Step);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> std::result::Result<Self::Value, D::Error> {
        match self.0 {
            Step::Key(_) => reader.deserialize_map(self),
            Step::Index(_) => reader.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object for a key, an array for an index")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Self::Value, M::Error> {
        let Step::Key(wanted) = self.0 else { return Ok(None) };
        let mut found = None;
        while let Some(CowText(key)) = map.next_key()? {
            if key == *wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> std::result::Result<Self::Value, S::Error> {
        let Step::Index(wanted) = *self.0 else { return Ok(None) };
        let mut all = Vec::new();
        while let Some(element) = elements.next_element::<&'de RawValue>()? {
            all.push(element);
        }
        let place = usize::try_from(wanted)
            .ok()
            .or_else(|| all.len().checked_sub(usize::try_from(wanted.unsigned_abs()).ok()?));
        Ok(place.and_then(|place| all.get(place).copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, path: &[Step], want: Option<&str>) {
        assert_eq!(value_at(json, path).as_deref(), want, "{json} {path:?}");
    }

    fn key(key: &str) -> Step {
        Step::Key(key.to_owned())
    }

    #[test]
    fn a_value_is_found_by_keys_and_indexes() {
        let json = r#" {"a": {"b.c": [1, "zw\u00f6lf", {"d": null}]}, "t": true, "s": "plain"} "#;
        check(json, &[key("s")], Some("plain"));
        check(json, &[key("t")], Some("true"));
        check(json, &[key("a"), key("b.c"), Step::Index(0)], Some("1"));
        check(json, &[key("a"), key("b.c"), Step::Index(1)], Some("zwölf"));
        check(json, &[key("a"), key("b.c"), Step::Index(-1)], Some(r#"{"d": null}"#));
        check(json, &[key("a"), key("b.c"), Step::Index(2), key("d")], None);
        check(json, &[key("a"), key("b.c"), Step::Index(3)], None);
        check(json, &[key("a"), key("b.c"), Step::Index(-4)], None);
    }

    #[test]
    fn of_a_repeated_key_the_last_counts() {
        check(r#"{"a":1,"a":2}"#, &[key("a")], Some("2"));
    }

    #[test]
    fn what_is_no_json_or_of_another_shape_has_no_values() {
        for json in ["", "plain text", "[1]", "{\"a\":1", "{\"a\":1} x", "null", "7"] {
            check(json, &[key("a")], None);
        }
        check("{\"a\":1}", &[Step::Index(0)], None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        check(&format!("{{\"a\":{deep},\"b\":1}}"), &[key("b")], Some("1"));
        check(&format!("{{\"a\":{deep}}}"), &[key("a")], Some(&deep));
    }
}
