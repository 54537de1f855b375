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
use crate::cell_key::{CellKey, Line};
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
            let place = places.get(key);
            if place.is_none() && may_count(key, *source) {
                *unplaced = unplaced.saturating_add(requests);
            }
            place.and_then(|place| place.end)
        };
        let put = |book: &mut Book, key, amount: &Amount<'_>, _| book.add_amount(key, amount);
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
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use meshlake_schema::UnixNanos;

    use super::*;
    use crate::fixture::{self, CALL, CLIENT, Request, SERVED, SPAN, Span};
    use crate::settled::lines::Lines;
    use crate::{By, Fold, Grain, Question, Range, Settled, Told};

    fn question(by: By, grain: Grain) -> Question {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let step = (by == By::Whole).then_some(Duration::from_secs(10));
        let range = Range::new(at(600), at(1_200), step).expect("not empty");
        Question { range, by, grain, source: Source::Auto }
    }

    fn asked() -> Question {
        question(By::Service, Grain::Told(Told::FLAGS.with(Told::CODE)))
    }

    /// Somebody outside calls a gateway, which calls a, which calls b and c; one call to b is refused on its way. And a calls d twice by
    /// an address, of which d tells once. Spans tell of one more call of a's.
    fn rows() -> (Vec<Request>, Vec<Span>) {
        let served = |name, request_id| Request { destination: ("default", name), request_id, ..SERVED };
        let made = |name, request_id| Request { destination: ("default", name), request_id, ..CALL };
        let gateway = Request { observer: "gateway", source: ("istio-system", "ingress"), ..made("a", "0") };
        let rows = vec![
            gateway,
            made("b", "1"),
            served("b", "1"),
            made("c", "2"),
            served("c", "2"),
            Request { flags: "UO", outcome: "error", code: 503, attempts: 0, ..made("b", "3") },
            Request { destination: ("", "10.9.9.9"), request_id: "4", ..CALL },
            served("d", "4"),
            Request { destination: ("", "10.9.9.9"), request_id: "5", ..CALL },
        ];
        (rows, vec![Span { kind: CLIENT, peer_service: "b", ..SPAN }])
    }

    fn settled() -> Settled {
        let (rows, spans) = rows();
        let mut fold = Fold::new(question(By::Whole, Grain::Whole));
        fold.add_requests(&fixture::requests(&rows));
        fold.add_spans(&fixture::spans(&spans));
        fold.settle().expect("a few cells")
    }

    /// Those of settled cells, and how many rows were looked at that the filter lets through.
    fn of_cells(wanted: &PartsFrame, table: Table) -> (Parts, Option<Filter>) {
        let cells = settled().rows(table, "default", UnixNanos(0)).expect("columns of the table");
        let mut fold = Fold::new(asked()).fold_only(Vec::new());
        fold.survey_cells(cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
        let mut assembly = fold.assembly(wanted.clone()).expect("a few cells");
        let filter = assembly.filter();
        assembly.add_cells(table, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
        (assembly.finish().expect("a few cells"), filter)
    }

    /// The same by what is kept of those cells.
    fn of_digests(wanted: &PartsFrame, table: Table) -> Parts {
        let cells = settled().rows(table, "default", UnixNanos(0)).expect("columns of the table");
        let step = Duration::from_secs(table.cell_seconds().expect("it has cells").into());
        let Question { range, .. } = asked();
        let range = Range::new(range.from(), range.to(), Some(step)).expect("not empty");
        let digest = |grain| {
            let mut lines = Lines::default();
            let mut fold = Fold::new(Question { range, grain, ..asked() }).fold_only(Vec::new());
            fold.add_cells(table, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
            let digest = fold.digest(&mut lines).expect("a few cells").expect("a few lines");
            (lines, [Arc::new(digest)])
        };
        let times = &[TimeRange::ALL];
        let (lines, digests) = digest(Grain::Told(Told::NOTHING));
        let mut fold = Fold::new(asked()).fold_only(Vec::new());
        fold.survey_digests(&Digested { lines: &lines, digests: &digests, times }).expect("a few cells");
        let mut assembly = fold.assembly(wanted.clone()).expect("a few cells");
        let (lines, digests) = digest(asked().grain);
        assembly.add_digests(&Digested { lines: &lines, digests: &digests, times }).expect("a few cells");
        assembly.finish().expect("a few cells")
    }

    fn of_rows() -> Parts {
        let (rows, spans) = rows();
        let mut fold = Fold::new(asked());
        fold.add_requests(&fixture::requests(&rows));
        fold.add_spans(&fixture::spans(&spans));
        fold.finish_parts().expect("a few cells")
    }

    fn name(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    /// What is wanted of all parts is what is told, to the last latency, and by the same names.
    #[test]
    fn what_is_wanted_is_as_in_the_whole() {
        let whole = of_rows();
        assert!(whole.parts.len() > 8, "{whole:?}");
        let all = PartsFrame::default();
        let cases = [
            (all.clone(), whole.parts.len()),
            (PartsFrame { service: name("b"), ..all.clone() }, 4),
            (PartsFrame { server: name("c"), ..all.clone() }, 2),
            (PartsFrame { client: name("ingress"), ..all.clone() }, 1),
            (PartsFrame { service: name("d"), ..all.clone() }, 2),
            (PartsFrame { at_gateways: true, ..all.clone() }, 3),
            (PartsFrame { service: name("nobody"), ..all }, 0),
        ];
        for (wanted, count) in cases {
            for table in Table::settled() {
                let (parts, _) = of_cells(&wanted, table);
                let is_wanted = |part: &&Part| {
                    wanted.wants(part.source.map(|source| &whole.nodes[source]), &whole.nodes[part.target])
                };
                let want: Vec<Part> = whole.parts.iter().filter(is_wanted).cloned().collect();
                assert_eq!((&parts.nodes, &parts.parts), (&whole.nodes, &want), "{wanted:?}");
                assert_eq!(parts.parts.len(), count, "{wanted:?}: {:?}", parts.parts);
                assert_eq!(of_digests(&wanted, table), parts, "{wanted:?}, {}", table.name());
            }
        }
    }

    #[test]
    fn cells_are_found_by_all_names_of_an_end() {
        let is_in = |column: &str, names: &[&str]| {
            Filter::is_in(column, names.iter().map(|name| Value::Text((*name).to_owned())).collect())
        };
        let filter = |wanted: PartsFrame| of_cells(&wanted, Table::Calls10m).1;
        let all = PartsFrame::default();
        assert_eq!(filter(all.clone()), Some(Filter::And(Vec::new())));
        assert_eq!(
            filter(PartsFrame { server: name("d"), ..all.clone() }),
            Some(is_in("destination_name", &["10.9.9.9", "d"]))
        );
        assert_eq!(
            filter(PartsFrame { client: name("ingress"), ..all.clone() }),
            Some(is_in("source_name", &["ingress"]))
        );
        assert_eq!(filter(PartsFrame { service: name("nobody"), ..all }), None);
    }

    #[test]
    fn counts_are_told_without_latencies() {
        let table = Table::Calls10m;
        let cells = settled().rows(table, "default", UnixNanos(0)).expect("columns of the table");
        let wanted = PartsFrame { without_latencies: true, ..PartsFrame::default() };
        let mut fold = Fold::new(asked()).fold_only(Vec::new());
        fold.survey_cells(cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
        let mut assembly = fold.assembly(wanted).expect("a few cells");
        let names = decode::columns(table, assembly.reading());
        assert!(!names.iter().any(|name| name.contains("latency")), "{names:?}");
        let places = names.iter().map(|name| cells.rows().schema().index_of(name).expect("a column"));
        let read = cells.rows().project(&places.collect::<Vec<_>>()).expect("columns of the batch");
        assembly.add_cells(table, &read, &[TimeRange::ALL]).expect("columns of the table");
        let counts = |parts: Parts| {
            let count = |part: Part| (part.detail, part.measure.requests_milli(), part.measure.errors());
            parts.parts.into_iter().map(count).collect::<Vec<_>>()
        };
        assert_eq!(counts(assembly.finish().expect("a few cells")), counts(of_rows()));
    }
}
