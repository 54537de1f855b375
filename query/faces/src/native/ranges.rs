//! Time ranges as requests give them and times as answers give them.

use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use meshlake_schema::UnixNanos;
use serde::Deserialize;

use super::ApiError;
use crate::FaceState;

/// What is asked for when a request names no range.
const DEFAULT_RANGE: Duration = Duration::from_secs(15 * 60);

/// The half-open range `[from, to)` of the query parameters `from` and `to`, each RFC 3339 or unix seconds.
/// `to` defaults to now, `from` to 15 minutes before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    pub from: UnixNanos,
    pub to: UnixNanos,
}

#[derive(Deserialize)]
struct Given {
    from: Option<String>,
    to: Option<String>,
}

impl TimeRange {
    /// The range that the parameters mean at `now`.
    ///
    /// # Errors
    /// 400 for a time that does not parse or a range that ends before it starts.
    pub fn parse(from: Option<&str>, to: Option<&str>, now: UnixNanos) -> Result<TimeRange, ApiError> {
        let to = to.map_or(Ok(now), |text| parse_time("to", text))?;
        let from = from.map_or(Ok(to.minus(DEFAULT_RANGE)), |text| parse_time("from", text))?;
        if from >= to {
            let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
            return Err(ApiError::bad_request(format!("from {from} is not before to {to}")));
        }
        Ok(TimeRange { from, to })
    }
}

impl FromRequestParts<FaceState> for TimeRange {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &FaceState) -> Result<Self, ApiError> {
        let Query(given) = Query::<Given>::try_from_uri(&parts.uri)
            .map_err(|error| ApiError::bad_request(error.body_text()))?;
        TimeRange::parse(given.from.as_deref(), given.to.as_deref(), state.engine.clock().now())
    }
}

fn parse_time(name: &str, text: &str) -> Result<UnixNanos, ApiError> {
    let message = || ApiError::bad_request(format!("{name}: {text:?} is neither RFC 3339 nor unix seconds"));
    UnixNanos::parse(text).ok_or_else(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    #[test]
    fn a_time_that_does_not_read_is_named() {
        assert_eq!(parse_time("from", "1700000000.5").ok(), Some(UnixNanos(1_700_000_000_500_000_000)));
        let error = parse_time("from", "now").expect_err("it is no time");
        assert_eq!(error.message, "from: \"now\" is neither RFC 3339 nor unix seconds");
    }

    #[test]
    fn the_default_is_the_last_fifteen_minutes() {
        let range = TimeRange::parse(None, None, NOW).expect("nothing is wrong");
        assert_eq!((range.to.0 - range.from.0) / 1_000_000_000, 900);
        assert_eq!(range.to, NOW);
    }

    #[test]
    fn an_empty_range_is_refused() {
        assert!(TimeRange::parse(Some("5"), Some("5"), NOW).is_err());
        assert!(TimeRange::parse(Some("1700000001"), None, NOW).is_err());
    }
}
