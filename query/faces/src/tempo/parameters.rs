//! What a request asks: the parameters of its address, and whose data.
//!
//! Times are seconds since the epoch, as Tempo's documentation has them; what can only be milliseconds, microseconds or
//! nanoseconds, or is RFC 3339, is read as that.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use meshlake_query::traceql_language::{parse, tree};
use meshlake_schema::time::parse_duration;
use meshlake_schema::{TimeRange, UnixNanos};

use super::error::ApiError;
use crate::FaceState;
use crate::duration;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// Digits of whole seconds until the year 2286; more are finer units.
const SECONDS_DIGITS: usize = 10;

/// Parameters in their order.
#[derive(Debug, Clone)]
pub struct Parameters {
    pub tenant: String,
    pub now: UnixNanos,
    pairs: Vec<(String, String)>,
}

impl FromRequestParts<FaceState> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &FaceState) -> Result<Self, ApiError> {
        let tenant = tenant_of(&parts.extensions).ok_or_else(|| ApiError::bad_request(NOT_A_TENANT))?;
        let now = state.engine.clock().now();
        let query = parts.uri.query().unwrap_or_default();
        Ok(Parameters { tenant, now, pairs: form_urlencoded::parse(query.as_bytes()).into_owned().collect() })
    }
}

impl Parameters {
    /// The first of a name; none where it is missing or empty.
    pub fn first(&self, name: &str) -> Option<&str> {
        let value = self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400.
    pub fn number(&self, name: &str) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let wrong = |_| ApiError::bad_request(format!("invalid {name}: {text:?} is not a whole number"));
        text.parse().map(Some).map_err(wrong)
    }

    /// A time.
    ///
    /// # Errors
    /// 400.
    pub fn time(&self, name: &str) -> Result<Option<UnixNanos>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let wrong = || ApiError::bad_request(format!("invalid {name}: {text:?} is not a time"));
        instant(text).map(Some).ok_or_else(wrong)
    }

    /// A duration as Go writes it, `1h30m`; days too, and seconds without a unit.
    ///
    /// # Errors
    /// 400.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let wrong = || ApiError::bad_request(format!("invalid {name}: {text:?} is not a duration"));
        duration(text).map(Some).ok_or_else(wrong)
    }

    /// `start` and `end`, both or neither: without them, all times.
    ///
    /// # Errors
    /// 400.
    pub fn range(&self) -> Result<TimeRange, ApiError> {
        range(self.time("start")?, self.time("end")?)
    }
}

/// From one time to another, both included; 0 is as good as none.
///
/// # Errors
/// 400.
pub fn range(start: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<TimeRange, ApiError> {
    let [start, end] = [start, end].map(Option::unwrap_or_default);
    if start.0 == 0 && end.0 == 0 {
        return Ok(TimeRange::ALL);
    }
    if end <= start {
        return Err(ApiError::bad_request(format!(
            "http parameter start must be before end. received start={} end={}",
            start.seconds(),
            end.seconds()
        )));
    }
    Ok(TimeRange { from: start, to: end.plus(Duration::from_nanos(1)) })
}

/// The instant of a text; none of what is none.
pub fn instant(text: &str) -> Option<UnixNanos> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole || text.len() <= SECONDS_DIGITS {
        return UnixNanos::parse(text);
    }
    let number: i64 = text.parse().ok()?;
    // 13, 16 and 19 digits are today in milliseconds, microseconds and nanoseconds.
    let unit = match text.len() {
        ..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit).map(UnixNanos)
}

/// A duration that is none before now, in Go's words, or in days or seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let of_go = duration::parse(text).and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos);
    of_go.or_else(|| parse_duration(text))
}

/// A query, read on a thread that may take its time: to compile a regular expression can take a while.
///
/// # Errors
/// 400.
pub async fn query(text: String) -> Result<tree::Query, ApiError> {
    let parsed = tokio::task::spawn_blocking(move || parse(&text)).await;
    let parsed = parsed.map_err(|_| ApiError::query(&"it could not be read"))?;
    parsed.map_err(|error| ApiError::query(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(query: &str) -> Parameters {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Parameters { tenant: "default".to_owned(), now: UnixNanos(0), pairs }
    }

    /// 2026-11-29T12:00:00Z is 1,795,953,600 seconds after the epoch (`date -d 2026-11-29T12:00:00Z +%s`).
    #[test]
    fn times_are_read_in_the_unit_that_they_can_only_be() {
        const NOON: i64 = 1_795_953_600_000_000_000;
        for text in [
            "1795953600",
            "1795953600.0",
            "1795953600000",
            "1795953600000000",
            "1795953600000000000",
            "2026-11-29T12:00:00Z",
        ] {
            assert_eq!(instant(text), Some(UnixNanos(NOON)), "{text}");
        }
        assert_eq!(instant("5"), Some(UnixNanos(5_000_000_000)));
        for text in ["", "x", "-", "99999999999999999999"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_is_both_ends_or_none() {
        assert_eq!(given("").range(), Ok(TimeRange::ALL));
        assert_eq!(given("start=0&end=0").range(), Ok(TimeRange::ALL));
        let range = given("start=10&end=20").range().expect("a range");
        assert_eq!((range.from.0, range.to.0), (10_000_000_000, 20_000_000_001));
        for text in ["start=10", "start=20&end=20", "start=30&end=20"] {
            let error = given(text).range().expect_err("no range");
            assert!(
                error.text.starts_with("http parameter start must be before end. received start="),
                "{error:?}"
            );
        }
        assert!(given("start=x&end=5").range().is_err());
    }

    #[test]
    fn numbers_and_durations_are_what_they_say() {
        assert_eq!(given("limit=20").number("limit"), Ok(Some(20)));
        assert_eq!(given("limit=").number("limit"), Ok(None));
        assert!(given("limit=-1").number("limit").is_err());
        let half = Duration::from_millis(1_500);
        assert_eq!(given("minDuration=1.5s").duration("minDuration"), Ok(Some(half)));
        let long = Duration::from_secs(5_400);
        assert_eq!(given("minDuration=1h30m").duration("minDuration"), Ok(Some(long)));
        assert_eq!(given("since=1d").duration("since"), Ok(Some(Duration::from_secs(86_400))));
        for text in ["s", "1.5.5s", "-1s", "1x", "9e99h"] {
            assert!(given(&format!("minDuration={text}")).duration("minDuration").is_err(), "{text}");
        }
    }
}
