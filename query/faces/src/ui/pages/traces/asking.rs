//! What an address asks of traces: a query of TraceQL, or fields that make one; and how long a trace may last.
//!
//! Fields become TraceQL that people can read and go on with, and not a language of their own beside it.

use std::ops::RangeInclusive;

use meshlake_query::logql::logfmt;
use serde_json::Value;

use crate::duration;
use crate::ui::asked::Asked;

/// Statuses that can be asked for.
pub const STATUSES: [&str; 3] = ["error", "ok", "unset"];

/// Traces of an answer that can be asked for; the first by default.
pub const LIMITS: [usize; 3] = [50, 200, 1_000];

/// The query that is asked, as text.
pub fn query(asked: &Asked, complaints: &mut Vec<String>) -> String {
    let made = of_fields(asked, complaints);
    match asked.get("q") {
        None => made,
        Some(query) => {
            if made != of_nothing() {
                complaints.push(asked.words().explore.query_and_fields.to_owned());
            }
            query.to_owned()
        }
    }
}

fn of_nothing() -> String {
    "{ }".to_owned()
}

/// What the fields ask: one span that meets all of them.
fn of_fields(asked: &Asked, complaints: &mut Vec<String>) -> String {
    let mut conditions = Vec::new();
    if let Some(service) = asked.get("service") {
        let (namespace, name) =
            service.rsplit_once('/').map_or((None, service), |(namespace, name)| (Some(namespace), name));
        conditions.push(format!("resource.service.name = {}", quoted(name)));
        conditions.extend(namespace.map(quoted).map(|namespace| {
            format!("(resource.service.namespace = {namespace} || resource.k8s.namespace.name = {namespace})")
        }));
    }
    conditions.extend(asked.get("operation").map(|name| format!("name = {}", quoted(name))));
    conditions.extend(
        asked
            .get("status")
            .filter(|status| STATUSES.contains(status))
            .map(|status| format!("status = {status}")),
    );
    for pair in logfmt::pairs(asked.get("attributes").unwrap_or_default()) {
        match pair {
            Ok((key, value)) => conditions.push(of_attribute(key, &value)),
            Err(_) => complaints.push(format!("{}: key=value", asked.words().attributes)),
        }
    }
    if conditions.is_empty() { of_nothing() } else { format!("{{ {} }}", conditions.join(" && ")) }
}

/// An attribute of any scope, whose value was sent as text or as what the text reads as. A key alone asks whether it is there.
fn of_attribute(key: &str, value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let attribute = match key.chars().all(is_plain) {
        true => format!(".{key}"),
        false => format!(".\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    if value.is_empty() {
        return format!("{attribute} != nil");
    }
    let text = format!("{attribute} = {}", quoted(value));
    let is_number = value.parse::<f64>().is_ok_and(f64::is_finite)
        && value.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_other = is_number || matches!(value, "true" | "false");
    if is_other { format!("({text} || {attribute} = {value})") } else { text }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// How long a trace may last, nanoseconds.
pub fn durations(asked: &Asked, complaints: &mut Vec<String>) -> RangeInclusive<i64> {
    let mut bound = |name: &str| {
        let text = asked.get(name)?;
        let nanos = duration::parse(text.trim());
        if nanos.is_none() {
            complaints.push(format!("{name}={text}: {}", asked.words().explore.no_duration));
        }
        nanos
    };
    let (min, max) = (bound("min"), bound("max"));
    min.unwrap_or(i64::MIN)..=max.unwrap_or(i64::MAX)
}

/// How many traces.
pub fn limit(asked: &Asked) -> usize {
    let limit = asked.get("limit").and_then(|text| text.parse().ok());
    limit.filter(|limit| LIMITS.contains(limit)).unwrap_or(LIMITS[0])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use meshlake_query::traceql_language::parse;
    use meshlake_schema::UnixNanos;

    use super::*;

    fn asked(query: &str) -> Asked {
        Asked::of("/traces", query, &HeaderMap::new(), "default".to_owned(), UnixNanos::from_seconds(1_000))
    }

    /// What the fields make reads as this query.
    #[track_caller]
    fn check(fields: &str, want: &str) {
        let mut complaints = Vec::new();
        let made = query(&asked(fields), &mut complaints);
        assert_eq!((parse(&made), complaints), (parse(want), vec![]), "{made}");
        assert!(parse(want).is_ok(), "{want}");
    }

    #[test]
    fn fields_make_a_query() {
        check("", "{}");
        check("service=a%22b", r#"{ resource.service.name = "a\"b" }"#);
        check("operation=GET+/&status=error", r#"{ name = "GET /" && status = error }"#);
        let spaced = r#"{ resource.service.name = "cart" &&
            (resource.service.namespace = "shop" || resource.k8s.namespace.name = "shop") }"#;
        check("service=shop%2Fcart", spaced);
        let attributes =
            r#"{ .tier = "gold" && (.n = "5" || .n = 5) && (.b = "true" || .b = true) && .x != nil }"#;
        check("attributes=tier%3Dgold+n%3D5+b%3Dtrue+x", attributes);
        check("attributes=a%3D%22b+c%22", r#"{ .a = "b c" }"#);
        check("q=%7B+kind+%3D+server+%7D", "{ kind = server }");
        check("status=odd", "{}");
    }

    #[test]
    fn a_query_is_asked_in_place_of_fields_and_says_so() {
        let mut complaints = Vec::new();
        let text = query(&asked("q=%7B%7D&service=a"), &mut complaints);
        assert_eq!((text.as_str(), complaints.len()), ("{}", 1));
    }

    #[test]
    fn durations_have_units() {
        let read = |text: &str| {
            let mut complaints = Vec::new();
            (durations(&asked(text), &mut complaints), complaints.len())
        };
        assert_eq!(read("min=1.5ms&max=2s"), (1_500_000..=2_000_000_000, 0));
        assert_eq!(read("min=5&max=x"), (i64::MIN..=i64::MAX, 2));
        assert_eq!(
            ["", "limit=200", "limit=7", "limit=x"].map(|text| limit(&asked(text))),
            [50, 200, 50, 50]
        );
    }
}
