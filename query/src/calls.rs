//! Reads the rows of a range and folds them into a picture.

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use meshlake_calls::minutes::rows_of;
use meshlake_calls::range::GRID;
use meshlake_calls::span_rows::SpanBatch;
use meshlake_calls::span_rows::columns::{DICTIONARIES, NESTED, columns, proxy_columns};
use meshlake_calls::{Fold, FoldError, Picture, Question, Range, Source, requests};
use meshlake_engine::{Engine, Fault, Lean, Query, QueryError, Scan};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange, UnixNanos};
use thiserror::Error;
use tokio::sync::mpsc::{self, Sender};

/// Batches that are decoded and not yet folded, and as many whose ids are being read: enough that neither side waits for
/// the other, at some megabyte each.
const ON_THE_WAY_MAX: usize = 4;

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
    let fold = Fold::new(question).only(only).on_threads(query.parallelism());
    let mut fold = fold.within(query.budget());
    loop {
        fold = feed(query, &question, fold).await?;
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

/// Rows that are on their way.
enum Rows {
    Requests(RecordBatch),
    Spans(SpanBatch),
}

/// Feeds every row that may belong to a call of the range. The fold takes them on a thread of its own, while more are
/// decoded on others.
async fn feed(query: &Query, question: &Question, mut fold: Fold) -> Result<Fold, QueryError> {
    let (sender, mut receiver) = mpsc::channel(ON_THE_WAY_MAX);
    let folding = aside(move || {
        while let Some(rows) = receiver.blocking_recv() {
            match rows {
                Rows::Requests(batch) => fold.add_requests(&batch),
                Rows::Spans(batch) => fold.add_span_batch(&batch),
            }
        }
        fold
    });
    let reading = async move { read(query, question, &sender).await };
    let (fold, read) = tokio::join!(folding, reading);
    read.and(fold)
}

async fn read(query: &Query, question: &Question, sender: &Sender<Rows>) -> Result<(), QueryError> {
    let Question { range, by, grain, source } = *question;
    let range = rows_of(&range);
    if source != Source::Spans {
        let columns = Some(requests::row_columns::COLUMNS);
        let mut rows = query.scan(&Scan { columns, range, ..Scan::of(Table::Requests) }).await?;
        while let Some(batch) = rows.try_next().await? {
            send(sender, Rows::Requests(batch)).await?;
        }
    }
    if source != Source::Requests {
        let is_proxy = Filter::equals("is_proxy", Value::Boolean(true));
        // Attributes are most of a span's bytes and only proxies' are read: files without proxies' spans are
        // left out of the second scan by their statistics.
        let (plain, proxies) = (columns(by, grain), proxy_columns(by, grain));
        let lean = Some(Lean { dictionaries: DICTIONARIES, nested: NESTED });
        for (columns, filter) in [(plain, is_proxy.clone().negated()), (proxies, is_proxy)] {
            let scan = Scan { columns: Some(&columns), filter, range, lean, ..Scan::of(Table::Spans) };
            let read = |batch: Result<RecordBatch, QueryError>| async move {
                let batch = batch?;
                let read = aside(move || SpanBatch::read(batch, by, grain)).await?;
                read.map_err(|error| QueryError::Internal(format!("fold calls: {error}")))
            };
            let mut rows = query.scan(&scan).await?.map(read).buffered(ON_THE_WAY_MAX);
            while let Some(batch) = rows.try_next().await? {
                send(sender, Rows::Spans(batch)).await?;
            }
        }
    }
    Ok(())
}

async fn send(sender: &Sender<Rows>, rows: Rows) -> Result<(), QueryError> {
    sender.send(rows).await.map_err(|_| QueryError::Internal("the fold has ended early".to_owned()))
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
