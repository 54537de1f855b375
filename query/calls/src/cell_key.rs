//! What tells one cell from another: who, what, when, and by whose word.

use std::hash::{Hash, Hasher};

use crate::details;
use crate::entry::Entry;
use crate::measure::Protocol;
use crate::minutes::Words;
use crate::party::PartyId;

/// What a number was derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    Requests,
    Spans,
}

impl Evidence {
    /// Whose words say what its names are.
    pub fn words(self) -> Words {
        match self {
            Evidence::Requests => Words::Requests,
            Evidence::Spans => Words::Spans,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Evidence::Requests => "requests",
            Evidence::Spans => "spans",
        }
    }
}

/// Number of an operation or instance; `NONE` where the grain does not tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetailId(pub(crate) u32);

impl DetailId {
    pub const NONE: DetailId = DetailId(details::NONE);
    pub const OTHER: DetailId = DetailId(details::OTHER);
}

/// What tells one cell from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellKey {
    /// At a node the caller of the edge that the received sides are on, where the grain tells callers; else nobody.
    pub source: PartyId,
    pub destination: PartyId,
    pub detail: DetailId,
    pub at: Slot,
    pub evidence: Evidence,
    pub entry: Entry,
    /// Unknown but in settled cells, which have one protocol each.
    pub protocol: Protocol,
}

impl Hash for CellKey {
    /// In three words instead of one for each part: a cell is looked up for each call, and mixing eight numbers one after
    /// the other took longer than the look-up.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let CellKey { source, destination, detail, at, evidence, entry, protocol } = *self;
        hasher.write_u64((source.index() as u64) << 32 | destination.index() as u64);
        hasher.write_u64(u64::from(detail.0) << 32 | u64::from(at.bucket) << 16 | u64::from(at.window));
        hasher.write_u64((evidence as u64) << 16 | (entry as u64) << 8 | protocol as u64);
    }
}

impl CellKey {
    /// What a survey tells apart of it: its ends, what it counts, its evidence, and the ten minutes.
    #[must_use]
    pub fn surveyed(self) -> CellKey {
        let at = Slot { bucket: 0, ..self.at };
        CellKey { detail: DetailId::NONE, at, protocol: Protocol::Unknown, ..self }
    }
}

/// A bucket of the range, and the ten minutes in which evidence is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub bucket: u16,
    pub window: u16,
}
