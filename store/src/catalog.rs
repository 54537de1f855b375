//! What the tables' catalog must do for the store: say what is committed, and commit more, exactly once.
//!
//! The trait is small so that the store is not bound to one table format's library, and so that tests can
//! let a commit fail before it happened, after it happened, or without telling which.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use meshlake_schema::Table;
use object_store::path::Path;
use thiserror::Error;

use crate::group::Lsn;
use crate::snapshot::DataFile;

/// What a table's log says at one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    pub files: Arc<Vec<DataFile>>,
    /// The last LSN of this collector whose rows are in `files`, of cells the last that a fold saw; 0 before the first
    /// commit.
    pub watermark: Lsn,
    /// Files of earlier dates (days since 1970-01-01) have been dropped for their age; 0 before any was.
    pub kept_from_days: i32,
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

/// Files that leave a table, and those that stand for them from then on.
#[derive(Debug, Clone)]
pub struct Replacement {
    pub removed: Vec<DataFile>,
    pub added: Vec<NewFile>,
    pub cause: Cause,
}

/// Why files leave a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The added files hold the same rows; no answer changes.
    Compact,
    /// The rows are older than the table keeps them; nothing is added.
    Expire,
    /// Cells, and cells of other minutes that lay in the same files, take the place of those that were there.
    Settle {
        /// The last record that their folds saw.
        through: Lsn,
    },
}

impl Replacement {
    /// The table's watermark after the replacement.
    pub fn watermark(&self, before: Lsn) -> Lsn {
        match self.cause {
            Cause::Settle { through } => before.max(through),
            Cause::Compact | Cause::Expire => before,
        }
    }

    /// The first date of which nothing has been dropped, after the replacement.
    pub fn kept_from_days(&self, before: i32) -> i32 {
        let dropped = self.removed.iter().map(|file| file.date_days.saturating_add(1)).max();
        match self.cause {
            Cause::Expire => before.max(dropped.unwrap_or(before)),
            Cause::Compact | Cause::Settle { .. } => before,
        }
    }
}

/// What a vacuum must know: what is in use, and since when the rest is not.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    pub committed: Committed,
    /// Files that left the table in the last hour or more: path, and when (microseconds since the epoch). A
    /// file that is neither here nor in `committed` left longer ago, or was never in.
    pub removed: HashMap<Path, i64>,
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

    /// Removes and adds files, all or none, durably. The watermark stays, but for cells'.
    ///
    /// cancel: the replacement may or may not happen; the next call finds out.
    ///
    /// # Errors
    /// [`CatalogError::NotCommitted`] also when one of `removed` is no longer in the table: somebody else was
    /// quicker.
    async fn replace(&self, table: Table, replacement: &Replacement) -> Result<Committed, CatalogError>;

    /// What is in use and what has left, from the log itself.
    ///
    /// # Errors
    /// [`CatalogError::Unusable`] or [`CatalogError::Unreadable`].
    async fn audit(&self, table: Table) -> Result<Audit, CatalogError>;

    /// Shortens the table's log when it has grown. Never needed for correctness.
    ///
    /// # Errors
    /// The log is as it was, and works.
    async fn tidy(&self, table: Table) -> Result<(), CatalogError>;
}
