//! v3's parameters: by the names of protobuf's JSON, or by the older ones with underscores.

use std::collections::BTreeMap;

use meshlake_schema::UnixNanos;

use crate::duration;
use crate::jaeger::failure::Failure;
use crate::jaeger::parameters::Parameters;
use crate::jaeger::question::{Question, TAGS_MAX, TRACES_DEFAULT, TRACES_MAX};

/// The value under the first of these names that is there, and the name.
pub fn first_of<'a, const N: usize>(
    given: &'a Parameters,
    names: [&'static str; N],
) -> Option<(&'static str, &'a str)> {
    names.into_iter().find_map(|name| given.first(name).map(|value| (name, value)))
}

/// # Errors
/// [`Failure::Asker`]
pub fn boolean(given: &Parameters, names: [&'static str; 2]) -> Result<bool, Failure> {
    let Some((name, _)) = first_of(given, names) else { return Ok(false) };
    given.boolean(name).map_err(|_| malformed(name, "it is neither true nor false"))
}

/// Two times that may be missing.
///
/// # Errors
/// [`Failure::Asker`]
pub fn range(
    given: &Parameters,
    from: [&'static str; 2],
    to: [&'static str; 2],
) -> Result<(Option<UnixNanos>, Option<UnixNanos>), Failure> {
    let time = |names| first_of(given, names).map(|(name, text)| time(name, text)).transpose();
    Ok((time(from)?, time(to)?))
}

/// What the parameters ask for.
///
/// # Errors
/// [`Failure::Asker`]
pub fn question(given: &Parameters) -> Result<Question, Failure> {
    let (from, to) = range(
        given,
        ["query.startTimeMin", "query.start_time_min"],
        ["query.startTimeMax", "query.start_time_max"],
    )?;
    let (Some(from), Some(to)) = (from, to) else {
        return Err(Failure::Asker("query.startTimeMin and query.startTimeMax are required".to_owned()));
    };
    if from >= to {
        return Err(Failure::Asker("query.startTimeMin must be before query.startTimeMax".to_owned()));
    }
    if given.first("query.filter").is_some() {
        return Err(malformed("query.filter", "filters are not supported; use query.attributes"));
    }
    let text = |names| first_of(given, names).map(|(_, text)| text.to_owned()).unwrap_or_default();
    let nanos = |names| -> Result<Option<i64>, Failure> {
        let Some((name, text)) = first_of(given, names) else { return Ok(None) };
        let parsed =
            duration::parse(text).ok_or_else(|| malformed(name, "it is not a duration like 1.5s"))?;
        Ok((parsed != 0).then_some(parsed))
    };
    Ok(Question {
        service: text(["query.serviceName", "query.service_name"]),
        operation: text(["query.operationName", "query.operation_name"]),
        tags: attributes(given)?,
        from: from.0,
        to: to.0,
        duration_min: nanos(["query.durationMin", "query.duration_min"])?,
        duration_max: nanos(["query.durationMax", "query.duration_max"])?,
        traces_max: depth(given)?,
        is_raw: boolean(given, ["query.rawTraces", "query.raw_traces"])?,
    })
}

fn depth(given: &Parameters) -> Result<usize, Failure> {
    let names = ["query.searchDepth", "query.search_depth", "query.num_traces"];
    let Some((name, text)) = first_of(given, names) else { return Ok(TRACES_DEFAULT) };
    match text.parse() {
        Ok(0) => Ok(TRACES_DEFAULT),
        Ok(depth) => Ok(TRACES_MAX.min(depth)),
        Err(error) => Err(malformed(name, error)),
    }
}

fn attributes(given: &Parameters) -> Result<Vec<(String, String)>, Failure> {
    let Some((name, text)) = first_of(given, ["query.attributes"]) else { return Ok(Vec::new()) };
    let attributes: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| malformed(name, error))?;
    if attributes.len() > TAGS_MAX {
        return Err(malformed(name, format_args!("at most {TAGS_MAX} can be searched for")));
    }
    Ok(attributes.into_iter().collect())
}

/// RFC 3339. Grafana writes times as they are, and a plus sign in an address reads as a space.
fn time(name: &str, text: &str) -> Result<UnixNanos, Failure> {
    UnixNanos::parse(&text.replace(' ', "+")).ok_or_else(|| malformed(name, "it is not a time of RFC 3339"))
}

fn malformed(name: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Asker(format!("malformed parameter {name}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: &str = "query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-01-01T00:00:01.5Z";

    fn asked(query: &str) -> Result<Question, String> {
        question(&Parameters::given(query, 0)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_range_is_enough() {
        // 2026-01-01 is day 20,454 of the epoch.
        let from = 20_454 * 86_400 * 1_000_000_000;
        let want = Question { from, to: from + 1_500_000_000, traces_max: 100, ..Question::default() };
        assert_eq!(asked(RANGE), Ok(want.clone()));
        let older =
            "query.start_time_min=2026-01-01T02:00:00+02:00&query.start_time_max=2026-01-01T00:00:01.5Z";
        assert_eq!(asked(older), Ok(want));
    }

    #[test]
    fn all_parameters_are_taken_by_either_name() {
        let newer = "query.serviceName=a&query.operationName=b&query.searchDepth=5&query.durationMin=1ms\
                     &query.durationMax=2s&query.rawTraces=true&query.attributes=%7B%22k%22:%22v%22%7D";
        let older = "query.service_name=a&query.operation_name=b&query.search_depth=5&query.duration_min=1ms\
                     &query.duration_max=2s&query.raw_traces=true&query.attributes=%7B%22k%22:%22v%22%7D";
        let base = asked(RANGE).expect("a range is enough");
        let want = Question {
            service: "a".to_owned(),
            operation: "b".to_owned(),
            tags: vec![("k".to_owned(), "v".to_owned())],
            duration_min: Some(1_000_000),
            duration_max: Some(2_000_000_000),
            traces_max: 5,
            is_raw: true,
            ..base
        };
        for names in [newer, older] {
            assert_eq!(asked(&format!("{RANGE}&{names}")), Ok(want.clone()));
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_jaegers_words() {
        let cases = [
            ("query.serviceName=a".to_owned(), "query.startTimeMin and query.startTimeMax are required"),
            (
                "query.startTimeMin=x&query.startTimeMax=x".to_owned(),
                "malformed parameter query.startTimeMin: ",
            ),
            (
                "query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-01-01T00:00:00Z".to_owned(),
                "query.startTimeMin must be before query.startTimeMax",
            ),
            (format!("{RANGE}&query.searchDepth=x"), "malformed parameter query.searchDepth: "),
            (format!("{RANGE}&query.duration_min=1"), "malformed parameter query.duration_min: "),
            (format!("{RANGE}&query.attributes=x"), "malformed parameter query.attributes: "),
            (format!("{RANGE}&query.filter=%7B%7D"), "malformed parameter query.filter: "),
            (format!("{RANGE}&query.rawTraces=maybe"), "malformed parameter query.rawTraces: "),
        ];
        for (query, want) in cases {
            let error = asked(&query).expect_err(&query);
            assert!(error.starts_with(want), "{query}: {error}");
        }
        let limit = asked(&format!("{RANGE}&query.searchDepth={}", TRACES_MAX + 1));
        assert_eq!(limit.map(|question| question.traces_max), Ok(TRACES_MAX));
    }
}
