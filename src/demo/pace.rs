//! When visits begin: evenly, at a rate, until a number is reached.
//!
//! Counts instead of sleeping between visits: a timer cannot wait for less than a millisecond or so, while
//! the starts of one tick can be spread over it to the nanosecond.

use std::time::Duration;

/// Visits that begin in one tick: beyond it the machine is too slow for the rate, and what was missed is skipped.
const STARTS_MAX: u64 = 50_000;

/// Counts visits against the clock.
#[derive(Debug, Clone)]
pub struct Pace {
    per_second: f64,
    requests: Option<u64>,
    /// Visits due up to the last look, including skipped ones.
    due: u64,
    begun: u64,
}

impl Pace {
    /// `per_second` is above 0; the command line takes no other.
    pub fn new(per_second: f64, requests: Option<u64>) -> Self {
        Pace { per_second, requests, due: 0, begun: 0 }
    }

    /// The visits that began since the last look, as times since the beginning, in order.
    pub fn starts(&mut self, elapsed: Duration) -> Vec<Duration> {
        let due = (elapsed.as_secs_f64() * self.per_second) as u64;
        let first = self.due.max(due.saturating_sub(STARTS_MAX));
        let left = self.requests.map_or(u64::MAX, |requests| requests - self.begun);
        let last = due.min(first.saturating_add(left));
        self.due = due.max(self.due);
        let starts: Vec<_> =
            (first..last).map(|n| Duration::from_secs_f64((n + 1) as f64 / self.per_second)).collect();
        self.begun += starts.len() as u64;
        starts
    }

    /// Whether no visit will begin any more.
    pub fn is_over(&self) -> bool {
        self.requests == Some(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(starts: &[Duration]) -> Vec<u128> {
        starts.iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn visits_begin_evenly_within_their_tick() {
        let mut pace = Pace::new(20.0, None);
        assert_eq!(millis(&pace.starts(Duration::from_millis(100))), [50, 100]);
        assert_eq!(millis(&pace.starts(Duration::from_millis(149))), Vec::<u128>::new());
        assert_eq!(millis(&pace.starts(Duration::from_millis(250))), [150, 200, 250]);
        assert!(!pace.is_over());
    }

    #[test]
    fn a_number_of_visits_is_reached_and_not_passed() {
        let mut pace = Pace::new(10.0, Some(3));
        assert_eq!(pace.starts(Duration::from_millis(200)).len(), 2);
        assert!(!pace.is_over());
        assert_eq!(pace.starts(Duration::from_secs(9)).len(), 1);
        assert!(pace.is_over());
        assert_eq!(pace.starts(Duration::from_secs(10)).len(), 0);
    }

    #[test]
    fn a_clock_that_steps_back_begins_nothing_twice() {
        let mut pace = Pace::new(10.0, None);
        assert_eq!(pace.starts(Duration::from_secs(1)).len(), 10);
        assert_eq!(pace.starts(Duration::from_millis(500)).len(), 0);
        assert_eq!(pace.starts(Duration::from_millis(1_100)).len(), 1);
    }
}
