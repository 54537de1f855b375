//! The store as a whole: opens a data directory, recovers it, and runs what lies between writer and reader.
//!
//! Opening does things in the one order that loses and doubles nothing: lock, read what every table has
//! committed, replay the records above each table's watermark, and only then number new records above
//! everything that the log or any table has ever seen. So a deleted or restored log cannot reuse a number
//! that a table counts as done.
//!
//! Limits: one process per data directory; to be opened inside a multi-thread tokio runtime. Replay holds
//! no more than the buffer's budget, flushing as it goes.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use meshlake_schema::{Clock, Table};
use object_store::ObjectStore;
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use crate::buffer::Buffer;
use crate::catalog::{Catalog, CatalogError, Committed};
use crate::data_dir::{DataDir, DataDirError};
use crate::delta::DeltaCatalog;
use crate::disk::{Disk, StdDisk};
use crate::durable_fs::DurableFs;
use crate::flush::{FlushError, Flusher};
use crate::group::{Lsn, StoredRequest};
use crate::maintain::{Background, MaintainConfig, Maintenance};
use crate::reader::{LocalReader, Reader};
use crate::replay::{Recovered, ReplayError, ReplayedLog, replay};
use crate::schedule::{Schedule, Wakes};
use crate::space::{Space, SpaceConfig, SpaceThread};
use crate::status::{AskIntake, StoreStats, StoreStatus};
use crate::wal::{Wal, WalConfig, WalCutter, WalError};
use crate::writer::{Publish, Writer, WriterThread};

/// How a store is run. The defaults work on a laptop.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Made when it is missing. Default `meshlake-data` in the working directory.
    pub data_dir: PathBuf,
    /// Bytes of rows in memory, over all tables, those on their way to files included. Flushing begins at
    /// half; at the whole, [`StoreStatus::is_over_budget`] asks admission to refuse. Default 192 MiB, some
    /// 400,000 spans: with the rest of the process it stays within 512 MiB.
    pub buffer_bytes_max: usize,
    /// How old a table's oldest row may get before the table is flushed. Default 60 s: other readers see
    /// files only, and more often would make more and smaller files.
    pub flush_age_max: Duration,
    /// Bytes of a segment of the write-ahead log. Default [`WalConfig::SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// How tables are merged, kept and cleaned.
    pub maintain: MaintainConfig,
    /// While no more than so many bytes are free on the disk, [`StoreStatus::has_room`] asks admission to
    /// refuse. Default 256 MiB: a segment of the log and the flush of the whole buffer, should its rows not
    /// shrink at all in files. With less, a disk that fills up may leave rows that cannot be flushed until
    /// somebody makes room.
    pub free_bytes_min: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            data_dir: PathBuf::from("meshlake-data"),
            buffer_bytes_max: 192 << 20,
            flush_age_max: Duration::from_secs(60),
            segment_bytes: WalConfig::SEGMENT_BYTES,
            maintain: MaintainConfig::default(),
            free_bytes_min: 256 << 20,
        }
    }
}

/// Why a store could not be opened. None of them changes what is stored.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("open tables of data directory {}: {cause}", path.display())]
    Tables { path: PathBuf, cause: object_store::Error },
    #[error("settle tables of data directory {}: {cause}", path.display())]
    Settle { path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("write-ahead log: {0}")]
    Wal(#[from] WalError),
    #[error("replay the write-ahead log: {0}")]
    Replay(#[from] ReplayError),
    #[error("start a thread: {0}")]
    Thread(std::io::Error),
    #[error("open the write-ahead log: {0}")]
    Worker(#[from] JoinError),
}

/// A running store.
pub struct Store {
    writer: Writer,
    thread: WriterThread,
    schedule: Schedule,
    maintenance: Maintenance,
    /// None when maintenance is not automatic.
    background: Option<Background>,
    space: Space,
    space_thread: SpaceThread,
    flusher: Arc<Flusher>,
    store: Arc<dyn ObjectStore>,
    buffer_bytes_max: usize,
    recovered: Recovered,
    recovered_requests: Vec<StoredRequest>,
    /// Released last.
    data_dir: DataDir,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes the data directory and recovers what an earlier process left. A full disk does not
    /// keep a directory that was in use before from being opened; [`StoreStatus::has_room`] is false then.
    ///
    /// cancel: nothing is lost; background work that had begun ends by itself.
    ///
    /// # Errors
    /// [`StoreError::DataDir`] for another process on the directory or missing rights;
    /// [`StoreError::Catalog`] for tables of a newer version. Damage in the log is no error: it is logged,
    /// counted in [`Store::recovered`], and the rest is kept.
    pub async fn open(config: StoreConfig, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        let catalog = {
            let clock = Arc::clone(&clock);
            |store, collector_id| -> Arc<dyn Catalog> {
                Arc::new(DeltaCatalog::new(store, collector_id, clock))
            }
        };
        Store::open_with(config, clock, catalog).await
    }

    /// As [`Store::open`], with the catalog that `catalog` makes of object store and collector id.
    async fn open_with(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        catalog: impl FnOnce(Arc<dyn ObjectStore>, u128) -> Arc<dyn Catalog>,
    ) -> Result<Store, StoreError> {
        let disk: Arc<dyn Disk> = Arc::new(StdDisk);
        let data_dir = DataDir::open(disk.as_ref(), &config.data_dir)?;
        let space_config = SpaceConfig {
            dir: data_dir.root().to_owned(),
            free_bytes_min: config.free_bytes_min,
            segment_bytes: config.segment_bytes,
        };
        // Before anything is written: on a full disk this gives up the reserve.
        let (space, space_thread) =
            Space::watch(Arc::clone(&disk), space_config).map_err(StoreError::Thread)?;
        let store = open_tables(&data_dir, Arc::clone(&disk))?;
        let collector_id = data_dir.collector_id();
        let catalog = catalog(Arc::clone(&store), collector_id);
        let wal_config = WalConfig {
            dir: data_dir.wal_dir(),
            collector_id: collector_id.to_be_bytes(),
            segment_bytes: config.segment_bytes,
        };
        let buffer_bytes_max = config.buffer_bytes_max;
        let parts =
            Parts { disk, store: Arc::clone(&store), catalog, collector_id, wal_config, buffer_bytes_max };
        let Recovery { wal, flusher, recovered, requests: recovered_requests, first_lsn } =
            parts.recover().await?;

        let wakes: Arc<Wakes> = Arc::default();
        let publish = publish(Arc::clone(flusher.buffer()), Arc::clone(&wakes), buffer_bytes_max / 2);
        let (writer, thread) = Writer::start(wal, publish).map_err(StoreError::Thread)?;
        let full = space.clone();
        writer.on_full(Box::new(move || full.found_full()));
        let schedule = Schedule::start(&flusher, &wakes, &space, config.flush_age_max);
        let is_automatic = config.maintain.is_automatic;
        let maintenance = Maintenance::new(Arc::clone(&flusher), space.clone(), clock, config.maintain);
        let background = is_automatic.then(|| Background::start(maintenance.clone()));
        tracing::info!(
            data_dir = %config.data_dir.display(),
            records_replayed = recovered.records,
            first_lsn,
            "open store"
        );
        Ok(Store {
            writer,
            thread,
            schedule,
            maintenance,
            background,
            space,
            space_thread,
            flusher,
            store,
            buffer_bytes_max,
            recovered,
            recovered_requests,
            data_dir,
        })
    }

    /// Where groups are appended.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// What the query side may ask, without a receiving side.
    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.local_reader(None))
    }

    /// What the query side may ask; `intake` answers for the receiving side.
    pub fn reader_with(&self, intake: AskIntake) -> Arc<dyn Reader> {
        Arc::new(self.local_reader(Some(intake)))
    }

    fn local_reader(&self, intake: Option<AskIntake>) -> LocalReader {
        let buffer = Arc::clone(self.flusher.buffer());
        LocalReader::new(buffer, Arc::clone(&self.store), self.status(), intake)
    }

    /// How the store is doing, for admission and metrics.
    pub fn status(&self) -> StoreStatus {
        StoreStatus {
            writer: self.writer.clone(),
            flusher: Arc::clone(&self.flusher),
            space: self.space.clone(),
            buffer_bytes_max: self.buffer_bytes_max,
        }
    }

    pub fn stats(&self) -> StoreStats {
        self.status().stats()
    }

    /// The maintenance of the tables, to be run by hand or watched.
    pub fn maintenance(&self) -> Maintenance {
        self.maintenance.clone()
    }

    /// Names this collector for ever.
    pub fn collector_id(&self) -> u128 {
        self.data_dir.collector_id()
    }

    /// What the start found in the log.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The requests that were stored before this start, oldest first, so that one that comes again can be
    /// recognised: those in the log, and those of segments that were cut from it; at most the last 1,000,000, of
    /// the last day. A second call returns none.
    pub fn take_recovered_requests(&mut self) -> Vec<StoredRequest> {
        std::mem::take(&mut self.recovered_requests)
    }

    /// Puts everything that was acknowledged before this call into files and commits it.
    ///
    /// # Errors
    /// The first table's that could not be; its rows stay buffered and in the log.
    pub async fn flush_all(&self) -> Result<(), FlushError> {
        self.flusher.flush_all().await
    }

    /// Stops: groups handed over are made durable, flushes that run are ended, the lock is released. What
    /// is buffered stays in the log and comes back at the next start. Takes as long as the disk does.
    ///
    /// cancel: nothing is lost, but the lock is released while a thread may still write; a process that ends anyway
    /// does better to leak the future.
    pub async fn close(self) {
        let thread = self.thread;
        if let Err(error) = spawn_blocking(move || thread.stop()).await {
            tracing::error!(%error, "stop the write-ahead log");
        }
        if let Some(background) = self.background {
            background.stop().await;
        }
        self.schedule.stop().await;
        let space_thread = self.space_thread;
        if let Err(error) = spawn_blocking(move || space_thread.stop()).await {
            tracing::error!(%error, "stop the watch on the disk's room");
        }
        drop(self.data_dir);
    }
}

/// What the store is made of; the tests put simulated parts in.
struct Parts {
    disk: Arc<dyn Disk>,
    /// Settled: nothing in it is half made.
    store: Arc<dyn ObjectStore>,
    catalog: Arc<dyn Catalog>,
    collector_id: u128,
    wal_config: WalConfig,
    /// The replay flushes when this is near.
    buffer_bytes_max: usize,
}

/// What a recovered store goes on with.
struct Recovery {
    wal: Wal,
    flusher: Arc<Flusher>,
    recovered: Recovered,
    requests: Vec<StoredRequest>,
    first_lsn: Lsn,
}

impl Parts {
    /// Reads the tables, then replays the log above them, then opens the log above both.
    async fn recover(self) -> Result<Recovery, StoreError> {
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
        let ReplayedLog { recovery, recovered, requests } = log;
        let first_lsn = buffer.end_replay(recovery.last_lsn) + 1;
        let wal = spawn_blocking(move || Wal::open(disk, wal_config, recovery, first_lsn)).await??;
        cutter.get_or_init(|| wal.cutter());
        flusher.cut().await;
        Ok(Recovery { wal, flusher, recovered, requests, first_lsn })
    }
}

fn open_tables(data_dir: &DataDir, disk: Arc<dyn Disk>) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let path = || data_dir.root().to_owned();
    let store =
        DurableFs::open(data_dir.root(), disk).map_err(|cause| StoreError::Tables { path: path(), cause })?;
    let removed = store.settle(&"tables".into());
    let removed = removed.map_err(|cause| StoreError::Settle { path: path(), cause })?;
    if removed > 0 {
        tracing::info!(files = removed, "remove files that were never finished");
    }
    Ok(Arc::new(store))
}

fn cut(cutter: &OnceLock<WalCutter>, lsn: Lsn) {
    // None while the log is still being replayed.
    if let Some(Err(error)) = cutter.get().map(|cutter| cutter.cut(lsn)) {
        tracing::warn!(%error, "cut write-ahead log");
    }
}

/// What the log's thread does with a group that has become durable.
fn publish(buffer: Arc<Buffer>, wakes: Arc<Wakes>, flush_at: usize) -> Publish {
    Box::new(move |lsn, group| {
        for table in buffer.publish(lsn, group.batches) {
            wakes.rows_came(table);
        }
        let (waiting_bytes, largest) = buffer.waiting();
        if waiting_bytes > flush_at {
            wakes.flush_now(largest);
        }
    })
}

#[cfg(test)]
mod tests;
