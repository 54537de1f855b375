//! One table: what its log says, what lies in its directory, and where the two differ.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt as _;
use meshlake_schema::Table;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};

use crate::data_dir::table_path;
use crate::delta::{DeltaCatalog, TableLog};
use crate::files::window::Place;
use crate::snapshot::DataFile;

/// One table at one moment.
#[derive(Debug, Clone)]
pub struct TableInspection {
    pub table: Table,
    /// Of the Delta log; none when there is no such table yet, or its log cannot be read.
    pub version: Option<u64>,
    /// Every `app_id` of the log, sorted.
    pub watermarks: Vec<Watermark>,
    /// All files that the log names.
    pub files: FileSum,
    /// Those of them with rows of several windows.
    pub mixed: FileSum,
    /// Bounds of `time`, microseconds since the epoch, both inclusive.
    pub time_micros: Option<(i64, i64)>,
    /// In time order; mixed files stand first within their date.
    pub windows: Vec<WindowInspection>,
    /// Files that left the table and wait for a vacuum. Their rows are not known here.
    pub removed: FileSum,
    /// Files that no commit names: of a flush that is going on, or left by a crash. A vacuum takes them too.
    pub orphaned: FileSum,
    /// Bytes of the Delta log itself.
    pub log_bytes: u64,
    /// Paths of files that the log names and that are not there.
    pub missing: Vec<String>,
    /// Path, bytes by the log, bytes on disk of files where the two differ.
    pub of_other_size: Vec<(String, u64, u64)>,
    /// Why the log cannot be read or trusted.
    pub problem: Option<String>,
}

/// The last LSN of a writer whose rows are in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// `<collector id>/<shard>`, for a derived table `/<source table>`; any text if another program wrote it.
    pub app_id: String,
    pub lsn: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileSum {
    pub files: u64,
    pub bytes: u64,
    /// 0 where only the directory is known.
    pub rows: u64,
}

/// The files of one window, or of one date when they are mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowInspection {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// `HHMM` of the start, or `mixed`.
    pub window: String,
    pub sum: FileSum,
}

impl FileSum {
    fn add(&mut self, bytes: u64, rows: u64) {
        self.files += 1;
        self.bytes += bytes;
        self.rows += rows;
    }
}

/// Looks at `table`.
///
/// # Errors
/// Its directory cannot be listed.
pub(super) async fn inspect(
    store: &Arc<dyn ObjectStore>,
    catalog: &DeltaCatalog,
    table: Table,
) -> object_store::Result<TableInspection> {
    let objects: Vec<ObjectMeta> = store.list(Some(&table_path(table))).try_collect().await?;
    let (log, problem) = match catalog.inspect(table).await {
        Ok(Some(log)) => (log, None),
        // Files without a log are as bad as a log without files.
        Ok(None) if objects.is_empty() => return Ok(empty(table)),
        Ok(None) => (TableLog::default(), Some(format!("table {}: there is no log", table.name()))),
        Err(error) => (TableLog::default(), Some(error.to_string())),
    };
    let version = problem.is_none().then_some(log.version);
    let mut inspection = TableInspection { version, problem: problem.or(log.damage), ..empty(table) };
    inspection.watermarks =
        log.watermarks.into_iter().map(|(app_id, lsn)| Watermark { app_id, lsn }).collect();
    add_up(&mut inspection, &log.files);
    if version.is_some() {
        compare(store, &mut inspection, &objects, &log.files, &log.removed).await?;
    }
    inspection.log_bytes = objects.iter().filter(|object| !is_data(&object.location)).map(|o| o.size).sum();
    Ok(inspection)
}

fn empty(table: Table) -> TableInspection {
    TableInspection {
        table,
        version: None,
        watermarks: Vec::new(),
        files: FileSum::default(),
        mixed: FileSum::default(),
        time_micros: None,
        windows: Vec::new(),
        removed: FileSum::default(),
        orphaned: FileSum::default(),
        log_bytes: 0,
        missing: Vec::new(),
        of_other_size: Vec::new(),
        problem: None,
    }
}

fn add_up(inspection: &mut TableInspection, files: &[DataFile]) {
    let mut windows: BTreeMap<Place, FileSum> = BTreeMap::new();
    for file in files {
        let place = Place::of_times(file.time_min_micros, file.time_max_micros);
        windows.entry(place).or_default().add(file.size_bytes, file.rows);
        inspection.files.add(file.size_bytes, file.rows);
        if place.is_mixed() {
            inspection.mixed.add(file.size_bytes, file.rows);
        }
        let (min, max) = inspection.time_micros.unwrap_or((i64::MAX, i64::MIN));
        inspection.time_micros = Some((min.min(file.time_min_micros), max.max(file.time_max_micros)));
    }
    let window = |(place, sum): (Place, FileSum)| WindowInspection {
        date: place.date_text().unwrap_or_default(),
        window: place.window_text(),
        sum,
    };
    inspection.windows = windows.into_iter().map(window).collect();
}

/// Holds the directory, as it was listed before the log was read, against the log.
async fn compare(
    store: &Arc<dyn ObjectStore>,
    inspection: &mut TableInspection,
    objects: &[ObjectMeta],
    files: &[DataFile],
    removed: &HashMap<Path, i64>,
) -> object_store::Result<()> {
    let in_use: HashSet<&Path> = files.iter().map(|file| &file.path).collect();
    let unused = |object: &&ObjectMeta| is_data(&object.location) && !in_use.contains(&object.location);
    for object in objects.iter().filter(unused) {
        match removed.contains_key(&object.location) {
            true => inspection.removed.add(object.size, 0),
            false => inspection.orphaned.add(object.size, 0),
        }
    }
    let sizes: HashMap<&Path, u64> = objects.iter().map(|object| (&object.location, object.size)).collect();
    for file in files {
        let size = match sizes.get(&file.path) {
            Some(size) => Some(*size),
            None => match store.head(&file.path).await {
                Ok(object) => Some(object.size),
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            },
        };
        match size {
            None => inspection.missing.push(file.path.to_string()),
            Some(size) if size != file.size_bytes => {
                inspection.of_other_size.push((file.path.to_string(), file.size_bytes, size));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn is_data(path: &Path) -> bool {
    path.as_ref().ends_with(".parquet") && !path.as_ref().contains("/_delta_log/")
}
