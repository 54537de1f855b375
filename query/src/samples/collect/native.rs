//! Exponential histograms, as Prometheus's native ones.
//!
//! The bucket of index `i` holds `(base^i, base^(i+1)]` in OTLP and `(base^(i-1), base^i]` in Prometheus; base and scale
//! are the same. A scale finer than Prometheus's finest is made coarser, one coarser than its coarsest cannot be told.
//!
//! Sources: metrics.proto, `ExponentialHistogramDataPoint`; <https://prometheus.io/docs/specs/native_histograms/>.

use arrow::array::RecordBatch;
use meshlake_promql::{Buckets, Histogram, ResetHint, SCHEMAS, stale_marker};
use meshlake_schema::Table;
use meshlake_schema::rows::{DoubleLists, Doubles, IntegerLists, Integers, Rows, RowsError};

use super::{Collector, Keys, Stamps};

pub const COLUMNS: [&str; 14] = [
    "count",
    "count_double",
    "sum",
    "scale",
    "zero_count",
    "zero_count_double",
    "zero_threshold",
    "positive_offset",
    "positive_bucket_counts",
    "positive_bucket_counts_double",
    "negative_offset",
    "negative_bucket_counts",
    "negative_bucket_counts_double",
    "reset_hint",
];

/// Width of a zero bucket of which nobody told: Prometheus's own for OTLP.
const ZERO_THRESHOLD: f64 = 1e-128;

impl Collector<'_> {
    pub(super) fn add_exponential(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        let table = Table::MetricExpHistograms;
        let rows = Rows::of(table, batch);
        let integers = |name| rows.read::<Integers<'_>>(name);
        let doubles = |name| rows.read::<Doubles<'_>>(name);
        let stamps = Stamps::of(&rows)?;
        let (counts, exact_counts) = (integers("count")?, doubles("count_double")?);
        let (zeros, exact_zeros) = (integers("zero_count")?, doubles("zero_count_double")?);
        let (sums, scales, thresholds) = (doubles("sum")?, integers("scale")?, doubles("zero_threshold")?);
        let hints = integers("reset_hint")?;
        let positive =
            Side::of(&rows, ["positive_offset", "positive_bucket_counts", "positive_bucket_counts_double"])?;
        let negative =
            Side::of(&rows, ["negative_offset", "negative_bucket_counts", "negative_bucket_counts_double"])?;
        let mut keys = Keys::of(table, batch)?;
        for row in 0..batch.num_rows() {
            let Some(stem) = self.found.place(keys.get(row, &self.found.generation.variants)) else {
                continue;
            };
            let Some(place) = self.place_of_native(stem) else { continue };
            let scale = scales.or_zero(row);
            let Some(schema) = schema_of(scale) else {
                self.too_coarse += 1;
                continue;
            };
            let exact = exact_counts.get(row);
            let coarser = scale - i64::from(schema);
            let is_stale = stamps.is_stale(row);
            let is_told = self.found.stem(stem).is_remote_written;
            let threshold = thresholds.get(row).filter(|threshold| is_told || *threshold > 0.0);
            let histogram = Histogram {
                schema,
                zero_threshold: threshold.unwrap_or(ZERO_THRESHOLD),
                // Lossless up to 2^53 values, as all counts here.
                zero_count: exact_zeros.get(row).unwrap_or(zeros.or_zero(row) as f64),
                count: exact.unwrap_or(counts.or_zero(row) as f64),
                sum: if is_stale { stale_marker() } else { sums.get(row).unwrap_or(0.0) },
                positive: positive.filled(row, coarser, exact.is_some()),
                negative: negative.filled(row, coarser, exact.is_some()),
                hint: hint(hints.get(row)),
                ..Histogram::default()
            };
            self.push_histogram(place, stamps.when(row), histogram);
        }
        Ok(())
    }
}

/// What a sender of remote write told of resets; others tell nothing.
pub(super) fn hint(told: Option<i64>) -> ResetHint {
    match told {
        Some(1) => ResetHint::Reset,
        Some(2) => ResetHint::NoReset,
        Some(3) => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

/// The buckets on one side of zero.
struct Side<'a> {
    offsets: Integers<'a>,
    counts: IntegerLists<'a>,
    /// Where counts have fractions.
    exact: DoubleLists<'a>,
}

impl<'a> Side<'a> {
    fn of(rows: &Rows<'a>, [offset, counts, exact]: [&str; 3]) -> Result<Self, RowsError> {
        Ok(Side { offsets: rows.read(offset)?, counts: rows.read(counts)?, exact: rows.read(exact)? })
    }

    fn filled(&self, row: usize, coarser: i64, is_exact: bool) -> Buckets {
        let offset = self.offsets.or_zero(row);
        if is_exact {
            return buckets(offset, self.exact.get(row).iter().copied(), coarser);
        }
        buckets(offset, self.counts.get(row).iter().map(|count| *count as f64), coarser)
    }
}

/// The schema of a scale; none for one that is too coarse.
fn schema_of(scale: i64) -> Option<i8> {
    let schema = scale.min(i64::from(*SCHEMAS.end()));
    i8::try_from(schema).ok().filter(|schema| SCHEMAS.contains(schema))
}

/// The filled buckets of dense counts that begin at `offset`, `2^coarser` of which become one.
fn buckets(offset: i64, counts: impl Iterator<Item = f64>, coarser: i64) -> Buckets {
    // A shift of more bits than an index has leaves its sign.
    let coarser = u32::try_from(coarser).unwrap_or(0).min(i64::BITS - 1);
    let mut buckets = Buckets::new();
    for (index, count) in (offset..).zip(counts).filter(|(_, count)| *count != 0.0) {
        let index = i32::try_from((index >> coarser) + 1).unwrap_or(i32::MAX);
        match buckets.last_mut() {
            Some((last, sum)) if *last == index => *sum += count,
            _ => buckets.push((index, count)),
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(offset: i64, counts: &[i32], coarser: i64) -> Buckets {
        super::buckets(offset, counts.iter().map(|count| f64::from(*count)), coarser)
    }

    /// With a base of 2 the OTLP buckets -1, 0 and 2 end at 1, 2 and 8, which are Prometheus's 0, 1 and 3.
    #[test]
    fn an_index_is_that_of_the_upper_bound() {
        assert_eq!(buckets(-1, &[5, 7, 0, 9], 0), [(0, 5.0), (1, 7.0), (3, 9.0)]);
    }

    /// Four buckets of scale 2 are one of scale 0: of (2^(i/4), 2^((i+1)/4)], those from -4 to -1 end at 1, those
    /// from 0 to 3 at 2, and 4 is in (2, 4].
    #[test]
    fn a_coarser_scale_adds_up_neighbours() {
        assert_eq!(buckets(-4, &[1, 2, 3, 4, 5, 0, 0, 6, 7], 2), [(0, 10.0), (1, 11.0), (2, 7.0)]);
        assert_eq!(buckets(-1, &[1, 2], 70), [(0, 1.0), (1, 2.0)], "all that is below one, and all above");
    }

    #[test]
    fn schemas_end_at_8_and_minus_4() {
        let cases = [(20, Some(8)), (9, Some(8)), (8, Some(8)), (0, Some(0)), (-4, Some(-4)), (-5, None)];
        for (scale, want) in cases {
            assert_eq!(schema_of(scale), want, "{scale}");
        }
    }
}
