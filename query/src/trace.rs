//! One trace: all of its spans, whole.
//!
//! Spans of a trace lie wherever their services' files lie. So `traces` is asked first when the trace was, and
//! spans are looked up by id within that time only: without it, every file's bloom filter would have to be
//! read, however many days are kept. `traces` is an index and no authority: spans in files that it does not
//! count (older than the table, another writer's, or of dates that it no longer keeps) are looked for too, and
//! a trace that it does not know is looked for everywhere. Limits: spans are held in memory, at most
//! [`SPANS_MAX`] of them, the earliest first.

use std::collections::BTreeSet;
use std::ops::Bound;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::filter::{Place, Test, Value};
use meshlake_schema::time::WINDOW_MICROS;
use meshlake_schema::{Filter, Table, UnixNanos};

/// Spans that one answer holds. A trace of more is an instrumentation loop; Tempo's default is about the same
/// (5 MB a trace).
pub const SPANS_MAX: usize = 50_000;

/// Ranges of time that one look-up tells apart; more become one. Each is a comparison per row that is looked
/// at, and a trace has one or two. Guess, not measured.
const RANGES_MAX: usize = 8;

/// The spans of one trace.
#[derive(Debug)]
pub struct Trace {
    /// The columns of `spans` that were asked for, one row per span, sorted by start time, then span id.
    pub spans: Vec<RecordBatch>,
    /// There are more than [`SPANS_MAX`] spans; these are the earliest.
    pub is_truncated: bool,
}

/// The spans with that trace id, an empty trace if there are none.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn trace(query: &Query, trace_id: &str) -> Result<Trace, QueryError> {
    spans_of(query, trace_id, None).await
}

/// As [`trace`], with those columns of `spans` alone.
///
/// # Errors
/// As [`trace`].
pub async fn spans_of(query: &Query, trace_id: &str, columns: Option<&[&str]>) -> Result<Trace, QueryError> {
    let of_trace = Filter::equals("trace_id", Value::Text(trace_id.to_owned()));
    let mut filter = of_trace.clone();
    if let Some(parts) = parts(query, of_trace).await? {
        let ranges = parts.into_iter().chain(uncounted(query));
        filter = filter.and(starts_in_any(&joined(ranges.collect())));
    }
    let (order, limit) = (["time_unix_nano", "span_id"], Some(SPANS_MAX + 1));
    let scan = Scan { columns, filter, order: &order, limit, ..Scan::of(Table::Spans) };
    let mut spans: Vec<RecordBatch> = query.scan(&scan).await?.try_collect().await?;
    let found: usize = spans.iter().map(RecordBatch::num_rows).sum();
    let is_truncated = found > SPANS_MAX;
    if is_truncated && let Some(last) = spans.last_mut() {
        *last = last.slice(0, last.num_rows() - (found - SPANS_MAX));
    }
    Ok(Trace { spans, is_truncated })
}

/// Those of these traces that have a span here: of a few, one look into `traces`, and one into the files that it does not count. What
/// it lacks of a file that it counts, as after damage, is not looked for.
///
/// # Errors
/// As [`trace`].
pub async fn stored(query: &Query, trace_ids: &[&str]) -> Result<BTreeSet<String>, QueryError> {
    let mut stored = ids_of(query, Table::Traces, is_one_of(trace_ids)).await?;
    let missing: Vec<&str> = trace_ids.iter().copied().filter(|id| !stored.contains(*id)).collect();
    let ranges = joined(uncounted(query).collect());
    if !missing.is_empty() && !ranges.is_empty() {
        let filter = is_one_of(&missing).and(starts_in_any(&ranges));
        stored.extend(ids_of(query, Table::Spans, filter).await?);
    }
    Ok(stored)
}

fn is_one_of(trace_ids: &[&str]) -> Filter {
    Filter::is_in("trace_id", trace_ids.iter().map(|id| Value::Text((*id).to_owned())).collect())
}

async fn ids_of(query: &Query, table: Table, filter: Filter) -> Result<BTreeSet<String>, QueryError> {
    let scan = Scan { columns: Some(&["trace_id"]), filter, ..Scan::of(table) };
    let rows: Vec<RecordBatch> = query.scan(&scan).await?.try_collect().await?;
    let ids = rows.iter().flat_map(|batch| batch.column(0).as_string_view().iter().flatten());
    Ok(ids.map(str::to_owned).collect())
}

/// OTLP `SpanKind` by name.
pub fn kind_name(kind: Option<i64>) -> &'static str {
    match kind {
        Some(1) => "internal",
        Some(2) => "server",
        Some(3) => "client",
        Some(4) => "producer",
        Some(5) => "consumer",
        _ => "unspecified",
    }
}

/// OTLP `StatusCode` by name.
pub fn status_name(code: Option<i64>) -> &'static str {
    match code {
        Some(1) => "ok",
        Some(2) => "error",
        _ => "unset",
    }
}

/// Start times in microseconds, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub first: i64,
    pub last: i64,
}

/// When the spans that `traces` counts for the trace of that filter started; none when it cannot tell.
async fn parts(query: &Query, of_trace: Filter) -> Result<Option<Vec<Range>>, QueryError> {
    let columns = Some(["time", "last_start_unix_nano"].as_slice());
    let scan = Scan { columns, filter: of_trace, ..Scan::of(Table::Traces) };
    let rows: Vec<RecordBatch> = query.scan(&scan).await?.try_collect().await?;
    let mut ranges = Vec::new();
    for batch in &rows {
        let first = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let last = batch.column(1).as_primitive::<Int64Type>();
        // Only a file of another writer can lack them.
        if first.null_count() + last.null_count() > 0 {
            return Ok(None);
        }
        let pairs = first.values().iter().zip(last.values());
        ranges.extend(pairs.map(|(first, last)| Range { first: *first, last: UnixNanos(*last).micros() }));
    }
    Ok((!ranges.is_empty()).then_some(ranges))
}

/// When spans in files that `traces` does not count started. It is retained by whole dates, as they are, but
/// perhaps for fewer.
pub(crate) fn uncounted(query: &Query) -> impl Iterator<Item = Range> {
    let oldest_counted = query.files(Table::Traces).iter().map(|file| file.date_days).min();
    let spans = query.files(Table::Spans).iter();
    spans
        .filter(move |file| {
            !file.is_derived_from || oldest_counted.is_none_or(|oldest| file.date_days < oldest)
        })
        .map(|file| Range { first: file.time_min_micros, last: file.time_max_micros })
}

/// The same times in few ranges, perhaps with more between them: ranges less than a window apart are joined,
/// and all of them when they are too many.
pub(crate) fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.first <= last.last.saturating_add(WINDOW_MICROS) => {
                last.last = last.last.max(range.last);
            }
            _ => joined.push(range),
        }
    }
    if let (true, [first, .., last]) = (joined.len() > RANGES_MAX, joined.as_slice()) {
        return vec![Range { first: first.first, last: last.last }];
    }
    joined
}

pub(crate) fn starts_in_any(ranges: &[Range]) -> Filter {
    let at = |micros| Bound::Included(Value::Time(UnixNanos::from_micros(micros)));
    let within = |range: &Range| {
        Filter::Is(Place::Column("time".to_owned()), Test::IsWithin(at(range.first), at(range.last)))
    };
    Filter::Or(ranges.iter().map(within).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_schema::SystemClock;

    use super::*;
    use meshlake_engine::{Engine, EngineConfig};
    use meshlake_fixture::{Row, SnapshotBuilder, row};

    const SECOND: i64 = 1_000_000_000;
    const DAY: i64 = 86_400 * SECOND;
    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn span(nanos: i64) -> Row {
        row(nanos, [("trace_id", ID.into())])
    }

    /// When the spans of the trace start, or the error.
    async fn starts(snapshot: SnapshotBuilder) -> Result<Vec<i64>, String> {
        let engine = Engine::new(snapshot.reader(), EngineConfig::default(), Arc::new(SystemClock));
        let query = engine.expect("no directory is named").begin("default").await.expect("a place is free");
        let found = trace(&query, ID).await.map_err(|error| error.to_string())?;
        let starts = found.spans.iter().map(|batch| {
            let starts = batch.column_by_name("time_unix_nano").expect("all columns come");
            starts.as_primitive::<Int64Type>().values().to_vec()
        });
        Ok(starts.collect::<Vec<_>>().concat())
    }

    #[tokio::test]
    async fn a_trace_is_whole_over_files_and_buffer() {
        let snapshot = SnapshotBuilder::new()
            .traced_file(&[span(5), span(2_999), row(7, [("trace_id", "another".into())])])
            .await
            .hot(Table::Spans, 1, &[span(DAY), span(3)]);
        assert_eq!(starts(snapshot).await, Ok(vec![3, 5, 2_999, DAY]));
    }

    /// A file that cannot be read proves by its silence that it was never opened.
    #[tokio::test]
    async fn files_of_other_times_are_not_opened() {
        let with_absent_file = async || {
            let traced = SnapshotBuilder::new().traced_file(&[span(5 * SECOND)]).await;
            traced.unreadable_file(Table::Spans, DAY)
        };
        assert_eq!(starts(with_absent_file().await.derived_from(Table::Spans)).await, Ok(vec![5 * SECOND]));
        // Unless `traces` does not count it: then it has to be opened.
        let error = starts(with_absent_file().await).await.expect_err("the file does not exist");
        assert!(error.contains("absent"), "{error}");
    }

    #[tokio::test]
    async fn a_trace_older_than_the_index_is_found_whole() {
        let old = SnapshotBuilder::new().file(Table::Spans, &[span(1), span(2)], &[]).await;
        assert_eq!(starts(old).await, Ok(vec![1, 2]));
        let half = SnapshotBuilder::new().file(Table::Spans, &[span(1)], &[]).await;
        let half = half.traced_file(&[span(DAY)]).await.hot(Table::Spans, 1, &[span(DAY + 1)]);
        assert_eq!(starts(half).await, Ok(vec![1, DAY, DAY + 1]));
    }

    /// The rows of `traces` for the first date are gone, those of `spans` are not.
    #[tokio::test]
    async fn a_trace_of_dates_that_the_index_no_longer_keeps_is_found_whole() {
        let first =
            SnapshotBuilder::new().file(Table::Spans, &[span(1)], &[]).await.derived_from(Table::Spans);
        let both = first.traced_file(&[span(DAY)]).await;
        assert_eq!(starts(both).await, Ok(vec![1, DAY]));
    }

    #[tokio::test]
    async fn a_trace_that_the_index_does_not_know_is_looked_for_everywhere() {
        let other = row(DAY, [("trace_id", "another".into())]);
        let lacking =
            SnapshotBuilder::new().file(Table::Spans, &[span(DAY)], &[]).await.derived_from(Table::Spans);
        assert_eq!(starts(lacking.traced_file(&[other]).await).await, Ok(vec![DAY]));
        assert_eq!(starts(SnapshotBuilder::new()).await, Ok(vec![]));
    }

    /// One in a file that `traces` does not count, one in a file that it counts, one in the buffer, and one nowhere.
    #[tokio::test]
    async fn traces_are_known_by_the_index_and_by_files_beside_it() {
        let of = |nanos: i64, id: &str| row(nanos, [("trace_id", id.into())]);
        let beside = SnapshotBuilder::new().file(Table::Spans, &[of(1, "beside")], &[]).await;
        let both = beside.traced_file(&[of(DAY, "counted")]).await.hot(Table::Spans, 1, &[of(DAY, "hot")]);
        let engine = Engine::new(both.reader(), EngineConfig::default(), Arc::new(SystemClock));
        let query = engine.expect("no directory is named").begin("default").await.expect("a place is free");
        let found = stored(&query, &["nowhere", "hot", "counted", "beside"]).await.expect("all is there");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["beside", "counted", "hot"]);
    }

    #[test]
    fn ranges_are_joined_when_close_or_many() {
        let ranges = |pairs: &[(i64, i64)]| -> Vec<Range> {
            pairs.iter().map(|&(first, last)| Range { first, last }).collect()
        };
        let far = 2 * WINDOW_MICROS;
        assert_eq!(joined(vec![]), []);
        assert_eq!(joined(ranges(&[(5, 9), (0, 6), (1, 2)])), ranges(&[(0, 9)]));
        assert_eq!(joined(ranges(&[(0, 1), (1 + WINDOW_MICROS, 7 + WINDOW_MICROS)])).len(), 1);
        assert_eq!(joined(ranges(&[(0, 1), (far, far)])), ranges(&[(0, 1), (far, far)]));
        let many = |count: usize| ranges(&(0..count as i64).map(|i| (i * far, i * far)).collect::<Vec<_>>());
        assert_eq!(joined(many(RANGES_MAX)), many(RANGES_MAX));
        assert_eq!(joined(many(RANGES_MAX + 1)), ranges(&[(0, RANGES_MAX as i64 * far)]));
    }
}
