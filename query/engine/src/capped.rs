//! Functions that can make much of little, refused before they do; and one that takes long for little.
//!
//! DataFusion's memory pool is not asked for what a scalar function allocates, so `repeat('x', 2000000000)` takes
//! two gigabytes from nobody's budget. Each function here is DataFusion's own behind a check: the size of
//! the result is bounded from the sizes of the arguments, and a batch that could outgrow
//! [`RESULT_BYTES_MAX`] is an error. The bounds are safe, not tight. Limits: `||` is an operator and has no such
//! check; it grows by what the statement's text can spell out.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::error::QueryError;
use crate::series::{check_series, repeated_bytes};

/// Bytes that one call may make for one batch (8,192 rows, or one while constants are folded). 64 MiB leaves
/// 8 KiB a row, more than any label or path.
const RESULT_BYTES_MAX: u64 = 64 << 20;

/// Bytes of one character at most. Source: RFC 3629 section 3.
const CHARACTER_BYTES_MAX: u64 = 4;

/// How the result grows with the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// The text, n times.
    Repeat,
    /// n characters.
    Pad,
    /// The text, with something put in wherever something is found.
    Replace,
    /// The same where what is found may be empty, and what is put in may quote it.
    ReplacePattern,
    /// All arguments one after the other, the first between each two.
    Join,
    /// No more than a number, after as many steps as one text is long times the other.
    Product,
    /// A list from one number or time to another.
    Series,
    /// A list of the value, n times.
    Values,
}

const CAPPED: [(&str, Growth); 11] = [
    ("repeat", Growth::Repeat),
    ("lpad", Growth::Pad),
    ("rpad", Growth::Pad),
    ("replace", Growth::Replace),
    ("regexp_replace", Growth::ReplacePattern),
    ("concat", Growth::Join),
    ("concat_ws", Growth::Join),
    ("levenshtein", Growth::Product),
    ("generate_series", Growth::Series),
    ("range", Growth::Series),
    ("array_repeat", Growth::Values),
];

/// The same function, behind a check if it needs one.
pub fn capped(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match CAPPED.iter().find(|(name, _)| *name == function.name()) {
        Some((_, growth)) => Arc::new(ScalarUDF::from(Capped { inner: function, growth: *growth })),
        None => function,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Capped {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = match self.growth {
            Growth::Series => check_series(self.name(), &args).map(|()| 0)?,
            Growth::Values => repeated_bytes(&args)?,
            growth => growth.bytes(&args)?,
        };
        if bytes > RESULT_BYTES_MAX {
            let name = self.name();
            let message = format!(
                "{name} could take {bytes} bytes or steps at once, at most {RESULT_BYTES_MAX} are allowed"
            );
            return Err(QueryError::Refused(message).into());
        }
        if self.growth == Growth::Pad
            && let Some(length) = args.args.get_mut(1)
        {
            *length = at_least_zero(length)?;
        }
        self.inner.invoke_with_args(args)
    }
}

/// A negative length is none, as in PostgreSQL; DataFusion's functions take it for one beyond all memory and panic.
fn at_least_zero(length: &ColumnarValue) -> Result<ColumnarValue> {
    Ok(match length {
        ColumnarValue::Scalar(ScalarValue::Int64(Some(length))) => {
            ColumnarValue::Scalar(ScalarValue::Int64(Some((*length).max(0))))
        }
        ColumnarValue::Array(lengths) if lengths.data_type() == &DataType::Int64 => {
            let lengths = lengths.as_primitive::<Int64Type>();
            ColumnarValue::Array(Arc::new(lengths.unary::<_, Int64Type>(|length| length.max(0))))
        }
        other => other.clone(),
    })
}

impl Growth {
    /// A bound on the bytes of a whole batch.
    fn bytes(self, args: &ScalarFunctionArgs) -> Result<u64> {
        let sizes = args.args.iter().map(Size::of).collect::<Result<Vec<_>>>()?;
        let all_same = sizes.iter().all(|size| matches!(size, Size::Same(_)));
        let rows = if all_same { 1 } else { args.number_rows };
        let row_bytes = |row| self.row_bytes(&|argument| sizes.get(argument).map(|size| size.at(row)));
        Ok((0..rows).map(row_bytes).fold(0, u64::saturating_add))
    }

    /// A bound on the bytes of one row's result. `size` is the byte length of a text argument, the value of a
    /// number, or None past the last argument.
    fn row_bytes(self, size: &dyn Fn(usize) -> Option<u64>) -> u64 {
        let argument = |position| size(position).unwrap_or_default();
        let (text, second, third) = (argument(0), argument(1), argument(2));
        match self {
            Growth::Repeat | Growth::Product => text.saturating_mul(second),
            Growth::Pad => second.saturating_mul(CHARACTER_BYTES_MAX),
            Growth::Replace => {
                let found = text.checked_div(second).unwrap_or(text + 1);
                text.saturating_add(found.saturating_mul(third))
            }
            Growth::ReplacePattern => (text + 1).saturating_mul(third + 1),
            Growth::Join => {
                let others = (1..).map_while(size).map(|other| other.saturating_add(text));
                others.fold(text, u64::saturating_add)
            }
            Growth::Series | Growth::Values => 0,
        }
    }
}

/// One argument's sizes: byte lengths of texts, values of numbers, 0 where null, negative, or neither.
enum Size {
    Same(u64),
    Each(Int64Array),
}

impl Size {
    fn of(argument: &ColumnarValue) -> Result<Size> {
        match argument {
            ColumnarValue::Scalar(scalar) => Ok(Size::Same(scalar_size(scalar))),
            ColumnarValue::Array(array) => {
                let sizes = match array.data_type() {
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                        cast(&length(array)?, &DataType::Int64)?
                    }
                    number if number.is_integer() => cast(array, &DataType::Int64)?,
                    _ => return Ok(Size::Same(0)),
                };
                Ok(Size::Each(sizes.as_primitive::<Int64Type>().clone()))
            }
        }
    }

    fn at(&self, row: usize) -> u64 {
        match self {
            Size::Same(size) => *size,
            Size::Each(sizes) if sizes.is_valid(row) => u64::try_from(sizes.value(row)).unwrap_or_default(),
            Size::Each(_) => 0,
        }
    }
}

fn scalar_size(scalar: &ScalarValue) -> u64 {
    if let Some(text) = scalar.try_as_str() {
        return text.map_or(0, |text| text.len() as u64);
    }
    match scalar.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) => u64::try_from(number).unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(growth: Growth, sizes: &[u64]) -> u64 {
        growth.row_bytes(&|argument| sizes.get(argument).copied())
    }

    #[test]
    fn bounds_are_never_below_the_result() {
        assert_eq!(bytes(Growth::Repeat, &[3, 5]), 15);
        assert_eq!(bytes(Growth::Repeat, &[2, u64::MAX]), u64::MAX);
        assert_eq!(bytes(Growth::Pad, &[1, 10]), 40); // ten characters of four bytes
        // replace('aaaa', 'aa', 'bbb') = 'bbbbbb'; the bound also counts what was there.
        assert_eq!(bytes(Growth::Replace, &[4, 2, 3]), 4 + 2 * 3);
        // replace('ab', '', 'x') = 'xaxbx'
        assert_eq!(bytes(Growth::Replace, &[2, 0, 1]), 2 + 3);
        // regexp_replace('ab', '', 'xy', 'g') = 'xyaxybxy', eight bytes
        assert_eq!(bytes(Growth::ReplacePattern, &[2, 0, 2]), 9);
        // concat_ws(',', 'ab', 'c') = 'ab,c'
        assert_eq!(bytes(Growth::Join, &[1, 2, 1]), 1 + 3 + 2);
    }
}
