//! Examples of calls whose traces can be read.
//!
//! No cell knows one call from another, and rows of a day are too many: cells tell where most failed and where the longest calls
//! were, and rows are folded of those times only, of more of them until there are enough. So what failed comes before what was slow,
//! and all of it is found where it is little; of much of it, examples are of the times that have most.
//! A trace is named only when spans of it were found: what a proxy's row calls its trace may never have been sampled.

use std::collections::HashSet;
use std::time::Duration;

use meshlake_calls::exemplars::{Wanted, candidates, where_to_look};
use meshlake_calls::list::{ListedCall, described};
use meshlake_calls::noted::Wish;
use meshlake_calls::one_call::CallSeen;
use meshlake_calls::{By, Fold, Frame, GoldenBy, Grain, Picture, Question, Range, Source};
use meshlake_engine::Query;
use meshlake_schema::{TimeRange, UnixNanos};

use super::list::looked_up;
use super::reading::{Reading, joined};
use super::{LoadError, fed, finished, load_from};
use crate::trace::stored;

/// Calls that are looked at for each example, as many have no trace or one that was not kept.
const CANDIDATES_PER_EXAMPLE: usize = 8;

/// Widths of the times that are looked through, of which the first is taken that a picture has room for: cells tell these apart, and
/// less than a minute is not worth a fold, which reads a minute on either side.
const STEPS_SECONDS: [u64; 5] = [60, 600, 3_600, 21_600, 86_400];

/// Times that are looked through first, and how many times as many when those had too little. Guess, not measured.
const TIMES_FIRST: usize = 3;
const TIMES_MORE: usize = 4;

/// Traces that are looked for at once: as many as are found by their files' statistics and Bloom filters (DataFusion's rewrite of a
/// list into comparisons ends at 20).
const TRACES_AT_ONCE: usize = 16;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub range: Range,
    pub wanted: Wanted<'a>,
    pub failed_only: bool,
    /// The least duration, nanoseconds.
    pub duration_min: i64,
    /// At most so many.
    pub most: usize,
}

/// Calls with a trace, failed ones first, then slow ones; each trace once.
#[derive(Debug, Clone)]
pub struct Exemplars {
    pub calls: Vec<ListedCall>,
    pub warnings: Vec<String>,
}

/// The examples.
///
/// # Errors
/// As [`super::load`].
pub async fn exemplars(query: &Query, asked: &Asked<'_>) -> Result<Exemplars, LoadError> {
    let Look { times, unknown } = look(query, asked).await?;
    let mut count = TIMES_FIRST.min(times.len());
    loop {
        let is_all = count == times.len();
        let found = within(query, asked, &times[..count], unknown.as_deref()).await?;
        if is_all || found.calls.len() == asked.most {
            return Ok(found);
        }
        count = (count * TIMES_MORE).min(times.len());
    }
}

/// Where examples are looked for.
struct Look {
    /// Parts of the range, in this order.
    times: Vec<TimeRange>,
    /// What to say of names that nothing in the range goes by; none where only rows tell.
    unknown: Option<Vec<String>>,
}

/// Where to look; in all of the range where it is short or cells are too many to tell.
async fn look(query: &Query, asked: &Asked<'_>) -> Result<Look, LoadError> {
    let Asked { range, wanted, .. } = *asked;
    let whole = TimeRange { from: range.from(), to: range.to() };
    let everywhere = Look { times: vec![whole], unknown: None };
    let Some(stepped) = stepped(whole) else { return Ok(everywhere) };
    let (by, frame) = match wanted.edge {
        Some((_, to)) => (GoldenBy::Edge, Frame::edges(Some(to))),
        None => (GoldenBy::Service, Frame::nodes(wanted.service)),
    };
    let picture = match load_from(query, by.question(stepped, Source::Auto), frame).await {
        Ok(picture) => picture,
        Err(LoadError::TooManyCells(_)) => return Ok(everywhere),
        Err(error) => return Err(error),
    };
    let times = where_to_look(&picture, &wanted, asked.wish());
    let within = |part: &TimeRange| TimeRange { from: part.from.max(whole.from), to: part.to.min(whole.to) };
    let times = times.iter().map(within).filter(|part| part.from < part.to).collect();
    Ok(Look { times, unknown: Some(wanted.unknown(&picture)) })
}

/// The range in steps that cells tell apart, from the start of one; none where it is too short to be worth it.
fn stepped(range: TimeRange) -> Option<Range> {
    let steps = STEPS_SECONDS.into_iter().map(Duration::from_secs);
    let mut stepped = steps.filter_map(|step| {
        let width = step.as_nanos() as i64;
        let from = UnixNanos(range.from.0.div_euclid(width) * width);
        Range::new(from, range.to, Some(step)).ok()
    });
    stepped.next().filter(|stepped| stepped.bucket_starts().count() > TIMES_FIRST)
}

/// Examples of calls that began at these times.
async fn within(
    query: &Query,
    asked: &Asked<'_>,
    times: &[TimeRange],
    unknown: Option<&[String]>,
) -> Result<Exemplars, LoadError> {
    let Asked { range, wanted, most, .. } = *asked;
    let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
    let candidates_max = most * CANDIDATES_PER_EXAMPLE;
    let folded = joined(times.to_vec());
    // Cells of all other times tell what everything is called, as in every answer about the range.
    let reading = Reading::of(&question, &[], |table, part| {
        joined(
            query
                .open(table, part)
                .into_iter()
                .chain(folded.iter().map(|times| meet(*times, part)))
                .collect(),
        )
    });
    let fold = Fold::new(question).exemplifying(candidates_max, asked.wish()).within(query.budget());
    let picture = finished(query, fed(query, &folded, &reading.cells, fold, &question).await?).await?;
    let mut found = candidates(&picture, &wanted, asked.wish());
    found.truncate(candidates_max);
    let calls = traced(query, &picture, &found, most).await?;
    let mut warnings = picture.warnings.clone();
    warnings.extend(unknown.map_or_else(|| wanted.unknown(&picture), <[String]>::to_vec));
    if calls.is_empty() && !found.is_empty() {
        let looked_at = found.len();
        warnings.push(format!("{looked_at} calls were looked at, and no trace of them is stored"));
    }
    Ok(Exemplars { calls, warnings })
}

fn meet(range: TimeRange, part: TimeRange) -> TimeRange {
    TimeRange { from: range.from.max(part.from), to: range.to.min(part.to) }
}

impl Asked<'_> {
    fn wish(&self) -> Wish {
        Wish::Telling { failed_only: self.failed_only, duration_min: self.duration_min }
    }
}

/// Those of the calls whose trace is stored, in their order.
async fn traced(
    query: &Query,
    picture: &Picture,
    found: &[CallSeen],
    most: usize,
) -> Result<Vec<ListedCall>, LoadError> {
    let lookups = looked_up(query, found).await?;
    let mut seen = HashSet::new();
    let mut traced = described(picture, found, &lookups);
    traced.retain(|call| call.trace_id.as_ref().is_some_and(|id| seen.insert(id.clone())));
    let mut calls = Vec::new();
    for some in traced.chunks(TRACES_AT_ONCE) {
        let ids: Vec<&str> = some.iter().filter_map(|call| call.trace_id.as_deref()).collect();
        let stored = stored(query, &ids).await?;
        let is_stored = |call: &&ListedCall| call.trace_id.as_ref().is_some_and(|id| stored.contains(id));
        calls.extend(some.iter().filter(is_stored).cloned());
        if calls.len() >= most {
            break;
        }
    }
    calls.truncate(most);
    Ok(calls)
}
