//! The store as a whole: opens a data directory, recovers it, and runs what lies between writer and reader.
//!
//! Opening does things in the one order that loses and doubles nothing: lock, read what every table has
//! committed, replay the records above each table's watermark, and only then number new records above
//! everything that the log or any table has ever seen. So a deleted or restored log cannot reuse a number
//! that a table counts as done.
//!
//! Limits: one process per data directory; to be opened inside a multi-thread tokio runtime. Replay holds
//! no more than the buffer's budget, flushing as it goes.

mod recover;

use std::fmt;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use meshlake_schema::{Clock, Table};
use object_store::ObjectStore;
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::buffer::Buffer;
use crate::catalog::{Catalog, CatalogError};
use crate::data_dir::{DataDir, DataDirError};
use crate::delta::DeltaCatalog;
use crate::disk::{Disk, StdDisk};
use crate::durable_fs::DurableFs;
use crate::flush::{FlushError, Flusher};
use crate::group::StoredExport;
use crate::maintain::{Background, MaintainConfig, Maintenance};
use crate::reader::{LocalReader, Reader};
use crate::replay::{Recovered, ReplayError};
use crate::schedule::{Schedule, Wakes};
use crate::settle::{Settle, SettleTask};
use crate::space::{Space, SpaceConfig, SpaceThread};
use crate::status::{AskIntake, StoreStats, StoreStatus};
use crate::wal::{WalConfig, WalError};
use crate::writer::{Publish, Writer, WriterThread};
use recover::{Parts, Recovery};

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

/// What became of the rows that a store buffered when it was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// All of them are in files.
    Flushed,
    /// So many rows of these tables are in the log alone, and come back at the next start. No table where only what
    /// comes after the files was left undone.
    InLog(Vec<(Table, u64)>),
}

/// A running store.
pub struct Store {
    writer: Writer,
    thread: WriterThread,
    schedule: Schedule,
    maintenance: Maintenance,
    /// None when maintenance is not automatic.
    background: Option<Background>,
    /// None when maintenance is not automatic, or nobody folds.
    settling: Option<SettleTask>,
    space: Space,
    space_thread: SpaceThread,
    flusher: Arc<Flusher>,
    store: Arc<dyn ObjectStore>,
    buffer_bytes_max: usize,
    recovered: Recovered,
    recovered_exports: Vec<StoredExport>,
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
        let Recovery { wal, flusher, recovered, exports: recovered_exports, first_lsn } =
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
            settling: None,
            space,
            space_thread,
            flusher,
            store,
            buffer_bytes_max,
            recovered,
            recovered_exports,
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
            settler: Arc::clone(self.maintenance.settler()),
            retention: self.maintenance.retention().clone(),
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

    /// Tells who folds calls, from when on windows that are over are settled: by themselves where maintenance is
    /// automatic. To be called once.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn settle_with(&mut self, settle: Arc<dyn Settle>) -> std::io::Result<()> {
        self.maintenance.settle_with(settle)?;
        if self.background.is_some() {
            self.settling = Some(SettleTask::start(Arc::clone(self.maintenance.settler())));
        }
        Ok(())
    }

    /// Names this collector for ever.
    pub fn collector_id(&self) -> u128 {
        self.data_dir.collector_id()
    }

    /// What the start found in the log.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The exports that were stored before this start, oldest first, so that one that comes again can be
    /// recognised: those in the log, and those of segments that were cut from it; at most the last 1,000,000, of
    /// the last day. A second call returns none.
    pub fn take_recovered_exports(&mut self) -> Vec<StoredExport> {
        std::mem::take(&mut self.recovered_exports)
    }

    /// Puts everything that was acknowledged before this call into files and commits it.
    ///
    /// # Errors
    /// The first table's that could not be; its rows stay buffered and in the log.
    pub async fn flush_all(&self) -> Result<(), FlushError> {
        self.flusher.flush_all().await
    }

    /// Stops within `time`: groups handed over are made durable, flushes that run are ended, what is buffered is
    /// put into files and committed, and the log is cut. So other readers see every row of a store that was
    /// stopped. What does not become a file in time stays in the log and comes back at the next start.
    ///
    /// When time is up, work goes on until the process ends, and so does the lock on the data directory.
    ///
    /// cancel: as when time is up.
    pub async fn stop(self, time: Duration) -> Stopped {
        let status = self.status();
        // A task of its own, because a flush that is dropped in the middle of a commit panics in the library.
        let stopping = tokio::spawn(async move {
            let flusher = Arc::clone(&self.flusher);
            // Dropped undone, it is left locked: a thread may still write.
            let data_dir = ManuallyDrop::new(self.end().await);
            let flushed = flusher.flush_all().await;
            drop(ManuallyDrop::into_inner(data_dir));
            flushed
        });
        match timeout(time, stopping).await {
            Ok(Ok(Ok(()))) => return Stopped::Flushed,
            Ok(Ok(Err(error))) => tracing::warn!(%error, "leave rows in the log at the stop"),
            Ok(Err(error)) => tracing::error!(%error, "stop the store"),
            Err(_) => tracing::warn!(?time, "leave rows in the log: the store did not stop in time"),
        }
        Stopped::InLog(status.buffered_rows())
    }

    /// Stops: groups handed over are made durable, flushes that run are ended, the lock is released. What
    /// is buffered stays in the log and comes back at the next start. Takes as long as the disk does.
    ///
    /// cancel: nothing is lost, but the lock is released while a thread may still write.
    pub async fn close(self) {
        drop(self.end().await);
    }

    /// Ends all threads and tasks; what holds the lock is left.
    async fn end(self) -> DataDir {
        let thread = self.thread;
        if let Err(error) = spawn_blocking(move || thread.stop()).await {
            tracing::error!(%error, "stop the write-ahead log");
        }
        if let Some(settling) = self.settling {
            settling.stop().await;
        }
        if let Some(background) = self.background {
            background.stop().await;
        }
        self.schedule.stop().await;
        let space_thread = self.space_thread;
        if let Err(error) = spawn_blocking(move || space_thread.stop()).await {
            tracing::error!(%error, "stop the watch on the disk's room");
        }
        self.data_dir
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
