//! No function takes a plan down, whatever it is called with and however few rows there are.
//!
//! A function that panics ends its statement with "the server failed", and one that takes the memory of the machine ends
//! the process. DataFusion has some two hundred; each is called here as the engine calls it, on columns and on
//! constants of each type that it takes, at the ends of their ranges.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringViewArray,
    TimestampMicrosecondArray, UInt32Array, new_empty_array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF};

use super::*;

/// Rows of a column: as many as there are pairs of the values of two.
const ROWS: u32 = 100;

/// Values that functions trip over, of each type that columns have.
fn odd_columns() -> Vec<ArrayRef> {
    let texts = [
        Some(""),
        Some("a"),
        Some("é\u{1f980}\u{202e}"),
        Some("(a*)*b"),
        Some("{\"a\":[1]}"),
        Some("2026-11-29T00:00:00Z"),
        Some("9223372036854775807"),
        None,
        Some("%Y %Q %"),
        Some("some text that is longer than what fits into a view, by far"),
    ];
    let numbers =
        [Some(0), Some(1), Some(-1), Some(i64::MIN), Some(i64::MAX), None, Some(1_000_000), Some(1 << 31)];
    let fractions =
        [Some(0.5), Some(-0.0), Some(f64::NAN), Some(f64::INFINITY), Some(f64::MIN), None, Some(1e300)];
    let times = [Some(0), Some(i64::MIN), Some(i64::MAX), None, Some(1_796_000_000_000_000)];
    let lists = [Some(vec![]), None, Some(vec![Some(1), None]), Some(vec![Some(i64::MAX); 40])];
    vec![
        Arc::new(StringViewArray::from_iter(texts)),
        Arc::new(Int64Array::from_iter(numbers)),
        Arc::new(Float64Array::from_iter(fractions)),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC")),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
    ]
}

/// The column with its values in another order for each place among arguments, so that all meet all.
fn spread(column: &ArrayRef, place: u32) -> ArrayRef {
    let count = u32::try_from(column.len()).expect("a few");
    let rows = (0..ROWS).map(|row| if place == 0 { row % count } else { (row / 10 + place * row) % count });
    take(column, &UInt32Array::from_iter_values(rows), None).expect("rows that are there")
}

/// Calls the function on columns, on a column and constants, and on no rows; what it answers does not matter.
fn call(function: &ScalarUDF, columns: &[ArrayRef]) -> PlanResult<()> {
    let field = |kind: &DataType| Arc::new(Field::new("f", kind.clone(), true));
    let given = columns.iter().map(|column| field(column.data_type())).collect::<Vec<_>>();
    let wanted = fields_with_udf(&given, function)?;
    let return_field = |scalar_arguments: &[Option<&ScalarValue>]| {
        function.return_field_from_args(ReturnFieldArgs { arg_fields: &wanted, scalar_arguments })
    };
    let invoke = |args: Vec<ColumnarValue>, number_rows, return_field| {
        let config_options = Arc::new(ConfigOptions::default());
        let arg_fields = wanted.clone();
        function.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields,
            number_rows,
            return_field,
            config_options,
        })
    };
    let cast = columns.iter().zip(&wanted).map(|(column, wanted)| cast(column, wanted.data_type()));
    let cast = cast.collect::<Result<Vec<_>, _>>()?;
    if let Ok(returned) = return_field(&vec![None; cast.len()]) {
        let spread = (0..).zip(&cast).map(|(place, column)| ColumnarValue::Array(spread(column, place)));
        let _ = invoke(spread.collect(), ROWS as usize, Arc::clone(&returned));
        let none = cast.iter().map(|column| ColumnarValue::Array(new_empty_array(column.data_type())));
        let _ = invoke(none.collect(), 0, returned);
    }
    for row in (0..cast.iter().map(Array::len).max().unwrap_or_default()).step_by(3) {
        let value = |(place, column): (usize, &ArrayRef)| {
            ScalarValue::try_from_array(column, (row + place * (row + 1)) % column.len())
        };
        let values = cast.iter().enumerate().map(value).collect::<PlanResult<Vec<_>>>()?;
        for constant_from in 0..=1_usize.min(cast.len()) {
            let scalars = values.iter().enumerate();
            let scalars =
                scalars.map(|(place, value)| (place >= constant_from).then_some(value)).collect::<Vec<_>>();
            let Ok(returned) = return_field(&scalars) else { continue };
            let args = scalars.iter().zip(&cast).map(|(value, column)| match value {
                Some(value) => ColumnarValue::Scalar((*value).clone()),
                None => ColumnarValue::Array(spread(column, 0)),
            });
            let rows = if constant_from == 0 { 1 } else { ROWS as usize };
            let _ = invoke(args.collect(), rows, returned);
        }
    }
    Ok(())
}

/// Up to two arguments of any type, and a third that is a text or a number.
#[tokio::test]
async fn no_function_panics() {
    let engine = mixed().await;
    let columns = odd_columns();
    let mut failed = Vec::new();
    for function in engine.shared.template.scalar_functions() {
        let mut calls = vec![vec![]];
        for (arguments, kinds) in [(1, 6), (2, 6), (3, 2)] {
            let last = calls.iter().filter(|call: &&Vec<ArrayRef>| call.len() + 1 == arguments);
            let longer = last.flat_map(|call| {
                let columns = columns.iter().take(kinds);
                columns.map(move |column| [call.as_slice(), &[Arc::clone(column)]].concat())
            });
            let longer = longer.collect::<Vec<_>>();
            calls.extend(longer);
        }
        for columns in calls {
            if catch_unwind(AssertUnwindSafe(|| call(&function, &columns))).is_err() {
                let types = columns.iter().map(|column| column.data_type().to_string()).collect::<Vec<_>>();
                failed.push(format!("{}({})", function.name(), types.join(", ")));
            }
        }
    }
    failed.dedup();
    assert!(failed.is_empty(), "{failed:#?}");
}
