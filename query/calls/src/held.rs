//! Holds rows by a hash of what belongs together, within a budget, in as many passes as that takes.
//!
//! Rows lie in shards. When they take more than the budget, the last of the shards that are held are let go of, and the
//! rows are fed once more for those: nothing is ever left out, a large question only takes more passes.
//! What belongs together has to be whole: where even one shard finds no memory, there is no answer. Without a budget
//! that is shared with others, one shard may take more than the bound.

use std::sync::Arc;

use meshlake_schema::{Budget, Spent};

/// Bytes of rows that a pass holds: a million and a half of requests, or nearly five million spans, or some of both. Guess: what a query
/// may take beside others on a machine of 4 GB.
pub const HELD_BYTES_MAX: usize = 256 << 20;

/// Memory is asked for in steps of this, so that the budget is not asked for every row.
const STEP_BYTES: usize = 1 << 16;

/// Shards: fine enough that letting go of one frees a little, coarse enough that each is walked in the cache.
pub const SHARDS: usize = 256;

/// Which shard rows of this hash lie in.
pub fn shard_of(hash: u64) -> usize {
    (hash % SHARDS as u64) as usize
}

/// What a shard holds.
pub trait Weighed: Default {
    /// Bytes taken.
    fn bytes(&self) -> usize;
}

/// Memory that a budget granted, given back when this is dropped. Without a budget, as much as it takes.
#[derive(Debug, Default)]
pub struct Granted {
    budget: Option<Arc<dyn Budget>>,
    bytes: usize,
}

impl Granted {
    /// Asks `budget` from now on.
    pub fn take_from(&mut self, budget: Arc<dyn Budget>) {
        self.budget = Some(budget);
    }

    /// Has `bytes` in all granted.
    ///
    /// # Errors
    /// [`Spent::Bytes`]; what was granted before still is.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Spent> {
        let Some(budget) = &self.budget else { return Ok(()) };
        if bytes > self.bytes {
            budget.grow(bytes - self.bytes)?;
        } else {
            budget.shrink(self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.shrink(self.bytes);
        }
    }
}

/// Shards of this pass.
#[derive(Debug)]
pub struct Held<S> {
    shards: Vec<S>,
    first: usize,
    end: usize,
    bytes_max: usize,
    bytes: usize,
    budget: Option<Arc<dyn Budget>>,
    granted: usize,
    spent: Option<Spent>,
}

impl<S: Weighed> Held<S> {
    pub fn with_budget(bytes_max: usize) -> Held<S> {
        let shards = (0..SHARDS).map(|_| S::default()).collect();
        let (budget, granted, spent) = (None, 0, None);
        Held { shards, first: 0, end: SHARDS, bytes_max, bytes: 0, budget, granted, spent }
    }

    /// Holds at most about so many bytes from now on.
    pub fn bound(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Asks `budget` for memory from now on.
    pub fn take_from(&mut self, budget: Arc<dyn Budget>) {
        self.budget = Some(budget);
    }

    /// Whether memory was refused for what cannot be let go of.
    ///
    /// # Errors
    /// [`Spent::Bytes`].
    pub fn spent(&self) -> Result<(), Spent> {
        self.spent.map_or(Ok(()), Err)
    }

    /// Adds to the shard of `hash`, if this pass holds it; others are for later.
    pub fn add(&mut self, hash: u64, add: impl FnOnce(&mut S)) {
        self.add_to(shard_of(hash), add);
    }

    /// Adds to a shard by its place, as [`shard_of`] tells it, if this pass holds it. As much as is added at a time may be held
    /// beyond the bound.
    pub fn add_to(&mut self, place: usize, add: impl FnOnce(&mut S)) {
        if !(self.first..self.end).contains(&place) {
            return;
        }
        let shard = &mut self.shards[place];
        let before = shard.bytes();
        add(shard);
        self.bytes = (self.bytes + shard.bytes()).saturating_sub(before);
        if self.bytes > self.bytes_max {
            self.let_go(1);
        }
        while let Err(spent) = self.ask() {
            if self.len() == 1 {
                self.spent = Some(spent);
                return;
            }
            self.let_go(1);
        }
    }

    /// Has what is held granted.
    fn ask(&mut self) -> Result<(), Spent> {
        let Some(budget) = &self.budget else { return Ok(()) };
        if self.bytes > self.granted {
            let more = (self.bytes - self.granted).next_multiple_of(STEP_BYTES);
            budget.grow(more)?;
            self.granted += more;
        }
        Ok(())
    }

    /// Gives back what was granted for more than is held.
    fn give_back(&mut self) {
        let kept = self.bytes.next_multiple_of(STEP_BYTES).min(self.granted);
        if let Some(budget) = &self.budget {
            budget.shrink(self.granted - kept);
        }
        self.granted = kept;
    }

    /// How many shards this pass still has.
    pub fn len(&self) -> usize {
        self.end - self.first
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What this pass holds.
    pub fn held(&self) -> impl Iterator<Item = &S> {
        self.shards[self.first..self.end].iter()
    }

    /// Takes one of the shards held; `None` when the pass has none left. What it takes stays granted until
    /// [`Held::dropped`].
    pub fn take(&mut self) -> Option<S> {
        if self.first == self.end {
            return None;
        }
        let shard = std::mem::take(&mut self.shards[self.first]);
        self.first += 1;
        Some(shard)
    }

    /// Gives back the memory of a shard that was taken, and is gone.
    pub fn dropped(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.give_back();
    }

    /// Begins with the shards that were let go of; whether there are any.
    pub fn begin_next_pass(&mut self) -> bool {
        let has_more = self.end < SHARDS;
        self.end = SHARDS;
        self.bytes = 0;
        self.give_back();
        has_more
    }

    /// Makes room for something else, if it holds more than one shard: a pass that held none would never end.
    pub fn give_way(&mut self) -> bool {
        self.keep_but(1)
    }

    /// Makes room for a shard that was taken, if others wait behind it.
    pub fn give_way_to_taken(&mut self) -> bool {
        self.keep_but(0)
    }

    fn keep_but(&mut self, least: usize) -> bool {
        let has_some = self.len() > least;
        if has_some {
            self.let_go(least);
        }
        has_some
    }

    /// Frees the last shards, an eighth of what may be held, but never the `least` first: those are held whatever they take.
    /// Few at a time, so that a pass ends with as much as it may hold and there are few passes.
    fn let_go(&mut self, least: usize) {
        let kept_bytes = self.bytes.min(self.bytes_max) / 8 * 7;
        while self.len() > least {
            self.end -= 1;
            self.bytes -= std::mem::take(&mut self.shards[self.end]).bytes();
            if self.bytes <= kept_bytes {
                break;
            }
        }
        self.give_back();
    }
}

impl<S> Drop for Held<S> {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.shrink(self.granted);
        }
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::budget::Allowance;

    use super::*;

    impl Weighed for Vec<u64> {
        fn bytes(&self) -> usize {
            self.len() * 8
        }
    }

    fn passes(bytes_max: usize, numbers: &(impl Iterator<Item = u64> + Clone)) -> (usize, Vec<u64>) {
        let mut held = Held::<Vec<u64>>::with_budget(bytes_max);
        let (mut passes, mut all) = (0, Vec::new());
        loop {
            passes += 1;
            numbers.clone().for_each(|number| held.add(number, |shard| shard.push(number)));
            while let Some(shard) = held.take() {
                all.extend(shard);
            }
            if !held.begin_next_pass() {
                all.sort_unstable();
                return (passes, all);
            }
        }
    }

    #[test]
    fn within_the_budget_one_pass_holds_all() {
        assert_eq!(passes(8_000, &(0..1_000)), (1, (0..1_000).collect()));
    }

    #[test]
    fn beyond_the_budget_more_passes_hold_all_of_it_once() {
        let (passes, all) = passes(7_999, &(0..1_000));
        assert_eq!((passes, all), (2, (0..1_000).collect()));
        assert!(self::passes(800, &(0..1_000)).0 > 8);
    }

    /// Of 256 shards with four numbers each, the first is in hand and finds no room: others wait for the next pass.
    #[test]
    fn a_shard_in_hand_has_the_room_of_those_behind_it() {
        let budget = Arc::new(Allowance::new(1 << 20, None));
        let mut held = Held::<Vec<u64>>::with_budget(1 << 20);
        held.take_from(Arc::clone(&budget) as Arc<dyn Budget>);
        let numbers = || 0..4 * SHARDS as u64;
        numbers().for_each(|number| held.add(number, |shard| shard.push(number)));
        let mut all = held.take().expect("the first of all");
        while held.give_way_to_taken() {}
        assert_eq!((held.len(), held.bytes()), (0, 32));
        held.dropped(32);
        assert_eq!(budget.bytes(), 0, "all is given back");
        assert!(held.begin_next_pass());
        numbers().for_each(|number| held.add(number, |shard| shard.push(number)));
        while let Some(shard) = held.take() {
            all.extend(shard);
        }
        all.sort_unstable();
        assert_eq!((all, held.begin_next_pass()), (numbers().collect(), false));
    }

    #[test]
    fn what_belongs_together_is_held_beyond_the_budget() {
        let one_shard = (0..1_000).map(|number| number * SHARDS as u64);
        assert_eq!(passes(80, &one_shard).1, one_shard.collect::<Vec<_>>());
    }
}
