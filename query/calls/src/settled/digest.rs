//! What cells of one file say, read once and kept for many questions.
//!
//! ```text
//! rows of a file -> fold -> a part for each time of a cell: number of a line, sums
//! ```
//! What is settled does not change as long as its file is there. A day of a mesh of fifteen hundred edges is a million cells, and
//! reading one takes a microsecond: finding its columns, its names, its histogram. Here they are numbered, added up as far
//! as a picture tells them apart, and packed; adding one looks at no name and no column of a file. Answers are the same to the
//! last bit: what is added is what the file says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshlake_schema::{TimeRange, UnixNanos};

use super::lines::{Brought, Lines, NO_DETAIL};
use crate::by_line::Runs;
use crate::cell_key::{CellKey, DetailId, Line, Slot};
use crate::cells::Book;
use crate::hashing::NumberMap;
use crate::measure::{Measure, Protocol, SUMS};
use crate::minutes::minute_of;
use crate::packed::{Amount, Measures};
use crate::survey::{ByWindow, Counted, Survey};

/// Places in [`SUMS`] of what a survey counts.
const REQUESTS: usize = 0;
const LOST: usize = 9;

/// Cells of one file.
#[derive(Debug, Default)]
pub struct Digest {
    /// Ascending by time, of one time perhaps several. They are shared by what is made of digests.
    parts: Vec<Arc<Part>>,
}

/// Cells of one time.
#[derive(Debug)]
struct Part {
    time: UnixNanos,
    /// Ascending.
    lines: Vec<u32>,
    /// What is told apart of each; empty where nothing is.
    details: Vec<u32>,
    measures: Measures,
}

/// A cell on its way into a part: its bucket, and the numbers of its line and of what is told apart of it.
type Numbered<'m> = (u16, u32, u32, &'m Measure);

impl Part {
    fn of(time: UnixNanos, cells: &[Numbered<'_>]) -> Part {
        let tells_details = cells.iter().any(|(_, _, detail, _)| *detail != NO_DETAIL);
        let details = cells.iter().filter(|_| tells_details).map(|(_, _, detail, _)| *detail);
        Part {
            time,
            lines: cells.iter().map(|(_, line, ..)| *line).collect(),
            details: details.collect(),
            measures: Measures::of(&cells.iter().map(|(.., measure)| *measure).collect::<Vec<_>>()),
        }
    }

    /// The sum of these.
    fn sum(time: UnixNanos, parts: &[Arc<Part>]) -> Part {
        let mut sums: BTreeMap<(u32, u32), Measure> = BTreeMap::new();
        for part in parts {
            for (row, line) in part.lines.iter().enumerate() {
                let sum = sums.entry((*line, part.detail(row))).or_default();
                Amount::Packed(part.measures.row(row)).add_to(sum);
            }
        }
        let cells = sums.iter().map(|((line, detail), measure)| (0, *line, *detail, measure));
        Part::of(time, &cells.collect::<Vec<_>>())
    }

    /// What is told apart of a row.
    fn detail(&self, row: usize) -> u32 {
        self.details.get(row).copied().unwrap_or(NO_DETAIL)
    }

    fn bytes(&self) -> usize {
        size_of::<Part>() + 4 * (self.lines.capacity() + self.details.capacity()) + self.measures.bytes()
    }
}

impl Digest {
    /// All cells of a book whose buckets are cells; none where `lines` has no room for its lines.
    pub(crate) fn of(book: &Book, lines: &mut Lines) -> Option<Digest> {
        let mut cells: Vec<Numbered<'_>> = Vec::new();
        for (key, measure) in book.cells() {
            let line = lines.number(&key.line(), &book.parties)?;
            let detail = lines.detail(book.detail_text(key.detail))?;
            cells.push((key.at.bucket, line, detail, measure));
        }
        cells.sort_unstable_by_key(|(bucket, line, detail, _)| (*bucket, *line, *detail));
        let parts = cells.chunk_by(|a, b| a.0 == b.0);
        let part = |part: &[Numbered<'_>]| Arc::new(Part::of(book.range.bucket_start(part[0].0), part));
        Some(Digest { parts: parts.map(part).collect() })
    }

    /// What all of these say of calls from a time on.
    pub fn joined<'d>(digests: impl Iterator<Item = &'d Digest>, from: UnixNanos) -> Digest {
        let parts = digests.flat_map(|digest| &digest.parts).filter(|part| part.time >= from);
        let mut parts: Vec<Arc<Part>> = parts.map(Arc::clone).collect();
        parts.sort_by_key(|part| part.time);
        Digest { parts }
    }

    /// What it says of calls in these times, which are ascending and apart.
    #[must_use]
    pub fn within(&self, times: &[TimeRange]) -> Digest {
        let parts = self.parts.iter().filter(|part| are_in(times, part.time));
        Digest { parts: parts.map(Arc::clone).collect() }
    }

    /// The same in cells of `width`, each once, as digests of a fold are by such a step.
    #[must_use]
    pub fn widened(&self, width: Duration) -> Digest {
        let nanos = i64::try_from(width.as_nanos()).unwrap_or(i64::MAX).max(1);
        let start = |part: &Arc<Part>| part.time.0.div_euclid(nanos);
        let parts = self.parts.chunk_by(|a, b| start(a) == start(b));
        let wide = parts.map(|parts| Arc::new(Part::sum(UnixNanos(start(&parts[0]) * nanos), parts)));
        Digest { parts: wide.collect() }
    }

    /// When the last cell begins.
    pub fn last(&self) -> Option<UnixNanos> {
        self.parts.last().map(|part| part.time)
    }

    /// What it says of each minute, ascending.
    pub fn by_minute(self) -> Vec<(i64, Digest)> {
        let mut minutes: Vec<(i64, Digest)> = Vec::new();
        for part in self.parts {
            let minute = minute_of(part.time.0);
            match minutes.last_mut() {
                Some((last, digest)) if *last == minute => digest.parts.push(part),
                _ => minutes.push((minute, Digest { parts: vec![part] })),
            }
        }
        minutes
    }

    /// Bytes taken.
    pub fn bytes(&self) -> usize {
        size_of::<Digest>() + self.parts.iter().map(|part| part.bytes()).sum::<usize>()
    }
}

/// Whether a time is in one of these, which are ascending and apart.
fn are_in(times: &[TimeRange], time: UnixNanos) -> bool {
    let next = times.partition_point(|times| times.to <= time);
    times.get(next).is_some_and(|times| times.from <= time)
}

/// Digests of a table, by the numbers of `lines`: of them the cells that begin in one of `times`, which are ascending and apart.
#[derive(Debug, Clone, Copy)]
pub struct Digested<'d> {
    pub lines: &'d Lines,
    pub digests: &'d [Arc<Digest>],
    pub times: &'d [TimeRange],
}

impl<'d> Digested<'d> {
    /// The parts that count in the range of `book`, ascending, and where.
    fn parts(&self, book: &Book) -> Vec<(Slot, &'d Part)> {
        let parts = self.digests.iter().flat_map(|digest| &digest.parts);
        let mut parts: Vec<&Part> = parts.map(Arc::as_ref).collect();
        parts.sort_by_key(|part| part.time);
        let parts = parts.into_iter().filter(|part| are_in(self.times, part.time));
        parts.filter_map(|part| Some((book.slot_of_cell(part.time.0)?, part))).collect()
    }

    /// When the first cell begins.
    pub fn first(&self) -> Option<UnixNanos> {
        let (from, to) = (self.times.first()?.from, self.times.last()?.to);
        let times = self.digests.iter().flat_map(|digest| &digest.parts).map(|part| part.time);
        times.filter(|time| from <= *time && *time < to).min()
    }

    /// Surveys them, and `book` learns their names. Whether there is room for these.
    pub(crate) fn survey(&self, book: &mut Book, survey: &mut Survey) -> bool {
        let parts = self.parts(book);
        let mut counts = vec![0; self.lines.len()];
        let numbers = parts.iter().flat_map(|(_, part)| &part.lines);
        numbers.for_each(|number| counts[*number as usize] += 1);
        let mut told: Vec<ByWindow> = counts.into_iter().map(Vec::with_capacity).collect();
        for (at, part) in &parts {
            for (row, number) in part.lines.iter().enumerate() {
                let row = part.measures.row(row);
                let counted = Counted { requests: row.sum(REQUESTS), lost: row.sum(LOST) };
                let told = &mut told[*number as usize];
                match told.last_mut() {
                    // Several cells of a window, where they are narrower or their details are told apart.
                    Some((window, held)) if *window == at.window => held.add(counted),
                    _ => told.push((at.window, counted)),
                }
            }
        }
        let mut brought = self.lines.brought();
        for (number, told) in (0..).zip(told).filter(|(_, told)| !told.is_empty()) {
            let Some(line) = brought.line(number, book) else { return false };
            survey.add_line(line, told);
        }
        true
    }

    /// Puts what of them has a place: `places` tells those of a line, none where nothing of it is wanted, `put` takes each other cell
    /// or hears that it has none.
    pub(crate) fn add<'r, P: Copy + 'r>(
        &self,
        book: &mut Book,
        places: impl Fn(&Line) -> Option<Runs<'r, P>>,
        mut put: impl FnMut(&Book, &CellKey, &Amount<'_>, Option<P>),
    ) {
        let mut wanted = WantedLines::of(self.lines, places, book);
        for (at, part) in self.parts(book) {
            for (row, number) in part.lines.iter().enumerate() {
                let Some((line, runs)) = wanted.line(*number, book) else { continue };
                let key = wanted.key(line, part.detail(row), at);
                let place = runs.run_of(at.window).map(|run| runs.value(run));
                put(book, &key, &Amount::Packed(part.measures.row(row)), place);
            }
        }
    }

    /// The same of their sums alone, those of cells that are alike at once: a column of numbers is added up without a look at what they
    /// are of, so that a cell costs a tenth of what it does with its latencies.
    pub(crate) fn add_sums<'r, P: Copy + 'r>(
        &self,
        book: &mut Book,
        places: impl Fn(&Line) -> Option<Runs<'r, P>>,
        mut put: impl FnMut(&Book, &CellKey, &Amount<'_>, Option<P>),
    ) {
        let mut wanted = WantedLines::of(self.lines, places, book);
        for parts in self.parts(book).chunk_by(|(a, _), (b, _)| a.bucket == b.bucket) {
            let mut alike: Alike<P> = Alike::default();
            for (at, part) in parts {
                alike.add(*at, part, &mut wanted, book);
            }
            for ((key, place), sums) in alike.keys.iter().zip(&alike.sums[1..]) {
                put(book, key, &Amount::Sums(sums), *place);
            }
        }
    }
}

/// The lines of which something is wanted, by the numbers of a book.
struct WantedLines<'l, 'r, P, F> {
    known: Vec<Known<'r, P>>,
    brought: Brought<'l>,
    places: F,
    details: Vec<DetailId>,
}

#[derive(Debug, Clone, Copy)]
enum Known<'r, P> {
    NotYet,
    /// Nothing of it is, or there is no room for its names.
    Unwanted,
    Wanted(Line, Runs<'r, P>),
}

impl<'l, 'r, P: Copy + 'r, F: Fn(&Line) -> Option<Runs<'r, P>>> WantedLines<'l, 'r, P, F> {
    fn of(lines: &'l Lines, places: F, book: &mut Book) -> Self {
        let details = lines.details().map(|text| book.detail(text)).collect();
        WantedLines { known: vec![Known::NotYet; lines.len()], brought: lines.brought(), places, details }
    }

    /// The line of a number and where its cells go, if something of it is wanted.
    fn line(&mut self, number: u32, book: &mut Book) -> Option<(Line, Runs<'r, P>)> {
        let known = &mut self.known[number as usize];
        if matches!(known, Known::NotYet) {
            let line = self.brought.line(number, book);
            let wanted = line.and_then(|line| Some(Known::Wanted(line, (self.places)(&line)?)));
            *known = wanted.unwrap_or(Known::Unwanted);
        }
        match known {
            Known::Wanted(line, runs) => Some((*line, *runs)),
            _ => None,
        }
    }

    /// The key of cells of a line with this detail.
    fn key(&self, line: Line, detail: u32, at: Slot) -> CellKey {
        let Line { source, destination, evidence, entry } = line;
        let detail = self.details[detail as usize];
        CellKey { source, destination, detail, at, evidence, entry, protocol: Protocol::Unknown }
    }
}

/// Sums of cells of one bucket that go to one place and of which the same is told apart.
struct Alike<P> {
    /// By line, run of places, and detail.
    numbers: NumberMap<(u32, u32, u32), u32>,
    /// The first cell of each, and where it goes.
    keys: Vec<(CellKey, Option<P>)>,
    /// Of each, behind those of what is not wanted.
    sums: Vec<[u64; SUMS.len()]>,
    /// Of the rows of a part.
    of_rows: Vec<u32>,
}

impl<P> Default for Alike<P> {
    fn default() -> Self {
        Alike {
            numbers: NumberMap::default(),
            keys: Vec::new(),
            sums: vec![[0; SUMS.len()]],
            of_rows: Vec::new(),
        }
    }
}

/// In place of a run, where a line has none.
const NO_RUN: u32 = u32::MAX;

impl<P: Copy> Alike<P> {
    fn add<'r, F: Fn(&Line) -> Option<Runs<'r, P>>>(
        &mut self,
        at: Slot,
        part: &Part,
        wanted: &mut WantedLines<'_, 'r, P, F>,
        book: &mut Book,
    ) where
        P: 'r,
    {
        self.of_rows.clear();
        for (row, number) in part.lines.iter().enumerate() {
            let Some((line, runs)) = wanted.line(*number, book) else {
                self.of_rows.push(0);
                continue;
            };
            let (run, detail) = (runs.run_of(at.window), part.detail(row));
            let place = (*number, run.map_or(NO_RUN, |run| run as u32), detail);
            let (keys, sums) = (&mut self.keys, &mut self.sums);
            let of_row = self.numbers.entry(place).or_insert_with(|| {
                keys.push((wanted.key(line, detail, at), run.map(|run| runs.value(run))));
                sums.push([0; SUMS.len()]);
                keys.len() as u32
            });
            self.of_rows.push(*of_row);
        }
        part.measures.add_sums(&self.of_rows, &mut self.sums);
    }
}

const _: () = assert!(SUMS.len() > LOST);
