//! Runs plans on threads of their own, so that a heavy one holds up nobody who answers, and stops them.
//!
//! A step of a plan can compute for a while without giving way. On the threads that serve sockets it would keep a client
//! that has gone from being noticed, and its own deadline from passing. So a plan is driven on threads that do nothing
//! else, and its batches are handed over one at a time; who waits for them can always stop waiting. Work that has
//! threads of its own already, as the fold that settles calls at a lower priority, is driven where it is asked for.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use datafusion::error::Result as PlanResult;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::future::{self, BoxFuture};
use futures::{FutureExt, Stream, StreamExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::QueryError;
use crate::running::{Holds, Running};
use crate::stop::Stop;

/// Batches that are made before somebody takes them: the next, while one is written out.
const BATCHES_AHEAD: usize = 1;

/// Expressions are evaluated recursively; `plan_guard` bounds their depth for stacks of this size.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Reads of files at the same time, a thread each. The process has a bound on its memory in which stacks count whole.
const BLOCKING_THREADS_MAX: usize = 64;

/// The threads that new plans run on. Others take their place when a step keeps one of them.
#[derive(Debug)]
pub struct NewestThreads {
    count: usize,
    newest: Mutex<Arc<Threads>>,
}

impl NewestThreads {
    /// # Errors
    /// [`QueryError::Internal`] when threads cannot be started.
    pub fn new(count: usize) -> Result<NewestThreads, QueryError> {
        Ok(NewestThreads { count, newest: Mutex::new(Arc::new(Threads::new(0, count)?)) })
    }

    pub fn newest(&self) -> Arc<Threads> {
        Arc::clone(&self.lock())
    }

    /// Has plans from now on run on others, unless those that are `lost` are others' already.
    ///
    /// # Errors
    /// [`QueryError::Internal`] when threads cannot be started.
    pub fn replace(&self, lost: &[u64]) -> Result<(), QueryError> {
        let mut newest = self.lock();
        if lost.contains(&newest.number) {
            *newest = Arc::new(Threads::new(newest.number + 1, self.count)?);
        }
        Ok(())
    }

    /// What a panic leaves behind is whole: there is one assignment.
    fn lock(&self) -> MutexGuard<'_, Arc<Threads>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Threads that plans run on, until it is dropped.
#[derive(Debug)]
pub struct Threads {
    number: u64,
    runtime: Option<Runtime>,
}

impl Threads {
    fn new(number: u64, count: usize) -> Result<Threads, QueryError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("meshlake-plan-run")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build();
        let failed = |error| QueryError::Internal(format!("start threads for queries: {error}"));
        Ok(Threads { number, runtime: Some(runtime.map_err(failed)?) })
    }

    pub fn handle(&self) -> &Handle {
        self.runtime.as_ref().expect("it is there until it is dropped").handle()
    }
}

impl Drop for Threads {
    /// Does not wait: what runs belongs to streams, which nobody can have any more.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The batches of a plan that runs elsewhere. Dropping it stops the plan.
pub struct Driven {
    batches: mpsc::Receiver<PlanResult<RecordBatch>>,
    /// None once its end was told.
    driving: Option<JoinHandle<()>>,
    stop: Stop,
    /// Why it was ended by others than who waits for it.
    ended: BoxFuture<'static, QueryError>,
    /// They outlive the plan, whoever else is done with them.
    _threads: Arc<Threads>,
}

impl Driven {
    /// Starts `plan`, which `stop` stops, on `threads`.
    ///
    /// # Errors
    /// Those of the plan's start.
    pub fn start(
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        threads: Arc<Threads>,
        running: &Arc<Running>,
        stop: Stop,
    ) -> Result<Driven, QueryError> {
        let entry = running.enter(&stop, Holds::Threads(threads.number));
        // Some steps start tasks at once.
        let in_runtime = threads.handle().enter();
        let mut stream = execute_stream(plan, context)?;
        drop(in_runtime);
        let (made, batches) = mpsc::channel(BATCHES_AHEAD);
        let driving = threads.handle().spawn(async move {
            let _running = entry;
            while let Some(batch) = stream.next().await {
                if made.send(batch).await.is_err() {
                    return;
                }
            }
        });
        let ended = stop.clone().ended().boxed();
        Ok(Driven { batches, driving: Some(driving), stop, ended, _threads: threads })
    }
}

impl Stream for Driven {
    type Item = Result<RecordBatch, QueryError>;

    /// A plan that panics ends with an error, for an end without one would be taken for the whole answer.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(why) = self.ended.poll_unpin(context) {
            // It is polled no more.
            self.ended = future::pending().boxed();
            return Poll::Ready(Some(Err(why)));
        }
        if let Some(batch) = ready!(self.batches.poll_recv(context)) {
            return Poll::Ready(Some(batch.map_err(QueryError::from)));
        }
        let Some(driving) = &mut self.driving else { return Poll::Ready(None) };
        let ended = ready!(driving.poll_unpin(context));
        self.driving = None;
        Poll::Ready(ended.err().map(|error| Err(QueryError::Internal(format!("a plan ended: {error}")))))
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(driving) = &self.driving {
            driving.abort();
        }
    }
}
