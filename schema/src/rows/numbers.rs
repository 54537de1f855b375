//! Columns of numbers, times and truth values.

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{Array, AsArray as _, BooleanArray, Float64Array, Int32Array, Int64Array};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

use super::ColumnReader;
use crate::tables::Kind;

/// A column of integers of 32 or 64 bits.
#[derive(Debug, Clone, Copy)]
pub struct Integers<'a> {
    values: IntegerValues<'a>,
}

#[derive(Debug, Clone, Copy)]
enum IntegerValues<'a> {
    Wide(&'a Int64Array),
    Narrow(&'a Int32Array),
    Absent,
}

impl<'a> Integers<'a> {
    /// The number of `row`; none when it is null.
    pub fn get(&self, row: usize) -> Option<i64> {
        match self.values {
            IntegerValues::Wide(array) => array.is_valid(row).then(|| array.value(row)),
            IntegerValues::Narrow(array) => array.is_valid(row).then(|| i64::from(array.value(row))),
            IntegerValues::Absent => None,
        }
    }

    /// Whether any row may have a number: false for a column that is absent, or null in every row.
    pub fn has_values(&self) -> bool {
        match self.values {
            IntegerValues::Wide(array) => array.null_count() < array.len(),
            IntegerValues::Narrow(array) => array.null_count() < array.len(),
            IntegerValues::Absent => false,
        }
    }

    /// The number of `row`, or 0 where there is none.
    pub fn or_zero(&self, row: usize) -> i64 {
        self.get(row).unwrap_or(0)
    }
}

impl<'a> ColumnReader<'a> for Integers<'a> {
    const KINDS: &'static [Kind] = &[Kind::Int64, Kind::Int32];

    fn absent() -> Self {
        Integers { values: IntegerValues::Absent }
    }

    fn of(array: &'a dyn Array) -> Option<Self> {
        let wide = array.as_primitive_opt::<Int64Type>().map(IntegerValues::Wide);
        let values = wide.or_else(|| array.as_primitive_opt::<Int32Type>().map(IntegerValues::Narrow))?;
        Some(Integers { values })
    }
}

/// Declares a reader over one type of array whose values are copied out.
macro_rules! reader {
    ($(#[$doc:meta])* $name:ident over $array:ident gives $value:ty, $kind:expr, $of:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'a> {
            values: Option<&'a $array>,
        }

        impl<'a> $name<'a> {
            /// The value of `row`; none when it is null.
            pub fn get(&self, row: usize) -> Option<$value> {
                let values = self.values?;
                values.is_valid(row).then(|| values.value(row))
            }
        }

        impl<'a> ColumnReader<'a> for $name<'a> {
            const KINDS: &'static [Kind] = &[$kind];

            fn absent() -> Self {
                $name { values: None }
            }

            fn of(array: &'a dyn Array) -> Option<Self> {
                let of: fn(&'a dyn Array) -> Option<&'a $array> = $of;
                of(array).map(|values| $name { values: Some(values) })
            }
        }
    };
}

reader! {
    /// A column of doubles.
    Doubles over Float64Array gives f64, Kind::Float64, |array| array.as_primitive_opt::<Float64Type>()
}

reader! {
    /// A column of truth values.
    Booleans over BooleanArray gives bool, Kind::Boolean, |array| array.as_boolean_opt()
}

reader! {
    /// A column of times, microseconds since the epoch.
    Micros over TimestampMicrosecondArray gives i64, Kind::Timestamp,
    |array| array.as_primitive_opt::<TimestampMicrosecondType>()
}
