//! One table's share of the buffer, and the joining of its small batches.
//!
//! Joining happens at the end of the list only, many batches at a time and by size class, so that a row is
//! copied a few times at most, whatever the sizes that come.

use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::compute::concat_batches;
use meshlake_schema::TableBatch;

use crate::group::Lsn;
use crate::minutes::MinuteLsns;
use crate::snapshot::{DataFile, HotBatch};

/// Batches are joined until they have this many rows, as many as the SDKs send at a time. Of spans that is some
/// 250 KB, so a full buffer of the default size has at most 800 batches. Four exports of 1,000 spans joined into
/// one would cost 0.24 CPU seconds a million.
pub(super) const JOINED_ROWS: usize = 512;

/// The smaller batches at the end are joined when they have [`JOINED_ROWS`] together and are so many, hence
/// at most four times that: joining two or three large ones would copy much to save little.
const JOIN_COUNT_MIN: usize = 4;

/// Smaller batches are joined earlier, or a table that receives single rows would keep thousands. A batch
/// is in class `n` when it has `16^n` rows or more; `16 * (n + 1)` batches of class `n` or below are
/// joined. The factor `n + 1` keeps the few that wait in class 0 from making class 1 due early.
const CLASS_FACTOR: usize = 16;
const EARLY_CLASSES: u32 = 2;

/// What is known of one batch.
#[derive(Debug)]
pub(super) struct Part {
    pub bytes: usize,
    /// The records that the rows came in, and how many rows of each, in order.
    records: Vec<(Lsn, usize)>,
}

#[derive(Debug, Default)]
pub(super) struct TableState {
    pub files: Arc<Vec<DataFile>>,
    /// Rows of `files` have LSNs up to here.
    pub watermark: Lsn,
    /// Of earlier dates files have been dropped.
    pub kept_from_days: i32,
    /// In LSN order, ranges disjoint, all above `watermark`.
    pub hot: Arc<Vec<HotBatch>>,
    /// What is known of each batch of `hot`.
    pub parts: Vec<Part>,
    /// What a flush has begun to take, or `watermark`: batches are never joined across it.
    pub seal: Lsn,
    /// Bytes up to `seal`: on their way to a file already.
    pub flushing_bytes: usize,
}

impl TableState {
    /// A table with nothing buffered holds nothing back.
    pub fn flushed_through(&self, last_lsn: Lsn) -> Lsn {
        self.hot.first().map_or(last_lsn, |hot| hot.lsn_first - 1)
    }

    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The first rows of records above `after`, at most a batch of them; nothing is copied.
    pub fn next_after(&self, after: Lsn) -> Option<HotBatch> {
        let place = self.hot.partition_point(|hot| hot.lsn_last <= after);
        let (hot, part) = (self.hot.get(place)?, &self.parts[place]);
        if hot.lsn_first > after {
            return Some(hot.clone());
        }
        let seen: usize =
            part.records.iter().take_while(|(lsn, _)| *lsn <= after).map(|(_, rows)| rows).sum();
        let rows = hot.batch.rows().slice(seen, hot.batch.row_count() - seen);
        let batch = TableBatch::try_new(hot.batch.table(), rows).expect("a slice has the same columns");
        Some(HotBatch { lsn_first: after + 1, batch, ..hot.clone() })
    }

    /// Adds a batch and joins small ones whose LSNs are all above `joined_after`.
    pub fn push(&mut self, batch: HotBatch, joined_after: Lsn) {
        let last = self.hot.last().map_or(self.watermark, |hot| hot.lsn_last);
        assert!(batch.lsn_first > last, "LSN {} is published after {last}", batch.lsn_first);
        let records = vec![(batch.lsn_last, batch.batch.row_count())];
        self.parts.push(Part { bytes: batch_bytes(batch.batch.rows()), records });
        Arc::make_mut(&mut self.hot).push(batch);
        while let Some(count) = self.join_due(joined_after) {
            if !self.join_tail(count) {
                return;
            }
        }
    }

    /// How many batches at the end are due to be joined.
    fn join_due(&self, joined_after: Lsn) -> Option<usize> {
        let tail = || {
            let newest = self.hot.iter().rev().take_while(|hot| hot.lsn_first > joined_after);
            newest.map(|hot| hot.batch.row_count()).take_while(|rows| *rows < JOINED_ROWS)
        };
        for class in 0..EARLY_CLASSES {
            let count = tail().take_while(|rows| size_class(*rows) <= class).count();
            if count >= CLASS_FACTOR * (class as usize + 1) {
                return Some(count);
            }
        }
        let (count, rows) = tail().fold((0, 0), |(count, sum), rows| (count + 1, sum + rows));
        (rows >= JOINED_ROWS && count >= JOIN_COUNT_MIN).then_some(count)
    }

    /// Joins the last `count` batches into one; says whether it did.
    fn join_tail(&mut self, count: usize) -> bool {
        let start = self.hot.len() - count;
        let Some(joined) = join(&self.hot[start..]) else { return false };
        let records = self.parts.drain(start..).flat_map(|part| part.records).collect();
        self.parts.push(Part { bytes: batch_bytes(joined.batch.rows()), records });
        let hot = Arc::make_mut(&mut self.hot);
        hot.truncate(start);
        hot.push(joined);
        true
    }
}

fn size_class(rows: usize) -> u32 {
    rows.checked_ilog(CLASS_FACTOR).unwrap_or_default()
}

/// None when Arrow refuses, which only more than 2^31 dictionary entries or bytes of text can bring
/// about; then the batches stay apart.
fn join(batches: &[HotBatch]) -> Option<HotBatch> {
    let (first, last) = (batches.first()?, batches.last()?);
    let table = first.batch.table();
    let rows = concat_batches(table.schema(), batches.iter().map(|hot| hot.batch.rows())).ok()?;
    let batch = TableBatch::try_new(table, rows).ok()?;
    let minutes = MinuteLsns::joined(batches.iter().map(|hot| &hot.minutes));
    Some(HotBatch { lsn_first: first.lsn_first, lsn_last: last.lsn_last, minutes, batch })
}

/// Memory that a batch accounts for. Buffers' capacity is what counts, but batches read back from the log
/// share one allocation, of which every column claims the whole; hence at most twice what is in use,
/// which is the slack that a growing builder leaves.
fn batch_bytes(rows: &RecordBatch) -> usize {
    let used = rows.columns().iter().map(|column| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| data.get_array_memory_size())
    });
    rows.get_array_memory_size().min(2 * used.sum::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_one_allocation_are_not_counted_many_times() {
        // Eight columns of 1,000 Int64 sliced from one allocation use 64,000 bytes, claim 8 * 64,000.
        let shared = arrow::buffer::Buffer::from_vec(vec![0i64; 8_000]);
        let columns = (0..8).map(|i| {
            let values = arrow::buffer::ScalarBuffer::<i64>::new(shared.clone(), i * 1_000, 1_000);
            let column: arrow::array::ArrayRef = Arc::new(arrow::array::Int64Array::new(values, None));
            (format!("c{i}"), column)
        });
        let rows = RecordBatch::try_from_iter(columns).expect("columns of one length");
        assert!(rows.get_array_memory_size() >= 8 * 64_000);
        assert_eq!(batch_bytes(&rows), 2 * 64_000);
    }
}
