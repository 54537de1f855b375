//! What a reader sees of our columns is what it sees of those by the `parquet` crate.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::*;

const BYTES_MAX: usize = 1 << 20;

/// A file of one column, by us.
fn written(values: &StringArray, keys: &[u32], nullable: bool) -> Option<Bytes> {
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, nullable)]);
    let schema = ArrowSchemaConverter::new().convert(&schema).expect("a schema");
    let properties = Arc::new(properties());
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema.root_schema_ptr(), properties).expect("new");
    let mut row_group = writer.next_row_group().expect("a row group");
    if !append(&schema.column(0), values, keys, BYTES_MAX, &mut row_group).expect("appended") {
        return None;
    }
    row_group.close().expect("closed");
    Some(writer.into_inner().expect("finished").into())
}

/// The same column by the `parquet` crate.
fn wanted(rows: &ArrayRef, nullable: bool) -> Bytes {
    let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, nullable)]));
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties())).expect("new");
    writer.write(&RecordBatch::try_new(schema, vec![Arc::clone(rows)]).expect("rows")).expect("written");
    writer.into_inner().expect("finished").into()
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        // The limit is looked at after as many rows, so that pages end there only if it is a multiple.
        .set_write_batch_size(PAGE_ROWS_MAX / 20)
        .set_column_index_truncate_length(Some(INDEX_TEXT_BYTES_MAX))
        .set_statistics_truncate_length(Some(INDEX_TEXT_BYTES_MAX))
        .build()
}

fn read(file: &Bytes) -> (RecordBatch, Arc<ParquetMetaData>) {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).expect("Parquet");
    let metadata = Arc::clone(reader.metadata());
    let batches: Vec<_> = reader.build().expect("reader").map(|batch| batch.expect("rows")).collect();
    (concat_batches(&batches[0].schema(), &batches).expect("one schema"), metadata)
}

/// Compares everything that a reader sees of a column by us and by the `parquet` crate.
fn check(values: &[&str], keys: &[Option<u32>]) {
    let rows: StringArray = keys.iter().map(|key| key.map(|key| values[key as usize])).collect();
    let nullable = rows.null_count() > 0;
    let keys: Vec<u32> = keys.iter().map(|key| key.unwrap_or(NULL)).collect();
    let ours = written(&StringArray::from(values.to_vec()), &keys, nullable).expect("few values");
    let rows: ArrayRef = Arc::new(rows);
    let (got, our_metadata) = read(&ours);
    let (want, metadata) = read(&wanted(&rows, nullable));
    assert_eq!(got.column(0), want.column(0));
    let (our_chunk, chunk) = (our_metadata.row_group(0).column(0), metadata.row_group(0).column(0));
    assert_eq!(our_chunk.statistics(), chunk.statistics());
    assert_eq!(our_chunk.num_values(), chunk.num_values());
    assert_eq!(our_chunk.page_encoding_stats_mask(), chunk.page_encoding_stats_mask());
    assert_eq!(index(&our_metadata), index(&metadata));
    let first_rows = |metadata: &ParquetMetaData| -> Vec<i64> {
        let pages = metadata.offset_index().expect("an index")[0][0].page_locations();
        pages.iter().map(|page| page.first_row_index).collect()
    };
    assert_eq!(first_rows(&our_metadata), first_rows(&metadata));
}

/// Per page its bounds and nulls, and how the pages are ordered.
fn index(metadata: &ParquetMetaData) -> String {
    let ColumnIndexMetaData::BYTE_ARRAY(index) = &metadata.column_index().expect("an index")[0][0] else {
        panic!("another type")
    };
    let pages = (0..index.num_pages() as usize).map(|page| {
        let bound = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (min, max) = (bound(index.min_value(page)), bound(index.max_value(page)));
        (index.is_null_page(page), min, max, index.null_count(page))
    });
    format!(
        "{:?} {:?}",
        metadata.column_index().and_then(|index| index[0][0].get_boundary_order()),
        pages.collect::<Vec<_>>()
    )
}

#[test]
fn a_column_reads_as_that_of_the_parquet_crate() {
    let some = |keys: &[u32]| keys.iter().map(|key| Some(*key)).collect::<Vec<_>>();
    check(&["only"], &some(&[0; 5]));
    check(&["b", "unused", "a"], &some(&[0, 2, 2, 0, 0, 2, 0, 0, 0, 2]));
    check(&["", "é", "z"], &[Some(1), None, Some(0), Some(2), None]);
}

/// Pages of 20,000 rows: one with nulls only, ascending and not, and one row in the last.
#[test]
fn pages_end_at_the_limit_and_have_bounds() {
    let values: Vec<String> = (0..300).map(|i| format!("value-{i:03}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let rows = 3 * PAGE_ROWS_MAX as u32 + 1;
    let key = |row: u32| (row / PAGE_ROWS_MAX as u32 != 1).then_some(row % 300);
    check(&values, &(0..rows).map(key).collect::<Vec<_>>());
    check(&values, &(0..rows).map(|row| Some(row * 299 / rows)).collect::<Vec<_>>());
    check(&values, &(0..rows).map(|row| Some(299 - row * 299 / rows)).collect::<Vec<_>>());
}

/// 64 bytes, one more, one that ends within a character, and one whose last characters have no next one.
#[test]
fn bounds_are_cut_as_the_parquet_crate_does() {
    let ends = ["", "x", "é", "\u{7f}", "\u{10ffff}"];
    let texts: Vec<String> = [62, 63, 64, 65]
        .iter()
        .flat_map(|length| {
            ends.map(|end| format!("{}{end}{}", "a".repeat(*length - end.len()), "b".repeat(3)))
        })
        .chain(["\u{10ffff}".repeat(17)])
        .collect();
    for text in &texts {
        check(&[text], &[Some(0)]);
        check(&[text, "a"], &[Some(0), Some(1), None]);
    }
}

#[test]
fn any_mix_of_runs_reads_back() {
    // A linear congruential generator, by Knuth's constants for 64 bits.
    let mut state = 1_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for distinct in [1, 2, 3, 5, 127, 128, 129, 1_000] {
        let values: Vec<String> = (0..distinct).map(|i| format!("{:x}", i * 7_919 % 1_013)).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let mut keys = Vec::new();
        while keys.len() < 45_000 {
            let key = (next(10) > 0).then(|| next(distinct) as u32);
            keys.extend(std::iter::repeat_n(key, next(40) as usize));
        }
        check(&values, &keys);
    }
}

#[test]
fn too_many_values_are_left_to_the_parquet_crate() {
    // 16 values of 2^16 - 4 bytes and their lengths are 2^20 bytes.
    let text = |i: usize, length: usize| format!("{i:02}{}", "x".repeat(length - 2));
    let fits: Vec<String> = (0..16).map(|i| text(i, (1 << 16) - 4)).collect();
    let keys: Vec<u32> = (0..16).collect();
    assert!(written(&StringArray::from(fits.clone()), &keys, false).is_some());
    let mut large = fits;
    large[15].push('x');
    assert!(written(&StringArray::from(large.clone()), &keys, false).is_none());
    assert!(written(&StringArray::from(large), &keys[..15], false).is_some(), "the largest is not used");
    assert!(written(&StringArray::from(vec!["a"]), &[NULL; 3], true).is_none(), "no values");
}
