//! Adds up parts of what was counted, those that are wanted: where these are few, few cells need be read.
//!
//! ```text
//! survey of all cells               -> names -> which cells are wanted
//! cells of rows, then settled ones  -> sums  -> parts
//! ```

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

use crate::by_line::ByLine;
use crate::cell_key::{CellKey, Line, Slot};
use crate::cells::Book;
use crate::choice::Source;
use crate::entry::Entry;
use crate::error::FoldError;
use crate::hashing::NumberMap;
use crate::held::Granted;
use crate::measure::{MILLI, Measure};
use crate::named::{Named, sorted};
use crate::nodes::{NodeIdentity, ids};
use crate::packed::Amount;
use crate::parts::{Group, Part, Parts};
use crate::parts_frame::{End, PartsFrame};
use crate::party::PartyId;
use crate::placed::{may_count, place, used};
use crate::settled::decode;
use crate::settled::digest::Digested;
use crate::survey::Survey;

/// Names that cells are looked up by; see `drawing`, where it is the same.
const NAMES_MAX: usize = 200;

/// Parts that cells are still added to.
#[derive(Debug)]
pub struct Assembly {
    book: Book,
    source: Source,
    wanted: PartsFrame,
    places: ByLine<Place>,
    nodes: Vec<NodeIdentity>,
    /// Calls of cells that were not surveyed, in thousandths.
    unplaced: u64,
    beside: Granted,
    warnings: Vec<String>,
}

/// Between which nodes the calls of a cell are.
#[derive(Debug, Clone, Copy)]
struct Place {
    source: Option<usize>,
    target: usize,
    entry: Entry,
    /// By which end it is wanted; none where it is not.
    end: Option<End>,
}

/// What parts are made of.
pub(super) struct Surveyed {
    pub book: Book,
    /// Of settled cells.
    pub survey: Survey,
    pub source: Source,
    /// Where memory is taken from.
    pub beside: Granted,
    pub warnings: Vec<String>,
}

impl Assembly {
    /// Names all that was counted or surveyed.
    pub(super) fn of(surveyed: Surveyed, wanted: PartsFrame) -> Result<Assembly, FoldError> {
        let Surveyed { book, mut survey, source, beside, warnings } = surveyed;
        survey.add_all(&book);
        if survey.is_full() {
            return Err(FoldError::TooManyCells);
        }
        let (cells, services) = place(survey, &book.parties, source);
        let names = ids(&services, &used(&cells));
        let mut named = Named::of(&book, &services, &names);
        let ends = cells.iter().map(|cell| {
            let source = cell.caller.map(|caller| named.node(caller, cell.line.source));
            (source, named.node(cell.target, cell.line.destination))
        });
        let ends: Vec<(Option<usize>, usize)> = ends.collect();
        let nodes = named.into_nodes();
        let places = ByLine::of(cells.iter().zip(ends).map(|(cell, (source, target))| {
            let end = wanted.end(source.map(|source| &nodes[source]), &nodes[target]);
            (cell.line, &cell.told[..], Place { source, target, entry: cell.entry, end })
        }));
        let mut assembly = Assembly { book, source, wanted, places, nodes, unplaced: 0, beside, warnings };
        assembly.charge()?;
        Ok(assembly)
    }

    /// Adds what is wanted of cells of a settled table, which were surveyed: those that begin in one of `times`, which are
    /// ascending and apart.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn add_cells(
        &mut self,
        table: Table,
        batch: &RecordBatch,
        times: &[TimeRange],
    ) -> Result<(), FoldError> {
        let Assembly { book, source, places, unplaced, .. } = self;
        let place = |key: &CellKey, requests: u64| {
            let runs = places.of_line(&key.line());
            let run = runs.run_of(key.at.window);
            if run.is_none() && may_count(key, *source) {
                *unplaced = unplaced.saturating_add(requests);
            }
            // Ten minutes with one place are told apart no more: a day has 144 of them.
            run.filter(|run| runs.value(*run).end.is_some()).map(|run| runs.first(run))
        };
        let put = |book: &mut Book, key: CellKey, amount: &Amount<'_>, window| {
            book.add_amount(CellKey { at: Slot { window, ..key.at }, ..key }, amount);
        };
        decode::add(batch, table, times, book, place, put)?;
        self.charge()
    }

    /// The same of cells that are kept.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn add_digests(&mut self, digested: &Digested<'_>) -> Result<(), FoldError> {
        let Assembly { book, source, wanted, places, unplaced, .. } = self;
        let mut sums: NumberMap<CellKey, Measure> = NumberMap::default();
        let of_line = |line: &Line| {
            let runs = places.of_line(line);
            let is_unwanted = !runs.is_empty() && runs.values().all(|place| place.end.is_none());
            (!is_unwanted).then_some(runs)
        };
        let put = |_: &Book, key: &CellKey, amount: &Amount<'_>, place: Option<Place>| match place {
            Some(place) if place.end.is_some() => amount.add_to(sums.entry(*key).or_default()),
            None if may_count(key, *source) => {
                *unplaced = unplaced.saturating_add(amount.requests_milli());
            }
            _ => {}
        };
        if wanted.without_latencies {
            digested.add_sums(book, of_line, put);
        } else {
            digested.add(book, of_line, put);
        }
        for (key, measure) in sums {
            book.add_cell(key, &measure);
        }
        self.charge()
    }

    /// What rows of settled tables have in common that are wanted, more may have it; none where no row is.
    pub fn filter(&self) -> Option<Filter> {
        let mut names = [BTreeSet::new(), BTreeSet::new()];
        for (line, place) in self.places.iter() {
            let (end, at) = match place.end {
                Some(End::Callee) => (line.destination, 0),
                Some(End::Caller) => (line.source, 1),
                None => continue,
            };
            if end == PartyId::NOBODY || !self.wanted.is_narrow() || names[at].len() >= NAMES_MAX {
                return Some(Filter::And(Vec::new()));
            }
            names[at].insert(self.book.parties.party(end).name.as_str());
        }
        let columns = ["destination_name", "source_name"].into_iter().zip(names);
        let has_names = columns.filter(|(_, names)| !names.is_empty());
        let is_in = |(column, names): (_, BTreeSet<&str>)| {
            Filter::is_in(column, names.into_iter().map(|name| Value::Text(name.to_owned())).collect())
        };
        let mut filters: Vec<Filter> = has_names.map(is_in).collect();
        if filters.len() > 1 { Some(Filter::Or(filters)) } else { filters.pop() }
    }

    /// What is read of settled cells.
    pub fn reading(&self) -> decode::Reading {
        let grain = self.book.grain;
        if self.wanted.without_latencies {
            decode::Reading::Counted(grain)
        } else {
            decode::Reading::Whole(grain)
        }
    }

    fn charge(&mut self) -> Result<(), FoldError> {
        if self.book.cells_overflowed() {
            return Err(FoldError::TooManyCells);
        }
        Ok(self.beside.resize(self.book.bytes() + self.places.bytes())?)
    }

    /// The parts of all that was added.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn finish(mut self) -> Result<Parts, FoldError> {
        self.charge()?;
        let Assembly { book, places, nodes, unplaced, mut warnings, .. } = self;
        let mut sums = BTreeMap::new();
        for (key, measure) in book.cells() {
            let Some(place) = places.get(key).filter(|place| place.end.is_some()) else {
                continue;
            };
            let detail = book.detail_text(key.detail).unwrap_or_default();
            let group = (place.target, place.source, place.entry, key.evidence, detail, key.at.bucket);
            sums.entry(group).or_insert_with(Measure::default).merge(measure);
        }
        sums.retain(|_, measure| measure.requests_milli() > 0);
        let (nodes, new_place) = sorted(&nodes, |_| true);
        let part =
            |((target, source, entry, evidence, detail, bucket), measure): (Group<'_>, Measure)| Part {
                source: source.map(|source| new_place[source]),
                target: new_place[target],
                entry,
                evidence,
                detail: detail.to_owned(),
                bucket,
                measure,
            };
        let mut parts: Vec<Part> = sums.into_iter().map(part).collect();
        parts.sort_by(|a, b| a.key().cmp(&b.key()));
        if unplaced > 0 {
            warnings.push(format!(
                "{} calls are left out: cells of different widths call them by different names",
                unplaced.div_ceil(MILLI)
            ));
        }
        Ok(Parts { range: book.range, nodes, parts, warnings })
    }
}

#[cfg(test)]
mod tests;
