//! Windows whose fold failed, and when each is tried again.
//!
//! What fails together is tried alone, so that one window that cannot be folded keeps no other from its cells; alone, it
//! waits longer each time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::plan::Due;
use crate::minutes::MICROS_PER_MINUTE;

/// First and longest wait. A round comes once a minute; whatever is wrong is noticed to be mended within an hour.
const WAIT_MIN_MICROS: i64 = MICROS_PER_MINUTE;
const WAIT_MAX_MICROS: i64 = 60 * MICROS_PER_MINUTE;

/// Windows remembered; when more fail, those tried last are forgotten and come again at once.
const WINDOWS_MAX: usize = 10_000;

/// By first minute: not before when, and how long it waited.
#[derive(Debug, Default)]
pub(super) struct Retries(BTreeMap<i64, (i64, i64)>);

impl Retries {
    /// Those of `due` that do not wait.
    pub fn ready(&self, due: Vec<Due>, now_micros: i64) -> Vec<Due> {
        let waits = |due: &Due| self.0.get(&due.first).is_some_and(|(until, _)| *until > now_micros);
        due.into_iter().filter(|due| !waits(due)).collect()
    }

    /// Windows that are to be folded alone.
    pub fn alone(&self) -> BTreeSet<i64> {
        self.0.keys().copied().collect()
    }

    pub fn failed(&mut self, minutes: Range<i64>, width: i64, now_micros: i64) {
        let was_alone = minutes.end - minutes.start == width;
        for first in minutes.step_by(usize::try_from(width).unwrap_or(1)) {
            let (until, wait) = self.0.entry(first).or_insert((now_micros, 0));
            if was_alone {
                *wait = (*wait * 2).clamp(WAIT_MIN_MICROS, WAIT_MAX_MICROS);
                *until = now_micros.saturating_add(*wait);
            }
        }
        while self.0.len() > WINDOWS_MAX {
            self.0.pop_last();
        }
    }

    pub fn done(&mut self, minutes: Range<i64>) {
        self.0.retain(|first, _| !minutes.contains(first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(retries: &Retries, now_micros: i64) -> Vec<i64> {
        let due = (0..3).map(|first| Due { first, tables: Vec::new(), is_new: true }).collect();
        retries.ready(due, now_micros).iter().map(|due| due.first).collect()
    }

    #[test]
    fn windows_that_fail_together_are_tried_alone_and_then_wait_longer_each_time() {
        let mut retries = Retries::default();
        retries.failed(1..3, 1, 0);
        assert_eq!((ready(&retries, 0), retries.alone()), (vec![0, 1, 2], BTreeSet::from([1, 2])));
        retries.done(2..3);
        let minute = MICROS_PER_MINUTE;
        let (mut now, mut waited) = (0, Vec::new());
        for _ in 0..8 {
            retries.failed(1..2, 1, now);
            let until =
                (1..).find(|wait| ready(&retries, now + wait * minute).contains(&1)).expect("it ends");
            waited.push(until);
            now += until * minute;
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(ready(&retries, now - 1), [0, 2], "the others do not wait for it");
        retries.done(1..2);
        assert_eq!((ready(&retries, 0), retries.alone()), (vec![0, 1, 2], BTreeSet::new()));
    }

    #[test]
    fn so_many_failures_are_remembered() {
        let mut retries = Retries::default();
        let max = WINDOWS_MAX as i64;
        retries.failed(0..max, 1, 0);
        assert_eq!(retries.alone().len(), WINDOWS_MAX);
        retries.failed(max..max + 1, 1, 0);
        assert_eq!(retries.alone().last(), Some(&(max - 1)), "the one more is forgotten");
    }
}
