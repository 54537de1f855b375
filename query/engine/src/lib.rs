//! Runs queries over snapshots within fixed limits of time, memory, disk and size; the only crate that names DataFusion.
//!
//! ```text
//! sql text -> text_guard -> parse (own thread, big stack) -> statement_guard -> plan -> plan_guard, expansion
//! Scan     -> plan -> plan_guard
//! both     -> optimise -> run (own threads) -> stream with caps
//! ```
//! DataFusion aborts the process on deep statements, counts only some of its memory, and ships functions that
//! turn ten bytes of SQL into gigabytes; so nothing reaches it unseen, and each query has a session of its own
//! that knows only one tenant's tables. What operators do not report to the memory pool is bounded or counted
//! beside them (`capped`, `watched`); what is missed there ends a process of its own, not the collector.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod table_function;
mod query;
mod scan;
mod prepared;
mod explain;
pub mod postgres;
mod unknown_table;
mod session;
mod kept;
mod catalog;
mod lean;
mod functions;
mod watched;
mod capped;
mod series;
mod histograms;
mod text_guard;
mod statement_guard;
mod nested_names;
mod set_comparisons;
mod soft_limit;
mod plan_guard;
mod expansion;
mod planning;
mod executing;
mod interrupt;
mod running;
mod ongoing;
mod stop;
mod answer;
mod budget;
mod weight;
mod values;
mod config;
mod error;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meshlake_schema::{Clock, Table};
use meshlake_store::snapshot::Snapshot;
use meshlake_store::{Follow, Reader};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

pub use meshlake_store::snapshot::{DataFile, Unflushed};
pub use meshlake_store::{
    Exports, FollowStream, Followed, InFlight, QueryStatus, Sender, Status, TableStats,
};

pub use answer::RowStream;
pub use catalog::{Texts, Told};
pub use config::EngineConfig;
pub use error::{Fault, QueryError};
pub use lean::Lean;
pub use prepared::{Bound, Prepared};
pub use query::Query;
pub use scan::{Part, Scan};
pub use table_function::{Argument, Arguments, ComputedRows, Parameter, ParameterKind, TableFunction};

use executing::NewestThreads;
use kept::Kept;
use plan_guard::AllowList;
use postgres::Known;
use running::Running;
use session::SessionTemplate;
use table_function::{callable, scan_name};

/// How many queries may wait for a place before the next is refused. A waiting query holds a connection and
/// little else; more than this would mostly time out in the queue.
const WAITING_MAX: usize = 32;

/// Stopped work that may go on while others are answered. Each keeps a thread, and most of a core; a machine has few. Guess, not measured.
const LEFT_BEHIND_MAX: usize = 4;

/// So many queries were stopped and do not end: it is time for another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0} queries were stopped and go on")]
pub struct Stuck(pub usize);

/// The query engine; clones share one memory pool, one cache of file footers and one queue.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    reader: Arc<dyn Reader>,
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    template: SessionTemplate,
    functions: Vec<Arc<dyn TableFunction>>,
    allowed: Arc<AllowList>,
    /// What clients of PostgreSQL are told of tables and functions.
    known: Arc<Known>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    threads: NewestThreads,
    running: Arc<Running>,
    kept: Arc<Kept>,
}

impl Engine {
    /// An engine that answers from what `reader` sees.
    ///
    /// # Errors
    /// [`QueryError::Internal`] if the spill directory cannot be made.
    pub fn new(
        reader: Arc<dyn Reader>,
        config: EngineConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine, QueryError> {
        Engine::with_functions(reader, config, clock, Vec::new())
    }

    /// An engine whose statements may also call `functions` as tables.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with_functions(
        reader: Arc<dyn Reader>,
        config: EngineConfig,
        clock: Arc<dyn Clock>,
        functions: Vec<Arc<dyn TableFunction>>,
    ) -> Result<Engine, QueryError> {
        let template = SessionTemplate::new(&config)?;
        let names = functions.iter().map(|function| scan_name(function.name()));
        let names = names.chain([scan_name(series::GENERATE_SERIES)]);
        let allowed = Arc::new(catalog::allowed(names.collect()));
        let places = Arc::new(Semaphore::new(config.concurrent_queries_max.max(1)));
        let (waiting, running, kept) = (AtomicUsize::new(0), Arc::default(), Arc::default());
        let threads = NewestThreads::new(config.parallelism.max(1))?;
        let described = functions.iter().map(|function| {
            let parameters = function.parameters().iter();
            let parameters = parameters.map(|parameter| (parameter.name, parameter.kind.data_type()));
            (function.name(), parameters.collect(), function.columns())
        });
        let known = Arc::new(Known::of(described, template.function_names(), clock.now()));
        let shared = Shared {
            reader,
            config,
            clock,
            template,
            functions,
            allowed,
            known,
            places,
            waiting,
            threads,
            running,
            kept,
        };
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// The clock that ranges like "the last 15 minutes" are counted from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub fn config(&self) -> &EngineConfig {
        &self.shared.config
    }

    /// How the collector is doing, with what is on its way to the log. Of every tenant.
    ///
    /// # Errors
    /// [`QueryError::Snapshot`] when it cannot be asked now; trying again can help.
    pub async fn status(&self) -> Result<Status, QueryError> {
        Ok(self.shared.reader.status().await?)
    }

    /// The tenant's rows of those columns of a received table as they become durable, from now on.
    ///
    /// # Errors
    /// [`QueryError::Snapshot`] when the collector cannot be asked now or too many follow already.
    pub async fn follow(
        &self,
        table: Table,
        columns: &[&str],
        tenant: &str,
    ) -> Result<FollowStream, QueryError> {
        let after = self.status().await?.store.wal.wal.last_durable_lsn;
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let from = Follow { table, columns, tenant: tenant.to_owned(), after };
        Ok(self.shared.reader.follow(from).await?)
    }

    /// Takes one snapshot for `tenant`; everything acknowledged before this call is in it. All scans of the
    /// returned query see that snapshot, and share its deadline and its place among the concurrent queries.
    ///
    /// # Errors
    /// [`QueryError::Busy`] when too many wait already, [`QueryError::TimedOut`] when no place came free in
    /// time, [`QueryError::Snapshot`]; trying again can help with each.
    pub async fn begin(&self, tenant: &str) -> Result<Query, QueryError> {
        self.begin_within(tenant, self.shared.config.timeout()).await
    }

    /// The same with less time than the configuration gives; never more.
    ///
    /// # Errors
    /// As [`Engine::begin`].
    pub async fn begin_within(&self, tenant: &str, timeout: Duration) -> Result<Query, QueryError> {
        let shared = &self.shared;
        let timeout = timeout.min(shared.config.timeout());
        let deadline = Instant::now() + timeout;
        let begin = async {
            let place = self.place().await?;
            let snapshot = shared.reader.snapshot().await?;
            let threads = Some(shared.threads.newest());
            let bare = Query::new(shared, snapshot, tenant, (deadline, timeout), place, threads);
            if shared.functions.is_empty() {
                return Ok(bare);
            }
            let own = Arc::clone(shared);
            Ok(bare.with_functions(shared, move |bare| callable(&own.functions, bare)))
        };
        tokio::time::timeout_at(deadline, begin).await.map_err(|_| QueryError::TimedOut(timeout))?
    }

    /// A query over a snapshot that was taken elsewhere, for work of the collector's own: it has no place among the
    /// concurrent queries, runs on the threads that ask, and has as much time as its work.
    ///
    /// # Errors
    /// As [`Engine::begin`], but for those of the queue.
    pub fn begin_on(&self, snapshot: Snapshot, tenant: &str, time: Duration) -> Result<Query, QueryError> {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let place = place.map_err(|error| QueryError::Internal(error.to_string()))?;
        Ok(Query::new(&self.shared, snapshot, tenant, (Instant::now() + time, time), place, None))
    }

    /// Ends the oldest question, for a process that has nearly all the memory that it may have; who asked is told `why`. Says
    /// what was ended, for the log.
    pub fn end_oldest(&self, why: String) -> Option<String> {
        let ended = self.shared.running.end_oldest(&QueryError::Memory(why))?;
        Some(ended.what().to_owned())
    }

    /// Goes on without the work that was stopped and does not end: others get its place and other threads. To be called
    /// every second or so.
    ///
    /// # Errors
    /// [`Stuck`] when too much was left behind to go on.
    pub fn leave_stuck(&self) -> Result<(), Stuck> {
        let shared = &self.shared;
        let lost = shared.running.leave_stuck();
        if let Err(error) = shared.threads.replace(&lost) {
            tracing::error!(%error, "take other threads for queries");
        }
        let left_behind = shared.running.left_behind();
        if left_behind > LEFT_BEHIND_MAX { Err(Stuck(left_behind)) } else { Ok(()) }
    }

    /// Answers one read-only statement. See [`Query::sql`].
    ///
    /// # Errors
    /// Those of [`Engine::begin`] and [`Query::sql`].
    pub async fn sql(&self, tenant: &str, sql: &str) -> Result<RowStream, QueryError> {
        text_guard::check(sql)?;
        self.begin(tenant).await?.sql(sql).await
    }

    /// A place among the running queries, waited for in turn.
    async fn place(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        let shared = &self.shared;
        if let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::enter(&shared.waiting)?;
        let place = Arc::clone(&shared.places).acquire_owned().await;
        place.map_err(|_| QueryError::Internal("the queue of queries is closed".to_owned()))
    }
}

/// One query in the queue; leaves it when dropped, also by a client that has gone.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Result<Self, QueryError> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let entered = Waiting(waiting);
        if before >= WAITING_MAX { Err(QueryError::Busy) } else { Ok(entered) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
