//! Zipkin's parameters, and the search that they make.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use meshlake_query::traceql_language::tree;
use meshlake_schema::{TimeRange, UnixNanos};

use super::error::ApiError;
use crate::FaceState;
use crate::conditions::{has, lasted, named, of_service, query, tagged};
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// Traces in an answer when the request does not say: Zipkin's default.
pub const TRACES_DEFAULT: usize = 10;

/// Traces in an answer, at most; Grafana asks for 200.
pub const TRACES_MAX: usize = 1_500;

/// Terms of an annotation query; each is looked for in several places.
const TERMS_MAX: usize = 32;

/// How far back is searched when the request does not say: Zipkin's default, a week for traces and a day for dependencies.
const LOOKBACK_MILLIS: i64 = 7 * 86_400_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_MICRO: i64 = 1_000;

/// Who asks, when, and what.
#[derive(Debug, Clone)]
pub struct Parameters {
    pub tenant: String,
    now: UnixNanos,
    pairs: Vec<(String, String)>,
}

impl FromRequestParts<FaceState> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &FaceState) -> Result<Self, ApiError> {
        let tenant = tenant_of(&parts.extensions).ok_or_else(|| ApiError::bad_request(NOT_A_TENANT))?;
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Parameters { tenant, now: state.engine.clock().now(), pairs })
    }
}

impl Parameters {
    /// The first of a name; none where it is missing or empty.
    pub fn first(&self, name: &str) -> Option<&str> {
        let value = self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// # Errors
    /// 400
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.first(name).ok_or_else(|| ApiError::bad_request(format!("{name} is required")))
    }

    fn count(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let count = text.parse().ok().filter(|count| *count >= 0);
        count
            .map(Some)
            .ok_or_else(|| ApiError::bad_request(format!("{name}: {text:?} is not a whole number")))
    }

    /// The range before `endTs`, milliseconds; `endTs` itself is in it.
    ///
    /// # Errors
    /// 400
    pub fn range(&self, lookback_millis: i64) -> Result<TimeRange, ApiError> {
        let nanos = |millis: i64| millis.saturating_mul(NANOS_PER_MILLI);
        let end = self.count("endTs")?.map_or(self.now.0, nanos);
        let lookback = nanos(self.count("lookback")?.unwrap_or(lookback_millis));
        let to = end.saturating_add(NANOS_PER_MILLI);
        Ok(TimeRange { from: UnixNanos(end.saturating_sub(lookback)), to: UnixNanos(to) })
    }

    /// The search: its query, range and how many traces.
    ///
    /// # Errors
    /// 400
    pub fn search(&self) -> Result<(tree::Query, TimeRange, usize), ApiError> {
        let range = self.range(LOOKBACK_MILLIS)?;
        let limit = self.count("limit")?.map_or(TRACES_DEFAULT, |limit| limit as usize);
        let micros = |name| -> Result<Option<i64>, ApiError> {
            Ok(self.count(name)?.map(|micros| micros.saturating_mul(NANOS_PER_MICRO)))
        };
        let (min, max) = (micros("minDuration")?, micros("maxDuration")?);
        if max.is_some_and(|max| min.is_none_or(|min| max < min)) {
            return Err(ApiError::bad_request("maxDuration needs a minDuration that is not more"));
        }
        let mut conditions = Vec::new();
        conditions.extend(self.first("serviceName").map(of_service));
        // Grafana and Zipkin's page write `all` for any.
        conditions.extend(self.first("spanName").filter(|name| *name != "all").map(named));
        conditions.extend(self.first("remoteServiceName").map(|name| tagged("peer.service", name)));
        conditions.extend(lasted(min, max));
        let terms = self.first("annotationQuery").map(terms).transpose()?;
        conditions.extend(terms.into_iter().flatten());
        Ok((query(conditions), range, limit.clamp(1, TRACES_MAX)))
    }

    #[cfg(test)]
    fn given(query: &str, now: i64) -> Parameters {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Parameters { tenant: "default".to_owned(), now: UnixNanos(now), pairs }
    }
}

/// `key=value and word and ..`: tags by value, and tags or annotations that are there.
fn terms(text: &str) -> Result<Vec<tree::Expr>, ApiError> {
    let terms: Vec<&str> = text.split(" and ").map(str::trim).filter(|term| !term.is_empty()).collect();
    if terms.len() > TERMS_MAX {
        return Err(ApiError::bad_request(format!("at most {TERMS_MAX} terms can be searched for")));
    }
    let condition = |term: &&str| match term.split_once('=') {
        Some((key, value)) => tagged(key, value),
        None => has(term),
    };
    Ok(terms.iter().map(condition).collect())
}

#[cfg(test)]
mod tests {
    use meshlake_query::traceql_language::parse;

    use super::*;

    /// 2026-01-01.
    const NOW: i64 = 1_767_225_600_000;

    fn asked(query: &str) -> Result<(tree::Query, TimeRange, usize), String> {
        Parameters::given(query, NOW * NANOS_PER_MILLI).search().map_err(|error| error.text)
    }

    #[test]
    fn a_search_is_a_query() {
        let (query, range, limit) = asked("").expect("all is optional");
        assert_eq!((query, limit), (parse("{}").expect("TraceQL"), 10));
        assert_eq!(range.from, UnixNanos((NOW - LOOKBACK_MILLIS) * NANOS_PER_MILLI));
        assert_eq!(range.to, UnixNanos((NOW + 1) * NANOS_PER_MILLI));
        let all = format!(
            "serviceName=a&spanName=b&minDuration=1000&maxDuration=2000&limit=200&endTs={NOW}&lookback=1000\
             &annotationQuery=k%3Dv%20and%20w"
        );
        let (query, range, limit) = asked(&all).expect("a search");
        let want = r#"{ resource.service.name = "a" && name = "b" && duration >= 1ms && duration <= 2ms
            && (span.k = "v" || resource.k = "v" || event.k = "v")
            && (span.w != nil || resource.w != nil || event.w != nil || event:name = "w") }"#;
        assert_eq!((query, limit), (parse(want).expect("TraceQL"), 200));
        assert_eq!(range.from, UnixNanos((NOW - 1_000) * NANOS_PER_MILLI));
        assert_eq!(asked("spanName=all").map(|(query, ..)| query), Ok(parse("{}").expect("TraceQL")));
    }

    #[test]
    fn answers_and_questions_have_bounds() {
        let limit = |limit: usize| asked(&format!("limit={limit}")).map(|(.., limit)| limit);
        assert_eq!(
            (limit(0), limit(TRACES_MAX), limit(TRACES_MAX + 1)),
            (Ok(1), Ok(TRACES_MAX), Ok(TRACES_MAX))
        );
        let terms = |count: usize| asked(&format!("annotationQuery={}", vec!["k"; count].join("+and+")));
        assert!(terms(TERMS_MAX).is_ok() && terms(TERMS_MAX + 1).is_err());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for query in [
            "limit=x",
            "limit=-1",
            "endTs=x",
            "lookback=1s",
            "minDuration=1ms",
            "maxDuration=1",
            "minDuration=2&maxDuration=1",
        ] {
            assert!(asked(query).is_err(), "{query}");
        }
    }
}
