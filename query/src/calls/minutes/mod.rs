//! Calls of minutes that are over and not settled yet, counted once and kept for the questions that come after.
//!
//! ```text
//! settled          | over, kept by the last record near | running: counted as their spans come, or folded each time
//! ```
//! A minute is settled some minutes after its end, and until then each question folded its rows anew: at 50,000 spans a second
//! those of fifteen million. But rows have record numbers: as long as the last record that brought one near a minute is the same,
//! so are the calls of the minute (decision 008). So what a fold counts of it is kept under that number as a digest, as what
//! cells of files say is, and is added to answers the same way.
//!
//! A minute that changed since the last question is folded with the newest ones, and counted by itself only once a question finds
//! it as the one before did: where late rows trickle in, nothing is counted that is thrown away. Limits: [`families::FAMILIES_MAX`]
//! groupings, each with [`families::MINUTES_MAX`] minutes and [`families::FAMILY_BYTES_MAX`]. What is told apart by callers, or by what no cell
//! tells, is folded each time, and so is what has too many cells for one answer.

mod families;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use meshlake_calls::minutes::{MINUTE, minute_of};
use meshlake_calls::{Digest, Fold, FoldError, Lines, Question, Range, Source};
use meshlake_engine::{Query, QueryError};
use meshlake_schema::{SETTLE_MARGIN_MINUTES, TimeRange, UnixNanos};

use self::families::{Kept, Told, Version};
use super::digests::Found;
use super::feed::{SPANS_HELD, aside, counted, feed, spans_in_files};
use super::{LoadError, reading};

/// How long after the end of the minutes near one its rows may still be on their way without being late. SDKs send what ended every
/// 5 s (OTEL_BSP_SCHEDULE_DELAY). Guess, not measured; a minute that is counted too early is counted again.
const GRACE: Duration = Duration::from_secs(6);

/// Minutes of one fold, by both ends: in cells of ten seconds as many buckets as a range may have.
const RUN_MINUTES_MAX: i64 = 120;

/// What is kept of the minutes of a question.
#[derive(Debug, Clone)]
pub(super) struct Minutes {
    pub found: Found,
    /// Of these minutes, ascending and apart.
    pub times: Vec<TimeRange>,
    /// When the earliest row starts that told of them.
    pub first_row: Option<UnixNanos>,
    /// What is left to be folded.
    pub folded: Vec<TimeRange>,
}

/// What is kept of the times that are to be `folded` for a question, and what was counted for it; none where nothing is.
///
/// # Errors
/// As [`super::load`]. Cancel: what was counted is kept.
pub(super) async fn found(
    query: &Query,
    question: &Question,
    folded: &[TimeRange],
) -> Result<Option<Minutes>, LoadError> {
    let Some(width) = width(question) else { return Ok(None) };
    let Some(end) = folded.last().map(|last| last.to) else { return Ok(None) };
    let whole = whole_minutes(folded, query.began());
    let ends = whole.first().zip(whole.last());
    let records = ends.map_or_else(BTreeMap::new, |(first, last)| {
        query.last_records(times(first - SETTLE_MARGIN_MINUTES, last + SETTLE_MARGIN_MINUTES))
    });
    let key = format!("{} {} {:?} {}", query.tenant(), question.by.name(), question.grain, width.as_secs());
    let kept = query.kept::<Kept>();
    let is_running = end > start(first_running(1, query.began()));
    let may_run = is_running && kept.may_run(&key, query.began());
    let family = kept.family(key);
    let mut family = family.lock().await;
    let running = if may_run { family.running(query, question, width).await? } else { None };
    let margin = family.margin;
    let over = whole.iter().copied().filter(|minute| is_over(*minute, margin, query.began()));
    let missing: Vec<i64> =
        over.filter(|minute| family.looks_for(*minute, version(&records, *minute))).collect();
    for run in runs(query, &missing) {
        let counted = counted_of(query, question, width, &run, &family.lines).await?;
        family.keep(&run, counted, |minute| version(&records, minute));
    }
    let mut first_row: Option<UnixNanos> = None;
    let found = whole.iter().filter_map(|minute| {
        let (digest, told) = family.counted(*minute, &version(&records, *minute))?;
        first_row = first_row.into_iter().chain(told.first_row).min();
        Some((*minute, digest))
    });
    let (minutes, mut digests): (Vec<i64>, Vec<Arc<Digest>>) = found.unzip();
    let mut times = joined(&minutes);
    if let Some(running) = running {
        let part = TimeRange { from: start(running.first_minute), to: running.end };
        let left = without(folded, &times).into_iter();
        let runs: Vec<TimeRange> = left.filter_map(|left| met(left, part)).collect();
        digests.push(Arc::new(running.digest.within(&runs)));
        first_row = first_row.into_iter().chain(running.first_row).min();
        times = reading::joined(times.into_iter().chain(runs).collect());
    }
    let lines = Arc::clone(&family.lines);
    family.make_room();
    if times.is_empty() {
        return Ok(None);
    }
    let folded = without(folded, &times);
    Ok(Some(Minutes { found: Found::of(lines, digests), times, first_row, folded }))
}

/// How wide cells may be that lie in one bucket of the question each; none where no cells tell what is asked for.
fn width(question: &Question) -> Option<Duration> {
    let minute = Duration::from_secs(60);
    let Question { range, grain, .. } = question;
    let is_in_bucket = range.step().is_none_or(|step| {
        range.from().0.rem_euclid(MINUTE) == 0 && step.as_nanos().is_multiple_of(minute.as_nanos())
    });
    let width = if is_in_bucket { minute } else { meshlake_calls::range::GRID };
    reading::is_told_by_cells(*grain).then_some(width).filter(|_| !grain.tells_callers())
}

/// The whole minutes in these times that are over.
fn whole_minutes(folded: &[TimeRange], now: UnixNanos) -> Vec<i64> {
    let of_part = |part: &TimeRange| {
        let first = minute_of(part.from.0.saturating_add(MINUTE - 1));
        first..minute_of(part.to.0.min(now.0))
    };
    folded.iter().flat_map(of_part).collect()
}

/// Whether the minutes that tell of one are over, so that rows near it come no more but late.
fn is_over(minute: i64, margin: i64, now: UnixNanos) -> bool {
    UnixNanos((minute + 1 + margin).saturating_mul(MINUTE)).plus(GRACE) <= now
}

/// The minutes from one to another, both included.
fn times(first: i64, last: i64) -> TimeRange {
    TimeRange { from: start(first), to: start(last.saturating_add(1)) }
}

fn joined(minutes: &[i64]) -> Vec<TimeRange> {
    reading::joined(minutes.iter().map(|minute| times(*minute, *minute)).collect())
}

/// What of `all` is in none of `times`; both are ascending and apart.
fn without(all: &[TimeRange], times: &[TimeRange]) -> Vec<TimeRange> {
    let within = |part: TimeRange| times.iter().filter(move |times| met(**times, part).is_some());
    all.iter().flat_map(|part| reading::told_and_open(*part, within(*part).copied().collect()).0).collect()
}

/// What two ranges share.
fn met(one: TimeRange, other: TimeRange) -> Option<TimeRange> {
    let both = TimeRange { from: one.from.max(other.from), to: one.to.min(other.to) };
    Some(both).filter(|both| both.from < both.to)
}

fn start(minute: i64) -> UnixNanos {
    UnixNanos(minute.saturating_mul(MINUTE))
}

/// The first minute that is not over.
fn first_running(margin: i64, now: UnixNanos) -> i64 {
    minute_of(now.minus(GRACE).0) - margin
}

fn version(records: &BTreeMap<i64, u64>, minute: i64) -> Version {
    let last =
        |margin: i64| records.range(minute - margin..=minute + margin).map(|(_, record)| *record).max();
    [1, 2].map(|margin| last(margin).unwrap_or_default())
}

/// Which minutes are counted together: as many as are held at once, because each fold reads those beside its own once more.
fn runs(query: &Query, minutes: &[i64]) -> Vec<Vec<i64>> {
    let mut runs: Vec<Vec<i64>> = Vec::new();
    let mut spans = 0;
    for minute in minutes {
        let own = spans_in_files(query, &[times(*minute, *minute)]);
        match runs.last_mut() {
            Some(run) if spans + own <= SPANS_HELD && minute - run[0] < RUN_MINUTES_MAX => run.push(*minute),
            _ => {
                spans = 0;
                runs.push(vec![*minute]);
            }
        }
        spans += own;
    }
    runs
}

/// The calls of some minutes, by minute, and what told of them; none where they cannot be kept.
async fn counted_of(
    query: &Query,
    question: &Question,
    width: Duration,
    minutes: &[i64],
    lines: &Arc<RwLock<Lines>>,
) -> Result<Option<(Told, Vec<(i64, Digest)>)>, LoadError> {
    let folded = joined(minutes);
    let (Some(first), Some(last)) = (folded.first(), folded.last()) else { return Ok(None) };
    let Ok(range) = Range::new(first.from, last.to, Some(width)) else { return Ok(None) };
    let question = Question { range, source: Source::Auto, ..*question };
    let fold = Fold::new(question).within(query.budget()).on_threads(query.parallelism() + 1);
    let mut fold = fold.fold_only(folded.clone());
    loop {
        fold = feed(query, &question, &folded, fold).await?;
        let (given, more) = counted(fold).await?;
        fold = given;
        match more {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return none_if_too_much(LoadError::of(error, query)),
        }
    }
    let told = Told { margin: fold.margin_minutes(), first_row: fold.first_row() };
    let lines = Arc::clone(lines);
    let digested =
        aside(move || fold.digest_of_rows(&mut lines.write().unwrap_or_else(PoisonError::into_inner)));
    match digested.await? {
        Ok(digest) => Ok(digest.map(|digest| (told, digest.by_minute()))),
        Err(error) => none_if_too_much(LoadError::of(error, query)),
    }
}

/// What cannot be counted as a whole may still be as far as it is asked for.
fn none_if_too_much<T>(error: LoadError) -> Result<Option<T>, LoadError> {
    match error {
        LoadError::TooManyCells(FoldError::TooManyCells) | LoadError::Query(QueryError::Memory(_)) => {
            Ok(None)
        }
        error => Err(error),
    }
}
