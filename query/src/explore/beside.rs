//! What lies beside the spans of a trace: rows of proxies' logs and lines of logs with its id.

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

/// Rows of each table: a trace of more has one call many times.
pub const BESIDE_MAX: usize = 500;

/// Rows of one table, by time.
#[derive(Debug)]
pub struct Beside {
    pub rows: Vec<RecordBatch>,
    /// There are more than [`BESIDE_MAX`]; these are the earliest.
    pub is_cut: bool,
}

/// The rows of `requests` or of `logs` that tell of a trace, with those columns.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn beside(
    query: &Query,
    table: Table,
    trace_id: &str,
    range: TimeRange,
    columns: &[&str],
) -> Result<Beside, QueryError> {
    let filter = Filter::equals("trace_id", Value::Text(trace_id.to_owned()));
    let scan = Scan {
        columns: Some(columns),
        filter,
        range,
        order: &["time", "span_id"],
        limit: Some(BESIDE_MAX + 1),
        ..Scan::of(table)
    };
    let mut rows: Vec<RecordBatch> = query.scan(&scan).await?.try_collect().await?;
    let found: usize = rows.iter().map(RecordBatch::num_rows).sum();
    let is_cut = found > BESIDE_MAX;
    if is_cut && let Some(last) = rows.last_mut() {
        *last = last.slice(0, last.num_rows() - (found - BESIDE_MAX));
    }
    Ok(Beside { rows, is_cut })
}
