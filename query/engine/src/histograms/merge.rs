//! `hist_merge`: adds histograms up, bucket by bucket.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use meshlake_schema::LatencyHistogram;

use super::column::{self, Histograms};

/// The aggregate. Rows without a histogram are passed over; of none it is null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Merge {
    signature: Signature,
}

impl Default for Merge {
    fn default() -> Self {
        Merge { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Merge {
    fn name(&self) -> &str {
        "hist_merge"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        column::coerced(types).ok_or_else(|| DataFusionError::Plan(format!("hist_merge: {}", column::SHAPES)))
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(column::data_type())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Merged::default()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The sum so far.
#[derive(Debug, Default)]
struct Merged {
    sum: Option<LatencyHistogram>,
}

impl Merged {
    fn add(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let histograms = Histograms::of(columns)?;
        for row in 0..columns.first().map_or(0, |column| column.len()) {
            if let Some(histogram) = histograms.at(row)? {
                self.sum.get_or_insert_default().merge(&histogram);
            }
        }
        Ok(())
    }
}

impl Accumulator for Merged {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.add(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Struct(Arc::new(column::column(self.sum.as_ref()))))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sum.as_ref().map_or(0, LatencyHistogram::heap_bytes)
    }
}
