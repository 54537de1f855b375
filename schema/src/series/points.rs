//! Points as parts of series: the same columns, with a count of 1, and copies of none of them.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int64Array, ListArray, RecordBatch, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;

use super::SeriesError;
use crate::batch::TableBatch;
use crate::tables::{Column, Kind, Table};

/// One row of `table` a point.
///
/// # Panics
/// When the points are not of the table's source.
pub(super) fn as_parts(table: Table, points: &TableBatch) -> Result<TableBatch, SeriesError> {
    assert_eq!(table.source(), Some(points.table()), "series are derived from points");
    let columns = table.columns().iter().map(|column| part_column(column, points.rows()));
    let rows = RecordBatch::try_new(Arc::clone(table.schema()), columns.collect())?;
    Ok(TableBatch::try_new(table, rows).expect("the columns are those of the table, in its order"))
}

fn part_column(column: &Column, points: &RecordBatch) -> ArrayRef {
    let count = points.num_rows();
    let own = |name: &str| points.column_by_name(name).map(Arc::clone);
    match column.name {
        "last_time_unix_nano" => own("time_unix_nano").expect("a point has a time"),
        "point_count" => Arc::new(Int64Array::from_value(1, count)),
        "sum_count" => sum_counts(points),
        "marks" => marks(points),
        name => own(name).unwrap_or_else(|| new_null_array(&column.kind.hot_type(), count)),
    }
}

/// 1 where a point tells a sum.
fn sum_counts(points: &RecordBatch) -> ArrayRef {
    let sums = points.column_by_name("sum");
    let has_sum = |row| sums.is_some_and(|sums| sums.is_valid(row));
    Arc::new(Int64Array::from_iter_values((0..points.num_rows()).map(|row| i64::from(has_sum(row)))))
}

fn marks(points: &RecordBatch) -> ArrayRef {
    if let Some(bounds) = points.column_by_name("explicit_bounds") {
        return Arc::clone(bounds);
    }
    let DataType::List(element) = Kind::Float64List.hot_type() else {
        unreachable!("a list of doubles is a list")
    };
    let Some(quantiles) = points.column_by_name("quantiles") else {
        let offsets = OffsetBuffer::new_zeroed(points.num_rows());
        return Arc::new(ListArray::new(
            Arc::clone(&element),
            offsets,
            new_empty_array(element.data_type()),
            None,
        ));
    };
    let quantiles = quantiles.as_list::<i32>();
    let values = quantiles.values().as_struct().column_by_name("quantile").expect("a quantile is one");
    Arc::new(ListArray::new(
        element,
        quantiles.offsets().clone(),
        Arc::clone(values),
        quantiles.nulls().cloned(),
    ))
}
