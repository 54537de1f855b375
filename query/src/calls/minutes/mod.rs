//! Calls of minutes that are over and not settled yet, counted once and kept for the questions that come after.
//!
//! ```text
//! settled          | over, kept by the last record near | still changing, folded each time
//! ```
//! A minute is settled some minutes after its end, and until then each question folded its rows anew: at 50,000 spans a second
//! those of fifteen million. But rows have record numbers: as long as the last record that brought one near a minute is the same,
//! so are the calls of the minute (decision 008). So what a fold counts of it is kept under that number as a digest, as what
//! cells of files say is, and is added to answers the same way.
//!
//! A minute that changed since the last question is folded with the newest ones, and counted by itself only once a question finds
//! it as the one before did: where late rows trickle in, nothing is counted that is thrown away. Limits: [`FAMILIES_MAX`]
//! groupings, each with [`MINUTES_MAX`] minutes and [`FAMILY_BYTES_MAX`]. What is told apart by callers, or by what no cell
//! tells, is folded each time, and so is what has too many cells for one answer.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use meshlake_calls::minutes::{MINUTE, minute_of};
use meshlake_calls::settled::lines::LINES_MAX;
use meshlake_calls::{Digest, Fold, FoldError, Lines, Question, Range, Source};
use meshlake_engine::{Query, QueryError};
use meshlake_schema::{SETTLE_MARGIN_MINUTES, TimeRange, UnixNanos};
use tokio::sync::Mutex as Turn;

use super::digests::Found;
use super::feed::{SPANS_HELD, aside, counted, feed, spans_in_files};
use super::{LoadError, reading};

/// Groupings of which minutes are kept: what the pages of one mesh ask for.
const FAMILIES_MAX: usize = 8;

/// Minutes that are kept of one. Five or six are over and not settled where all goes well; more where late rows opened some.
const MINUTES_MAX: usize = 120;

/// Bytes that they take: at 1,500 edges told at both ends some 800 KB a minute, by estimate.
const FAMILY_BYTES_MAX: usize = 16 << 20;

/// How long after the end of the minutes near one its rows may still be on their way without being late. SDKs send what ended every
/// 5 s (OTEL_BSP_SCHEDULE_DELAY). Guess, not measured; a minute that is counted too early is counted again.
const GRACE: Duration = Duration::from_secs(6);

/// Minutes of one fold, by both ends: in cells of ten seconds as many buckets as a range may have.
const RUN_MINUTES_MAX: i64 = 120;

/// What is kept, of all tenants.
#[derive(Debug, Default)]
pub(super) struct Kept {
    families: Mutex<Families>,
}

#[derive(Debug, Default)]
struct Families {
    by_key: HashMap<String, (u64, Arc<Turn<Family>>)>,
    uses: u64,
}

/// Minutes of one tenant that tell the same apart.
#[derive(Debug)]
struct Family {
    lines: Arc<RwLock<Lines>>,
    minutes: BTreeMap<i64, Known>,
    /// How many minutes around one told of it, the last time.
    margin: i64,
}

impl Default for Family {
    fn default() -> Self {
        Family { lines: Arc::default(), minutes: BTreeMap::new(), margin: 1 }
    }
}

/// The last records near a minute: in the minutes beside it, and in two of them on both sides.
type Version = [u64; SETTLE_MARGIN_MINUTES as usize];

#[derive(Debug)]
struct Known {
    version: Version,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A question saw it so.
    Seen,
    /// It has too many cells.
    TooMuch,
    /// What it counts, told by the rows of so many minutes around.
    Counted(Arc<Digest>, Told),
}

/// What is known of the rows that told of minutes which were counted together.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// How many minutes around told of them.
    margin: i64,
    /// When the earliest of them starts.
    first_row: Option<UnixNanos>,
}

impl Known {
    /// Whether it is as it was.
    fn is_of(&self, version: &Version) -> bool {
        let margin = match self.what {
            What::Counted(_, told) => told.margin,
            What::Seen | What::TooMuch => SETTLE_MARGIN_MINUTES,
        };
        let at = (margin - 1) as usize;
        self.version[at] == version[at]
    }
}

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
    let whole = whole_minutes(folded, query.began());
    let (Some(first), Some(last)) = (whole.first().copied(), whole.last().copied()) else { return Ok(None) };
    let records = query.last_records(times(first - SETTLE_MARGIN_MINUTES, last + SETTLE_MARGIN_MINUTES));
    let key = format!("{} {} {:?} {}", query.tenant(), question.by.name(), question.grain, width.as_secs());
    let family = query.kept::<Kept>().family(key);
    let mut family = family.lock().await;
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
    let (minutes, digests): (Vec<i64>, Vec<Arc<Digest>>) = found.unzip();
    let lines = Arc::clone(&family.lines);
    family.make_room();
    if minutes.is_empty() {
        return Ok(None);
    }
    let times = joined(&minutes);
    let folded = folded.iter().flat_map(|part| reading::told_and_open(*part, within(&times, *part)).0);
    let folded = folded.collect();
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
    let start = |minute: i64| UnixNanos(minute.saturating_mul(MINUTE));
    TimeRange { from: start(first), to: start(last.saturating_add(1)) }
}

fn joined(minutes: &[i64]) -> Vec<TimeRange> {
    reading::joined(minutes.iter().map(|minute| times(*minute, *minute)).collect())
}

fn within(all: &[TimeRange], part: TimeRange) -> Vec<TimeRange> {
    all.iter().filter(|times| times.from < part.to && part.from < times.to).copied().collect()
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

impl Kept {
    fn family(&self, key: String) -> Arc<Turn<Family>> {
        // Each change is one insertion or removal.
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.uses += 1;
        let uses = families.uses;
        let (used, family) = families.by_key.entry(key).or_default();
        *used = uses;
        let family = Arc::clone(family);
        if families.by_key.len() > FAMILIES_MAX {
            let by_use = families.by_key.iter().map(|(key, (used, _))| (*used, key.clone()));
            if let Some((_, oldest)) = by_use.min() {
                families.by_key.remove(&oldest);
            }
        }
        family
    }
}

impl Family {
    /// Whether a minute is to be counted. What changed since it was looked for last may change again, and is only remembered.
    fn looks_for(&mut self, minute: i64, version: Version) -> bool {
        match self.minutes.get_mut(&minute) {
            Some(known) if known.is_of(&version) => matches!(known.what, What::Seen),
            Some(known) => {
                *known = Known { version, what: What::Seen };
                false
            }
            None => true,
        }
    }

    fn counted(&self, minute: i64, version: &Version) -> Option<(Arc<Digest>, Told)> {
        let known = self.minutes.get(&minute).filter(|known| known.is_of(version))?;
        match &known.what {
            What::Counted(digest, told) => Some((Arc::clone(digest), *told)),
            What::Seen | What::TooMuch => None,
        }
    }

    /// Keeps what was counted of a run of minutes; those without a cell have an empty digest.
    fn keep(
        &mut self,
        run: &[i64],
        counted: Option<(Told, Vec<(i64, Digest)>)>,
        version: impl Fn(i64) -> Version,
    ) {
        let Some((told, digests)) = counted else {
            let too_much = |minute: &i64| (*minute, Known { version: version(*minute), what: What::TooMuch });
            self.minutes.extend(run.iter().map(too_much));
            return;
        };
        self.margin = told.margin;
        let mut digests: HashMap<i64, Digest> = digests.into_iter().collect();
        for minute in run {
            let digest = Arc::new(digests.remove(minute).unwrap_or_default());
            let what = What::Counted(digest, told);
            self.minutes.insert(*minute, Known { version: version(*minute), what });
        }
    }

    /// Lets go of the oldest minutes where there are too many, and of all where their names are.
    fn make_room(&mut self) {
        let bytes = |known: &Known| match &known.what {
            What::Counted(digest, _) => digest.bytes(),
            What::Seen | What::TooMuch => 0,
        };
        let mut left: usize = self.minutes.values().map(bytes).sum();
        while self.minutes.len() > MINUTES_MAX || left > FAMILY_BYTES_MAX {
            let Some((_, known)) = self.minutes.pop_first() else { break };
            left -= bytes(&known);
        }
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let names = lines.len().max(lines.details_len());
        drop(lines);
        if names > LINES_MAX / 2 {
            *self = Family::default();
        }
    }
}
