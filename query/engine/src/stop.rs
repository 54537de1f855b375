//! Stops work that cannot be dropped: it asks now and then whether to go on.
//!
//! Planning and functions run where no stream can be dropped and no time-out is seen, and a step of a plan ends before a drop
//! of it takes effect. So whatever can take long is handed one of these. Who waits for the work stops it by leaving; the
//! engine stops it when memory is short, and then whoever waits is told at once, however long the work takes to notice. Limits: work
//! that does not ask goes on (`running` goes on without it).

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use datafusion::common::exec_err;
use datafusion::error::Result;
use tokio::sync::Notify;

use crate::error::QueryError;

/// Stops the work that was made stoppable with it. Clones stop the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// What the work is, for people.
    what: String,
    since: OnceLock<Instant>,
    /// Why, where it was not left but ended.
    why: OnceLock<QueryError>,
    changed: Notify,
}

impl Stop {
    /// For work that the log calls `what`.
    pub fn of(what: String) -> Stop {
        Stop(Arc::new(State { what, ..State::default() }))
    }

    pub fn what(&self) -> &str {
        &self.0.what
    }

    pub fn stop(&self) {
        self.0.since.get_or_init(Instant::now);
        self.0.changed.notify_waiters();
    }

    /// Stops the work for the reason that whoever waits for it is told.
    pub fn end(&self, why: QueryError) {
        self.0.why.get_or_init(|| why);
        self.stop();
    }

    /// For how long it has been stopped; none while it may go on.
    pub fn stopped_for(&self) -> Option<Duration> {
        self.0.since.get().map(Instant::elapsed)
    }

    /// # Errors
    /// It was stopped. Where it was not ended, nobody is left who would be told.
    pub fn check(&self) -> Result<()> {
        match (self.0.since.get(), self.0.why.get()) {
            (None, _) => Ok(()),
            (Some(_), Some(why)) => Err(why.clone().into()),
            (Some(_), None) => exec_err!("the query was stopped"),
        }
    }

    /// Waits until the work is ended, and says why.
    pub async fn ended(self) -> QueryError {
        loop {
            let told = self.0.changed.notified();
            if let Some(why) = self.0.why.get() {
                return why.clone();
            }
            told.await;
        }
    }

    /// `work`, which is dropped where it waits when it is stopped.
    ///
    /// # Errors
    /// As [`Stop::check`].
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        loop {
            let told = self.0.changed.notified();
            self.check()?;
            tokio::select! {
                done = &mut work => return Ok(done),
                () = told => {}
            }
        }
    }

    /// Stops when it is dropped, unless that was called off.
    pub fn on_drop(&self) -> StopOnDrop {
        StopOnDrop(Some(self.clone()))
    }
}

#[derive(Debug)]
pub struct StopOnDrop(Option<Stop>);

impl StopOnDrop {
    pub fn call_off(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_is_dropped_stops_and_what_was_called_off_does_not() {
        let (left, done) = (Stop::default(), Stop::default());
        drop(left.on_drop());
        done.on_drop().call_off();
        assert!(left.check().is_err() && left.stopped_for().is_some());
        assert!(done.check().is_ok() && done.stopped_for().is_none());
    }

    #[tokio::test]
    async fn work_that_waits_is_dropped_when_it_is_stopped() {
        let stop = Stop::default();
        assert_eq!(stop.unless_stopped(async { 7 }).await.ok(), Some(7));
        let stopping = stop.clone();
        let endless = stop.unless_stopped(std::future::pending::<()>());
        let (waited, ()) = tokio::join!(endless, async move { stopping.stop() });
        assert!(waited.is_err());
        assert!(stop.unless_stopped(async { 7 }).await.is_err(), "it does not begin");
    }

    #[tokio::test]
    async fn who_waits_is_told_why_work_was_ended_and_not_that_it_was_left() {
        let (left, short) = (Stop::default(), QueryError::Memory("short".to_owned()));
        left.stop();
        assert_eq!(left.clone().ended().now_or_never(), None);
        let ended = Stop::default();
        let (before, ending) = (ended.clone().ended(), ended.clone());
        let (told, ()) = tokio::join!(before, async move { ending.end(short.clone()) });
        assert_eq!(told, QueryError::Memory("short".to_owned()));
        assert_eq!(ended.clone().ended().now_or_never(), Some(told.clone()), "also who comes later");
        assert_eq!(ended.check().map_err(QueryError::from), Err(told), "and the work itself");
    }
}
