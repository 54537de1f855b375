//! What the tables' catalog must do for the store: say what is committed, and commit more, exactly once.
//!
//! The trait is small so that the store is not bound to one table format's library, and so that tests can
//! let a commit fail before it happened, after it happened, or without telling which.

use std::sync::Arc;

use async_trait::async_trait;
use meshlake_schema::Table;
use thiserror::Error;

use crate::group::Lsn;
use crate::snapshot::DataFile;

/// What a table's log says at one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    pub files: Arc<Vec<DataFile>>,
    /// The last LSN of this collector whose rows are in `files`; 0 before the first commit.
    pub watermark: Lsn,
}

/// One durable Parquet file that no commit names yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    pub file: DataFile,
    /// Delta statistics of the file as JSON.
    pub stats: String,
    /// Whether the file holds rows of several windows.
    pub is_mixed: bool,
}

/// Files to add, and the LSN range that they complete.
#[derive(Debug, Clone)]
pub struct Flushed {
    /// The watermark that the files build on: their rows have LSNs in `after + 1 ..= through`.
    pub after: Lsn,
    pub through: Lsn,
    pub files: Vec<NewFile>,
}

/// Why the catalog did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CatalogError {
    /// The table cannot be used by this version; a person must look.
    #[error("table {table}: {reason}")]
    Unusable { table: &'static str, reason: String },
    /// The table's log cannot be read or prepared now. Trying again may help.
    #[error("log of table {table}: {reason}")]
    Unreadable { table: &'static str, reason: String },
    /// The commit did not happen. Trying again may help.
    #[error("commit to table {table}: {reason}")]
    NotCommitted { table: &'static str, reason: String },
    /// Whether the commit happened is not known. Commit or load again: both find out first.
    #[error("commit to table {table}, outcome unknown: {reason}")]
    Unknown { table: &'static str, reason: String },
}

/// Keeper of the tables' logs.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// What is committed now, from the log itself. Makes the table if there is none.
    ///
    /// # Errors
    /// [`CatalogError::Unusable`] or [`CatalogError::Unreadable`].
    async fn load(&self, table: Table) -> Result<Committed, CatalogError>;

    /// Adds `flushed.files` and moves the watermark to `flushed.through`, both or neither, durably.
    ///
    /// If the table's watermark is not `flushed.after` (an earlier commit of unknown outcome did happen),
    /// nothing is added and what is committed comes back; so compare the watermark returned.
    ///
    /// cancel: the commit may or may not happen; the next call finds out.
    async fn commit(&self, table: Table, flushed: &Flushed) -> Result<Committed, CatalogError>;

    /// Shortens the table's log when it has grown. Never needed for correctness.
    ///
    /// # Errors
    /// The log is as it was, and works.
    async fn tidy(&self, table: Table) -> Result<(), CatalogError>;
}
