//! Reads what ended calls; see `meshlake_calls::operate::policies`.

use meshlake_calls::Range;
use meshlake_calls::operate::policies::{Asked, Policies, policies, question, wanted};
use meshlake_engine::Query;

use crate::calls::{LoadError, load_parts};

/// What the mesh and its applications did to calls, by edge and reason.
///
/// # Errors
/// As [`load_parts`].
pub async fn load(query: &Query, range: Range, asked: Asked<'_>) -> Result<Policies, LoadError> {
    Ok(policies(&load_parts(query, question(range), wanted(asked)).await?, asked))
}
