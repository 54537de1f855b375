//! From when on calls could be seen: rates are over that time, not over a range that began before there were any.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use meshlake_calls::range::{GRID, WINDOW};
use meshlake_calls::{Fold, Question, Range, Source};
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::{Table, TimeRange, UnixNanos};

/// From when on calls of the range could be seen: its start where older rows are there, or where the first is so near to
/// it that it makes no difference, or where there is none.
pub async fn first_row(
    query: &Query,
    question: &Question,
    fold: &Fold,
    cells: &[(Table, Vec<TimeRange>)],
) -> Result<UnixNanos, QueryError> {
    let Question { range, source, .. } = *question;
    let Some(first) = fold.first_row() else { return Ok(range.from()) };
    let is_told = cells.is_empty() && first < range.from().plus(GRID);
    if is_told || has_older_rows(query, range, source).await? {
        return Ok(range.from());
    }
    if cells.is_empty() {
        return Ok(first);
    }
    // A cell knows when it begins, and not when its first call did; its rows do, unless they are gone.
    let to = first.plus(WINDOW);
    let row = first_of_rows(query, TimeRange { from: range.from(), to }, source).await?;
    let first = row.unwrap_or(first);
    Ok(if first < range.from().plus(GRID) { range.from() } else { first })
}

/// When the earliest row of the tables that are read starts.
async fn first_of_rows(
    query: &Query,
    range: TimeRange,
    source: Source,
) -> Result<Option<UnixNanos>, QueryError> {
    let mut first = None;
    for table in read(source) {
        let columns = Some(["time_unix_nano"].as_slice());
        let scan = Scan { columns, range, order: &["time_unix_nano"], limit: Some(1), ..Scan::of(table) };
        if let Some(batch) = query.scan(&scan).await?.try_next().await? {
            let times = batch.column(0).as_primitive_opt::<Int64Type>();
            let times = times.ok_or_else(|| QueryError::Internal("a time is no number".to_owned()))?;
            first = times.values().first().copied().map(UnixNanos).into_iter().chain(first).min();
        }
    }
    Ok(first)
}

/// The tables whose rows tell of calls, by what an answer may be derived from.
fn read(source: Source) -> impl Iterator<Item = Table> {
    let tables = [(Table::Requests, Source::Spans), (Table::Spans, Source::Requests)];
    tables.into_iter().filter(move |(_, without)| source != *without).map(|(table, _)| table)
}

/// Whether a row of the tables that are read starts before the range. The first one ends the look-up.
async fn has_older_rows(query: &Query, range: Range, source: Source) -> Result<bool, QueryError> {
    let range = TimeRange { from: UnixNanos(0), to: range.from() };
    for table in read(source) {
        let columns = Some(["time_unix_nano"].as_slice());
        let scan = Scan { columns, range, limit: Some(1), ..Scan::of(table) };
        if query.scan(&scan).await?.try_next().await?.is_some_and(|batch| batch.num_rows() > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
