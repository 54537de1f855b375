//! Sums and histograms of a cell, as columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use meshlake_schema::LatencyHistogram;

/// A number for a column: what does not fit is the most that does.
pub fn wide(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub fn narrow(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Counts of zeros, bucket indices, counts.
pub fn histogram_columns<'a>(
    histograms: &(impl Iterator<Item = &'a LatencyHistogram> + Clone),
) -> [ArrayRef; 3] {
    let zeros = Int64Array::from_iter_values(histograms.clone().map(|held| wide(held.zero_count())));
    let list = |value: fn((i32, u64)) -> i64| -> ArrayRef {
        let lengths = histograms.clone().map(|held| held.buckets().count());
        let values =
            Int64Array::from_iter_values(histograms.clone().flat_map(LatencyHistogram::buckets).map(value));
        let element = Arc::new(Field::new("element", DataType::Int64, false));
        Arc::new(ListArray::new(element, OffsetBuffer::from_lengths(lengths), Arc::new(values), None))
    };
    [Arc::new(zeros), list(|(index, _)| i64::from(index)), list(|(_, count)| wide(count))]
}

/// The histogram of these columns.
pub fn histogram(zeros: i64, buckets: &[i64], counts: &[i64], min: i64, max: i64) -> LatencyHistogram {
    let index = |index: &i64| i32::try_from(*index).unwrap_or(i32::MAX);
    let buckets = buckets.iter().map(index).zip(counts.iter().map(|count| narrow(*count)));
    LatencyHistogram::of_buckets(narrow(zeros), buckets, narrow(min), narrow(max))
}
