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
    /// The exact counts, where one has a fraction.
    pub(crate) doubles: Option<ExpCounts>,
    /// See the column `reset_hint`.
    pub(crate) reset_hint: Option<i32>,
}

/// Counts that need not be integers.
#[derive(Debug, Default)]
pub(crate) struct ExpCounts {
    pub(crate) count: f64,
    pub(crate) zero_count: f64,
    pub(crate) positive: Vec<f64>,
    pub(crate) negative: Vec<f64>,
}

impl ExpHistogram {
    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        self.distribution = Distribution::default();
        (self.scale, self.zero_count, self.zero_threshold) = (0, 0, 0.0);
        self.positive.clear();
        self.negative.clear();
        (self.doubles, self.reset_hint) = (None, None);
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
    count_double: NumberColumn<Float64Type>,
    zero_count_double: NumberColumn<Float64Type>,
    positive_double: NumberListColumn<Float64Type>,
    negative_double: NumberListColumn<Float64Type>,
    reset_hint: NumberColumn<Int32Type>,
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
        let (count_double, zero_count_double) = (&mut self.count_double, &mut self.zero_count_double);
        let (positive_double, negative_double) = (&mut self.positive_double, &mut self.negative_double);
        let reset_hint = &mut self.reset_hint;
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
                count_double.finish(),
                zero_count_double.finish(),
                positive_double.finish(),
                negative_double.finish(),
                reset_hint.finish(),
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
        self.push_doubles(histogram.doubles.as_ref());
        self.reset_hint.push_option(histogram.reset_hint);
    }

    fn push_doubles(&mut self, doubles: Option<&ExpCounts>) {
        self.count_double.push_option(doubles.map(|counts| counts.count));
        self.zero_count_double.push_option(doubles.map(|counts| counts.zero_count));
        match doubles {
            Some(ExpCounts { positive, negative, .. }) => {
                self.positive_double.push(positive);
                self.negative_double.push(negative);
            }
            None => {
                self.positive_double.push_null();
                self.negative_double.push_null();
            }
        }
    }
}
