//! How much the result of a function can take, from the sizes of its arguments.

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use crate::series::repeated_bytes;
use crate::weight::{Texts, array_bytes};

/// Bytes of one character at most. Source: RFC 3629 section 3.
const CHARACTER_BYTES_MAX: u64 = 4;

/// Bytes that an element of a list takes at most beside its text: a view, and a place among offsets.
const ELEMENT_BYTES: u64 = 24;

/// Letters that one letter of a format for times can become, the longest being "Wednesday, " and a date in
/// full.
const FORMATTED_BYTES_MAX: u64 = 32;

/// Digits, sign and point of the longest number.
const NUMBER_BYTES_MAX: u64 = 45;

/// How the result grows with the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Growth {
    /// No more than the arguments.
    None,
    /// A truth, after as many steps as one list is long times the other.
    Pairs,
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
    /// A number: where something is, looked for from a place on.
    Place,
    /// A list from one number or time to another.
    Series,
    /// A list of the value, n times.
    Values,
    /// All arguments, each written again: lists, structs, and texts one after the other.
    Parts,
    /// The first argument, twice at most: each letter becomes two.
    Double,
    /// The elements of a list as text, with the other arguments between each two.
    JoinElements,
    /// A list of the parts of a text, a letter each at worst.
    Split,
    /// The list, each of whose elements can become the last argument.
    ReplaceElements,
    /// A text for each row, in which each letter of the second argument stands for a part of a time.
    Format,
    /// The first text, in which each place can be one of the others.
    Fill,
}

impl Growth {
    /// A bound on the bytes of a whole batch.
    pub fn bytes(self, args: &ScalarFunctionArgs) -> Result<u64> {
        match self {
            // Elements are counted where it is refused.
            Growth::None | Growth::Series | Growth::Place => return Ok(0),
            Growth::Pairs => return Ok(pairs(args)),
            Growth::Values => return repeated_bytes(args),
            Growth::Parts => return Ok(parts(args)),
            Growth::Double => return Ok(parts(args).saturating_mul(2)),
            Growth::Split => return Ok(parts(args).saturating_mul(ELEMENT_BYTES)),
            Growth::JoinElements | Growth::ReplaceElements => return Ok(self.elements(args)),
            _ => {}
        }
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
            Growth::Format => second.saturating_mul(FORMATTED_BYTES_MAX),
            Growth::Fill => {
                let longest = (1..).map_while(size).max().unwrap_or_default();
                // `%s` is two letters; quotes in what is put in are doubled.
                text.saturating_add((text / 2).saturating_mul(longest.saturating_mul(2) + 2))
            }
            _ => 0,
        }
    }

    /// What a list's elements can become with the other arguments beside each.
    fn elements(self, args: &ScalarFunctionArgs) -> u64 {
        let list = args.args.first();
        let count = list.map_or(0, |list| elements_of(list, args.number_rows));
        let others = args.args.iter().skip(1).map(one_value).fold(0, u64::saturating_add);
        let number = if self == Growth::JoinElements { NUMBER_BYTES_MAX } else { 0 };
        parts(args).saturating_add(count.saturating_mul(others.saturating_add(number)))
    }
}

/// Bytes of all arguments as columns, their texts written again.
fn parts(args: &ScalarFunctionArgs) -> u64 {
    let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if is_constant { 1 } else { args.number_rows as u64 };
    let bytes = args.args.iter().map(|arg| match arg {
        ColumnarValue::Scalar(value) => (value.size() as u64).saturating_mul(rows),
        ColumnarValue::Array(array) => array_bytes(array, Texts::Copied) as u64,
    });
    bytes.fold(0, u64::saturating_add)
}

/// Elements of all rows of a list, and of lists in it.
fn elements_of(list: &ColumnarValue, rows: usize) -> u64 {
    match list {
        ColumnarValue::Array(array) => elements(array),
        ColumnarValue::Scalar(value) => {
            let one = value.to_array().map_or(0, |array| elements(&array));
            one.saturating_mul(rows as u64)
        }
    }
}

fn elements(array: &dyn Array) -> u64 {
    let inside = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().values(),
        DataType::LargeList(_) => array.as_list::<i64>().values(),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().values(),
        _ => return 0,
    };
    (inside.len() as u64).max(elements(inside))
}

/// Pairs of elements of the first two lists, row by row.
fn pairs(args: &ScalarFunctionArgs) -> u64 {
    let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if is_constant { 1 } else { args.number_rows };
    let length = |argument: usize, row: usize| match args.args.get(argument) {
        Some(ColumnarValue::Scalar(value)) => value.to_array().map_or(0, |array| list_length(&array, 0)),
        Some(ColumnarValue::Array(array)) => list_length(array, row),
        None => 0,
    };
    let constants = [0, 1].map(|side| match args.args.get(side) {
        Some(ColumnarValue::Scalar(_)) => Some(length(side, 0)),
        _ => None,
    });
    let of_row = |row| {
        let [left, right] = [0, 1].map(|side| constants[side].unwrap_or_else(|| length(side, row)));
        left.saturating_mul(right)
    };
    (0..rows).map(of_row).fold(0, u64::saturating_add)
}

/// Elements of the list in a row.
fn list_length(array: &dyn Array, row: usize) -> u64 {
    let length = match array.data_type() {
        DataType::List(_) => i64::from(array.as_list::<i32>().value_length(row)),
        DataType::LargeList(_) => array.as_list::<i64>().value_length(row),
        DataType::FixedSizeList(_, length) => i64::from(*length),
        _ => 0,
    };
    u64::try_from(length).unwrap_or_default()
}

/// Bytes of the longest of an argument's values.
fn one_value(argument: &ColumnarValue) -> u64 {
    match argument {
        ColumnarValue::Scalar(value) => value.size() as u64,
        ColumnarValue::Array(array) => {
            let rows = (0..array.len()).map(|row| array_bytes(&array.slice(row, 1), Texts::Copied) as u64);
            rows.max().unwrap_or_default()
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
        // format('%s%L', 'ab', '''') = 'ab''''''''', two and four quotes: six bytes
        assert!(bytes(Growth::Fill, &[4, 2, 1]) >= 6);
    }
}
