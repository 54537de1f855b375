//! Columns whose rows are maps, or lists of structs: attributes, events, links, exemplars, quantiles.
//!
//! The elements of all rows lie one after the other, and each field of theirs is a column of its own: a reader
//! gives the places of a row's elements, its public fields are read there.

use std::fmt;
use std::ops::Range;

use arrow::array::{Array, AsArray as _, MapArray};

use super::ColumnReader;
use super::lists::Places;
use super::numbers::{Doubles, Integers};
use super::text::Text;
use crate::tables::Kind;

/// A column of attributes: keys and values as text. How values are written, and which column says of what type
/// they were, see [`crate::attributes`].
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    map: Option<&'a MapArray>,
    keys: Text<'a>,
    values: Text<'a>,
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attributes").field("is_absent", &self.map.is_none()).finish_non_exhaustive()
    }
}

impl<'a> Attributes<'a> {
    /// Whether no row has any.
    pub fn is_absent(&self) -> bool {
        self.map.is_none()
    }

    /// The value of the first entry of `row` called `key`; none without one, or when it is null.
    pub fn get(&self, row: usize, key: &str) -> Option<&'a str> {
        let place = self.places(row).find(|place| self.keys.get(*place) == Some(key))?;
        self.values.get(place)
    }

    /// Keys and values of `row` in the order stored. A value that another writer left null is empty.
    pub fn entries(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let (keys, values) = (self.keys, self.values);
        let entry = move |place| Some((keys.get(place)?, values.get(place).unwrap_or_default()));
        self.places(row).filter_map(entry)
    }

    fn places(&self, row: usize) -> Range<usize> {
        let Some(map) = self.map.filter(|map| map.is_valid(row)) else { return 0..0 };
        let offsets = map.value_offsets();
        offsets[row] as usize..offsets[row + 1] as usize
    }
}

impl<'a> ColumnReader<'a> for Attributes<'a> {
    const KINDS: &'static [Kind] = &[Kind::Attributes];

    fn absent() -> Self {
        Attributes { map: None, keys: Text::absent(), values: Text::absent() }
    }

    fn of(array: &'a dyn Array) -> Option<Self> {
        let map = array.as_map_opt()?;
        let (keys, values) = (Text::of(map.keys().as_ref())?, Text::of(map.values().as_ref())?);
        Some(Attributes { map: Some(map), keys, values })
    }
}

/// Declares a reader over lists of structs. A field that the struct lacks reads as null.
macro_rules! nested {
    ($(#[$doc:meta])* $name:ident, $kind:expr, { $($field:ident: $reader:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'a> {
            places: Places<'a>,
            $(pub $field: $reader<'a>),+
        }

        impl<'a> $name<'a> {
            /// The fields that are read.
            #[cfg(test)]
            pub(super) const FIELDS: &'static [&'static str] = &[$(stringify!($field)),+];

            /// Where the elements of `row` are in each field; empty for a null list.
            pub fn places(&self, row: usize) -> Range<usize> {
                self.places.get(row)
            }
        }

        impl<'a> ColumnReader<'a> for $name<'a> {
            const KINDS: &'static [Kind] = &[$kind];

            fn absent() -> Self {
                $name { places: Places::ABSENT, $($field: $reader::absent()),+ }
            }

            fn of(array: &'a dyn Array) -> Option<Self> {
                let lists = array.as_list_opt::<i32>()?;
                let elements = lists.values().as_struct_opt()?;
                $(
                    let $field = match elements.column_by_name(stringify!($field)) {
                        Some(field) => $reader::of(field.as_ref())?,
                        None => $reader::absent(),
                    };
                )+
                Some($name { places: Places::of(lists), $($field),+ })
            }
        }
    };
}

nested! {
    /// A column of span events, all of each row in the order sent.
    Events, Kind::Events, {
        time_unix_nano: Integers,
        name: Text,
        attributes: Attributes,
        attribute_types: Text,
        dropped_attributes_count: Integers,
    }
}

nested! {
    /// A column of span links, all of each row in the order sent.
    Links, Kind::Links, {
        trace_id: Text,
        span_id: Text,
        trace_state: Text,
        attributes: Attributes,
        attribute_types: Text,
        dropped_attributes_count: Integers,
        flags: Integers,
    }
}

nested! {
    /// A column of exemplars, all of each row in the order sent.
    Exemplars, Kind::Exemplars, {
        time_unix_nano: Integers,
        value: Doubles,
        value_int: Integers,
        trace_id: Text,
        span_id: Text,
        attributes: Attributes,
        attribute_types: Text,
    }
}

nested! {
    /// A column of summary quantiles, all of each row in the order sent.
    Quantiles, Kind::Quantiles, {
        quantile: Doubles,
        value: Doubles,
    }
}
