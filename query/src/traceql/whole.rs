//! Whole traces, many at a time.
//!
//! As for a single trace (`trace.rs`) the table `traces` is asked first when the traces were, and how many spans each has,
//! so that spans are read in few scans of which none holds too much. A trace of more than [`SPANS_MAX`] spans is read
//! alone: its earliest spans, and for a query as many that it can select.

use std::collections::{HashMap, HashSet};

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use futures::TryStreamExt;
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::budget::Holding;
use meshlake_schema::filter::Value;
use meshlake_schema::rows::{Integers, Micros, Text};
use meshlake_schema::{Filter, Table, UnixNanos, read_columns};

use super::error::of_rows;
use super::plan::Plan;
use super::rows::SpanRows;
use crate::trace::{Range, SPANS_MAX, joined, spans_of, starts_in_any, uncounted};

/// Ids that are looked up; of more, all rows of `traces` are read and held against them, as a list of ids is worked on anew for each
/// file: half of the time of `{ duration > 1s } >> { status = error }` over a day of 121 files went there. The number is a guess.
const IDS_MAX: usize = 256;

read_columns! {
    struct Parts of Table::Traces {
        trace_id: Text,
        time: Micros,
        last_start_unix_nano: Integers,
        span_count: Integers,
    }
}

/// What `traces` says of one trace.
#[derive(Debug, Clone, Default)]
struct Extent {
    ranges: Vec<Range>,
    spans: usize,
}

/// Rows of whole traces.
#[derive(Debug)]
pub struct Whole {
    pub spans: RecordBatch,
    /// Traces of which only the earliest [`SPANS_MAX`] spans are here.
    pub cut: Vec<String>,
}

/// Traces that are read together.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    pub ids: Vec<String>,
    /// When their spans started; none if that is not known of all.
    ranges: Option<Vec<Range>>,
}

/// The traces of `ids` in groups, in the same order.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn groups(query: &Query, ids: Vec<String>) -> Result<Vec<Group>, QueryError> {
    groups_of(query, ids, SPANS_MAX).await
}

/// The same with so many spans in a group, or one trace.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn groups_of(query: &Query, ids: Vec<String>, spans_max: usize) -> Result<Vec<Group>, QueryError> {
    let extents = extents(query, &ids).await?;
    Ok(packed(ids, &extents, spans_max))
}

/// When the spans of all these traces started; none if that is not known of each.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn ranges(query: &Query, ids: &[String]) -> Result<Option<Vec<Range>>, QueryError> {
    let extents = extents(query, ids).await?;
    let known = ids.iter().map(|id| extents.get(id)).collect::<Option<Vec<&Extent>>>();
    Ok(known.map(|known| known.into_iter().flat_map(|extent| extent.ranges.iter().copied()).collect()))
}

async fn extents(query: &Query, ids: &[String]) -> Result<HashMap<String, Extent>, QueryError> {
    let asked: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let filter = if ids.len() > IDS_MAX { Filter::And(Vec::new()) } else { of_traces(ids) };
    let scan = Scan { columns: Some(Parts::NAMES), filter, ..Scan::of(Table::Traces) };
    let mut rows = query.scan(&scan).await?;
    let mut extents: HashMap<String, Extent> = HashMap::new();
    while let Some(batch) = rows.try_next().await? {
        let parts = Parts::of(&batch).map_err(|error| of_rows(&error))?;
        for row in 0..batch.num_rows() {
            let times = parts.time.get(row).zip(parts.last_start_unix_nano.get(row));
            // Only a file of another writer can lack them.
            let (Some(id), Some((first, last))) = (parts.trace_id.get(row), times) else { continue };
            if !asked.contains(id) {
                continue;
            }
            let extent = extents.entry(id.to_owned()).or_default();
            extent.ranges.push(Range { first, last: UnixNanos(last).micros() });
            extent.spans += usize::try_from(parts.span_count.or_zero(row)).unwrap_or_default();
        }
    }
    Ok(extents)
}

fn of_traces(ids: &[String]) -> Filter {
    Filter::is_in("trace_id", ids.iter().cloned().map(Value::Text).collect())
}

/// Groups of at most so many spans, or of one trace.
fn packed(ids: Vec<String>, extents: &HashMap<String, Extent>, spans_max: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut spans = usize::MAX;
    for id in ids {
        let extent = extents.get(&id);
        let more = extent.map_or(1, |extent| extent.spans.max(1));
        spans = spans.saturating_add(more);
        match groups.last_mut().filter(|_| spans <= spans_max) {
            Some(group) => {
                group.ids.push(id);
                group.ranges = group
                    .ranges
                    .take()
                    .zip(extent)
                    .map(|(own, extent)| [own, extent.ranges.clone()].concat());
            }
            None => {
                spans = more;
                groups.push(Group { ids: vec![id], ranges: extent.map(|extent| extent.ranges.clone()) });
            }
        }
    }
    groups
}

/// Those columns, or all, of all rows of the traces of a group, whose memory is held by `held`.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn whole(
    query: &Query,
    group: &Group,
    columns: Option<&[&str]>,
    held: &mut Holding<'_>,
) -> Result<Whole, QueryError> {
    read(query, group, columns, None, held).await
}

/// The columns of a plan of all rows of the traces of a group. Of a trace that is cut there are the spans that the plan can select, too,
/// the earliest [`SPANS_MAX`] of those.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn whole_for(
    query: &Query,
    group: &Group,
    plan: &Plan,
    held: &mut Holding<'_>,
) -> Result<Whole, QueryError> {
    read(query, group, Some(&plan.trace_columns), Some(plan), held).await
}

async fn read(
    query: &Query,
    group: &Group,
    columns: Option<&[&str]>,
    plan: Option<&Plan>,
    held: &mut Holding<'_>,
) -> Result<Whole, QueryError> {
    let limit = Some(SPANS_MAX + 1);
    let scan = Scan { columns, filter: of_group(query, group), limit, ..Scan::of(Table::Spans) };
    let rows = query.scan(&scan).await?;
    let schema = rows.schema().clone();
    let mut spans: Vec<RecordBatch> = rows.try_collect().await?;
    let mut cut = Vec::new();
    if spans.iter().map(RecordBatch::num_rows).sum::<usize>() > SPANS_MAX {
        spans.clear();
        for id in &group.ids {
            let trace = spans_of(query, id, columns).await?;
            spans.extend(trace.spans);
            hold(query, held, &spans)?;
            if trace.is_truncated {
                if let Some(plan) = plan {
                    spans.extend(selected(query, group, plan, id).await?);
                    hold(query, held, &spans)?;
                }
                cut.push(id.clone());
            }
        }
    }
    hold(query, held, &spans)?;
    let joined = concat_batches(&schema, &spans);
    let spans = joined.map_err(|error| QueryError::Internal(format!("read traces: {error}")))?;
    Ok(Whole { spans, cut })
}

/// Passes the spans of the traces of a group.
fn of_group(query: &Query, group: &Group) -> Filter {
    let of_traces = of_traces(&group.ids);
    let Some(ranges) = &group.ranges else { return of_traces };
    of_traces.and(starts_in_any(&joined(ranges.iter().copied().chain(uncounted(query)).collect())))
}

/// The earliest spans of a trace that a plan can select; none where it can select any.
async fn selected(
    query: &Query,
    group: &Group,
    plan: &Plan,
    id: &str,
) -> Result<Vec<RecordBatch>, QueryError> {
    let Some(condition) = &plan.selected.condition else { return Ok(Vec::new()) };
    let of_trace = Filter::equals("trace_id", Value::Text(id.to_owned()));
    let filter = of_group(query, group).and(of_trace).and(plan.selected.filter.clone());
    let (columns, order) = (Some(plan.trace_columns.as_slice()), ["time_unix_nano", "span_id"]);
    let mut rows = query.scan(&Scan { columns, filter, order: &order, ..Scan::of(Table::Spans) }).await?;
    let (mut spans, mut left) = (Vec::new(), SPANS_MAX);
    while let Some(batch) = rows.try_next().await? {
        let mut passing = SpanRows::of(&batch).map_err(|error| of_rows(&error))?.passing(Some(condition));
        passing.truncate(left);
        left -= passing.len();
        let places: UInt64Array = passing.iter().map(|row| *row as u64).collect();
        let taken = take_record_batch(&batch, &places);
        spans.push(taken.map_err(|error| QueryError::Internal(format!("read traces: {error}")))?);
        if left == 0 {
            break;
        }
    }
    Ok(spans)
}

fn hold(query: &Query, held: &mut Holding<'_>, spans: &[RecordBatch]) -> Result<(), QueryError> {
    let bytes = spans.iter().map(RecordBatch::get_array_memory_size).sum();
    held.resize(bytes).map_err(|spent| query.stopped(spent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(spans: &[(&str, Option<usize>)]) -> Vec<(String, bool)> {
        let extent = |spans| Extent { ranges: vec![Range { first: 1, last: 2 }], spans };
        let known = spans.iter().filter_map(|(id, spans)| Some(((*id).to_owned(), extent((*spans)?))));
        let ids = spans.iter().map(|(id, _)| (*id).to_owned()).collect();
        let groups = packed(ids, &known.collect(), SPANS_MAX);
        groups.into_iter().map(|group| (group.ids.concat(), group.ranges.is_some())).collect()
    }

    #[test]
    fn a_group_has_few_spans_or_one_trace() {
        let half = SPANS_MAX / 2;
        let check = |spans: &[(&str, Option<usize>)], want: &[(&str, bool)]| {
            let want: Vec<_> = want.iter().map(|(ids, known)| ((*ids).to_owned(), *known)).collect();
            assert_eq!(grouped(spans), want);
        };
        check(&[], &[]);
        check(&[("a", Some(half)), ("b", Some(half))], &[("ab", true)]);
        check(&[("a", Some(half)), ("b", Some(half + 1))], &[("a", true), ("b", true)]);
        check(
            &[("a", Some(1)), ("b", Some(9 * half)), ("c", Some(1))],
            &[("a", true), ("b", true), ("c", true)],
        );
        check(&[("a", Some(1)), ("b", None), ("c", Some(1))], &[("abc", false)]);
    }
}
