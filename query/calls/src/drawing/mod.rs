//! Sums calls up in the nodes and edges of a picture, once it is known what they are called and which evidence counts.
//!
//! ```text
//! survey of all cells                -> names, choices -> where each cell goes
//! cells of rows, then settled ones   -> sums by node and edge -> picture
//! ```
//! Only what is shown is held with its latencies. Limit: [`CELLS_MAX`] such sums.

mod sheet;

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::RecordBatch;
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

use self::sheet::{Place, Sheet};
use crate::by_line::ByLine;
use crate::cell_key::{CellKey, Evidence};
use crate::cells::{Book, DETAILS_MAX};
use crate::choice::{Choice, Choices, Source};
use crate::entry::Entry;
use crate::error::FoldError;
use crate::frame::Frame;
use crate::held::Granted;
use crate::measure::MILLI;
use crate::named::{Named, sorted};
use crate::nodes::{NodeIdentity, ids};
use crate::noted::Wish;
use crate::one_call::CallSeen;
use crate::packed::Amount;
use crate::party::{Parties, PartyId};
use crate::picture::Picture;
use crate::placed::{EdgeChoices, Placed, choices, lost, may_count, place, used};
use crate::services::{ServiceId, Services};
use crate::settled::decode;
use crate::settled::digest::Digested;
use crate::survey::Survey;

/// Names that settled cells are looked up by; where there are more, all are read. A service has a few, and a test of so
/// many costs less than reading what it leaves out. Guess, not measured.
const NAMES_MAX: usize = 200;

/// A picture that cells are still added to.
#[derive(Debug)]
pub struct Drawing {
    /// For names of what is told apart.
    book: Book,
    source: Source,
    frame: Frame,
    places: ByLine<Place>,
    nodes: Vec<NodeIdentity>,
    /// Of nodes: they are shown whether they received calls or not.
    is_known: Vec<bool>,
    sheet: Sheet,
    calls: Vec<CallSeen>,
    /// Calls of cells that were not surveyed, in thousandths.
    unplaced: u64,
    beside: Granted,
    warnings: Vec<String>,
}

/// What a drawing is made of.
pub(super) struct Counted {
    pub book: Book,
    /// Of settled cells.
    pub survey: Survey,
    pub source: Source,
    pub frame: Frame,
    /// Where memory is taken from.
    pub beside: Granted,
    pub warnings: Vec<String>,
}

/// Between whom calls are shown, by the names that rows have for them.
#[derive(Debug)]
pub struct Shown {
    pub(super) parties: Parties,
    pub(super) ends: HashSet<(PartyId, PartyId)>,
}

impl Drawing {
    /// What of all is shown, for a fold of the same rows that tells more apart; see [`crate::Fold::showing`].
    pub fn into_shown(self) -> Shown {
        let shown = self.places.iter().filter(|(_, place)| place.is_shown());
        let ends = shown.map(|(line, _)| (line.source, line.destination)).collect();
        Shown { parties: self.book.parties, ends }
    }

    /// Chooses among all that was counted, and draws what rows told.
    pub(super) fn of(counted: Counted) -> Result<Drawing, FoldError> {
        let Counted { mut book, mut survey, source, frame, beside, mut warnings } = counted;
        survey.add_all(&book);
        if survey.is_full() {
            return Err(FoldError::TooManyCells);
        }
        let (cells, services) = place(survey, &book.parties, source);
        let choices = choices(&cells);
        let names = ids(&services, &used(&cells));
        let (ends, nodes) = ends(&cells, Named::of(&book, &services, &names));
        let is_asked: Vec<bool> = nodes.iter().map(|node| frame.is_of(node)).collect();
        warnings.extend(lost(&cells));
        if cells
            .iter()
            .any(|cell| cell.line.source == PartyId::OTHER || cell.line.destination == PartyId::OTHER)
        {
            warnings
                .push("some names are not told apart, for there are too many: they are `(other)`".to_owned());
        }
        warnings.extend(told(&choices, &names, |id| {
            nodes.iter().zip(&is_asked).any(|(node, is_asked)| *is_asked && node.service == id)
        }));
        let aim = Aim { services: &services, choices: &choices };
        let (mut calls, mut is_known) = (Vec::new(), vec![false; nodes.len()]);
        let newest_only = book.notes.wish() == Wish::Newest;
        let mut noted = book.notes.take_by(CellKey::surveyed);
        let lists = !noted.is_empty();
        let mut places = ByLine::default();
        for (cell, (source, target)) in cells.iter().zip(ends) {
            let aimed = aim.places(cell, source, target).map(|(window, place)| {
                let counts = place.counts || place.node.is_some();
                for node in source.into_iter().chain([target]).map(|node| node as usize) {
                    is_known[node] |= counts && frame.is_narrow() && is_asked[node];
                }
                // Few questions list calls, and a day has a million cells.
                if lists {
                    let notes = noted.remove(&CellKey::surveyed_of(&cell.line, window)).unwrap_or_default();
                    let notes = if counts || !newest_only { &notes[..] } else { &[] };
                    let ends = (source.map(|source| source as usize), target as usize);
                    calls.extend(CallSeen::of(cell, &services, ends, notes));
                }
                (window, framed(place, &frame, &is_asked))
            });
            places.put(cell.line, aimed, Place::eq);
        }
        let sheet = Sheet::default();
        let mut drawing = Drawing {
            book,
            source,
            frame,
            places,
            nodes,
            is_known,
            sheet,
            calls,
            unplaced: 0,
            beside,
            warnings,
        };
        for (key, measure) in drawing.book.take_cells() {
            if let Some(place) = drawing.places.get(&key) {
                drawing.sheet.add(&place, &key, &Amount::Whole(&measure), &drawing.book);
            }
        }
        drawing.charge()?;
        Ok(drawing)
    }

    /// Adds what is shown of cells of a settled table, which were surveyed: those that begin in one of `times`, which are
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
        let Drawing { book, source, places, sheet, unplaced, .. } = self;
        let place = |key: &CellKey, requests: u64| {
            let place = places.get(key);
            if place.is_none() && may_count(key, *source) {
                *unplaced = unplaced.saturating_add(requests);
            }
            place.filter(Place::is_shown)
        };
        decode::add(batch, table, times, book, place, |book, key, measure, place| {
            sheet.add(&place, &key, &Amount::Whole(measure), book);
        })?;
        self.charge()
    }

    /// Adds the same of cells that are kept.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn add_digests(&mut self, digested: &Digested<'_>) -> Result<(), FoldError> {
        let Drawing { book, source, places, sheet, unplaced, .. } = self;
        digested.add(
            book,
            |line| places.of_line(line),
            |book, key, amount, place| match place {
                Some(place) if place.is_shown() => sheet.add(&place, key, amount, book),
                None if may_count(key, *source) => {
                    *unplaced = unplaced.saturating_add(amount.requests_milli());
                }
                _ => {}
            },
        );
        self.charge()
    }

    /// What rows of settled tables have in common that are shown; more may have it.
    pub fn filter(&self) -> Filter {
        let mut names = [BTreeSet::new(), BTreeSet::new()];
        for (line, place) in self.places.iter().filter(|(_, place)| place.is_shown()) {
            // What ends at a node that is asked for is found by it, and only what begins there by its beginning.
            let ends_there =
                place.node.is_some() || place.edge.is_some_and(|(_, target)| self.is_asked(target));
            let (end, at) = if ends_there { (line.destination, 0) } else { (line.source, 1) };
            if end == PartyId::NOBODY || !self.frame.is_narrow() || names[at].len() >= NAMES_MAX {
                return Filter::And(Vec::new());
            }
            names[at].insert(self.book.parties.party(end).name.as_str());
        }
        let is_in = |column, names: &BTreeSet<&str>| {
            Filter::is_in(column, names.iter().map(|name| Value::Text((*name).to_owned())).collect())
        };
        match names {
            [targets, sources] if sources.is_empty() => is_in("destination_name", &targets),
            [targets, sources] => {
                Filter::Or(vec![is_in("destination_name", &targets), is_in("source_name", &sources)])
            }
        }
    }

    fn is_asked(&self, node: u32) -> bool {
        self.frame.is_of(&self.nodes[node as usize])
    }

    fn charge(&mut self) -> Result<(), FoldError> {
        if self.sheet.overflowed() {
            return Err(FoldError::TooManyCells);
        }
        Ok(self.beside.resize(self.book.bytes() + self.places.bytes() + self.sheet.bytes())?)
    }

    /// The picture of all that was added.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn finish(mut self) -> Result<Picture, FoldError> {
        self.charge()?;
        let Drawing { book, nodes, is_known: mut is_used, sheet, mut calls, unplaced, mut warnings, .. } =
            self;
        let (mut node_cells, mut edge_cells, is_cut) = sheet.shown(&book);
        if is_cut {
            warnings.push(format!(
                "only the busiest operations, instances or values are told apart, {DETAILS_MAX} at most; the rest is `(other)`"
            ));
        }
        if unplaced > 0 {
            warnings.push(format!(
                "{} calls are left out: cells of different widths call them by different names",
                unplaced.div_ceil(MILLI)
            ));
        }
        node_cells.iter().for_each(|cell| is_used[cell.node] = true);
        edge_cells.iter().flat_map(|e| [e.source, e.target]).for_each(|end| is_used[end] = true);
        let ends = calls.iter().flat_map(|call| call.source.into_iter().chain([call.target]));
        ends.for_each(|end| is_used[end] = true);
        let (nodes, new_place) = sorted(&nodes, |place| is_used[place]);
        node_cells.iter_mut().for_each(|cell| cell.node = new_place[cell.node]);
        node_cells.sort_by(|a, b| (a.node, &a.detail, a.bucket).cmp(&(b.node, &b.detail, b.bucket)));
        for edge in &mut edge_cells {
            (edge.source, edge.target) = (new_place[edge.source], new_place[edge.target]);
        }
        edge_cells.sort_by_key(|edge| (edge.source, edge.target, edge.bucket));
        for call in &mut calls {
            call.source = call.source.map(|source| new_place[source]);
            call.target = new_place[call.target];
        }
        Ok(Picture { range: book.range, nodes, node_cells, edge_cells, calls, warnings })
    }
}

/// The nodes at both ends of each cell, by their places.
fn ends(cells: &[Placed], mut named: Named<'_>) -> (Vec<(Option<u32>, u32)>, Vec<NodeIdentity>) {
    let mut node = |service, party| {
        u32::try_from(named.node(service, party)).expect("no more nodes than parties of services")
    };
    let ends = cells.iter().map(|cell| {
        let source = cell.source.map(|source| node(source, cell.line.source));
        (source, node(cell.target, cell.line.destination))
    });
    let ends = ends.collect();
    (ends, named.into_nodes())
}

/// What to say of services whose spans tell of more calls than their proxies do.
fn told<'a>(
    choices: &Choices,
    names: &'a HashMap<ServiceId, String>,
    is_asked: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = String> + 'a {
    let mut excesses = choices.excesses();
    // Numbers of services depend on what was read first, cells or rows.
    excesses.sort_by_key(|excess| (&names[&excess.service], excess.spans, excess.rows));
    excesses.into_iter().filter(move |excess| is_asked(&names[&excess.service])).map(|excess| {
        format!(
            "{}: spans tell of {} calls, proxies of {}; spans are taken, for some calls do not pass its proxy",
            names[&excess.service],
            excess.spans / MILLI,
            excess.rows / MILLI
        )
    })
}

/// What of a place is shown.
fn framed(place: Place, frame: &Frame, is_asked: &[bool]) -> Place {
    let is_asked = |node: u32| is_asked[node as usize];
    Place {
        node: place.node.filter(|node| frame.has_nodes() && is_asked(*node)),
        edge: place.edge.filter(|(from, to)| frame.has_edges() && (is_asked(*from) || is_asked(*to))),
        ..place
    }
}

/// Says where cells go, by what was chosen.
struct Aim<'a> {
    services: &'a Services,
    choices: &'a Choices,
}

impl Aim<'_> {
    /// Where the cells of a line go whose ends are nodes, window by window.
    fn places(&self, cell: &Placed, from: Option<u32>, to: u32) -> impl Iterator<Item = (u16, Place)> {
        let (entry, evidence) = (cell.entry, cell.line.evidence);
        let mut at_node = self.choices.of_node(cell.target);
        let mut on_edge = cell
            .source
            .map(|source| EdgeChoices::of(self.choices, self.services, (source, cell.target)))
            .zip(from);
        cell.told.iter().map(move |(window, _)| {
            let at_node = at_node.choice(*window);
            let Some((on_edge, from)) = &mut on_edge else {
                let node = at_node.counts(evidence, entry).then_some(to);
                return (*window, Place { node, ..Place::default() });
            };
            let (choice, no_reports) = (on_edge.choice(*window), at_node == Choice::EdgesIn);
            (*window, place_of_edge((*from, to), (entry, evidence), choice, no_reports))
        })
    }
}

/// Where cells of an edge go between nodes `ends`, and whether to the node, of which there are no reports.
fn place_of_edge(
    ends: (u32, u32),
    (entry, evidence): (Entry, Evidence),
    choice: Choice,
    no_reports: bool,
) -> Place {
    if matches!(entry, Entry::Carrying | Entry::CarryingTraced) {
        // What connections told of calls that spans tell of, which know no bytes.
        let is_bytes = choice == Choice::Of(Evidence::Spans);
        let node = (is_bytes && no_reports).then_some(ends.1);
        return Place { node, edge: Some(ends).filter(|_| is_bytes), counts: false, is_bytes };
    }
    let counts = choice.counts(evidence, entry);
    let node = (counts && no_reports && entry != Entry::Refused).then_some(ends.1);
    Place { node, edge: Some(ends), counts, is_bytes: false }
}
