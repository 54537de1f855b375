//! Finds the rows that have the attributes or the id a query asks for, before anything is decoded.
//!
//! An attribute that one row in 10,000 has is in every run that the filters of [`super::attribute_runs`]
//! stand for, so all maps would be decoded to text for it: 22 strings a span. A bloom filter says that a row
//! group has an id, and then all its ids would be decoded for the ten rows of a trace. Keys, values and ids lie
//! in columns of their own, mostly as indices into a dictionary. Searching these for an index takes a fraction
//! of a nanosecond an entry (see `hybrid`), and of keys only those beside wanted values are looked at.
//! DataFusion's own late materialisation does not help: it cannot evaluate a look-up in a map while decoding,
//! and decodes ids one and all.
//!
//! Attributes that many rows have are not worth a search: a query with a LIMIT finds enough of them at once.
//! So the search ends for all files as soon as one shows that they are frequent.
//!
//! The rows found are exactly those that the engine's own filter would leave, so what they were found by need not
//! be read. A file with pages of another kind, or a damaged one, is left as it was, and the scan filters its rows
//! or says what is wrong.

mod attributes;
mod ids;
pub mod constants;
mod chunk;
mod page;
mod levels;
mod hybrid;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
mod wanted;

use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{ColumnStatistics, ScalarValue};
use datafusion::datasource::listing::FileRange;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::reader::ChunkReader;
use datafusion::physical_expr::PhysicalExpr;
use object_store::{ObjectMeta, ObjectStore};

use super::only_store::{FOOTER_READ_BYTES, OnlyStore};

use chunk::{Chunk, unusable};
pub use ids::{Ids, wanted_ids};
use wanted::{Attribute, Wanted};

/// Attributes are frequent when more than one row in so many has them: decoding all maps costs 10 to 30 times
/// the search.
const FREQUENT_ROWS_RATIO: usize = 64;

/// Fewer rows than this say nothing about other files, and are read in a millisecond.
const FREQUENT_ROWS_MIN: usize = 1_024;

/// What the files of one scan are searched for, and with what.
#[derive(Debug)]
pub struct PageSearch {
    sought: Sought,
    /// What rows must have beside, in the column that files are sorted by: it is read in no time, and tells which few of a file's
    /// rows are to be searched.
    beside: Option<Sought>,
    /// Of the files, as the scan sees them.
    schema: SchemaRef,
    store: Arc<dyn ObjectStore>,
    footers: Arc<FileMetadataCache>,
    is_frequent: AtomicBool,
}

#[derive(Debug)]
enum Sought {
    Attributes(Wanted),
    Ids(Ids),
}

/// Which rows of a file to read.
#[derive(Debug)]
pub enum Choice {
    /// Those that were asked for: the search is of no use.
    AsAsked,
    Rows {
        rows: RowSelection,
        /// Whether they pass all filters on attributes, so that nobody need look again.
        is_filtered: bool,
        /// Columns, by their places in the schema of files, that have one value in all of these rows.
        constants: Vec<(usize, ColumnStatistics)>,
    },
    Nothing,
}

impl PageSearch {
    /// A search for rows with an attribute of each of `conjuncts`, none when there are none: among those that have one of the
    /// values `beside`.
    ///
    /// # Errors
    /// When the session has no store.
    pub fn for_attributes(
        conjuncts: &[Vec<Attribute>],
        beside: Option<Ids>,
        schema: SchemaRef,
        session: &dyn Session,
    ) -> Result<Option<Arc<Self>>> {
        if conjuncts.is_empty() {
            return Ok(None);
        }
        let beside = beside.map(Sought::Ids);
        PageSearch::new(Sought::Attributes(Wanted::new(conjuncts)), beside, schema, session).map(Some)
    }

    /// A search for rows with one of `ids`.
    ///
    /// # Errors
    /// When the session has no store.
    pub fn for_ids(ids: Ids, schema: SchemaRef, session: &dyn Session) -> Result<Arc<Self>> {
        PageSearch::new(Sought::Ids(ids), None, schema, session)
    }

    /// Whether all rows that are found pass `filter`, because it asks for what they were found by.
    pub fn proves(&self, filter: &Arc<dyn PhysicalExpr>) -> bool {
        matches!(&self.sought, Sought::Ids(ids) if ids.prove(filter.as_ref()))
    }

    fn new(
        sought: Sought,
        beside: Option<Sought>,
        schema: SchemaRef,
        session: &dyn Session,
    ) -> Result<Arc<Self>> {
        let runtime = session.runtime_env();
        Ok(Arc::new(PageSearch {
            sought,
            beside,
            schema,
            store: runtime.object_store(OnlyStore::url())?,
            footers: runtime.cache_manager.get_file_metadata_cache(),
            is_frequent: AtomicBool::new(false),
        }))
    }

    /// Searches the rows `asked` of a file, all when none; and of them those whose row group begins in
    /// `part` of the file, when one is given, because others look after the rest.
    pub async fn choose(
        self: &Arc<Self>,
        file: &ObjectMeta,
        asked: Option<&RowSelection>,
        part: Option<&FileRange>,
    ) -> Choice {
        if self.is_frequent.load(Ordering::Relaxed) {
            return Choice::AsAsked;
        }
        match self.rows(file, asked, part).await {
            Ok(Found::Rows { rows: Some(rows), footer }) => {
                let is_filtered = matches!(&self.sought, Sought::Attributes(wanted) if wanted.is_whole);
                Choice::Rows { rows, is_filtered, constants: self.constants(&footer) }
            }
            Ok(Found::Rows { rows: None, .. }) => Choice::Nothing,
            Ok(Found::TooMany) => {
                self.is_frequent.store(true, Ordering::Relaxed);
                Choice::AsAsked
            }
            // The scan meets the same trouble if it is the file's, and then the query fails with it.
            Err(error) => {
                tracing::debug!(path = %file.location, %error, "search pages");
                Choice::AsAsked
            }
        }
    }

    /// The rows of a file to read. Holds the chunks of one row group at a time, and searches them on a thread
    /// that may block.
    async fn rows(
        self: &Arc<Self>,
        file: &ObjectMeta,
        asked: Option<&RowSelection>,
        part: Option<&FileRange>,
    ) -> Result<Found> {
        let footer = DFParquetMetadata::new(self.store.as_ref(), file)
            .with_metadata_size_hint(Some(FOOTER_READ_BYTES))
            .with_file_metadata_cache(Some(Arc::clone(&self.footers)))
            .fetch_metadata()
            .await?;
        let row_counts = footer.row_groups().iter().map(|group| usize::try_from(group.num_rows()));
        let row_counts: Vec<usize> =
            row_counts.collect::<Result<_, _>>().map_err(|_| unusable("row count"))?;
        let row_count = row_counts.iter().try_fold(0_usize, |sum, count| sum.checked_add(*count));
        let row_count = row_count.ok_or_else(|| unusable("row count"))?;
        let asked = ranges(asked, row_count);
        let asked_count: usize = asked.iter().map(Range::len).sum();
        let found_max = self.found_max(asked_count);
        let mut found: Vec<usize> = Vec::new();
        let mut first_row = 0;
        for (group, row_count) in row_counts.into_iter().enumerate() {
            let mut own = within(&asked, first_row..first_row + row_count);
            if let Sought::Ids(ids) = &self.sought {
                own = ids.within_bounds(&footer, group, own, row_count);
            }
            if !own.is_empty()
                && begins_in(footer.row_group(group), part)
                && self.may_hold(file, &footer, group).await?
            {
                own = self.narrowed(file, &footer, group, own, row_count).await;
            } else {
                own.clear();
            }
            if !own.is_empty() {
                let group = RowGroup::new(&footer, group, &self.sought, own, row_count)?;
                let still = found_max - found.len();
                let Some(rows) = self.search(file, group, |search| &search.sought, still).await? else {
                    return Ok(Found::TooMany);
                };
                found.extend(rows.into_iter().map(|row| first_row + row));
            }
            first_row += row_count;
        }
        Ok(Found::Rows { rows: selection(&found, row_count), footer })
    }

    /// The rows of a row group that have what is sought, read and searched.
    async fn search(
        self: &Arc<Self>,
        file: &ObjectMeta,
        group: RowGroup,
        sought: fn(&PageSearch) -> &Sought,
        found_max: usize,
    ) -> Result<Option<Vec<usize>>> {
        let chunks: Vec<Range<u64>> = group.chunks.iter().map(|chunk| chunk.bytes.clone()).collect();
        let chunks = self.store.get_ranges(&file.location, &chunks).await;
        let chunks = chunks.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?;
        let search = Arc::clone(self);
        let rows = move || group.rows(chunks, found_max, sought(&search), &search.is_frequent);
        let rows = tokio::task::spawn_blocking(rows).await;
        rows.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    /// Those of the rows asked for of a row group that have what is wanted beside; all of them where that cannot be told.
    async fn narrowed(
        self: &Arc<Self>,
        file: &ObjectMeta,
        footer: &ParquetMetaData,
        group: usize,
        asked: Vec<Range<usize>>,
        row_count: usize,
    ) -> Vec<Range<usize>> {
        let Some(beside @ Sought::Ids(ids)) = &self.beside else { return asked };
        let within = ids.within_bounds(footer, group, asked.clone(), row_count);
        if within.is_empty() {
            return within;
        }
        let Ok(group) = RowGroup::new(footer, group, beside, within, row_count) else { return asked };
        let rows =
            self.search(file, group, |search| search.beside.as_ref().unwrap_or(&search.sought), usize::MAX);
        match rows.await {
            Ok(Some(rows)) => together(&rows),
            Ok(None) | Err(_) => asked,
        }
    }

    /// Worth its time where few rows of all columns are read.
    fn constants(&self, footer: &ParquetMetaData) -> Vec<(usize, ColumnStatistics)> {
        let Sought::Ids(ids) = &self.sought else { return Vec::new() };
        let mut constants = constants::constants(footer, &self.schema);
        if let ([id], Ok(column)) = (&ids.ids[..], self.schema.index_of(ids.column())) {
            let id = ScalarValue::Utf8View(Some(id.clone()));
            constants.push((column, constants::always(id)));
        }
        constants
    }

    /// Rows found beyond which it is not worth going on.
    fn found_max(&self, asked_count: usize) -> usize {
        match self.sought {
            Sought::Attributes(_) => (asked_count / FREQUENT_ROWS_RATIO).max(FREQUENT_ROWS_MIN),
            // The other way to find an id decodes them all, however many are found.
            Sought::Ids(_) => usize::MAX,
        }
    }

    /// Whether a row group may have such rows, before its pages are read.
    async fn may_hold(&self, file: &ObjectMeta, footer: &ParquetMetaData, group: usize) -> Result<bool> {
        match &self.sought {
            Sought::Attributes(_) => Ok(true),
            Sought::Ids(ids) => ids.may_be_in(self.store.as_ref(), file, footer, group).await,
        }
    }
}

enum Found {
    Rows {
        /// None when there is no row.
        rows: Option<RowSelection>,
        footer: Arc<ParquetMetaData>,
    },
    TooMany,
}

/// What of a row group is searched.
struct RowGroup {
    /// Of keys and values, or of ids.
    chunks: Vec<Chunk>,
    /// Rows of the group, in ascending ranges.
    asked: Vec<Range<usize>>,
    row_count: usize,
}

impl RowGroup {
    fn new(
        footer: &ParquetMetaData,
        group: usize,
        sought: &Sought,
        asked: Vec<Range<usize>>,
        row_count: usize,
    ) -> Result<Self> {
        let schema = footer.file_metadata().schema_descr();
        let leaves = match sought {
            Sought::Attributes(_) => attributes::leaves(schema).map(Vec::from),
            Sought::Ids(ids) => ids.leaf(schema).map(|leaf| vec![leaf]),
        };
        let leaves = leaves.ok_or_else(|| unusable("column"))?;
        let chunks = leaves.into_iter().map(|leaf| Chunk::new(footer, group, leaf));
        Ok(RowGroup { chunks: chunks.collect::<Result<_>>()?, asked, row_count })
    }

    /// The rows of the group, given the bytes of its chunks; none if there are more than `found_max`, or when
    /// others gave up.
    fn rows<R: ChunkReader + 'static>(
        self,
        bytes: Vec<R>,
        found_max: usize,
        sought: &Sought,
        is_over: &AtomicBool,
    ) -> Result<Option<Vec<usize>>> {
        let RowGroup { chunks, asked, row_count } = self;
        let mut chunks = chunks.into_iter().zip(bytes);
        let mut column = |texts| {
            let (chunk, bytes) = chunks.next().ok_or_else(|| unusable("chunk"))?;
            chunk.column(bytes, texts, row_count)
        };
        match sought {
            Sought::Attributes(wanted) => {
                let (keys, values) = (column(&wanted.keys)?, column(&wanted.values)?);
                let search = attributes::Search { wanted, asked: &asked, row_count, found_max, is_over };
                Ok(search.rows(values, keys)?)
            }
            Sought::Ids(ids) => Ok(Some(ids::rows(column(&ids.texts)?, &asked, row_count)?)),
        }
    }
}

/// Whether the scan counts a row group to `part` of its file, by where its first column begins.
fn begins_in(group: &RowGroupMetaData, part: Option<&FileRange>) -> bool {
    let Some(first) = group.columns().first() else { return true };
    let start = first.dictionary_page_offset().unwrap_or(first.data_page_offset());
    part.is_none_or(|part| (part.start..part.end).contains(&start))
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

/// A selection of `rows`, which ascend.
fn selection(rows: &[usize], row_count: usize) -> Option<RowSelection> {
    let ranges = together(rows);
    (!ranges.is_empty()).then(|| RowSelection::from_consecutive_ranges(ranges.into_iter(), row_count))
}

/// Ranges of `rows`, which ascend.
fn together(rows: &[usize]) -> Vec<Range<usize>> {
    rows.chunk_by(|row, next| next - row == 1).map(|rows| rows[0]..rows[rows.len() - 1] + 1).collect()
}
