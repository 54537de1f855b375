//! The reader of a store in this process: a snapshot is one lock and a few pointers.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;

use crate::buffer::Buffer;
use crate::snapshot::{ReadError, Reader, Snapshot};

/// Snapshots of the store it came from, also after that was closed.
pub(crate) struct LocalReader {
    pub buffer: Arc<Buffer>,
    pub store: Arc<dyn ObjectStore>,
}

#[async_trait]
impl Reader for LocalReader {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(Snapshot::new(self.buffer.snapshot(), Arc::clone(&self.store)))
    }
}
