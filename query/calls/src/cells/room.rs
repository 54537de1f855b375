//! Makes room for one more cell: where there is none, the quietest are summed up.

use super::Book;
use crate::cell_key::{CellKey, DetailId};
use crate::condense::Beyond;
use crate::detail::Detail;
use crate::sums::Sums;

impl Book {
    /// The key of the cell that calls of `key`, which have none yet, are counted in; none where there is no room for one more.
    pub(super) fn room_for(&mut self, key: CellKey) -> Option<CellKey> {
        let is_full = self.cells.len() >= self.cells_max || self.cells.bytes() >= self.cells_bytes_max;
        if !is_full || self.is_part {
            return self.condensed.key(key);
        }
        if self.cells_overflowed {
            return None;
        }
        if self.beyond != Beyond::Refuse {
            self.condense();
        }
        // Summing up takes a look at all cells: where it makes no room to speak of, it would be done for each new one.
        self.cells_overflowed = !self.has_room();
        if self.cells_overflowed { None } else { self.condensed.key(key) }
    }

    fn has_room(&self) -> bool {
        let has_bytes = self.cells.bytes() <= self.cells_bytes_max - self.cells_bytes_max / 64;
        has_bytes && self.cells.len() <= self.cells_max - self.cells_max / 64
    }

    /// Makes room for as many cells as there are, if it can: half of them are summed up, or more where that is not enough.
    fn condense(&mut self) {
        let counted = |cells: &Sums| -> Vec<(CellKey, u64)> {
            cells.iter().map(|(key, sum)| (*key, sum.measure.requests_milli())).collect()
        };
        let held = self.cells.len();
        for target in [held / 2, held / 8, 0] {
            let before = self.cells.bytes();
            let cells = counted(&self.cells).into_iter();
            for group in self.condensed.beyond(cells, target, |detail| self.detail_text(detail)) {
                let summary = self.summary(group.1);
                self.condensed.sum_up(group, summary);
            }
            self.apply_condensed();
            // Where each callee has few operations, summing up more of them frees little more.
            if self.has_room() || self.cells.bytes() > before / 8 * 7 {
                break;
            }
        }
        let mut target = held / 2;
        while self.beyond == Beyond::OthersOfNames && !self.has_room() && target > 0 {
            self.condensed.sum_up_parties(&counted(&self.cells), target);
            self.apply_condensed();
            target /= 4;
        }
    }

    fn apply_condensed(&mut self) {
        for (key, sum) in self.cells.drain() {
            if let Some(key) = self.condensed.key(key) {
                self.cells.change(key, |held| held.merge(&sum));
            }
        }
    }

    /// As what is summed up that is told apart by `detail`: what takes few values, such as codes, stays told.
    fn summary(&mut self, detail: DetailId) -> DetailId {
        if !self.grain.tells_callers() {
            return DetailId::OTHER;
        }
        let mut text = String::new();
        Detail::read(self.details.text(detail.0)).summary().write(&mut text);
        DetailId(self.details.of_summary(&text))
    }
}
