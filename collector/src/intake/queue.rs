//! The queue between the receivers and the one thread that owns the column builders.
//!
//! A mutex and a condition variable, because that thread waits for two things at once, the next payload or
//! an idle WAL, and no channel wakes for both. It is bounded by bytes: a payload holds tickets of the
//! budget, so what is in the queue has been paid for. Nothing is computed under the lock.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Payload;

/// Payloads in the order in which they were admitted.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    payloads: VecDeque<Payload>,
    closed: bool,
}

/// What the intake thread has to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Decode this payload.
    Payload(Box<Payload>),
    /// Nothing is queued and the WAL waits for the open group.
    WalIdle,
    /// Nothing is queued, nothing will be, and the WAL is idle.
    End,
}

impl Queue {
    /// Adds a payload; gives it back when the queue is closed.
    pub(super) fn push(&self, payload: Payload) -> Result<(), Box<Payload>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(payload));
        }
        state.payloads.push_back(payload);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Puts payloads first in line that had been given out, also when the queue is closed.
    pub(super) fn give_back(&self, payloads: Vec<Payload>) {
        if payloads.is_empty() {
            return;
        }
        let mut state = self.lock();
        for payload in payloads.into_iter().rev() {
            state.payloads.push_front(payload);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Refuses further payloads; those in the queue are still given out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Makes [`next`](Self::next) look at the WAL again. Taking the lock orders this behind a look that
    /// found the WAL busy, so that the wake-up cannot fall between the look and the wait.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().payloads.is_empty()
    }

    /// Waits until there is something to do. A payload comes before an idle WAL.
    pub(super) fn next(&self, group_is_open: bool, wal_is_idle: impl Fn() -> bool) -> Next {
        let mut state = self.lock();
        loop {
            if let Some(payload) = state.payloads.pop_front() {
                return Next::Payload(Box::new(payload));
            }
            if (group_is_open || state.closed) && wal_is_idle() {
                return if group_is_open { Next::WalIdle } else { Next::End };
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::super::testing;
    use super::*;

    #[test]
    fn payloads_come_before_an_idle_wal_and_before_the_end() {
        let queue = Queue::default();
        let (payload, _answer) = testing::payload("a", b"");
        queue.push(payload).expect("open");
        queue.close();
        assert!(matches!(queue.next(true, || true), Next::Payload(_)));
        assert!(matches!(queue.next(true, || true), Next::WalIdle));
        assert!(matches!(queue.next(false, || true), Next::End));
    }

    #[test]
    fn a_closed_queue_gives_the_payload_back() {
        let queue = Queue::default();
        queue.close();
        assert!(queue.push(testing::payload("a", b"").0).is_err());
        assert!(queue.is_empty());
    }

    /// The WAL becomes idle only after a look has found it busy.
    #[test]
    fn a_busy_wal_is_waited_for() {
        let queue = Queue::default();
        let idle = AtomicBool::new(false);
        let (looked, look) = mpsc::channel();
        std::thread::scope(|scope| {
            let (queue, idle) = (&queue, &idle);
            let next = scope.spawn(move || {
                queue.next(true, || {
                    let is_idle = idle.load(Ordering::SeqCst);
                    looked.send(is_idle).expect("the test listens");
                    is_idle
                })
            });
            assert_eq!(look.recv(), Ok(false), "the WAL is looked at");
            idle.store(true, Ordering::SeqCst);
            queue.wake();
            assert!(matches!(next.join().expect("no panic"), Next::WalIdle));
        });
    }
}
