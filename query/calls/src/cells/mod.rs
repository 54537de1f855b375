//! The cells that calls are summed into, at the finest grain that any answer of the query needs.
//!
//! Which evidence counts is known only at the end, and per ten minutes, so a cell keeps both and the window apart
//! and nothing is thrown away before; grouping cells afterwards is a few thousand additions. Limits:
//! [`CELLS_MAX`] cells, [`DETAILS_MAX`] operations, instances or values in an answer.

mod room;

use std::collections::HashSet;
use std::sync::Arc;

use meshlake_schema::TimeRange;

use crate::aliases::Learnt;
use crate::busy::BusyEdges;
use crate::cell_key::{CellKey, DetailId, Evidence, Slot};
use crate::condense::{Beyond, Condensed};
use crate::detail::Detail;
use crate::details::Details;
use crate::entry::Entry;
use crate::grouping::{By, Grain};
use crate::hashing::NumberMap;
use crate::measure::{Halves, Measure, Observation, Protocol, Sizes};
use crate::minutes::CountedMinutes;
use crate::noted::{Noted, Notes, RowsOf, Wish};
use crate::packed::Amount;
use crate::party::{Marks, Parties, PartyId, PartyName};
use crate::range::Range;
use crate::sums::{Sum, Sums};

/// Most cells of one query. Reaching it is an error: an answer with cells left out would be wrong in a way nobody could see.
pub const CELLS_MAX: usize = 150_000;

/// Most cells that are settled together, those of each ten seconds: in a window that has more, all but the busiest are summed
/// up, as a window that is never settled is folded anew by each question. Two minutes of spans of fifteen hundred operations and
/// of as many rows of their proxies, and three times as many operations in one, fit.
pub const SETTLED_CELLS_MAX: usize = 120_000;

/// Memory that they may take, of 256 MiB that a fold may; the rows to be written of them take about twice as much, while the cells
/// are let go of one by one. At 50,000 spans/s of a mesh of fifteen hundred operations, with as many rows of their proxies, a
/// minute takes three quarters of it: 72,000 cells of 150 different latencies each.
pub const SETTLED_BYTES_MAX: usize = 128 << 20;

/// Most operations, instances, clusters or values of an attribute that an answer tells apart; the rest are summed as
/// one, by name `(other)`.
/// Paths with unforeseen ids in them must not turn an answer into a list of every path ever asked for.
pub const DETAILS_MAX: usize = 2_000;

/// A call, or one received side, ready to be counted.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub evidence: Evidence,
    /// The one time of the call: that of its made side if that was seen.
    pub start: i64,
    pub detail: DetailId,
    pub seen: Observation,
    pub rows: RowsOf,
}

impl Call {
    fn noted(&self, halves: Halves) -> Noted {
        Noted { start: self.start, rows: self.rows, seen: self.seen, halves }
    }
}

/// Everything that is summed, and the names it is summed by.
#[derive(Debug)]
pub struct Book {
    pub range: Range,
    pub by: By,
    pub grain: Grain,
    pub parties: Parties,
    /// When calls count that rows tell of, ascending; at all other times cells do.
    folded: Vec<TimeRange>,
    details: Details,
    cells: Sums,
    cells_max: usize,
    cells_bytes_max: usize,
    cells_overflowed: bool,
    beyond: Beyond,
    condensed: Condensed,
    /// Between whom calls are told apart by detail and bucket; between all, where there is no such set.
    shown: Option<Arc<HashSet<(PartyId, PartyId)>>>,
    /// It has no names, and as many cells as it takes; see [`Book::part`].
    is_part: bool,
    /// Calls one by one, where they are asked for: those on edges, and received sides that are on none.
    pub notes: Notes<CellKey>,
    pub busy: BusyEdges,
    pub learnt: Learnt,
    /// Traces of so many spans that they were walked in parts; of those that lie in many minutes, each time.
    pub cut_traces: u64,
}

impl Book {
    pub fn new(range: Range, by: By, grain: Grain) -> Book {
        Book {
            range,
            by,
            grain,
            parties: Parties::default(),
            folded: vec![TimeRange::ALL],
            details: Details::default(),
            cells: Sums::default(),
            cells_max: CELLS_MAX,
            cells_bytes_max: usize::MAX,
            cells_overflowed: false,
            beyond: Beyond::OthersOfDetails,
            condensed: Condensed::default(),
            shown: None,
            is_part: false,
            notes: Notes::new(0, Wish::Newest),
            busy: BusyEdges::default(),
            learnt: Learnt::default(),
            cut_traces: 0,
        }
    }

    /// Counts calls that rows tell of at these times only, ascending and apart, and those of cells at all others.
    pub fn fold_only(&mut self, times: Vec<TimeRange>) {
        self.folded = times;
    }

    /// Has room for so many cells and so many bytes of them, and does so where there are more.
    pub fn bound(&mut self, cells_max: usize, bytes_max: usize, beyond: Beyond) {
        (self.cells_max, self.cells_bytes_max, self.beyond) = (cells_max, bytes_max, beyond);
    }

    /// Knows these parties, and tells apart only what is between two of those given, as far as answers need; of all other calls no
    /// more than a survey does.
    pub fn show_only(&mut self, parties: Parties, ends: HashSet<(PartyId, PartyId)>) {
        (self.parties, self.shown) = (parties, Some(Arc::new(ends)));
    }

    /// The key as far as it is told apart.
    fn as_shown(&self, key: CellKey) -> CellKey {
        let is_shown = |shown: &Arc<HashSet<_>>| shown.contains(&(key.source, key.destination));
        if self.shown.as_ref().is_none_or(is_shown) { key } else { key.surveyed() }
    }

    /// Whether cells are summed up in others, or names as one.
    pub fn is_cut(&self) -> bool {
        !self.condensed.is_empty() || self.parties.overflowed() || self.details.overflowed()
    }

    /// A book without names for what another thread counts by the names of this one. It is to be absorbed before it has
    /// many more cells than this has room for.
    pub fn part(&self) -> Book {
        let (busy, notes, folded) = (self.busy.part(), self.notes.part(), self.folded.clone());
        let (cells_max, shown) = (self.cells_max, self.shown.clone());
        Book {
            is_part: true,
            cells_max,
            shown,
            busy,
            notes,
            folded,
            ..Book::new(self.range, self.by, self.grain)
        }
    }

    /// Bytes taken, about: what cells take, 200 bytes a party, 60 a detail.
    pub fn bytes(&self) -> usize {
        self.cells.bytes() + self.parties.len() * 200 + self.details.count() * 60 + self.notes.bytes()
    }

    /// Whether a part has so many cells that it should be absorbed.
    pub fn is_full(&self) -> bool {
        self.cells.len() >= self.cells_max
    }

    /// Adds all that `part` counted and learnt, and leaves it empty. Sums are of whole numbers, so that no order of
    /// parts changes them.
    pub fn absorb(&mut self, part: &mut Book) {
        for (key, sum) in part.cells.drain() {
            self.change(key, |held| held.merge(&sum));
        }
        self.learnt.absorb(std::mem::take(&mut part.learnt));
        self.busy.absorb(&mut part.busy);
        self.notes.absorb(&mut part.notes);
        self.cut_traces += std::mem::take(&mut part.cut_traces);
    }

    /// Whether calls of this time are folded from rows.
    pub fn is_folded(&self, time: i64) -> bool {
        let next = self.folded.partition_point(|range| range.to.0 <= time);
        self.folded.get(next).is_some_and(|range| range.from.0 <= time)
    }

    /// The minutes in which calls count that rows tell of.
    pub fn counted_minutes(&self) -> CountedMinutes {
        let (from, to) = (self.range.from(), self.range.to());
        let inside = |times: &TimeRange| TimeRange { from: times.from.max(from), to: times.to.min(to) };
        CountedMinutes::of(self.folded.iter().map(inside))
    }

    /// Learns that a callee answered to a word of its caller's, in a call of this time.
    pub fn learn(&mut self, evidence: Evidence, time: i64, word: PartyId, own: PartyId) {
        self.learnt.learn(evidence.words(), time, word, own);
        self.know_as(evidence, time, word, own);
    }

    /// Remembers for the answer alone that a word stands for a callee, in a call of this time.
    pub fn know_as(&mut self, evidence: Evidence, time: i64, word: PartyId, own: PartyId) {
        if let Some(at) = self.slot(time) {
            let (detail, protocol) = (DetailId::NONE, Protocol::Unknown);
            let (source, destination, entry) = (word, own, Entry::Alias);
            let key = CellKey { source, destination, detail, at, evidence, entry, protocol };
            self.add_cell(self.as_shown(key), &Measure::default());
        }
    }

    /// The number of a party, as far as the grouping tells parties apart.
    pub fn intern(&mut self, name: &PartyName<'_>, marks: Marks) -> PartyId {
        let name = PartyName {
            workload: name.workload.filter(|_| self.by.tells_workloads()),
            version: name.version.filter(|_| self.by.tells_versions()),
            ..*name
        };
        self.parties.intern(&name, marks)
    }

    /// Where calls that rows tell of and that start at `time` are summed; `None` outside the range, and where cells
    /// tell of them.
    pub fn slot(&self, time: i64) -> Option<Slot> {
        if self.is_folded(time) { self.slot_of_cell(time) } else { None }
    }

    /// Where cells that start at `time` are summed; `None` outside the range.
    pub fn slot_of_cell(&self, time: i64) -> Option<Slot> {
        let bucket = self.range.bucket_of(time)?;
        Some(Slot { bucket, window: self.range.window_of(time) })
    }

    /// Counts a call on the edge between two parties; outside the range it does nothing.
    pub fn add_edge(&mut self, entry: Entry, ends: (PartyId, PartyId), call: &Call, halves: &Halves) {
        if matches!(entry, Entry::Edge | Entry::Refused) {
            self.busy.add(call.evidence.words(), ends, call.start, call.seen.duration_nano);
        }
        if let Some(key) = self.key(entry, ends, call) {
            self.add(key, &call.seen, halves);
            self.notes.add(key, call.noted(*halves));
        }
    }

    /// Notes a received side, which is counted already, as a call that is on no edge.
    pub fn note_alone(&mut self, entry: Entry, party: PartyId, call: &Call) {
        let halves = Halves { received: 1, expected: 1, ..Halves::default() };
        if let Some(key) = self.key(entry, (PartyId::NOBODY, party), call) {
            self.notes.add(key, call.noted(halves));
        }
    }

    /// Where a call is counted; nowhere outside the range.
    fn key(&self, entry: Entry, (source, destination): (PartyId, PartyId), call: &Call) -> Option<CellKey> {
        let is_without = self.grain.is_by_instance() && entry.is_edge();
        let detail = if is_without { DetailId::NONE } else { call.detail };
        let protocol = if self.grain.tells_ends() { call.seen.protocol } else { Protocol::Unknown };
        let at = self.slot(call.start)?;
        let key = CellKey { source, destination, detail, at, evidence: call.evidence, entry, protocol };
        Some(self.as_shown(key))
    }

    /// Counts a received side at its node, `ends` being caller and callee. Which caller is told apart only where the grain
    /// tells callers.
    pub fn add_received(&mut self, entry: Entry, ends: (PartyId, PartyId), call: &Call) {
        let source = if self.grain.tells_callers() { ends.0 } else { PartyId::NOBODY };
        if let Some(key) = self.key(entry, (source, ends.1), call) {
            self.add(key, &call.seen, &Halves::default());
        }
    }

    /// Adds a received side, which is counted already as nobody's, to those whose parent span is not stored.
    pub fn add_lost(&mut self, entry: Entry, party: PartyId, call: &Call) {
        if let Some(key) = self.key(entry, (PartyId::NOBODY, party), call) {
            self.change(key, |sum| sum.measure.add_lost(call.seen.weight));
        }
    }

    pub fn add(&mut self, key: CellKey, call: &Observation, sides: &Halves) {
        let is_sized = self.grain.tells_ends() && key.evidence == Evidence::Requests && call.sized;
        self.change(key, |sum| {
            sum.measure.add(call);
            sum.measure.add_sides(call.weight, sides);
            if is_sized {
                sum.sizes.get_or_insert_default().add(call);
            }
        });
    }

    /// Adds what is counted already.
    pub fn add_cell(&mut self, key: CellKey, measure: &Measure) {
        self.change(key, |sum| sum.measure.merge(measure));
    }

    /// The same of an amount.
    pub fn add_amount(&mut self, key: CellKey, amount: &Amount<'_>) {
        self.change(key, |sum| amount.add_to(&mut sum.measure));
    }

    /// Changes the cell that calls of `key` are counted in. Nearly always it is there, and then nothing else is looked at.
    fn change(&mut self, key: CellKey, change: impl FnOnce(&mut Sum)) {
        let Some(own) = self.condensed.key(key) else { return };
        let Some(change) = self.cells.change_known(&own, change) else { return };
        if let Some(own) = self.room_for(key) {
            self.cells.change(own, change);
        }
    }

    /// Adds how large requests and responses were of calls that are counted in this cell.
    pub fn add_sizes(&mut self, key: CellKey, sizes: &Sizes) {
        let key = self.condensed.key(key).filter(|_| sizes.request.count() > 0 || sizes.response.count() > 0);
        if let Some(key) = key {
            self.cells.change_known(&key, |sum| sum.sizes.get_or_insert_default().merge(sizes));
        }
    }

    /// How large the requests and responses of a cell were.
    pub fn sizes(&self, key: &CellKey) -> Option<&Sizes> {
        self.cells.get(key).and_then(|sum| sum.sizes.as_deref())
    }

    /// The number of an operation or instance of a call; no text is [`DetailId::NONE`].
    pub fn detail(&mut self, text: Option<&str>) -> DetailId {
        let Some(text) = text else { return DetailId::NONE };
        match DetailId(self.details.of_call(text)) {
            DetailId::OTHER if self.grain.tells_callers() => {
                let mut summary = String::new();
                Detail::read(text).summary().write(&mut summary);
                DetailId(self.details.of_summary(&summary))
            }
            detail => detail,
        }
    }

    /// The same of a span that may not be a call at all: however many there are, those of calls find room.
    pub fn internal_detail(&mut self, text: Option<&str>) -> DetailId {
        text.map_or(DetailId::NONE, |text| DetailId(self.details.of_other_span(text)))
    }

    /// The text of an operation or instance; none where the grain tells none apart.
    pub fn detail_text(&self, id: DetailId) -> Option<&str> {
        (id != DetailId::NONE).then(|| self.details.text(id.0))
    }

    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &Measure)> {
        self.cells.iter().map(|(key, sum)| (key, &sum.measure))
    }

    /// What is counted in these cells.
    pub fn sums(&self) -> &Sums {
        &self.cells
    }

    pub fn cells_overflowed(&self) -> bool {
        self.cells_overflowed
    }

    /// Has no cells any more, and the names that it had.
    pub fn begin_anew(&mut self) {
        drop(self.cells.drain());
        self.learnt = Learnt::default();
    }

    /// Takes all cells out.
    pub fn take_cells(&mut self) -> impl Iterator<Item = (CellKey, Measure)> + use<> {
        self.cells.drain().map(|(key, sum)| (key, sum.measure))
    }
}

/// Of details and the calls of each, the busiest, [`DETAILS_MAX`] at most, sorted by number. What is told apart nowhere, or
/// is summed up already, is none.
pub fn busiest<'a>(
    requests: impl Iterator<Item = (DetailId, u64)>,
    text: impl Fn(DetailId) -> Option<&'a str>,
) -> Vec<DetailId> {
    let mut sums: NumberMap<DetailId, u64> = NumberMap::default();
    for (detail, requests) in requests.filter(|(detail, _)| *detail > DetailId::OTHER) {
        let sum = sums.entry(detail).or_default();
        *sum = sum.saturating_add(requests);
    }
    let mut order: Vec<(u64, DetailId)> = sums.into_iter().map(|(id, requests)| (requests, id)).collect();
    // The text breaks ties: numbers depend on the order in which rows came.
    order.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| text(a.1).cmp(&text(b.1))));
    let mut busiest: Vec<DetailId> = order.into_iter().take(DETAILS_MAX).map(|(_, id)| id).collect();
    busiest.sort_unstable();
    busiest
}

#[cfg(test)]
mod tests {
    use meshlake_schema::{Outcome, UnixNanos};

    use super::*;
    use crate::measure::MILLI;

    const CALL: Observation = Observation {
        weight: MILLI,
        outcome: Outcome::Ok,
        duration_nano: 1,
        timed: false,
        sized: false,
        bytes_in: 0,
        bytes_out: 0,
        protocol: Protocol::Http,
    };

    fn book() -> Book {
        Book::new(
            Range::new(UnixNanos(0), UnixNanos(1), None).expect("not empty"),
            By::Service,
            Grain::Operation,
        )
    }

    fn key(window: u16, detail: DetailId, entry: Entry) -> CellKey {
        CellKey {
            source: PartyId::NOBODY,
            destination: PartyId::NOBODY,
            detail,
            at: Slot { bucket: 0, window },
            evidence: Evidence::Requests,
            entry,
            protocol: Protocol::Unknown,
        }
    }

    #[test]
    fn the_number_of_cells_is_bounded_and_the_bound_is_told() {
        let mut book = book();
        let entries = [Entry::Edge, Entry::Refused, Entry::Received];
        for window in 0..50_000 {
            for entry in entries {
                book.add(key(window, DetailId::NONE, entry), &CALL, &Halves::default());
            }
        }
        assert_eq!((book.cells().count(), book.cells_overflowed()), (CELLS_MAX, false));
        book.add(key(0, DetailId::NONE, Entry::Edge), &CALL, &Halves::default());
        assert!(!book.cells_overflowed(), "a cell that exists takes more");
        book.add(key(60_000, DetailId::NONE, Entry::Edge), &CALL, &Halves::default());
        assert_eq!((book.cells().count(), book.cells_overflowed()), (CELLS_MAX, true));
    }

    #[test]
    fn parts_add_up_and_the_bound_holds_for_their_sum() {
        let mut book = book();
        let mut part = book.part();
        for window in 0..u16::MAX {
            for entry in [Entry::Edge, Entry::Refused, Entry::Received] {
                part.add(key(window, DetailId::NONE, entry), &CALL, &Halves::default());
            }
        }
        assert!(part.is_full() && !part.cells_overflowed(), "a part is absorbed, not cut");
        book.add(key(0, DetailId::NONE, Entry::Edge), &CALL, &Halves::default());
        book.absorb(&mut part);
        assert_eq!((book.cells().count(), book.cells_overflowed()), (CELLS_MAX, true));
        let first = book.cells().find(|(held, _)| **held == key(0, DetailId::NONE, Entry::Edge));
        assert_eq!(first.expect("it was there").1.requests(), 2.0);
        assert_eq!(part.cells().count(), 0);
    }

    /// 160,000 operations of one callee called twice each, in two rounds, and one that is called more often.
    #[test]
    fn the_busiest_operations_keep_their_cells_whole() {
        let mut book = book();
        for number in (0..160_000).chain(0..160_000) {
            let busy = book.detail(Some("busy"));
            let other = book.detail(Some(&format!("op {number}")));
            book.add(key(0, other, Entry::Received), &CALL, &Halves::default());
            if number % 1_000 == 0 {
                book.add(key(0, busy, Entry::Received), &CALL, &Halves::default());
            }
        }
        assert!(!book.cells_overflowed() && book.is_cut());
        let busy = book.detail(Some("busy"));
        let requests = |detail| book.cells().find(|(key, _)| key.detail == detail).map(|(_, m)| m.requests());
        assert_eq!(requests(busy), Some(320.0));
        let told = book.cells().filter(|(key, _)| key.detail > DetailId::OTHER && key.detail != busy);
        let told: Vec<f64> = told.map(|(_, measure)| measure.requests()).collect();
        assert!(told.len() > CELLS_MAX / 4 && told.iter().all(|requests| *requests == 2.0), "{}", told.len());
        let others = requests(DetailId::OTHER).expect("there are some");
        assert_eq!(others + told.iter().sum::<f64>() + 320.0, 320_320.0, "nothing is left out");
    }

    #[test]
    fn names_of_spans_that_are_no_calls_take_no_room_from_those_that_are() {
        let mut book = book();
        for number in 0..=crate::details::DETAILS_HELD_MAX {
            book.internal_detail(Some(&format!("work {number}")));
        }
        assert_eq!(book.internal_detail(Some("one more")), DetailId::OTHER);
        let call = book.detail(Some("GET /"));
        assert_eq!(book.detail_text(call), Some("GET /"));
        assert_eq!(book.internal_detail(Some("GET /")), call);
        let none = book.detail(None);
        assert_eq!(book.detail_text(none), None);
    }
}
