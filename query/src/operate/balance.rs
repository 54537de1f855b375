//! Reads what the instances of a service received; see `meshlake_calls::operate::balance`.

use meshlake_calls::operate::balance::{Balanced, balance, question};
use meshlake_calls::{Frame, Range, RangeError, Source};
use meshlake_engine::{Query, QueryError};

use crate::calls::{LoadError, load_from};

/// The instances of a service, by id or by name.
///
/// # Errors
/// As [`load_from`]; [`QueryError::Invalid`] for a range that cannot be widened to whole minutes.
pub async fn load(query: &Query, service: &str, range: Range, source: Source) -> Result<Balanced, LoadError> {
    let invalid = |error: RangeError| QueryError::Invalid(error.to_string());
    let question = question(range, source).map_err(invalid)?;
    Ok(balance(&load_from(query, question, Frame::nodes(Some(service))).await?, service))
}
