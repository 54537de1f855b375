//! What a request asks: the parameters of its address and of its form, and whose data.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, header};
use meshlake_query::prometheus::{Browse, EARLIEST, LATEST};

use super::error::ApiError;
use super::times;
use crate::FaceState;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// Bytes of all selectors of a request, and their number: what a query may have, some times over.
const SELECTOR_BYTES_MAX: usize = 32 << 10;
const SELECTORS_MAX: usize = 200;

/// Parameters in their order, those of the form first, as Go reads them.
#[derive(Debug, Clone)]
pub struct Parameters {
    pub tenant: String,
    /// Milliseconds since the epoch.
    pub now: i64,
    pairs: Vec<(String, String)>,
}

impl FromRequest<FaceState> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &FaceState) -> Result<Self, ApiError> {
        let tenant = tenant_of(request.extensions()).ok_or_else(|| ApiError::bad_data(NOT_A_TENANT))?;
        let now = state.engine.clock().now().micros().div_euclid(1_000);
        let query = request.uri().query().unwrap_or_default().to_owned();
        let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_form =
            content_type.is_some_and(|value| value.starts_with(b"application/x-www-form-urlencoded"));
        let mut pairs = Vec::new();
        if is_form {
            let form = Bytes::from_request(request, &()).await.map_err(|error| {
                let text = format!("error parsing form values: {}", error.body_text());
                ApiError { status: error.status(), ..ApiError::bad_data(text) }
            })?;
            pairs.extend(form_urlencoded::parse(&form).into_owned());
        }
        pairs.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(Parameters { tenant, now, pairs })
    }
}

impl Parameters {
    /// The first of a name; none where it is missing or empty.
    pub fn first(&self, name: &str) -> Option<&str> {
        let value = self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The query; a missing one is empty, which no query is.
    pub fn query(&self) -> String {
        self.first("query").unwrap_or_default().to_owned()
    }

    /// A time that may be missing, milliseconds since the epoch.
    ///
    /// # Errors
    /// 400.
    pub fn time_or(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        let Some(text) = self.first(name) else { return Ok(default) };
        let error = |text| ApiError::invalid(name, format_args!("invalid time value for '{name}': {text}"));
        times::time(text).map_err(error)
    }

    /// A time that must be there.
    ///
    /// # Errors
    /// 400.
    pub fn time(&self, name: &str) -> Result<i64, ApiError> {
        times::time(self.first(name).unwrap_or_default()).map_err(|text| ApiError::invalid(name, text))
    }

    /// A duration, milliseconds.
    ///
    /// # Errors
    /// 400, also where it is missing.
    pub fn duration(&self, name: &str) -> Result<i64, ApiError> {
        times::duration(self.first(name).unwrap_or_default()).map_err(|text| ApiError::invalid(name, text))
    }

    /// How many of something; 0 is as many as there are.
    ///
    /// # Errors
    /// 400.
    pub fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.first("limit") else { return Ok(None) };
        let wrong = |error: std::num::ParseIntError| {
            // Go's words for the two kinds of mistakes that a number can be.
            let reason = match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    "value out of range"
                }
                _ => "invalid syntax",
            };
            ApiError::invalid("limit", format_args!("strconv.Atoi: parsing {text:?}: {reason}"))
        };
        let limit: i64 = text.parse().map_err(wrong)?;
        let limit =
            usize::try_from(limit).map_err(|_| ApiError::invalid("limit", "limit must be non-negative"))?;
        Ok(Some(limit).filter(|limit| *limit > 0))
    }

    /// The selectors of `match[]`; they are not read yet.
    ///
    /// # Errors
    /// 400 for more than a request may have.
    pub fn selectors(&self) -> Result<Vec<String>, ApiError> {
        let texts: Vec<String> = self.all("match[]").map(str::to_owned).collect();
        let bytes: usize = texts.iter().map(String::len).sum();
        if texts.len() > SELECTORS_MAX || bytes > SELECTOR_BYTES_MAX {
            let text =
                format!("match[] has more than {SELECTORS_MAX} selectors or {SELECTOR_BYTES_MAX} bytes");
            return Err(ApiError::bad_data(text));
        }
        Ok(texts)
    }

    /// Which series are asked for: `match[]`, `start`, `end` and `limit`.
    ///
    /// # Errors
    /// 400.
    pub fn browse(&self) -> Result<Browse, ApiError> {
        let selectors = self.selectors()?;
        let (from, to) = (self.time_or("start", EARLIEST)?, self.time_or("end", LATEST)?);
        Ok(Browse { selectors, from, to, limit: self.limit()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(query: &str) -> Parameters {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Parameters { tenant: "default".to_owned(), now: 5_000, pairs }
    }

    #[test]
    fn parameters_that_are_missing_or_empty_are_defaults() {
        let parameters = given("time=&limit=0&step=15");
        assert_eq!(parameters.time_or("time", parameters.now), Ok(5_000));
        assert_eq!(parameters.limit(), Ok(None));
        assert_eq!(parameters.duration("step"), Ok(15_000));
        let error = parameters.time("start").expect_err("it is missing");
        assert_eq!(error.text, "invalid parameter \"start\": cannot parse \"\" to a valid timestamp");
    }

    #[test]
    fn wrong_parameters_are_told_as_prometheus_tells_them() {
        let text = |result: Result<i64, ApiError>| result.expect_err("it is wrong").text;
        let want = "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp";
        assert_eq!(text(given("time=x").time_or("time", 0)), want);
        let want = "invalid parameter \"step\": cannot parse \"x\" to a valid duration";
        assert_eq!(text(given("step=x").duration("step")), want);
        let limit = |text: &str| given(&format!("limit={text}")).limit().expect_err("it is wrong").text;
        assert_eq!(limit("-1"), "invalid parameter \"limit\": limit must be non-negative");
        assert_eq!(limit("x"), "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax");
        let huge = "99999999999999999999";
        let want =
            format!("invalid parameter \"limit\": strconv.Atoi: parsing \"{huge}\": value out of range");
        assert_eq!(limit(huge), want);
    }

    #[test]
    fn selectors_are_bounded() {
        let selectors = |query: &str| given(query).selectors().map(|texts| texts.len());
        assert_eq!(selectors("match[]=up&match[]={job=\"a\"}"), Ok(2));
        assert_eq!(selectors(""), Ok(0));
        assert!(selectors(&"match[]=a&".repeat(SELECTORS_MAX)).is_ok());
        assert!(selectors(&"match[]=a&".repeat(SELECTORS_MAX + 1)).is_err());
        // Each of them is as long as a query may be.
        let long = |bytes: usize| format!("match[]={}&", "a".repeat(bytes));
        assert!(selectors(&(long(10 << 10).repeat(3) + &long(2 << 10))).is_ok());
        assert!(selectors(&(long(10 << 10).repeat(3) + &long((2 << 10) + 1))).is_err());
    }
}
