//! Maintenance: no answer changes but by retention, and a snapshot taken before still answers.

use std::sync::atomic::AtomicI64;

use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use meshlake_schema::UnixNanos;

use super::crash::{Failure, crashed, open_failing};
use super::*;
use crate::maintain::{Effort, MaintainError};
use crate::test_rows::rows;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Stands still until it is set.
#[derive(Clone)]
pub(super) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn at(micros: i64) -> Self {
        TestClock(Arc::new(AtomicI64::new(micros)))
    }

    pub fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0.load(Ordering::SeqCst) * 1_000)
    }
}

async fn open_at(dir: &Path, clock: &TestClock) -> Store {
    Store::open(config(dir), Arc::new(clock.clone())).await.expect("the store opens")
}

/// Flushes one file for each of `times`, each of two spans.
async fn flush_each(store: &Store, times: &[i64]) {
    for time in times {
        append(store, vec![span_rows(&[*time, *time + 1]), ledger_rows(&[(*time, 2)])])
            .await
            .expect("durable");
        store.flush_all().await.expect("flush");
    }
}

async fn maintain(store: &Store, effort: Effort) {
    store.maintenance().run(effort).await.expect("maintain");
}

fn file_count(store: &Store, table: Table) -> u64 {
    let tables = store.stats().tables;
    tables.iter().find(|stats| stats.table == table).expect("every table has stats").files
}

/// Parquet files that lie in the directory of `spans`, in use or not.
fn files_on_disk(dir: &Path) -> usize {
    let dates = fs::read_dir(dir.join("tables/spans")).expect("the table exists").map(|e| e.expect("entry"));
    let dates = dates.filter(|entry| entry.file_name().to_string_lossy().starts_with("date="));
    dates.map(|date| fs::read_dir(date.path()).expect("a directory").count()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merging_leaves_one_file_per_window_and_every_row() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open_at(dir.path(), &TestClock::at(MIDNIGHT)).await;
    let times = [0, 1, 2, 16, 17].map(|minute| MIDNIGHT + minute * MINUTE);
    for time in times {
        let batches = Table::received().map(|table| rows(table, &[time, time + 1])).collect();
        append(&store, batches).await.expect("durable");
        store.flush_all().await.expect("flush");
    }
    maintain(&store, Effort::All).await;
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let want: Vec<i64> = times.iter().flat_map(|time| [*time, *time + 1]).collect();
    for table in Table::ALL.into_iter().filter(|table| table.cell_seconds().is_none()) {
        assert_eq!(snapshot.table(table).files.len(), 2, "{}", table.name());
        if table != Table::Ledger && table.source().is_none() {
            assert_eq!(times_of(&snapshot, table).await, want, "{}", table.name());
        }
    }
    store.close().await;
    let store = open(dir.path()).await;
    assert_eq!((file_count(&store, Table::Spans), all_spans(&store).await), (2, want));
    store.close().await;
}

async fn times_of(snapshot: &Snapshot, table: Table) -> Vec<i64> {
    let (mut in_files, in_memory) = times(snapshot, table).await;
    in_files.extend(in_memory);
    in_files.sort_unstable();
    in_files
}

/// Test rows of one flush are two traces, the same two in every flush.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_traces_are_a_row_each_and_count_every_span() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + 7, MIDNIGHT + 3]).await;
    assert_eq!((file_count(&store, Table::Traces), traced_now(&store).await), (3, (6, 0)));
    maintain(&store, Effort::All).await;
    assert_eq!((file_count(&store, Table::Traces), traced_now(&store).await), (1, (6, 0)));
    let snapshot = store.reader().snapshot().await.expect("in this process");
    assert_eq!(times_of(&snapshot, Table::Traces).await, [MIDNIGHT, MIDNIGHT + 1]);
    let traces = &snapshot.table(Table::Traces).files[0];
    assert_eq!((traces.rows, traces.time_min_micros, traces.time_max_micros), (2, MIDNIGHT, MIDNIGHT + 1));
    assert!(snapshot.table(Table::Spans).files[0].is_derived_from, "also when merged");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_ledger_rows_keep_their_sums() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + 2]).await;
    maintain(&store, Effort::All).await;
    assert_eq!((file_count(&store, Table::Ledger), ledger_total(&store).await), (1, 6));
    store.close().await;
}

/// A date has 96 windows, and the ledger is kept for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_of_a_date_that_is_over_becomes_one_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let clock = TestClock::at(MIDNIGHT);
    let store = open_at(dir.path(), &clock).await;
    let windows: Vec<i64> = (0..96).map(|window| MIDNIGHT + window * 15 * MINUTE).collect();
    let changes: Vec<(i64, i64)> = windows.iter().map(|time| (*time, 1)).collect();
    // A flush writes 64 windows to files of their own and the rest to one.
    append(&store, vec![ledger_rows(&changes)]).await.expect("durable");
    store.flush_all().await.expect("flush");
    maintain(&store, Effort::All).await;
    assert_eq!((file_count(&store, Table::Ledger), ledger_total(&store).await), (65, 96));

    clock.set(MIDNIGHT + DAY + 5 * MINUTE);
    maintain(&store, Effort::All).await;
    assert_eq!((file_count(&store, Table::Ledger), ledger_total(&store).await), (1, 96));
    let snapshot = store.reader().snapshot().await.expect("in this process");
    assert_eq!(times_of(&snapshot, Table::Ledger).await, windows, "a row a window, as before");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_merged_by_itself_once_it_is_over() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let clock = TestClock::at(MIDNIGHT + 10 * MINUTE);
    let store = open_at(dir.path(), &clock).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + 1]).await;
    maintain(&store, Effort::Due).await;
    assert_eq!(file_count(&store, Table::Spans), 2);
    clock.set(MIDNIGHT + 20 * MINUTE);
    maintain(&store, Effort::Due).await;
    assert_eq!(file_count(&store, Table::Spans), 1);
    assert_eq!(store.maintenance().stats().merges, 3, "spans, traces and the ledger");
    store.close().await;
}

/// A long query took its snapshot before the merge; its files are deleted only an hour after they left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_before_the_merge_answers_for_an_hour() {
    let dir = tempfile::tempdir().expect("temporary directory");
    // Whole milliseconds, in which the log counts.
    let now = SystemClock.now().micros() / 1_000 * 1_000;
    let clock = TestClock::at(now);
    let store = open_at(dir.path(), &clock).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + 2]).await;
    let before = store.reader().snapshot().await.expect("in this process");
    maintain(&store, Effort::All).await;
    clock.set(now + 60 * MINUTE - 1);
    maintain(&store, Effort::All).await;
    let want = [0, 1, 2, 3].map(|micros| MIDNIGHT + micros);
    assert_eq!(times_of(&before, Table::Spans).await, want);
    assert_eq!(files_on_disk(dir.path()), 3);

    clock.set(now + 60 * MINUTE);
    maintain(&store, Effort::All).await;
    assert_eq!(files_on_disk(dir.path()), 1);
    assert_eq!(all_spans(&store).await, want);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_a_crash_left_behind_is_deleted_after_an_hour() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let now = SystemClock.now().micros();
    let clock = TestClock::at(now);
    let store = open_at(dir.path(), &clock).await;
    flush_each(&store, &[MIDNIGHT]).await;
    let date = dir.path().join("tables/spans/date=2026-11-23");
    fs::write(date.join("0000-9-9-00000000000000aa.parquet"), "never named").expect("write");
    fs::write(date.join("somebody's notes.txt"), "not ours").expect("write");
    maintain(&store, Effort::Due).await;
    assert_eq!(files_on_disk(dir.path()), 3);
    // Its own time is the file system's, a little after `now`.
    clock.set(now + 61 * MINUTE);
    maintain(&store, Effort::Due).await;
    assert_eq!(files_on_disk(dir.path()), 2);
    assert_eq!(store.maintenance().stats().files_deleted, 1);
    assert!(date.join("somebody's notes.txt").exists());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_older_than_their_table_keeps_them_go() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let clock = TestClock::at(MIDNIGHT + 40 * DAY);
    let store = open_at(dir.path(), &clock).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + 31 * DAY]).await;
    maintain(&store, Effort::Due).await;
    let kept = [DAY, DAY + 1, 31 * DAY, 31 * DAY + 1].map(|micros| MIDNIGHT + micros);
    assert_eq!(all_spans(&store).await, kept);
    assert_eq!(ledger_total(&store).await, 6, "the ledger is kept for ever");
    let stats = store.maintenance().stats();
    // Two spans, and the two traces that they are.
    assert_eq!((stats.files_expired, stats.rows_expired), (2, 4));
    store.close().await;
    let store = open_at(dir.path(), &clock).await;
    assert_eq!(all_spans(&store).await, kept);
    store.close().await;
}

/// Scenario: requests of two dates are imported long after, and merged. Guarantee: they are kept for as long from then on as
/// requests that come at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_came_late_are_kept_from_then() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let clock = TestClock::at(MIDNIGHT + 400 * DAY);
    let store = open_at(dir.path(), &clock).await;
    let flush = async |time: i64, came: i64| {
        let requests = came_at(&rows(Table::Requests, &[time]), came);
        append(&store, vec![requests, ledger_rows(&[(came, 1)])]).await.expect("durable");
        store.flush_all().await.expect("flush");
    };
    flush(MIDNIGHT, MIDNIGHT + 300 * DAY).await;
    flush(MIDNIGHT + 1, MIDNIGHT + 301 * DAY).await;
    maintain(&store, Effort::All).await;
    assert_eq!(file_count(&store, Table::Requests), 1, "merged");
    for (day, files) in [(330, 2), (331, 3), (332, 3)] {
        flush(MIDNIGHT + day * DAY, MIDNIGHT + day * DAY).await;
        maintain(&store, Effort::Due).await;
        assert_eq!(file_count(&store, Table::Requests), files, "day {day}");
    }
    store.close().await;
    let store = open_at(dir.path(), &clock).await;
    assert_eq!(file_count(&store, Table::Requests), 3, "the tag says so at the next start");
    store.close().await;
}

/// `batch` with another time of coming, in microseconds.
fn came_at(batch: &TableBatch, micros: i64) -> TableBatch {
    let (schema, mut columns, rows) = batch.rows().clone().into_parts();
    let came = schema.index_of("ingest_time").expect("every table has it");
    let times = TimestampMicrosecondArray::from(vec![micros; rows]).with_timezone("UTC");
    columns[came] = Arc::new(times);
    let rows = RecordBatch::try_new(schema, columns).expect("the same types");
    TableBatch::try_new(batch.table(), rows).expect("the same columns")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ahead_drops_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let clock = TestClock::at(MIDNIGHT);
    let store = open_at(dir.path(), &clock).await;
    flush_each(&store, &[MIDNIGHT]).await;
    clock.set(MIDNIGHT + 3_650 * DAY);
    maintain(&store, Effort::Due).await;
    assert_eq!(all_spans(&store).await.len(), 2);
    store.close().await;
}

/// Scenario: the clock of the host jumps a year ahead, rows come in that are stamped by it, and it is set right again.
/// Guarantee: before that and after it, age is counted from the dates that are right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_clock_that_jumped_ahead_drop_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let clock = TestClock::at(MIDNIGHT + DAY);
    let store = open_at(dir.path(), &clock).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + DAY]).await;
    clock.set(MIDNIGHT + 365 * DAY);
    flush_each(&store, &[MIDNIGHT + 365 * DAY]).await;
    maintain(&store, Effort::Due).await;
    assert_eq!(all_spans(&store).await.len(), 6);

    clock.set(MIDNIGHT + 31 * DAY);
    flush_each(&store, &[MIDNIGHT + 31 * DAY]).await;
    maintain(&store, Effort::Due).await;
    let kept = [1, 31, 365].map(|days| MIDNIGHT + days * DAY);
    assert_eq!(all_spans(&store).await, kept.map(|time| [time, time + 1]).concat());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_whose_commit_fails_leaves_the_files_as_they_were() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (store, catalog) = open_failing(dir.path()).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + 2]).await;
    catalog.fail_next(Table::Spans, Failure::Before);
    let error = store.maintenance().run(Effort::All).await.expect_err("the commit fails");
    assert!(matches!(error, MaintainError::Catalog(_)), "{error}");
    assert_eq!((file_count(&store, Table::Spans), files_on_disk(dir.path())), (2, 2));
    assert_eq!(file_count(&store, Table::Ledger), 1, "the other tables are merged all the same");
    maintain(&store, Effort::All).await;
    assert_eq!((file_count(&store, Table::Spans), all_spans(&store).await.len()), (1, 4));
    store.close().await;
}

/// The commit of a merge happened, or not, and did not say; the process goes on, or a copy of it starts anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_of_unknown_outcome_keeps_every_row_once() {
    for failure in [Failure::AfterUnknown, Failure::BeforeUnknown] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (store, catalog) = open_failing(dir.path()).await;
        flush_each(&store, &[MIDNIGHT, MIDNIGHT + 2]).await;
        let want = all_spans(&store).await;
        catalog.fail_next(Table::Spans, failure);
        store.maintenance().run(Effort::All).await.expect_err("the outcome is not told");
        assert_eq!(all_spans(&store).await, want);

        let copy = crashed(dir.path());
        let restarted = open(copy.path()).await;
        assert_eq!(all_spans(&restarted).await, want);
        maintain(&restarted, Effort::All).await;
        assert_eq!((file_count(&restarted, Table::Spans), all_spans(&restarted).await), (1, want.clone()));
        restarted.close().await;

        flush_each(&store, &[MIDNIGHT + 4]).await;
        maintain(&store, Effort::All).await;
        assert_eq!(all_spans(&store).await.len(), want.len() + 2);
        assert_eq!(file_count(&store, Table::Spans), 1);
        store.close().await;
    }
}

/// Two windows of two files each, of which `harm` gets the path of the first.
async fn check_left_alone(harm: fn(&Path)) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open_at(dir.path(), &TestClock::at(MIDNIGHT)).await;
    flush_each(&store, &[MIDNIGHT, MIDNIGHT + 2]).await;
    flush_each(&store, &[MIDNIGHT + 20 * MINUTE, MIDNIGHT + 21 * MINUTE]).await;
    let snapshot = store.reader().snapshot().await.expect("in this process");
    harm(&dir.path().join(snapshot.table(Table::Spans).files[0].path.as_ref()));
    maintain(&store, Effort::All).await;
    assert_eq!((file_count(&store, Table::Spans), file_count(&store, Table::Ledger)), (3, 2));
    assert_eq!(store.maintenance().stats().failures, 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_left_alone_and_the_others_are_merged() {
    check_left_alone(|file| fs::write(file, "no longer Parquet").expect("write")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_left_alone_and_the_others_are_merged() {
    check_left_alone(|file| fs::remove_file(file).expect("remove")).await;
}

/// Merges, flushes and readers at once: a snapshot always has what was acknowledged before it, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_during_merges_misses_and_doubles_nothing() {
    const GROUPS: i64 = 40;
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let acked = AtomicI64::new(0);
    let writing = async {
        for i in 0..GROUPS {
            append_span(&store, MIDNIGHT + i).await;
            acked.store(i + 1, Ordering::SeqCst);
            store.flush_all().await.expect("flush");
        }
    };
    let merging = async {
        while acked.load(Ordering::SeqCst) < GROUPS {
            maintain(&store, Effort::All).await;
        }
    };
    let reading = async {
        while acked.load(Ordering::SeqCst) < GROUPS {
            let acked_before = acked.load(Ordering::SeqCst);
            let rows = all_spans(&store).await;
            let want: Vec<i64> = (0..rows.len() as i64).map(|i| MIDNIGHT + i).collect();
            assert_eq!(rows, want);
            assert!(rows.len() as i64 >= acked_before, "{} rows, {acked_before} acknowledged", rows.len());
            // A look that finds nothing in files waits for nothing.
            tokio::task::yield_now().await;
        }
    };
    futures::future::join3(writing, merging, reading).await;
    maintain(&store, Effort::All).await;
    assert_eq!((file_count(&store, Table::Spans), all_spans(&store).await.len() as i64), (1, GROUPS));
    store.close().await;
}
