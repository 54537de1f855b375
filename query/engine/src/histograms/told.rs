//! `hist_quantile`, `hist_count` and `hist_count_below`: what one histogram tells.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use meshlake_schema::LatencyHistogram;

use super::column::{self, Histograms};

const NANOS_PER_MILLI: f64 = 1e6;

/// Counts of cells are in thousandths of a call.
const MILLI: f64 = 1e3;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asked {
    /// The value of nearest rank, milliseconds. Its argument is a ratio from 0 to 1.
    Quantile,
    Count,
    /// Of those, how many took no longer than its argument, milliseconds.
    CountBelow,
}

/// One of the functions: a histogram, and the number that it is asked for if there is one, to a number.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Told {
    asked: Asked,
    signature: Signature,
}

impl Told {
    pub fn all() -> impl Iterator<Item = Told> {
        let asked = [Asked::Quantile, Asked::Count, Asked::CountBelow];
        asked
            .into_iter()
            .map(|asked| Told { asked, signature: Signature::user_defined(Volatility::Immutable) })
    }

    /// How many arguments follow the histogram.
    fn numbers(&self) -> usize {
        usize::from(self.asked != Asked::Count)
    }

    /// What `histogram` tells, asked for `number`.
    fn of(&self, histogram: &LatencyHistogram, number: f64) -> Result<Option<f64>> {
        match self.asked {
            Asked::Count => Ok(Some(histogram.count() as f64 / MILLI)),
            Asked::CountBelow => Ok(Some(histogram.count_below(number * NANOS_PER_MILLI) / MILLI)),
            Asked::Quantile if (0.0..=1.0).contains(&number) => {
                Ok(histogram.quantile(number).map(|nanos| nanos / NANOS_PER_MILLI))
            }
            Asked::Quantile => {
                let message = format!("hist_quantile: a quantile is a ratio from 0 to 1, not {number}");
                Err(DataFusionError::Execution(message))
            }
        }
    }
}

impl ScalarUDFImpl for Told {
    fn name(&self) -> &str {
        match self.asked {
            Asked::Quantile => "hist_quantile",
            Asked::Count => "hist_count",
            Asked::CountBelow => "hist_count_below",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (histogram, numbers) = types.split_at(types.len().saturating_sub(self.numbers()));
        let are_numbers = numbers.iter().all(|of| of.is_numeric() || of.is_null());
        let coerced = column::coerced(histogram).filter(|_| are_numbers && numbers.len() == self.numbers());
        let mut coerced = coerced.ok_or_else(|| {
            let behind = if self.numbers() == 0 { "" } else { ", with a number behind it" };
            DataFusionError::Plan(format!("{}: {}{behind}", self.name(), column::SHAPES))
        })?;
        coerced.extend(numbers.iter().map(|_| DataType::Float64));
        Ok(coerced)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.into_iter().map(|column| column.into_array(rows));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let (histogram, numbers) = columns.split_at(columns.len() - self.numbers());
        let histograms = Histograms::of(histogram)?;
        let numbers = numbers.first().map(AsArray::as_primitive::<Float64Type>);
        let told = (0..rows).map(|row| {
            let number = match numbers {
                Some(numbers) if numbers.is_null(row) => return Ok(None),
                Some(numbers) => numbers.value(row),
                None => 0.0,
            };
            histograms.at(row)?.map_or(Ok(None), |histogram| self.of(&histogram, number))
        });
        Ok(ColumnarValue::Array(Arc::new(told.collect::<Result<Float64Array>>()?)))
    }
}
