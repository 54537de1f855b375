//! How many calls each cell counts, without what they are told apart by and without latencies.
//!
//! What everything is called and which evidence counts is told by all cells of an answer, in each ten minutes; but that
//! takes their ends and their numbers alone, at a few dozen bytes each. With latencies, which take a kilobyte or two, a day of
//! a large mesh would not fit into memory; so cells are surveyed first, and then read once more for what of them is shown.
//! Cells of one line lie side by side, by the ten minutes: what a name stands for is asked once a line and not once a cell.

use std::collections::hash_map::Entry as Place;

use crate::cell_key::{CellKey, Line};
use crate::cells::Book;
use crate::hashing::NumberMap;
use crate::measure::Measure;

/// Most entries of a survey: a day of ten minutes of some two thousand edges, or a month of seventy, each told by two kinds of
/// evidence and at both ends. Reaching it is an error, as a call may not be left out.
pub const SURVEYED_MAX: usize = 1_000_000;

/// What an entry takes while names are brought together: itself, in a list that doubles, what is chosen of it and where it goes.
const ENTRY_BYTES: usize = 100;

/// What a line takes beside: itself, with its ends, in maps half full.
const LINE_BYTES: usize = 200;

/// What a survey knows of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Calls, in thousandths.
    pub requests: u64,
    /// Received sides whose parent span is not stored, in thousandths.
    pub lost: u64,
}

impl Counted {
    pub fn of(measure: &Measure) -> Counted {
        Counted { requests: measure.requests_milli(), lost: measure.lost_milli() }
    }

    pub fn add(&mut self, other: Counted) {
        self.requests = self.requests.saturating_add(other.requests);
        self.lost = self.lost.saturating_add(other.lost);
    }
}

/// What each of the ten minutes tells of a line: ascending, each once.
pub type ByWindow = Vec<(u16, Counted)>;

/// Cells by what a survey tells apart: their ends, what they count, its evidence, and the ten minutes.
#[derive(Debug, Default)]
pub struct Survey {
    lines: NumberMap<Line, ByWindow>,
    entries: usize,
    is_full: bool,
}

impl Survey {
    /// The survey of all cells of a book.
    pub fn of(book: &Book) -> Survey {
        let mut survey = Survey::default();
        survey.add_all(book);
        survey
    }

    pub fn add_all(&mut self, book: &Book) {
        book.cells().for_each(|(key, measure)| self.add(key, Counted::of(measure)));
    }

    pub fn add(&mut self, cell: &CellKey, counted: Counted) {
        let has_room = self.entries < SURVEYED_MAX;
        let told = match self.lines.entry(cell.line()) {
            Place::Occupied(told) => told.into_mut(),
            Place::Vacant(place) if has_room => place.insert(Vec::new()),
            Place::Vacant(_) => {
                self.is_full = true;
                return;
            }
        };
        let window = cell.at.window;
        // Cells come in the order of time but for those of several files and threads.
        let place = match told.last() {
            Some((last, _)) if *last >= window => told.binary_search_by_key(&window, |(held, _)| *held),
            _ => Err(told.len()),
        };
        match place {
            Ok(place) => told[place].1.add(counted),
            Err(place) if has_room => {
                told.insert(place, (window, counted));
                self.entries += 1;
            }
            Err(_) => self.is_full = true,
        }
    }

    /// Adds all that is told of a line.
    pub fn add_line(&mut self, line: Line, told: ByWindow) {
        if !self.lines.contains_key(&line) && self.entries + told.len() <= SURVEYED_MAX {
            self.entries += told.len();
            self.lines.insert(line, told);
            return;
        }
        for (window, counted) in told {
            self.add(&CellKey::surveyed_of(&line, window), counted);
        }
    }

    /// All of them, in no order.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, &[(u16, Counted)])> {
        self.lines.iter().map(|(line, told)| (line, told.as_slice()))
    }

    /// The same for good.
    pub fn into_lines(self) -> impl Iterator<Item = (Line, ByWindow)> {
        self.lines.into_iter()
    }

    /// Bytes taken, about, with what is made of it.
    pub fn bytes(&self) -> usize {
        self.entries * ENTRY_BYTES + self.lines.len() * LINE_BYTES
    }

    /// Whether some cells found no room.
    pub fn is_full(&self) -> bool {
        self.is_full
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::UnixNanos;

    use super::*;
    use crate::cell_key::{DetailId, Evidence, Slot};
    use crate::entry::Entry;
    use crate::grouping::{By, Grain};
    use crate::measure::Protocol;
    use crate::party::{Marks, PartyId, PartyName};
    use crate::range::Range;

    /// One party, as far as a survey is concerned: what tells its cells apart is the ten minutes and the entry.
    fn cell(window: u16, entry: Entry, destination: PartyId) -> CellKey {
        let at = Slot { bucket: 7, window };
        let (source, detail, protocol) = (PartyId::NOBODY, DetailId::OTHER, Protocol::Http);
        CellKey { source, destination, detail, at, evidence: Evidence::Spans, entry, protocol }
    }

    #[test]
    fn what_is_told_apart_at_an_end_or_in_a_bucket_is_one_entry() {
        let mut survey = Survey::default();
        let one = Counted { requests: 1_000, lost: 500 };
        let first = cell(1, Entry::Received, PartyId::OTHER);
        survey.add(&first, one);
        survey.add(&CellKey { detail: DetailId::NONE, at: Slot { bucket: 8, window: 1 }, ..first }, one);
        survey.add(&cell(4, Entry::Received, PartyId::OTHER), one);
        survey.add(&cell(2, Entry::Received, PartyId::OTHER), one);
        survey.add_line(first.line(), vec![(2, one), (5, one)]);
        let two = Counted { requests: 2_000, lost: 1_000 };
        let told: Vec<&[(u16, Counted)]> = survey.lines().map(|(_, told)| told).collect();
        assert_eq!(told, [[(1, two), (2, two), (4, one), (5, one)]]);
    }

    #[test]
    fn the_number_of_entries_is_bounded_and_the_bound_is_told() {
        let range = Range::new(UnixNanos(0), UnixNanos(1), None).expect("not empty");
        let mut book = Book::new(range, By::Service, Grain::Node);
        let mut survey = Survey::default();
        let names = SURVEYED_MAX.div_ceil(50_000);
        let parties: Vec<PartyId> = (0..=names)
            .map(|at| book.intern(&PartyName { name: &at.to_string(), ..PartyName::default() }, Marks::NONE))
            .collect();
        for party in &parties[..names] {
            (0..50_000).for_each(|window| survey.add(&cell(window, Entry::Edge, *party), Counted::default()));
        }
        assert_eq!((survey.entries, survey.is_full()), (SURVEYED_MAX, false));
        survey.add(&cell(0, Entry::Edge, parties[0]), Counted::default());
        assert!(!survey.is_full(), "an entry that exists takes more");
        let beyond = cell(0, Entry::Edge, parties[names]);
        survey.add_line(beyond.line(), vec![(0, Counted::default())]);
        assert_eq!((survey.entries, survey.is_full()), (SURVEYED_MAX, true));
        survey.add(&cell(60_000, Entry::Edge, parties[0]), Counted::default());
        assert_eq!(survey.entries, SURVEYED_MAX);
    }
}
