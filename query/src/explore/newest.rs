//! How far back the newest rows of a range reach: their times alone are kept, in one pass over rows in any order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use meshlake_schema::UnixNanos;

/// The newest times of some, up to a last one.
#[derive(Debug, Clone)]
pub struct Newest {
    /// The oldest on top.
    times: BinaryHeap<Reverse<UnixNanos>>,
    most: usize,
    last: UnixNanos,
}

impl Newest {
    /// At most `most`, none of them after `last`.
    pub fn new(most: usize, last: UnixNanos) -> Newest {
        Newest { times: BinaryHeap::new(), most, last }
    }

    pub fn offer(&mut self, time: UnixNanos) {
        if time > self.last {
            return;
        }
        if self.times.len() < self.most {
            self.times.push(Reverse(time));
        } else if self.times.peek().is_some_and(|Reverse(oldest)| time > *oldest) {
            self.times.pop();
            self.times.push(Reverse(time));
        }
    }

    /// As many rows of one time.
    pub fn offer_many(&mut self, time: UnixNanos, rows: u64) {
        let most = rows.min(self.most as u64);
        (0..most).for_each(|_| self.offer(time));
    }

    pub fn merge(&mut self, other: Newest) {
        other.times.into_iter().for_each(|Reverse(time)| self.offer(time));
    }

    /// The oldest of them; none without any.
    pub fn oldest(&self) -> Option<UnixNanos> {
        self.times.peek().map(|Reverse(time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_reach_as_far_back_as_there_are_so_many() {
        let newest = |most: usize, times: &[i64]| {
            let mut newest = Newest::new(most, UnixNanos(9));
            times.iter().for_each(|time| newest.offer(UnixNanos(*time)));
            newest
        };
        let oldest = |newest: &Newest| newest.oldest().map(|time| time.0);
        assert_eq!(oldest(&newest(2, &[3, 1, 10, 9, 3])), Some(3));
        assert_eq!(oldest(&newest(9, &[3, 1, 10])), Some(1));
        assert_eq!((oldest(&newest(0, &[3])), oldest(&newest(2, &[10]))), (None, None));
        let mut whole = newest(3, &[1, 5, 6]);
        whole.merge(newest(3, &[2, 4, 9]));
        assert_eq!(oldest(&whole), Some(5));
        whole.offer_many(UnixNanos(7), 2);
        assert_eq!(oldest(&whole), Some(7));
    }
}
