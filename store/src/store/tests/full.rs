//! A start whose flushes fail, as they do on a full disk: what was acknowledged is there all the same.

use async_trait::async_trait;

use super::*;
use crate::catalog::{Audit, Committed, Flushed, Replacement};
use crate::maintain::Effort;

/// A catalog that takes no commit.
struct Full(DeltaCatalog);

#[async_trait]
impl Catalog for Full {
    async fn load(&self, table: Table) -> Result<Committed, CatalogError> {
        self.0.load(table).await
    }

    async fn commit(&self, table: Table, _flushed: &Flushed) -> Result<Committed, CatalogError> {
        Err(CatalogError::NotCommitted { table: table.name(), reason: "no room".to_owned() })
    }

    async fn replace(&self, table: Table, _replacement: &Replacement) -> Result<Committed, CatalogError> {
        Err(CatalogError::NotCommitted { table: table.name(), reason: "no room".to_owned() })
    }

    async fn audit(&self, table: Table) -> Result<Audit, CatalogError> {
        self.0.audit(table).await
    }

    async fn tidy(&self, table: Table) -> Result<(), CatalogError> {
        self.0.tidy(table).await
    }
}

/// Opens `dir` with room for `buffer_bytes_max` in memory and none on the disk.
async fn open_full(dir: &Path, buffer_bytes_max: usize) -> Result<Store, StoreError> {
    let catalog = |store, collector_id| -> Arc<dyn Catalog> {
        Arc::new(Full(DeltaCatalog::new(store, collector_id, Arc::new(SystemClock))))
    };
    let config = StoreConfig { buffer_bytes_max, ..config(dir) };
    Store::open_with(config, Arc::new(SystemClock), catalog).await
}

/// Scenario: the budget is as large as what was buffered, so that the replay tries to flush at half of it
/// and at three quarters. With a quarter of that budget, memory would grow beyond all bounds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_cannot_flush_goes_on_within_twice_the_budget() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let want: Vec<i64> = (0..40).map(|i| MIDNIGHT + i).collect();
    for time in &want {
        append_span(&store, *time).await;
    }
    let buffered_bytes = store.stats().buffer_bytes;
    store.close().await;

    let store = open_full(dir.path(), buffered_bytes).await.expect("the store opens");
    assert_eq!(spans(&store).await, (vec![], want.clone()));
    assert!(store.stats().flush.failures > 0, "a flush was tried");
    store.close().await;

    let refused = open_full(dir.path(), buffered_bytes / 4).await;
    assert!(matches!(refused, Err(StoreError::Replay(ReplayError::Flush(_)))), "{refused:?}");
    let store = open(dir.path()).await;
    assert_eq!(spans(&store).await, (vec![], want));
    store.close().await;
}

/// Opens `dir` with a watermark that no disk is above.
async fn open_below_watermark(dir: &Path) -> Store {
    let config = StoreConfig { free_bytes_min: u64::MAX - 1, ..config(dir) };
    Store::open(config, Arc::new(SystemClock)).await.expect("the store opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_below_the_watermark_is_told_and_read() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    append_span(&store, MIDNIGHT).await;
    assert!(store.status().has_room());
    store.close().await;
    let store = open_below_watermark(dir.path()).await;
    assert!(!store.status().has_room());
    assert_eq!(all_spans(&store).await, [MIDNIGHT]);
    store.close().await;
}

/// A merge takes room long before it gives any back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_not_merged_below_the_watermark() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    for time in [MIDNIGHT, MIDNIGHT + 1] {
        append_span(&store, time).await;
        store.flush_all().await.expect("flush");
    }
    store.close().await;
    let store = open_below_watermark(dir.path()).await;
    assert_eq!(span_files_after_merging(&store).await, 2);
    store.close().await;
    let store = open(dir.path()).await;
    assert_eq!(span_files_after_merging(&store).await, 1);
    store.close().await;
}

async fn span_files_after_merging(store: &Store) -> usize {
    store.maintenance().run(Effort::All).await.expect("maintain");
    let snapshot = store.reader().snapshot().await.expect("in this process");
    snapshot.table(Table::Spans).files.len()
}
