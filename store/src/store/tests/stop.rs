//! A stop puts what is buffered into files within its time, and what does not become a file stays in the log.

use super::crash::{Failure, crashed, open_failing};
use super::*;
use crate::test_rows::rows;

/// Far longer than any flush here takes.
const LONG: Duration = Duration::from_secs(60);

/// The rows of `table` that a reader of files sees, and those that only the log has.
async fn counts(store: &Store, table: Table) -> (usize, usize) {
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let (in_files, in_memory) = times(&snapshot, table).await;
    (in_files.len(), in_memory.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_every_row_is_in_files_and_none_is_replayed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    for i in 0..3 {
        append_span(&store, MIDNIGHT + i).await;
    }
    append(&store, vec![rows(Table::Logs, &[MIDNIGHT])]).await.expect("durable");
    assert_eq!(store.stop(LONG).await, Stopped::Flushed);

    let store = open(dir.path()).await;
    assert_eq!(spans(&store).await, ((0..3).map(|i| MIDNIGHT + i).collect(), vec![]));
    assert_eq!(traced_now(&store).await, (3, 0));
    assert_eq!(counts(&store, Table::Logs).await, (1, 0));
    assert_eq!((counts(&store, Table::Ledger).await.1, ledger_total(&store).await), (0, 3));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_flushed_keeps_no_other_from_its_files() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (store, catalog) = open_failing(dir.path()).await;
    append_span(&store, MIDNIGHT).await;
    append(&store, vec![rows(Table::Logs, &[MIDNIGHT])]).await.expect("durable");
    catalog.fail_next(Table::Spans, Failure::Before);
    assert_eq!(store.stop(LONG).await, Stopped::InLog(vec![(Table::Spans, 1)]));

    let store = open(dir.path()).await;
    assert_eq!(spans(&store).await, (vec![], vec![MIDNIGHT]));
    assert_eq!(counts(&store, Table::Logs).await, (1, 0));
    assert_eq!(ledger_total(&store).await, 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_runs_out_of_time_leaves_the_rest_in_the_log_and_the_lock_in_place() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (store, catalog) = open_failing(dir.path()).await;
    append_span(&store, MIDNIGHT).await;
    append(&store, vec![rows(Table::Logs, &[MIDNIGHT, MIDNIGHT + 1])]).await.expect("durable");
    catalog.fail_next(Table::Spans, Failure::Hangs);
    // Tables are flushed one after the other, spans first.
    let left = vec![(Table::Spans, 1), (Table::Logs, 2)];
    assert_eq!(store.stop(Duration::from_millis(50)).await, Stopped::InLog(left));
    let second = Store::open(config(dir.path()), Arc::new(SystemClock)).await;
    assert!(matches!(second, Err(StoreError::DataDir(_))), "a thread may still write");

    let left = crashed(dir.path());
    let store = open(left.path()).await;
    assert_eq!(all_spans(&store).await, [MIDNIGHT]);
    assert_eq!(ledger_total(&store).await, 1);
    store.close().await;
}
