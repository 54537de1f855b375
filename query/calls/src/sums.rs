//! What is summed up by cell, and the memory that takes.
//!
//! Histograms are most of it, and how much each takes depends on what was recorded; so it is counted whenever one changes and
//! not guessed: settling a minute of a large mesh holds a hundred thousand of them. A cell lies beside the table of keys,
//! because tables double, and half of a table of whole cells would be empty.

use crate::cell_key::CellKey;
use crate::hashing::NumberMap;
use crate::measure::{Measure, Sizes};

/// What an allocation takes beside what it was asked for, about.
const ALLOCATION_BYTES: usize = 16;

/// All that is counted in one cell.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    pub measure: Measure,
    /// How large requests and responses were; only kept where all is told apart.
    pub sizes: Option<Box<Sizes>>,
}

impl Sum {
    pub fn merge(&mut self, other: &Sum) {
        self.measure.merge(&other.measure);
        if let Some(sizes) = &other.sizes {
            self.sizes.get_or_insert_default().merge(sizes);
        }
    }

    /// Bytes that it takes beside itself.
    fn heap_bytes(&self) -> usize {
        let sizes = self.sizes.as_ref().map_or(0, |sizes| {
            size_of::<Sizes>() + ALLOCATION_BYTES + sizes.request.heap_bytes() + sizes.response.heap_bytes()
        });
        self.measure.latency().heap_bytes() + sizes
    }
}

/// Sums by cell.
#[derive(Debug, Default)]
pub struct Sums {
    cells: NumberMap<CellKey, Box<Sum>>,
    /// Of all of them.
    heap_bytes: usize,
}

impl Sums {
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Bytes taken.
    pub fn bytes(&self) -> usize {
        const SUM: usize = size_of::<Sum>() + ALLOCATION_BYTES;
        let slot = size_of::<(CellKey, Box<Sum>)>() + 1;
        // Of each eight slots of a table one stays empty.
        self.cells.capacity() * slot * 8 / 7 + self.cells.len() * SUM + self.heap_bytes
    }

    /// Changes a cell, which is there from now on.
    pub fn change(&mut self, key: CellKey, change: impl FnOnce(&mut Sum)) {
        let sum = self.cells.entry(key).or_default();
        let before = sum.heap_bytes();
        change(sum);
        self.heap_bytes = (self.heap_bytes + sum.heap_bytes()).saturating_sub(before);
    }

    /// Changes a cell if it is there; gives the change back if it is not.
    pub fn change_known<C: FnOnce(&mut Sum)>(&mut self, key: &CellKey, change: C) -> Option<C> {
        let Some(sum) = self.cells.get_mut(key) else { return Some(change) };
        let before = sum.heap_bytes();
        change(sum);
        self.heap_bytes = (self.heap_bytes + sum.heap_bytes()).saturating_sub(before);
        None
    }

    pub fn get(&self, key: &CellKey) -> Option<&Sum> {
        self.cells.get(key).map(Box::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&CellKey, &Sum)> {
        self.cells.iter().map(|(key, sum)| (key, sum.as_ref()))
    }

    /// Takes all of them out.
    pub fn drain(&mut self) -> impl Iterator<Item = (CellKey, Box<Sum>)> + use<> {
        self.heap_bytes = 0;
        std::mem::take(&mut self.cells).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::Outcome;

    use super::*;
    use crate::cell_key::{DetailId, Evidence, Slot};
    use crate::entry::Entry;
    use crate::measure::{MILLI, Observation, Protocol};
    use crate::party::PartyId;

    fn key(bucket: u16, window: u16) -> CellKey {
        let at = Slot { bucket, window };
        let (source, destination) = (PartyId::NOBODY, PartyId::OTHER);
        let (evidence, entry, protocol) = (Evidence::Spans, Entry::Edge, Protocol::Http);
        CellKey { source, destination, detail: DetailId::NONE, at, evidence, entry, protocol }
    }

    /// A minute of a mesh that takes 25,000 calls/s of 1,500 operations, of which a seventh of the cells is shown: 36,000, of each
    /// ten seconds, edge or node, good or failed, of 167 calls between half a millisecond and a quarter of a second, evenly by
    /// their logarithms: nine octaves of 32 buckets, of which 288 * (1 - e^(-167/288)) = 127 are met. At 8 bytes each, and a
    /// quarter more, a cell takes some 1,270 bytes, its sums 270 and the tables 50 to 90; before, it took 2,304 to 4,096 of
    /// buckets alone, up to 560 in the table of keys, and was taken for 1,268.
    #[test]
    fn a_cell_of_a_busy_mesh_takes_one_and_a_half_kilobytes() {
        let mut sums = Sums::default();
        let (cells, calls) = (36_000_u16 / 7, 167_u16);
        for cell in 0..cells {
            for call in 0..calls {
                let step = (u32::from(call) * 7_919 + u32::from(cell) * 104_729) % 100_003;
                let micros = 500.0 * 500_f64.powf(f64::from(step) / 100_003.0);
                let seen = Observation {
                    weight: MILLI,
                    outcome: Outcome::Ok,
                    duration_nano: (micros * 1e3) as i64,
                    timed: true,
                    sized: false,
                    bytes_in: 0,
                    bytes_out: 0,
                    protocol: Protocol::Http,
                };
                sums.change(key(cell, 0), |sum| sum.measure.add(&seen));
            }
        }
        let each = sums.bytes() / usize::from(cells);
        assert!((900..=1_700).contains(&each), "{each} bytes a cell");
        let histograms = sums.iter().map(|(_, sum)| sum.heap_bytes()).sum::<usize>();
        assert_eq!(sums.heap_bytes, histograms, "what is added up is what is there");
        assert_eq!(sums.drain().count(), usize::from(cells));
        assert_eq!((sums.bytes(), sums.len()), (0, 0));
    }

    #[test]
    fn sizes_are_changed_where_there_is_a_cell() {
        let mut sums = Sums::default();
        let change = sums.change_known(&key(0, 0), |sum| sum.sizes = Some(Box::default()));
        assert!(change.is_some() && sums.len() == 0);
        sums.change(key(0, 0), |_| ());
        let before = sums.bytes();
        assert!(sums.change_known(&key(0, 0), |sum| sum.sizes = Some(Box::default())).is_none());
        assert_eq!(sums.bytes() - before, size_of::<Sizes>() + ALLOCATION_BYTES);
    }
}
