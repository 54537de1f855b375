//! Brings a store back to where the last process left it, from its parts.

use std::sync::{Arc, OnceLock};

use futures::future::join_all;
use meshlake_schema::Table;
use object_store::ObjectStore;
use tokio::task::spawn_blocking;

use super::StoreError;
use crate::buffer::Buffer;
use crate::catalog::{Catalog, Committed};
use crate::disk::Disk;
use crate::flush::Flusher;
use crate::group::{Lsn, StoredExport};
use crate::replay::{Recovered, ReplayedLog, replay};
use crate::wal::{Wal, WalConfig, WalCutter};

/// What the store is made of; the tests put simulated parts in.
pub(super) struct Parts {
    pub disk: Arc<dyn Disk>,
    /// Settled: nothing in it is half made.
    pub store: Arc<dyn ObjectStore>,
    pub catalog: Arc<dyn Catalog>,
    pub collector_id: u128,
    pub wal_config: WalConfig,
    /// The replay flushes when this is near.
    pub buffer_bytes_max: usize,
}

/// What a recovered store goes on with.
pub(super) struct Recovery {
    pub wal: Wal,
    pub flusher: Arc<Flusher>,
    pub recovered: Recovered,
    pub exports: Vec<StoredExport>,
    pub first_lsn: Lsn,
}

impl Parts {
    /// Reads the tables, then replays the log above them, then opens the log above both.
    pub async fn recover(self) -> Result<Recovery, StoreError> {
        let Parts { disk, store, catalog, collector_id, wal_config, buffer_bytes_max } = self;
        // All to their end, also when one fails: the library's engine panics when its work is dropped.
        let committed = join_all(Table::ALL.map(|table| catalog.load(table))).await;
        let committed = committed.into_iter().collect::<Result<Vec<_>, _>>()?;
        let committed: [Committed; Table::ALL.len()] = committed.try_into().expect("one answer per table");
        let buffer = Arc::new(Buffer::new(committed.into()));
        let cutter: Arc<OnceLock<WalCutter>> = Arc::default();
        let on_flushed = Box::new({
            let cutter = Arc::clone(&cutter);
            move |lsn| cut(&cutter, lsn)
        });
        let flusher = Flusher::start(Arc::clone(&buffer), catalog, store, collector_id, on_flushed);
        let flusher = Arc::new(flusher.map_err(StoreError::Thread)?);
        let log =
            replay(Arc::clone(&flusher), buffer_bytes_max, Arc::clone(&disk), wal_config.clone()).await?;
        let ReplayedLog { recovery, recovered, exports } = log;
        let first_lsn = buffer.end_replay(recovery.last_lsn) + 1;
        let wal = spawn_blocking(move || Wal::open(disk, wal_config, recovery, first_lsn)).await??;
        cutter.get_or_init(|| wal.cutter());
        flusher.cut().await;
        Ok(Recovery { wal, flusher, recovered, exports, first_lsn })
    }
}

fn cut(cutter: &OnceLock<WalCutter>, lsn: Lsn) {
    // None while the log is still being replayed.
    if let Some(Err(error)) = cutter.get().map(|cutter| cutter.cut(lsn)) {
        tracing::warn!(%error, "cut write-ahead log");
    }
}
