//! Reads the rows of a range and folds them into a picture.

use futures::{StreamExt, TryStreamExt};
use meshlake_calls::minutes::rows_of;
use meshlake_calls::range::GRID;
use meshlake_calls::{Fold, FoldError, Picture, Question, Range, Source, requests, span_rows};
use meshlake_engine::{Engine, Fault, Lean, Query, QueryError, Scan};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange, UnixNanos};
use thiserror::Error;

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

    fn of(error: FoldError, query: &Query) -> LoadError {
        match error {
            FoldError::Spent(spent) => query.stopped(spent).into(),
            FoldError::TooManyCells => LoadError::TooManyCells(error),
            FoldError::Rows(error) => QueryError::Internal(format!("fold calls: {error}")).into(),
        }
    }
}

/// The picture of a tenant's calls, from one snapshot of both tables. Limits are spent on what is told of the service
/// `only`, by id or by name; without it, of all.
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
    let Question { range, source, .. } = question;
    let mut fold = Fold::new(question).only(only).within(query.budget());
    loop {
        feed(query, &question, &mut fold).await?;
        // Sorting and walking millions of rows takes too long for a thread that other queries wait for.
        let (folded, more) = aside(move || {
            let more = fold.end_pass();
            (fold, more)
        })
        .await?;
        fold = folded;
        if !more.map_err(|error| LoadError::of(error, query))? {
            break;
        }
    }
    let first_row = match fold.first_row() {
        Some(first) if first >= range.from().plus(GRID) && !has_older_rows(query, range, source).await? => {
            first
        }
        // Older rows, a first row as near to the start as makes no difference, or none to be counted at all.
        _ => range.from(),
    };
    let finished = aside(move || fold.finish()).await?;
    let picture = finished.map_err(|error| LoadError::of(error, query))?;
    Ok(Picture { range: range.observed(first_row, query.began()), ..picture })
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, QueryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| QueryError::Internal(format!("fold calls: {error}")))
}

/// Feeds every row that may belong to a call of the range.
async fn feed(query: &Query, question: &Question, fold: &mut Fold) -> Result<(), QueryError> {
    let Question { range, by, grain, source } = *question;
    let range = rows_of(&range);
    if source != Source::Spans {
        let columns = Some(requests::row_columns::COLUMNS);
        let mut rows = query.scan(&Scan { columns, range, ..Scan::of(Table::Requests) }).await?;
        while let Some(batch) = rows.next().await {
            fold.add_requests(&batch?);
        }
    }
    if source != Source::Requests {
        let is_proxy = Filter::equals("is_proxy", Value::Boolean(true));
        // Attributes are most of a span's bytes and only proxies' are read: files without proxies' spans are
        // left out of the second scan by their statistics.
        let (columns, proxy_columns) =
            (span_rows::columns::columns(by, grain), span_rows::columns::proxy_columns(by, grain));
        let scans = [(columns, is_proxy.clone().negated()), (proxy_columns, is_proxy)];
        for (columns, filter) in scans {
            let columns = Some(columns.as_slice());
            let lean =
                Lean { dictionaries: span_rows::columns::DICTIONARIES, nested: span_rows::columns::NESTED };
            let scan = Scan { columns, filter, range, lean: Some(lean), ..Scan::of(Table::Spans) };
            let mut rows = query.scan(&scan).await?;
            while let Some(batch) = rows.next().await {
                fold.add_spans(&batch?);
            }
        }
    }
    Ok(())
}

/// Whether a row of the tables that are read starts before the range. The first one ends the look-up.
async fn has_older_rows(query: &Query, range: Range, source: Source) -> Result<bool, QueryError> {
    let tables = [(Table::Requests, Source::Spans), (Table::Spans, Source::Requests)];
    let range = TimeRange { from: UnixNanos(0), to: range.from() };
    for (table, _) in tables.into_iter().filter(|(_, without)| source != *without) {
        let columns = Some(["time_unix_nano"].as_slice());
        let scan = Scan { columns, range, limit: Some(1), ..Scan::of(table) };
        if query.scan(&scan).await?.try_next().await?.is_some_and(|batch| batch.num_rows() > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
