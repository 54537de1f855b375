//! Counts the bytes of telemetry in flight, so that memory is refused at the door and not found missing later.
//!
//! Every byte of a request is paid for before it is read or inflated, and given back when the request has
//! been answered. Counting requests instead would let a few large ones take all memory, and a limit checked
//! by a timer (as memory limiters usually work) notices only after the memory is gone. Limits: the budget
//! counts bytes on the wire and after inflating; the columns that a payload becomes are not counted, they
//! are bounded by the size of a group.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// No more bytes can be taken now; they come back as soon as requests in flight are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{wanted} bytes wanted, {free} of {limit} bytes free")]
pub struct OverBudget {
    pub wanted: usize,
    pub free: usize,
    pub limit: usize,
}

/// The process's bytes in flight. Cheap to clone; all clones are one budget.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    limit: usize,
}

/// Bytes that were taken out of the budget; dropping gives them back.
#[derive(Debug)]
pub struct Tickets {
    budget: Budget,
    held: OwnedSemaphorePermit,
}

impl Budget {
    /// `limit` is in bytes; at most 4 GiB - 1, the most that one call can take from the semaphore.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(u32::MAX as usize);
        Budget { free: Arc::new(Semaphore::new(limit)), limit }
    }

    /// Takes `bytes` at once.
    ///
    /// # Errors
    /// [`OverBudget`] when fewer are free; trying again later can help unless `bytes` exceeds the limit.
    pub fn take(&self, bytes: usize) -> Result<Tickets, OverBudget> {
        let held = count(bytes).and_then(|count| Arc::clone(&self.free).try_acquire_many_owned(count).ok());
        let held = held.ok_or(self.over(bytes))?;
        Ok(Tickets { budget: self.clone(), held })
    }

    /// Takes `bytes`, waiting in line until they are free.
    ///
    /// # Errors
    /// [`OverBudget`] when `bytes` is more than the whole budget: waiting would never end.
    ///
    /// Cancel: nothing is taken.
    pub async fn take_when_free(&self, bytes: usize) -> Result<Tickets, OverBudget> {
        if bytes > self.limit {
            return Err(self.over(bytes));
        }
        let count = count(bytes).ok_or(self.over(bytes))?;
        let held = Arc::clone(&self.free).acquire_many_owned(count).await;
        Ok(Tickets { budget: self.clone(), held: held.expect("the semaphore is never closed") })
    }

    /// Bytes in flight now.
    pub fn used_bytes(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }

    /// The most bytes that may be in flight.
    pub fn limit_bytes(&self) -> usize {
        self.limit
    }

    fn over(&self, wanted: usize) -> OverBudget {
        OverBudget { wanted, free: self.free.available_permits(), limit: self.limit }
    }
}

impl Tickets {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`OverBudget`]; what was held before stays held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let more = self.budget.take(bytes)?;
        self.held.merge(more.held);
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.held.num_permits()
    }
}

fn count(bytes: usize) -> Option<u32> {
    u32::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_can_be_taken_and_one_more_byte_cannot() {
        let budget = Budget::new(100);
        let all = budget.take(100).expect("all are free");
        assert_eq!(budget.take(1).map(drop), Err(OverBudget { wanted: 1, free: 0, limit: 100 }));
        assert_eq!(budget.used_bytes(), 100);
        drop(all);
        assert_eq!(budget.used_bytes(), 0);
        assert_eq!(budget.take(101).map(drop), Err(OverBudget { wanted: 101, free: 100, limit: 100 }));
    }

    #[test]
    fn grown_tickets_come_back_together() {
        let budget = Budget::new(100);
        let mut tickets = budget.take(40).expect("free");
        tickets.grow(60).expect("free");
        assert!(tickets.grow(1).is_err());
        assert_eq!((tickets.bytes(), budget.used_bytes()), (100, 100));
        drop(tickets);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_waiter_gets_bytes_when_they_come_back() {
        let budget = Budget::new(10);
        let held = budget.take(10).expect("free");
        let waiting = budget.take_when_free(5);
        tokio::pin!(waiting);
        assert!(futures_now(&mut waiting).await.is_none(), "nothing is free");
        drop(held);
        assert_eq!(waiting.await.map(|tickets| tickets.bytes()), Ok(5));
        assert!(budget.take_when_free(11).await.is_err(), "never free");
    }

    /// Polls once.
    async fn futures_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
