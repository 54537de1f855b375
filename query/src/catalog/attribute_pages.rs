//! Finds the rows that have the attributes a query asks for, before any attribute is decoded.
//!
//! An attribute that one row in 10,000 has is in every run that the filters of [`super::attribute_runs`]
//! stand for, so all maps would be decoded to text for it: 22 strings a span. Keys and values lie in columns
//! of their own, mostly as indices into a dictionary, in 1 to 15 bytes a row. Searching the values' for an
//! index takes a fraction of a nanosecond an entry (see `hybrid`), and only keys beside such values are
//! looked at. DataFusion's own late materialisation does not help: it cannot evaluate a look-up in a map
//! while decoding.
//!
//! Attributes that many rows have are not worth a search: a query with a LIMIT finds enough of them at once.
//! So the search ends for all files as soon as one shows that they are frequent.
//!
//! The engine filters the rows found again. So a search may find too many, but must not miss one: a file with
//! pages of another kind, or a damaged one, is left as the filters left it, and the scan says what is wrong.
//!
//! Limits: a query with a LIMIT for rare attributes waits until all files are searched.

mod chunk;
mod hybrid;
mod levels;
mod page;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
mod wanted;

use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::parquet::basic::Type;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use datafusion::parquet::file::reader::ChunkReader;
use datafusion::parquet::file::serialized_reader::SerializedPageReader;
use datafusion::parquet::schema::types::SchemaDescriptor;
use futures::{StreamExt, stream};
use object_store::ObjectStore;

use super::attribute_access::ATTRIBUTES_COLUMN;
use super::files::{FOOTER_READ_BYTES, FileScan, object_meta};
use super::only_store::OnlyStore;

use chunk::Search;
use page::{Column, LevelsMax};
use wanted::{Attribute, Texts, Wanted};

/// The largest column chunk that is searched, compressed: 32 bytes a row of a full row group, twice what ours
/// take at most. A worker holds two at a time. Beyond it hardly a value comes twice, and then reading values
/// is most of the work anyway.
const CHUNK_BYTES_MAX: u64 = 32 << 20;

/// Attributes are frequent when more than one row in so many has them: decoding all maps costs 10 to 30 times
/// the search.
const FREQUENT_ROWS_RATIO: usize = 64;

/// Fewer rows than this say nothing about other files, and are read in a millisecond.
const FREQUENT_ROWS_MIN: usize = 1_024;

/// Rows between two selected ones that are read with them, because a skip costs about as much. Guess, not
/// measured.
const GAP_ROWS_MAX: usize = 16;

/// Of `scans` those that may have rows with an attribute of each of `conjuncts`, and which rows of them to
/// read.
pub async fn choose_rows(
    scans: Vec<FileScan>,
    conjuncts: &[Vec<Attribute>],
    session: &dyn Session,
) -> Result<Vec<FileScan>> {
    if scans.is_empty() || conjuncts.is_empty() {
        return Ok(scans);
    }
    let search = Arc::new(TableSearch {
        wanted: Wanted::new(conjuncts),
        store: session.runtime_env().object_store(OnlyStore::url())?,
        footers: session.runtime_env().cache_manager.get_file_metadata_cache(),
        is_frequent: AtomicBool::new(false),
    });
    let mut chosen = Vec::new();
    for scan in scans {
        chosen.push(choose(scan, search.clone()));
    }
    let workers = session.config().target_partitions().max(1);
    let chosen: Vec<Option<FileScan>> = stream::iter(chosen).buffered(workers).collect().await;
    Ok(chosen.into_iter().flatten().collect())
}

async fn choose(scan: FileScan, search: Arc<TableSearch>) -> Option<FileScan> {
    if search.is_frequent.load(Ordering::Relaxed) {
        return Some(scan);
    }
    match search.rows(&scan).await {
        Ok(Found::Rows(rows)) => rows.map(|rows| FileScan { file: scan.file, rows: Some(rows) }),
        Ok(Found::TooMany) => {
            search.is_frequent.store(true, Ordering::Relaxed);
            Some(scan)
        }
        // The scan meets the same trouble if it is the file's, and then the query fails with it.
        Err(error) => {
            tracing::debug!(path = %scan.file.path, %error, "search attributes");
            Some(scan)
        }
    }
}

/// What the files of one scan are searched for, and with what.
struct TableSearch {
    wanted: Wanted,
    store: Arc<dyn ObjectStore>,
    footers: Arc<FileMetadataCache>,
    is_frequent: AtomicBool,
}

enum Found {
    /// None when there is no row.
    Rows(Option<RowSelection>),
    TooMany,
}

impl TableSearch {
    /// The rows of a file to read. Holds the chunks of one row group at a time, and searches them on a thread
    /// that may block.
    async fn rows(self: &Arc<Self>, scan: &FileScan) -> Result<Found> {
        let meta = object_meta(&scan.file);
        let footer = DFParquetMetadata::new(self.store.as_ref(), &meta)
            .with_metadata_size_hint(Some(FOOTER_READ_BYTES))
            .with_file_metadata_cache(Some(Arc::clone(&self.footers)))
            .fetch_metadata()
            .await?;
        let row_counts = footer.row_groups().iter().map(|group| usize::try_from(group.num_rows()));
        let row_counts: Vec<usize> =
            row_counts.collect::<Result<_, _>>().map_err(|_| unusable("row count"))?;
        let row_count = row_counts.iter().try_fold(0_usize, |sum, count| sum.checked_add(*count));
        let row_count = row_count.ok_or_else(|| unusable("row count"))?;
        let asked = ranges(scan.rows.as_ref(), row_count);
        let asked_count: usize = asked.iter().map(Range::len).sum();
        let found_max = (asked_count / FREQUENT_ROWS_RATIO).max(FREQUENT_ROWS_MIN);
        let mut found: Vec<usize> = Vec::new();
        let mut first_row = 0;
        for (group, row_count) in row_counts.into_iter().enumerate() {
            let own = within(&asked, first_row..first_row + row_count);
            if !own.is_empty() {
                let group = RowGroup::new(&footer, group, own, row_count)?;
                let chunks = [group.keys.bytes.clone(), group.values.bytes.clone()];
                let chunks = self.store.get_ranges(&scan.file.path, &chunks).await;
                let chunks = chunks.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?;
                let [keys, values] = <[_; 2]>::try_from(chunks).map_err(|_| unusable("chunk"))?;
                let (search, still) = (Arc::clone(self), found_max - found.len());
                let rows = move || group.rows(keys, values, still, &search.wanted, &search.is_frequent);
                let rows = tokio::task::spawn_blocking(rows).await;
                let Some(rows) = rows.map_err(|error| DataFusionError::External(Box::new(error)))?? else {
                    return Ok(Found::TooMany);
                };
                found.extend(rows.into_iter().map(|row| first_row + row));
            }
            first_row += row_count;
        }
        Ok(Found::Rows(selection(&found, row_count)))
    }
}

/// What of a row group is searched.
struct RowGroup {
    keys: Chunk,
    values: Chunk,
    /// Rows of the group, in ascending ranges.
    asked: Vec<Range<usize>>,
    row_count: usize,
}

impl RowGroup {
    fn new(
        footer: &ParquetMetaData,
        group: usize,
        asked: Vec<Range<usize>>,
        row_count: usize,
    ) -> Result<Self> {
        let leaves = attribute_leaves(footer.file_metadata().schema_descr());
        let [keys, values] = leaves.ok_or_else(|| unusable("column"))?;
        let (keys, values) = (Chunk::new(footer, group, keys)?, Chunk::new(footer, group, values)?);
        Ok(RowGroup { keys, values, asked, row_count })
    }

    /// The rows of the group, given the bytes of its chunks; none if there are more than `found_max`, or when
    /// others gave up.
    fn rows(
        self,
        keys: impl ChunkReader + 'static,
        values: impl ChunkReader + 'static,
        found_max: usize,
        wanted: &Wanted,
        is_over: &AtomicBool,
    ) -> Result<Option<Vec<usize>>> {
        let keys = self.keys.column(keys, &wanted.keys, self.row_count)?;
        let values = self.values.column(values, &wanted.values, self.row_count)?;
        let (asked, row_count) = (&self.asked, self.row_count);
        Ok(Search { wanted, asked, row_count, found_max, is_over }.rows(values, keys)?)
    }
}

/// A column chunk, as a reader of its bytes alone sees it.
struct Chunk {
    /// Where it lies in the file.
    bytes: Range<u64>,
    /// Offsets are from the start of the chunk.
    column: ColumnChunkMetaData,
    /// None when the file does not say where pages are.
    pages: Option<Vec<PageLocation>>,
}

impl Chunk {
    fn new(footer: &ParquetMetaData, group: usize, leaf: usize) -> Result<Self> {
        let row_group = footer.row_group(group);
        let column = row_group.columns().get(leaf).ok_or_else(|| unusable("column"))?.clone();
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let length = column.compressed_size();
        let bytes = u64::try_from(start).ok().zip(u64::try_from(length).ok());
        let bytes = bytes.filter(|(_, length)| *length <= CHUNK_BYTES_MAX);
        let bytes = bytes.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let bytes = bytes.ok_or_else(|| unusable("chunk"))?;
        let pages = footer.offset_index().and_then(|index| index.get(group)?.get(leaf));
        let pages = pages.map(OffsetIndexMetaData::page_locations).filter(|pages| !pages.is_empty());
        let pages = pages.map(|pages| from_chunk_start(pages, start, length, row_group.num_rows()));
        let pages = pages.transpose()?;
        let column = { column.clone().into_builder() }
            .set_dictionary_page_offset(column.dictionary_page_offset().map(|offset| offset - start))
            .set_data_page_offset(column.data_page_offset().saturating_sub(start))
            .build()?;
        Ok(Chunk { bytes, column, pages })
    }

    /// The chunk of a group of `row_count` rows, of which these are the `bytes`, to be searched for `texts`.
    fn column<R: ChunkReader>(
        self,
        bytes: R,
        texts: &Texts,
        row_count: usize,
    ) -> Result<Column<'_, SerializedPageReader<R>>> {
        if bytes.len() != self.bytes.end - self.bytes.start {
            return Err(unusable("chunk"));
        }
        let leaf = self.column.column_descr();
        let levels_max = LevelsMax { definition: leaf.max_def_level(), repetition: leaf.max_rep_level() };
        let row_counts = self.pages.as_deref().map_or_else(Vec::new, |pages| row_counts(pages, row_count));
        let pages = SerializedPageReader::new(Arc::new(bytes), &self.column, row_count, self.pages)?;
        Ok(Column::new(texts, pages, levels_max, row_counts)?)
    }
}

/// `pages` with offsets that count from `start`. The reader takes them at their word, so they are checked
/// here: within the chunk, and in the order of rows from the first on.
fn from_chunk_start(
    pages: &[PageLocation],
    start: i64,
    length: i64,
    row_count: i64,
) -> Result<Vec<PageLocation>> {
    let mut moved = pages.to_vec();
    let mut row = 0;
    for page in &mut moved {
        page.offset = page.offset.checked_sub(start).ok_or_else(|| unusable("page index"))?;
        let is_inside = page.compressed_page_size >= 0
            && (0..=length).contains(&page.offset)
            && i64::from(page.compressed_page_size) <= length - page.offset;
        if !is_inside || !(row..=row_count).contains(&page.first_row_index) {
            return Err(unusable("page index"));
        }
        row = page.first_row_index;
    }
    let begins_at_0 = pages.first().is_none_or(|page| page.first_row_index == 0);
    if begins_at_0 { Ok(moved) } else { Err(unusable("page index")) }
}

/// Rows of each page as the reader brings them: what lies before the first data page is a dictionary.
fn row_counts(pages: &[PageLocation], row_count: usize) -> Vec<Option<usize>> {
    let starts = pages.iter().map(|page| page.first_row_index as usize);
    let ends = starts.clone().skip(1).chain([row_count]);
    let dictionary = pages.first().filter(|page| page.offset != 0).map(|_| None);
    dictionary.into_iter().chain(starts.zip(ends).map(|(start, end)| Some(end - start))).collect()
}

/// The columns of keys and values, the two that a map has.
fn attribute_leaves(schema: &SchemaDescriptor) -> Option<[usize; 2]> {
    let is_attribute = |leaf: &usize| schema.column(*leaf).path().parts()[0] == ATTRIBUTES_COLUMN;
    let leaves: Vec<usize> = (0..schema.num_columns()).filter(is_attribute).collect();
    let leaves = <[usize; 2]>::try_from(leaves).ok()?;
    let is_text = |leaf: usize| schema.column(leaf).physical_type() == Type::BYTE_ARRAY;
    leaves.into_iter().all(is_text).then_some(leaves)
}

/// The rows of `selection`, or all.
fn ranges(selection: Option<&RowSelection>, row_count: usize) -> Vec<Range<usize>> {
    let Some(selection) = selection else { return iter::once(0..row_count).collect() };
    let mut ranges = Vec::new();
    let mut end = 0;
    for selector in selection.iter() {
        let start = end;
        end += selector.row_count;
        if !selector.skip {
            ranges.push(start..end);
        }
    }
    ranges
}

/// What of `asked` is in `rows`, counted from its start.
fn within(asked: &[Range<usize>], rows: Range<usize>) -> Vec<Range<usize>> {
    let cut = asked.iter().map(|asked| asked.start.max(rows.start)..asked.end.min(rows.end));
    cut.filter(|cut| !cut.is_empty()).map(|cut| cut.start - rows.start..cut.end - rows.start).collect()
}

/// A selection of `rows`, which ascend, and of the rows in small gaps between them.
fn selection(rows: &[usize], row_count: usize) -> Option<RowSelection> {
    let near = rows.chunk_by(|row, next| next - row <= GAP_ROWS_MAX + 1);
    let ranges: Vec<Range<usize>> = near.map(|near| near[0]..near[near.len() - 1] + 1).collect();
    (!ranges.is_empty()).then(|| RowSelection::from_consecutive_ranges(ranges.into_iter(), row_count))
}

fn unusable(what: &str) -> DataFusionError {
    DataFusionError::External(format!("a {what} of another shape than is searched").into())
}
