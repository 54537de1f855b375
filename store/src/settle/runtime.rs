//! The runtime that folds run on: threads of their own that whatever else wants a core comes before.
//!
//! A fold starts tasks and blocking work of its own, so a thread is not enough: on the runtime of its caller they would
//! take turns with acknowledgements. One thread for tasks, because settling may take its time.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;

use crate::priority::give_way_to_all;

/// Blocking work at the same time: reading a file, walking the rows of a pass.
const BLOCKING_THREADS_MAX: usize = 4;

/// How long a thread without blocking work is kept: longer than from round to round, so that rounds share their threads and
/// what settling takes can be read off them.
const KEEP_ALIVE: Duration = Duration::from_secs(150);

/// As large as the main thread's: plans of queries are walked recursively.
const STACK_BYTES: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct LowPriority(Option<Runtime>);

impl LowPriority {
    /// # Errors
    /// When the system refuses a thread.
    pub fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.thread_name("settle").worker_threads(1).max_blocking_threads(BLOCKING_THREADS_MAX);
        let builder = builder
            .thread_keep_alive(KEEP_ALIVE)
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(give_way_to_all)
            .enable_all();
        Ok(LowPriority(Some(builder.build()?)))
    }

    /// What `work` returns, done here.
    ///
    /// cancel: the work goes on to its end.
    ///
    /// # Errors
    /// It panicked, a bug.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.0.as_ref().expect("there until it is dropped").spawn(work).await
    }
}

impl Drop for LowPriority {
    fn drop(&mut self) {
        // Waiting for its threads would be a panic wherever async code drops this.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
