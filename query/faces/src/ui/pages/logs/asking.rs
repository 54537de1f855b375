//! What an address asks of logs: a query of LogQL, narrowed by parameters that facets set.

use meshlake_query::explore::cursor::Cursor;
use meshlake_query::logql::tree::log::{Condition, LineFilter, LineTest, Log, Needle, Stage};
use meshlake_query::logql::{self, Query};
use meshlake_query::logs::{Exploring, LEVELS};
use meshlake_query::promql::{Comparison, Matcher};

use crate::trace_id;
use crate::ui::asked::Asked;

/// The query of all lines of logs.
pub const ALL: &str = r#"{source="logs"}"#;

/// The label that tells which table a stream is of.
const SOURCE: &str = "source";

/// Parameters, and the labels of streams that they narrow by.
const PARAMETERS: [(&str, &str); 7] = [
    ("level", "level"),
    ("service", "service_name"),
    ("namespace", "namespace"),
    ("pod", "pod"),
    ("container", "container"),
    ("cluster", "cluster"),
    ("environment", "deployment_environment_name"),
];

/// The parameter that narrows by a label.
pub fn parameter(label: &str) -> Option<&'static str> {
    PARAMETERS.into_iter().find(|(_, known)| *known == label).map(|(parameter, _)| parameter)
}

/// All that narrows the page, and what it is called.
pub fn names(asked: &Asked) -> Vec<(&'static str, &'static str)> {
    let words = asked.words();
    let labels = PARAMETERS.map(|(parameter, _)| (parameter, parameter));
    labels.into_iter().chain([("text", words.explore.text), ("trace", words.trace)]).collect()
}

/// The lines that are asked for.
///
/// # Errors
/// The query and what is wrong with it.
pub fn log(asked: &Asked, complaints: &mut Vec<String>) -> Result<Log, (String, logql::Error)> {
    let text = asked.get("q").unwrap_or(ALL);
    let wrong = |error| (text.to_owned(), error);
    let mut log = match logql::parse(text).map_err(wrong)? {
        Query::Log(log) => log,
        Query::Metric(_) => {
            let message = "it asks for numbers, and lines are shown".to_owned();
            return Err(wrong(logql::Error::Invalid { line: 1, column: 1, message }));
        }
    };
    if log.matchers.iter().all(|matcher| matcher.name != SOURCE) {
        log.matchers.push(Matcher::equal(SOURCE, "logs"));
    }
    for (parameter, label) in PARAMETERS {
        if let Some(value) = asked.get(parameter) {
            log.matchers.extend(matchers(parameter, label, value));
        }
    }
    let mut stages = Vec::new();
    if let Some(text) = asked.get("text") {
        let needles = vec![Needle::Text(text.to_owned())];
        stages.push(Stage::Lines(LineFilter { is_negated: false, test: LineTest::Contains, needles }));
    }
    match asked.get("trace").map(|text| (text, trace_id::parse(text.trim()))) {
        Some((_, Some(id))) => stages.push(Stage::Labels(Condition::Text(Matcher::equal("trace_id", id)))),
        Some((text, None)) => complaints.push(format!("trace={text}: {}", asked.words().explore.no_trace_id)),
        None => {}
    }
    stages.append(&mut log.stages);
    log.stages = stages;
    Ok(log)
}

/// Where the same lines are told as they become durable.
pub fn tail(log: &Log) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("table", "logs").append_pair("query", &Query::Log(log.clone()).to_string());
    format!("/api/v1/tail?{}", form.finish())
}

/// What a parameter narrows by. A service may be told with its namespace, which its lines need not tell.
fn matchers(parameter: &str, label: &str, value: &str) -> Vec<Matcher> {
    let none_or = |label: &str, value: &str| {
        let expression = format!("(?:{})?", escaped(value));
        Matcher::new(label, Comparison::Regex, expression).ok()
    };
    match (parameter, value.rsplit_once('/')) {
        ("service", Some((namespace, name))) => {
            [Some(Matcher::equal(label, name)), none_or("namespace", namespace)]
                .into_iter()
                .flatten()
                .collect()
        }
        // A line without a level is shown as of the first.
        ("level", _) if value == LEVELS[0] => vec![Matcher::equal(label, "")],
        _ => vec![Matcher::equal(label, value)],
    }
}

/// A text as an expression that matches it alone.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c.is_ascii_punctuation() {
        true => format!("\\{c}"),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The page of lines that is asked for.
pub fn question(
    asked: &Asked,
    log: Log,
    lines_max: usize,
    values_max: usize,
    complaints: &mut Vec<String>,
) -> Exploring {
    let cursor = asked.get("after").map(|text| {
        Cursor::parse(text).unwrap_or_else(|| {
            complaints.push(format!("after={text}: {}", asked.words().explore.no_place));
            Cursor::NEWEST
        })
    });
    let (from, to) = (asked.range.from(), asked.range.to());
    Exploring { log, from, to, cursor: cursor.unwrap_or(Cursor::NEWEST), lines_max, values_max }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use meshlake_schema::UnixNanos;

    use super::*;

    fn read(query: &str) -> (Result<Log, (String, logql::Error)>, Vec<String>) {
        let now = UnixNanos::from_seconds(1_000);
        let asked = Asked::of("/logs", query, &HeaderMap::new(), "default".to_owned(), now);
        let mut complaints = Vec::new();
        (log(&asked, &mut complaints), complaints)
    }

    #[track_caller]
    fn check(query: &str, want: &str) {
        let Query::Log(want) = logql::parse(want).expect(want) else { panic!("{want}") };
        assert_eq!(read(query), (Ok(want), vec![]), "{query}");
    }

    #[test]
    fn parameters_narrow_a_query() {
        check("", ALL);
        check("q=%7Bapp%3D%22a%22%7D", r#"{app="a", source="logs"}"#);
        check("q=%7Bsource%3D%22requests%22%7D", r#"{source="requests"}"#);
        check("service=cart&level=error", r#"{source="logs", level="error", service_name="cart"}"#);
        check(
            "service=shop.eu%2Fcart",
            r#"{source="logs", service_name="cart", namespace=~"(?:shop\\.eu)?"}"#,
        );
        check("level=unknown", r#"{source="logs", level=""}"#);
        let id = "0af7651916cd43dd8448eb211c80319c";
        let want = format!(r#"{{source="logs"}} |= "a b" | trace_id="{id}""#);
        check(&format!("text=a+b&trace={id}"), &want);
    }

    #[test]
    fn what_asks_for_no_lines_is_said() {
        assert!(read("q=%7B").0.is_err());
        assert!(read("q=rate(%7Ba%3D%22b%22%7D[5m])").0.is_err());
        assert_eq!(read("trace=xyz").1.len(), 1);
    }
}
