//! Traces with spans that a query selects: newest first, complete within the limit, the same twice.
//!
//! Order is by the start of a trace, then by its id. Slices of time are looked at from the newest, and in each the candidates
//! from the newest: a trace starts no later than any of its spans, so once as many traces as asked for are known to start
//! later than all that is left, nothing that is left can be among them.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use meshlake_engine::{Query, QueryError};
use meshlake_schema::budget::Holding;
use meshlake_schema::{Budget, Table, TimeRange, UnixNanos};
use meshlake_traceql::tree::{self, Body};

use super::aside::aside;
use super::candidates::{Candidate, candidates};
use super::error::Error;
use super::found::{FoundTrace, found};
use super::narrowed::narrowed;
use super::plan::Plan;
use super::slices::slices;
use super::whole::{groups, whole_for};

/// Candidates that are read together, at first and at most: few suffice where most match, and where few do, each scan
/// costs more than what it reads.
const TOGETHER_MIN: usize = 32;
const TOGETHER_MAX: usize = 1_024;

/// Bytes of an id that was seen. Guess, not measured.
const SEEN_BYTES: usize = 96;

const NANOS_PER_MICRO: i64 = 1_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// Of spans.
    pub query: tree::Query,
    /// A trace is found if a span that the query selects starts in it. Conditions are about the whole trace.
    pub range: TimeRange,
    pub traces_max: usize,
    /// Told of each spanset, the first by start.
    pub spans_max: usize,
    /// How long a trace lasts, nanoseconds.
    pub durations: RangeInclusive<i64>,
}

/// All durations.
pub const ANY_DURATION: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Newest first by start, then by id.
    pub traces: Vec<FoundTrace>,
    /// There are no others in the range.
    pub is_complete: bool,
    /// Traces and spans that were looked at whole.
    pub inspected_traces: usize,
    pub inspected_spans: usize,
    pub warnings: Vec<String>,
}

/// Answers a search.
///
/// # Errors
/// [`Error::OtherKind`] for a query of series; those of scans.
pub async fn search(query: &Query, asked: &Search) -> Result<Found, Error> {
    if matches!(asked.query.body, Body::Series(_)) {
        return Err(Error::OtherKind("a search finds traces, and this query makes series"));
    }
    let plan = Arc::new(Plan::new(asked.query.clone(), asked.range));
    let budget = query.budget();
    let mut searching = Searching {
        query,
        plan,
        budget: &budget,
        seen: HashSet::new(),
        held: Holding::new(budget.as_ref()),
        held_found: Holding::new(budget.as_ref()),
        found: Found { is_complete: true, ..Found::default() },
        asked,
    };
    let mut waiting = slices(asked.range, files(query), query.began());
    waiting.reverse();
    while let Some(slice) = waiting.pop() {
        if searching.is_settled(slice.to) {
            searching.found.is_complete = false;
            break;
        }
        match candidates(query, &searching.plan, slice, &searching.seen).await? {
            Some(candidates) => {
                let candidates = narrowed(query, &searching.plan, candidates).await?;
                searching.look_at(candidates).await?;
            }
            None => waiting.extend(quartered(slice)?),
        }
    }
    Ok(searching.found)
}

/// The time that files of spans have rows of.
pub(super) fn files(query: &Query) -> Option<TimeRange> {
    let files = query.files(Table::Spans);
    let from = files.iter().map(|file| file.time_min_micros).min()?;
    let to = files.iter().map(|file| file.time_max_micros).max()?;
    Some(TimeRange { from: UnixNanos::from_micros(from), to: UnixNanos::from_micros(to.saturating_add(1)) })
}

/// A slice that has too many candidates, as an older part and its newest quarter.
///
/// # Errors
/// When it is as short as times are told apart.
pub(super) fn quartered(slice: TimeRange) -> Result<[TimeRange; 2], QueryError> {
    let length = slice.to.0.saturating_sub(slice.from.0);
    if length < 4 * NANOS_PER_MICRO {
        let text = "too many traces have spans that start in the same microsecond: ask for fewer of them";
        return Err(QueryError::Refused(text.to_owned()));
    }
    let cut = UnixNanos((slice.to.0 - length / 4).div_euclid(NANOS_PER_MICRO) * NANOS_PER_MICRO);
    Ok([TimeRange { from: slice.from, to: cut }, TimeRange { from: cut, to: slice.to }])
}

struct Searching<'a> {
    query: &'a Query,
    plan: Arc<Plan>,
    budget: &'a Arc<dyn Budget>,
    seen: HashSet<String>,
    held: Holding<'a>,
    held_found: Holding<'a>,
    found: Found,
    asked: &'a Search,
}

impl Searching<'_> {
    /// Whether traces that start before `nanos` cannot be among those that are asked for.
    fn is_settled(&self, before: UnixNanos) -> bool {
        let last = self.asked.traces_max.checked_sub(1);
        last.is_none_or(|last| self.found.traces.get(last).is_some_and(|trace| trace.start_nano >= before.0))
    }

    async fn look_at(&mut self, candidates: Vec<Candidate>) -> Result<(), Error> {
        let mut together = TOGETHER_MIN.max(2 * self.asked.traces_max).min(TOGETHER_MAX);
        let mut left = candidates.into_iter().peekable();
        while let Some(next) = left.peek() {
            // A trace may start with its newest span.
            if self.is_settled(UnixNanos(next.newest.saturating_add(1))) {
                self.found.is_complete = false;
                return Ok(());
            }
            let ids: Vec<String> = left.by_ref().take(together).map(|next| next.trace_id).collect();
            self.seen.extend(ids.iter().cloned());
            let bytes = self.seen.len() * SEEN_BYTES;
            self.held.resize(bytes).map_err(|spent| self.query.stopped(spent))?;
            for group in groups(self.query, ids).await? {
                let mut held = Holding::new(self.budget.as_ref());
                let whole = whole_for(self.query, &group, &self.plan, &mut held).await?;
                self.found.is_complete &= whole.cut.is_empty();
                self.found.warnings.extend(whole.cut.iter().map(|id| cut(id)));
                self.found.inspected_traces += group.ids.len();
                self.found.inspected_spans += whole.spans.num_rows();
                let (plan, budget, spans_max) =
                    (Arc::clone(&self.plan), Arc::clone(self.budget), self.asked.spans_max);
                let traces = aside(move || found(&whole.spans, &plan, spans_max, budget.as_ref())).await?;
                self.keep(traces.map_err(|error| error.into_error(self.query))?)?;
            }
            together = (2 * together).min(TOGETHER_MAX);
        }
        Ok(())
    }

    fn keep(&mut self, traces: Vec<FoundTrace>) -> Result<(), QueryError> {
        let durations = &self.asked.durations;
        let traces = traces.into_iter().filter(|trace| durations.contains(&trace.duration_nano));
        for trace in traces {
            if trace.spansets_left > 0 {
                self.found.warnings.push(format!(
                    "trace {} has {} spansets more than are told",
                    trace.trace_id, trace.spansets_left
                ));
            }
            self.found.traces.push(trace);
        }
        self.found.traces.sort_by(newest_first);
        if self.found.traces.len() > self.asked.traces_max {
            self.found.traces.truncate(self.asked.traces_max);
            self.found.is_complete = false;
        }
        let bytes = self.found.traces.iter().map(FoundTrace::bytes).sum();
        self.held_found.resize(bytes).map_err(|spent| self.query.stopped(spent))
    }
}

fn newest_first(a: &FoundTrace, b: &FoundTrace) -> Ordering {
    b.start_nano.cmp(&a.start_nano).then_with(|| a.trace_id.cmp(&b.trace_id))
}

/// What is said of a trace that is too large to be looked at whole.
pub(super) fn cut(trace_id: &str) -> String {
    let most = crate::trace::SPANS_MAX;
    format!(
        "trace {trace_id} has more than {most} spans: only the earliest, and as many that the query can select, were looked at"
    )
}
