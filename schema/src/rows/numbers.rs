//! Columns of numbers, times and truth values.

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{Array, AsArray as _, BooleanArray, Float64Array, Int32Array, Int64Array};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

use super::{ColumnReader, are_alike};
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
    #[inline]
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

    /// Whether all rows have the same number, or none has one.
    pub fn is_uniform(&self) -> bool {
        let are_given = |array: &dyn Array| array.null_count() == 0;
        match self.values {
            IntegerValues::Wide(array) => are_given(array) && are_alike(array.values()) || !self.has_values(),
            IntegerValues::Narrow(array) => {
                are_given(array) && are_alike(array.values()) || !self.has_values()
            }
            IntegerValues::Absent => true,
        }
    }

    /// The numbers of all rows, where each has one of 64 bits.
    pub fn all(&self) -> Option<&'a [i64]> {
        match self.values {
            IntegerValues::Wide(array) if array.null_count() == 0 => Some(array.values()),
            _ => None,
        }
    }

    /// The number of `row`, or 0 where there is none.
    #[inline]
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
            #[inline]
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

impl<'a> Doubles<'a> {
    /// The values of all rows, where each has one.
    pub fn all(&self) -> Option<&'a [f64]> {
        self.values.filter(|array| array.null_count() == 0).map(|array| &array.values()[..])
    }

    /// Whether all rows have the same value, to the last bit, or none has one.
    pub fn is_uniform(&self) -> bool {
        let Some(values) = self.values else { return true };
        let is_first = |value: &f64| value.to_bits() == values.value(0).to_bits();
        values.null_count() == values.len()
            || values.null_count() == 0 && values.values().iter().all(is_first)
    }
}

impl Booleans<'_> {
    /// Whether all rows have the same value, or none has one.
    pub fn is_uniform(&self) -> bool {
        let Some(values) = self.values else { return true };
        values.null_count() == values.len()
            || values.null_count() == 0 && [0, values.len()].contains(&values.true_count())
    }
}

reader! {
    /// A column of times, microseconds since the epoch.
    Micros over TimestampMicrosecondArray gives i64, Kind::Timestamp,
    |array| array.as_primitive_opt::<TimestampMicrosecondType>()
}
