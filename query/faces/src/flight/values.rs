//! Values of parameters as a client binds them: one row of a record batch.
//!
//! Clients choose the types of columns themselves (ADBC takes those of the caller's objects), so every type that can be
//! a value is read, and the engine fits it to the parameter. What has no kind of its own among values is read as its
//! text: dates, decimals, and integers beyond 64 bits with a sign.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};
use arrow::util::display::array_value_to_string;
use meshlake_query::Value;
use meshlake_schema::UnixNanos;
use tonic::Status;

/// The values of the one row of `row`, by position.
///
/// # Errors
/// INVALID_ARGUMENT for another number of rows, and for a value that has no text.
pub fn values(row: &RecordBatch) -> Result<Vec<Option<Value>>, Status> {
    if row.num_rows() != 1 {
        let message = format!("one row of values is bound to a statement, not {}", row.num_rows());
        return Err(Status::invalid_argument(message));
    }
    let unfit = |error| Status::invalid_argument(format!("a value cannot be read: {error}"));
    row.columns().iter().map(|column| value(column.as_ref()).map_err(unfit)).collect()
}

/// The first value of `column`; none is null.
fn value(column: &dyn Array) -> Result<Option<Value>, arrow::error::ArrowError> {
    if column.is_null(0) {
        return Ok(None);
    }
    let data_type = column.data_type();
    Ok(Some(match data_type {
        DataType::Null => return Ok(None),
        DataType::Boolean => Value::Boolean(column.as_boolean().value(0)),
        DataType::UInt64 => Value::Text(array_value_to_string(column, 0)?),
        number if number.is_integer() => {
            Value::Integer(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().value(0))
        }
        number if number.is_floating() => {
            Value::Double(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().value(0))
        }
        DataType::Timestamp(..) => {
            let nanos = cast(column, &DataType::Timestamp(TimeUnit::Nanosecond, None))?;
            Value::Time(UnixNanos(nanos.as_primitive::<TimestampNanosecondType>().value(0)))
        }
        _ => Value::Text(array_value_to_string(column, 0)?),
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Float32Array, Int16Array, NullArray, StringViewArray,
        TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;

    #[test]
    fn every_type_that_can_be_a_value_is_one() {
        let columns: [(ArrayRef, Option<Value>); 9] = [
            (Arc::new(Int16Array::from(vec![-7])), Some(Value::Integer(-7))),
            (
                Arc::new(UInt64Array::from(vec![u64::MAX])),
                Some(Value::Text("18446744073709551615".to_owned())),
            ),
            (Arc::new(Float32Array::from(vec![0.5])), Some(Value::Double(0.5))),
            (Arc::new(BooleanArray::from(vec![true])), Some(Value::Boolean(true))),
            (Arc::new(StringViewArray::from(vec!["x"])), Some(Value::Text("x".to_owned()))),
            (Arc::new(Date32Array::from(vec![1])), Some(Value::Text("1970-01-02".to_owned()))),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC")),
                Some(Value::Time(UnixNanos(1_000))),
            ),
            (Arc::new(Int16Array::from(vec![None])), None),
            (Arc::new(NullArray::new(1)), None),
        ];
        let names = (0..).map(|place: u32| place.to_string());
        let row = RecordBatch::try_from_iter_with_nullable(
            names.zip(columns.iter()).map(|(name, (column, _))| (name, Arc::clone(column), true)),
        );
        let want: Vec<_> = columns.iter().map(|(_, want)| want.clone()).collect();
        assert_eq!(values(&row.expect("equal lengths")).ok(), Some(want));
    }

    #[test]
    fn another_number_of_rows_is_refused() {
        for rows in [0, 2] {
            let column: ArrayRef = Arc::new(Int16Array::from(vec![1; rows]));
            let batch = RecordBatch::try_from_iter([("$1", column)]).expect("one column");
            assert!(values(&batch).is_err(), "{rows}");
        }
    }
}
