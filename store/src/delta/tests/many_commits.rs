//! Ten thousand commits: the table's log stays short, opening reads little of it, and nothing piles up in
//! memory.
//!
//! Files are counted and not times, which a busy machine would spoil; the times are printed for the record.
//! A log entry is kept for a day, and what a table has is bounded by compaction. So every [`DAY_COMMITS`]
//! commits a day passes: another writer replaces all files by one, and all entries so far are dated back.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// Commits unless `MESHLAKE_TEST_COMMITS` says otherwise; the long form is 10,000.
const COMMITS: u64 = 500;

/// From so many commits on, memory is compared: a shorter run has not warmed up at its first tenth.
const LONG_COMMITS: u64 = 10_000;

/// Commits of a day. Above [`TIDY_COMMITS`], so that there is a checkpoint of each day.
const DAY_COMMITS: u64 = 100;

/// Files of log at the end of a day: its entries, with the compaction's; those before it as far back as the
/// last checkpoint before the last that was made; a checkpoint for each [`TIDY_COMMITS`] of them; the hint.
const LOG_FILES_MAX: u64 = {
    let entries = DAY_COMMITS + 1 + 2 * TIDY_COMMITS;
    entries + entries.div_ceil(TIDY_COMMITS) + 1
};

/// After the last tenth of the commits there may be so many times the memory of the first in use.
const MEMORY_RATIO_MAX: f64 = 1.3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_leave_a_short_log_that_opens_with_few_reads() {
    let commits = std::env::var("MESHLAKE_TEST_COMMITS")
        .map_or(COMMITS, |text| text.parse().expect("MESHLAKE_TEST_COMMITS is a number"));
    let dir = tempfile::tempdir().expect("temporary directory");
    let log = dir.path().join("tables/spans/_delta_log");
    let counting = Arc::new(Counting { inner: store(&dir), entries_read: Mutex::default() });
    let store: Arc<dyn ObjectStore> = counting.clone();
    let ours = catalog(&store);
    ours.load(Table::Spans).await.expect("load");

    let mut tenths = Vec::new();
    let mut times = Vec::new();
    for lsn in 1..=commits {
        let next = flushed(lsn - 1, lsn, &format!("{lsn:05}"));
        let begun = Instant::now();
        let committed = ours.commit(Table::Spans, &next).await.expect("commit");
        times.push(begun.elapsed());
        assert_eq!(committed.watermark, lsn);
        ours.tidy(Table::Spans).await.expect("tidy");
        assert!(committed.files.len() as u64 <= 1 + DAY_COMMITS, "{} files are live", committed.files.len());
        if lsn % DAY_COMMITS == 0 {
            let opened = opens_with_few_reads(&counting, &committed).await;
            let files = fs::read_dir(&log).expect("list").count() as u64;
            assert!(files <= LOG_FILES_MAX, "{files} files of log after {lsn} commits");
            put_compaction(&store, lsn + lsn / DAY_COMMITS, &committed).await;
            a_day_passes(&log);
            if lsn % (commits / 10).max(DAY_COMMITS) == 0 {
                tenths.push(Tenth::of(lsn, &mut times, opened, files));
            }
        }
    }
    tenths.iter().for_each(|tenth| println!("{tenth}"));
    if commits >= LONG_COMMITS {
        let (first, last) = (&tenths[0], &tenths[tenths.len() - 1]);
        let ratio = last.memory_bytes as f64 / first.memory_bytes as f64;
        assert!(ratio <= MEMORY_RATIO_MAX, "memory grew {ratio:.2} times: {first} to {last}");
    }
}

/// Opens the table anew; how long it took.
async fn opens_with_few_reads(counting: &Arc<Counting>, committed: &Committed) -> Duration {
    let store: Arc<dyn ObjectStore> = counting.clone();
    counting.entries_read.lock().expect("no panic").clear();
    let begun = Instant::now();
    let loaded = catalog(&store).load(Table::Spans).await.expect("load");
    let opened = begun.elapsed();
    let counts = |committed: &Committed| (committed.watermark, committed.files.len());
    assert_eq!(counts(&loaded), counts(committed));
    // The entries since the last checkpoint, which is made as soon as there are TIDY_COMMITS, and its own.
    let entries = counting.entries_read.lock().expect("no panic").len() as u64;
    assert!(entries <= TIDY_COMMITS + 1, "{entries} log entries read to open {committed:?}");
    opened
}

/// Replaces all files by one, as another writer would at `version`, and long enough ago to be forgotten.
async fn put_compaction(store: &Arc<dyn ObjectStore>, version: u64, committed: &Committed) {
    let below_table = |file: &DataFile| {
        let parts = file.path.prefix_match(&table_path(Table::Spans)).expect("files lie below their table");
        Path::from_iter(parts).to_string()
    };
    let partition = serde_json::json!({"date": "2026-11-23"});
    let remove = |file: &DataFile| {
        serde_json::json!({"remove": {
            "path": below_table(file), "deletionTimestamp": 0, "dataChange": false,
            "extendedFileMetadata": true, "partitionValues": partition, "size": file.size_bytes
        }})
    };
    let new = new_file(&format!("compact-{version:05}"), committed.watermark);
    let add = serde_json::json!({"add": {
        "path": below_table(&new.file), "partitionValues": partition, "size": new.file.size_bytes,
        "modificationTime": 0, "dataChange": false, "stats": new.stats
    }});
    let actions = committed.files.iter().map(remove).chain([add]);
    let entry = actions.map(|action| action.to_string()).collect::<Vec<_>>().join("\n");
    let path = Path::from(format!("tables/spans/_delta_log/{version:020}.json"));
    store.put_opts(&path, entry.into(), PutMode::Create.into()).await.expect("the version is free");
}

/// Dates all entries of the log back by more than they are kept for.
fn a_day_passes(log: &std::path::Path) {
    let before = SystemTime::now() - Duration::from_secs(25 * 3_600);
    for entry in fs::read_dir(log).expect("list") {
        let file = fs::File::options().write(true).open(entry.expect("entry").path()).expect("open");
        file.set_modified(before).expect("set the time");
    }
}

/// One line of the record.
struct Tenth {
    commits: u64,
    p50: Duration,
    p99: Duration,
    opened: Duration,
    log_files: u64,
    memory_bytes: u64,
}

impl Tenth {
    /// Takes the times of the commits since the last one.
    fn of(commits: u64, times: &mut Vec<Duration>, opened: Duration, log_files: u64) -> Tenth {
        times.sort_unstable();
        let rank = |ratio: f64| times[((times.len() as f64 * ratio) as usize).min(times.len() - 1)];
        let (p50, p99) = (rank(0.5), rank(0.99));
        times.clear();
        Tenth { commits, p50, p99, opened, log_files, memory_bytes: memory_bytes() }
    }
}

impl fmt::Display for Tenth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} commits: p50 {:.1?}, p99 {:.1?}, open {:.1?}, {} files of log, {} MiB",
            self.commits,
            self.p50,
            self.p99,
            self.opened,
            self.log_files,
            self.memory_bytes >> 20
        )
    }
}

/// Resident memory of this process (proc(5), statm: the second number, in pages of 4 KiB).
fn memory_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4_096
}

/// A store that tells which log entries are read from it; the library reads each several times.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn ObjectStore>,
    entries_read: Mutex<BTreeSet<Path>>,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counting({})", self.inner)
    }
}

impl Counting {
    fn count(&self, location: &Path) {
        if location.as_ref().contains("/_delta_log/") && location.extension() == Some("json") {
            self.entries_read.lock().expect("no panic").insert(location.clone());
        }
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !options.head {
            self.count(location);
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.count(location);
        self.inner.get_ranges(location, ranges).await
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
