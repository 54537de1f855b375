//! Batches of a scan given to as many threads as a query has, each with a part of the answer of its own.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_engine::{Query, QueryError, Scan};
use tokio::sync::mpsc;

/// Batches that wait for a thread. Each is some thousand rows.
const WAITING_MAX: usize = 2;

/// The state of each thread, with all batches added to one of them.
///
/// Cancel: threads end with the batch that they have.
///
/// # Errors
/// Those of `each`, and of [`Query::scan`].
pub async fn fold<S: Send + 'static>(
    query: &Query,
    scan: &Scan<'_>,
    new: impl Fn() -> S,
    each: impl Fn(&mut S, &RecordBatch) -> Result<(), QueryError> + Send + Sync + 'static,
) -> Result<Vec<S>, QueryError> {
    let mut rows = query.scan(scan).await?;
    let each = Arc::new(each);
    let start = |_| {
        let (send, mut receive) = mpsc::channel::<RecordBatch>(WAITING_MAX);
        let (mut state, each) = (new(), Arc::clone(&each));
        let work = move || {
            while let Some(batch) = receive.blocking_recv() {
                each(&mut state, &batch)?;
            }
            Ok::<S, QueryError>(state)
        };
        (send, tokio::task::spawn_blocking(work))
    };
    let (senders, workers): (Vec<_>, Vec<_>) = (0..query.parallelism()).map(start).unzip();
    let mut turn = senders.iter().cycle();
    while let (Some(batch), Some(sender)) = (rows.try_next().await?, turn.next()) {
        // A thread that is gone has an error to tell.
        if sender.send(batch).await.is_err() {
            break;
        }
    }
    drop(senders);
    let mut states = Vec::with_capacity(workers.len());
    for worker in workers {
        let worked = worker.await.map_err(|error| QueryError::Internal(format!("count rows: {error}")))?;
        states.push(worked?);
    }
    Ok(states)
}
