//! What is stored of one file, and what of it is about to be.
//!
//! Ranges of bytes and not a position alone, because parts of a file are stored beside one another, and one may fail while
//! the next one does not.

use std::ops::Range;

use super::FileIdentity;
use super::journal::Record;

/// What is stored of a file.
#[derive(Debug)]
pub struct Progress {
    pub tenant: u64,
    pub head_bytes: u16,
    /// When it last moved, seconds since the epoch.
    pub seconds: u32,
    pub position: u64,
    /// Stored parts beyond the position, in order, none next to another.
    pub beyond: Vec<Range<u64>>,
    pub claimed: Vec<Range<u64>>,
    pub is_changed: bool,
}

/// What there is of a part to claim.
pub enum Claimable {
    Part(Range<u64>),
    /// All of it is stored.
    Nothing,
    /// Its start is claimed.
    Busy,
}

impl Progress {
    /// Nothing yet, of a file that is not written down.
    pub fn new(tenant: u64, head_bytes: u16, seconds: u32) -> Progress {
        let (beyond, claimed) = (Vec::new(), Vec::new());
        Progress { tenant, head_bytes, seconds, position: 0, beyond, claimed, is_changed: true }
    }

    /// What of `part` can be claimed.
    pub fn claimable(&self, part: &Range<u64>) -> Claimable {
        let mut start = part.start.max(self.position);
        for stored in &self.beyond {
            if stored.contains(&start) {
                start = stored.end;
            }
        }
        if start >= part.end {
            return Claimable::Nothing;
        }
        if self.claimed.iter().any(|claimed| claimed.contains(&start)) {
            return Claimable::Busy;
        }
        let taken = self.beyond.iter().chain(&self.claimed).map(|taken| taken.start);
        let end = taken.filter(|taken| *taken > start).fold(part.end, u64::min);
        Claimable::Part(start..end)
    }

    /// Takes in a part that was stored; the position moves on over all that follow on one another.
    pub fn stored(&mut self, part: &Range<u64>) {
        let at = self.beyond.partition_point(|other| other.start < part.start);
        self.beyond.insert(at, part.clone());
        let reached =
            |position: u64, next: &Range<u64>| (next.start <= position).then(|| position.max(next.end));
        let mut joined = 0;
        while let Some(position) = self.beyond.get(joined).and_then(|next| reached(self.position, next)) {
            self.position = position;
            joined += 1;
        }
        self.is_changed |= joined > 0;
        self.beyond.drain(..joined);
        self.beyond.dedup_by(|next, before| {
            let touches = next.start <= before.end;
            if touches {
                before.end = before.end.max(next.end);
            }
            touches
        });
    }

    /// What is written down of it.
    pub fn record(&self, file: FileIdentity) -> Record {
        let Progress { tenant, head_bytes, seconds, position, .. } = *self;
        Record { file, tenant, position, seconds, head_bytes }
    }
}
