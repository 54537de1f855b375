//! Makes one file of several: reads them, merges them, puts the result.
//!
//! Runs on a thread of its own with low priority, so that a core which ingest needs is ingest's: a merge can
//! wait, an acknowledgement cannot. The ledger is the exception to "merge": its rows are sums and are added
//! up instead, all of them in memory, for they are few.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meshlake_schema::Table;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::catalog::NewFile;
use crate::files::merge::{InputBytes, Merge, Merged, Step, read_rows};
use crate::files::window::Place;
use crate::files::{EncodedFile, FileError, Files, path};
use crate::minutes::{FOLDED, MinuteLsns};
use crate::snapshot::DataFile;

/// Added to the thread's nice value: gets about a tenth of a core that something else wants too.
const NICENESS: i32 = 10;

/// Why files were not merged. They are as they were.
#[derive(Debug, Error)]
pub enum CompactError {
    /// The files cannot be read as ours: missing, damaged, or another program's.
    #[error("merge files: {0}")]
    Files(String),
    /// The world's: trying again may help.
    #[error("{verb} {path}: {cause}")]
    Store { verb: &'static str, path: Path, cause: object_store::Error },
    /// The store is stopping.
    #[error("the store is stopping")]
    Stopped,
    /// No thread could be had.
    #[error("start a thread: {0}")]
    Thread(std::io::Error),
}

impl From<FileError> for CompactError {
    fn from(error: FileError) -> Self {
        CompactError::Files(error.to_string())
    }
}

impl CompactError {
    fn store(verb: &'static str, path: &Path) -> impl FnOnce(object_store::Error) -> CompactError {
        let path = path.clone();
        move |cause| CompactError::Store { verb, path, cause }
    }
}

/// One merge to be made.
pub(super) struct Job {
    pub table: Table,
    pub inputs: Vec<DataFile>,
    pub store: Arc<dyn ObjectStore>,
    /// Set when the store stops: the merge ends at its next slice.
    pub is_stopping: Arc<AtomicBool>,
    /// Told of each slice how many rows are merged so far.
    pub on_rows: Box<dyn Fn(u64) + Send>,
}

/// Merges the job's files; what comes back lies in the store, named by no commit.
///
/// cancel: the thread goes on to its end, and what it put stays for a vacuum.
pub(super) async fn compact(job: Job) -> Result<Vec<NewFile>, CompactError> {
    let (tx, rx) = oneshot::channel();
    let runtime = Handle::current();
    let thread = std::thread::Builder::new().name("compact".to_owned());
    let run = move || {
        // Linux keeps a nice value per thread. Where it is refused, the merge is merely less polite.
        let _ = rustix::process::nice(NICENESS);
        let made = runtime.block_on(job.run());
        // Nobody waits any more: what was put stays for a vacuum.
        let _ = tx.send(made);
    };
    thread.spawn(run).map_err(CompactError::Thread)?;
    rx.await.unwrap_or_else(|_| Err(CompactError::Files("the merge has panicked, a bug".to_owned())))
}

impl Job {
    async fn run(self) -> Result<Vec<NewFile>, CompactError> {
        let mut sources = Vec::with_capacity(self.inputs.len());
        for file in &self.inputs {
            sources.push(self.open(&file.path).await?);
        }
        match self.table {
            Table::Ledger => self.add_up(sources).await,
            _ => self.merge(sources).await.map(|new| vec![new]),
        }
    }

    async fn open(&self, path: &Path) -> Result<InputBytes, CompactError> {
        // A file that is gone stays gone; whatever else is wrong may pass, as too many open files do.
        let failed = |cause| match cause {
            object_store::Error::NotFound { .. } => CompactError::Files(format!("open {path}: {cause}")),
            _ => CompactError::store("open", path)(cause),
        };
        InputBytes::open(self.store.as_ref(), path).await.map_err(failed)
    }

    async fn merge(&self, sources: Vec<InputBytes>) -> Result<NewFile, CompactError> {
        let mut merge = Merge::open(self.table, sources)?;
        let times = || self.inputs.iter().map(|file| (file.time_min_micros, file.time_max_micros));
        let time_min_micros = times().map(|(min, _)| min).min().unwrap_or_default();
        let time_max_micros = times().map(|(_, max)| max).max().unwrap_or_default();
        let place = Place::of_times(time_min_micros, time_max_micros);
        let path = path(self.table, &place, merge.origin())?;
        let put = self.store.put_multipart(&path).await;
        let mut upload = put.map_err(CompactError::store("put", &path))?;
        match self.write(&mut merge, upload.as_mut(), &path).await {
            Ok((size_bytes, Merged { rows, stats, time_max_micros: latest })) => {
                let time_max_micros = latest.unwrap_or(time_max_micros);
                let date_days = place.date_days;
                let is_derived_from = self.inputs.iter().all(|file| file.is_derived_from);
                let came_days = self.inputs.iter().filter_map(|file| file.came_days).max();
                let minutes = MinuteLsns::joined(self.inputs.iter().map(|file| &file.minutes));
                let file = DataFile {
                    path,
                    size_bytes,
                    rows,
                    date_days,
                    time_min_micros,
                    time_max_micros,
                    is_derived_from,
                    came_days,
                    minutes: if FOLDED.contains(&self.table) { minutes.bounded() } else { minutes },
                };
                Ok(NewFile { file, stats, is_mixed: place.is_mixed() })
            }
            Err(error) => {
                // Best effort: what stays is hidden and removed at the next start.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    /// Steps through the merge to its end; returns the bytes written.
    async fn write(
        &self,
        merge: &mut Merge,
        upload: &mut dyn MultipartUpload,
        path: &Path,
    ) -> Result<(u64, Merged), CompactError> {
        let mut size_bytes = 0;
        loop {
            if self.is_stopping.load(Ordering::Acquire) {
                return Err(CompactError::Stopped);
            }
            let step = merge.step()?;
            (self.on_rows)(merge.rows_done());
            let (Step::Part(part) | Step::End(part, _)) = &step;
            if !part.is_empty() {
                size_bytes += part.len() as u64;
                let put = upload.put_part(PutPayload::from(part.clone())).await;
                put.map_err(CompactError::store("write", path))?;
            }
            if let Step::End(_, merged) = step {
                upload.complete().await.map_err(CompactError::store("put", path))?;
                return Ok((size_bytes, merged));
            }
        }
    }

    /// The ledger's way: all rows at once, added up, in one file.
    async fn add_up(&self, sources: Vec<InputBytes>) -> Result<Vec<NewFile>, CompactError> {
        let (batches, origin) = read_rows(self.table, sources)?;
        let mut files = Files::plan_added_up(&batches, origin)?;
        let mut added = Vec::new();
        while let Some(EncodedFile { new, bytes }) = files.encode_next()? {
            let options = PutOptions::from(PutMode::Create);
            let put = self.store.put_opts(&new.file.path, PutPayload::from(bytes), options).await;
            put.map_err(CompactError::store("put", &new.file.path))?;
            added.push(new);
        }
        Ok(added)
    }
}
