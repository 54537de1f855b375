//! What spans that a query selects come to over time.
//!
//! Where each span counts whatever the others are, rows are counted as they come from the scan, which reads only columns
//! that the query names; else traces are put together first, each once, as for a search. Rows are counted on as many
//! threads as a query may use, each into a part of its own, and parts are added up at the end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_engine::{Lean, Query, Scan};
use meshlake_schema::budget::Holding;
use meshlake_schema::{Budget, Table, TimeRange, UnixNanos};
use meshlake_traceql::tree::{self, Body};
use meshlake_traceql::{Line, Partial, Steps, Trace, Value};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::aside::aside;
use super::candidates::candidates;
use super::error::Error;
use super::found::Failure;
use super::narrowed::narrowed;
use super::plan::Plan;
use super::rows::SpanRows;
use super::search::{cut, files, quartered};
use super::selecting::selected_rows;
use super::slices::slices;
use super::whole::{groups, whole_for};

/// Batches that are read and not yet counted: enough that neither side waits for the other, at some megabyte each.
const ON_THE_WAY_MAX: usize = 4;

/// Traces that are read together: each scan costs more than what it reads.
const TOGETHER: usize = 1_024;

/// Bytes of an id that was seen. Guess, not measured.
const SEEN_BYTES: usize = 96;

/// Columns of few texts in many rows.
pub(super) const DICTIONARIES: [&str; 10] = [
    "name",
    "service_name",
    "service_namespace",
    "status_message",
    "resource",
    "resource_types",
    "scope_name",
    "scope_version",
    "scope_attributes",
    "attribute_types",
];

/// Series, sorted by their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    pub lines: Vec<Line>,
    pub inspected_spans: usize,
    pub warnings: Vec<String>,
}

/// Answers a query of series at the instants of `steps`.
///
/// # Errors
/// [`Error::OtherKind`] for a query of spans; [`Error::Language`] for too many series; those of scans.
pub async fn series(query: &Query, asked: &tree::Query, steps: Steps) -> Result<Series, Error> {
    if matches!(asked.body, Body::Spans(_)) {
        return Err(Error::OtherKind("series are asked for, and this query finds spans"));
    }
    let (before, last) = steps.covered();
    // To the microsecond; the counting is exact.
    let range = TimeRange { from: UnixNanos(before), to: UnixNanos(last.saturating_add(1_000)) };
    let plan = Arc::new(Plan::new(asked.clone(), range));
    let (sender, receiver) = mpsc::channel(ON_THE_WAY_MAX);
    let counting = {
        let (plan, budget, threads) = (Arc::clone(&plan), query.budget(), query.parallelism());
        aside(move || counted(&plan, steps, budget.as_ref(), receiver, threads))
    };
    let reading = async {
        let read = read(query, &plan, &sender).await;
        drop(sender);
        read
    };
    let (lines, read) = tokio::join!(counting, reading);
    // Reading ends early when counting has failed, which then says why.
    let lines = lines?.map_err(|failure| failure.into_error(query))?;
    let (inspected_spans, warnings) = read?;
    Ok(Series { lines, inspected_spans, warnings })
}

type Read = (usize, Vec<String>);

async fn read(query: &Query, plan: &Arc<Plan>, sender: &Sender<RecordBatch>) -> Result<Read, Error> {
    if plan.selected.is_alone {
        read_rows(query, plan, sender).await
    } else {
        read_traces(query, plan, sender).await
    }
}

async fn read_rows(query: &Query, plan: &Plan, sender: &Sender<RecordBatch>) -> Result<Read, Error> {
    let columns = counted_columns(plan);
    let dictionaries: Vec<&str> = DICTIONARIES.into_iter().filter(|name| columns.contains(name)).collect();
    let scan = Scan {
        columns: Some(&columns),
        range: plan.range,
        lean: Some(Lean { dictionaries: &dictionaries, nested: &[] }),
        ..Scan::of(Table::Spans)
    };
    let mut rows = selected_rows(query, &plan.selected, scan).await?;
    let mut spans = 0;
    while let Some(batch) = rows.try_next().await? {
        spans += batch.num_rows();
        if sender.send(batch).await.is_err() {
            break;
        }
    }
    Ok((spans, Vec::new()))
}

/// What rows are counted by; exemplars name their spans.
fn counted_columns(plan: &Plan) -> Vec<&'static str> {
    let mut columns = super::needs::Needs::of_rows(plan.tree.fields());
    if plan.tree.hint("exemplars").is_some_and(|hint| *hint != Value::Boolean(false)) {
        columns = columns.with(["trace_id", "span_id", "duration_nano"]);
    }
    columns.columns()
}

async fn read_traces(query: &Query, plan: &Arc<Plan>, sender: &Sender<RecordBatch>) -> Result<Read, Error> {
    let budget = query.budget();
    let (mut seen, mut held) = (HashSet::new(), Holding::new(budget.as_ref()));
    let (mut spans, mut warnings) = (0, Vec::new());
    let mut waiting = slices(plan.range, files(query), query.began());
    while let Some(slice) = waiting.pop() {
        let Some(found) = candidates(query, plan, slice, &seen).await? else {
            waiting.extend(quartered(slice)?);
            continue;
        };
        let found = narrowed(query, plan, found).await?;
        let mut ids = found.into_iter().map(|candidate| candidate.trace_id).peekable();
        while ids.peek().is_some() {
            let next: Vec<String> = ids.by_ref().take(TOGETHER).collect();
            seen.extend(next.iter().cloned());
            held.resize(seen.len() * SEEN_BYTES).map_err(|spent| query.stopped(spent))?;
            for group in groups(query, next).await? {
                let mut held = Holding::new(budget.as_ref());
                let whole = whole_for(query, &group, plan, &mut held).await?;
                warnings.extend(whole.cut.iter().map(|id| cut(id)));
                spans += whole.spans.num_rows();
                if sender.send(whole.spans).await.is_err() {
                    return Ok((spans, warnings));
                }
            }
        }
    }
    Ok((spans, warnings))
}

/// Counts all batches that come, on so many threads.
fn counted(
    plan: &Plan,
    steps: Steps,
    budget: &dyn Budget,
    receiver: Receiver<RecordBatch>,
    threads: usize,
) -> Result<Vec<Line>, Failure> {
    let receiver = Mutex::new(receiver);
    let part = || -> Result<Option<Partial<'_>>, Failure> {
        let mut part = Partial::new(&plan.tree, steps, budget);
        while let Some(batch) = next(&receiver) {
            let Some(part) = &mut part else { continue };
            if let Err(failure) = add(part, plan, &batch) {
                receiver.lock().unwrap_or_else(PoisonError::into_inner).close();
                return Err(failure);
            }
        }
        Ok(part)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(part)).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut whole: Option<Partial<'_>> = None;
    for part in parts {
        let part = part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        match (&mut whole, part) {
            (Some(whole), Some(part)) => whole.merge(part).map_err(Failure::Language)?,
            (whole, part) => *whole = part,
        }
    }
    Ok(whole.map(Partial::finish).unwrap_or_default())
}

fn next(receiver: &Mutex<Receiver<RecordBatch>>) -> Option<RecordBatch> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}

fn add(part: &mut Partial<'_>, plan: &Plan, batch: &RecordBatch) -> Result<(), Failure> {
    let rows = SpanRows::of(batch).map_err(Failure::Rows)?;
    if plan.selected.is_alone {
        return part.add(&Trace::of_rows(&rows.all())).map_err(Failure::Language);
    }
    for spans in rows.traces() {
        part.add(&Trace::new(&spans)).map_err(Failure::Language)?;
    }
    Ok(())
}
