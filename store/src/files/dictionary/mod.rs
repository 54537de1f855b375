//! Writes a column of repeated text from the keys of its dictionary, without looking at the text again.
//!
//! The `parquet` crate takes such a column too, but numbers its values anew: it hashes and compares the text of
//! every row. Of the 25 such columns of spans one, `resource`, has some 600 bytes a row. Here each distinct value
//! is looked at once a row group, and the dictionary comes out sorted, so that a page's smallest and largest
//! values are those of its numbers.
//!
//! ```text
//!   chunk  dictionary page, data pages
//!   page   header (Thrift), zstd of the body
//!   body   of the dictionary: each value's length (4 bytes, little-endian) and bytes
//!          of data: [byte count (4), a level a row, hybrid], width (1), a number a value, hybrid
//! ```
//! Levels are there when the column may be null. Source: Parquet format, "Data Pages", "Dictionary Encoding"
//! and "Run Length Encoding / Bit-Packing Hybrid"; parquet.thrift for headers.
//!
//! Limits: flat columns whose values fit into the dictionary that the file's properties allow; others are for the
//! `parquet` crate.

use std::ops::Range;

use arrow::array::{Array as _, StringArray};
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, EncodingMask, PageType, Type, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use super::checksums::push_page;
use super::hybrid;
use super::pages::{INDEX_TEXT_BYTES_MAX, PAGE_ROWS_MAX, ZSTD_LEVEL};

/// A key without a value.
pub(super) const NULL: u32 = u32::MAX;

/// Appends the column chunk of `leaf` whose rows have `values` at `keys`; false, and nothing is written, when
/// it has no values, or its dictionary takes more than `bytes_max`.
///
/// # Errors
/// What zstd or the row group refuse.
pub(super) fn append(
    leaf: &ColumnDescPtr,
    values: &StringArray,
    keys: &[u32],
    bytes_max: usize,
    row_group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
) -> Result<bool> {
    let Some(dictionary) = Dictionary::of(values, keys, bytes_max) else { return Ok(false) };
    let mut chunk = Chunk::new(leaf, &dictionary)?;
    for keys in keys.chunks(PAGE_ROWS_MAX) {
        chunk.push_data(keys)?;
    }
    let (bytes, close) = chunk.close()?;
    row_group.append_column(&bytes, close)?;
    Ok(true)
}

/// The values that are used, in order, and each key's number among them.
struct Dictionary<'a> {
    texts: Vec<&'a str>,
    numbers: Vec<u32>,
}

impl<'a> Dictionary<'a> {
    fn of(values: &'a StringArray, keys: &[u32], bytes_max: usize) -> Option<Self> {
        let mut numbers = vec![NULL; values.len()];
        let mut used = Vec::new();
        let mut bytes = 0;
        for key in keys.iter().filter(|key| **key != NULL) {
            let number = &mut numbers[*key as usize];
            if *number == NULL {
                *number = 0;
                used.push(*key);
                bytes += size_of::<u32>() + values.value(*key as usize).len();
                if bytes > bytes_max {
                    return None;
                }
            }
        }
        used.sort_unstable_by_key(|key| values.value(*key as usize));
        for (number, key) in (0..).zip(&used) {
            numbers[*key as usize] = number;
        }
        let texts: Vec<&str> = used.into_iter().map(|key| values.value(key as usize)).collect();
        (!texts.is_empty()).then_some(Dictionary { texts, numbers })
    }

    fn page(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for text in &self.texts {
            body.extend_from_slice(&(text.len() as u32).to_le_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        body
    }

    /// Bits of the largest number.
    fn width(&self) -> u32 {
        usize::BITS - (self.texts.len() - 1).leading_zeros()
    }
}

/// A column chunk under way.
struct Chunk<'a> {
    leaf: &'a ColumnDescPtr,
    dictionary: &'a Dictionary<'a>,
    compressor: zstd::bulk::Compressor<'static>,
    bytes: Vec<u8>,
    dictionary_bytes: usize,
    uncompressed_bytes: usize,
    rows: usize,
    nulls: usize,
    data_pages: i32,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
    order: PageOrder,
    /// Kept to be used again.
    numbers: Vec<u32>,
    levels: Vec<u32>,
    body: Vec<u8>,
}

impl<'a> Chunk<'a> {
    /// Begins with the dictionary.
    fn new(leaf: &'a ColumnDescPtr, dictionary: &'a Dictionary<'a>) -> Result<Self> {
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        let mut chunk = Chunk {
            leaf,
            dictionary,
            compressor,
            bytes: Vec::new(),
            dictionary_bytes: 0,
            uncompressed_bytes: 0,
            rows: 0,
            nulls: 0,
            data_pages: 0,
            column_index: ColumnIndexBuilder::new(Type::BYTE_ARRAY),
            offset_index: OffsetIndexBuilder::new(),
            order: PageOrder::default(),
            numbers: Vec::new(),
            levels: Vec::new(),
            body: Vec::new(),
        };
        chunk.body = dictionary.page();
        chunk.push_page(PageType::DICTIONARY_PAGE, dictionary.texts.len())?;
        chunk.dictionary_bytes = chunk.bytes.len();
        Ok(chunk)
    }

    fn push_data(&mut self, keys: &[u32]) -> Result<()> {
        self.numbers.clear();
        let numbers = &self.dictionary.numbers;
        self.numbers.extend(keys.iter().filter(|key| **key != NULL).map(|key| numbers[*key as usize]));
        let nulls = keys.len() - self.numbers.len();
        self.body.clear();
        if self.leaf.max_def_level() > 0 {
            self.levels.clear();
            self.levels.extend(keys.iter().map(|key| u32::from(*key != NULL)));
            self.body.extend_from_slice(&[0; 4]);
            hybrid::encode(&self.levels, 1, &mut self.body);
            let bytes = (self.body.len() - 4) as u32;
            self.body[..4].copy_from_slice(&bytes.to_le_bytes());
        } else if nulls > 0 {
            return Err(ParquetError::General(format!("{nulls} nulls in {}", self.leaf.path())));
        }
        let width = self.dictionary.width();
        self.body.push(width as u8);
        hybrid::encode(&self.numbers, width, &mut self.body);
        let offset = self.bytes.len();
        self.push_page(PageType::DATA_PAGE, keys.len())?;
        self.offset_index.append_row_count(keys.len() as i64);
        let page_bytes = i32::try_from(self.bytes.len() - offset)?;
        self.offset_index.append_offset_and_size(offset as i64, page_bytes);
        let range = range(&self.numbers);
        let (min, max) = range.clone().map(|range| self.bounds(range)).unwrap_or_default();
        self.column_index.append(range.is_none(), min.bytes, max.bytes, nulls as i64);
        self.order.push(range);
        self.rows += keys.len();
        self.nulls += nulls;
        self.data_pages += 1;
        Ok(())
    }

    /// Appends the page whose body is in `body`.
    fn push_page(&mut self, kind: PageType, values: usize) -> Result<()> {
        let packed = self.compressor.compress(&self.body)?;
        let header_bytes = push_page(kind, self.body.len(), values, &packed, &mut self.bytes)?;
        self.uncompressed_bytes += header_bytes + self.body.len();
        Ok(())
    }

    /// The texts of the first and the last number.
    fn bounds(&self, numbers: Range<u32>) -> (Bound, Bound) {
        let text = |number: u32| self.dictionary.texts[number as usize];
        (Bound::below(text(numbers.start)), Bound::above(text(numbers.end - 1)))
    }

    fn close(mut self) -> Result<(Bytes, ColumnCloseResult)> {
        let (min, max) = self.bounds(0..self.dictionary.texts.len() as u32);
        let statistics = ValueStatistics::new(
            Some(ByteArray::from(min.bytes)),
            Some(ByteArray::from(max.bytes)),
            None,
            Some(self.nulls as u64),
            false,
        );
        let statistics = statistics.with_min_is_exact(min.is_exact).with_max_is_exact(max.is_exact);
        let pages = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let encodings = [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY];
        let metadata = ColumnChunkMetaData::builder(self.leaf.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(vec![
                pages(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
                pages(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, self.data_pages),
            ])
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(self.dictionary_bytes as i64)
            .set_total_compressed_size(self.bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_statistics(Statistics::ByteArray(statistics))
            .build()?;
        self.column_index.set_boundary_order(self.order.order());
        let close = ColumnCloseResult {
            bytes_written: self.bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: Some(self.column_index.build()?),
            offset_index: Some(self.offset_index.build()),
        };
        Ok((self.bytes.into(), close))
    }
}

/// The numbers from the smallest to the largest; none without numbers.
fn range(numbers: &[u32]) -> Option<Range<u32>> {
    let min = numbers.iter().min()?;
    let max = numbers.iter().max()?;
    Some(*min..max + 1)
}

/// A text that no value is beyond, at most [`INDEX_TEXT_BYTES_MAX`] bytes long where that can be.
#[derive(Default)]
struct Bound {
    bytes: Vec<u8>,
    is_exact: bool,
}

impl Bound {
    fn below(text: &str) -> Self {
        let cut = &text[..text.floor_char_boundary(INDEX_TEXT_BYTES_MAX)];
        Bound { bytes: cut.into(), is_exact: cut.len() == text.len() }
    }

    /// The last character that has a next one of the same length gets it, and those behind it go. Text of
    /// only the very last characters stays whole.
    fn above(text: &str) -> Self {
        let cut = &text[..text.floor_char_boundary(INDEX_TEXT_BYTES_MAX)];
        if cut.len() == text.len() {
            return Bound { bytes: text.into(), is_exact: true };
        }
        let next = |character: char| {
            let next = char::from_u32(character as u32 + 1)?;
            (next.len_utf8() == character.len_utf8()).then_some(next)
        };
        let raised = cut.char_indices().rev().find_map(|(i, character)| Some((i, next(character)?)));
        match raised {
            Some((i, next)) => Bound { bytes: format!("{}{next}", &cut[..i]).into(), is_exact: false },
            None => Bound { bytes: text.into(), is_exact: true },
        }
    }
}

/// Whether the pages' bounds rise or fall, so that a reader may search them. Source: parquet.thrift,
/// `ColumnIndex.boundary_order`; pages without values do not count.
struct PageOrder {
    last: Option<Range<u32>>,
    rises: bool,
    falls: bool,
}

impl Default for PageOrder {
    fn default() -> Self {
        PageOrder { last: None, rises: true, falls: true }
    }
}

impl PageOrder {
    fn push(&mut self, page: Option<Range<u32>>) {
        let Some(page) = page else { return };
        if let Some(last) = &self.last {
            self.rises &= last.start <= page.start && last.end <= page.end;
            self.falls &= last.start >= page.start && last.end >= page.end;
        }
        self.last = Some(page);
    }

    fn order(&self) -> BoundaryOrder {
        match (self.rises, self.falls) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        }
    }
}

#[cfg(test)]
mod tests;
