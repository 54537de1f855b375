//! One trace: all of its spans, whole.
//!
//! Spans of a trace lie wherever their services' files lie, so the look-up has no time range: bloom filters on
//! `trace_id` rule out nearly every file, and row filters keep the rest from being decoded. Limits: spans
//! are held in memory, at most [`SPANS_MAX`] of them, the earliest first.

use datafusion::logical_expr::{col, lit};
use futures::TryStreamExt;
use meshlake_schema::Table;

use arrow::array::RecordBatch;

use crate::engine::{Query, QueryError};

/// Spans that one answer holds. A trace of more is an instrumentation loop; Tempo's default is about the same
/// (5 MB a trace).
pub const SPANS_MAX: usize = 50_000;

/// The spans of one trace.
#[derive(Debug)]
pub struct Trace {
    /// All columns of `spans`, one row per span, sorted by start time, then span id.
    pub spans: Vec<RecordBatch>,
    /// There are more than [`SPANS_MAX`] spans; these are the earliest.
    pub is_truncated: bool,
}

/// The spans with that trace id, an empty trace if there are none.
///
/// # Errors
/// Those of [`Query::stream`].
pub async fn trace(query: &Query, trace_id: &str) -> Result<Trace, QueryError> {
    let by_start = vec![col("time_unix_nano").sort(true, false), col("span_id").sort(true, false)];
    let spans = query
        .table(Table::Spans)
        .await?
        .filter(col("trace_id").eq(lit(trace_id)))?
        .sort(by_start)?
        .limit(0, Some(SPANS_MAX + 1))?;
    let mut spans: Vec<RecordBatch> = query.stream(spans).await?.try_collect().await?;
    let found: usize = spans.iter().map(RecordBatch::num_rows).sum();
    let is_truncated = found > SPANS_MAX;
    if is_truncated && let Some(last) = spans.last_mut() {
        *last = last.slice(0, last.num_rows() - (found - SPANS_MAX));
    }
    Ok(Trace { spans, is_truncated })
}
