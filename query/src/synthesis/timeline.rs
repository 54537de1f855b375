//! What was counted of one series, and when: the counts of events that an evaluation asks for.
//!
//! Totals are kept, not amounts, so that what was counted between two instants is one subtraction, however long between
//! them. Whole numbers are subtracted; what lies inside of a slot is taken to be spread evenly over it.

use std::sync::Arc;

use meshlake_promql::{Error, Events};
use meshlake_schema::Budget;

use super::grid::{DAY, GRID, floor};
use super::index::Life;

/// A slot of time in which something was counted. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub until: i64,
    pub length: i64,
    pub amount: u64,
}

/// Memory of the timelines of one selection; given back with the last of them.
#[derive(Debug)]
pub struct Reserved {
    budget: Arc<dyn Budget>,
    bytes: std::sync::atomic::AtomicUsize,
}

impl Reserved {
    pub fn of(budget: Arc<dyn Budget>) -> Self {
        Reserved { budget, bytes: 0.into() }
    }

    /// # Errors
    /// When there is no room for so many bytes, or no time left.
    pub fn grow(&self, bytes: usize) -> Result<(), Error> {
        self.budget.check_time()?;
        self.budget.grow(bytes)?;
        self.bytes.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.shrink(*self.bytes.get_mut());
    }
}

/// See the module.
#[derive(Debug)]
pub struct Timeline {
    /// Ascending and apart, with the total until the end of each instead of its amount.
    slots: Vec<Slot>,
    lives: Vec<Life>,
    /// How much of an amount is one.
    per: u64,
    _reserved: Arc<Reserved>,
}

impl Timeline {
    /// Of slots in order of time.
    pub fn of(slots: impl Iterator<Item = Slot>, lives: &[Life], per: u64, reserved: &Arc<Reserved>) -> Self {
        let mut total = 0_u64;
        let slots = slots.map(|slot| {
            total = total.saturating_add(slot.amount);
            Slot { amount: total, ..slot }
        });
        Timeline { slots: slots.collect(), lives: lives.to_vec(), per, _reserved: Arc::clone(reserved) }
    }

    /// Bytes of a timeline of so many slots.
    pub fn bytes(slots: usize, lives: usize) -> usize {
        size_of::<Timeline>() + slots * size_of::<Slot>() + lives * size_of::<Life>()
    }

    /// How much was counted from one instant to another, on the grid.
    fn between(&self, from: i64, to: i64) -> f64 {
        let ((before, share_before), (after, share_after)) = (self.total(from), self.total(to));
        (after.saturating_sub(before) as f64 + (share_after - share_before)) / self.per as f64
    }

    /// The total until an instant: that of whole slots, and the share of the one that it lies in.
    fn total(&self, time: i64) -> (u64, f64) {
        let next = self.slots.partition_point(|slot| slot.until <= time);
        let total = next.checked_sub(1).map_or(0, |last| self.slots[last].amount);
        let share = self.slots.get(next).map_or(0.0, |slot| {
            let inside = time - (slot.until - slot.length);
            let share = inside.max(0) as f64 / slot.length as f64;
            slot.amount.saturating_sub(total) as f64 * share
        });
        (total, share)
    }

    /// Whether the series is there at an instant, of the day that the instant ends.
    pub fn is_there(&self, time: i64) -> bool {
        self.lives.iter().any(|life| life.from <= time && time <= life.until)
    }

    /// The counter at an instant on the grid: what was counted since midnight, or since `counts_from`.
    pub fn value(&self, time: i64, counts_from: Option<i64>) -> f64 {
        let midnight = floor(time.saturating_sub(1), DAY);
        let from = counts_from.map_or(midnight, |from| floor(from, GRID).min(time));
        self.between(from, time)
    }

    /// Whether the counter begins anew right after this instant, which is a midnight.
    pub fn begins_at(&self, midnight: i64) -> bool {
        self.lives.iter().any(|life| life.from == midnight)
    }
}

impl Events for Timeline {
    fn increase(&self, after: i64, until: i64) -> Result<Option<f64>, Error> {
        let is_there = self.lives.iter().any(|life| life.from <= until && after < life.until);
        Ok(is_there.then(|| self.between(floor(after, GRID), floor(until, GRID))))
    }

    fn resolution(&self) -> i64 {
        GRID
    }
}
