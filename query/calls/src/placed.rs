//! Brings the ends of cells to the services that they are, under their own names.
//!
//! Names are read once all cells are there: what a name stands for, and whose alias it is, is told by the ends of the calls
//! of an answer and by nothing else. It is asked once for all cells of a line, but for those whose end is an address, which may be
//! another's ten minutes later.

use crate::aliases::Aliases;
use crate::cell_key::{CellKey, Evidence, Line};
use crate::choice::{Asked, Choice, Choices, Source, ToldOf};
use crate::entry::Entry;
use crate::hosts::is_address;
use crate::measure::MILLI;
use crate::party::{Marks, Parties, PartyId};
use crate::services::{ServiceId, Services};
use crate::survey::{ByWindow, Survey};

/// Share of received calls without their parent from which the answer says so: the newest spans of a live
/// system always miss a few.
const LOST_RATIO_TOLD: f64 = 0.01;

/// Cells of one line with their ends brought to their services; no source at a node.
#[derive(Debug, Clone)]
pub struct Placed {
    /// As they were surveyed.
    pub line: Line,
    /// What they are to the question.
    pub entry: Entry,
    pub told: ByWindow,
    pub source: Option<ServiceId>,
    /// Who called, of a node's cells too where they tell.
    pub caller: Option<ServiceId>,
    pub target: ServiceId,
}

/// The services that the ends of calls are among themselves, and no others: what an answer calls them must not depend
/// on whether it was made of rows or of cells.
fn known(survey: &Survey, parties: &Parties, source: Source) -> Services {
    let mut is_end = vec![false; parties.len()];
    for (line, _) in survey.lines().filter(|(line, _)| source.allows(line.evidence)) {
        is_end[line.source.index()] = true;
        is_end[line.destination.index()] = true;
    }
    Services::resolve_among(parties, |party| is_end[party.index()])
}

fn aliases(survey: &Survey, services: &Services, source: Source) -> Aliases {
    let mut aliases = Aliases::default();
    let learnt =
        survey.lines().filter(|(line, _)| line.entry == Entry::Alias && source.allows(line.evidence));
    for (line, told) in learnt {
        let (word, own) = (services.of(line.source), services.of(line.destination));
        if is_address(&services.service(word).name) {
            told.iter().for_each(|(window, _)| aliases.learn_address(*window, word, own));
        } else {
            aliases.learn(word, own);
        }
    }
    aliases
}

/// What a line is to a question: where spans are not asked for, they cover no connection.
fn asked(entry: Entry, source: Source) -> Entry {
    let is_bare = source == Source::Requests && entry == Entry::CarryingTraced;
    if is_bare { Entry::Connections } else { entry }
}

fn is_counting(line: &Line, source: Source) -> bool {
    line.entry != Entry::Alias && source.allows(line.evidence)
}

/// Whether cells of this key may count in an answer derived from `source`.
pub fn may_count(key: &CellKey, source: Source) -> bool {
    is_counting(&key.line(), source)
}

/// The services at the ends of a line in one of the ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    source: Option<ServiceId>,
    caller: Option<ServiceId>,
    target: ServiceId,
    /// They are others in other ten minutes.
    is_timed: bool,
}

/// Says which services the ends of lines are.
struct Placing<'a> {
    services: Services,
    aliases: Aliases,
    parties: &'a Parties,
}

impl Placing<'_> {
    fn ends(&mut self, line: &Line, window: u16) -> Ends {
        let Placing { services, aliases, parties } = self;
        let mut is_timed = false;
        let mut own = |word, services: &Services| {
            is_timed |= aliases.is_timed(word);
            aliases.resolve_in(window, word, services)
        };
        let target = own(services.of(line.destination), services);
        let is_edge = line.entry.is_edge();
        if !is_edge && line.source == PartyId::NOBODY {
            return Ends { source: None, caller: None, target, is_timed };
        }
        let caller = services.at(line.source, target, parties);
        let caller = own(caller, services);
        if !is_edge {
            return Ends { source: None, caller: Some(caller), target, is_timed };
        }
        let callee = services.at(line.destination, caller, parties);
        let target = own(callee, services);
        Ends { source: Some(caller), caller: Some(caller), target, is_timed }
    }

    /// Brings a line to its ends, into several where they are others in other ten minutes.
    fn place(&mut self, line: Line, entry: Entry, told: ByWindow, placed: &mut Vec<Placed>) {
        let of =
            |Ends { source, caller, target, .. }, told| Placed { line, entry, told, source, caller, target };
        let Some((first, _)) = told.first() else { return };
        let ends = self.ends(&line, *first);
        if !ends.is_timed {
            placed.push(of(ends, told));
            return;
        }
        let mut last = ends;
        placed.push(of(last, Vec::new()));
        for (window, counted) in told {
            let ends = self.ends(&line, window);
            if ends != last {
                last = ends;
                placed.push(of(last, Vec::new()));
            }
            placed.last_mut().expect("one was pushed").told.push((window, counted));
        }
    }
}

/// Every cell that a question may count, with its ends brought to their services, sorted by line; and the services.
pub fn place(survey: Survey, parties: &Parties, source: Source) -> (Vec<Placed>, Services) {
    let services = known(&survey, parties, source);
    let aliases = aliases(&survey, &services, source);
    let mut placing = Placing { services, aliases, parties };
    let mut lines: Vec<(Line, ByWindow)> =
        survey.into_lines().filter(|(line, _)| is_counting(line, source)).collect();
    lines.sort_unstable_by_key(|(line, _)| *line);
    let mut placed = Vec::new();
    for (line, told) in lines {
        placing.place(line, asked(line.entry, source), told, &mut placed);
    }
    (placed, placing.services)
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
    let told = cells.iter().map(|Placed { line, entry, told, source, target, .. }| ToldOf {
        source: *source,
        target: *target,
        entry: *entry,
        evidence: line.evidence,
        counted: told,
    });
    Choices::of(&told.collect::<Vec<_>>())
}

/// What is chosen of an edge, asked for in windows that ascend.
pub struct EdgeChoices<'c> {
    edge: Asked<'c>,
    node: Asked<'c>,
    is_from_callers: bool,
}

impl<'c> EdgeChoices<'c> {
    pub fn of(
        choices: &'c Choices,
        services: &Services,
        (source, target): (ServiceId, ServiceId),
    ) -> EdgeChoices<'c> {
        EdgeChoices {
            edge: choices.of_edge(source, target),
            node: choices.of_node(target),
            is_from_callers: services.service(source).marks.has(Marks::CALLER),
        }
    }

    /// Which entries of the edge count. Callers that nobody names in spans may be named by the callee's proxy: where it writes
    /// rows, and none for an unknown caller, spans of one are calls of somebody known.
    pub fn choice(&mut self, window: u16) -> Choice {
        let edge = self.edge.choice(window);
        match self.node.choice(window) {
            Choice::EdgesIn => edge,
            node if self.is_from_callers && !self.edge.has_rows(window) => node,
            _ => edge,
        }
    }
}

/// What to say where more than a few received calls have a parent span that is not stored.
pub fn lost(cells: &[Placed]) -> Option<String> {
    let received = cells.iter().filter(|cell| {
        let is_received = matches!(cell.entry, Entry::Received | Entry::ReceivedMessages);
        is_received && cell.line.evidence == Evidence::Spans
    });
    let counted = received.flat_map(|cell| &cell.told);
    let sums = counted.fold((0, 0), |sums, (_, counted)| (sums.0 + counted.lost, sums.1 + counted.requests));
    let (lost, received) = (sums.0 / MILLI, sums.1 / MILLI);
    (sums.0 as f64 > sums.1 as f64 * LOST_RATIO_TOLD).then(|| {
        format!(
            "{lost} of {received} received calls have a parent span that is not stored; they are on no edge"
        )
    })
}
