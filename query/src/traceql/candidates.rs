//! Traces that can match, by the spans in a slice of time that the query can select.
//!
//! A scan brings the rows that pass the filter, which leaves out files, pages and rows as far as columns can say it; the
//! condition itself is then held against each. What is left are ids, newest first by the newest such span of each trace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::budget::Holding;
use meshlake_schema::rows::RowsError;
use meshlake_schema::{Table, TimeRange};

use super::aside::aside;
use super::error::of_rows;
use super::plan::Plan;
use super::rows::SpanRows;
use super::selecting::selected_rows;

/// Candidates of one slice; of a slice with more only a part is looked at, and the rest is another slice. Bounds what is
/// held at once to some tens of megabytes.
pub const CANDIDATES_MAX: usize = 200_000;

/// Bytes that a candidate takes: its id, and its place in a map. Guess, not measured.
const CANDIDATE_BYTES: usize = 128;

/// A trace that can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Start of its newest span in the slice that can be selected, nanoseconds since the epoch: its trace starts then or
    /// before.
    pub newest: i64,
    pub trace_id: String,
}

/// The candidates of a slice without those that were seen, newest first, of equal ones the first by id; none if they are
/// too many.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn candidates(
    query: &Query,
    plan: &Arc<Plan>,
    slice: TimeRange,
    seen: &HashSet<String>,
) -> Result<Option<Vec<Candidate>>, QueryError> {
    let budget = query.budget();
    let mut held = Holding::new(budget.as_ref());
    let scan = Scan { columns: Some(&plan.row_columns), range: slice, ..Scan::of(Table::Spans) };
    let matching = |batch: Result<RecordBatch, QueryError>| {
        let plan = Arc::clone(plan);
        async move {
            let batch = batch?;
            aside(move || matching(&batch, &plan)).await?.map_err(|error| of_rows(&error))
        }
    };
    let rows = selected_rows(query, &plan.selected, scan).await?;
    let mut found = rows.map(matching).buffered(query.parallelism());
    let mut newest: HashMap<String, i64> = HashMap::new();
    while let Some(batch) = found.try_next().await? {
        for (trace_id, start) in batch {
            if !seen.contains(&trace_id) {
                let held = newest.entry(trace_id).or_insert(start);
                *held = start.max(*held);
            }
        }
        if newest.len() > CANDIDATES_MAX {
            return Ok(None);
        }
        held.resize(newest.len() * CANDIDATE_BYTES).map_err(|spent| query.stopped(spent))?;
    }
    let mut candidates: Vec<Candidate> =
        newest.into_iter().map(|(trace_id, newest)| Candidate { newest, trace_id }).collect();
    candidates.sort_unstable_by(|a, b| b.newest.cmp(&a.newest).then_with(|| a.trace_id.cmp(&b.trace_id)));
    Ok(Some(candidates))
}

/// Traces with a row of the batch for which the condition holds, and the newest such row of each.
fn matching(batch: &RecordBatch, plan: &Plan) -> Result<HashMap<String, i64>, RowsError> {
    let rows = SpanRows::of(batch)?;
    let mut newest: HashMap<&str, i64> = HashMap::new();
    for row in rows.passing(plan.selected.condition.as_ref()) {
        let start = rows.start_nano(row);
        let held = newest.entry(rows.trace_id(row)).or_insert(start);
        *held = start.max(*held);
    }
    Ok(newest.into_iter().map(|(id, start)| (id.to_owned(), start)).collect())
}
