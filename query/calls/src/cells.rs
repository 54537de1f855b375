//! The cells that rows are summed into, at the finest grain that any answer of the query needs.
//!
//! Which of two observers counts is known only at the end, so a cell keeps the side and the evidence apart
//! and nothing is thrown away before; grouping cells afterwards is a few thousand additions. Limits:
//! [`CELLS_MAX`] cells, [`DETAILS_MAX`] operations or instances.

use std::collections::HashMap;

use crate::measure::{Measure, Observation};
use crate::party::{Interner, OTHER, Parties, PartyId};
use crate::range::Range;

/// Most cells of one query; with a latency sketch of 1 to 2 KB each this is at most some 200 MB.
/// Reaching it is an error: an answer with cells left out would be wrong in a way nobody could see.
pub const CELLS_MAX: usize = 100_000;

/// Most operations or instances that are told apart; the rest are summed as one, by name `(other)`.
/// Paths with unforeseen ids in them must not turn an answer into a list of every path ever asked for.
pub const DETAILS_MAX: usize = 2_000;

/// What is told apart at a node beside the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    Node,
    Operation,
    Instance,
}

/// What a number was derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    Requests,
    Spans,
}

impl Evidence {
    pub const fn name(self) -> &'static str {
        match self {
            Evidence::Requests => "requests",
            Evidence::Spans => "spans",
        }
    }
}

/// Who saw the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The caller's proxy, or a span of the caller around the call.
    Client,
    /// The callee's proxy, or the callee's span.
    Server,
    /// Spans only: a call that no span of the caller's side stands for. It is a subset of what `Server`
    /// saw, or the hop through a proxy that records no server span; edges add it to `Client`, nodes never.
    Unclaimed,
}

/// Number of an operation or instance; `NONE` where the grain does not tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetailId(u32);

impl DetailId {
    pub const NONE: DetailId = DetailId(0);
    const OTHER: DetailId = DetailId(1);
}

/// What tells one cell from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    pub source: PartyId,
    pub destination: PartyId,
    pub detail: DetailId,
    pub bucket: u16,
    pub side: Side,
    pub evidence: Evidence,
    /// Refused before the upstream: it counts on the edge and not at the node.
    pub refused: bool,
}

/// Everything that is summed, and the names it is summed by.
#[derive(Debug)]
pub struct Book {
    pub range: Range,
    pub grain: Grain,
    pub parties: Parties,
    details: Interner<String>,
    details_overflowed: bool,
    cells: HashMap<CellKey, Measure>,
    cells_overflowed: bool,
}

impl Book {
    pub fn new(range: Range, grain: Grain) -> Book {
        let mut details = Interner::new(DETAILS_MAX);
        details.intern("", String::new);
        details.intern(OTHER, || OTHER.to_owned());
        Book {
            range,
            grain,
            parties: Parties::default(),
            details,
            details_overflowed: false,
            cells: HashMap::new(),
            cells_overflowed: false,
        }
    }

    pub fn add(&mut self, key: CellKey, call: &Observation) {
        if self.cells.len() >= CELLS_MAX && !self.cells.contains_key(&key) {
            self.cells_overflowed = true;
            return;
        }
        self.cells.entry(key).or_default().add(call);
    }

    /// The number of an operation or instance; no text is [`DetailId::NONE`].
    pub fn detail(&mut self, text: Option<&str>) -> DetailId {
        let Some(text) = text else { return DetailId::NONE };
        let number = self.details.intern(text, || text.to_owned());
        self.details_overflowed |= number.is_none();
        number.map_or(DetailId::OTHER, DetailId)
    }

    /// The text of a detail; `None` where there is none.
    pub fn detail_text(&self, id: DetailId) -> Option<&str> {
        (id != DetailId::NONE).then(|| self.details.value(id.0).as_str())
    }

    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &Measure)> {
        self.cells.iter()
    }

    pub fn cells_overflowed(&self) -> bool {
        self.cells_overflowed
    }

    pub fn details_overflowed(&self) -> bool {
        self.details_overflowed
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::{Outcome, UnixNanos};

    use super::*;
    use crate::measure::Protocol;

    const CALL: Observation = Observation {
        weight: 1.0,
        outcome: Outcome::Ok,
        duration_nano: 1,
        timed: false,
        bytes_in: 0,
        bytes_out: 0,
        retries: 0,
        sent: 1,
        protocol: Protocol::Http,
    };

    fn book() -> Book {
        Book::new(Range::new(UnixNanos(0), UnixNanos(1), None).expect("not empty"), Grain::Node)
    }

    #[test]
    fn the_number_of_cells_is_bounded_and_the_bound_is_told() {
        let mut book = book();
        let key = |bucket: u16, refused| CellKey {
            source: PartyId::NOBODY,
            destination: PartyId::NOBODY,
            detail: DetailId::NONE,
            bucket,
            side: if refused { Side::Client } else { Side::Server },
            evidence: Evidence::Requests,
            refused,
        };
        for bucket in 0..50_000 {
            book.add(key(bucket, true), &CALL);
            book.add(key(bucket, false), &CALL);
        }
        assert_eq!((book.cells().count(), book.cells_overflowed()), (CELLS_MAX, false));
        book.add(key(0, true), &CALL);
        assert!(!book.cells_overflowed(), "a cell that exists takes more");
        book.add(key(60_000, true), &CALL);
        assert_eq!((book.cells().count(), book.cells_overflowed()), (CELLS_MAX, true));
    }

    #[test]
    fn operations_beyond_the_bound_are_other() {
        let mut book = book();
        for i in 0..DETAILS_MAX {
            book.detail(Some(&i.to_string()));
        }
        assert!(book.details_overflowed());
        let last = book.detail(Some("one more"));
        assert_eq!(book.detail_text(last), Some(OTHER));
        let none = book.detail(None);
        assert_eq!(book.detail_text(none), None);
    }
}
