//! Feeds a fold with rows and cells of one snapshot.

use futures::StreamExt;
use meshlake_calls::settled::decode;
use meshlake_calls::{Fold, FoldError, Question, Source, requests, span_rows};
use meshlake_engine::{Lean, Query, QueryError, Scan};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

/// Feeds every row that starts in one of `times`, which are apart.
pub async fn feed(
    query: &Query,
    question: &Question,
    times: &[TimeRange],
    fold: &mut Fold,
) -> Result<(), QueryError> {
    for range in times {
        feed_rows(query, question, *range, fold).await?;
    }
    Ok(())
}

async fn feed_rows(
    query: &Query,
    question: &Question,
    range: TimeRange,
    fold: &mut Fold,
) -> Result<(), QueryError> {
    let Question { by, grain, source, .. } = *question;
    if source != Source::Spans {
        let columns = requests::row_columns::columns(grain);
        let columns = Some(columns.as_slice());
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

/// Feeds the cells of a table that begin in one of `times`, which are ascending and apart.
pub async fn feed_cells(
    query: &Query,
    question: &Question,
    table: Table,
    times: &[TimeRange],
    fold: &mut Fold,
) -> Result<(), QueryError> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(()) };
    let columns = decode::columns(question.grain);
    let range = TimeRange { from: first.from, to: last.to };
    let lean = Some(Lean { dictionaries: &decode::dictionaries(question.grain), nested: &[] });
    let scan = Scan { columns: Some(&columns), range, lean, ..Scan::of(table) };
    let mut rows = query.scan(&scan).await?;
    while let Some(batch) = rows.next().await {
        let added = fold.add_cells(table, &batch?, times);
        added.map_err(|error| QueryError::Internal(format!("read cells: {error}")))?;
    }
    Ok(())
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
