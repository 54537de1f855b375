//! The catalog as Delta tables: one log per table, read and written with `deltalake-core`.
//!
//! A commit is one log entry, put if absent at the version after the one we know, holding the new files
//! and `txn(app_id, last LSN)`. It is written through the library's log store but without its commit
//! builder: the builder replays the log into memory after every commit, which grows with the table, and
//! its conflict checker compares a `txn` with concurrent commits only, not with history. Here the state
//! between commits is a file list and two numbers; whoever else commits makes our put fail, and after any
//! failure the log is read again before anything is decided.
//!
//! Tables stay on reader version 1 and writer version 2: no column mapping, no constraints, columns are
//! only added. Limits: one writer per `app_id`, which the data directory's lock ensures; the commit must
//! be called on a multi-thread tokio runtime, which the library's engine blocks a thread of.

mod change;
mod inspect;
mod data_file;
mod seal;

use std::sync::Arc;

use async_trait::async_trait;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake_core::kernel::transaction::{CommitProperties, TransactionError};
use deltalake_core::kernel::{StructField, StructType};
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::protocol::checkpoints;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt as _;
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_schema::{Clock, PerTable, Table};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use tokio::sync::Mutex;
use url::Url;

use crate::catalog::{Audit, Catalog, CatalogError, Committed, Flushed, Replacement};
use crate::data_dir::table_path;
use crate::fail_point::hit;
use crate::group::Lsn;
use crate::snapshot::DataFile;
use change::{Change, Standing, Writer};
use data_file::data_file;

pub(crate) use inspect::TableLog;

/// Others (compaction by hand, another engine) may commit between our read and our put; so often in a row
/// means that they are many, and the flush's own back-off is the better wait.
const CONFLICTS_MAX: usize = 3;

/// Commits between two checkpoints: opening a table reads at most so many log entries, about an hour of
/// flushes. Delta's own default is 100.
const TIDY_COMMITS: u64 = 64;

/// Ends the `app_id` of what is no watermark: the first date kept, in days since 1970-01-01.
const KEPT_FROM: &str = "/kept_from";

/// The tables of one data directory, committed to by one collector.
pub(crate) struct DeltaCatalog {
    store: Arc<dyn ObjectStore>,
    collector_id: u128,
    clock: Arc<dyn Clock>,
    /// None until loaded, and again while an outcome is not known.
    tables: PerTable<Mutex<Option<Loaded>>>,
}

#[derive(Debug)]
struct Loaded {
    version: u64,
    committed: Committed,
    /// The version that the log was last shortened at, or 0.
    tidied: u64,
}

impl DeltaCatalog {
    /// `store` has the tables below `tables/`; its put-if-absent must be atomic and durable.
    pub fn new(store: Arc<dyn ObjectStore>, collector_id: u128, clock: Arc<dyn Clock>) -> Self {
        DeltaCatalog { store, collector_id, clock, tables: PerTable::default() }
    }

    /// Writes as `<collector id>/<shard>`, and to a derived table as `/<source>` of that; there is one shard.
    fn writer(&self, table: Table) -> Writer {
        let own = format!("{:032x}/0", self.collector_id);
        let app_id = table.source().map_or(own.clone(), |source| format!("{own}/{}", source.name()));
        Writer { collector_id: self.collector_id, app_id }
    }

    fn slot(&self, table: Table) -> &Mutex<Option<Loaded>> {
        &self.tables[table]
    }

    fn log_store(&self, table: Table) -> LogStoreRef {
        let path = table_path(table);
        // A scheme of our own keeps the library from looking for the path outside of `store`.
        let url = Url::parse(&format!("meshlake:///{path}")).expect("table names need no escaping");
        let prefixed = Arc::new(PrefixStore::new(Arc::clone(&self.store), path));
        default_logstore(prefixed, Arc::clone(&self.store), &url, &StorageConfig::default())
    }

    async fn read(&self, table: Table) -> Result<Loaded, CatalogError> {
        let unreadable = |error: DeltaTableError| CatalogError::Unreadable {
            table: table.name(),
            reason: error.to_string(),
        };
        let delta = open(table, self.log_store(table)).await.map_err(unreadable)?;
        let delta = add_missing_columns(table, delta).await?;
        let state = delta.snapshot().map_err(unreadable)?;
        check_protocol(table, state.protocol().min_reader_version(), state.protocol().min_writer_version())?;
        let log_store = delta.log_store();
        let (app_id, kept_from_id) = {
            let writer = self.writer(table);
            (writer.app_id.clone(), writer.kept_from_id())
        };
        let unusable = |reason| CatalogError::Unusable { table: table.name(), reason };
        let txn = async |id: &str| {
            let version = state.transaction_version(log_store.as_ref(), id).await;
            version.map(|version| version.unwrap_or(0)).map_err(unreadable)
        };
        let (watermark, kept_from_days) = (txn(&app_id).await?, txn(&kept_from_id).await?);
        let out_of_range = |id: &str, version: i64| unusable(format!("txn of {id} is {version}"));
        let watermark = Lsn::try_from(watermark).map_err(|_| out_of_range(&app_id, watermark))?;
        let kept_from_days =
            i32::try_from(kept_from_days).map_err(|_| out_of_range(&kept_from_id, kept_from_days))?;
        let files: Option<Vec<DataFile>> =
            state.log_data().iter().map(|view| data_file(table, self.collector_id, &view)).collect();
        let mut files = files.ok_or_else(|| unusable("a file has no date or no row count".to_owned()))?;
        files.sort_by(|a, b| (a.time_min_micros, &a.path).cmp(&(b.time_min_micros, &b.path)));
        let version = state.version();
        check_entries(table, &log_store, version).await?;
        let tidied = version - version % TIDY_COMMITS;
        Ok(Loaded {
            version,
            committed: Committed { files: Arc::new(files), watermark, kept_from_days },
            tidied,
        })
    }

    /// One attempt: the entry after the version that `loaded` knows.
    async fn put(&self, table: Table, loaded: &Loaded, change: &Change<'_>) -> Result<(), TransactionError> {
        let millis = self.clock.now().micros().div_euclid(1_000);
        let entry = seal::seal(change.entry(table, &self.writer(table), millis).get_bytes()?);
        let entry = CommitOrBytes::LogBytes(entry);
        let point = |name| {
            hit(name).map_err(|cause| TransactionError::LogStoreError {
                msg: name.to_owned(),
                source: cause.into(),
            })
        };
        point("before_commit")?;
        self.log_store(table).write_commit_entry(loaded.version + 1, entry, Default::default()).await?;
        point("after_commit")
    }

    /// Puts `change` into the log, once, whatever becomes of the single attempts.
    async fn transact(&self, table: Table, change: Change<'_>) -> Result<Committed, CatalogError> {
        let mut slot = self.slot(table).lock().await;
        let refused = |reason| Err(CatalogError::NotCommitted { table: table.name(), reason });
        let mut reason = String::new();
        for _ in 0..CONFLICTS_MAX {
            // Taken out, so that a failure or a dropped future leaves "not known" behind.
            let mut loaded = match slot.take() {
                Some(loaded) => loaded,
                None => self.read(table).await?,
            };
            match change.standing(&loaded.committed) {
                Standing::Open => {}
                Standing::Settled => return Ok(slot.insert(loaded).committed.clone()),
                Standing::Impossible(why) => {
                    slot.replace(loaded);
                    return refused(why);
                }
            }
            let error = match self.put(table, &loaded, &change).await {
                Ok(()) => {
                    loaded.committed = change.applied(&loaded.committed);
                    loaded.version += 1;
                    return Ok(slot.insert(loaded).committed.clone());
                }
                Err(error) => error,
            };
            reason = error.to_string();
            let known = self.read(table).await.map_err(|unread| CatalogError::Unknown {
                table: table.name(),
                reason: format!("{reason}; then {unread}"),
            })?;
            let committed = slot.insert(known).committed.clone();
            if matches!(change.standing(&committed), Standing::Settled) {
                return Ok(committed);
            }
            if !matches!(error, TransactionError::VersionAlreadyExists(_)) {
                break;
            }
        }
        refused(reason)
    }
}

#[async_trait]
impl Catalog for DeltaCatalog {
    async fn load(&self, table: Table) -> Result<Committed, CatalogError> {
        let mut slot = self.slot(table).lock().await;
        *slot = None;
        let loaded = slot.insert(self.read(table).await?);
        Ok(loaded.committed.clone())
    }

    async fn commit(&self, table: Table, flushed: &Flushed) -> Result<Committed, CatalogError> {
        self.transact(table, Change::Flush(flushed)).await
    }

    async fn replace(&self, table: Table, replacement: &Replacement) -> Result<Committed, CatalogError> {
        self.transact(table, Change::Replace(replacement)).await
    }

    async fn audit(&self, table: Table) -> Result<Audit, CatalogError> {
        let committed = self.load(table).await?;
        let log_store = self.log_store(table);
        let mut delta = DeltaTable::new(Arc::clone(&log_store));
        let removed = async {
            delta.load().await?;
            let tombstones = delta.snapshot()?.all_tombstones(log_store.as_ref());
            let removed = tombstones.map_ok(|removed| {
                let path = Path::from(format!("{}/{}", table_path(table), removed.path()));
                (path, removed.deletion_timestamp().unwrap_or_default().saturating_mul(1_000))
            });
            removed.try_collect().await
        };
        let removed: Result<_, DeltaTableError> = removed.await;
        let removed = removed.map_err(|error| CatalogError::Unreadable {
            table: table.name(),
            reason: format!("list removed files: {error}"),
        })?;
        Ok(Audit { committed, removed })
    }

    async fn tidy(&self, table: Table) -> Result<(), CatalogError> {
        let mut slot = self.slot(table).lock().await;
        let Some(loaded) = slot.as_mut() else { return Ok(()) };
        if loaded.version < loaded.tidied + TIDY_COMMITS {
            return Ok(());
        }
        let mut delta = DeltaTable::new(self.log_store(table));
        let tidied = async {
            delta.load().await?;
            checkpoints::create_checkpoint(&delta, None).await?;
            checkpoints::cleanup_metadata(&delta, None).await
        };
        // Also after a failure the next try comes only with the next due commit.
        loaded.tidied = loaded.version;
        let tidied: Result<usize, DeltaTableError> = tidied.await;
        tidied.map(|_| ()).map_err(|error| CatalogError::Unreadable {
            table: table.name(),
            reason: format!("checkpoint: {error}"),
        })
    }
}

/// Loads the table, making it first if there is none.
async fn open(table: Table, log_store: LogStoreRef) -> Result<DeltaTable, DeltaTableError> {
    let mut delta = DeltaTable::new(log_store);
    if delta.verify_deltatable_existence().await? {
        delta.load().await?;
        return Ok(delta);
    }
    let schema: StructType = table.open_schema().as_ref().try_into_kernel()?;
    // Only the sort key is worth keeping statistics of: it is what files are sorted and pruned by.
    let indexed = table.sort_key().join(",");
    delta
        .create()
        .with_table_name(table.name())
        .with_comment(table.doc())
        .with_columns(schema.fields().cloned())
        .with_partition_columns([DATE_COLUMN])
        .with_configuration([
            ("delta.logRetentionDuration", Some("interval 1 day")),
            // As long as a vacuum keeps what was removed: the log need not remember it for longer.
            ("delta.deletedFileRetentionDuration", Some("interval 1 hour")),
            ("delta.dataSkippingStatsColumns", Some(indexed.as_str())),
        ])
        .with_commit_properties(plain_commit())
        .await
}

fn plain_commit() -> CommitProperties {
    CommitProperties::default()
        .with_max_retries(0)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
}

/// Adds the columns that this version has and the table has not, nullable because older files lack them.
async fn add_missing_columns(table: Table, delta: DeltaTable) -> Result<DeltaTable, CatalogError> {
    let unusable = |reason| CatalogError::Unusable { table: table.name(), reason };
    let want: StructType =
        table.open_schema().as_ref().try_into_kernel().map_err(|error| unusable(format!("{error}")))?;
    let have = delta.snapshot().map_err(|error| unusable(error.to_string()))?.schema();
    let mut missing = Vec::new();
    for field in want.fields() {
        match have.field(field.name()) {
            None => missing.push(StructField::nullable(field.name(), field.data_type().clone())),
            Some(column) if column.data_type() == field.data_type() => {}
            Some(column) => {
                let (name, has, wants) = (field.name(), column.data_type(), field.data_type());
                return Err(unusable(format!(
                    "column {name} is {has} in the log and {wants} in this version"
                )));
            }
        }
    }
    if missing.is_empty() {
        return Ok(delta);
    }
    let names: Vec<&String> = missing.iter().map(StructField::name).collect();
    tracing::info!(table = table.name(), columns = ?names, "add columns to table");
    let added = delta.add_columns().with_fields(missing).with_commit_properties(plain_commit());
    added.await.map_err(|error| CatalogError::Unreadable {
        table: table.name(),
        reason: format!("add columns: {error}"),
    })
}

/// Checks the entries that opening has read, those since the last checkpoint, and a few more at most.
async fn check_entries(table: Table, log_store: &LogStoreRef, version: u64) -> Result<(), CatalogError> {
    for version in version.saturating_sub(TIDY_COMMITS)..=version {
        let unreadable = |error: DeltaTableError| CatalogError::Unreadable {
            table: table.name(),
            reason: format!("read entry {version}: {error}"),
        };
        // None has been shortened away.
        let Some(entry) = log_store.read_commit_entry(version).await.map_err(unreadable)? else { continue };
        seal::check(&entry).map_err(|reason| CatalogError::Unusable {
            table: table.name(),
            reason: format!("log entry {version:020}.json is damaged: {reason}"),
        })?;
    }
    Ok(())
}

fn check_protocol(table: Table, reader: i32, writer: i32) -> Result<(), CatalogError> {
    if reader == 1 && writer <= 2 {
        return Ok(());
    }
    let reason = format!("needs Delta reader version {reader} and writer version {writer}, not 1 and 2");
    Err(CatalogError::Unusable { table: table.name(), reason })
}

#[cfg(test)]
mod tests;
