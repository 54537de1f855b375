//! Rows read and given to as many threads as a query has.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use futures::TryStreamExt as _;
use meshlake_engine::{Lean, QueryError, Scan};
use meshlake_logql::Entry;
use meshlake_schema::{Table, TimeRange, UnixNanos};

use super::asking::At;
use super::error::LogsError;
use super::pushed;
use super::rows::{Needs, dictionaries, entries};
use super::streams::Streams;

/// Batches that wait for a thread. Each is some thousand rows.
const WAITING_MAX: usize = 4;

/// A state of each thread, with all entries of the tables that passed the pipeline added to one of them, and the streams that the
/// thread met.
///
/// # Errors
/// Those of `each`, of scans, and of the budget's time.
pub fn fold<S: Send>(
    at: &At,
    needs: &Needs<'_>,
    new: impl Fn() -> S + Sync,
    each: impl Fn(&mut S, &mut Entry<'_>) -> Result<(), LogsError> + Sync,
) -> Result<Vec<(S, Streams)>, LogsError> {
    let (send, receive) = sync_channel(WAITING_MAX);
    // Owned by the threads: when none is left, nobody waits for one.
    let receive = Arc::new(Mutex::new(receive));
    let (new, each) = (&new, &each);
    std::thread::scope(|scope| {
        let work = |receive: Arc<Mutex<Receiver<_>>>| -> Result<(S, Streams), LogsError> {
            let (mut state, mut streams) = (new(), Streams::default());
            while let Some((table, batch)) = next(&receive) {
                at.budget.check_time()?;
                entries(table, &batch, needs, &mut streams, &mut |entry| each(&mut state, entry))?;
            }
            Ok((state, streams))
        };
        let start = |_| {
            let receive = Arc::clone(&receive);
            scope.spawn(move || work(receive))
        };
        let workers: Vec<_> = (0..at.query.parallelism()).map(start).collect();
        drop(receive);
        let read = at.runtime.block_on(async {
            for table in pushed::tables(needs.pipeline.log()) {
                let columns = needs.columns(table);
                let filter = pushed::filter(table, needs.pipeline.log());
                let lean = Some(Lean { dictionaries: dictionaries(table), nested: &[] });
                let scan = Scan {
                    columns: Some(&columns),
                    filter,
                    range: range(needs.times),
                    lean,
                    ..Scan::of(table)
                };
                let mut rows = at.query.scan(&scan).await?;
                while let Some(batch) = rows.try_next().await? {
                    // A thread that is gone has an error to tell.
                    if send.send((table, batch)).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok::<(), QueryError>(())
        });
        drop(send);
        let parts = workers.into_iter().map(|worker| {
            worker
                .join()
                .map_err(|_| QueryError::Internal("a thread that reads lines panicked".to_owned()))?
        });
        let parts = parts.collect::<Result<Vec<_>, LogsError>>();
        read?;
        parts
    })
}

fn next(receive: &Mutex<Receiver<(Table, RecordBatch)>>) -> Option<(Table, RecordBatch)> {
    receive.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// The microseconds that hold the times.
fn range((from, to): (UnixNanos, UnixNanos)) -> TimeRange {
    TimeRange { from, to: UnixNanos(to.0.saturating_add(999)) }
}
