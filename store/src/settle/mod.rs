//! Settles windows that are over: has their rows folded into cells, and keeps those in tables of their own.
//!
//! ```text
//!   snapshot -> plan: windows that are over and open -> fold (elsewhere: what is a call?) -> cells
//!            -> write: new files for those that hold a minute of them -> one commit a table and round
//! ```
//! A round looks at one snapshot, files and buffered rows, and the commit says of every minute up to which record its
//! rows were seen. So what comes during the fold, or came late, leaves the minute open, however the process ends; and a
//! crash between two tables leaves one of them with more open windows. Numbers of new records stay above those that any
//! fold saw, because a table's watermark is the highest of them.
//!
//! Minutes are settled once a minute, and five together where there are many rows, as each fold reads the minutes around
//! its own once more; those that late rows reached, every five, so that a trickle of late rows costs a
//! few folds and one commit. In between, and when folds fail, questions fold these windows themselves.
//!
//! Folds run on threads that everything else comes before. Limits: a window near which rows were dropped for their age
//! is not settled again; nor is one with rows of another writer, which say nothing of when they came.

mod background;
mod round;
mod fold;
mod retries;
mod plan;
mod tenants;
mod write;
mod progress;
mod runtime;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use meshlake_schema::{Clock, Table};
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::catalog::CatalogError;
use crate::flush::Flusher;
use crate::minutes::MICROS_PER_MINUTE;
use crate::retain::Retention;
use crate::snapshot::{Snapshot, window_minutes};
use crate::space::Space;
use progress::Work;
use retries::Retries;
use runtime::LowPriority;
use tenants::{Tenants, TenantsError};

pub(crate) use background::SettleTask;
pub use fold::{Settle, SettleError, SettleJob, SettledCells};
pub use progress::SettleStats;

/// Every minute since the epoch that a time can lie in.
const ALL_MINUTES: Range<i64> = i64::MIN / MICROS_PER_MINUTE..i64::MAX / MICROS_PER_MINUTE;

/// Why windows stayed open. Trying again may help.
#[derive(Debug, Error)]
pub enum RoundError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("fold minutes {}..{} of tenant {tenant}: {reason}", minutes.start, minutes.end)]
    Fold { minutes: Range<i64>, tenant: String, reason: String },
    #[error("{0}")]
    Tenants(String),
    #[error("cells of {minutes} minutes of table {table} cannot be written, see the log")]
    Write { table: &'static str, minutes: usize },
    #[error("nobody folds calls here")]
    NotWired,
    #[error("the disk has no room for cells")]
    NoRoom,
    #[error("settling has panicked, a bug")]
    Panicked,
    /// What is not settled is after the next start.
    #[error("the store is stopping")]
    Stopping,
}

impl From<TenantsError> for RoundError {
    fn from(error: TenantsError) -> Self {
        RoundError::Tenants(error.to_string())
    }
}

/// What settles the windows of one store.
pub(crate) struct Settler {
    flusher: Arc<Flusher>,
    space: Space,
    clock: Arc<dyn Clock>,
    retention: Retention,
    wired: OnceLock<Wired>,
    /// Held by the round that runs.
    rounds: Mutex<Rounds>,
    /// Held by whoever replaces files of a table of cells, from looking at them to the commit.
    turn: Mutex<()>,
    stop: watch::Sender<bool>,
    is_stopping: Arc<AtomicBool>,
    work: Work,
}

struct Wired {
    settle: Arc<dyn Settle>,
    /// None to run where the caller does.
    runtime: Option<LowPriority>,
}

/// What rounds remember.
#[derive(Default)]
struct Rounds {
    tenants: Tenants,
    /// By the minutes of a window.
    retries: BTreeMap<i64, Retries>,
    /// Minutes that are due and wait for others, to be settled together.
    waiting: BTreeSet<i64>,
}

/// Which windows are to be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// In one round, those that were never settled; and those that late rows have reached.
    Round { with_late: bool },
    /// Everything that is open, in as many rounds as it takes.
    Open,
    /// All that share a minute with these, settled or not.
    Anew(Range<i64>),
}

impl Settler {
    pub fn new(flusher: Arc<Flusher>, space: Space, clock: Arc<dyn Clock>, retention: Retention) -> Self {
        Settler {
            flusher,
            space,
            clock,
            retention,
            wired: OnceLock::new(),
            rounds: Mutex::default(),
            turn: Mutex::default(),
            stop: watch::Sender::new(false),
            is_stopping: Arc::default(),
            work: Work::default(),
        }
    }

    /// Tells who folds; a second call changes nothing. Before the first, nothing is settled.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn wire(&self, settle: Arc<dyn Settle>) -> std::io::Result<()> {
        let runtime = Some(LowPriority::start()?);
        self.wired.get_or_init(|| Wired { settle, runtime });
        Ok(())
    }

    /// As [`Settler::wire`], on the thread of the caller: for the simulation.
    #[cfg(test)]
    pub fn wire_here(&self, settle: Arc<dyn Settle>) {
        self.wired.get_or_init(|| Wired { settle, runtime: None });
    }

    /// Held while files of cells are replaced.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub fn stats(&self) -> SettleStats {
        self.work.stats()
    }

    /// Ends the round that runs at its next fold or commit, and waits for it; no other begins.
    pub async fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.stop.send_replace(true);
        drop(self.rounds.lock().await);
    }

    /// Settles what is wanted; before [`Settler::wire`] nothing, which is an error where somebody asks for it.
    ///
    /// cancel: the round goes on to its end.
    ///
    /// # Errors
    /// The first one; whatever else can be settled is.
    pub async fn settle(self: &Arc<Self>, wanted: Wanted) -> Result<(), RoundError> {
        let Some(wired) = self.wired.get() else {
            return if matches!(wanted, Wanted::Anew(_)) { Err(RoundError::NotWired) } else { Ok(()) };
        };
        let this = Arc::clone(self);
        let rounds = async move { this.run(wanted).await };
        match &wired.runtime {
            Some(runtime) => runtime.run(rounds).await.unwrap_or(Err(RoundError::Panicked)),
            None => rounds.await,
        }
    }

    async fn run(&self, wanted: Wanted) -> Result<(), RoundError> {
        let mut rounds = self.rounds.lock().await;
        rounds.tenants.keep_files_of(&self.snapshot());
        let begun = Instant::now();
        let mut outcome = Ok(());
        // The coarser tables last: their cells may be added up from finer ones.
        for tables in groups() {
            let mut minutes = match &wanted {
                Wanted::Anew(minutes) => minutes.clone(),
                Wanted::Round { .. } | Wanted::Open => ALL_MINUTES,
            };
            loop {
                let done = self.round(&mut rounds, &tables, &wanted, minutes.clone()).await;
                if let Some(error) = done.error {
                    keep_first(&mut outcome, error);
                }
                match done.oldest.filter(|_| done.is_more_due) {
                    Some(oldest) if !matches!(wanted, Wanted::Round { .. }) => minutes.end = oldest,
                    _ => break,
                }
            }
        }
        self.look();
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.work.count(|stats| stats.nanos += nanos);
        outcome
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.flusher.buffer().snapshot(), Arc::clone(self.flusher.store()))
    }
}

/// Tables of cells with windows of one length, the finest first.
fn groups() -> Vec<Vec<Table>> {
    let mut groups: BTreeMap<i64, Vec<Table>> = BTreeMap::new();
    for table in Table::settled() {
        groups.entry(window_minutes(table)).or_default().push(table);
    }
    groups.into_values().collect()
}

fn keep_first(outcome: &mut Result<(), RoundError>, error: RoundError) {
    if outcome.is_ok() {
        *outcome = Err(error);
    }
}
