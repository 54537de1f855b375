//! In which ten seconds of the clock which edges had calls, for connections that may have carried them.

use std::collections::HashSet;

use crate::minutes::{Words, minute_of};
use crate::party::PartyId;
use crate::range::GRID;

/// An edge had a call in a slot of ten seconds of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Busy {
    /// The minute in which the call began.
    pub minute: i64,
    pub slot: i64,
    pub ends: (PartyId, PartyId),
    /// The kind of rows that told of it.
    pub kind: Words,
}

/// Edges and slots in which there were calls. Only kept where connections ask for it.
#[derive(Debug, Default)]
pub struct BusyEdges {
    kept: Option<HashSet<Busy>>,
}

impl BusyEdges {
    /// Keeps from now on what is added.
    pub fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Whether what is added is kept.
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The slot that a time lies in, on the grid that ranges lie on.
    pub fn slot(time: i64) -> i64 {
        time.div_euclid(GRID.as_nanos() as i64)
    }

    /// Remembers that an edge had a call, when it began and when it ended.
    pub fn add(&mut self, kind: Words, ends: (PartyId, PartyId), start: i64, duration_nano: i64) {
        if let Some(kept) = &mut self.kept {
            let end = start.saturating_add(duration_nano.max(0));
            let at = |time| Busy { minute: minute_of(start), slot: BusyEdges::slot(time), ends, kind };
            kept.extend([start, end].map(at));
        }
    }

    /// An empty part, for what another thread adds.
    pub fn part(&self) -> BusyEdges {
        BusyEdges { kept: self.kept.is_some().then(HashSet::new) }
    }

    /// Adds what `part` has, and leaves it empty.
    pub fn absorb(&mut self, part: &mut BusyEdges) {
        if let (Some(kept), Some(more)) = (&mut self.kept, &mut part.kept) {
            kept.extend(more.drain());
        }
    }

    /// All of them, in order of minutes; none are kept from now on.
    pub fn take(&mut self) -> Vec<Busy> {
        let mut busy: Vec<Busy> = self.kept.take().unwrap_or_default().into_iter().collect();
        busy.sort_unstable();
        busy
    }
}
