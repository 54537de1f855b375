//! All that the query side may ask of a collector, and the first way to ask: in the same process, where a
//! snapshot is one lock and a few pointers.
//!
//! The query side is a role of its own that can run in a process of its own, and the collector survives whatever
//! a query does. So nothing here hands out what cannot be sent: file lists, numbers, and streams of batches of
//! one tenant.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use tokio::sync::Semaphore;

use crate::buffer::Buffer;
use crate::disk::read_only::ReadOnlyDisk;
use crate::durable_fs::DurableFs;
use crate::follow::{FOLLOWERS_MAX, Follow, FollowStream, follow};
use crate::snapshot::{ReadError, Snapshot};
use crate::status::{AskIntake, Status, StoreStatus};

/// A collector as the query side sees it: the store in this process, or one in another.
#[async_trait]
pub trait Reader: Send + Sync + 'static {
    /// Files and buffered rows of all tables at one instant, each row once: see [`Snapshot`]. Everything that
    /// was acknowledged before this call is in it.
    ///
    /// # Errors
    /// The collector cannot be asked now; trying again may help.
    async fn snapshot(&self) -> Result<Snapshot, ReadError>;

    /// One tenant's rows of one table from a record on, as they become durable: see [`Follow`]. With the last
    /// record of a snapshot's [`Status`] or of an earlier stream, nothing is missed or comes twice in between.
    ///
    /// # Errors
    /// For a column that is not there, a derived table, or more than [`FOLLOWERS_MAX`] streams at a time.
    async fn follow(&self, from: Follow) -> Result<FollowStream, ReadError>;

    /// How the collector is doing.
    ///
    /// # Errors
    /// The collector cannot be asked now; trying again may help.
    async fn status(&self) -> Result<Status, ReadError>;
}

/// Where the files of snapshots lie that come from a process on `data_dir`, for those who only read.
///
/// # Errors
/// The directory is not there.
pub fn tables_of(data_dir: &Path) -> object_store::Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(DurableFs::open(data_dir, Arc::new(ReadOnlyDisk))?))
}

/// Answers for the store that it came from, also after that was closed.
pub(crate) struct LocalReader {
    buffer: Arc<Buffer>,
    store: Arc<dyn ObjectStore>,
    status: StoreStatus,
    intake: Option<AskIntake>,
    places: Arc<Semaphore>,
}

impl LocalReader {
    pub fn new(
        buffer: Arc<Buffer>,
        store: Arc<dyn ObjectStore>,
        status: StoreStatus,
        intake: Option<AskIntake>,
    ) -> Self {
        LocalReader { buffer, store, status, intake, places: Arc::new(Semaphore::new(FOLLOWERS_MAX)) }
    }
}

#[async_trait]
impl Reader for LocalReader {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(Snapshot::new(self.buffer.snapshot(), Arc::clone(&self.store)))
    }

    async fn follow(&self, from: Follow) -> Result<FollowStream, ReadError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| ReadError(format!("{FOLLOWERS_MAX} streams are followed already")))?;
        follow(Arc::clone(&self.buffer), &from, place)
    }

    async fn status(&self) -> Result<Status, ReadError> {
        let intake = self.intake.as_ref().map(|intake| intake());
        Ok(Status { store: self.status.stats(), intake })
    }
}
