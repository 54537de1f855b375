//! Who waits for an answer that is worked on by a thread of its own.
//!
//! Such a thread cannot be cancelled; it looks at the clock now and then. So for whoever has gone away, its time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meshlake_schema::{Budget, Spent};

/// Held where the answer is waited for: once dropped, nobody waits any more.
#[derive(Debug, Default)]
pub struct Asker {
    is_gone: Arc<AtomicBool>,
}

impl Asker {
    /// The same budget, whose time is also up when the asker has gone.
    pub fn budget(&self, budget: Arc<dyn Budget>) -> Arc<dyn Budget> {
        Arc::new(WhileAsked { budget, is_gone: Arc::clone(&self.is_gone) })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct WhileAsked {
    budget: Arc<dyn Budget>,
    is_gone: Arc<AtomicBool>,
}

impl Budget for WhileAsked {
    fn grow(&self, bytes: usize) -> Result<(), Spent> {
        self.budget.grow(bytes)
    }

    fn shrink(&self, bytes: usize) {
        self.budget.shrink(bytes);
    }

    fn check_time(&self) -> Result<(), Spent> {
        if self.is_gone.load(Ordering::Relaxed) { Err(Spent::Time) } else { self.budget.check_time() }
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::budget::Allowance;

    use super::*;

    #[test]
    fn time_is_up_when_the_asker_has_gone() {
        let asker = Asker::default();
        let budget = asker.budget(Arc::new(Allowance::new(10, None)));
        assert_eq!((budget.check_time(), budget.grow(10)), (Ok(()), Ok(())));
        assert!(budget.grow(1).is_err());
        drop(asker);
        assert_eq!(budget.check_time(), Err(Spent::Time));
    }
}
