//! A catalog for the simulated disk: per table a log of numbered entries, each put if absent, as Delta's.
//!
//! An entry is JSON: the watermark, the files that it adds and those that it removes. Loading reads them from the first on. What a
//! commit does after an error is what the real catalog does: read the log again, then decide.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use meshlake_schema::{PerTable, Table};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use serde_json::{Value, json};

use super::fs::SimFs;
use crate::catalog::{Audit, Catalog, CatalogError, Committed, Flushed, NewFile, Replacement};
use crate::data_dir::table_path;
use crate::group::Lsn;
use crate::minutes::MinuteLsns;
use crate::snapshot::DataFile;

pub(super) struct SimCatalog {
    fs: SimFs,
    /// Entries and what they say; `None` while an outcome is not known.
    tables: PerTable<Mutex<Option<(u64, Committed)>>>,
}

impl SimCatalog {
    pub fn new(fs: SimFs) -> Self {
        SimCatalog { fs, tables: PerTable::default() }
    }

    fn take(&self, table: Table) -> Option<(u64, Committed)> {
        self.tables[table].lock().expect("no panic").take()
    }

    fn keep(&self, table: Table, entries: u64, committed: Committed) -> Committed {
        *self.tables[table].lock().expect("no panic") = Some((entries, committed.clone()));
        committed
    }

    async fn known(&self, table: Table) -> Result<(u64, Committed), CatalogError> {
        match self.take(table) {
            Some(known) => Ok(known),
            None => self.read(table).await,
        }
    }

    /// Puts the entry after `entries`; `happened` tells from what is read afterwards whether it is there.
    async fn put(
        &self,
        table: Table,
        entries: u64,
        entry: String,
        happened: impl Fn(&Committed) -> bool,
    ) -> Result<Committed, CatalogError> {
        let options = PutOptions::from(PutMode::Create);
        let put = self.fs.put_opts(&entry_path(table, entries + 1), entry.into(), options).await;
        let (entries, committed) = self
            .read(table)
            .await
            .map_err(|unread| CatalogError::Unknown { table: table.name(), reason: unread.to_string() })?;
        let committed = self.keep(table, entries, committed);
        match put {
            Err(error) if !happened(&committed) => {
                Err(CatalogError::NotCommitted { table: table.name(), reason: error.to_string() })
            }
            _ => Ok(committed),
        }
    }

    async fn read(&self, table: Table) -> Result<(u64, Committed), CatalogError> {
        let unreadable = |reason: String| CatalogError::Unreadable { table: table.name(), reason };
        let (mut watermark, mut kept_from_days, mut files) = (0, 0, Vec::new());
        for entry in 1.. {
            let bytes = match self.fs.get(&entry_path(table, entry)).await {
                Ok(found) => found.bytes().await.map_err(|error| unreadable(error.to_string()))?,
                Err(Error::NotFound { .. }) => {
                    let committed = Committed { files: Arc::new(files), watermark, kept_from_days };
                    return Ok((entry - 1, committed));
                }
                Err(error) => return Err(unreadable(error.to_string())),
            };
            let json: Value = serde_json::from_slice(&bytes)
                .map_err(|error| unreadable(format!("entry {entry} is torn: {error}")))?;
            watermark = json["watermark"].as_u64().expect("a number");
            kept_from_days =
                json["kept_from_days"].as_i64().and_then(|days| i32::try_from(days).ok()).expect("a date");
            let removed = json["removed"].as_array().expect("an array");
            files.retain(|file: &DataFile| !removed.iter().any(|path| *path == file.path.as_ref()));
            files.extend(json["files"].as_array().expect("an array").iter().map(file));
        }
        unreachable!("a table has fewer than 2^64 entries")
    }
}

fn entry_path(table: Table, entry: u64) -> Path {
    table_path(table).join("_log").join(format!("{entry:020}.json"))
}

fn file(json: &Value) -> DataFile {
    let number = |key: &str| json[key].as_i64().expect("a number");
    DataFile {
        path: Path::from(json["path"].as_str().expect("a text")),
        size_bytes: number("size_bytes").unsigned_abs(),
        rows: number("rows").unsigned_abs(),
        date_days: i32::try_from(number("date_days")).expect("a date"),
        time_min_micros: number("time_min_micros"),
        time_max_micros: number("time_max_micros"),
        is_derived_from: json["is_derived_from"].as_bool().expect("a truth value"),
        came_days: json["came_days"].as_i64().and_then(|days| i32::try_from(days).ok()),
        minutes: MinuteLsns::from_tag(json["minutes"].as_str().expect("a text"), 0).expect("a tag"),
    }
}

fn entry(watermark: Lsn, kept_from_days: i32, added: &[NewFile], removed: &[DataFile]) -> String {
    let files: Vec<Value> = { added.iter() }
        .map(|new| {
            let file = &new.file;
            json!({
                "path": file.path.as_ref(), "size_bytes": file.size_bytes, "rows": file.rows,
                "date_days": file.date_days, "time_min_micros": file.time_min_micros,
                "time_max_micros": file.time_max_micros, "is_derived_from": file.is_derived_from, "came_days": file.came_days,
                "minutes": file.minutes.to_tag(0),
            })
        })
        .collect();
    let removed: Vec<&str> = removed.iter().map(|file| file.path.as_ref()).collect();
    json!({
        "watermark": watermark, "kept_from_days": kept_from_days, "files": files, "removed": removed
    })
    .to_string()
}

#[async_trait]
impl Catalog for SimCatalog {
    async fn load(&self, table: Table) -> Result<Committed, CatalogError> {
        let (entries, committed) = self.read(table).await?;
        Ok(self.keep(table, entries, committed))
    }

    async fn commit(&self, table: Table, flushed: &Flushed) -> Result<Committed, CatalogError> {
        let (entries, known) = self.known(table).await?;
        if known.watermark != flushed.after {
            return Ok(self.keep(table, entries, known));
        }
        let entry = entry(flushed.through, known.kept_from_days, &flushed.files, &[]);
        self.put(table, entries, entry, |committed| committed.watermark != flushed.after).await
    }

    async fn replace(&self, table: Table, replacement: &Replacement) -> Result<Committed, CatalogError> {
        let (entries, known) = self.known(table).await?;
        let has =
            |committed: &Committed, file: &DataFile| committed.files.iter().any(|f| f.path == file.path);
        if !replacement.removed.iter().all(|file| has(&known, file)) {
            self.keep(table, entries, known);
            let reason = "a file is no longer in the table".to_owned();
            return Err(CatalogError::NotCommitted { table: table.name(), reason });
        }
        let watermark = replacement.watermark(known.watermark);
        let kept_from_days = replacement.kept_from_days(known.kept_from_days);
        let entry = entry(watermark, kept_from_days, &replacement.added, &replacement.removed);
        let happened = |committed: &Committed| {
            replacement.added.iter().all(|new| has(committed, &new.file))
                && !replacement.removed.iter().any(|file| has(committed, file))
        };
        self.put(table, entries, entry, happened).await
    }

    async fn audit(&self, table: Table) -> Result<Audit, CatalogError> {
        Ok(Audit { committed: self.load(table).await?, removed: HashMap::new() })
    }

    async fn tidy(&self, _: Table) -> Result<(), CatalogError> {
        Ok(())
    }
}
