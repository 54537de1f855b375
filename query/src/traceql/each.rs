//! Whole traces one after the other, read some at a time.
//!
//! Each look-up costs more than the trace that it reads; read together, twenty traces cost little more than one. Groups are small, so
//! that an answer which is streamed holds few spans at a time.

use std::collections::HashMap;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use meshlake_engine::{Query, QueryError};
use meshlake_schema::budget::Holding;
use meshlake_schema::rows::{Integers, Text};
use meshlake_schema::{Table, read_columns};

use super::error::of_rows;
use super::whole::{Group, Whole, groups_of, whole};
use crate::trace::Trace;

/// Spans of traces that are read together: some ten megabytes with all columns, and as many as hundreds of traces have.
const SPANS_TOGETHER: usize = 5_000;

read_columns! {
    struct Order of Table::Spans {
        trace_id: Text,
        time_unix_nano: Integers,
        span_id: Text,
    }
}

/// The traces of these ids in their order, as [`crate::trace::trace`] gives each, without those that have no span.
///
/// # Errors
/// Those of [`Query::scan`], at once or in the stream.
pub async fn each(
    query: &Query,
    ids: Vec<String>,
) -> Result<BoxStream<'static, Result<Trace, QueryError>>, QueryError> {
    let groups = groups_of(query, ids, SPANS_TOGETHER).await?;
    let query = query.clone();
    let traces = stream::iter(groups).then(move |group| {
        let query = query.clone();
        async move { of_group(&query, &group).await }
    });
    Ok(traces.map_ok(|traces| stream::iter(traces).map(Ok::<_, QueryError>)).try_flatten().boxed())
}

async fn of_group(query: &Query, group: &Group) -> Result<Vec<Trace>, QueryError> {
    let budget = query.budget();
    let mut held = Holding::new(budget.as_ref());
    let whole = whole(query, group, None, &mut held).await?;
    apart(group, &whole)
}

/// The traces of a group, the spans of each in the order of their starts and ids.
fn apart(group: &Group, whole: &Whole) -> Result<Vec<Trace>, QueryError> {
    let order = Order::of(&whole.spans).map_err(|error| of_rows(&error))?;
    let mut by_id: HashMap<&str, Vec<u32>> = HashMap::new();
    for row in 0..whole.spans.num_rows() {
        let place =
            u32::try_from(row).map_err(|_| QueryError::Internal("a group is too large".to_owned()))?;
        by_id.entry(order.trace_id.get(row).unwrap_or_default()).or_default().push(place);
    }
    let mut traces = Vec::new();
    for id in &group.ids {
        let Some(mut places) = by_id.remove(id.as_str()) else { continue };
        let key = |row: usize| (order.time_unix_nano.or_zero(row), order.span_id.get(row));
        places.sort_by_key(|place| key(*place as usize));
        let spans = take_record_batch(&whole.spans, &UInt32Array::from(places));
        let spans = spans.map_err(|error| QueryError::Internal(format!("read traces: {error}")))?;
        traces.push(Trace { spans: vec![spans], is_truncated: whole.cut.contains(id) });
    }
    Ok(traces)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::compute::concat_batches;
    use meshlake_engine::{Engine, EngineConfig};
    use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
    use meshlake_schema::SystemClock;

    use super::*;
    use crate::trace::trace;

    fn id(trace: u64) -> String {
        format!("{trace:032x}")
    }

    /// Spans of a trace, the last one first.
    fn spans(of: u64, count: i64) -> Vec<Row> {
        let span = |at: i64| {
            let ids = [("trace_id", Cell::Text(id(of))), ("span_id", Cell::Text(format!("{at:016x}")))];
            row(1_000 * at, ids)
        };
        (0..count).rev().map(span).collect()
    }

    #[tokio::test]
    async fn traces_read_together_are_as_each_is_alone() {
        let most = SPANS_TOGETHER as i64;
        let stored = [spans(1, 3), spans(2, 2), spans(3, most), spans(4, 1)].concat();
        for snapshot in [
            SnapshotBuilder::new().traced_file(&stored).await,
            SnapshotBuilder::new().hot(Table::Spans, 1, &stored),
        ] {
            let engine = Engine::new(snapshot.reader(), EngineConfig::default(), Arc::new(SystemClock));
            let query = engine.expect("no directory").begin("default").await.expect("a place is free");
            let asked = [4, 9, 1, 3, 2].map(id).to_vec();
            let traces = each(&query, asked).await.expect("it is answered");
            let traces: Vec<Trace> = traces.try_collect().await.expect("all are read");
            assert_eq!(traces.len(), 4, "there is no trace 9");
            for (of, found) in [4, 1, 3, 2].into_iter().zip(traces) {
                let alone = trace(&query, &id(of)).await.expect("it is read");
                let alone = concat_batches(&found.spans[0].schema(), &alone.spans).expect("of one schema");
                assert_eq!(found.spans, [alone], "trace {of}");
                assert!(!found.is_truncated);
            }
        }
    }
}
