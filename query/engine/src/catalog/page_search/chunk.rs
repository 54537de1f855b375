//! A column chunk of a file, and where its pages lie in it.
//!
//! What a footer says of a chunk counts from the start of the file, and readers take it at its word. Here it is
//! checked and made to count from the start of the chunk, so that its bytes alone can be read.

use std::ops::Range;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use datafusion::parquet::file::reader::ChunkReader;
use datafusion::parquet::file::serialized_reader::SerializedPageReader;

use super::page::{Column, LevelsMax};
use super::wanted::Texts;

/// The largest column chunk that is searched, compressed: 32 bytes a row of a full row group, twice what ours
/// take at most. A worker holds two at a time. Beyond it hardly a value comes twice, and then reading values
/// is most of the work anyway.
pub const CHUNK_BYTES_MAX: u64 = 32 << 20;

/// A column chunk, as a reader of its bytes alone sees it.
pub struct Chunk {
    /// Where it lies in the file.
    pub bytes: Range<u64>,
    /// Offsets are from the start of the chunk.
    pub column: ColumnChunkMetaData,
    /// None when the file does not say where pages are.
    pub pages: Option<Vec<PageLocation>>,
}

impl Chunk {
    pub fn new(footer: &ParquetMetaData, group: usize, leaf: usize) -> Result<Self> {
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
    pub fn column<R: ChunkReader>(
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
pub fn from_chunk_start(
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
pub fn row_counts(pages: &[PageLocation], row_count: usize) -> Vec<Option<usize>> {
    let starts = pages.iter().map(|page| page.first_row_index as usize);
    let ends = starts.clone().skip(1).chain([row_count]);
    let dictionary = pages.first().filter(|page| page.offset != 0).map(|_| None);
    dictionary.into_iter().chain(starts.zip(ends).map(|(start, end)| Some(end - start))).collect()
}

/// The error of what is not searched.
pub fn unusable(what: &str) -> DataFusionError {
    DataFusionError::External(format!("a {what} of another shape than is searched").into())
}
