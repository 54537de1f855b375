//! What the answers about calls have in common: parameters, figures, errors.
//!
//! Counts are JSON numbers without a fraction when they are whole, which they are unless spans were sampled.

pub mod golden;
pub mod graph;
pub mod exemplars;
pub mod list;

use std::time::Duration;

use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::{ApiError, TimeRange};
use meshlake_query::calls::LoadError;
use meshlake_query::{Figures, Range, Source};
use meshlake_schema::time::parse_duration;

/// Whole numbers up to this are exact in JSON readers that hold doubles: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Unknown parameters that a warning names: enough for a slip of the fingers, and an answer stays short whatever is sent.
const UNKNOWN_TOLD_MAX: usize = 5;

impl From<LoadError> for ApiError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Query(error) => error.into(),
            LoadError::TooManyCells(error) => ApiError::bad_request(error.to_string()),
        }
    }
}

/// A number as JSON: an integer when it is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() <= WHOLE_MAX {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// [`Figures`] as every answer names them.
#[derive(Debug, Serialize)]
pub(super) struct FiguresJson {
    requests: Number,
    rate: Number,
    errors: Number,
    error_ratio: Number,
    client_errors: Number,
    aborted: Number,
    p50_ms: Option<Number>,
    p90_ms: Option<Number>,
    p95_ms: Option<Number>,
    p99_ms: Option<Number>,
    max_ms: Option<Number>,
    bytes_in: Option<Number>,
    bytes_out: Option<Number>,
    concurrency: Number,
}

impl From<&Figures> for FiguresJson {
    fn from(figures: &Figures) -> Self {
        FiguresJson {
            requests: Number(figures.requests),
            rate: Number(figures.rate),
            errors: Number(figures.errors),
            error_ratio: Number(figures.error_ratio),
            client_errors: Number(figures.client_errors),
            aborted: Number(figures.aborted),
            p50_ms: figures.p50_ms.map(Number),
            p90_ms: figures.p90_ms.map(Number),
            p95_ms: figures.p95_ms.map(Number),
            p99_ms: figures.p99_ms.map(Number),
            max_ms: figures.max_ms.map(Number),
            bytes_in: figures.bytes_in.map(Number),
            bytes_out: figures.bytes_out.map(Number),
            concurrency: Number(figures.concurrency),
        }
    }
}

/// The query parameters of a request.
pub(super) fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let Query(given) =
        Query::<T>::try_from_uri(uri).map_err(|error| ApiError::bad_request(error.body_text()))?;
    Ok(given)
}

/// A warning of parameters that the answer knows nothing of: who misspells one would take the default for an answer.
pub(super) fn unknown_parameters(uri: &Uri, known: &[&str]) -> Option<String> {
    let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return None };
    let mut unknown: Vec<&str> =
        given.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let more = unknown.len().saturating_sub(UNKNOWN_TOLD_MAX);
    let named = unknown.iter().take(UNKNOWN_TOLD_MAX).map(|name| format!("`{name}`"));
    let mut named = named.collect::<Vec<_>>().join(", ");
    if more > 0 {
        named += &format!(" and {more} more");
    }
    (!unknown.is_empty()).then(|| format!("{named} means nothing here; known are {}", known.join(", ")))
}

/// One of several words; none is the first.
pub(super) fn one_of<T: Copy>(name: &str, given: Option<&str>, words: &[(&str, T)]) -> Result<T, ApiError> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(words[0].1) };
    let found = words.iter().find(|(word, _)| *word == given);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        ApiError::bad_request(format!("{name}={given} is not one of {}", known.join(", ")))
    })
}

pub(super) fn source(given: Option<&str>) -> Result<Source, ApiError> {
    one_of("source", given, &Source::ALL.map(|source| (source.name(), source)))
}

/// The range on the grid, cut by `step`.
pub(super) fn range(range: TimeRange, step: Option<&str>) -> Result<Range, ApiError> {
    let step = step.filter(|step| !step.is_empty()).map(duration).transpose()?;
    Range::new(range.from, range.to, step).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn duration(text: &str) -> Result<Duration, ApiError> {
    parse_duration(text).ok_or_else(|| {
        ApiError::bad_request(format!("step={text} is not a number of seconds, or 30s, 5m, 1h, 1d"))
    })
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod parameter_tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (number, want) in [(3.0, "3"), (0.5, "0.5"), (-0.0, "0"), (WHOLE_MAX + 2.0, "9007199254740994.0")]
        {
            assert_eq!(json!(Number(number)).to_string(), want);
        }
    }

    #[test]
    fn parameters_that_mean_nothing_are_told_and_not_endlessly() {
        let told = |query: &str| {
            let uri: Uri = format!("/api/v1/graph?{query}").parse().expect("the path is a URI");
            unknown_parameters(&uri, &["by", "from"])
        };
        assert_eq!(told("by=service&from=5"), None);
        assert_eq!(told("By=x&by=service").as_deref(), Some("`By` means nothing here; known are by, from"));
        let many: Vec<String> = (0..UNKNOWN_TOLD_MAX + 3).map(|at| format!("p{at}=")).collect();
        let many = told(&many.join("&")).expect("none is known");
        assert!(many.starts_with("`p0`, `p1`, `p2`, `p3`, `p4` and 3 more means"), "{many}");
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        let error = source(Some("logs")).expect_err("there is no such source");
        assert_eq!(error.message, "source=logs is not one of auto, requests, spans");
        assert_eq!(source(None), Ok(Source::Auto));
    }
}
