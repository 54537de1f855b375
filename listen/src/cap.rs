//! How many connections may be open at once, over one listener or several.
//!
//! A connection above the cap is closed at once: a peer that is refused tries again, one that waits unaccepted in
//! the kernel's queue only times out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The cap of the listeners that share it. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Cap {
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    most: AtomicU64,
    open: AtomicU64,
}

/// A connection that counts as open while this lives.
#[derive(Debug)]
pub(crate) struct Place {
    cap: Cap,
}

impl Cap {
    pub fn new(most: u64) -> Cap {
        Cap { counts: Arc::new(Counts { most: AtomicU64::new(most), open: AtomicU64::new(0) }) }
    }

    /// Changes the cap; those above a lower one are let be until they end.
    pub fn set(&self, most: u64) {
        self.counts.most.store(most, Ordering::Relaxed);
    }

    /// A place for one more, unless as many are open as may be.
    pub(crate) fn place(&self) -> Option<Place> {
        let most = self.counts.most.load(Ordering::Relaxed);
        let one_more = |open: u64| (open < most).then_some(open + 1);
        let opened = self.counts.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        opened.is_ok().then(|| Place { cap: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cap.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_more_than_the_most_has_no_place() {
        let cap = Cap::new(2);
        let (first, second) = (cap.place(), cap.place());
        assert!(first.is_some() && second.is_some() && cap.place().is_none());
        drop(first);
        assert!(cap.place().is_some());
    }

    #[test]
    fn a_lower_cap_holds_when_enough_have_ended() {
        let cap = Cap::new(2);
        let (first, _second) = (cap.place(), cap.place());
        cap.set(1);
        drop(first);
        assert!(cap.place().is_none(), "1 of 1");
        cap.set(2);
        assert!(cap.place().is_some());
    }
}
