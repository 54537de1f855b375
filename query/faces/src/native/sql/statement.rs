//! The statement in the body of a request: JSON `{"sql": "..."}`, or the statement itself.
//!
//! `curl -d` calls everything it sends a form, so the body decides and not its type alone: no statement of SQL
//! starts with a brace. A type that promises something else altogether is refused, for then the asker means
//! another body than we would read.

use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::native::ApiError;

/// What may hold JSON or a statement. The first is curl's for `-d` and `--data-binary`.
const TAKEN: [&str; 4] =
    ["application/x-www-form-urlencoded", "application/json", "text/plain", "application/sql"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    sql: String,
}

/// Reads the statement of a body.
///
/// # Errors
/// 415 for a content type that is none of [`TAKEN`], 400 for JSON of another shape, text that is not UTF-8,
/// and a body without a statement.
pub fn statement_of(headers: &HeaderMap, body: &[u8]) -> Result<String, ApiError> {
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
        wrapped.map_err(|error| ApiError::bad_request(format!("want {{\"sql\": \"...\"}}: {error}")))?.sql
    } else {
        text.to_owned()
    };
    if statement.trim().is_empty() {
        return Err(ApiError::bad_request("there is no statement; send {\"sql\": \"...\"} or SQL"));
    }
    Ok(statement)
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
        assert_eq!(found, want.map(str::to_owned), "{content_type:?} {}", String::from_utf8_lossy(body));
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
}
