//! Rows of `metric_summaries`.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int64Type};
use meshlake_schema::{Kind, Table, TableBatch};

use super::point::PointColumns;
use crate::columns::NumberColumn;
use crate::columns::rows::ListEnds;

/// Rows of `metric_summaries` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct SummaryBuilder {
    pub(crate) columns: PointColumns,
    count: NumberColumn<Int64Type>,
    sum: NumberColumn<Float64Type>,
    quantile_rows: ListEnds,
    quantile: NumberColumn<Float64Type>,
    at_quantile: NumberColumn<Float64Type>,
}

impl SummaryBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let (count, sum, rows) = (&mut self.count, &mut self.sum, &mut self.quantile_rows);
        let (quantile, at_quantile) = (&mut self.quantile, &mut self.at_quantile);
        let own = || -> Vec<ArrayRef> {
            let fields = vec![quantile.finish(), at_quantile.finish()];
            vec![count.finish(), sum.finish(), rows.finish_structs(Kind::Quantiles, fields)]
        };
        self.columns.finish(Table::MetricSummaries, own)
    }

    /// Pushes what only points of this table have; quantiles with their values.
    pub(crate) fn push_own(&mut self, count: i64, sum: f64, quantiles: &[(f64, f64)]) {
        self.count.push(count);
        self.sum.push(sum);
        for (quantile, at_quantile) in quantiles {
            self.quantile.push(*quantile);
            self.at_quantile.push(*at_quantile);
        }
        self.quantile_rows.end_row(self.quantile.len());
    }
}
