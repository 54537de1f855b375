//! Rows of `requests`, narrowed by what people choose: how many over time by outcome, which values their columns have, and the
//! newest of them.
//!
//! Two scans answer a page. The first reads the few columns that are counted, over the whole range but for files that were read
//! before (`kept.rs`), and learns how far back the rows of the page reach; the second reads the columns that are shown, of those rows alone.

mod survey;
mod kept;
mod page;
mod counting;
mod counts;
mod narrowing;

use arrow::array::RecordBatch;
use meshlake_engine::{Query, QueryError};
use meshlake_schema::{TimeRange, UnixNanos};

use super::bars::Bars;
use super::cursor::Cursor;
use super::facets::Facet;
use survey::survey;

pub use narrowing::{Dimension, Narrowing, OUTCOMES, Unfit};

/// Rows of one page.
pub const ROWS_MAX: usize = 500;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub range: TimeRange,
    pub narrowing: &'a Narrowing,
    /// Columns of `requests` that rows are told with.
    pub columns: &'a [&'a str],
    /// Where the page begins.
    pub cursor: Cursor,
    /// Rows of the page, at most [`ROWS_MAX`].
    pub rows_max: usize,
    /// Values of each facet.
    pub values_max: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// All rows that pass, over time, by [`OUTCOMES`].
    pub bars: Bars<{ OUTCOMES.len() }>,
    /// Of all rows that pass.
    pub facets: Vec<(Dimension, Facet)>,
    /// Newest first, with the columns that were asked for and those that the narrowing looks at.
    pub rows: RecordBatch,
    /// The place of each row.
    pub places: Vec<Cursor>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A page of rows, and what all rows of the range are like.
///
/// # Errors
/// Those of [`Query::scan`]; [`QueryError::Refused`] when the page would begin behind too many rows of one instant.
pub async fn find(query: &Query, asked: &Asked<'_>) -> Result<Found, QueryError> {
    let rows_max = asked.rows_max.min(ROWS_MAX);
    // One more says whether there are others.
    let wanted = rows_max + asked.cursor.skip + 1;
    let survey = survey(query, asked, wanted).await?;
    let from = survey.reach().unwrap_or(asked.range.to);
    let reach = TimeRange { from, to: UnixNanos(asked.cursor.time.0.saturating_add(1)).min(asked.range.to) };
    let (rows, places, next) = page::rows(query, asked, reach, rows_max).await?;
    let bars = survey.bars.clone();
    Ok(Found { bars, facets: survey.facets(asked.values_max), rows, places, next })
}

/// All columns of the row at a place; no row when there is none.
///
/// # Errors
/// As [`find`].
pub async fn row(query: &Query, narrowing: &Narrowing, place: Cursor) -> Result<RecordBatch, QueryError> {
    let range = TimeRange { from: place.time, to: UnixNanos(place.time.0.saturating_add(1)) };
    let asked = Asked { range, narrowing, columns: &[], cursor: place, rows_max: 1, values_max: 0 };
    page::whole_row(query, &asked).await
}

#[cfg(test)]
mod tests;
