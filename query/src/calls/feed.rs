//! Feeds a fold with rows and cells of one snapshot.

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use meshlake_calls::held::HELD_BYTES_MAX;
use meshlake_calls::margin::{self, Stretch};
use meshlake_calls::settled::decode;
use meshlake_calls::span_rows::SpanBatch;
use meshlake_calls::span_rows::columns::{DICTIONARIES, NESTED, columns, proxy_columns};
use meshlake_calls::spans::HeldSpan;
use meshlake_calls::{Fold, FoldError, Question, Source, requests};
use meshlake_engine::{DataFile, Lean, Part, Query, QueryError, Scan};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;

use super::{LoadError, reading};

/// Batches that are decoded and not yet folded, and as many whose ids are being read: enough that neither side waits for
/// the other, at some megabyte each.
pub(super) const ON_THE_WAY_MAX: usize = 4;

/// What is on its way.
enum Rows {
    Requests(RecordBatch),
    Spans(SpanBatch),
    /// Spans of this stretch come next, if they are wanted.
    Begin(Stretch, oneshot::Sender<bool>),
}

impl From<SpanBatch> for Rows {
    fn from(batch: SpanBatch) -> Self {
        Rows::Spans(batch)
    }
}

/// Spans that are held in one pass beside as many bytes of cells, and so are fed in any order, all at once. Of more, most belong to
/// minutes around those that count and are not held where what counts is read first.
pub const SPANS_HELD: u64 = (HELD_BYTES_MAX / 2 / size_of::<HeldSpan>()) as u64;

/// Feeds every row that tells of calls at one of the times that are `folded`, which are ascending and apart. The fold takes them
/// on a thread of its own, while more are decoded on others.
pub async fn feed(
    query: &Query,
    question: &Question,
    folded: &[TimeRange],
    mut fold: Fold,
) -> Result<Fold, QueryError> {
    let (sender, mut receiver) = mpsc::channel(ON_THE_WAY_MAX);
    let folding = aside(move || {
        while let Some(rows) = receiver.blocking_recv() {
            match rows {
                Rows::Requests(batch) => fold.add_requests(&batch),
                Rows::Spans(batch) => fold.add_span_batch(&batch),
                // Who asked may be gone.
                Rows::Begin(stretch, wanted) => drop(wanted.send(fold.begin(stretch))),
            }
        }
        fold
    });
    let reading = async move {
        let times = reading::rows_of(folded);
        if question.source != Source::Spans {
            read_requests(query, question, &times, &sender).await?;
        }
        let stretches = if spans_in_files(query, &times) > SPANS_HELD {
            margin::stretches(folded).to_vec()
        } else {
            vec![(Stretch::Whole, times)]
        };
        for (stretch, times) in stretches.iter().filter(|_| question.source != Source::Requests) {
            if is_wanted(*stretch, &sender).await? {
                for range in times {
                    read_spans(query, question, *range, Part::Whole, &sender).await?;
                }
            }
        }
        Ok(())
    };
    let (fold, read) = tokio::join!(folding, reading);
    read.and(fold)
}

/// How many spans the files have that start in one of `times`, if they start evenly.
pub fn spans_in_files(query: &Query, times: &[TimeRange]) -> u64 {
    let in_file = |file: &DataFile| {
        let (first, last) = (file.time_min_micros, file.time_max_micros);
        let met = |times: &TimeRange| {
            let (from, to) = (first.max(times.from.micros()), last.min(times.to.micros()));
            u128::from(if from <= to { to.abs_diff(from) + 1 } else { 0 })
        };
        let met: u128 = times.iter().map(met).sum();
        let whole = u128::from(last.abs_diff(first)) + 1;
        u64::try_from(u128::from(file.rows) * met.min(whole) / whole).unwrap_or(u64::MAX)
    };
    query.files(Table::Spans).iter().map(in_file).fold(0, u64::saturating_add)
}

async fn is_wanted(stretch: Stretch, sender: &Sender<Rows>) -> Result<bool, QueryError> {
    let (told, wanted) = oneshot::channel();
    send(sender, Rows::Begin(stretch, told)).await?;
    wanted.await.map_err(|_| ended_early())
}

async fn read_requests(
    query: &Query,
    question: &Question,
    times: &[TimeRange],
    sender: &Sender<Rows>,
) -> Result<(), QueryError> {
    let columns = requests::row_columns::columns(question.grain);
    for range in times {
        let columns = Some(columns.as_slice());
        let scan = Scan { columns, range: *range, ..Scan::of(Table::Requests) };
        let mut rows = query.scan(&scan).await?;
        while let Some(batch) = rows.try_next().await? {
            send(sender, Rows::Requests(batch)).await?;
        }
    }
    Ok(())
}

/// Reads the spans that begin in a range, of a part of the rows there are, for a question with this grouping.
pub(super) async fn read_spans<T: From<SpanBatch>>(
    query: &Query,
    question: &Question,
    range: TimeRange,
    part: Part<'_>,
    sender: &Sender<T>,
) -> Result<(), QueryError> {
    let Question { by, grain, .. } = *question;
    let is_proxy = Filter::equals("is_proxy", Value::Boolean(true));
    // Attributes are most of a span's bytes and only proxies' are read: files without proxies' spans are
    // left out of the second scan by their statistics.
    let read = [(columns(by, grain), is_proxy.clone().negated()), (proxy_columns(by, grain), is_proxy)];
    let lean = Some(Lean { dictionaries: DICTIONARIES, nested: NESTED });
    for (columns, filter) in &read {
        let filter = filter.clone();
        let scan = Scan { columns: Some(columns), filter, range, lean, part, ..Scan::of(Table::Spans) };
        let read = |batch: Result<RecordBatch, QueryError>| async move {
            let batch = batch?;
            let read = aside(move || SpanBatch::read(batch, by, grain)).await?;
            read.map_err(|error| QueryError::Internal(format!("fold calls: {error}")))
        };
        let mut rows = query.scan(&scan).await?.map(read).buffered(ON_THE_WAY_MAX);
        while let Some(batch) = rows.try_next().await? {
            send(sender, T::from(batch)).await?;
        }
    }
    Ok(())
}

pub(super) async fn send<T>(sender: &Sender<T>, rows: T) -> Result<(), QueryError> {
    sender.send(rows).await.map_err(|_| ended_early())
}

fn ended_early() -> QueryError {
    QueryError::Internal("the fold has ended early".to_owned())
}

/// Has each batch of the cells of a table that begin in one of `times`, which are ascending and apart, taken.
pub async fn feed_cells(
    query: &Query,
    cells: &Cells<'_>,
    mut take: impl FnMut(&RecordBatch) -> Result<(), FoldError>,
) -> Result<(), LoadError> {
    let Cells { table, times, reading, filter } = cells;
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(()) };
    // Times may be far apart, as the minutes of a day that have most to show: files between them are left alone.
    let is_met =
        |file: &&DataFile| times.iter().any(|times| times.meets(file.time_min_micros, file.time_max_micros));
    let files: Vec<&DataFile> = query.files(*table).iter().filter(is_met).collect();
    if files.is_empty() {
        return Ok(());
    }
    let columns = decode::columns(*table, *reading);
    let range = TimeRange { from: first.from, to: last.to };
    let lean = Some(Lean { dictionaries: &decode::dictionaries(*table, *reading), nested: &[] });
    let filter = filter.clone();
    let part = Part::Files(&files);
    let scan = Scan { columns: Some(&columns), filter, range, lean, part, ..Scan::of(*table) };
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
