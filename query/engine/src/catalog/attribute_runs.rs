//! Finds which rows of a file may have the attributes that a query asks for, from the filters in the file.
//!
//! `attributes['key'] = 'value'` prunes nothing by statistics, so without this every file is decoded for it.
//! The filters (see `schema/src/attribute_filter.rs`) answer per run of rows: a file with no such run is left
//! out, of the others only the runs are read. Equality with a literal and lists of such, joined by OR, are
//! understood; of several that are joined by AND a run must pass all.
//!
//! Limits: promoted keys were rewritten before they come here and are left alone, as their value may be in
//! a column. A file without a filter, from before there were any or of another writer, is read whole, and so
//! is one whose filter cannot be read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use futures::{StreamExt, stream};
use meshlake_schema::attribute_filter::{
    AttributeFilter, FOOTER_KEY, RUN_ROWS, entry_hash, parse_footer_value,
};
use meshlake_store::snapshot::DataFile;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::attribute_access::ATTRIBUTES_COLUMN;
use super::files::{FileScan, object_meta};
use super::only_store::{FOOTER_READ_BYTES, OnlyStore};

/// Filters kept between queries: at some 2 bytes a span, those of 30 million spans.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// What a cached file costs beside its filter: its path, and its places in the map and the queue.
const CACHED_FILE_BYTES: usize = 256;

/// The largest filter that is read at all; ours have 1 to 5 bytes a row, so this is a file of 3 million rows at
/// the worst. Bounds what the footer of another writer can ask for.
const FILTER_BYTES_MAX: u64 = 16 << 20;

/// Files whose filters are read at once. Guess, not measured.
const READS_MAX: usize = 16;

/// A file's filter and its rows; none when it has no filter that can be used.
type FileFilter = Option<Arc<(AttributeFilter, usize)>>;

/// Filters of files by path, which is safe because a file's name is never used twice. The oldest go first.
#[derive(Debug, Default)]
pub struct AttributeFilterCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    filters: HashMap<Path, FileFilter>,
    oldest_first: VecDeque<Path>,
    size_bytes: usize,
}

impl AttributeFilterCache {
    fn find(&self, path: &Path) -> Option<FileFilter> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.filters.get(path).cloned()
    }

    fn keep(&self, path: &Path, filter: FileFilter) {
        let size_bytes = |filter: &FileFilter| {
            CACHED_FILE_BYTES + filter.as_ref().map_or(0, |filter| filter.0.size_bytes())
        };
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = &mut *cached;
        cached.size_bytes += size_bytes(&filter);
        match cached.filters.insert(path.clone(), filter) {
            Some(same) => cached.size_bytes -= size_bytes(&same),
            None => cached.oldest_first.push_back(path.clone()),
        }
        while cached.size_bytes > CACHE_BYTES_MAX
            && let Some(oldest) = cached.oldest_first.pop_front()
        {
            cached.size_bytes -= cached.filters.remove(&oldest).as_ref().map_or(0, size_bytes);
        }
    }
}

/// Of `files` those that may hold rows with the attributes of `filters`, and which rows of them to read.
pub async fn choose_runs(
    files: Vec<DataFile>,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Vec<FileScan>> {
    let hashes = |entries: Vec<Entry>| entries.iter().map(|(key, value)| entry_hash(key, value)).collect();
    let wanted: Arc<Vec<Vec<u64>>> = Arc::new(wanted_entries(filters).map(hashes).collect());
    let cache = session.config().get_extension::<AttributeFilterCache>();
    let (false, Some(cache)) = (wanted.is_empty(), cache) else {
        return Ok(files.into_iter().map(FileScan::whole).collect());
    };
    let store = session.runtime_env().object_store(OnlyStore::url())?;
    let footers = session.runtime_env().cache_manager.get_file_metadata_cache();
    let mut chosen = Vec::new();
    for file in files {
        chosen.push(choose(file, wanted.clone(), cache.clone(), store.clone(), footers.clone()));
    }
    let chosen: Vec<Option<FileScan>> = stream::iter(chosen).buffered(READS_MAX).collect().await;
    Ok(chosen.into_iter().flatten().collect())
}

async fn choose(
    file: DataFile,
    wanted: Arc<Vec<Vec<u64>>>,
    cache: Arc<AttributeFilterCache>,
    store: Arc<dyn ObjectStore>,
    footers: Arc<FileMetadataCache>,
) -> Option<FileScan> {
    let filter = match cache.find(&file.path) {
        Some(filter) => filter,
        None => match read_filter(&file, store.as_ref(), footers).await {
            Ok(filter) => {
                cache.keep(&file.path, filter.clone());
                filter
            }
            // The scan meets the same trouble if it is the file's, and then the query fails with it.
            Err(error) => {
                tracing::debug!(path = %file.path, %error, "read attribute filter");
                None
            }
        },
    };
    let Some(filter) = filter else { return Some(FileScan::whole(file)) };
    let (filter, rows) = &*filter;
    let is_wanted =
        |run: &usize| wanted.iter().all(|entries| entries.iter().any(|entry| filter.may_hold(*run, *entry)));
    let runs: Vec<usize> = (0..filter.run_count()).filter(is_wanted).collect();
    if runs.is_empty() {
        return None;
    }
    let ranges = runs.iter().map(|run| run * RUN_ROWS..(*rows).min((run + 1) * RUN_ROWS));
    let rows = RowSelection::from_consecutive_ranges(ranges, *rows);
    Some(FileScan { rows: Some(rows), ..FileScan::whole(file) })
}

/// The filter in `file`; none when there is no whole one.
async fn read_filter(
    file: &DataFile,
    store: &dyn ObjectStore,
    footers: Arc<FileMetadataCache>,
) -> Result<FileFilter> {
    let meta = object_meta(file);
    let footer = DFParquetMetadata::new(store, &meta)
        .with_metadata_size_hint(Some(FOOTER_READ_BYTES))
        .with_file_metadata_cache(Some(footers))
        .fetch_metadata()
        .await?;
    let pairs = footer.file_metadata().key_value_metadata();
    let place = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == FOOTER_KEY));
    let place = place.and_then(|pair| parse_footer_value(pair.value.as_deref()?));
    let Some((offset, length)) = place.filter(|(_, length)| *length <= FILTER_BYTES_MAX) else {
        return Ok(None);
    };
    let Some(end) = offset.checked_add(length).filter(|end| *end <= file.size_bytes) else {
        return Ok(None);
    };
    let bytes = store.get_range(&file.path, offset..end).await;
    let bytes = bytes.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?;
    let rows = usize::try_from(footer.file_metadata().num_rows()).unwrap_or_default();
    let filter = AttributeFilter::parse(&bytes);
    let filter = filter.filter(|filter| filter.run_count() == rows.div_ceil(RUN_ROWS));
    Ok(filter.map(|filter| Arc::new((filter, rows))))
}

/// For each conjunct of `filters` that asks for attributes: the keys and values of which a row must have one.
pub fn wanted_attributes(filters: &[Expr]) -> Vec<Vec<(String, String)>> {
    let owned = |(key, value): &Entry| ((*key).to_owned(), (*value).to_owned());
    wanted_entries(filters).map(|entries| entries.iter().map(owned).collect()).collect()
}

/// Whether `filter` asks for attributes in a way that is understood, and for nothing else.
pub fn is_understood(filter: &Expr) -> bool {
    alternatives(filter).is_some()
}

/// A key and a value that a row may have.
type Entry<'a> = (&'a str, &'a str);

/// For each conjunct of `filters` that asks for attributes: the entries of which a row must have one.
fn wanted_entries(filters: &[Expr]) -> impl Iterator<Item = Vec<Entry<'_>>> {
    filters.iter().flat_map(split_conjunction).filter_map(alternatives)
}

fn alternatives(filter: &Expr) -> Option<Vec<Entry<'_>>> {
    match filter {
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
            let mut entries = alternatives(&binary.left)?;
            entries.extend(alternatives(&binary.right)?);
            Some(entries)
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
            let entry = entry(&binary.left, &binary.right).or_else(|| entry(&binary.right, &binary.left));
            entry.map(|entry| vec![entry])
        }
        Expr::InList(list) if !list.negated => {
            list.list.iter().map(|value| entry(&list.expr, value)).collect()
        }
        _ => None,
    }
}

/// The entry that a row with `access` = `value` has.
fn entry<'a>(access: &'a Expr, value: &'a Expr) -> Option<Entry<'a>> {
    let Expr::ScalarFunction(access) = access else { return None };
    let ("get_field", [Expr::Column(map), key]) = (access.name(), access.args.as_slice()) else {
        return None;
    };
    (map.name == ATTRIBUTES_COLUMN).then_some(())?;
    Some((literal_text(key)?, literal_text(value)?))
}

fn literal_text(expr: &Expr) -> Option<&str> {
    let Expr::Literal(value, _) = expr else { return None };
    value.try_as_str().flatten()
}
