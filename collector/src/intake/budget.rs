//! Counts the bytes of telemetry in flight, so that memory is refused at the door and not found missing later.
//!
//! Every byte of an export is paid for before it is read or inflated, and given back when the export has
//! been answered. Counting exports instead would let a few large ones take all memory, and a limit checked
//! by a timer (as memory limiters usually work) notices only after the memory is gone. How long bytes were held
//! until their export was answered is measured on the way, and is what a refused sender is told to wait. Limits: the budget
//! counts bytes on the wire, after inflating, and what rows take beyond that; the columns themselves, once more as
//! large, are bounded by the size of a group.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use meshlake_schema::metrics::Page;
use thiserror::Error;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// No more bytes can be taken now; they come back as soon as exports in flight are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{wanted} bytes wanted, {free} of {limit} bytes free")]
pub struct OverBudget {
    pub wanted: usize,
    pub free: usize,
    pub limit: usize,
    /// The budget is a tenant's share.
    pub is_share: bool,
    /// How long bytes have lately been held until their export was answered; zero when none was yet.
    pub held: Duration,
}

/// Of a budget, in bytes: the most that one call can take from the semaphore.
const LIMIT_MAX: usize = u32::MAX as usize;

/// Lately is while this part of the budget was given back last: few exports when they are large, many when they
/// are small. A whole budget would take minutes to notice that a disk has become slow.
const LATELY_PART: f64 = 1.0 / 8.0;

/// The process's bytes in flight, or a tenant's share of them. Cheap to clone; all clones are one budget.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
    /// What this is a share of: every byte is taken from both.
    whole: Option<Box<Budget>>,
}

#[derive(Debug)]
struct Shared {
    free: Arc<Semaphore>,
    limit: AtomicUsize,
    /// By how much the limit was lowered below what was in use: tickets that come back are not given out
    /// again until this is paid off.
    excess: AtomicUsize,
    /// Tells those who wait that the limit is another one.
    limit_changed: Notify,
    /// Seconds for which bytes of answered exports were held: the bits of a double, a mean that forgets.
    held_seconds: AtomicU64,
}

/// Bytes that were taken out of the budget; dropping gives them back.
#[derive(Debug)]
pub struct Tickets {
    budget: Budget,
    held: Option<OwnedSemaphorePermit>,
    since: Instant,
    whole: Option<Box<Tickets>>,
}

impl Budget {
    /// `limit` is in bytes; at most 4 GiB - 1, the most that one call can take from the semaphore.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(LIMIT_MAX);
        let shared = Shared {
            free: Arc::new(Semaphore::new(limit)),
            limit: AtomicUsize::new(limit),
            excess: AtomicUsize::new(0),
            limit_changed: Notify::new(),
            held_seconds: AtomicU64::new(0f64.to_bits()),
        };
        Budget { shared: Arc::new(shared), whole: None }
    }

    /// A budget of `limit` bytes, each of which is taken from `self` as well.
    pub fn share(&self, limit: usize) -> Budget {
        Budget { whole: Some(Box::new(self.clone())), ..Budget::new(limit) }
    }

    /// Changes the limit. When more than the new one is in flight, nothing is given out until enough of it
    /// has come back. Who waits for more than the new one is refused.
    pub fn set_limit(&self, limit: usize) {
        let limit = limit.min(LIMIT_MAX);
        let before = self.shared.limit.swap(limit, Ordering::AcqRel);
        if limit < before {
            let forgotten = self.shared.free.forget_permits(before - limit);
            self.shared.excess.fetch_add(before - limit - forgotten, Ordering::AcqRel);
        } else {
            let paid = self.shared.pay_off(limit - before);
            self.shared.free.add_permits(limit - before - paid);
        }
        self.shared.limit_changed.notify_waiters();
    }

    /// Takes `bytes` at once.
    ///
    /// # Errors
    /// [`OverBudget`] when fewer are free; trying again later can help unless `bytes` exceeds the limit.
    pub fn take(&self, bytes: usize) -> Result<Tickets, OverBudget> {
        self.shared.forget_excess();
        let free = &self.shared.free;
        let held = count(bytes).and_then(|count| Arc::clone(free).try_acquire_many_owned(count).ok());
        let held = held.ok_or_else(|| self.over(bytes))?;
        let mut tickets = self.tickets(held);
        if let Some(whole) = &self.whole {
            tickets.whole = Some(Box::new(whole.take(bytes)?));
        }
        Ok(tickets)
    }

    /// Takes `bytes`, waiting in line until they are free.
    ///
    /// # Errors
    /// [`OverBudget`] when `bytes` is more than the whole budget, or becomes more while waiting: that would never end,
    /// and nobody else would get what comes back meanwhile, which is kept for the first in line.
    ///
    /// Cancel: nothing is taken.
    pub async fn take_when_free(&self, bytes: usize) -> Result<Tickets, OverBudget> {
        self.shared.forget_excess();
        let count = count(bytes).ok_or(self.over(bytes))?;
        let mut taking = pin!(Arc::clone(&self.shared.free).acquire_many_owned(count));
        let held = loop {
            // Listening begins before the look, so that no change falls between them.
            let limit_changed = self.shared.limit_changed.notified();
            if bytes > self.limit_bytes() {
                return Err(self.over(bytes));
            }
            tokio::select! {
                held = taking.as_mut() => break held,
                () = limit_changed => {}
            }
        };
        let mut tickets = self.tickets(held.expect("the semaphore is never closed"));
        if let Some(whole) = &self.whole {
            tickets.whole = Some(Box::new(Box::pin(whole.take_when_free(bytes)).await?));
        }
        Ok(tickets)
    }

    /// Bytes in flight now.
    pub fn used_bytes(&self) -> usize {
        let Shared { free, excess, .. } = self.shared.as_ref();
        (self.limit_bytes() + excess.load(Ordering::Acquire)).saturating_sub(free.available_permits())
    }

    /// The most bytes that may be in flight.
    pub fn limit_bytes(&self) -> usize {
        self.shared.limit.load(Ordering::Acquire)
    }

    /// Writes how much is taken, and of how much.
    pub fn metrics(&self, page: &mut Page) {
        page.single("meshlake_in_flight_bytes", "gauge", "Bytes of exports in memory.", self.used_bytes());
        page.single("meshlake_in_flight_bytes_max", "gauge", "Their budget.", self.limit_bytes());
    }

    /// Whether this is a tenant's share.
    pub fn is_share(&self) -> bool {
        self.whole.is_some()
    }

    fn over(&self, wanted: usize) -> OverBudget {
        let free = self.shared.free.available_permits();
        let held_seconds = f64::from_bits(self.shared.held_seconds.load(Ordering::Relaxed));
        let held = Duration::from_secs_f64(held_seconds);
        OverBudget { wanted, free, limit: self.limit_bytes(), is_share: self.is_share(), held }
    }

    fn tickets(&self, held: OwnedSemaphorePermit) -> Tickets {
        Tickets { budget: self.clone(), held: Some(held), since: Instant::now(), whole: None }
    }
}

impl Shared {
    /// Takes up to `bytes` off the excess; how many.
    fn pay_off(&self, bytes: usize) -> usize {
        let paid = |excess: usize| Some(excess - excess.min(bytes));
        let before = self.excess.fetch_update(Ordering::AcqRel, Ordering::Acquire, paid);
        before.unwrap_or_default().min(bytes)
    }

    /// Takes free bytes off the excess: those which were kept for a waiter that gave up come back past
    /// [`Tickets`].
    fn forget_excess(&self) {
        let excess = self.excess.load(Ordering::Acquire);
        if excess > 0 {
            let forgotten = self.free.forget_permits(excess);
            // Tickets that came back meanwhile may have paid already.
            let paid = self.pay_off(forgotten);
            self.free.add_permits(forgotten - paid);
        }
    }

    /// Takes into the mean that `bytes` of an answered export were held for `time`. Of two at the same instant one
    /// may be forgotten.
    fn answered(&self, bytes: usize, time: Duration) {
        let lately = self.limit.load(Ordering::Relaxed) as f64 * LATELY_PART;
        let weight = (bytes as f64 / lately.max(1.0)).min(1.0);
        let mean = f64::from_bits(self.held_seconds.load(Ordering::Relaxed));
        let mean = mean + weight * (time.as_secs_f64() - mean);
        self.held_seconds.store(mean.to_bits(), Ordering::Relaxed);
    }
}

impl Tickets {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`OverBudget`]; what was held before stays held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), OverBudget> {
        // What is wanted is all of it together, so that what can never fit is known as that.
        let more =
            self.budget.take(bytes).map_err(|over| OverBudget { wanted: self.bytes() + bytes, ..over })?;
        self.merge(more);
        Ok(())
    }

    /// Takes `bytes` more, waiting in line until they are free.
    ///
    /// What is held meanwhile stays held, so that those who wait here may hold all that they wait for: wait for a
    /// limited time only.
    ///
    /// # Errors
    /// As [`Budget::take_when_free`]; what was held before stays held.
    ///
    /// Cancel: nothing more is taken.
    pub async fn grow_when_free(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let wanted = self.bytes() + bytes;
        if wanted > self.budget.limit_bytes() {
            return Err(OverBudget { wanted, ..self.budget.over(bytes) });
        }
        let more = self.budget.take_when_free(bytes).await?;
        self.merge(more);
        Ok(())
    }

    /// Gives the bytes back because their export has been answered, and notes how long that took. Bytes that are
    /// only dropped, as those of a refused export, tell nothing of that.
    pub fn answered(self) {
        let mut tickets = Some(&self);
        while let Some(part) = tickets {
            part.budget.shared.answered(part.bytes(), part.since.elapsed());
            tickets = part.whole.as_deref();
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    fn merge(&mut self, mut more: Tickets) {
        if let (Some(held), Some(more)) = (&mut self.held, more.held.take()) {
            held.merge(more);
        }
        if let (Some(whole), Some(more)) = (&mut self.whole, more.whole.take()) {
            whole.merge(*more);
        }
    }
}

impl Drop for Tickets {
    fn drop(&mut self) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let paid = self.budget.shared.pay_off(held.num_permits());
        if let Some(excess) = held.split(paid) {
            excess.forget();
        }
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
        let held = Duration::ZERO;
        assert_eq!(
            budget.take(1).map(drop),
            Err(OverBudget { wanted: 1, free: 0, limit: 100, is_share: false, held })
        );
        assert_eq!(budget.used_bytes(), 100);
        drop(all);
        assert_eq!(budget.used_bytes(), 0);
        assert_eq!(
            budget.take(101).map(drop),
            Err(OverBudget { wanted: 101, free: 100, limit: 100, is_share: false, held })
        );
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

    #[test]
    fn how_long_bytes_were_held_lately_is_a_mean_by_bytes() {
        let budget = Budget::new(800);
        let held = || budget.over(1).held.as_secs_f64();
        assert_eq!(held(), 0.0);
        // Lately is 100 bytes: all of them at once replace what was before, half of them half of it.
        budget.shared.answered(100, Duration::from_secs(4));
        assert_eq!(held(), 4.0);
        budget.shared.answered(50, Duration::from_secs(10));
        assert_eq!(held(), 7.0);
        budget.shared.answered(25, Duration::from_secs(3));
        assert_eq!(held(), 6.0);
        budget.shared.answered(800, Duration::from_secs(1));
        assert_eq!(held(), 1.0);
    }

    #[test]
    fn only_answered_exports_tell_how_long_bytes_are_held() {
        let whole = Budget::new(100);
        let share = whole.share(100);
        let long_ago =
            Instant::now().checked_sub(Duration::from_secs(9)).expect("the machine is up for longer");
        let mut tickets = share.take(100).expect("free");
        tickets.since = long_ago;
        drop(tickets);
        assert_eq!((whole.over(1).held, share.over(1).held), (Duration::ZERO, Duration::ZERO));
        let mut tickets = share.take(100).expect("free");
        tickets.since = long_ago;
        tickets.answered();
        assert!(share.over(1).held >= Duration::from_secs(9));
        assert!(whole.over(1).held < Duration::from_secs(9), "its own tickets were taken just now");
        assert_eq!((whole.used_bytes(), share.used_bytes()), (0, 0));
    }

    #[test]
    fn a_share_takes_from_the_whole_as_well() {
        let whole = Budget::new(100);
        let (first, second) = (whole.share(80), whole.share(80));
        let mut held = first.take(50).expect("free");
        held.grow(30).expect("free");
        assert_eq!(first.take(1).map(drop).map_err(|over| over.is_share), Err(true), "80 of 80 are taken");
        assert_eq!(second.take(21).map(drop).map_err(|over| over.is_share), Err(false), "20 of 100 are free");
        assert_eq!(second.used_bytes(), 0, "what the whole refused was given back");
        assert_eq!(second.take(20).map(|tickets| tickets.bytes()), Ok(20));
        assert_eq!((held.bytes(), whole.used_bytes()), (80, 80));
        drop(held);
        assert_eq!((first.used_bytes(), whole.used_bytes()), (0, 0));
    }

    #[test]
    fn a_lower_limit_holds_when_enough_has_come_back() {
        let budget = Budget::new(100);
        let (first, second) = (budget.take(60).expect("free"), budget.take(30).expect("free"));
        budget.set_limit(50);
        assert_eq!((budget.used_bytes(), budget.limit_bytes()), (90, 50));
        assert!(budget.take(1).is_err());
        drop(second);
        assert_eq!(budget.used_bytes(), 60);
        assert!(budget.take(1).is_err(), "60 of 50");
        drop(first);
        assert_eq!(budget.used_bytes(), 0);
        let all = budget.take(50).expect("all are free");
        assert!(budget.take(1).is_err());
        budget.set_limit(20);
        budget.set_limit(70);
        assert_eq!(budget.used_bytes(), 50);
        assert_eq!(budget.take(20).map(|tickets| tickets.bytes()), Ok(20));
        drop(all);
        assert!(budget.take(71).is_err());
        assert_eq!(budget.take(70).map(|tickets| tickets.bytes()), Ok(70));
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

    #[tokio::test]
    async fn tickets_that_wait_to_grow_keep_what_they_hold() {
        let whole = Budget::new(100);
        let share = whole.share(50);
        let held = whole.take(80).expect("free");
        let mut tickets = share.take(20).expect("free");
        let mut waiting = Box::pin(tickets.grow_when_free(30));
        assert!(futures_now(&mut waiting).await.is_none(), "nothing is free");
        drop(held);
        assert_eq!(waiting.await, Ok(()));
        assert_eq!((tickets.bytes(), share.used_bytes(), whole.used_bytes()), (50, 50, 50));
        assert!(tickets.grow_when_free(1).await.is_err(), "51 are never free");
        drop(tickets);
        assert_eq!((share.used_bytes(), whole.used_bytes()), (0, 0));
    }

    /// Scenario: 40 of 100 bytes are held and one waits for 80, for whom the other 60 are kept, when the limit becomes
    /// 50. Guarantee: the waiter is refused, and the 10 that are left are given out, no more.
    #[tokio::test]
    async fn a_waiter_for_more_than_a_lower_limit_is_refused() {
        let budget = Budget::new(100);
        let held = budget.take(40).expect("free");
        let mut waiting = Box::pin(budget.take_when_free(80));
        assert!(futures_now(&mut waiting).await.is_none(), "60 are free");
        assert!(budget.take(1).is_err(), "what is free is kept for the waiter");
        budget.set_limit(50);
        let refused = futures_now(&mut waiting).await.expect("it would wait for ever");
        assert_eq!(refused.map(drop).map_err(|over| (over.wanted, over.limit)), Err((80, 50)));
        drop(waiting);
        assert!(budget.take(11).is_err(), "40 of 50 are held");
        let rest = budget.take(10).expect("free");
        assert_eq!(budget.used_bytes(), 50);
        drop((held, rest));
        assert_eq!(budget.used_bytes(), 0);
        assert!(budget.take(51).is_err());
        assert_eq!(budget.take(50).map(|tickets| tickets.bytes()), Ok(50));
    }

    /// A limit that still fits leaves the waiter its place.
    #[tokio::test]
    async fn a_waiter_for_less_than_a_lower_limit_waits_on() {
        let budget = Budget::new(100);
        let held = budget.take(100).expect("free");
        let mut waiting = Box::pin(budget.take_when_free(50));
        assert!(futures_now(&mut waiting).await.is_none(), "nothing is free");
        budget.set_limit(50);
        assert!(futures_now(&mut waiting).await.is_none(), "100 of 50 are held");
        drop(held);
        assert_eq!(waiting.await.map(|tickets| tickets.bytes()), Ok(50));
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
