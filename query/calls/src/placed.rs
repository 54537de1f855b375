//! Brings the ends of cells to the services that they are, under their own names.
//!
//! Names are read once all cells are there: what a name stands for, and whose alias it is, is told by the ends of the calls
//! of an answer and by nothing else.

use crate::aliases::Aliases;
use crate::cells::{Book, CellKey, Evidence};
use crate::choice::{Choice, Choices, Source};
use crate::entry::Entry;
use crate::hosts::is_address;
use crate::measure::{MILLI, Measure};
use crate::party::{Marks, PartyId};
use crate::services::{ServiceId, Services};

/// Share of received calls without their parent from which the answer says so: the newest spans of a live
/// system always miss a few.
const LOST_RATIO_TOLD: f64 = 0.01;

/// A cell with its ends brought to their services; no source at a node.
pub struct Placed<'a> {
    pub key: CellKey,
    pub measure: &'a Measure,
    pub source: Option<ServiceId>,
    /// Who called, of a node's cell too where it tells.
    pub caller: Option<ServiceId>,
    pub target: ServiceId,
}

/// The services that the ends of calls are among themselves, and no others: what an answer calls them must not depend
/// on whether it was made of rows or of cells.
pub fn known(book: &Book, source: Source) -> Services {
    let mut is_end = vec![false; book.parties.len()];
    for (key, _) in book.cells().filter(|(key, _)| source.allows(key.evidence)) {
        is_end[key.source.index()] = true;
        is_end[key.destination.index()] = true;
    }
    Services::resolve_among(&book.parties, |party| is_end[party.index()])
}

fn aliases(book: &Book, services: &Services, source: Source) -> Aliases {
    let mut aliases = Aliases::default();
    let learnt = book.cells().filter(|(key, _)| key.entry == Entry::Alias && source.allows(key.evidence));
    for (key, _) in learnt {
        let (word, own) = (services.of(key.source), services.of(key.destination));
        if is_address(&services.service(word).name) {
            aliases.learn_address(key.at.window, word, own);
        } else {
            aliases.learn(word, own);
        }
    }
    aliases
}

/// What a cell is to a question: where spans are not asked for, they cover no connection.
fn asked(key: CellKey, source: Source) -> CellKey {
    let is_bare = source == Source::Requests && key.entry == Entry::CarryingTraced;
    CellKey { entry: if is_bare { Entry::Connections } else { key.entry }, ..key }
}

/// Every cell that a question may count, with its ends brought to their services, sorted by key.
pub fn place<'a>(book: &'a Book, services: &mut Services, source: Source) -> Vec<Placed<'a>> {
    let aliases = &aliases(book, services, source);
    let counts = |key: &CellKey| key.entry != Entry::Alias && source.allows(key.evidence);
    let cells = book.cells().map(|(key, measure)| (asked(*key, source), measure));
    let cells = cells.filter(|(key, _)| counts(key));
    let mut cells: Vec<Placed<'a>> = cells
        .map(|(key, measure)| {
            let window = key.at.window;
            let own = aliases.resolve_in(window, services.of(key.destination), services);
            if !key.entry.is_edge() && key.source == PartyId::NOBODY {
                return Placed { key, measure, source: None, caller: None, target: own };
            }
            let caller = services.at(key.source, own, &book.parties);
            let caller = aliases.resolve_in(window, caller, services);
            if !key.entry.is_edge() {
                return Placed { key, measure, source: None, caller: Some(caller), target: own };
            }
            let callee = services.at(key.destination, caller, &book.parties);
            let target = aliases.resolve_in(window, callee, services);
            Placed { key, measure, source: Some(caller), caller: Some(caller), target }
        })
        .collect();
    cells.sort_by_key(|cell| cell.key);
    cells
}

/// Which evidence counts of each node and edge.
pub fn choices(cells: &[Placed<'_>]) -> Choices {
    let mut choices = Choices::default();
    for Placed { key, measure, source, target, .. } in cells {
        let (window, entry, evidence) = (key.at.window, key.entry, key.evidence);
        match source {
            None => choices.see_node(*target, window, entry, evidence, measure),
            Some(source) => choices.see_edge((*source, *target), window, entry, evidence, measure),
        }
    }
    choices
}

/// Which entries of an edge count. Callers that nobody names in spans may be named by the callee's proxy: where it writes
/// rows, and none for an unknown caller, spans of one are calls of somebody known.
pub fn choice_of_edge(
    choices: &Choices,
    services: &Services,
    (source, target): (ServiceId, ServiceId),
    window: u16,
) -> Choice {
    let edge = choices.edge(source, target, window);
    let is_caller = services.service(source).marks.has(Marks::CALLER);
    match choices.node(target, window) {
        Choice::EdgesIn => edge,
        node if is_caller && !choices.edge_has_rows(source, target, window) => node,
        _ => edge,
    }
}

/// What to say where more than a few received calls have a parent span that is not stored.
pub fn lost(cells: &[Placed<'_>]) -> Option<String> {
    let received = cells.iter().filter(|cell| {
        let is_received = matches!(cell.key.entry, Entry::Received | Entry::ReceivedMessages);
        is_received && cell.key.evidence == Evidence::Spans
    });
    let sums = received.fold((0, 0), |sums, cell| {
        (sums.0 + cell.measure.lost_milli(), sums.1 + cell.measure.requests_milli())
    });
    let (lost, received) = (sums.0 / MILLI, sums.1 / MILLI);
    (sums.0 as f64 > sums.1 as f64 * LOST_RATIO_TOLD).then(|| {
        format!(
            "{lost} of {received} received calls have a parent span that is not stored; they are on no edge"
        )
    })
}
