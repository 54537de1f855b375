//! How much memory and time a piece of work may take.
//!
//! A fold of calls is pure and yet must obey the limits of the statement, or of the maintenance, that it runs
//! for. So it asks: before it grows, and now and then whether time is up. The engine answers for its memory
//! pool, whoever runs a fold by itself with an [`Allowance`].

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use thiserror::Error;

/// Why work has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Spent {
    /// Asking for less, a shorter time or fewer groups, can help.
    #[error("{asked} bytes more than the {granted} in use are not granted")]
    Bytes { asked: usize, granted: usize },
    #[error("the time is up")]
    Time,
}

/// What a piece of work may take. Shared by all that works on one question.
pub trait Budget: fmt::Debug + Send + Sync {
    /// Asks for memory, before it is taken.
    ///
    /// # Errors
    /// [`Spent::Bytes`]; nothing is granted then.
    fn grow(&self, bytes: usize) -> Result<(), Spent>;

    /// Gives memory back that was granted.
    fn shrink(&self, bytes: usize);

    /// To be asked once a batch, or every few thousand steps.
    ///
    /// # Errors
    /// [`Spent::Time`] once the deadline has passed.
    fn check_time(&self) -> Result<(), Spent>;
}

/// Memory that one holder was granted; given back when it is dropped.
#[derive(Debug)]
pub struct Holding<'a> {
    budget: &'a dyn Budget,
    bytes: usize,
}

impl<'a> Holding<'a> {
    pub fn new(budget: &'a dyn Budget) -> Self {
        Holding { budget, bytes: 0 }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// # Errors
    /// [`Spent::Time`] once the budget's deadline has passed.
    pub fn check_time(&self) -> Result<(), Spent> {
        self.budget.check_time()
    }

    /// Holds `bytes` in all from now on: asks for what is more, gives back what is less.
    ///
    /// # Errors
    /// [`Spent::Bytes`]; what was held before still is.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Spent> {
        if bytes > self.bytes {
            self.budget.grow(bytes - self.bytes)?;
        } else {
            self.budget.shrink(self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.budget.shrink(self.bytes);
    }
}

/// A budget of a fixed size, for work that is part of nothing larger.
#[derive(Debug)]
pub struct Allowance {
    bytes_max: usize,
    bytes: AtomicUsize,
    /// None for ever.
    deadline: Option<Instant>,
}

impl Allowance {
    /// `bytes_max` bytes, and `time` from now on; without it, as long as it takes.
    pub fn new(bytes_max: usize, time: Option<Duration>) -> Self {
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        Allowance { bytes_max, bytes: AtomicUsize::new(0), deadline }
    }

    /// What is granted and was not given back.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Budget for Allowance {
    fn grow(&self, bytes: usize) -> Result<(), Spent> {
        let grown = |granted: usize| granted.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        let granted = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        granted.map(drop).map_err(|granted| Spent::Bytes { asked: bytes, granted })
    }

    fn shrink(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "only what was granted is given back");
    }

    fn check_time(&self) -> Result<(), Spent> {
        let is_over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_over { Err(Spent::Time) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_granted_up_to_the_limit_and_comes_back() {
        let budget = Allowance::new(100, None);
        let mut first = Holding::new(&budget);
        assert_eq!(first.resize(60), Ok(()));
        let mut second = Holding::new(&budget);
        assert_eq!(second.resize(41), Err(Spent::Bytes { asked: 41, granted: 60 }));
        assert_eq!((second.bytes(), budget.bytes()), (0, 60), "nothing of it is granted");
        assert_eq!(second.resize(40), Ok(()));
        assert_eq!(first.resize(59), Ok(()));
        assert_eq!(second.resize(41), Ok(()));
        drop(first);
        assert_eq!(budget.bytes(), 41);
        assert!(budget.grow(usize::MAX).is_err(), "the sum does not overflow");
    }

    #[test]
    fn time_is_up_at_the_deadline_and_never_without_one() {
        assert_eq!(Allowance::new(0, Some(Duration::ZERO)).check_time(), Err(Spent::Time));
        assert_eq!(Allowance::new(0, Some(Duration::MAX)).check_time(), Ok(()));
        assert_eq!(Allowance::new(0, None).check_time(), Ok(()));
    }
}
