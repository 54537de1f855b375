//! Makes the picture of a range: of cells where it is settled, of rows where it is not.
//!
//! ```text
//! list      calls one by one
//! feed      rows and cells of a snapshot -> fold
//! reading   which parts of a range are which
//! widening  as wide as what is kept of old times
//! ```

pub mod list;
pub(crate) mod feed;
pub(crate) mod reading;
mod widening;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use meshlake_calls::range::{GRID, WINDOW};
use meshlake_calls::{Fold, FoldError, Picture, Question, Range, Source, minutes};
use meshlake_engine::{Engine, Fault, Query, QueryError, Scan};
use meshlake_schema::{Table, TimeRange, UnixNanos};
use thiserror::Error;

use self::feed::{aside, counted, feed, feed_cells};
use self::reading::Reading;
use self::widening::{Widened, widened};

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    TooManyCells(FoldError),
}

impl LoadError {
    pub fn fault(&self) -> Fault {
        match self {
            LoadError::Query(error) => error.fault(),
            LoadError::TooManyCells(_) => Fault::Asker,
        }
    }

    /// See [`QueryError::told`].
    pub fn told(&self) -> String {
        match self {
            LoadError::Query(error) => error.told(),
            LoadError::TooManyCells(error) => error.to_string(),
        }
    }

    pub(crate) fn of(error: FoldError, query: &Query) -> LoadError {
        match error {
            FoldError::Spent(spent) => query.stopped(spent).into(),
            FoldError::TooManyCells => LoadError::TooManyCells(error),
            FoldError::Rows(error) => LoadError::bug(&error),
        }
    }

    pub(crate) fn bug(error: &dyn std::error::Error) -> LoadError {
        QueryError::Internal(format!("fold calls: {error}")).into()
    }
}

/// The picture of a tenant's calls, from one snapshot of both tables. Limits are spent on what is told of the service
/// `only`, by id or by name; without it, of all. Its range and step are wider than the question's where nothing finer is
/// kept, which a warning says.
///
/// # Errors
/// [`LoadError::Query`] from the engine, also when its time or memory is spent; [`LoadError::TooManyCells`] when the
/// question is too wide. Cancel: dropping the future stops the reading; a pass that has ended reading runs to its end
/// on its own thread, at most until the deadline.
pub async fn load(
    engine: &Engine,
    tenant: &str,
    question: Question,
    only: Option<&str>,
) -> Result<Picture, LoadError> {
    let query = engine.begin(tenant).await?;
    load_from(&query, question, only).await
}

/// As [`load`], from the snapshot of a query.
///
/// # Errors
/// As [`load`].
pub async fn load_from(query: &Query, question: Question, only: Option<&str>) -> Result<Picture, LoadError> {
    let Widened { range, untold, warnings } =
        widened(&question, |table, range| query.only_wider(table, range));
    let source = question.source;
    let question = Question { range, ..question };
    let reading = Reading::of(&question, &untold, |table, range| query.open(table, range));
    let fold = fed(query, &reading, Fold::new(question).only(only), &question).await?;
    let first_row = first_row(query, range, source, &fold, &reading.cells).await?;
    let mut picture = finished(query, fold).await?;
    let late = reading
        .cells
        .iter()
        .flat_map(|(table, times)| times.iter().flat_map(|times| query.frozen_late(*table, *times)));
    picture.warnings.extend(warnings.into_iter().chain(widening::late(&late.collect::<Vec<_>>())));
    Ok(Picture { range: range.observed(first_row, query.began()), ..picture })
}

/// The fold with all that is read for the question, every pass counted.
async fn fed(query: &Query, reading: &Reading, fold: Fold, question: &Question) -> Result<Fold, LoadError> {
    let Reading { cells, folded } = reading;
    let mut fold = fold.within(query.budget()).on_threads(query.parallelism()).fold_only(folded.clone());
    for (table, times) in cells {
        feed_cells(query, question, *table, times, &mut fold).await?;
    }
    let rows = reading::rows_of(folded);
    loop {
        fold = feed(query, question, &rows, fold).await?;
        let (counted, more) = counted(fold).await?;
        fold = counted;
        if !more.map_err(|error| LoadError::of(error, query))? {
            return Ok(fold);
        }
    }
}

async fn finished(query: &Query, fold: Fold) -> Result<Picture, LoadError> {
    aside(move || fold.finish()).await?.map_err(|error| LoadError::of(error, query))
}

/// From when on calls of the range could be seen: its start where older rows are there, or where the first is so near to
/// it that it makes no difference, or where there is none.
async fn first_row(
    query: &Query,
    range: Range,
    source: Source,
    fold: &Fold,
    cells: &[(Table, Vec<TimeRange>)],
) -> Result<UnixNanos, QueryError> {
    let Some(first) = fold.first_row() else { return Ok(range.from()) };
    if first < range.from().plus(GRID) || has_older_rows(query, range, source).await? {
        return Ok(range.from());
    }
    if cells.is_empty() {
        return Ok(first);
    }
    // A cell knows when it begins, and not when its first call did; its rows do, unless they are gone.
    let rows = minutes::rows_of(&range);
    let row = first_of_rows(query, TimeRange { from: rows.from, to: rows.to }, source).await?;
    Ok(row.filter(|row| *row < first.plus(WINDOW)).unwrap_or(first))
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
