//! Calls of the minutes to which spans still come: of the files that are new since the last question, and of what is in no file yet.
//!
//! ```text
//! settled | over, kept by the last record near | running: counted file by file, passing spans for each question
//! ```
//! What is counted of files is kept for the next question, which reads only the files that came since, known by record numbers:
//! a file none of whose records is later than the last question's watermark has been read, also where it was merged of several.
//! Where there is any doubt all is counted anew: where files are missing rows that were in others, or one has rows of both times.
//! Limits: no rows of proxies are near; what `meshlake_calls::running` holds; [`BARRED`] after there was too much of it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use meshlake_calls::running::{Halt, Means};
use meshlake_calls::span_rows::SpanBatch;
use meshlake_calls::{Digest, FoldError, Lines, Question, Running};
use meshlake_engine::{DataFile, Part, Query, QueryError};
use meshlake_schema::{SETTLE_MARGIN_MINUTES, Table, TimeRange, UnixNanos};
use tokio::sync::mpsc::{self, Sender};

use super::LoadError;
use super::feed::{ON_THE_WAY_MAX, aside, read_spans, send};

/// How long nothing is counted file by file of which there was too much. Guess, not measured.
const BARRED: Duration = Duration::from_secs(600);

/// What is known of the minutes that run, of one tenant and grouping.
#[derive(Debug, Default)]
pub(super) enum Runs {
    #[default]
    Unknown,
    Counted(Box<Read>),
    /// There was too much, and may be until then.
    Barred(UnixNanos),
}

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    running: Running,
    /// The last record whose rows are in the files that were read.
    watermark: u64,
    /// Rows of all files of the table then.
    rows: u64,
    /// When the last question was asked.
    asked: UnixNanos,
}

/// What counts from a minute on.
pub(super) struct Told {
    pub digest: Digest,
    pub first_minute: i64,
    /// What begins from here on is not told.
    pub end: UnixNanos,
    pub margin: i64,
    pub first_row: Option<UnixNanos>,
}

/// What is on its way.
enum Came {
    File,
    Passing,
    Spans(Box<SpanBatch>),
}

impl From<SpanBatch> for Came {
    fn from(batch: SpanBatch) -> Self {
        Came::Spans(Box::new(batch))
    }
}

/// All calls from the minute `first` on, or from one before it, told by `margin` minutes around them, or it turns out how many do;
/// none where they are to be
/// folded. What is kept begins with `first` from now on.
///
/// # Errors
/// As [`super::load`]. Cancel: what was counted is lost.
pub(super) async fn told(
    query: &Query,
    question: &Question,
    runs: &mut Runs,
    first: i64,
    margin: &mut i64,
    lines: &Arc<RwLock<Lines>>,
) -> Result<Option<Told>, LoadError> {
    let before = match std::mem::take(runs) {
        Runs::Barred(until) if query.began() < until => {
            *runs = Runs::Barred(until);
            return Ok(None);
        }
        // It has read what this snapshot has not.
        Runs::Counted(read) if query.began() < read.asked => {
            *runs = Runs::Counted(read);
            return Ok(None);
        }
        Runs::Counted(read) if read.is_of(query, first, *margin) => Some(read),
        _ => None,
    };
    let was_counted = before.is_some();
    let around = *margin;
    let begun = || Read::begun(question, first, around).map(Box::new);
    let Some(read) = before.or_else(begun) else { return Ok(None) };
    if query.may_start(Table::Requests, TimeRange { to: UnixNanos(i64::MAX), ..read.running.times() }) {
        return Ok(None);
    }
    let mut told = advanced(query, question, read, lines).await?;
    if was_counted && matches!(told, Err(Halt::Torn | Halt::Renamed)) {
        let Some(read) = begun() else { return Ok(None) };
        told = advanced(query, question, read, lines).await?;
    }
    match told {
        Ok((mut read, digest)) => {
            let told = Told {
                digest,
                first_minute: read.running.first_minute(),
                end: read.running.end(),
                margin: read.running.margin_minutes(),
                first_row: read.running.first_row(),
            };
            read.running.begin_at(first);
            *runs = Runs::Counted(read);
            Ok(Some(told))
        }
        Err(Halt::Torn | Halt::Renamed) => Ok(None),
        Err(Halt::Distant) => {
            *margin = SETTLE_MARGIN_MINUTES;
            Ok(None)
        }
        Err(Halt::TooMuch) => {
            *runs = Runs::Barred(query.began().plus(BARRED));
            Ok(None)
        }
        Err(Halt::Spent(spent)) => Err(LoadError::of(FoldError::Spent(spent), query)),
        Err(Halt::Rows(error)) => Err(LoadError::bug(&error)),
    }
}

impl Read {
    fn begun(question: &Question, first: i64, margin: i64) -> Option<Read> {
        let running = Running::new(question.by, question.grain, first, margin)?;
        Some(Read { running, watermark: 0, rows: 0, asked: UnixNanos(0) })
    }

    /// Whether what was read is in the files of `query`, beside such as are new, and of the minutes that are asked for.
    fn is_of(&self, query: &Query, first: i64, margin: i64) -> bool {
        let files = query.files(Table::Spans);
        let rows = |files: &mut dyn Iterator<Item = &DataFile>| files.map(|file| file.rows).sum::<u64>();
        let added = rows(&mut files.iter().filter(|file| last_record(file) > Some(self.watermark)));
        self.watermark <= query.watermark(Table::Spans)
            && rows(&mut files.iter()) == self.rows + added
            && self.running.first_minute() <= first
            && self.running.margin_added() >= margin
            && query.began() < self.running.end()
    }
}

/// The last record that brought a row of a file; none where that is not known.
fn last_record(file: &DataFile) -> Option<u64> {
    file.minutes.runs().iter().map(|run| run.lsn).max()
}

/// What is to be read of files since a record, in the order in which rows came; none where a file does not tell when they did.
fn new_files<'q>(query: &'q Query, read: &Read) -> Option<Vec<&'q DataFile>> {
    let times = read.running.times();
    let is_met = |file: &&DataFile| times.meets(file.time_min_micros, file.time_max_micros);
    let met = query.files(Table::Spans).iter().filter(is_met);
    let records = met.map(|file| Some((last_record(file).filter(|last| *last < u64::MAX)?, file)));
    let mut records: Vec<(u64, &DataFile)> = records.collect::<Option<_>>()?;
    records.retain(|(last, _)| *last > read.watermark);
    records.sort_by_key(|(last, file)| (*last, file.time_min_micros));
    Some(records.into_iter().map(|(_, file)| file).collect())
}

/// What was read, with what is new.
async fn advanced(
    query: &Query,
    question: &Question,
    read: Box<Read>,
    lines: &Arc<RwLock<Lines>>,
) -> Result<Result<(Box<Read>, Digest), Halt>, LoadError> {
    let Some(files) = new_files(query, &read) else { return Ok(Err(Halt::TooMuch)) };
    let (sender, receiver) = mpsc::channel(ON_THE_WAY_MAX);
    let times = read.running.times();
    let (lines, budget, threads) = (Arc::clone(lines), query.budget(), query.parallelism() + 1);
    let counting = aside(move || {
        let mut read = read;
        let means = Means { threads, budget: budget.as_ref() };
        let counted = count(&mut read.running, receiver, &lines, means);
        counted.map(|digest| (read, digest))
    });
    let reading = read_all(query, question, times, &files, sender);
    let (counted, read) = tokio::join!(counting, reading);
    let told = counted?;
    // Who counts has ended early, and says why.
    if told.is_ok() {
        read?;
    }
    Ok(told.map(|(mut read, digest)| {
        read.asked = query.began();
        read.watermark = query.watermark(Table::Spans);
        read.rows = query.files(Table::Spans).iter().map(|file| file.rows).sum();
        (read, digest)
    }))
}

fn count(
    running: &mut Running,
    mut came: mpsc::Receiver<Came>,
    lines: &RwLock<Lines>,
    means: Means<'_>,
) -> Result<Digest, Halt> {
    let lines = || lines.write().unwrap_or_else(PoisonError::into_inner);
    let mut is_passing = false;
    while let Some(came) = came.blocking_recv() {
        match came {
            Came::File => {
                running.count_some(&mut lines(), means)?;
                running.begin_file();
            }
            Came::Passing => {
                running.count_some(&mut lines(), means)?;
                running.begin_passing();
                is_passing = true;
            }
            Came::Spans(batch) => running.add(&batch, is_passing)?,
        }
    }
    running.told(&mut lines(), means)
}

async fn read_all(
    query: &Query,
    question: &Question,
    times: TimeRange,
    files: &[&DataFile],
    sender: Sender<Came>,
) -> Result<(), QueryError> {
    for file in files {
        send(&sender, Came::File).await?;
        read_spans(query, question, times, Part::Files(&[file]), &sender).await?;
    }
    send(&sender, Came::Passing).await?;
    read_spans(query, question, times, Part::Buffered, &sender).await
}
