//! Time ranges as requests give them and times as answers give them.

use std::time::Duration;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use meshlake_schema::UnixNanos;
use serde::Deserialize;

use meshlake_query::time_text::rfc3339;

use super::ApiError;
use crate::FaceState;

/// What is asked for when a request names no range.
const DEFAULT_RANGE: Duration = Duration::from_secs(15 * 60);

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANO_DIGITS: usize = 9;

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
            let (from, to) = (rfc3339(from), rfc3339(to));
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
    let parsed = unix_seconds(text).or_else(|| string_to_timestamp_nanos(text).ok());
    let message = || ApiError::bad_request(format!("{name}: {text:?} is neither RFC 3339 nor unix seconds"));
    parsed.map(UnixNanos).ok_or_else(message)
}

/// Nanoseconds of `seconds[.decimals]`, exact to nine decimals.
fn unix_seconds(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits =
        !whole.is_empty() && [whole, decimals].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if !digits {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(NANO_DIGITS)];
    let nanos: i64 = format!("{decimals:0<NANO_DIGITS$}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000 * NANOS_PER_SECOND);

    #[test]
    fn times_are_rfc_3339_or_unix_seconds() {
        let cases = [
            ("1700000000", Some(1_700_000_000_000_000_000)),
            ("1700000000.5", Some(1_700_000_000_500_000_000)),
            ("0.1234567891", Some(123_456_789)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000_000_000)),
            ("2023-11-14T23:13:20.000000001+01:00", Some(1_700_000_000_000_000_001)),
            ("", None),
            (".", None),
            ("now", None),
            ("-5", None),
            ("99999999999999999999", None),
            ("9999999999999", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_time("from", text).ok().map(|time| time.0), want, "{text}");
        }
    }

    #[test]
    fn the_default_is_the_last_fifteen_minutes() {
        let range = TimeRange::parse(None, None, NOW).expect("nothing is wrong");
        assert_eq!((range.to.0 - range.from.0) / NANOS_PER_SECOND, 900);
        assert_eq!(range.to, NOW);
    }

    #[test]
    fn an_empty_range_is_refused() {
        assert!(TimeRange::parse(Some("5"), Some("5"), NOW).is_err());
        assert!(TimeRange::parse(Some("1700000001"), None, NOW).is_err());
    }
}
