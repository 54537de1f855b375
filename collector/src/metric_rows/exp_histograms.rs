//! Rows of `metric_exp_histograms`: exponential histograms.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use meshlake_schema::{Table, TableBatch};

use super::point::{Distribution, DistributionColumns, PointColumns};
use crate::columns::NumberColumn;
use crate::columns::rows::NumberListColumn;

/// Consecutive buckets of one sign.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    /// Index of the first; bucket `i` has values above `base^i` up to `base^(i + 1)`.
    pub(crate) offset: i32,
    /// Unsigned on the wire; read as such until they are proven to fit.
    pub(crate) counts: Vec<i64>,
}

impl Buckets {
    pub(crate) fn clear(&mut self) {
        self.offset = 0;
        self.counts.clear();
    }
}

/// What only a row of this table has.
#[derive(Debug, Default)]
pub(crate) struct ExpHistogram {
    pub(crate) distribution: Distribution,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Buckets,
    pub(crate) negative: Buckets,
}

impl ExpHistogram {
    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        self.distribution = Distribution::default();
        (self.scale, self.zero_count, self.zero_threshold) = (0, 0, 0.0);
        self.positive.clear();
        self.negative.clear();
    }
}

/// Rows of `metric_exp_histograms` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct ExpHistogramBuilder {
    pub(crate) columns: PointColumns,
    temporality: NumberColumn<Int32Type>,
    distribution: DistributionColumns,
    scale: NumberColumn<Int32Type>,
    zero_count: NumberColumn<Int64Type>,
    zero_threshold: NumberColumn<Float64Type>,
    positive: BucketsColumns,
    negative: BucketsColumns,
}

#[derive(Debug, Default)]
struct BucketsColumns {
    offset: NumberColumn<Int32Type>,
    counts: NumberListColumn<Int64Type>,
}

impl BucketsColumns {
    fn push(&mut self, buckets: &Buckets) {
        self.offset.push(buckets.offset);
        self.counts.push(&buckets.counts);
    }
}

impl ExpHistogramBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let (temporality, distribution) = (&mut self.temporality, &mut self.distribution);
        let (scale, zero_count, zero_threshold) =
            (&mut self.scale, &mut self.zero_count, &mut self.zero_threshold);
        let (positive, negative) = (&mut self.positive, &mut self.negative);
        let own = || -> Vec<ArrayRef> {
            let [count, sum, min, max] = distribution.finish();
            vec![
                temporality.finish(),
                count,
                sum,
                min,
                max,
                scale.finish(),
                zero_count.finish(),
                zero_threshold.finish(),
                positive.offset.finish(),
                positive.counts.finish(),
                negative.offset.finish(),
                negative.counts.finish(),
            ]
        };
        self.columns.finish(Table::MetricExpHistograms, own)
    }

    /// Pushes what only points of this table have.
    pub(crate) fn push_own(&mut self, temporality: Option<i32>, histogram: &ExpHistogram) {
        self.temporality.push_option(temporality);
        self.distribution.push(&histogram.distribution);
        self.scale.push(histogram.scale);
        self.zero_count.push(histogram.zero_count as i64);
        self.zero_threshold.push(histogram.zero_threshold);
        self.positive.push(&histogram.positive);
        self.negative.push(&histogram.negative);
    }
}
