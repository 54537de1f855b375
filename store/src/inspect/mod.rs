//! What a data directory holds, also while a process runs on it: nothing is locked, made or mended.
//!
//! Log and tables are read as a start reads them, with its code, so that what is said here is what a start
//! would find. The process on the directory goes on meanwhile: files are listed before the table's log is
//! read, so that a file that is committed in between is not taken for an orphan; one that the log names and
//! the listing lacks is asked for again before it counts as missing.
//!
//! Limits: parts are looked at one after the other, so their numbers belong to slightly different moments.
//! Parquet files are not opened. Takes as long as a replay of the log.

mod findings;
mod lock;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::try_join_all;
use meshlake_schema::{SystemClock, Table};
use object_store::ObjectStore;
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use crate::data_dir::{DataDirError, read_collector_id};
use crate::delta::DeltaCatalog;
use crate::disk::Disk;
use crate::disk::read_only::ReadOnlyDisk;
use crate::durable_fs::DurableFs;
use crate::group::Lsn;
use crate::wal;
use crate::wal::WalError;

pub use crate::wal::inspect::{HeaderState, NamedFile, SegmentInspection, VoidLsns, WalInspection};
pub use findings::{Finding, FindingKind};
pub use tables::{FileSum, TableInspection, Watermark, WindowInspection};

/// A data directory at one moment.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub data_dir: PathBuf,
    pub collector_id: u128,
    /// The process that holds the directory's lock; none when there is none, or when the system does not tell.
    pub running_pid: Option<u32>,
    /// The first LSN that a start would use: above all that the log and every table know.
    pub next_lsn: Lsn,
    pub wal: WalInspection,
    /// In the order of [`Table::ALL`].
    pub tables: Vec<TableInspection>,
}

/// Why a data directory cannot be looked at.
#[derive(Debug, Error)]
pub enum InspectError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("there is no data directory {}", path.display())]
    Missing { path: PathBuf },
    #[error("open tables of data directory {}: {cause}", path.display())]
    Tables { path: PathBuf, cause: object_store::Error },
    #[error("write-ahead log: {0}")]
    Wal(#[from] WalError),
    #[error("read the write-ahead log: {0}")]
    Worker(#[from] JoinError),
}

/// Looks at the data directory `root`. To be called on a multi-thread tokio runtime.
///
/// # Errors
/// [`InspectError`]: no such directory, or no right to read it. Damage is no error; see
/// [`Inspection::findings`].
pub async fn inspect(root: &Path) -> Result<Inspection, InspectError> {
    let path = || root.to_owned();
    if !root.is_dir() {
        return Err(InspectError::Missing { path: path() });
    }
    let disk: Arc<dyn Disk> = Arc::new(ReadOnlyDisk);
    let collector_id = read_collector_id(disk.as_ref(), root)?;
    let fs = DurableFs::open(root, Arc::clone(&disk));
    let store: Arc<dyn ObjectStore> =
        Arc::new(fs.map_err(|cause| InspectError::Tables { path: path(), cause })?);
    let wal_dir = root.join("wal");
    let wal = spawn_blocking(move || wal::inspect::inspect(disk.as_ref(), &wal_dir, collector_id)).await??;
    let catalog = DeltaCatalog::new(Arc::clone(&store), collector_id, Arc::new(SystemClock));
    let tables = Table::ALL.map(|table| tables::inspect(&store, &catalog, table));
    let tables = try_join_all(tables).await;
    let tables = tables.map_err(|cause| InspectError::Tables { path: path(), cause })?;
    let own = format!("{collector_id:032x}/");
    let watermarks = tables.iter().flat_map(|table| &table.watermarks);
    let own = watermarks.filter(|watermark| watermark.app_id.starts_with(&own));
    let highest = own.filter_map(|watermark| Lsn::try_from(watermark.lsn).ok()).max().unwrap_or(0);
    Ok(Inspection {
        data_dir: path(),
        collector_id,
        running_pid: lock::holder(root),
        next_lsn: wal.last_lsn.max(highest) + 1,
        wal,
        tables,
    })
}
