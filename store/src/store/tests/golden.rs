//! A data directory as format version 1 wrote it is opened by the code of today, with every row and value.
//!
//! The directory lies in `tests/data/format-1/data`, written once by the code that released the format.
//! What must be in it is arithmetic: [`value`] makes a column from its name and the number of the row, so
//! columns and tables that were added since do not change what the old ones hold. A column that the
//! directory lacks must read as null, a table that it lacks must be made.

use std::ops::Range;
use std::path::PathBuf;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray,
    MapArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Int32Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake_core::protocol::checkpoints;
use meshlake_schema::UnixNanos;

use super::*;

/// Rows of each table, by number: in files of the first and the second commit, and in the log alone.
const FIRST_COMMIT: Range<usize> = 0..2;
const SECOND_COMMIT: Range<usize> = 2..4;
const ONLY_IN_LOG: Range<usize> = 4..6;

/// The clock of a day on which no row is too old to be kept.
struct NoonOfThatDay;

impl Clock for NoonOfThatDay {
    fn now(&self) -> UnixNanos {
        UnixNanos((MIDNIGHT + 12 * 3_600_000_000) * 1_000)
    }
}

pub(super) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/format-1/data")
}

async fn open_at_noon(dir: &Path) -> Store {
    // Room for the header and a record of one table; larger ones get a segment of their own size.
    let small = StoreConfig { segment_bytes: 32 << 10, ..config(dir) };
    Store::open(small, Arc::new(NoonOfThatDay)).await.expect("the store opens")
}

/// The column `field` of the rows numbered `numbers`.
///
/// A number is the sum of the bytes of the column's name times 1,000, plus the row; a text is the name and
/// the row. Where null is allowed, every third row is. Row `n` of a list has `(name sum + n) % 3` elements,
/// numbered `10 * n` and on.
fn value(field: &Field, numbers: &[usize]) -> ArrayRef {
    let sum: usize = field.name().bytes().map(usize::from).sum();
    let is_valid = |n: &usize| !(field.is_nullable() && (sum + n).is_multiple_of(3));
    let ints = || numbers.iter().map(|n| is_valid(n).then_some((sum * 1_000 + n) as i64));
    let text = |n: &usize| is_valid(n).then(|| format!("{} {n}", field.name()));
    let texts: Vec<Option<String>> = numbers.iter().map(text).collect();
    let nulls = || NullBuffer::from(numbers.iter().map(is_valid).collect::<Vec<_>>());
    let count = |n: &usize| (sum + n) % 3;
    let offsets = || OffsetBuffer::from_lengths(numbers.iter().map(count));
    let elements = || numbers.iter().flat_map(|n| (0..count(n)).map(move |i| 10 * n + i)).collect::<Vec<_>>();
    match field.data_type() {
        DataType::Timestamp(..) => {
            let times = numbers.iter().map(|n| MIDNIGHT + *n as i64);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        DataType::Utf8 => Arc::new(StringArray::from(texts)),
        DataType::Dictionary(..) => {
            Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
        }
        DataType::Int32 => Arc::new(ints().map(|n| n.map(|n| n as i32)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(ints().collect::<Int64Array>()),
        DataType::Float64 => Arc::new(ints().map(|n| n.map(|n| n as f64 / 2.0)).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(ints().map(|n| n.map(|n| n % 2 == 0)).collect::<BooleanArray>()),
        DataType::Struct(fields) => {
            let children = fields.iter().map(|field| value(field, numbers)).collect();
            Arc::new(StructArray::new(fields.clone(), children, None))
        }
        DataType::List(element) => {
            let values = value(element, &elements());
            Arc::new(ListArray::new(element.clone(), offsets(), values, Some(nulls())))
        }
        DataType::Map(entry, is_sorted) => {
            let entries = StructArray::from(value(entry, &elements()).to_data());
            Arc::new(MapArray::new(entry.clone(), offsets(), entries, Some(nulls()), *is_sorted))
        }
        other => panic!("no value of type {other}"),
    }
}

/// A record with these rows of every table that is received, and one export that brought them.
async fn append_to_all(store: &Store, numbers: Range<usize>) -> Lsn {
    let export = ExportEntry {
        hash: numbers.start as u128,
        rows: Table::received().map(|table| (table, numbers.len() as u32)).collect(),
    };
    let numbers: Vec<usize> = numbers.collect();
    let batches = Table::received().map(|table| {
        let columns = table.schema().fields().iter().map(|field| value(field, &numbers)).collect();
        let rows = RecordBatch::try_new(table.schema().clone(), columns).expect("columns fit the schema");
        TableBatch::try_new(table, rows).expect("the table's own schema")
    });
    let group = Group { batches: batches.collect(), exports: vec![export] };
    let (done, result) = tokio::sync::oneshot::channel();
    let writer = store.writer();
    spawn_blocking(move || writer.append(group, Box::new(|r| drop(done.send(r)))))
        .await
        .expect("no panic")
        .expect("open");
    result.await.expect("every group is answered").expect("durable")
}

/// Each row as `column: value` lines, null as `NULL`, ordered by time.
fn lines(batches: &[RecordBatch], columns: &[String]) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let formatter = |name: &String| {
            let column = batch.column_by_name(name).map(|column| {
                ArrayFormatter::try_new(column.as_ref(), &options).expect("every type of ours is printed")
            });
            (name.clone(), column)
        };
        let formatters: Vec<_> = columns.iter().map(formatter).collect();
        for (row, time) in values_in(batch, "time").into_iter().enumerate() {
            // A column that a file lacks is null there; the query side reads it so.
            let line = |(name, column): &(String, Option<ArrayFormatter>)| {
                let text = column.as_ref().map_or("NULL".to_owned(), |column| column.value(row).to_string());
                format!("{name}: {text}")
            };
            rows.push((time, formatters.iter().map(line).collect()));
        }
    }
    rows.sort();
    rows.into_iter().map(|(_, lines)| lines).collect()
}

async fn file_rows(snapshot: &Snapshot, table: Table) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for file in snapshot.table(table).files.iter() {
        let object = snapshot.object_store().get(&file.path).await.expect("the file exists");
        let bytes = object.bytes().await.expect("the file is readable");
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet").build().expect("reader");
        batches.extend(reader.map(|batch| batch.expect("readable")));
    }
    batches
}

/// Columns that the directory at `dir` had when the table was made; none when it had no such table.
fn columns_at_first(dir: &Path, table: Table) -> Vec<String> {
    let path = dir.join("tables").join(table.name()).join("_delta_log/00000000000000000000.json");
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    let entries = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let mut schema =
        entries.filter_map(|entry| entry["metaData"]["schemaString"].as_str().map(str::to_owned));
    let schema: serde_json::Value =
        serde_json::from_str(&schema.next_back().expect("the first entry has a schema")).expect("JSON");
    let fields = schema["fields"].as_array().expect("fields");
    fields.iter().map(|field| field["name"].as_str().expect("a name").to_owned()).collect()
}

/// Checks that `table` has the rows `in_files` in files and `in_memory` in the buffer, and no others. Rows
/// of `old` have only the columns `old_columns`, all others have today's.
async fn check(
    store: &Store,
    table: Table,
    old_columns: &[String],
    (in_files, in_memory): (Range<usize>, Range<usize>),
) {
    let columns: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    let want = |numbers: Range<usize>| -> Vec<Vec<String>> {
        let old_rows = FIRST_COMMIT.start..ONLY_IN_LOG.end;
        let row = |number: usize| {
            let has = |name: &String| !old_rows.contains(&number) || old_columns.contains(name);
            let fields = table.schema().fields().iter().filter(|field| has(field.name()));
            let named: Vec<_> = fields.map(|field| (field.name().clone(), value(field, &[number]))).collect();
            lines(&[RecordBatch::try_from_iter(named).expect("one row")], &columns).remove(0)
        };
        numbers.map(row).collect()
    };
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let files = file_rows(&snapshot, table).await;
    let hot: Vec<RecordBatch> =
        snapshot.table(table).hot.iter().map(|hot| hot.batch.rows().clone()).collect();
    assert_eq!(lines(&files, &columns), want(in_files), "{} in files", table.name());
    assert_eq!(lines(&hot, &columns), want(in_memory), "{} in the log", table.name());
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("the directory is readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copy")),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_format_1_keeps_every_row_and_value() {
    let dir = tempfile::tempdir().expect("temporary directory");
    copy_dir(&golden(), dir.path());
    let old_columns: Vec<_> = Table::received().map(|table| columns_at_first(dir.path(), table)).collect();
    let all = || Table::received().zip(&old_columns);
    assert!(all().any(|(_, columns)| !columns.is_empty()), "the directory has tables");

    let mut store = open_at_noon(dir.path()).await;
    let id = fs::read_to_string(golden().join("collector_id")).expect("read");
    assert_eq!(format!("{:032x}\n", store.collector_id()), id);
    for (table, columns) in all().filter(|(_, columns)| !columns.is_empty()) {
        let rows = (FIRST_COMMIT.start..SECOND_COMMIT.end, ONLY_IN_LOG);
        check(&store, table, columns, rows).await;
    }
    assert_eq!(
        derived_from(&store).await,
        (0, 2 * METRIC_TABLES.len()),
        "nothing was derived from the old files"
    );
    let recovered = store.recovered().clone();
    assert_eq!((recovered.torn, recovered.damage), (None, Vec::new()));
    let last = store.stats().wal.wal.last_durable_lsn;
    let export = store.take_recovered_exports().pop().expect("an export of the log");
    let rows = 2 * all().filter(|(_, columns)| !columns.is_empty()).count();
    assert_eq!((export.hash, export.rows), (ONLY_IN_LOG.start as u128, rows as u32));

    // The old log and the old tables go on: new rows, then all of them in files, and still so after a start.
    assert!(append_to_all(&store, 6..8).await > last);
    store.flush_all().await.expect("flush");
    store.close().await;
    let store = open_at_noon(dir.path()).await;
    for (table, columns) in all() {
        let first = if columns.is_empty() { ONLY_IN_LOG.end } else { FIRST_COMMIT.start };
        check(&store, table, columns, (first..8, 8..8)).await;
    }
    assert_eq!(derived_from(&store).await.0, METRIC_TABLES.len(), "from the new ones it was");
    for table in Table::ALL {
        assert!(dir.path().join("tables").join(table.name()).is_dir(), "{} was made", table.name());
    }
    store.close().await;
}

const METRIC_TABLES: [Table; 4] =
    [Table::MetricPoints, Table::MetricHistograms, Table::MetricExpHistograms, Table::MetricSummaries];

/// Files of metrics that say that series were derived from them, and that do not.
async fn derived_from(store: &Store) -> (usize, usize) {
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let files = METRIC_TABLES.iter().flat_map(|table| snapshot.files(*table).iter());
    let (derived, others): (Vec<_>, Vec<_>) = files.partition(|file| file.is_derived_from);
    (derived.len(), others.len())
}

/// How the directory came to be. To be run once per format version, by its release, into a new directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes the golden data directory, which must not change once its format is released"]
async fn write_the_golden_directory() {
    let dir = golden();
    assert!(!dir.exists(), "{} is there already", dir.display());
    let store = open_at_noon(&dir).await;
    for rows in [FIRST_COMMIT, SECOND_COMMIT] {
        append_to_all(&store, rows).await;
        store.flush_all().await.expect("flush");
    }
    store.close().await;
    let path = dir.join("tables/spans").canonicalize().expect("the table is there");
    let url = url::Url::from_directory_path(path).expect("an absolute path");
    let spans = DeltaTableBuilder::from_url(url).expect("a URL").load().await.expect("a Delta table");
    checkpoints::create_checkpoint(&spans, None).await.expect("checkpoint");
    // A restart, so that the log's header has a void range.
    let store = open_at_noon(&dir).await;
    append_to_all(&store, ONLY_IN_LOG).await;
    store.close().await;
}
