//! Calls one by one, the newest of a range.
//!
//! Cells tell which evidence counts and what everything is called, as in every answer about the range; rows are folded only
//! of its newest part, and of a longer one where that has too few calls. Then the rows of the calls that are listed are
//! read once more, for what they say beyond numbers.

use std::time::Duration;

use futures::TryStreamExt;
use meshlake_calls::list::{ListedCall, Lookup, described, newest};
use meshlake_calls::one_call::CallSeen;
use meshlake_calls::{By, Evidence, Fold, Frame, Grain, Picture, Question, Range, Source, golden};
use meshlake_engine::{Query, Scan};
use meshlake_schema::{TimeRange, UnixNanos};

use super::reading::{Reading, joined};
use super::{LoadError, fed, finished};

/// How much of a range is folded first: as long as the widest cell, and a few seconds' work where much is going on.
const NEWEST: Duration = Duration::from_secs(600);

/// How much longer the part is that is folded when one had too few calls. All of them together are a third longer than
/// the last.
const LONGER: u32 = 4;

/// Which calls are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub range: Range,
    pub source: Source,
    /// Calls that begin or end at this node, by id or by name.
    pub service: Option<&'a str>,
    /// At most so many.
    pub most: usize,
}

/// Calls, newest first.
#[derive(Debug, Clone)]
pub struct CallList {
    pub calls: Vec<ListedCall>,
    pub warnings: Vec<String>,
}

/// The newest calls of a range, as golden metrics of it count them. Calls whose rows are past their retention are not
/// listed, though cells still count them.
///
/// # Errors
/// As [`super::load`].
pub async fn list(query: &Query, asked: &Asked<'_>) -> Result<CallList, LoadError> {
    let Asked { range, source, service, most } = *asked;
    let question = Question { range, by: By::Service, grain: Grain::Node, source };
    let mut length = NEWEST;
    let (picture, found) = loop {
        let from = floored(range.to().minus(length)).max(range.from());
        let folded = TimeRange { from, to: range.to() };
        let reading = Reading::of(&question, &[], |table, part| {
            joined(query.open(table, part).into_iter().chain([within(folded, part)]).collect())
        });
        // One more than asked for says that there are more.
        let fold =
            Fold::new(question).framed(Frame::whole_of(service)).listing(most + 1).within(query.budget());
        let picture =
            finished(query, fed(query, &reading.folded, &reading.cells, fold, &question).await?).await?;
        let found = newest(&picture, service, most + 1);
        let is_enough = found.get(most).is_some_and(|call| call.noted.start >= from.0);
        if is_enough || from == range.from() {
            break (picture, found);
        }
        length *= LONGER;
    };
    let is_cut = found.len() > most;
    let found = &found[..found.len().min(most)];
    let lookups = looked_up(query, found).await?;
    Ok(CallList { calls: described(&picture, found, &lookups), warnings: warnings(&picture, asked, is_cut) })
}

/// What the rows of these calls say beyond numbers.
pub(super) async fn looked_up(query: &Query, found: &[CallSeen]) -> Result<[Lookup; 2], LoadError> {
    let mut lookups = [Evidence::Requests, Evidence::Spans].map(|evidence| Lookup::of(found, evidence));
    for lookup in &mut lookups {
        look_up(query, lookup).await?;
    }
    Ok(lookups)
}

/// Cells lie on one side of where folding begins, whatever their width.
fn floored(time: UnixNanos) -> UnixNanos {
    let width = NEWEST.as_nanos() as i64;
    UnixNanos(time.0.div_euclid(width) * width)
}

fn within(range: TimeRange, part: TimeRange) -> TimeRange {
    TimeRange { from: range.from.max(part.from), to: range.to.min(part.to) }
}

async fn look_up(query: &Query, lookup: &mut Lookup) -> Result<(), LoadError> {
    let Some(range) = lookup.times() else { return Ok(()) };
    let columns = lookup.columns();
    let scan = Scan { columns: Some(&columns), range, ..Scan::of(lookup.table()) };
    let mut rows = query.scan(&scan).await?;
    while let Some(batch) = rows.try_next().await? {
        lookup.add(&batch).map_err(|error| LoadError::bug(&error))?;
    }
    Ok(())
}

fn warnings(picture: &Picture, asked: &Asked<'_>, is_cut: bool) -> Vec<String> {
    let mut warnings = picture.warnings.clone();
    warnings.extend(golden::unknown_service(picture, asked.service));
    if is_cut {
        warnings.push(format!("there are more calls: these are the newest {}", asked.most));
    }
    warnings
}
