//! Searches by tags, as before TraceQL: `service.name=web http.status_code=500`.
//!
//! Tags become a query that says the same. A value is compared as it is written and as the number or the truth value that it
//! reads as, because a tag has no type. Limits: whole values, not parts of them.
//!
//! Source: <https://grafana.com/docs/tempo/latest/api_docs/>, "Search"; <https://brandur.org/logfmt>.

use std::collections::BTreeMap;

use super::error::ApiError;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// The tags of a text in logfmt.
///
/// # Errors
/// 400.
pub fn tags(text: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix('=') {
            None => (String::new(), after),
            Some(after) => value(after)?,
        };
        if key.is_empty() {
            return Err(ApiError::bad_request("invalid tags: a tag has no name"));
        }
        if tags.insert(key.to_owned(), value).is_some() {
            return Err(ApiError::bad_request(format!("invalid tags: tag {key} has been set twice")));
        }
        rest = after.trim_start();
    }
    Ok(tags)
}

/// A value, bare or in quotes, and what follows.
fn value(text: &str) -> Result<(String, &str), ApiError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| if c == 'n' { '\n' } else { c })),
            c => value.push(c),
        }
    }
    Err(ApiError::bad_request("invalid tags: a value has no closing quote"))
}

/// The query that finds traces with a span of all these tags.
pub fn query(tags: &Tags) -> String {
    let conditions: Vec<String> = tags.iter().map(|(key, value)| condition(key, value)).collect();
    format!("{{ {} }}", conditions.join(" && "))
}

fn condition(key: &str, value: &str) -> String {
    let text = quoted(value);
    match (key, value) {
        ("name", _) => format!("name = {text}"),
        ("root.name", _) => format!("rootName = {text}"),
        ("root.service.name", _) => format!("rootServiceName = {text}"),
        ("error", "true") => "status = error".to_owned(),
        ("status.code", "ok" | "error" | "unset") => format!("status = {value}"),
        _ => {
            let field = format!(".{}", quoted(key));
            let is_literal = value.parse::<f64>().is_ok_and(f64::is_finite)
                && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
                || matches!(value, "true" | "false");
            if is_literal {
                format!("({field} = {text} || {field} = {value})")
            } else {
                format!("{field} = {text}")
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use meshlake_query::traceql_language::parse;

    use super::*;

    #[test]
    fn tags_become_a_query() {
        let check = |text: &str, want: &str| {
            let query = query(&tags(text).expect("tags"));
            assert_eq!(query, want, "{text}");
            parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
        };
        check("", "{  }");
        check("service.name=web", "{ .\"service.name\" = \"web\" }");
        check("b=\"x \\\"y\\\"\" a=5", "{ (.\"a\" = \"5\" || .\"a\" = 5) && .\"b\" = \"x \\\"y\\\"\" }");
        check("name=get error=true", "{ status = error && name = \"get\" }");
        check("root.name=a root.service.name=b", "{ rootName = \"a\" && rootServiceName = \"b\" }");
        check("flag", "{ .\"flag\" = \"\" }");
        check("n=NaN v=1e5", "{ .\"n\" = \"NaN\" && .\"v\" = \"1e5\" }");
    }

    #[test]
    fn broken_tags_are_told() {
        let told = |text: &str| tags(text).expect_err("they are broken").text;
        assert_eq!(told("a=1 a=2"), "invalid tags: tag a has been set twice");
        assert_eq!(told("a=\"x"), "invalid tags: a value has no closing quote");
        assert_eq!(told("=x"), "invalid tags: a tag has no name");
    }
}
