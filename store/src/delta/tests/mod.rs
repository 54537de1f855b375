//! The Delta catalog: what is committed is read back, once, whatever else happens to the log.

mod bit_flips;
mod many_commits;

use meshlake_schema::{SystemClock, UnixNanos};
use object_store::ObjectStoreExt as _;

use super::*;
use crate::catalog::NewFile;
use crate::disk::StdDisk;
use crate::durable_fs::DurableFs;
use crate::minutes::{MinuteLsns, minute_of};
use crate::test_rows::MIDNIGHT;

const COLLECTOR: u128 = 0xc0;

fn store(dir: &tempfile::TempDir) -> Arc<dyn ObjectStore> {
    Arc::new(DurableFs::open(dir.path(), Arc::new(StdDisk)).expect("the directory exists"))
}

fn catalog(store: &Arc<dyn ObjectStore>) -> DeltaCatalog {
    DeltaCatalog::new(Arc::clone(store), COLLECTOR, Arc::new(SystemClock))
}

/// A file of `rows` rows named `name`, from midnight to `rows` microseconds later.
fn new_file(name: &str, rows: u64) -> NewFile {
    let time_max_micros = MIDNIGHT + rows.cast_signed();
    let iso = format!("2026-11-23T00:00:00.{rows:06}Z");
    NewFile {
        file: DataFile {
            path: Path::from(format!("tables/spans/date=2026-11-23/{name}.parquet")),
            size_bytes: 1_000,
            rows,
            date_days: UnixNanos(MIDNIGHT * 1_000).days(),
            time_min_micros: MIDNIGHT,
            time_max_micros,
            // Odd ones are, so that both kinds go through every test.
            is_derived_from: rows % 2 == 1,
            came_days: (rows % 3 == 1).then_some(UnixNanos(MIDNIGHT * 1_000).days() + 9),
            minutes: MinuteLsns::whole(minute_of(MIDNIGHT)..=minute_of(time_max_micros), rows),
        },
        stats: format!(
            r#"{{"numRecords":{rows},"minValues":{{"time":"2026-11-23T00:00:00Z"}},"maxValues":{{"time":"{iso}"}},"nullCount":{{}}}}"#
        ),
        is_mixed: false,
    }
}

fn flushed(after: Lsn, through: Lsn, name: &str) -> Flushed {
    Flushed { after, through, files: vec![new_file(name, through)] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_is_loaded_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let catalog_1 = catalog(&store);
    assert_eq!(catalog_1.load(Table::Spans).await, Ok(Committed::default()));
    catalog_1.commit(Table::Spans, &flushed(0, 7, "a")).await.expect("commit");
    let committed = catalog_1.commit(Table::Spans, &flushed(7, 9, "b")).await.expect("commit");
    let files = vec![new_file("a", 7).file, new_file("b", 9).file];
    assert_eq!(committed, Committed { files: Arc::new(files), watermark: 9, kept_from_days: 0 });
    assert_eq!(catalog(&store).load(Table::Spans).await, Ok(committed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_committed_already_are_not_added_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    catalog(&store).commit(Table::Spans, &flushed(0, 7, "a")).await.expect("commit");
    // Another start of the same collector that has not heard of it.
    let late = catalog(&store).commit(Table::Spans, &flushed(0, 9, "again")).await.expect("an answer");
    assert_eq!((late.watermark, late.files.len()), (7, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_somebody_else_moves_ours_one_version_up() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let ours = catalog(&store);
    ours.load(Table::Spans).await.expect("load");
    let theirs = DeltaCatalog::new(Arc::clone(&store), 0xd0, Arc::new(SystemClock));
    theirs.commit(Table::Spans, &flushed(0, 5, "theirs")).await.expect("commit");
    let committed = ours.commit(Table::Spans, &flushed(0, 3, "ours")).await.expect("commit");
    assert_eq!((committed.watermark, committed.files.len()), (3, 2));
    assert_eq!(theirs.load(Table::Spans).await.expect("load").watermark, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_cannot_be_written_did_not_happen() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let catalog = catalog(&store);
    catalog.load(Table::Spans).await.expect("load");
    // A directory in the way of the entry: the link fails, and it is not a log entry either.
    let entry = dir.path().join("tables/spans/_delta_log/00000000000000000001.json");
    std::fs::create_dir(&entry).expect("create");
    let error = catalog.commit(Table::Spans, &flushed(0, 3, "a")).await.expect_err("in the way");
    assert!(matches!(error, CatalogError::NotCommitted { .. }), "{error}");
    std::fs::remove_dir(&entry).expect("remove");
    assert_eq!(catalog.commit(Table::Spans, &flushed(0, 3, "a")).await.expect("commit").watermark, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_shortened_and_says_the_same() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let catalog_1 = catalog(&store);
    let mut committed = Committed::default();
    for lsn in 1..=TIDY_COMMITS {
        let next = flushed(lsn - 1, lsn, &format!("{lsn:03}"));
        committed = catalog_1.commit(Table::Spans, &next).await.expect("commit");
        catalog_1.tidy(Table::Spans).await.expect("tidy");
    }
    let hint =
        store.get(&Path::from("tables/spans/_delta_log/_last_checkpoint")).await.expect("a checkpoint");
    let hint: serde_json::Value =
        serde_json::from_slice(&hint.bytes().await.expect("readable")).expect("JSON");
    assert_eq!(hint["version"], TIDY_COMMITS);
    let mut loaded = catalog(&store).load(Table::Spans).await.expect("load");
    assert_eq!(loaded.watermark, committed.watermark);
    let files = Arc::make_mut(&mut loaded.files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(*files, *committed.files);
}

/// A row at .123456 is within the bounds of its file, whoever wrote the statistics.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_maximum_that_is_cut_to_milliseconds_is_taken_for_the_end_of_its_millisecond() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let cases = [
        (".123456Z", (123_456, 123_456)),
        (".123Z", (123_000, 123_999)),
        (".5+00:00", (500_000, 500_999)),
        ("Z", (0, 999)),
    ];
    for (after, (text, want)) in (0..).zip(cases) {
        let mut flushed = flushed(after, after + 1, &format!("{after}"));
        flushed.files[0].stats = format!(
            r#"{{"numRecords":1,"minValues":{{"time":"2026-11-23T00:00:00{text}"}},"maxValues":{{"time":"2026-11-23T00:00:00{text}"}}}}"#
        );
        catalog(&store).commit(Table::Spans, &flushed).await.expect("commit");
        let loaded = catalog(&store).load(Table::Spans).await.expect("load");
        let file = loaded.files.iter().find(|file| file.path == flushed.files[0].file.path);
        let file = file.expect("the file is committed");
        let bounds = (file.time_min_micros - MIDNIGHT, file.time_max_micros - MIDNIGHT);
        assert_eq!(bounds, want, "{text}");
    }
}

/// Makes the table by hand with these columns and this protocol.
async fn make_table(store: &Arc<dyn ObjectStore>, columns: Vec<StructField>, writer_version: i32) {
    let schema = StructType::try_new(columns).expect("unique names");
    let entries = [
        serde_json::json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": writer_version}}),
        serde_json::json!({"metaData": {
            "id": "made-by-hand", "format": {"provider": "parquet", "options": {}},
            "schemaString": serde_json::to_string(&schema).expect("JSON"),
            "partitionColumns": ["date"], "configuration": {}, "createdTime": 0
        }}),
    ];
    let entry = entries.map(|entry| entry.to_string()).join("\n");
    let path = Path::from("tables/spans/_delta_log/00000000000000000000.json");
    store.put(&path, entry.into()).await.expect("put");
}

fn columns() -> Vec<StructField> {
    let schema: StructType = Table::Spans.open_schema().as_ref().try_into_kernel().expect("open types");
    schema.fields().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_an_older_table_lacks_are_added_as_nullable() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let older = columns().into_iter().filter(|field| field.name() != "trace_id").collect();
    make_table(&store, older, 2).await;
    let catalog = catalog(&store);
    catalog.load(Table::Spans).await.expect("load");
    catalog.commit(Table::Spans, &flushed(0, 1, "a")).await.expect("commit");

    let mut delta = DeltaTable::new(catalog.log_store(Table::Spans));
    delta.load().await.expect("load");
    let state = delta.snapshot().expect("loaded");
    let schema = state.schema();
    assert!(schema.field("trace_id").expect("added").is_nullable());
    assert_eq!(schema.fields().count(), columns().len());
    assert_eq!((state.protocol().min_reader_version(), state.protocol().min_writer_version()), (1, 2));
}

async fn check_unusable(columns: Vec<StructField>, writer_version: i32, want: &str) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    make_table(&store, columns, writer_version).await;
    let error = catalog(&store).load(Table::Spans).await.expect_err("unusable");
    assert!(matches!(error, CatalogError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains(want), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_this_version_cannot_write_are_refused() {
    check_unusable(columns(), 4, "needs Delta reader version 1 and writer version 4").await;
    let other_type = columns().into_iter().map(|field| match field.name().as_str() {
        "trace_id" => StructField::nullable("trace_id", deltalake_core::kernel::DataType::LONG),
        _ => field,
    });
    check_unusable(other_type.collect(), 2, "column trace_id is long in the log and string").await;
}
