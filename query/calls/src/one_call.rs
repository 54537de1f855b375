//! One call that counts, where calls are listed.

use crate::cell_key::Evidence;
use crate::entry::Entry;
use crate::hosts::is_address;
use crate::noted::Noted;
use crate::party::Marks;
use crate::placed::Placed;
use crate::services::Services;

/// One call that counts. Places are among the nodes of its picture.
#[derive(Debug, Clone)]
pub struct CallSeen {
    /// None where no caller is known.
    pub source: Option<usize>,
    pub target: usize,
    pub evidence: Evidence,
    /// It never reached the target.
    pub is_refused: bool,
    pub named_by: NamedBy,
    pub noted: Noted,
}

impl CallSeen {
    /// The calls that are noted of a cell.
    pub fn of<'n>(
        cell: &Placed,
        services: &Services,
        (source, target): (Option<usize>, usize),
        notes: &'n [Noted],
    ) -> impl Iterator<Item = CallSeen> + 'n + use<'n> {
        let (evidence, is_refused) = (cell.line.evidence, cell.entry == Entry::Refused);
        let named_by = NamedBy::of(cell, services);
        notes.iter().map(move |noted| CallSeen {
            source,
            target,
            evidence,
            is_refused,
            named_by,
            noted: *noted,
        })
    }
}

/// What says who the callee of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The callee itself.
    Own,
    /// Its address, which the callee tells to have.
    Address,
    /// Another name, to which the callee answered in other calls.
    Alias,
    /// Nobody but the caller.
    Caller,
}

impl NamedBy {
    pub const fn name(self) -> &'static str {
        match self {
            NamedBy::Own => "own",
            NamedBy::Address => "address",
            NamedBy::Alias => "alias",
            NamedBy::Caller => "caller",
        }
    }

    fn of(cell: &Placed, services: &Services) -> NamedBy {
        let word = services.of(cell.line.destination);
        let target = services.service(cell.target);
        if target.owner.is_some() {
            NamedBy::Caller
        } else if word != cell.target {
            if is_address(&services.service(word).name) { NamedBy::Address } else { NamedBy::Alias }
        } else if target.marks.has(Marks::OBSERVED) {
            NamedBy::Own
        } else {
            NamedBy::Caller
        }
    }
}
