//! How the query process is, for whoever asks this one: admin, metrics, status.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meshlake_schema::metrics::Page;
use meshlake_store::QueryStatus;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long a page of metrics waits for the counts of the query process; one that is busier than that is told with the
/// counts of before.
const COUNT_TIME_MAX: Duration = Duration::from_millis(250);

/// Pages that wait for counts at the same time; there is one a scraper.
const ASKS_MAX: usize = 16;

/// To be answered when the counts have come.
pub struct Ask(pub oneshot::Sender<()>);

/// A handle on what is known; clones are one.
#[derive(Debug, Clone)]
pub struct QueryProcess {
    state: Arc<Mutex<QueryStatus>>,
    ask: mpsc::Sender<Ask>,
}

impl QueryProcess {
    /// Of a process that was not started yet, and what its supervisor is asked by.
    pub fn new() -> (QueryProcess, mpsc::Receiver<Ask>) {
        let (ask, asked) = mpsc::channel(ASKS_MAX);
        (QueryProcess { state: Arc::default(), ask }, asked)
    }

    pub fn started(&self, pid: Option<u32>) {
        self.state().pid = pid;
    }

    pub fn serves(&self, confinement: String) {
        let mut state = self.state();
        tracing::info!(pid = state.pid, confinement, "the query process serves");
        (state.is_serving, state.confinement) = (true, confinement);
    }

    pub fn died(&self, how: String) {
        let mut state = self.state();
        let restarts = state.restarts + 1;
        *state = QueryStatus { restarts, last_end: how, ..QueryStatus::default() };
    }

    pub fn status(&self) -> QueryStatus {
        self.state().clone()
    }

    /// # Errors
    /// Why questions wait.
    pub fn check(&self) -> Result<(), String> {
        match self.status() {
            QueryStatus { is_serving: true, .. } => Ok(()),
            QueryStatus { restarts: 0, .. } => Err("the query process starts".to_owned()),
            QueryStatus { last_end, .. } => Err(format!("the query process starts again after {last_end}")),
        }
    }

    /// Has the counts of its listeners brought up to date, if it answers soon.
    pub async fn count(&self) {
        let (counted, wait) = oneshot::channel();
        if self.status().is_serving && self.ask.try_send(Ask(counted)).is_ok() {
            // It ended, or is too busy: what was counted before has to do.
            timeout(COUNT_TIME_MAX, wait).await.ok();
        }
    }

    pub fn metrics(&self, page: &mut Page) {
        let status = self.status();
        let serves = u8::from(status.is_serving);
        page.single("meshlake_query_up", "gauge", "1 while the query process serves, else 0.", serves);
        page.single(
            "meshlake_query_restarts_total",
            "counter",
            "How often the query process ended and was started again.",
            status.restarts,
        );
    }

    /// What a panic leaves behind is whole: each change is one step.
    fn state(&self) -> MutexGuard<'_, QueryStatus> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
