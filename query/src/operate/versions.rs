//! Reads what the subsets of a service did; see `meshlake_calls::operate::versions`.

use meshlake_calls::operate::versions::{Versions, question, versions};
use meshlake_calls::{Frame, Range, Source};
use meshlake_engine::Query;

use crate::calls::{LoadError, load_from};

/// The service, by id or by name, and the subset that others are compared with; the busiest where none is named.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub service: &'a str,
    pub baseline: Option<&'a str>,
    pub range: Range,
    pub source: Source,
}

/// The subsets of a service side by side.
///
/// # Errors
/// As [`load_from`].
pub async fn load(query: &Query, asked: &Asked<'_>) -> Result<Versions, LoadError> {
    let picture =
        load_from(query, question(asked.range, asked.source), Frame::nodes(Some(asked.service))).await?;
    Ok(versions(&picture, asked.service, asked.baseline))
}
