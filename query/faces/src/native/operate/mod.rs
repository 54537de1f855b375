//! What operators of a mesh ask, one file an answer; see `meshlake_query::operate`.
//!
//! Every answer names its range and the part of it that was observed, as golden metrics do, and says in `warnings` what
//! its rows do not.

pub mod versions;
pub mod balance;
pub mod gateways;
pub mod saturation;
pub mod policies;
pub mod rollouts;
pub mod dark;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::ApiError;
use super::calls::{source, unknown_parameters};
use meshlake_query::{Range, Source};

/// What all answers begin with.
#[derive(Serialize)]
struct RangeJson {
    from: String,
    to: String,
    /// The part of the range that rates are over; see `meshlake_calls::range`.
    observed_from: String,
    observed_to: String,
}

impl From<Range> for RangeJson {
    fn from(range: Range) -> Self {
        RangeJson {
            from: range.from().to_rfc3339(),
            to: range.to().to_rfc3339(),
            observed_from: range.observed_from().to_rfc3339(),
            observed_to: range.observed_to().to_rfc3339(),
        }
    }
}

/// What an answer about one service begins with.
#[derive(Serialize)]
struct HeadJson {
    #[serde(flatten)]
    range: RangeJson,
    source: &'static str,
    /// Id of the service; null where nothing goes by the name.
    service: Option<String>,
}

impl HeadJson {
    fn new(range: Range, source: Source, service: Option<String>) -> HeadJson {
        HeadJson { range: range.into(), source: source.name(), service }
    }
}

/// What says which service a question is about, and what its calls are counted from.
#[derive(Deserialize)]
struct OfService {
    service: Option<String>,
    source: Option<String>,
}

/// The parameters of a question about one service that takes no others.
const OF_SERVICE: [&str; 4] = ["service", "from", "to", "source"];

impl OfService {
    /// The service that has to be named, and the source.
    fn read(&self) -> Result<(&str, Source), ApiError> {
        Ok((named_service(self.service.as_deref())?, source(self.source.as_deref())?))
    }
}

/// The parameter `service`, without which there is no question.
fn named_service(given: Option<&str>) -> Result<&str, ApiError> {
    let named = given.filter(|service| !service.is_empty());
    named.ok_or_else(|| ApiError::bad_request("name a service: service=reviews"))
}

/// A parameter that was given; an empty one was not.
fn given_text(given: &Option<String>) -> Option<&str> {
    given.as_deref().filter(|text| !text.is_empty())
}

/// The warnings of an answer, and one of parameters that mean nothing to it.
fn warned(warnings: Vec<String>, uri: &Uri, known: &[&str]) -> Vec<String> {
    warnings.into_iter().chain(unknown_parameters(uri, known)).collect()
}

#[cfg(test)]
mod tests;
