//! Moves rows from the buffer into files: sorted Parquet, then one commit, then one swap.
//!
//! ```text
//!   take a prefix -> derive rows, put, commit, swap (each derived table)
//!                 -> encode and put files (fsynced) -> commit files + txn (fsynced) -> swap -> cut the log
//! ```
//!
//! A crash between any two arrows loses and doubles nothing: before the commit the rows are still in the
//! log and the files are named by nobody; after it the watermark in the commit tells replay to leave them
//! out. So nothing here is undone on failure but files that are known to be unnamed.
//!
//! Rows of derived tables (`traces`) are committed before those that they are derived from, with a watermark
//! of their own. After a crash between the two commits that watermark is the higher one, the source's rows
//! come back from the log, and rows are derived only from records above it. In the other order a crash would
//! leave rows in files from which nothing was derived.
//!
//! One flush per table at a time, one encoding over all tables at a time (it takes a core and one file's
//! memory). Limits: the flush of a table that cannot be committed is tried again for ever, with its rows
//! in the buffer; admission refuses new ones meanwhile.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use meshlake_schema::{PerTable, Table, TableBatch};
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;

use crate::buffer::{Buffer, Prefix};
use crate::catalog::{Audit, Catalog, CatalogError, Committed, Flushed, NewFile, Replacement};
use crate::disk::is_storage_full;
use crate::encoding::{EncodingThread, Panicked};
use crate::fail_point::hit;
use crate::files::{EncodedFile, FileError, Files, Origin};
use crate::group::Lsn;
use crate::minutes::MinuteLsns;

/// Encodings at the same time: each takes a core away from ingest and the memory of one file.
const ENCODINGS_MAX: usize = 1;

/// Why rows did not leave the buffer. They are still in it, and in the log.
#[derive(Debug, Error)]
pub enum FlushError {
    #[error("make file of table {table}: {reason}")]
    Encode { table: &'static str, reason: String },
    #[error("put file of table {table}: {cause}")]
    Put { table: &'static str, cause: object_store::Error },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl FlushError {
    /// True when a file could not be written for want of room. A commit that could not does not tell.
    pub fn is_storage_full(&self) -> bool {
        let FlushError::Put { cause, .. } = self else { return false };
        let causes = std::iter::successors(cause.source(), |error| (*error).source());
        causes.filter_map(|error| error.downcast_ref()).any(is_storage_full)
    }
}

/// What flushes did since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushStats {
    /// Commits made.
    pub commits: u64,
    pub failures: u64,
    pub files: u64,
    pub rows: u64,
    /// Bytes of Parquet.
    pub file_bytes: u64,
    /// From taking rows to the swap, summed, nanoseconds.
    pub nanos: u64,
}

/// Told, on a thread that may block, that every record up to the LSN is in files.
pub(crate) type OnFlushed = Box<dyn Fn(Lsn) + Send + Sync>;

/// Everything a flush needs; see the module for what it does.
pub(crate) struct Flusher {
    buffer: Arc<Buffer>,
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn ObjectStore>,
    collector_id: u128,
    on_flushed: Arc<OnFlushed>,
    turns: PerTable<Mutex<()>>,
    encodings: Semaphore,
    encoding_thread: EncodingThread,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
    failures: AtomicU64,
    files: AtomicU64,
    rows: AtomicU64,
    file_bytes: AtomicU64,
    nanos: AtomicU64,
}

impl Flusher {
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        buffer: Arc<Buffer>,
        catalog: Arc<dyn Catalog>,
        store: Arc<dyn ObjectStore>,
        collector_id: u128,
        on_flushed: OnFlushed,
    ) -> std::io::Result<Self> {
        Ok(Flusher {
            buffer,
            catalog,
            store,
            collector_id,
            on_flushed: Arc::new(on_flushed),
            turns: PerTable::default(),
            encodings: Semaphore::new(ENCODINGS_MAX),
            encoding_thread: EncodingThread::start()?,
            counters: Counters::default(),
        })
    }

    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    /// Puts all that `table` buffers into files, and first what is derived from it; says whether there was
    /// anything. A derived table itself buffers nothing.
    ///
    /// cancel: rows stay where they are, files may stay unnamed; the commit may have happened, which the
    /// next flush finds out.
    pub async fn flush(&self, table: Table) -> Result<bool, FlushError> {
        let _turn = self.turns[table].lock().await;
        let Some(prefix) = self.buffer.take_prefix(table) else { return Ok(false) };
        let begun = Instant::now();
        // Also when this future is dropped: the rows then wait for the next flush.
        let give_back = GiveBack { buffer: &self.buffer, table };
        let committed = match self.flush_derived(table, &prefix).await {
            Ok(()) => self.write_and_commit(table, prefix).await,
            Err(error) => Err(error),
        };
        drop(give_back);
        let committed = committed.inspect_err(|_| {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        self.buffer.swap(table, committed);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.cut().await;
        for table in [table].into_iter().chain(table.derived()) {
            self.tidy(table).await;
        }
        Ok(true)
    }

    /// Shortens the log of `table` when it has grown.
    pub async fn tidy(&self, table: Table) {
        if let Err(error) = self.catalog.tidy(table).await {
            tracing::warn!(%error, "shorten table log");
        }
    }

    pub fn collector_id(&self) -> u128 {
        self.collector_id
    }

    /// Replaces files of `table`, in its log and for readers; not while a flush of the table runs.
    ///
    /// cancel: the commit may have happened; then readers see the older files, which still lie there, until
    /// the table's next commit.
    pub async fn replace(&self, table: Table, replacement: &Replacement) -> Result<Committed, CatalogError> {
        let _turn = self.turns[table].lock().await;
        let committed = self.catalog.replace(table, replacement).await?;
        self.buffer.swap(table, committed.clone());
        Ok(committed)
    }

    /// What the log of `table` says is in use and what has left; readers see it from then on. Not while a
    /// flush of the table runs, so that no file is between its put and its commit.
    pub async fn audit(&self, table: Table) -> Result<Audit, CatalogError> {
        let _turn = self.turns[table].lock().await;
        let audit = self.catalog.audit(table).await?;
        self.buffer.swap(table, audit.committed.clone());
        Ok(audit)
    }

    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Commits what the tables derived from `source` do not have of `prefix` yet.
    async fn flush_derived(&self, source: Table, prefix: &Prefix) -> Result<(), FlushError> {
        for table in source.derived() {
            let _turn = self.turns[table].lock().await;
            // More than once only after a commit of unknown outcome that did happen, with less than this.
            while self.buffer.watermark(table) < prefix.through {
                let after = self.buffer.watermark(table);
                let new = prefix.batches.iter().filter(|hot| hot.lsn_first > after);
                let new = Prefix { after, through: prefix.through, batches: new.cloned().collect() };
                let committed = self.write_and_commit(table, new).await?;
                self.buffer.swap(table, committed);
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Puts everything that is buffered now into files, the ledger last. A table that cannot be flushed keeps no
    /// other from its files.
    ///
    /// # Errors
    /// The first table's; those after it are logged.
    pub async fn flush_all(&self) -> Result<(), FlushError> {
        let through = self.buffer.last_lsn();
        let others = Table::received().filter(|table| *table != Table::Ledger);
        let mut outcome = Ok(());
        for table in others.chain([Table::Ledger]) {
            match self.flush_through(table, through).await {
                Ok(()) => {}
                Err(error) if outcome.is_ok() => outcome = Err(error),
                Err(error) => tracing::error!(table = table.name(), %error, "flush table"),
            }
        }
        outcome
    }

    async fn flush_through(&self, table: Table, through: Lsn) -> Result<(), FlushError> {
        // More than once only after a commit of unknown outcome that did happen, with less than this.
        while self.flush(table).await? && self.buffer.holds_rows_up_to(table, through) {}
        Ok(())
    }

    /// Tells the log how far it may be cut.
    pub async fn cut(&self) {
        let (on_flushed, through) = (Arc::clone(&self.on_flushed), self.buffer.flushed_through());
        if let Err(error) = spawn_blocking(move || on_flushed(through)).await {
            tracing::error!(%error, "cut write-ahead log");
        }
    }

    pub fn stats(&self) -> FlushStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FlushStats {
            commits: read(&self.counters.commits),
            failures: read(&self.counters.failures),
            files: read(&self.counters.files),
            rows: read(&self.counters.rows),
            file_bytes: read(&self.counters.file_bytes),
            nanos: read(&self.counters.nanos),
        }
    }

    async fn write_and_commit(&self, table: Table, prefix: Prefix) -> Result<Committed, FlushError> {
        let (after, through) = (prefix.after, prefix.through);
        let mut files = Vec::new();
        if let Err(error) = self.write(table, prefix, &mut files).await {
            self.remove(files).await;
            return Err(error);
        }
        let flushed = Flushed { after, through, files };
        match self.catalog.commit(table, &flushed).await {
            Ok(committed) => {
                // An earlier commit whose outcome was not known did happen: its files hold these rows.
                if !names(&committed, &flushed.files) {
                    self.remove(flushed.files).await;
                    return Ok(committed);
                }
                let sum = |value: fn(&NewFile) -> u64| flushed.files.iter().map(value).sum::<u64>();
                self.counters.files.fetch_add(flushed.files.len() as u64, Ordering::Relaxed);
                self.counters.rows.fetch_add(sum(|new| new.file.rows), Ordering::Relaxed);
                self.counters.file_bytes.fetch_add(sum(|new| new.file.size_bytes), Ordering::Relaxed);
                Ok(committed)
            }
            Err(error) => {
                if matches!(error, CatalogError::NotCommitted { .. }) {
                    self.remove(flushed.files).await;
                }
                Err(error.into())
            }
        }
    }

    /// Encodes and puts the files one by one; `written` has those put so far, also after an error.
    async fn write(
        &self,
        table: Table,
        prefix: Prefix,
        written: &mut Vec<NewFile>,
    ) -> Result<(), FlushError> {
        let encode = |reason: String| FlushError::Encode { table: table.name(), reason };
        let _permit = self.encodings.acquire().await.map_err(|error| encode(error.to_string()))?;
        let origin = Origin {
            collector_id: self.collector_id,
            lsn_first: prefix.batches.first().map_or(prefix.through, |hot| hot.lsn_first),
            lsn_last: prefix.through,
        };
        let minutes = match table.source() {
            Some(_) => MinuteLsns::default(),
            None => MinuteLsns::joined(prefix.batches.iter().map(|hot| &hot.minutes)),
        };
        let batches: Vec<TableBatch> = prefix.batches.into_iter().map(|hot| hot.batch).collect();
        let plan = move || Ok(Files::plan(table, batches, origin)?.with_minutes(minutes));
        let planned = self.encoding_thread.run(plan).await;
        let mut files = flatten(planned).map_err(encode)?;
        loop {
            let encoded = self.encoding_thread.run(move || {
                let encoded = files.encode_next()?;
                Ok::<(Files, Option<EncodedFile>), FileError>((files, encoded))
            });
            let (rest, encoded) = flatten(encoded.await).map_err(encode)?;
            let Some(EncodedFile { new, bytes }) = encoded else { return Ok(()) };
            files = rest;
            hit("before_parquet_put").map_err(|error| encode(error.to_string()))?;
            let put = self.store.put_opts(
                &new.file.path,
                PutPayload::from(bytes),
                PutOptions::from(PutMode::Create),
            );
            put.await.map_err(|cause| FlushError::Put { table: table.name(), cause })?;
            written.push(new);
            hit("after_parquet_put").map_err(|error| encode(error.to_string()))?;
        }
    }

    /// Removes files that no commit names; what cannot be removed wastes room and nothing else.
    async fn remove(&self, files: Vec<NewFile>) {
        for new in files {
            if let Err(error) = self.store.delete(&new.file.path).await {
                tracing::warn!(path = %new.file.path, %error, "remove unnamed file");
            }
        }
    }
}

/// Ends a flush's claim on its rows; a swap after it removes them.
struct GiveBack<'a> {
    buffer: &'a Buffer,
    table: Table,
}

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        self.buffer.give_back(self.table);
    }
}

/// The rows are safe after a panic, so it is an error like another.
fn flatten<T>(outcome: Result<Result<T, FileError>, Panicked>) -> Result<T, String> {
    outcome.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn names(committed: &Committed, files: &[NewFile]) -> bool {
    // Files of one commit are named all or none, and new ones are at the end.
    files.first().is_none_or(|new| committed.files.iter().rev().any(|file| file.path == new.file.path))
}
