//! Puts a CRC-32 into the header of every Parquet page, which the `parquet` crate checks but cannot write.
//!
//! A flipped bit in a page would otherwise be another value, or an error that names no cause: zstd frames
//! come without a checksum. The format has a place for one (`PageHeader.crc`, parquet.thrift), over the
//! page's bytes as they lie in the file, and any reader may check it. Here the pages of a column chunk are
//! kept until the chunk is done, each header gets its field, and the chunk's offsets are counted anew.
//!
//! Limits: headers themselves, page indexes and bloom filters have no checksum.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::basic::{Encoding, PageType};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::SerializedRowGroupWriter;

use super::hybrid::push_varint;

/// Thrift's compact protocol: a field whose number is one more than the last, of type i32.
const NEXT_FIELD_I32: u8 = 0x15;

/// The same of type true, as `DictionaryPageHeader.is_sorted`, and structs after field 4: `data_page_header` is
/// field 5, `dictionary_page_header` field 7.
const NEXT_FIELD_TRUE: u8 = 0x11;
const FIELD_5_STRUCT: u8 = 0x1c;
const FIELD_7_STRUCT: u8 = 0x3c;

/// The end of a struct.
const STOP: u8 = 0;

/// `PageType.DICTIONARY_PAGE` is 2, which zigzag makes 4.
const DICTIONARY_PAGE: u8 = 4;

/// The pages of one row group, by leaf column: header, data, header, data, ...
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    columns: Arc<Mutex<Vec<Vec<Bytes>>>>,
}

impl Pages {
    /// Appends the chunk of a leaf column whose pages are here.
    ///
    /// # Errors
    /// When a page header is not as drawn in the format, which a new version of `parquet` could bring about.
    pub fn append(
        &self,
        column: usize,
        mut chunk: ArrowColumnChunk,
        row_group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<()> {
        let pages = std::mem::take(&mut self.lock()[column]);
        // Taken, not copied: it is by far the largest part.
        let bloom_filter = chunk.close_mut().bloom_filter.take();
        let mut close = chunk.close().clone();
        close.bloom_filter = bloom_filter;
        let mut written = Chunk::default();
        let is_dictionary = |page: &&[Bytes]| page[0].get(1) == Some(&DICTIONARY_PAGE);
        // The dictionary is handed over last and lies first.
        for page in pages.chunks_exact(2).filter(is_dictionary) {
            written.push(page)?;
        }
        let dictionary_bytes = written.bytes.len();
        let mut locations = close.offset_index.iter_mut().flat_map(|index| &mut index.page_locations);
        for page in pages.chunks_exact(2).filter(|page| !is_dictionary(page)) {
            let offset = written.bytes.len();
            written.push(page)?;
            if let Some(location) = locations.next() {
                location.offset = offset as i64;
                location.compressed_page_size = i32::try_from(written.bytes.len() - offset)?;
            }
        }
        let uncompressed_bytes = close.metadata.uncompressed_size() + written.growth as i64;
        close.metadata = { close.metadata.into_builder() }
            .set_dictionary_page_offset((dictionary_bytes > 0).then_some(0))
            .set_data_page_offset(dictionary_bytes as i64)
            .set_total_compressed_size(written.bytes.len() as i64)
            .set_total_uncompressed_size(uncompressed_bytes)
            .build()?;
        close.bytes_written += written.growth as u64;
        row_group.append_column(&Bytes::from(written.bytes), close)
    }

    /// Bytes of all that are here.
    pub fn bytes(&self) -> usize {
        self.lock().iter().flatten().map(Bytes::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Bytes>>> {
        // A panic in between leaves a list of pages, and the file is given up.
        self.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageStoreFactory for Pages {
    fn create(&self, args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        let (column, mut columns) = (args.column_index(), self.lock());
        let count = columns.len().max(column + 1);
        columns.resize(count, Vec::new());
        columns[column].clear();
        Ok(Box::new(ColumnPages { pages: self.clone(), column }))
    }
}

struct ColumnPages {
    pages: Pages,
    column: usize,
}

impl PageStore for ColumnPages {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let pages = &mut self.pages.lock()[self.column];
        pages.push(value);
        Ok(PageKey::new(pages.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        // Nobody takes: `append` has them all.
        Err(ParquetError::General(format!("{key:?} is asked for")))
    }
}

/// The bytes of a column chunk, and by how much its headers grew.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    growth: usize,
}

impl Chunk {
    fn push(&mut self, page: &[Bytes]) -> Result<()> {
        let before = self.bytes.len();
        push_header(&page[0], crc32fast::hash(&page[1]), &mut self.bytes)?;
        self.growth += self.bytes.len() - before - page[0].len();
        self.bytes.extend_from_slice(&page[1]);
        Ok(())
    }
}

/// Field 4 goes behind fields 1 to 3, which are all there; the field after it counts from 4 then.
fn push_header(header: &[u8], crc: u32, out: &mut Vec<u8>) -> Result<()> {
    let unexpected = || ParquetError::General(format!("a page header begins with {header:02x?}"));
    let mut at = 0;
    for _ in 0..3 {
        if header.get(at) != Some(&NEXT_FIELD_I32) {
            return Err(unexpected());
        }
        let last = header[at + 1..].iter().position(|byte| byte & 0x80 == 0).ok_or_else(unexpected)?;
        at += last + 2;
    }
    // Number of the field minus that of the last one, in the upper half; from 5 to 8, so at least 2.
    let next = *header.get(at).filter(|next| **next >= 0x20).ok_or_else(unexpected)?;
    out.extend_from_slice(&header[..at]);
    out.push(NEXT_FIELD_I32);
    push_i32(crc.cast_signed(), out);
    out.push(next - 0x10);
    out.extend_from_slice(&header[at + 1..]);
    Ok(())
}

/// Appends a page whose body `packed` has `body_bytes` bytes when unpacked, and `values` values; says how many bytes
/// its header takes. Data pages are of version 1, with numbers of a dictionary whose values are plain.
///
/// # Errors
/// For a kind of page that is neither, and for sizes beyond 2^31.
pub(super) fn push_page(
    kind: PageType,
    body_bytes: usize,
    values: usize,
    packed: &[u8],
    out: &mut Vec<u8>,
) -> Result<usize> {
    let start = out.len();
    let field = |value: i32, out: &mut Vec<u8>| {
        out.push(NEXT_FIELD_I32);
        push_i32(value, out);
    };
    field(kind as i32, out);
    field(i32::try_from(body_bytes)?, out);
    field(i32::try_from(packed.len())?, out);
    field(crc32fast::hash(packed).cast_signed(), out);
    match kind {
        PageType::DATA_PAGE => {
            out.push(FIELD_5_STRUCT);
            field(i32::try_from(values)?, out);
            // The encodings of values, of definition levels, of repetition levels.
            for encoding in [Encoding::RLE_DICTIONARY, Encoding::RLE, Encoding::RLE] {
                field(encoding as i32, out);
            }
        }
        PageType::DICTIONARY_PAGE => {
            out.push(FIELD_7_STRUCT);
            field(i32::try_from(values)?, out);
            field(Encoding::PLAIN as i32, out);
            out.push(NEXT_FIELD_TRUE);
        }
        _ => return Err(ParquetError::General(format!("{kind} is asked for"))),
    }
    out.extend_from_slice(&[STOP, STOP]);
    let header_bytes = out.len() - start;
    out.extend_from_slice(packed);
    Ok(header_bytes)
}

/// Zigzag, then seven bits a byte, the lowest first.
fn push_i32(value: i32, out: &mut Vec<u8>) {
    push_varint(((value << 1) ^ (value >> 31)).cast_unsigned() as usize, out);
}

#[cfg(test)]
mod tests {
    use arrow::compute::concat_batches;
    use meshlake_schema::Table;
    use parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    };
    use parquet::file::metadata::PageIndexPolicy;

    use super::*;
    use crate::files::{Files, Origin};
    use crate::test_rows::{MIDNIGHT, rows};

    #[test]
    fn integers_are_written_as_thrift_does() {
        // The compact protocol's own examples: zigzag of -1 is 1, of 1 is 2; 300 is ac 02.
        for (value, want) in [(0, &[0][..]), (-1, &[1]), (1, &[2]), (150, &[0xac, 0x02])] {
            let mut out = Vec::new();
            push_i32(value, &mut out);
            assert_eq!(out, want, "{value}");
        }
        let mut out = Vec::new();
        push_i32(i32::MIN, &mut out);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn the_field_lands_between_its_neighbours() {
        // type 0, uncompressed 150 and compressed 1, then field 5, a struct (0x2c).
        let header = [0x15, 0x00, 0x15, 0xac, 0x02, 0x15, 0x02, 0x2c, 0x99, 0x00];
        let mut out = Vec::new();
        push_header(&header, 1, &mut out).expect("a header");
        assert_eq!(out, [0x15, 0x00, 0x15, 0xac, 0x02, 0x15, 0x02, 0x15, 0x02, 0x1c, 0x99, 0x00]);
    }

    #[test]
    fn a_header_of_another_shape_is_refused() {
        for header in [&[][..], &[0x15], &[0x15, 0x80], &[0x15, 0, 0x15, 0, 0x15, 0, 0x15, 0]] {
            push_header(header, 1, &mut Vec::new()).expect_err("no such header");
        }
    }

    /// Pages are found by the offset index, so that only those of the rows asked for are read.
    #[test]
    fn rows_are_found_by_their_page() {
        let times: Vec<i64> = (0..45_000).map(|i| MIDNIGHT + i).collect();
        let origin = Origin { collector_id: 0xab, lsn_first: 3, lsn_last: 9 };
        let batch = rows(Table::MetricSummaries, &times);
        let mut files = Files::plan(Table::MetricSummaries, vec![batch], origin).expect("rows");
        let bytes = files.encode_next().expect("encoded").expect("one file").bytes;
        let reader = |selection: Option<RowSelection>| {
            let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
            let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options);
            let reader = reader.expect("Parquet").with_batch_size(45_000);
            let pages = reader.metadata().offset_index().expect("an index")[0][0].page_locations().len();
            assert_eq!(pages, 3, "of 20,000 rows at most");
            let reader = match selection {
                Some(selection) => reader.with_row_selection(selection),
                None => reader,
            };
            let batches: Vec<_> = reader.build().expect("reader").map(|batch| batch.expect("rows")).collect();
            concat_batches(&batches[0].schema(), &batches).expect("one schema")
        };
        let all = reader(None);
        for (skip, count) in [(0, 1), (19_999, 2), (25_000, 10), (44_999, 1)] {
            let selection = RowSelection::from(vec![RowSelector::skip(skip), RowSelector::select(count)]);
            assert_eq!(reader(Some(selection)), all.slice(skip, count), "{count} rows from {skip}");
        }
    }
}
