//! Reads what the mesh does not see whole or does not protect; see `meshlake_calls::operate::dark`.

use meshlake_calls::operate::dark::{DarkTraffic, dark, frame, parts_question, parts_wanted, question};
use meshlake_calls::{Range, Source};
use meshlake_engine::Query;

use crate::calls::{LoadError, load_from, load_parts};

/// The range, and the service at either end, by id or by name.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub service: Option<&'a str>,
    pub range: Range,
    pub source: Source,
}

/// The dark edges.
///
/// # Errors
/// As [`load_from`].
pub async fn load(query: &Query, asked: &Asked<'_>) -> Result<DarkTraffic, LoadError> {
    let picture = load_from(query, question(asked.range, asked.source), frame(asked.service)).await?;
    let parts =
        load_parts(query, parts_question(asked.range, asked.source), parts_wanted(asked.service)).await?;
    Ok(dark(&picture, &parts, asked.service))
}
