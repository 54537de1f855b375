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
use serde::Serialize;

use super::ApiError;
use super::calls::unknown_parameters;
use meshlake_query::Range;

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
