//! Crashes at the steps of a flush: each row is there once, after a restart and in the process that goes on.
//!
//! A crash is a copy of the data directory: what a process that dies leaves behind is what is on disk.
//! (What a power cut may take of it is the business of the tests of `wal/` and `durable_fs/`.)

use std::sync::Mutex;

use async_trait::async_trait;

use super::fixture::counted;
use super::*;
use crate::catalog::{Audit, Committed, Flushed, Replacement};
use crate::test_rows::rows;

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("list") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// What the process would leave behind if it died now.
pub(super) fn crashed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("temporary directory");
    copy_dir(dir, copy.path());
    copy
}

/// A catalog in which a table's next commit fails, before or after it happens, and may tell or not.
pub(super) struct Failing {
    inner: Arc<dyn Catalog>,
    next: Mutex<Option<(Table, Failure)>>,
}

impl Failing {
    pub fn new(inner: Arc<dyn Catalog>) -> Self {
        Failing { inner, next: Mutex::new(None) }
    }

    pub fn fail_next(&self, table: Table, failure: Failure) {
        *self.next.lock().expect("no panic") = Some((table, failure));
    }

    fn failure_of(&self, table: Table) -> Option<Failure> {
        let mut next = self.next.lock().expect("no panic");
        next.take_if(|(failing, _)| *failing == table).map(|(_, failure)| failure)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Failure {
    Before,
    AfterUnknown,
    BeforeUnknown,
    /// It does not come back.
    Hangs,
}

impl Failing {
    async fn fail(
        &self,
        table: Table,
        commit: impl Future<Output = Result<Committed, CatalogError>>,
    ) -> Result<Committed, CatalogError> {
        let failure = self.failure_of(table);
        let (table, reason) = (table.name(), "injected".to_owned());
        match failure {
            None => commit.await,
            Some(Failure::Hangs) => std::future::pending().await,
            Some(Failure::Before) => Err(CatalogError::NotCommitted { table, reason }),
            Some(Failure::BeforeUnknown) => Err(CatalogError::Unknown { table, reason }),
            Some(Failure::AfterUnknown) => {
                commit.await?;
                Err(CatalogError::Unknown { table, reason })
            }
        }
    }
}

#[async_trait]
impl Catalog for Failing {
    async fn load(&self, table: Table) -> Result<Committed, CatalogError> {
        self.inner.load(table).await
    }

    async fn commit(&self, table: Table, flushed: &Flushed) -> Result<Committed, CatalogError> {
        self.fail(table, self.inner.commit(table, flushed)).await
    }

    async fn replace(&self, table: Table, replacement: &Replacement) -> Result<Committed, CatalogError> {
        self.fail(table, self.inner.replace(table, replacement)).await
    }

    async fn audit(&self, table: Table) -> Result<Audit, CatalogError> {
        self.inner.audit(table).await
    }

    async fn tidy(&self, table: Table) -> Result<(), CatalogError> {
        self.inner.tidy(table).await
    }
}

pub(super) async fn open_failing(dir: &Path) -> (Store, Arc<Failing>) {
    open_failing_with(config(dir)).await
}

pub(super) async fn open_failing_with(config: StoreConfig) -> (Store, Arc<Failing>) {
    open_failing_by(config, Arc::new(SystemClock)).await
}

pub(super) async fn open_failing_at(dir: &Path, clock: Arc<dyn Clock>) -> (Store, Arc<Failing>) {
    open_failing_by(config(dir), clock).await
}

async fn open_failing_by(config: StoreConfig, clock: Arc<dyn Clock>) -> (Store, Arc<Failing>) {
    let mut failing = None;
    let store = Store::open_with(config, Arc::clone(&clock), |store, collector_id| {
        let inner = Arc::new(DeltaCatalog::new(store, collector_id, clock));
        let catalog = Arc::new(Failing::new(inner));
        failing = Some(Arc::clone(&catalog));
        catalog
    });
    let store = store.await.expect("the store opens");
    (store, failing.expect("the catalog was made"))
}

/// A flush fails at the commit of `table`; then the process dies, or goes on with more rows and flushes
/// again. Each span is in `spans` once, and counted in `traces` once.
async fn check_failed_commit(table: Table, failure: Failure) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (store, catalog) = open_failing(dir.path()).await;
    append_span(&store, MIDNIGHT + 1).await;
    append_span(&store, MIDNIGHT + 2).await;
    catalog.fail_next(table, failure);
    store.flush_all().await.expect_err("the commit fails");
    let (in_files, derived) = traced_now(&store).await;
    assert_eq!(in_files + derived, 2, "after the failure");

    let left = crashed(dir.path());
    let after_crash = open(left.path()).await;
    assert_eq!(all_spans(&after_crash).await, [MIDNIGHT + 1, MIDNIGHT + 2]);
    assert_eq!(ledger_total(&after_crash).await, 2);
    let (in_files, derived) = traced_now(&after_crash).await;
    assert_eq!(in_files + derived, 2, "after the crash");
    after_crash.flush_all().await.expect("flush");
    assert_eq!(spans(&after_crash).await, (vec![MIDNIGHT + 1, MIDNIGHT + 2], vec![]));
    assert_eq!(traced_now(&after_crash).await, (2, 0));
    after_crash.close().await;

    append_span(&store, MIDNIGHT + 3).await;
    // Also the rest, when a commit turns out to have happened.
    store.flush_all().await.expect("flush");
    assert_eq!(spans(&store).await, (vec![MIDNIGHT + 1, MIDNIGHT + 2, MIDNIGHT + 3], vec![]));
    assert_eq!(traced_now(&store).await, (3, 0));
    assert_eq!(ledger_total(&store).await, 3);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_commit_keeps_every_row_once() {
    check_failed_commit(Table::Spans, Failure::Before).await;
    check_failed_commit(Table::Spans, Failure::BeforeUnknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_the_commit_keeps_every_row_once() {
    check_failed_commit(Table::Spans, Failure::AfterUnknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_commit_of_derived_rows_counts_every_span_once() {
    check_failed_commit(Table::Traces, Failure::Before).await;
    check_failed_commit(Table::Traces, Failure::BeforeUnknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_the_commit_of_derived_rows_counts_every_span_once() {
    check_failed_commit(Table::Traces, Failure::AfterUnknown).await;
}

/// The same of the tables of series: each point is counted once, whichever of both commits fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_either_commit_counts_every_point_once() {
    let commits = [Table::MetricPointsSeries, Table::MetricPoints];
    for failure in [Failure::Before, Failure::BeforeUnknown, Failure::AfterUnknown] {
        for table in commits {
            let dir = tempfile::tempdir().expect("temporary directory");
            let (store, catalog) = open_failing(dir.path()).await;
            append(&store, vec![rows(Table::MetricPoints, &[MIDNIGHT, MIDNIGHT + 1])])
                .await
                .expect("durable");
            catalog.fail_next(table, failure);
            store.flush_all().await.expect_err("the commit fails");
            let left = crashed(dir.path());
            let after_crash = open(left.path()).await;
            let series = async |store: &Store| {
                let snapshot = store.reader().snapshot().await.expect("in this process");
                counted(&snapshot, Table::MetricPointsSeries).await
            };
            let (in_files, derived) = series(&after_crash).await;
            assert_eq!(in_files + derived, 2, "{} {failure:?}", table.name());
            after_crash.flush_all().await.expect("flush");
            assert_eq!(series(&after_crash).await, (2, 0), "{} {failure:?}", table.name());
            after_crash.close().await;
            store.close().await;
        }
    }
}

/// The derived rows are committed, their source's are not, and both the process that goes on and the one that
/// starts anew take many more small batches, which are joined, before they flush.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_not_joined_across_what_is_derived_already() {
    const BATCHES: i64 = 50;
    let dir = tempfile::tempdir().expect("temporary directory");
    let (store, catalog) = open_failing(dir.path()).await;
    for i in 0..BATCHES {
        append(&store, vec![span_rows(&[MIDNIGHT + i])]).await.expect("durable");
    }
    catalog.fail_next(Table::Spans, Failure::Before);
    store.flush_all().await.expect_err("the commit fails");
    assert_eq!(traced_now(&store).await, (BATCHES, 0));
    let left = crashed(dir.path());

    for store in [store, open(left.path()).await] {
        assert_eq!(traced_now(&store).await, (BATCHES, 0));
        for i in 0..BATCHES {
            append(&store, vec![span_rows(&[MIDNIGHT + BATCHES + i])]).await.expect("durable");
        }
        assert_eq!(traced_now(&store).await, (BATCHES, BATCHES));
        let snapshot = store.reader().snapshot().await.expect("in this process");
        let batches = snapshot.table(Table::Spans).hot.len();
        assert!(batches < 50, "{batches} batches on both sides: they are joined on either side");
        store.flush_all().await.expect("flush");
        assert_eq!(traced_now(&store).await, (2 * BATCHES, 0));
        assert_eq!(all_spans(&store).await.len() as i64, 2 * BATCHES);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_failed_commit_are_removed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (store, catalog) = open_failing(dir.path()).await;
    append_span(&store, MIDNIGHT).await;
    catalog.fail_next(Table::Spans, Failure::Before);
    store.flush_all().await.expect_err("the commit fails");
    let date = dir.path().join("tables/spans/date=2026-11-23");
    assert_eq!(fs::read_dir(date).expect("the directory was made").count(), 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_failed_is_tried_again_without_being_asked() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let hasty = StoreConfig { flush_age_max: Duration::ZERO, ..config(dir.path()) };
    let (store, catalog) = open_failing_with(hasty).await;
    catalog.fail_next(Table::Spans, Failure::Before);
    append(&store, vec![span_rows(&[MIDNIGHT])]).await.expect("durable");
    while spans(&store).await.0.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.stats().flush.failures, 1);
    store.close().await;
}

/// A flush that is dropped half-way (a caller's time-out) leaves rows that the next one takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_flush_loses_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    append_span(&store, MIDNIGHT).await;
    for polls in 0..20 {
        let mut flush = Box::pin(store.flush_all());
        for _ in 0..polls {
            if futures::poll!(&mut flush).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    store.flush_all().await.expect("flush");
    store.flush_all().await.expect("flush");
    assert_eq!(spans(&store).await, (vec![MIDNIGHT], vec![]));
    store.close().await;
}
