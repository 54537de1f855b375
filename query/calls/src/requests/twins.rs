//! Finds rows without any id that tell of a call which a row with an id tells of too.
//!
//! What an access log tells is up to whoever set it up. A proxy that sends its calls to the log service, with ids and the
//! callee, may send them by OTLP too, with a line of text of its own that has neither; counted beside each other they would be
//! two calls, one of them to nobody known. Both know the instant at which the request began, as exactly as the proxy's clock
//! does: of 41 lines of two Envoys' OTLP loggers all had that of an entry of their log service, to the last digit. So a row
//! without ids is the same as one with an id that the same service saw at the same instant. The side does not matter: that
//! of a line which names no far end is a guess, a gateway's row is of both, and no proxy passes on a request within the
//! instant in which it begins. Each takes one such row only, so that two calls of one instant stay two.
//!
//! Limits: a row with an id that knows whole milliseconds only has no twin, for in one of them a proxy sees more than one
//! call. Rows that have no id on either side are never the same. Where rows are read in several passes, all are seen in the
//! first.

use super::seen::{Seen, Side};
use crate::hashing::{NumberMap, mixed_pair, text_hash};
use crate::party::{Parties, PartyId};

const MILLI: i64 = 1_000_000;

/// Instants of rows with and without ids.
#[derive(Debug, Default)]
pub struct Twins {
    /// Of rows with an id.
    told: Vec<Instant>,
    /// Of rows without one.
    untold: Vec<Instant>,
    /// By instant: how many rows without an id tell of what others tell.
    same: NumberMap<u64, Sides>,
    is_closed: bool,
}

/// Rows by side: received, made.
type Sides = [u32; 2];

/// When and by whom a request was seen to begin.
#[derive(Debug, Clone, Copy)]
struct Instant {
    own: PartyId,
    side: Side,
    is_connection: bool,
    start: i64,
}

impl Instant {
    fn of(row: &Seen) -> Instant {
        let own = if row.side == Side::Made { row.source } else { row.destination };
        Instant { own, side: row.side, is_connection: row.is_connection, start: row.start }
    }

    /// A hash of all but the side. Versions and workloads are left out: not every log tells them.
    fn hash(&self, parties: &Parties) -> u64 {
        let name = text_hash(Some(&parties.party(self.own).name));
        mixed_pair(mixed_pair(name, u64::from(self.is_connection)), self.start.cast_unsigned())
    }

    fn place(&self) -> usize {
        usize::from(self.side == Side::Made)
    }
}

impl Twins {
    /// Sees a row, until [`Twins::close`].
    pub fn see(&mut self, row: &Seen) {
        if self.is_closed || row.is_progress {
            return;
        }
        let is_coarse = row.start % MILLI == 0 && row.duration % MILLI == 0;
        if !has_id(row) {
            self.untold.push(Instant::of(row));
        } else if !is_coarse {
            self.told.push(Instant::of(row));
        }
    }

    /// Finds out which rows are the same; all were seen.
    pub fn close(&mut self, parties: &Parties) {
        self.is_closed = true;
        let (told, untold) = (std::mem::take(&mut self.told), std::mem::take(&mut self.untold));
        if untold.is_empty() {
            return;
        }
        for instant in untold {
            self.same.entry(instant.hash(parties)).or_default()[instant.place()] += 1;
        }
        let mut others: NumberMap<u64, Sides> = NumberMap::default();
        for instant in told {
            let hash = instant.hash(parties);
            if self.same.contains_key(&hash) {
                others.entry(hash).or_default()[instant.place()] += 1;
            }
        }
        self.same.retain(|instant, without| {
            let [received, made] = others.get(instant).copied().unwrap_or_default();
            *without = without.map(|rows| rows.min(received.max(made)));
            received.max(made) > 0
        });
    }

    /// Takes out the rows without ids that are the same as others.
    pub fn take_out(&mut self, rows: &mut Vec<Seen>, parties: &Parties) {
        if self.same.is_empty() {
            return;
        }
        rows.retain(|row| {
            if has_id(row) || row.is_progress {
                return true;
            }
            let instant = Instant::of(row);
            let Some(same) = self.same.get_mut(&instant.hash(parties)) else { return true };
            let left = &mut same[instant.place()];
            let is_same = *left > 0;
            *left -= u32::from(is_same);
            !is_same
        });
    }

    pub fn bytes(&self) -> usize {
        (self.told.capacity() + self.untold.capacity()) * size_of::<Instant>()
            + self.same.capacity() * (size_of::<(u64, Sides)>() + 1)
    }
}

fn has_id(row: &Seen) -> bool {
    row.request != 0 || row.stream != 0
}
