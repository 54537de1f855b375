//! Columns whose rows are lists of plain values.

use std::ops::Range;

use arrow::array::{Array, AsArray as _, ListArray};
use arrow::datatypes::{Float64Type, Int64Type};

use super::ColumnReader;
use super::text::Text;
use crate::tables::Kind;

/// Where each row's elements lie among those of all rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    lists: Option<&'a ListArray>,
}

impl<'a> Places<'a> {
    pub(super) const ABSENT: Places<'static> = Places { lists: None };

    pub(super) fn of(lists: &'a ListArray) -> Self {
        Places { lists: Some(lists) }
    }

    /// Empty for a null or an absent list.
    pub(super) fn get(&self, row: usize) -> Range<usize> {
        let Some(lists) = self.lists.filter(|lists| lists.is_valid(row)) else { return 0..0 };
        let offsets = lists.value_offsets();
        offsets[row] as usize..offsets[row + 1] as usize
    }
}

/// A column of lists of text.
#[derive(Debug, Clone, Copy)]
pub struct TextLists<'a> {
    places: Places<'a>,
    texts: Text<'a>,
}

impl<'a> TextLists<'a> {
    /// The texts of `row` in order; none of a null list.
    pub fn get(&self, row: usize) -> impl Iterator<Item = &'a str> + use<'a> {
        let texts = self.texts;
        self.places.get(row).filter_map(move |place| texts.get(place))
    }
}

impl<'a> ColumnReader<'a> for TextLists<'a> {
    const KINDS: &'static [Kind] = &[Kind::TextList];

    fn absent() -> Self {
        TextLists { places: Places::ABSENT, texts: Text::absent() }
    }

    fn of(array: &'a dyn Array) -> Option<Self> {
        let lists = array.as_list_opt::<i32>()?;
        Some(TextLists { places: Places::of(lists), texts: Text::of(lists.values().as_ref())? })
    }
}

/// A column of lists of integers.
#[derive(Debug, Clone, Copy)]
pub struct IntegerLists<'a> {
    places: Places<'a>,
    values: &'a [i64],
}

impl<'a> IntegerLists<'a> {
    /// The numbers of `row` in order; empty for a null list.
    pub fn get(&self, row: usize) -> &'a [i64] {
        &self.values[self.places.get(row)]
    }
}

impl<'a> ColumnReader<'a> for IntegerLists<'a> {
    const KINDS: &'static [Kind] = &[Kind::Int64List];

    fn absent() -> Self {
        IntegerLists { places: Places::ABSENT, values: &[] }
    }

    fn of(array: &'a dyn Array) -> Option<Self> {
        let lists = array.as_list_opt::<i32>()?;
        let values = lists.values().as_primitive_opt::<Int64Type>()?.values();
        Some(IntegerLists { places: Places::of(lists), values })
    }
}

/// A column of lists of doubles.
#[derive(Debug, Clone, Copy)]
pub struct DoubleLists<'a> {
    places: Places<'a>,
    values: &'a [f64],
}

impl<'a> DoubleLists<'a> {
    /// The numbers of `row` in order; empty for a null list.
    pub fn get(&self, row: usize) -> &'a [f64] {
        &self.values[self.places.get(row)]
    }
}

impl<'a> ColumnReader<'a> for DoubleLists<'a> {
    const KINDS: &'static [Kind] = &[Kind::Float64List];

    fn absent() -> Self {
        DoubleLists { places: Places::ABSENT, values: &[] }
    }

    fn of(array: &'a dyn Array) -> Option<Self> {
        let lists = array.as_list_opt::<i32>()?;
        let values = lists.values().as_primitive_opt::<Float64Type>()?.values();
        Some(DoubleLists { places: Places::of(lists), values })
    }
}
