//! Rows of `metric_points`: gauges, sums, and numbers of which nothing more is known.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use meshlake_schema::{Table, TableBatch};

use super::point::PointColumns;
use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn};

/// What a metric says about all its number points.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NumberShape {
    Gauge,
    Sum {
        temporality: i32,
        is_monotonic: bool,
    },
    /// No type was told that says whether it is one or the other.
    Unknown,
}

/// The value of a number point; none where none was recorded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NumberValue {
    pub(crate) value: Option<f64>,
    /// The exact value, where it was sent as an integer.
    pub(crate) value_int: Option<i64>,
}

/// Rows of `metric_points` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct PointBuilder {
    pub(crate) columns: PointColumns,
    metric_type: DictionaryColumn,
    temporality: NumberColumn<Int32Type>,
    is_monotonic: BooleanColumn,
    value: NumberColumn<Float64Type>,
    value_int: NumberColumn<Int64Type>,
}

impl PointBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let (metric_type, temporality) = (&mut self.metric_type, &mut self.temporality);
        let (is_monotonic, value, value_int) = (&mut self.is_monotonic, &mut self.value, &mut self.value_int);
        let own = || -> Vec<ArrayRef> {
            vec![
                metric_type.finish(),
                temporality.finish(),
                is_monotonic.finish(),
                value.finish(),
                value_int.finish(),
            ]
        };
        self.columns.finish(Table::MetricPoints, own)
    }

    /// Pushes what only points of this table have.
    pub(crate) fn push_own(&mut self, shape: NumberShape, number: NumberValue) {
        let (metric_type, temporality, is_monotonic) = match shape {
            NumberShape::Gauge => ("gauge", None, None),
            NumberShape::Sum { temporality, is_monotonic } => ("sum", Some(temporality), Some(is_monotonic)),
            NumberShape::Unknown => ("unknown", None, None),
        };
        self.metric_type.push(metric_type);
        self.temporality.push_option(temporality);
        self.is_monotonic.push_option(is_monotonic);
        self.value.push_option(number.value);
        self.value_int.push_option(number.value_int);
    }
}
