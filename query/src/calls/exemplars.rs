//! Examples of calls whose traces can be read.
//!
//! Rows are folded of the whole range, because the worst call may be anywhere in it and no cell knows one call from another.
//! A trace is named only when spans of it were found: what a proxy's row calls its trace may never have been sampled.

use std::collections::HashSet;

use meshlake_calls::exemplars::{Wanted, candidates};
use meshlake_calls::list::{ListedCall, described};
use meshlake_calls::noted::Wish;
use meshlake_calls::one_call::CallSeen;
use meshlake_calls::{By, Fold, Grain, Picture, Question, Range, Source};
use meshlake_engine::Query;
use meshlake_schema::TimeRange;

use super::list::looked_up;
use super::{LoadError, fed, finished};
use crate::trace::spans_of;

/// Calls that are looked at for each example, as many have no trace or one that was not kept.
const CANDIDATES_PER_EXAMPLE: usize = 8;

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
    let Asked { range, wanted, failed_only, duration_min, most } = *asked;
    let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
    let wish = Wish::Telling { failed_only, duration_min };
    let candidates_max = most * CANDIDATES_PER_EXAMPLE;
    let folded = vec![TimeRange { from: range.from(), to: range.to() }];
    let fold = Fold::new(question).exemplifying(candidates_max, wish).within(query.budget());
    let picture = finished(query, fed(query, &folded, &[], fold, &question).await?).await?;
    let mut found = candidates(&picture, &wanted, wish);
    found.truncate(candidates_max);
    let calls = traced(query, &picture, &found, most).await?;
    let mut warnings: Vec<String> =
        picture.warnings.iter().cloned().chain(wanted.unknown(&picture)).collect();
    if calls.is_empty() && !found.is_empty() {
        let looked_at = found.len();
        warnings.push(format!("{looked_at} calls were looked at, and no trace of them is stored"));
    }
    Ok(Exemplars { calls, warnings })
}

/// Those of the calls whose trace is stored, in their order.
async fn traced(
    query: &Query,
    picture: &Picture,
    found: &[CallSeen],
    most: usize,
) -> Result<Vec<ListedCall>, LoadError> {
    let lookups = looked_up(query, found).await?;
    let (mut calls, mut seen) = (Vec::new(), HashSet::new());
    for call in described(picture, found, &lookups) {
        let Some(trace_id) = call.trace_id.clone().filter(|id| !seen.contains(id)) else { continue };
        let trace = spans_of(query, &trace_id, Some(&["span_id"])).await?;
        seen.insert(trace_id);
        if trace.spans.iter().any(|spans| spans.num_rows() > 0) {
            calls.push(call);
        }
        if calls.len() == most {
            break;
        }
    }
    Ok(calls)
}
