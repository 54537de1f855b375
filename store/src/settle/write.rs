//! Puts new cells into files, in the place of those that they replace.
//!
//! ```text
//!   files of one window of 15 minutes      -> cells of other minutes -+
//!     that hold a minute which is replaced                            +-> one file
//!   cells of the fold                      ---------------------------+
//! ```
//! Every other file stays as it is. A file tells what minutes it holds and what the folds of each saw, so a minute that
//! has rows and no calls is told too, by a file of no rows if need be. Limits: the cells of one such window are in
//! memory together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meshlake_schema::time::WINDOW_MICROS;
use meshlake_schema::{Table, TableBatch};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use thiserror::Error;

use crate::catalog::{Cause, NewFile, Replacement};
use crate::fail_point::hit;
use crate::files::merge::{InputBytes, read_rows};
use crate::files::{EncodedFile, FileError, Files, Origin, cells_of};
use crate::group::Lsn;
use crate::minutes::{MICROS_PER_MINUTE, MinuteLsns};
use crate::snapshot::{DataFile, window_minutes};

/// Minutes of the window of a file.
const FILE_MINUTES: i64 = WINDOW_MICROS / MICROS_PER_MINUTE;

/// Why cells are not in files.
#[derive(Debug, Error)]
pub(super) enum WriteError {
    #[error("{verb} {path}: {cause}")]
    Store { verb: &'static str, path: Path, cause: object_store::Error },
    #[error("make a file of cells: {0}")]
    Files(String),
}

impl From<FileError> for WriteError {
    fn from(error: FileError) -> Self {
        WriteError::Files(error.to_string())
    }
}

/// What folds made for one table.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Of whole windows, and the last record that their folds saw.
    pub minutes: BTreeMap<i64, Lsn>,
    pub batches: Vec<TableBatch>,
}

/// Whose cells, and where they go.
pub(super) struct Target<'a> {
    pub store: &'a Arc<dyn ObjectStore>,
    pub table: Table,
    /// Those of the table now.
    pub files: &'a [DataFile],
    pub collector_id: u128,
}

impl Target<'_> {
    /// Files with `cells` in the place of the cells of their minutes, to be committed. Where that cannot be, as in a
    /// window with a file that cannot be read, all stays as it is, and its minutes come back beside.
    pub async fn replace(&self, cells: &Cells) -> (Replacement, Vec<i64>) {
        let through = cells.minutes.values().copied().max().unwrap_or_default();
        let origin = Origin { collector_id: self.collector_id, lsn_first: through, lsn_last: through };
        let width = window_minutes(self.table);
        let place_of = |minute: i64| (minute.div_euclid(width) * width).div_euclid(FILE_MINUTES);
        let places: BTreeSet<i64> = cells.minutes.keys().map(|minute| place_of(*minute)).collect();
        let mut replacement =
            Replacement { removed: Vec::new(), added: Vec::new(), cause: Cause::Settle { through } };
        let mut failed = Vec::new();
        for place in places {
            let is_here = |minute: i64| place_of(minute) == place;
            let new = cells.minutes.iter().filter(|(minute, _)| is_here(**minute));
            let new: BTreeMap<i64, Lsn> = new.map(|(minute, lsn)| (*minute, *lsn)).collect();
            let holds_some =
                |file: &&DataFile| file.minutes.minutes().any(|(minute, _)| new.contains_key(&minute));
            let replaced: Vec<DataFile> = self.files.iter().filter(holds_some).cloned().collect();
            let batches = cells_of(&cells.batches, is_here);
            match async { self.put(&new, &replaced, batches?, origin).await }.await {
                Ok(added) => {
                    replacement.removed.extend(replaced);
                    replacement.added.extend(added);
                }
                Err(error) => {
                    tracing::error!(table = self.table.name(), %error, "write cells");
                    failed.extend(new.into_keys());
                }
            }
        }
        (replacement, failed)
    }

    /// Puts the file of one window.
    async fn put(
        &self,
        new: &BTreeMap<i64, Lsn>,
        replaced: &[DataFile],
        mut batches: Vec<TableBatch>,
        origin: Origin,
    ) -> Result<Option<NewFile>, WriteError> {
        batches.extend(self.kept(replaced, |minute| !new.contains_key(&minute)).await?);
        let mut minutes: BTreeMap<i64, Lsn> =
            replaced.iter().flat_map(|file| file.minutes.minutes()).collect();
        minutes.extend(new);
        let mut files = Files::plan_cells(self.table, batches, origin, MinuteLsns::of(&minutes))?;
        let Some(EncodedFile { new, bytes }) = files.encode_next()? else { return Ok(None) };
        hit("before_settle_put").map_err(|error| WriteError::Files(error.to_string()))?;
        let options = PutOptions::from(PutMode::Create);
        let written = self.store.put_opts(&new.file.path, PutPayload::from(bytes), options).await;
        written.map_err(failed("put", &new.file.path))?;
        Ok(Some(new))
    }

    /// The cells of `files` whose minute `is_kept`.
    async fn kept(
        &self,
        files: &[DataFile],
        is_kept: impl Fn(i64) -> bool,
    ) -> Result<Vec<TableBatch>, WriteError> {
        let mut sources = Vec::new();
        for file in files {
            let source = InputBytes::open(self.store.as_ref(), &file.path).await;
            sources.push(source.map_err(failed("open", &file.path))?);
        }
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let (batches, _) = read_rows(self.table, sources)?;
        Ok(cells_of(&batches, is_kept)?)
    }
}

/// Removes files that no commit names; what cannot be removed is left to a vacuum.
pub(super) async fn remove(store: &dyn ObjectStore, files: &[NewFile]) {
    for new in files {
        if let Err(error) = store.delete(&new.file.path).await {
            tracing::warn!(path = %new.file.path, %error, "remove unnamed file");
        }
    }
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(object_store::Error) -> WriteError {
    let path = path.clone();
    move |cause| WriteError::Store { verb, path, cause }
}
