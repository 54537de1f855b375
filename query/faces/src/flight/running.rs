//! Which statements run now, so that they can be cancelled by name.
//!
//! A client that goes away has cancelled already: its stream is dropped, and with it the query. This is for clients that
//! keep the connection and send CancelFlightInfo or CancelQuery beside it, as JDBC does. What is here is what runs, so
//! it is bounded by what listeners and the engine let run. A tenant cancels its own statements alone.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use futures::future::{Either, select};
use tonic::Status;

use super::handle::Name;

type Runs = HashMap<(String, Name), oneshot::Sender<()>>;

/// The statements that run. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<Runs>>);

/// One statement that runs, until it is dropped.
#[derive(Debug)]
pub struct Run {
    running: Running,
    key: (String, Name),
    cancelled: oneshot::Receiver<()>,
}

impl Running {
    /// Enters a run. A second run of the same name, of a ticket that is asked for twice, takes its place.
    pub fn enter(&self, tenant: &str, name: Name) -> Run {
        let (cancel, cancelled) = oneshot::channel();
        let key = (tenant.to_owned(), name);
        self.lock().insert(key.clone(), cancel);
        Run { running: self.clone(), key, cancelled }
    }

    /// Whether there was such a run; it ends with CANCELLED.
    pub fn cancel(&self, tenant: &str, name: Name) -> bool {
        let run = self.lock().remove(&(tenant.to_owned(), name));
        run.is_some_and(|run| run.send(()).is_ok())
    }

    /// What a panic leaves behind is whole: entries come and go in one step.
    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Waits for `work`, unless the run is cancelled first.
    ///
    /// # Errors
    /// CANCELLED; the work is dropped.
    pub async fn until_cancelled<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Status> {
        match select(&mut self.cancelled, pin!(work)).await {
            // A run that was pushed out by one of the same name can no longer be cancelled.
            Either::Left((Err(oneshot::Canceled), work)) => Ok(work.await),
            Either::Left((Ok(()), _)) => Err(Status::cancelled("the statement was cancelled")),
            Either::Right((done, _)) => Ok(done),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.cancelled.close();
        let mut runs = self.running.lock();
        // The entry of a later run of this name stays.
        if runs.get(&self.key).is_some_and(oneshot::Sender::is_canceled) {
            runs.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::pending;

    use super::*;

    const NAME: Name = [7; 16];

    #[test]
    fn a_run_is_cancelled_by_its_own_tenant_and_name() {
        let running = Running::default();
        let mut run = running.enter("a", NAME);
        assert!(!running.cancel("b", NAME) && !running.cancel("a", [8; 16]));
        assert_eq!(block_on(run.until_cancelled(async { 1 })).ok(), Some(1));
        assert!(running.cancel("a", NAME));
        let ended = block_on(run.until_cancelled(pending::<()>()));
        assert_eq!(ended.map_err(|status| status.code()), Err(tonic::Code::Cancelled));
    }

    #[test]
    fn a_run_that_ended_is_not_there() {
        let running = Running::default();
        drop(running.enter("a", NAME));
        assert!(!running.cancel("a", NAME));
        assert!(running.lock().is_empty());
    }

    #[test]
    fn the_later_run_of_a_name_is_the_one_that_is_cancelled() {
        let running = Running::default();
        let mut first = running.enter("a", NAME);
        let mut second = running.enter("a", NAME);
        assert_eq!(block_on(first.until_cancelled(async { 1 })).ok(), Some(1));
        drop(first);
        assert!(running.cancel("a", NAME));
        assert!(block_on(second.until_cancelled(pending::<()>())).is_err());
    }
}
