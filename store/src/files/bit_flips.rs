//! One flipped bit anywhere in the pages of a Parquet file: it is an error or changes nothing.
//!
//! Limits: footer, page indexes and bloom filters have no checksum in the format, and a flip there may change
//! what is read (the name of a column, a row count) without an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use bytes::Bytes;
use meshlake_schema::Table;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::merge::{InputBytes, Merge, Step};
use super::{Files, Origin};
use crate::disk::sim::Coin;
use crate::test_rows::{MIDNIGHT, rows};
use crate::test_size;

/// A third of the flips of a run, which the log and Delta logs share.
const FLIPS: u64 = 170;

/// A file as a flush makes it.
fn flushed(table: Table) -> Bytes {
    let times: Vec<i64> = (0..200).map(|i| MIDNIGHT + i * 7).collect();
    let origin = Origin { collector_id: 0xab, lsn_first: 3, lsn_last: 9 };
    let mut files = Files::plan(table, vec![rows(table, &times)], origin).expect("rows");
    files.encode_next().expect("encoded").expect("one file").bytes
}

/// A file as a merge makes it.
fn merged(table: Table) -> Bytes {
    let sources = vec![InputBytes::Bytes(flushed(table)), InputBytes::Bytes(flushed(table))];
    let mut merge = Merge::open(table, sources).expect("files of ours");
    let mut bytes = Vec::new();
    loop {
        match merge.step().expect("rows merge") {
            Step::Part(part) => bytes.extend_from_slice(&part),
            Step::End(part, _) => {
                bytes.extend_from_slice(&part);
                return bytes.into();
            }
        }
    }
}

fn read(bytes: Bytes) -> Result<Vec<RecordBatch>, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    reader.map(|batch| Ok(batch?)).collect()
}

/// Where the pages end: behind the last column chunk.
fn pages_end(bytes: &Bytes) -> usize {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).expect("Parquet");
    let chunks = reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let ends = chunks.map(ColumnChunkMetaData::byte_range).map(|(start, length)| start + length);
    ends.max().expect("columns") as usize
}

#[test]
fn a_flipped_bit_of_a_page_is_an_error_or_changes_nothing() {
    check(&flushed(Table::Spans), 1);
    check(&merged(Table::Spans), 2);
}

fn check(whole: &Bytes, seed: u64) {
    let want = read(whole.clone()).expect("as it was written");
    let pages_end = pages_end(whole);
    let mut coin = Coin(seed);
    let (mut found, mut harmless) = (0, 0);
    for flip in 0..test_size::from_environment("MESHLAKE_TEST_BIT_FLIPS", 3 * FLIPS) / 6 {
        let bit = coin.below(pages_end as u64 * 8) as usize;
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match catch_unwind(AssertUnwindSafe(|| read(bytes.into()))) {
            // A page header has no checksum, and some of what it may say makes the library panic: that ends
            // the task that reads, a query or a merge of files, and no more.
            Ok(Err(_)) | Err(_) => found += 1,
            Ok(Ok(rows)) if rows == want => harmless += 1,
            Ok(Ok(_)) => {
                panic!("flip {flip}: bit {bit} of {pages_end} bytes changes rows and is not noticed")
            }
        }
    }
    // The magic number at the start, statistics in page headers: hardly any other bit does no harm.
    assert!(found > 9 * harmless, "{found} found, {harmless} harmless");
}
