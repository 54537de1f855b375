//! Whose rows are near some minutes.
//!
//! A fold is one tenant's, and nothing that is known of a file says whose rows it has. Nearly all files have one
//! tenant's, which the statistics of its column chunks tell; of the others the column is read, once per file.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray as _;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use thiserror::Error;

use crate::files::FileError;
use crate::files::merge::InputBytes;
use crate::minutes::FOLDED;
use crate::snapshot::{DataFile, Snapshot};

const TENANT_COLUMN: &str = "tenant";

/// Why it is not known.
#[derive(Debug, Error)]
pub(super) enum TenantsError {
    #[error("open {path}: {cause}")]
    Open { path: Path, cause: object_store::Error },
    #[error("read tenants of {path}: {cause}")]
    Read { path: Path, cause: FileError },
}

/// The tenants of files that were looked at.
#[derive(Debug, Default)]
pub(super) struct Tenants(HashMap<Path, Arc<BTreeSet<String>>>);

impl Tenants {
    /// Forgets files that have left their tables.
    pub fn keep_files_of(&mut self, snapshot: &Snapshot) {
        let files = FOLDED.into_iter().flat_map(|table| snapshot.files(table).iter());
        let present: HashSet<&Path> = files.map(|file| &file.path).collect();
        self.0.retain(|path, _| present.contains(path));
    }

    /// Every tenant of rows that start in `minutes`, and perhaps of rows near them.
    ///
    /// # Errors
    /// A file cannot be read; trying again helps when the disk does.
    pub async fn of(
        &mut self,
        snapshot: &Snapshot,
        minutes: &Range<i64>,
    ) -> Result<BTreeSet<String>, TenantsError> {
        let mut tenants = BTreeSet::new();
        for table in FOLDED {
            let is_near = |file: &&DataFile| file.minutes.minutes_in(minutes).next().is_some();
            for file in snapshot.files(table).iter().filter(is_near) {
                tenants.extend(self.of_file(snapshot.object_store().as_ref(), file).await?.iter().cloned());
            }
            tenants.extend(snapshot.hot_tenants(table, minutes));
        }
        Ok(tenants)
    }

    async fn of_file(
        &mut self,
        store: &dyn ObjectStore,
        file: &DataFile,
    ) -> Result<Arc<BTreeSet<String>>, TenantsError> {
        if let Some(known) = self.0.get(&file.path) {
            return Ok(Arc::clone(known));
        }
        let path = || file.path.clone();
        let source = InputBytes::open(store, &file.path).await;
        let source = source.map_err(|cause| TenantsError::Open { path: path(), cause })?;
        let read = match source {
            InputBytes::File(file) => tenants_in(file),
            InputBytes::Bytes(bytes) => tenants_in(bytes),
        };
        let read = Arc::new(read.map_err(|cause| TenantsError::Read { path: path(), cause })?);
        self.0.insert(path(), Arc::clone(&read));
        Ok(read)
    }
}

fn tenants_in<T: ChunkReader + 'static>(file: T) -> Result<BTreeSet<String>, FileError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    if let Some(only) = only_tenant(reader.metadata()) {
        return Ok(BTreeSet::from([only]));
    }
    let column = ProjectionMask::columns(reader.parquet_schema(), [TENANT_COLUMN]);
    let mut tenants = BTreeSet::new();
    for batch in reader.with_projection(column).build()? {
        let batch = batch?;
        let names = batch.column(0).as_string::<i32>();
        let mut last = None;
        for name in names.iter().flatten() {
            if last.replace(name) != Some(name) && !tenants.contains(name) {
                tenants.insert(name.to_owned());
            }
        }
    }
    Ok(tenants)
}

/// The tenant of every row, if statistics say that there is but one.
fn only_tenant(metadata: &ParquetMetaData) -> Option<String> {
    let mut only: Option<&[u8]> = None;
    for group in metadata.row_groups() {
        let chunk = group.columns().iter().find(|chunk| chunk.column_path().parts() == [TENANT_COLUMN])?;
        let statistics = chunk.statistics()?;
        // A bound that was cut off stands for several names.
        let is_exact = statistics.min_is_exact() && statistics.max_is_exact();
        let (first, last) = (statistics.min_bytes_opt()?, statistics.max_bytes_opt()?);
        if !is_exact || first != last || only.is_some_and(|only| only != first) {
            return None;
        }
        only = Some(first);
    }
    String::from_utf8(only?.to_vec()).ok()
}
