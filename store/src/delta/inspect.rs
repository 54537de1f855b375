//! What a table's log says, for people: everything in it, and nothing made or mended on the way.
//!
//! The library answers for one `app_id` when it is asked by name, but cannot say which there are. So the
//! names are gathered from the entries and the last checkpoint, and the library is asked for each.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array as _, AsArray as _};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt as _;
use meshlake_schema::Table;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::data_file::data_file;
use super::{DeltaCatalog, KEPT_FROM, check_entries};
use crate::catalog::CatalogError;
use crate::data_dir::table_path;
use crate::snapshot::DataFile;

/// What a table's log says at its last version.
#[derive(Debug, Default)]
pub(crate) struct TableLog {
    pub version: u64,
    pub files: Vec<DataFile>,
    /// Files that left the table, as far back as the log remembers.
    pub removed: HashMap<Path, i64>,
    /// The last version of every `app_id`, sorted.
    pub watermarks: Vec<(String, i64)>,
    /// An entry that is not as it was written.
    pub damage: Option<String>,
}

impl DeltaCatalog {
    /// Reads the log of `table` as it is; none when there is no such table.
    ///
    /// # Errors
    /// [`CatalogError::Unreadable`].
    pub(crate) async fn inspect(&self, table: Table) -> Result<Option<TableLog>, CatalogError> {
        let looked = async {
            let mut delta = DeltaTable::new(self.log_store(table));
            if !delta.verify_deltatable_existence().await? {
                return Ok(None);
            }
            delta.load().await?;
            self.table_log(table, &delta).await.map(Some)
        };
        let looked: Result<_, DeltaTableError> = looked.await;
        looked.map_err(|error| CatalogError::Unreadable { table: table.name(), reason: error.to_string() })
    }

    async fn table_log(&self, table: Table, delta: &DeltaTable) -> Result<TableLog, DeltaTableError> {
        let log_store = delta.log_store();
        let state = delta.snapshot()?;
        let version = state.version();
        let removed = state.all_tombstones(log_store.as_ref()).map_ok(|removed| {
            let path = Path::from(format!("{}/{}", table_path(table), removed.path()));
            (path, removed.deletion_timestamp().unwrap_or_default())
        });
        let removed = removed.try_collect().await?;
        let mut watermarks = Vec::new();
        for app_id in self.app_ids(table, delta, version).await? {
            let last = state.transaction_version(log_store.as_ref(), &app_id).await?;
            watermarks.extend(last.map(|last| (app_id, last)));
        }
        let damage = check_entries(table, &log_store, version).await.err().map(|error| error.to_string());
        // A file of another writer without a row count is not one that we can say much about.
        let files =
            state.log_data().iter().filter_map(|view| data_file(table, self.collector_id, &view)).collect();
        Ok(TableLog { version, files, removed, watermarks, damage })
    }

    /// Every `app_id` of a watermark in the entries that are there, and in the last checkpoint.
    async fn app_ids(
        &self,
        table: Table,
        delta: &DeltaTable,
        version: u64,
    ) -> Result<BTreeSet<String>, DeltaTableError> {
        let mut app_ids = BTreeSet::new();
        let mut checkpoint = None;
        for version in (0..=version).rev() {
            let path = table_path(table).join("_delta_log").join(format!("{version:020}.checkpoint.parquet"));
            if let Ok(object) = self.store.get(&path).await {
                checkpoint = Some(object.bytes().await?);
            }
            let Some(entry) = delta.log_store().read_commit_entry(version).await? else { break };
            let lines = entry.split(|byte| *byte == b'\n');
            let actions = lines.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
            app_ids.extend(actions.filter_map(|action| Some(action["txn"]["appId"].as_str()?.to_owned())));
            if checkpoint.is_some() {
                break;
            }
        }
        if let Some(checkpoint) = checkpoint {
            app_ids.extend(app_ids_of_checkpoint(checkpoint)?);
        }
        app_ids.retain(|app_id: &String| !app_id.ends_with(KEPT_FROM));
        Ok(app_ids)
    }
}

fn app_ids_of_checkpoint(checkpoint: bytes::Bytes) -> Result<Vec<String>, DeltaTableError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(checkpoint)?;
    let only = ProjectionMask::columns(reader.parquet_schema(), ["txn.appId"]);
    let mut app_ids = Vec::new();
    for batch in reader.with_projection(only).build()? {
        let batch = batch?;
        let Some(txn) = batch.column_by_name("txn").and_then(|txn| txn.as_struct_opt()) else { continue };
        let Some(names) = txn.column_by_name("appId").and_then(|names| names.as_string_opt::<i32>()) else {
            continue;
        };
        let is_set = |row: &usize| txn.is_valid(*row) && names.is_valid(*row);
        app_ids.extend((0..batch.num_rows()).filter(is_set).map(|row| names.value(row).to_owned()));
    }
    Ok(app_ids)
}
