//! Rows of a part of `requests`, read and counted on as many threads as a query has.

use arrow::array::RecordBatch;
use meshlake_engine::{Lean, Part, Query, QueryError, Scan};
use meshlake_schema::rows::{Interned, RowsError};
use meshlake_schema::{Outcome, Table, TimeRange, UnixNanos};

use super::Narrowing;
use super::counts::{Columns, Counts, NUMBERS, PATH};
use super::narrowing::{OUTCOMES, band};
use crate::explore::reading::fold;

/// What threads make of the columns that are counted, of the rows there that the scan's filter passes.
pub async fn scanned<S: Send + 'static>(
    query: &Query,
    narrowing: &Narrowing,
    (part, range): (Part<'_>, TimeRange),
    new: impl Fn() -> S,
    each: impl Fn(&mut S, &RecordBatch) -> Result<(), RowsError> + Send + Sync + 'static,
) -> Result<Vec<S>, QueryError> {
    let columns = if narrowing.needs_path() { Columns::NAMES } else { &Columns::NAMES[..PATH] };
    let lean = Some(Lean { dictionaries: &Columns::NAMES[NUMBERS..PATH], nested: &[] });
    let filter = narrowing.filter();
    let scan = Scan { columns: Some(columns), filter, range, lean, part, ..Scan::of(Table::Requests) };
    let each = move |state: &mut S, batch: &RecordBatch| {
        each(state, batch).map_err(|error| QueryError::Internal(format!("read requests: {error}")))
    };
    fold(query, &scan, new, each).await
}

/// Counts the rows of a batch that pass, and gives time and band of each.
pub fn read(
    batch: &RecordBatch,
    narrowing: &Narrowing,
    counts: &mut Counts,
    mut each: impl FnMut(UnixNanos, usize),
) -> Result<(), RowsError> {
    let columns = Columns::of(batch)?;
    let passes = |row: &usize| narrowing.passes(columns.response_flags.or_zero(*row), columns.path.get(*row));
    let rows: Vec<usize> = (0..batch.num_rows()).filter(passes).collect();
    let mut outcomes = Interned::new(columns.outcome);
    for row in &rows {
        let time = columns.time_unix_nano.or_zero(*row);
        let known = outcomes.get(*row, |text| band(text).unwrap_or(Outcome::Ok));
        let outcome = known.unwrap_or(Outcome::Ok);
        let place = OUTCOMES.iter().position(|known| *known == outcome).unwrap_or_default();
        each(UnixNanos(time), place);
    }
    counts.add(&columns, &rows);
    Ok(())
}
