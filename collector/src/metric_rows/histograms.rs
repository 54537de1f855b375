//! Rows of `metric_histograms`: histograms with explicit bounds.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use meshlake_schema::{Table, TableBatch};

use super::point::{Distribution, DistributionColumns, PointColumns};
use crate::columns::NumberColumn;
use crate::columns::rows::NumberListColumn;

/// What only a row of this table has.
#[derive(Debug, Default)]
pub(crate) struct ExplicitHistogram {
    pub(crate) distribution: Distribution,
    pub(crate) bounds: Vec<f64>,
    /// One more than bounds, or none. Unsigned on the wire; read as such until they are proven to fit.
    pub(crate) bucket_counts: Vec<i64>,
    /// The exact counts, of all and of each bucket, where one has a fraction.
    pub(crate) doubles: Option<(f64, Vec<f64>)>,
    /// See the column `reset_hint`.
    pub(crate) reset_hint: Option<i32>,
}

impl ExplicitHistogram {
    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        self.distribution = Distribution::default();
        self.bounds.clear();
        self.bucket_counts.clear();
        (self.doubles, self.reset_hint) = (None, None);
    }
}

/// Rows of `metric_histograms` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct HistogramBuilder {
    pub(crate) columns: PointColumns,
    temporality: NumberColumn<Int32Type>,
    distribution: DistributionColumns,
    bounds: NumberListColumn<Float64Type>,
    bucket_counts: NumberListColumn<Int64Type>,
    count_double: NumberColumn<Float64Type>,
    bucket_counts_double: NumberListColumn<Float64Type>,
    reset_hint: NumberColumn<Int32Type>,
}

impl HistogramBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let (temporality, distribution) = (&mut self.temporality, &mut self.distribution);
        let (bounds, bucket_counts) = (&mut self.bounds, &mut self.bucket_counts);
        let (count_double, bucket_counts_double) = (&mut self.count_double, &mut self.bucket_counts_double);
        let reset_hint = &mut self.reset_hint;
        let own = || -> Vec<ArrayRef> {
            let [count, sum, min, max] = distribution.finish();
            vec![
                temporality.finish(),
                count,
                sum,
                min,
                max,
                bounds.finish(),
                bucket_counts.finish(),
                count_double.finish(),
                bucket_counts_double.finish(),
                reset_hint.finish(),
            ]
        };
        self.columns.finish(Table::MetricHistograms, own)
    }

    /// Pushes what only points of this table have.
    pub(crate) fn push_own(&mut self, temporality: Option<i32>, histogram: &ExplicitHistogram) {
        self.temporality.push_option(temporality);
        self.distribution.push(&histogram.distribution);
        self.bounds.push(&histogram.bounds);
        self.bucket_counts.push(&histogram.bucket_counts);
        match &histogram.doubles {
            Some((count, counts)) => {
                self.count_double.push(*count);
                self.bucket_counts_double.push(counts);
            }
            None => {
                self.count_double.push_option(None);
                self.bucket_counts_double.push_null();
            }
        }
        self.reset_hint.push_option(histogram.reset_hint);
    }
}
