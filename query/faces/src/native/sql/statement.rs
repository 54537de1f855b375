//! The statement in the body of a request: JSON `{"sql": "...", "parameters": [...]}`, or the statement itself.
//!
//! Parameters are the values of `$1`, `$2` and so on, or, in an object, of `$name`: null, truth values, numbers, and texts, which are read as whatever
//! the parameter is compared with, so a time is text here and so is a number beyond what JavaScript holds. An array or
//! an object is its JSON as text, which reads as a list where one is wanted: `name = ANY($1::text[])`.
//!
//! A form of a page sends `sql=...`, which no statement begins with; its answer is for the person to keep (`is_form`).
//!
//! `curl -d` calls everything it sends a form, so the body decides and not its type alone: no statement of SQL
//! starts with a brace. A type that promises something else altogether is refused, for then the asker means
//! another body than we would read.

use axum::http::{HeaderMap, StatusCode, header};
use meshlake_query::Value;
use serde::Deserialize;

use crate::native::ApiError;

/// What may hold JSON or a statement. The first is curl's for `-d` and `--data-binary`.
const TAKEN: [&str; 4] =
    ["application/x-www-form-urlencoded", "application/json", "text/plain", "application/sql"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    sql: String,
    parameters: Option<Given>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    List(Vec<serde_json::Value>),
    Named(serde_json::Map<String, serde_json::Value>),
}

/// Values for a statement's parameters; none is null.
#[derive(Debug, PartialEq)]
pub enum Parameters {
    List(Vec<Option<Value>>),
    Named(Vec<(String, Option<Value>)>),
}

impl Parameters {
    fn read(given: Given) -> Result<Parameters, ApiError> {
        Ok(match given {
            Given::List(values) => {
                Parameters::List(values.into_iter().map(parameter).collect::<Result<_, _>>()?)
            }
            Given::Named(values) => {
                let values = values.into_iter().map(|(name, value)| Ok((name, parameter(value)?)));
                Parameters::Named(values.collect::<Result<_, ApiError>>()?)
            }
        })
    }

    /// The values in the order of `names`, which are the statement's.
    ///
    /// # Errors
    /// 400 for a name that only one of the two has.
    pub fn in_order(self, names: &[String]) -> Result<Vec<Option<Value>>, ApiError> {
        let mut given = match self {
            Parameters::List(values) => return Ok(values),
            Parameters::Named(values) => values,
        };
        let ordered = names.iter().map(|name| {
            let place = given.iter().position(|(known, _)| known == name);
            let missing = || ApiError::bad_request(format!("there is no value for the parameter ${name}"));
            Ok(given.swap_remove(place.ok_or_else(missing)?).1)
        });
        let ordered = ordered.collect::<Result<_, ApiError>>()?;
        match given.first() {
            Some((name, _)) => Err(ApiError::bad_request(format!("the statement has no parameter ${name}"))),
            None => Ok(ordered),
        }
    }
}

/// What is asked.
#[derive(Debug, PartialEq)]
pub struct Statement {
    pub sql: String,
    /// None to be run as it is, which a statement with parameters cannot be.
    pub parameters: Option<Parameters>,
    /// A browser sent it as a form, and saves what it gets.
    pub is_form: bool,
}

/// Reads the statement of a body.
///
/// # Errors
/// 415 for a content type that is none of [`TAKEN`], 400 for JSON of another shape, a number that no column can hold,
/// text that is not UTF-8, and a body without a statement.
pub fn statement_of(headers: &HeaderMap, body: &[u8]) -> Result<Statement, ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let media =
        content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if let Some(media) = media.filter(|media| !TAKEN.contains(&media.as_str())) {
        let message = format!(
            "{media} is no statement; send {{\"sql\": \"...\"}} as application/json, or SQL as text/plain"
        );
        return Err(ApiError::refused_body(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let text = str::from_utf8(body)
        .map_err(|error| ApiError::bad_request(format!("the body is not UTF-8: {error}")))?;
    let statement = if text.trim_start().starts_with('{') {
        let wrapped: Result<Wrapped, _> = serde_json::from_str(text);
        let wrapped =
            wrapped.map_err(|error| ApiError::bad_request(format!("want {{\"sql\": \"...\"}}: {error}")))?;
        let parameters = wrapped.parameters.map(Parameters::read).transpose()?;
        Statement { sql: wrapped.sql, parameters, is_form: false }
    } else if let Some(sql) = of_form(text) {
        Statement { sql, parameters: None, is_form: true }
    } else {
        Statement { sql: text.to_owned(), parameters: None, is_form: false }
    };
    if statement.sql.trim().is_empty() {
        return Err(ApiError::bad_request("there is no statement; send {\"sql\": \"...\"} or SQL"));
    }
    Ok(statement)
}

/// The statement of `sql=...`, as forms write it (URL Standard, application/x-www-form-urlencoded).
fn of_form(text: &str) -> Option<String> {
    if !text.starts_with("sql=") {
        return None;
    }
    form_urlencoded::parse(text.as_bytes()).find(|(name, _)| name == "sql").map(|(_, sql)| sql.into_owned())
}

/// One parameter; none is null.
fn parameter(json: serde_json::Value) -> Result<Option<Value>, ApiError> {
    Ok(match json {
        serde_json::Value::Null => None,
        serde_json::Value::Bool(value) => Some(Value::Boolean(value)),
        serde_json::Value::String(text) => Some(Value::Text(text)),
        serde_json::Value::Number(number) => {
            let whole = number.as_i64().map(Value::Integer);
            Some(whole.or_else(|| number.as_f64().map(Value::Double)).ok_or_else(|| unfit(&number))?)
        }
        nested @ (serde_json::Value::Array(_) | serde_json::Value::Object(_)) => {
            Some(Value::Text(nested.to_string()))
        }
    })
}

fn unfit(number: &serde_json::Number) -> ApiError {
    ApiError::bad_request(format!("{number} is larger than any number here: send it as text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: Option<&str>, body: &[u8], want: Result<&str, u16>) {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
        }
        let found = statement_of(&headers, body).map_err(|error| error.status.as_u16());
        assert!(found.as_ref().is_ok_and(|found| found.parameters.is_none()) || found.is_err());
        assert_eq!(
            found.map(|found| found.sql),
            want.map(str::to_owned),
            "{content_type:?} {}",
            String::from_utf8_lossy(body)
        );
    }

    #[test]
    fn a_statement_is_taken_however_it_is_sent() {
        let json = br#"  {"sql": "SELECT 1"}"#;
        for content_type in TAKEN.map(Some).into_iter().chain([None, Some("Application/JSON; charset=utf-8")])
        {
            check(content_type, json, Ok("SELECT 1"));
            check(content_type, b"SELECT 1 -- one\n", Ok("SELECT 1 -- one\n"));
        }
    }

    #[test]
    fn what_is_no_statement_is_refused() {
        check(Some("multipart/form-data; boundary=x"), b"SELECT 1", Err(415));
        check(Some("application/xml"), b"SELECT 1", Err(415));
        check(None, br#"{"query": "SELECT 1"}"#, Err(400));
        check(None, br#"{"sql": "SELECT 1""#, Err(400));
        check(None, br#"{"sql": ""}"#, Err(400));
        check(None, b" \n", Err(400));
        check(None, b"SELECT '\xff'", Err(400));
    }

    #[test]
    fn a_form_sends_its_statement_and_keeps_the_answer() {
        let statement = statement_of(&HeaderMap::new(), b"sql=SELECT+%27a%26b%27%0D%0A&format=csv");
        let want = Statement { sql: "SELECT 'a&b'\r\n".to_owned(), parameters: None, is_form: true };
        assert_eq!(statement.expect("a statement"), want);
        check(None, b"sql=", Err(400));
    }

    #[test]
    fn parameters_are_of_every_type_of_json() {
        let body = br#"{"sql": "SELECT $1", "parameters":
            [null, true, -7, 0.5, "x", "1970-01-01T00:00:00Z", ["a", 1], {"k": null}]}"#;
        let statement = statement_of(&HeaderMap::new(), body).expect("a statement");
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let want = vec![
            None,
            Some(Value::Boolean(true)),
            Some(Value::Integer(-7)),
            Some(Value::Double(0.5)),
            text("x"),
            text("1970-01-01T00:00:00Z"),
            text(r#"["a",1]"#),
            text(r#"{"k":null}"#),
        ];
        assert_eq!(
            statement,
            Statement {
                sql: "SELECT $1".to_owned(),
                parameters: Some(Parameters::List(want)),
                is_form: false
            }
        );
        for bad in ["1", "\"x\"", "true"] {
            check(None, format!(r#"{{"sql": "SELECT $1", "parameters": {bad}}}"#).as_bytes(), Err(400));
        }
    }

    #[test]
    fn parameters_with_names_are_put_in_the_order_of_the_statement() {
        let body = br#"{"sql": "SELECT $a, $b", "parameters": {"b": 2, "a": null}}"#;
        let read = || {
            let statement = statement_of(&HeaderMap::new(), body).expect("a statement");
            statement.parameters.expect("parameters")
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let ordered = read().in_order(&names(&["a", "b"]));
        assert_eq!(ordered.expect("both are there"), [None, Some(Value::Integer(2))]);
        for wrong in [&["a"][..], &["a", "b", "c"], &[]] {
            let refused = read().in_order(&names(wrong)).map_err(|error| error.status.as_u16());
            assert_eq!(refused, Err(400), "{wrong:?}");
        }
    }
}
