//! Sums calls up in the nodes and edges of a picture, once it is known what they are called and which evidence counts.
//!
//! ```text
//! survey of all cells                -> names, choices -> where each cell goes
//! cells of rows, then settled ones   -> sums by node and edge -> picture
//! ```
//! Only what is shown is held with its latencies. Limit: [`CELLS_MAX`] such sums.

mod aim;
mod sheet;
mod outline;

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::RecordBatch;
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

use self::aim::{Aim, Aimed};
use self::sheet::{Place, Sheet};
use crate::by_line::ByLine;
use crate::cell_key::{CellKey, Line};
use crate::cells::{Book, DETAILS_MAX};
use crate::choice::{Choices, Source};
use crate::error::FoldError;
use crate::frame::Frame;
use crate::held::Granted;
use crate::measure::MILLI;
use crate::named::{Named, sorted};
use crate::nodes::{NodeIdentity, ids};
use crate::one_call::CallSeen;
use crate::packed::Amount;
use crate::party::{Parties, PartyId};
use crate::picture::{Outlined, Picture};
use crate::placed::{Placed, choices, lost, may_count, place, used};
use crate::services::ServiceId;
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
    /// Of nodes: what the frame is of.
    is_asked: Vec<bool>,
    /// Of nodes: they are shown whether they received calls or not.
    is_known: Vec<bool>,
    /// Edges that are not shown, where the frame says that they are told.
    outlined: Vec<Outlined>,
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
        warnings.extend(lost(&cells));
        if cells
            .iter()
            .any(|cell| cell.line.source == PartyId::OTHER || cell.line.destination == PartyId::OTHER)
        {
            warnings
                .push("some names are not told apart, for there are too many: they are `(other)`".to_owned());
        }
        let aim = Aim { services: &services, choices: &choices };
        let Aimed { mut places, outline, is_told, calls } =
            aim.all(&cells, &ends, nodes.len(), &mut book.notes);
        let is_asked = frame.asked(&nodes, outline.edges());
        places.change(|place| *place = framed(*place, &frame, &is_asked));
        warnings.extend(told(&choices, &names, |id| {
            nodes.iter().zip(&is_asked).any(|(node, is_asked)| *is_asked && node.service == id)
        }));
        let (is_known, outlined) = if frame.has_outline() {
            (outline.is_used(), outline.left_out(&frame, &is_asked).collect())
        } else {
            let is_known = is_told.iter().zip(&is_asked).map(|(told, asked)| *told && *asked);
            (is_known.map(|known| known && frame.is_narrow()).collect(), Vec::new())
        };
        let sheet = Sheet::default();
        let mut drawing = Drawing {
            book,
            source,
            frame,
            places,
            nodes,
            is_asked,
            is_known,
            outlined,
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
        decode::add(batch, table, times, book, place, |book, key, amount, place| {
            sheet.add(&place, &key, amount, book);
        })?;
        self.charge()
    }

    /// Adds the same of cells that are kept.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn add_digests(&mut self, digested: &Digested<'_>) -> Result<(), FoldError> {
        let Drawing { book, source, frame, places, sheet, unplaced, .. } = self;
        let of_line = |line: &Line| {
            let runs = places.of_line(line);
            let is_hidden = !runs.is_empty() && !runs.values().any(Place::is_shown);
            (!is_hidden).then_some(runs)
        };
        let put = |book: &Book, key: &CellKey, amount: &Amount<'_>, place: Option<Place>| match place {
            Some(place) if place.is_shown() => sheet.add(&place, key, amount, book),
            None if may_count(key, *source) => {
                *unplaced = unplaced.saturating_add(amount.requests_milli());
            }
            _ => {}
        };
        if frame.has_latencies() {
            digested.add(book, of_line, put);
        } else {
            digested.add_sums(book, of_line, put);
        }
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
        self.is_asked[node as usize]
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
        let Drawing { book, nodes, is_known: mut is_used, mut outlined, sheet, mut calls, .. } = self;
        let (unplaced, mut warnings) = (self.unplaced, self.warnings);
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
        for edge in &mut outlined {
            (edge.source, edge.target) = (new_place[edge.source], new_place[edge.target]);
        }
        outlined.sort_by_key(|edge| (edge.source, edge.target));
        for call in &mut calls {
            call.source = call.source.map(|source| new_place[source]);
            call.target = new_place[call.target];
        }
        Ok(Picture { range: book.range, nodes, node_cells, edge_cells, outlined, calls, warnings })
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
        edge: place.edge.filter(|(from, to)| frame.shows_edge(is_asked(*from), is_asked(*to))),
        ..place
    }
}
