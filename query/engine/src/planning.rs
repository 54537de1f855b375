//! Runs planning on a thread with a big stack.
//!
//! Parsing, analysing and optimising recurse once or more per level of a statement. The guards bound the
//! levels; this bounds what each may cost, since tokio's own threads have 2 MiB. A thread per query costs
//! some tens of microseconds, less than the planning itself.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::QueryError;

/// Stack of a planning thread. Virtual memory: only what is used is ever backed. 64 MiB held a chain of
/// 20,000 operators in trials, 40 times what the text guard lets through.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Drives `plan` to its end on its own thread. If the returned future is dropped the thread still finishes;
/// `plan` should own whatever counts towards concurrency.
///
/// # Errors
/// Those of `plan`; [`QueryError::Internal`] if the thread could not start or panicked.
pub async fn on_big_stack<T, F>(plan: F) -> Result<T, QueryError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, QueryError>> + Send + 'static,
{
    let (answer, planned) = oneshot::channel();
    let runtime = Handle::current();
    let thread = move || {
        // A receiver that is gone is a client that is gone: nobody is left to tell.
        let _ = answer.send(runtime.block_on(plan));
    };
    std::thread::Builder::new()
        .name("meshlake-plan".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(thread)
        .map_err(|error| QueryError::Internal(format!("start planning thread: {error}")))?;
    planned.await.map_err(|_| QueryError::Internal("the planner panicked".to_owned()))?
}
