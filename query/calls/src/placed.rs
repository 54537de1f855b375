//! Brings the ends of cells to the services that they are, under their own names.
//!
//! Names are read once all cells are there: what a name stands for, and whose alias it is, is told by the ends of the calls
//! of an answer and by nothing else.

use crate::aliases::Aliases;
use crate::cell_key::{CellKey, Evidence};
use crate::choice::{Choice, Choices, Source};
use crate::entry::Entry;
use crate::hosts::is_address;
use crate::measure::MILLI;
use crate::party::{Marks, Parties, PartyId};
use crate::services::{ServiceId, Services};
use crate::survey::{Counted, Survey};

/// Share of received calls without their parent from which the answer says so: the newest spans of a live
/// system always miss a few.
const LOST_RATIO_TOLD: f64 = 0.01;

/// A cell with its ends brought to their services; no source at a node.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// As it was surveyed.
    pub surveyed: CellKey,
    /// What it is to the question.
    pub key: CellKey,
    pub counted: Counted,
    pub source: Option<ServiceId>,
    /// Who called, of a node's cell too where it tells.
    pub caller: Option<ServiceId>,
    pub target: ServiceId,
}

/// The services that the ends of calls are among themselves, and no others: what an answer calls them must not depend
/// on whether it was made of rows or of cells.
fn known(survey: &Survey, parties: &Parties, source: Source) -> Services {
    let mut is_end = vec![false; parties.len()];
    for (key, _) in survey.cells().filter(|(key, _)| source.allows(key.evidence)) {
        is_end[key.source.index()] = true;
        is_end[key.destination.index()] = true;
    }
    Services::resolve_among(parties, |party| is_end[party.index()])
}

fn aliases(survey: &Survey, services: &Services, source: Source) -> Aliases {
    let mut aliases = Aliases::default();
    let learnt = survey.cells().filter(|(key, _)| key.entry == Entry::Alias && source.allows(key.evidence));
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

/// Whether cells of this key may count in an answer derived from `source`.
pub fn may_count(key: &CellKey, source: Source) -> bool {
    key.entry != Entry::Alias && source.allows(key.evidence)
}

/// Every cell that a question may count, with its ends brought to their services, sorted by key; and the services.
pub fn place(survey: &Survey, parties: &Parties, source: Source) -> (Vec<Placed>, Services) {
    let mut services = known(survey, parties, source);
    let aliases = aliases(survey, &services, source);
    let cells = survey.cells().filter(|(key, _)| may_count(key, source));
    let mut cells: Vec<Placed> = cells
        .map(|(surveyed, counted)| {
            let key = asked(*surveyed, source);
            let placed = |source, caller, target| Placed {
                surveyed: *surveyed,
                key,
                counted: *counted,
                source,
                caller,
                target,
            };
            let window = key.at.window;
            let own = aliases.resolve_in(window, services.of(key.destination), &services);
            if !key.entry.is_edge() && key.source == PartyId::NOBODY {
                return placed(None, None, own);
            }
            let caller = services.at(key.source, own, parties);
            let caller = aliases.resolve_in(window, caller, &services);
            if !key.entry.is_edge() {
                return placed(None, Some(caller), own);
            }
            let callee = services.at(key.destination, caller, parties);
            let target = aliases.resolve_in(window, callee, &services);
            placed(Some(caller), Some(caller), target)
        })
        .collect();
    cells.sort_unstable_by_key(|cell| cell.key);
    (cells, services)
}

/// The services at the ends of cells, ascending.
pub fn used(cells: &[Placed]) -> Vec<ServiceId> {
    let ends = cells.iter().flat_map(|cell| cell.caller.into_iter().chain([cell.target]));
    let mut used: Vec<ServiceId> = ends.collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// Which evidence counts of each node and edge.
pub fn choices(cells: &[Placed]) -> Choices {
    let mut choices = Choices::default();
    for Placed { key, counted, source, target, .. } in cells {
        let (window, entry, evidence) = (key.at.window, key.entry, key.evidence);
        match source {
            None => choices.see_node(*target, window, entry, evidence, counted.requests),
            Some(source) => choices.see_edge((*source, *target), window, entry, evidence, counted.requests),
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
pub fn lost(cells: &[Placed]) -> Option<String> {
    let received = cells.iter().filter(|cell| {
        let is_received = matches!(cell.key.entry, Entry::Received | Entry::ReceivedMessages);
        is_received && cell.key.evidence == Evidence::Spans
    });
    let sums =
        received.fold((0, 0), |sums, cell| (sums.0 + cell.counted.lost, sums.1 + cell.counted.requests));
    let (lost, received) = (sums.0 / MILLI, sums.1 / MILLI);
    (sums.0 as f64 > sums.1 as f64 * LOST_RATIO_TOLD).then(|| {
        format!(
            "{lost} of {received} received calls have a parent span that is not stored; they are on no edge"
        )
    })
}
