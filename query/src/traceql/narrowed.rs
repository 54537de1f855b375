//! Candidates whose traces have every span that the query demands.
//!
//! A candidate has a span that can be selected. `{ A } >> { B }` selects spans of B, of which there may be many, and finds
//! none in a trace without a span of A, of which there may be few: to read all of B's traces for that is what costs. So before
//! they are read, spans of A are looked for in the time that the candidates' traces are of, wherever that reaches, and a trace
//! without one is left out. What is left is looked at whole by the language's own rules.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::rows::RowsError;
use meshlake_schema::{Filter, Table};
use meshlake_traceql::{Demand, Trace};

use super::aside::aside;
use super::candidates::Candidate;
use super::error::of_rows;
use super::plan::Plan;
use super::rows::SpanRows;
use super::whole::ranges;
use crate::trace::{joined, starts_in_any, uncounted};

/// Fewer are sooner read than looked for. Guess, not measured.
const CANDIDATES_MIN: usize = 64;

/// Demands of a query that are looked for, as many as there are bits in a mask; a query of more has some that are not.
const DEMANDS_MAX: usize = u64::BITS as usize;

/// The candidates without those that cannot match, in the same order.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn narrowed(
    query: &Query,
    plan: &Arc<Plan>,
    mut candidates: Vec<Candidate>,
) -> Result<Vec<Candidate>, QueryError> {
    let demands = plan.selected.demands.len().min(DEMANDS_MAX);
    if demands == 0 || candidates.len() < CANDIDATES_MIN {
        return Ok(candidates);
    }
    let ids: Vec<String> = candidates.iter().map(|candidate| candidate.trace_id.clone()).collect();
    // When its spans were is not known of every trace: then they may be anywhere.
    let Some(ranges) = ranges(query, &ids).await? else { return Ok(candidates) };
    let filter = starts_in_any(&joined(ranges.into_iter().chain(uncounted(query)).collect()));
    let filter = filter.and(any_of(&plan.selected.demands[..demands]));
    let scan = Scan { columns: Some(&plan.demand_columns), filter, ..Scan::of(Table::Spans) };
    let mut rows = query.scan(&scan).await?;
    let mut met: HashMap<String, u64> = ids.into_iter().map(|id| (id, 0)).collect();
    while let Some(batch) = rows.try_next().await? {
        let plan = Arc::clone(plan);
        let found = aside(move || found(&batch, &plan, demands)).await?;
        for (trace_id, mask) in found.map_err(|error| of_rows(&error))? {
            if let Some(own) = met.get_mut(&trace_id) {
                *own |= mask;
            }
        }
    }
    let all = u64::MAX >> (DEMANDS_MAX - demands);
    candidates.retain(|candidate| met.get(&candidate.trace_id) == Some(&all));
    Ok(candidates)
}

fn any_of(demands: &[Demand]) -> Filter {
    let every = Filter::And(Vec::new());
    if demands.iter().any(|demand| demand.filter == every) {
        return every;
    }
    Filter::Or(demands.iter().map(|demand| demand.filter.clone()).collect())
}

/// Which demands the rows of each trace meet: the n-th bit is the n-th demand's.
fn found(batch: &RecordBatch, plan: &Plan, demands: usize) -> Result<HashMap<String, u64>, RowsError> {
    let rows = SpanRows::of(batch)?;
    let all = rows.all();
    let spans = Trace::of_rows(&all);
    let mut met: HashMap<&str, u64> = HashMap::new();
    for row in 0..spans.count() {
        for (bit, demand) in plan.selected.demands[..demands].iter().enumerate() {
            if spans.holds(&demand.condition, row) {
                *met.entry(rows.trace_id(row)).or_default() |= 1 << bit;
            }
        }
    }
    Ok(met.into_iter().map(|(id, mask)| (id.to_owned(), mask)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_engine::{Engine, EngineConfig};
    use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
    use meshlake_schema::{SystemClock, TimeRange, UnixNanos};
    use meshlake_traceql::parse;

    use super::*;
    use crate::traceql::{ANY_DURATION, Found, Search, search};

    const SECOND: i64 = 1_000_000_000;
    const HOUR: i64 = 3_600 * SECOND;
    /// Enough for all in one slice of time to be more than [`CANDIDATES_MIN`].
    const TRACES: i64 = 100;

    /// A root at the first hour and a failed child at the tenth; every fortieth root is a rare one.
    fn spans() -> Vec<Row> {
        let of_trace = |trace: i64| {
            let id = |of: i64| Cell::Text(format!("{of:016x}"));
            let trace_id = || Cell::Text(format!("{trace:032x}"));
            let name = if trace % 40 == 0 { "rare" } else { "get" };
            let root = [("trace_id", trace_id()), ("span_id", id(1)), ("name", name.into())];
            let child = [
                ("trace_id", trace_id()),
                ("span_id", id(2)),
                ("parent_span_id", id(1)),
                ("status_code", 2_i64.into()),
            ];
            [row(HOUR + trace, root), row(10 * HOUR + trace, child)]
        };
        (0..TRACES).flat_map(of_trace).collect()
    }

    async fn found(snapshot: SnapshotBuilder, text: &str) -> Found {
        let engine = Engine::new(snapshot.reader(), EngineConfig::default(), Arc::new(SystemClock));
        let query = engine.expect("no directory is named").begin("default").await.expect("a place is free");
        let range = TimeRange { from: UnixNanos(9 * HOUR), to: UnixNanos(11 * HOUR) };
        let tree = parse(text).expect("TraceQL");
        let asked = Search { query: tree, range, traces_max: 20, spans_max: 1, durations: ANY_DURATION };
        search(&query, &asked).await.expect("it is answered")
    }

    /// Roots lie outside of the range that is searched; traces 0, 40 and 80 have a rare one.
    #[tokio::test]
    async fn only_traces_with_both_sides_are_read() {
        let rare = "{ name = \"rare\" } >> { status = error }";
        let stored = async || SnapshotBuilder::new().traced_file(&spans()).await;
        let some = found(stored().await, rare).await;
        let ids: Vec<_> = some.traces.iter().map(|trace| trace.trace_id.clone()).collect();
        assert_eq!(ids, [80, 40, 0].map(|trace| format!("{trace:032x}")));
        assert_eq!(some.inspected_traces, 3);
        let none = found(stored().await, "{ name = \"absent\" } >> { status = error }").await;
        assert_eq!((none.traces.len(), none.inspected_traces, none.is_complete), (0, 0, true));
    }

    /// Nobody knows when the other spans of those traces were.
    #[tokio::test]
    async fn traces_that_the_index_does_not_know_are_all_read() {
        let snapshot = SnapshotBuilder::new().file(Table::Spans, &spans(), &[]).await;
        let found = found(snapshot, "{ name = \"rare\" } >> { status = error }").await;
        assert_eq!((found.traces.len(), found.inspected_traces), (3, TRACES as usize));
    }
}
