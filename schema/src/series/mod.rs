//! Derives the rows of the tables of series from points, and merges such rows.
//!
//! A point is a part of one: its columns are taken as they are, with counts of 1 ([`points`]). So both roads add parts up
//! in the same place ([`groups`]), hence `derive(a and b) = merge(derive(a), derive(b))`, in any order and grouping.
//! Whatever a series is called by is in the key of its rows: no row speaks for points that another text was sent with.
//!
//! Limits: attributes of one result hold at most 2 GiB of text; more is an error.

mod points;
mod groups;

use arrow::error::ArrowError;

use crate::batch::TableBatch;
use crate::rows::RowsError;
use crate::tables::Table;
use groups::Groups;

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// Half as many points or rows at a time will do.
    #[error("choose rows of series: {0}")]
    Arrow(#[from] ArrowError),
    /// A bug of ours.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// One row of `table` for all points of a tenant and a window that are alike in what a series is called by, sorted by the
/// table's sort key.
///
/// # Errors
/// [`SeriesError::Arrow`] when more text comes out than a column holds, which takes more points than a buffer holds.
///
/// # Panics
/// When a batch is not of the table's source.
pub fn derive(table: Table, points: &[TableBatch]) -> Result<TableBatch, SeriesError> {
    let parts: Result<Vec<TableBatch>, SeriesError> =
        points.iter().map(|batch| points::as_parts(table, batch)).collect();
    merge(table, &parts?)
}

/// The rows of `table` with those that belong together made one, sorted by the table's sort key.
///
/// # Errors
/// As [`derive`].
///
/// # Panics
/// When a batch is not of `table`.
pub fn merge(table: Table, rows: &[TableBatch]) -> Result<TableBatch, SeriesError> {
    let mut groups = Groups::default();
    for (place, batch) in rows.iter().enumerate() {
        assert_eq!(batch.table(), table, "only rows of one table are merged");
        groups.add(place, batch.rows())?;
    }
    groups.finish(table, rows)
}

#[cfg(test)]
pub(crate) mod tests;
