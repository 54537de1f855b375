//! Feeds a fold with rows and cells of one snapshot.

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use meshlake_calls::settled::decode;
use meshlake_calls::span_rows::SpanBatch;
use meshlake_calls::span_rows::columns::{DICTIONARIES, NESTED, columns, proxy_columns};
use meshlake_calls::{Fold, FoldError, Question, Source, requests};
use meshlake_engine::{Lean, Query, QueryError, Scan};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};
use tokio::sync::mpsc::{self, Sender};

use super::LoadError;

/// Batches that are decoded and not yet folded, and as many whose ids are being read: enough that neither side waits for
/// the other, at some megabyte each.
const ON_THE_WAY_MAX: usize = 4;

/// Rows that are on their way.
enum Rows {
    Requests(RecordBatch),
    Spans(SpanBatch),
}

/// Feeds every row that starts in one of `times`, which are apart. The fold takes them on a thread of its own, while more are
/// decoded on others.
pub async fn feed(
    query: &Query,
    question: &Question,
    times: &[TimeRange],
    mut fold: Fold,
) -> Result<Fold, QueryError> {
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
    let reading = async move {
        for range in times {
            read(query, question, *range, &sender).await?;
        }
        Ok(())
    };
    let (fold, read) = tokio::join!(folding, reading);
    read.and(fold)
}

async fn read(
    query: &Query,
    question: &Question,
    range: TimeRange,
    sender: &Sender<Rows>,
) -> Result<(), QueryError> {
    let Question { by, grain, source, .. } = *question;
    if source != Source::Spans {
        let columns = requests::row_columns::columns(grain);
        let columns = Some(columns.as_slice());
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

/// Has each batch of the cells of a table that begin in one of `times`, which are ascending and apart, taken.
pub async fn feed_cells(
    query: &Query,
    cells: &Cells<'_>,
    mut take: impl FnMut(&RecordBatch) -> Result<(), FoldError>,
) -> Result<(), LoadError> {
    let Cells { table, times, reading, filter } = cells;
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(()) };
    let columns = decode::columns(*table, *reading);
    let range = TimeRange { from: first.from, to: last.to };
    let lean = Some(Lean { dictionaries: &decode::dictionaries(*table, *reading), nested: &[] });
    let filter = filter.clone();
    let scan = Scan { columns: Some(&columns), filter, range, lean, ..Scan::of(*table) };
    let mut rows = query.scan(&scan).await?;
    while let Some(batch) = rows.next().await {
        take(&batch?).map_err(|error| LoadError::of(error, query))?;
    }
    Ok(())
}

/// Which cells are read, and what of them.
pub struct Cells<'a> {
    pub table: Table,
    pub times: &'a [TimeRange],
    pub reading: decode::Reading,
    pub filter: Filter,
}

/// Counts what the fold holds, whether there is more. Sorting and walking millions of rows takes too long for a thread
/// that other queries wait for.
pub async fn counted(mut fold: Fold) -> Result<(Fold, Result<bool, FoldError>), QueryError> {
    aside(move || {
        let more = fold.end_pass();
        (fold, more)
    })
    .await
}

pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, QueryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| QueryError::Internal(format!("fold calls: {error}")))
}
