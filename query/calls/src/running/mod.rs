//! Counts calls while their spans come in: what changes no more once, what still may for each question.
//!
//! ```text
//! as they came:  files read long ago | files read last | not in files yet
//!                counted             | open            | passing
//! ```
//! At 50,000 spans a second some seven million belong to the minutes to which spans still come, and a question every few seconds
//! would read and walk all of them each time. But traces are over soon after they began. So spans are held in the order in which
//! they came; where they are too many, those of the traces to which nothing came for longest are counted, and of such a trace only
//! a hash is kept. What is held, and what is in no file yet, is walked for each question and told beside what is counted.
//!
//! It is the same as a fold of all the spans, or [`Halt`] says that it is not: when a span comes to a trace that is counted, or
//! spans say of a minute that two names mean one service which meant two when its traces were counted. Then whoever asks begins
//! anew. Traces that tell of messages are never counted before their time is over, for their other ends lie in other traces.
//! Limits: spans only, of [`MINUTES_MAX`] minutes; [`HELD_SPANS_MAX`], [`COUNTED_TRACES_MAX`], [`COUNTED_BYTES_MAX`].

mod walking;
mod counted;
mod held;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use arrow::array::AsArray;
use arrow::compute::min;
use arrow::datatypes::Int64Type;
use meshlake_schema::rows::RowsError;
use meshlake_schema::{Budget, SETTLE_MARGIN_MINUTES, Spent, TimeRange, UnixNanos};
use thiserror::Error;

use self::counted::Counted;
use self::held::Came;
use self::walking::Ground;
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::grouping::{By, Grain};
use crate::minutes::{MINUTE, NamesByMinute};
use crate::range::{BUCKETS_MAX, GRID, Range};
use crate::settled::digest::Digest;
use crate::settled::lines::Lines;
use crate::span_rows::SpanBatch;
use crate::spans::{HeldSpan, Shapes};

/// Minutes from the first that counts to the end of what is read: as many as have buckets of ten seconds.
pub const MINUTES_MAX: i64 = BUCKETS_MAX as i64 / 6;

/// Spans that are held open before some are counted, half of them: at 50,000 a second all that came in the last ten to twenty
/// seconds. SDKs send what ended every five (OTEL_BSP_SCHEDULE_DELAY). They are walked for each question, in some tenth of a second.
pub const OPEN_SPANS_MAX: usize = 1 << 20;

/// Most spans that are held in all, 56 bytes each: one file may have many.
pub const HELD_SPANS_MAX: usize = 4 << 20;

/// Most traces that are known to be counted, some 18 bytes each: those of three minutes of 50,000 spans a second, two a trace.
pub const COUNTED_TRACES_MAX: usize = 8 << 20;

/// Bytes that counted cells take: at 1,500 edges told at both ends, of each ten seconds of three minutes, some ten million.
pub const COUNTED_BYTES_MAX: usize = 48 << 20;

/// How much is held.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Spans of files before some are counted.
    pub open_spans: usize,
    pub held_spans: usize,
    /// Traces that are counted, once for each of their minutes.
    pub counted_traces: usize,
    pub counted_bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            open_spans: OPEN_SPANS_MAX,
            held_spans: HELD_SPANS_MAX,
            counted_traces: COUNTED_TRACES_MAX,
            counted_bytes: COUNTED_BYTES_MAX,
        }
    }
}

/// Why what was counted is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Halt {
    /// A span came to a trace that is counted. To begin anew helps.
    #[error("a span came to a trace that is counted")]
    Torn,
    /// What names mean has changed. To begin anew helps.
    #[error("names mean something else since traces were counted")]
    Renamed,
    /// Spans tell of messages, whose other ends may lie two minutes away. To begin anew with those helps.
    #[error("spans two minutes away may tell of calls")]
    Distant,
    /// One of the limits is reached.
    #[error("there is more than can be held")]
    TooMuch,
    /// A shorter range helps, or asking again when less is going on.
    #[error(transparent)]
    Spent(#[from] Spent),
    /// A bug of ours.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// What was counted, and what is held.
#[derive(Debug)]
pub struct Running {
    /// Names; cells only while something is counted.
    book: Book,
    shapes: Shapes,
    names: NamesByMinute,
    addresses: Addresses,
    /// Of files, those read first in front.
    open: VecDeque<Came>,
    /// Of what is in no file yet: it is read again for each question.
    passing: Came,
    counted: Counted,
    /// The first minute that counts.
    first: i64,
    /// All that is read begins before.
    end: i64,
    /// Minutes around those that count whose spans are read.
    margin: i64,
    room: Room,
    /// Rows of two minutes around tell of calls.
    reaches_far: bool,
    first_row: Option<i64>,
}

/// What of threads and time a count may take.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// At least one.
    pub threads: usize,
    pub budget: &'a dyn Budget,
}

impl Running {
    /// Counts from this minute of the clock on; none where that is too far away.
    ///
    /// Spans of `margin` minutes around are to be added, which are two where there may be messages.
    pub fn new(by: By, grain: Grain, first: i64, margin: i64) -> Option<Running> {
        Running::holding(by, grain, first, margin, Room::default())
    }

    /// The same in other room.
    pub fn holding(by: By, grain: Grain, first: i64, margin: i64, room: Room) -> Option<Running> {
        let end = first.checked_add(MINUTES_MAX)?;
        let start = |minute: i64| minute.checked_mul(MINUTE).map(UnixNanos);
        let range = Range::new(start(first)?, start(end)?, Some(GRID)).ok()?;
        let mut addresses = Addresses::default();
        addresses.watch();
        Some(Running {
            book: Book::new(range, by, grain),
            shapes: Shapes::default(),
            names: NamesByMinute::default(),
            addresses,
            open: VecDeque::new(),
            passing: Came::default(),
            counted: Counted::default(),
            first,
            end,
            margin,
            room,
            reaches_far: false,
            first_row: None,
        })
    }

    /// When spans begin that are to be added.
    pub fn times(&self) -> TimeRange {
        TimeRange { from: start_of(self.first - self.margin), to: start_of(self.end) }
    }

    /// What counts begins here.
    pub fn first_minute(&self) -> i64 {
        self.first
    }

    /// Calls that begin from here on are not told.
    pub fn end(&self) -> UnixNanos {
        start_of(self.end - SETTLE_MARGIN_MINUTES)
    }

    /// Minutes around those that count whose spans are added.
    pub fn margin_added(&self) -> i64 {
        self.margin
    }

    /// How many minutes around those that count tell of their calls; see [`crate::Fold::margin_minutes`].
    pub fn margin_minutes(&self) -> i64 {
        if self.reaches_far { SETTLE_MARGIN_MINUTES } else { 1 }
    }

    /// The start of the earliest span so far.
    pub fn first_row(&self) -> Option<UnixNanos> {
        self.first_row.map(UnixNanos)
    }

    /// Counts from this minute on, which is later than before.
    pub fn begin_at(&mut self, first: i64) {
        if first <= self.first {
            return;
        }
        self.first = first;
        self.book.fold_only(vec![TimeRange { from: start_of(first), ..TimeRange::ALL }]);
        let kept = first - self.margin;
        self.open.retain(|came| came.last_minute() >= kept);
        self.names.forget_before(kept);
        self.addresses.forget_before(kept);
        self.counted.forget_before(first);
    }

    /// What is added next lies in one file, all of which is added before anything is told.
    pub fn begin_file(&mut self) {
        self.open.push_back(Came::default());
    }

    /// What is added next is in no file yet.
    pub fn begin_passing(&mut self) {
        self.passing = Came::default();
    }

    /// Adds spans of the last file that was begun; `is_passing` adds some that are in none.
    ///
    /// # Errors
    /// [`Halt`].
    pub fn add(&mut self, batch: &SpanBatch, is_passing: bool) -> Result<(), Halt> {
        let starts =
            batch.rows().column_by_name("time_unix_nano").and_then(|column| column.as_primitive_opt());
        let first = starts.and_then(min::<Int64Type>);
        self.first_row = self.first_row.into_iter().chain(first).min();
        let Running { book, shapes, names, addresses, open, passing, counted, reaches_far, margin, .. } =
            self;
        let came = if is_passing { passing } else { open.back_mut().unwrap_or(passing) };
        let said = batch.said(book, shapes)?;
        batch.tell_names(&said, names, addresses);
        let is_torn = |span: &HeldSpan| counted.has(span);
        if said.may_have_links() {
            *reaches_far = true;
            if *margin < SETTLE_MARGIN_MINUTES {
                return Err(Halt::Distant);
            }
            let mut torn = false;
            batch.one_by_one(&said, |span, _, links| {
                torn |= is_torn(&span);
                came.add(span, links);
            })?;
            return if torn { Err(Halt::Torn) } else { self.has_room() };
        }
        for (place, alike) in batch.by_shard() {
            if alike.iter().any(is_torn) {
                return Err(Halt::Torn);
            }
            came.add_all(place, alike, |shape| said.id(shape));
        }
        self.has_room()
    }

    /// All that counts from the first minute on, in cells of ten seconds.
    ///
    /// # Errors
    /// [`Halt`].
    pub fn told(&mut self, lines: &mut Lines, means: Means<'_>) -> Result<Digest, Halt> {
        self.count_some(lines, means)?;
        let Running { book, shapes, names, addresses, open, passing, first, margin, .. } = self;
        let held = || open.iter().chain([&*passing]);
        let shard = |place: usize| held::joined(held().map(|came| came.shard(place)));
        let kept_from = *first - *margin;
        let wanted = held().flat_map(|came| came.wanted(shapes, kept_from));
        let ground = Ground { shapes, names, addresses };
        let messages = walking::count(book, ground, &shard, wanted, means)?;
        messages.finish(&mut self.book);
        let open = self.digest(lines)?;
        Ok(self.counted.with(&open, start_of(self.first)))
    }

    /// Where too many spans are open, counts those of the traces to which nothing came since half of them did. To be asked for when
    /// all of a file is added: of many files at once not all finds room.
    ///
    /// # Errors
    /// [`Halt`].
    pub fn count_some(&mut self, lines: &mut Lines, means: Means<'_>) -> Result<(), Halt> {
        self.is_as_it_was()?;
        let mut left = self.open_spans();
        if left <= self.room.open_spans {
            return Ok(());
        }
        let mut count = 0;
        while left > self.room.open_spans / 2 && count + 1 < self.open.len() {
            left -= self.open[count].len();
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let before: Vec<Came> = self.open.drain(..count).collect();
        let kept_from = self.first - self.margin;
        let over = held::parted(&before, &mut self.open, &self.passing, &self.shapes, kept_from);
        let Running { book, shapes, names, addresses, counted, first, .. } = self;
        for scope in counted.take_in(&over, *first) {
            counted.know(scope, names, &book.parties);
        }
        let ground = Ground { shapes, names, addresses };
        let shard = |place: usize| held::joined([over.shard(place)].into_iter());
        // None of these traces tells of messages.
        walking::count(book, ground, &shard, std::iter::empty(), means)?;
        let digest = self.digest(lines)?;
        self.counted.add(digest);
        self.has_room()
    }

    fn open_spans(&self) -> usize {
        self.open.iter().map(Came::len).sum()
    }

    /// Whether what was counted would be counted as it was by what is known now.
    fn is_as_it_was(&mut self) -> Result<(), Halt> {
        let Running { book, names, addresses, counted, .. } = self;
        let are_same =
            [counted.has_same_names(names, &book.parties), counted.has_same_owners(addresses, &book.parties)];
        if are_same == [true; 2] { Ok(()) } else { Err(Halt::Renamed) }
    }

    fn has_room(&self) -> Result<(), Halt> {
        let has_room = self.open_spans() + self.passing.len() <= self.room.held_spans
            && self.counted.traces() <= self.room.counted_traces
            && self.counted.bytes() <= self.room.counted_bytes
            && !self.book.is_cut();
        if has_room { Ok(()) } else { Err(Halt::TooMuch) }
    }

    /// The cells of the book, packed, which has none any more.
    fn digest(&mut self, lines: &mut Lines) -> Result<Digest, Halt> {
        let is_whole = !self.book.cells_overflowed() && !self.book.is_cut() && self.book.cut_traces == 0;
        let digest = Digest::of(&self.book, lines).filter(|_| is_whole);
        self.book.begin_anew();
        digest.ok_or(Halt::TooMuch)
    }
}

fn start_of(minute: i64) -> UnixNanos {
    UnixNanos(minute.saturating_mul(MINUTE))
}
