//! Reads cells of a batch by column name, however the engine encoded the column.
//!
//! The engine hands strings over as views, a hot batch holds dictionaries, a test may hold plain strings;
//! one accessor for all three keeps the folds free of casts, which would copy every string. A column that
//! the batch lacks reads as null in every row, because files of older versions may lack columns.
//!
//! Names repeat in almost every row, so [`Text::code`] gives a number that is the same for the same cell content
//! of one batch: what was made of a name is looked up by it, and the text is read once a batch.

use arrow::array::{
    Array, AsArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    StringViewArray,
};
use arrow::datatypes::Int32Type;

use crate::hashing::mixed_pair;

/// A column of text.
pub(crate) enum Text<'a> {
    View(&'a StringViewArray),
    Plain(&'a StringArray),
    Dictionary(&'a DictionaryArray<Int32Type>, &'a StringArray),
    Absent,
}

impl<'a> Text<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, name: &str) -> Self {
        batch.column_by_name(name).map_or(Text::Absent, |column| Text::from_array(column.as_ref()))
    }

    fn from_array(array: &'a dyn Array) -> Self {
        if let Some(views) = array.as_string_view_opt() {
            return Text::View(views);
        }
        if let Some(strings) = array.as_string_opt::<i32>() {
            return Text::Plain(strings);
        }
        let dictionary = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>();
        match dictionary.and_then(|d| d.values().as_string_opt::<i32>().map(|values| (d, values))) {
            Some((dictionary, values)) => Text::Dictionary(dictionary, values),
            None => Text::Absent,
        }
    }

    /// The value of `row`; null and the empty string are both `None`, for neither names anything.
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        let value = match self {
            Text::View(array) => array.is_valid(row).then(|| array.value(row)),
            Text::Plain(array) => array.is_valid(row).then(|| array.value(row)),
            Text::Dictionary(array, values) => {
                array.key(row).filter(|key| values.is_valid(*key)).map(|key| values.value(key))
            }
            Text::Absent => None,
        };
        value.filter(|text| !text.is_empty())
    }

    /// A number for the value of `row`: within one batch, equal numbers mean equal values (but for a chance of
    /// 2^-64), and 0 is null. Equal values may have two numbers.
    pub(crate) fn code(&self, row: usize) -> u64 {
        match self {
            // A view is the length, the text's start, and the text or its place: equal views are equal texts.
            Text::View(array) if array.is_valid(row) => {
                let view = array.views()[row];
                mixed_pair(view as u64, (view >> 64) as u64) | 1
            }
            Text::Plain(array) if array.is_valid(row) => {
                array.value(row).bytes().fold(1, |hash, byte| mixed_pair(hash, u64::from(byte))) | 1
            }
            Text::Dictionary(array, _) => array.key(row).map_or(0, |key| key as u64 + 1),
            Text::View(_) | Text::Plain(_) | Text::Absent => 0,
        }
    }
}

/// A column of integers of 32 or 64 bits.
pub(crate) enum Integers<'a> {
    Wide(&'a Int64Array),
    Narrow(&'a Int32Array),
    Absent,
}

impl<'a> Integers<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else {
            return Integers::Absent;
        };
        let any = column.as_any();
        if let Some(wide) = any.downcast_ref::<Int64Array>() {
            return Integers::Wide(wide);
        }
        any.downcast_ref::<Int32Array>().map_or(Integers::Absent, Integers::Narrow)
    }

    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        match self {
            Integers::Wide(array) => array.is_valid(row).then(|| array.value(row)),
            Integers::Narrow(array) => array.is_valid(row).then(|| i64::from(array.value(row))),
            Integers::Absent => None,
        }
    }

    /// The value, or 0 where there is none.
    pub(crate) fn or_zero(&self, row: usize) -> i64 {
        self.get(row).unwrap_or(0)
    }
}

/// The value of a boolean column; null and a missing column are `None`.
pub(crate) fn boolean(batch: &RecordBatch, name: &str) -> impl Fn(usize) -> Option<bool> {
    let column = batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<BooleanArray>()).cloned();
    move |row| column.as_ref().filter(|c| c.is_valid(row)).map(|c| c.value(row))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .expect("columns have equal lengths")
    }

    #[test]
    fn every_encoding_of_text_reads_the_same() {
        let values = [Some("a"), None, Some("")];
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringViewArray::from_iter(values)),
            Arc::new(StringArray::from_iter(values)),
            Arc::new(values.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ];
        for array in arrays {
            let batch = batch(vec![("text", array)]);
            let text = Text::of(&batch, "text");
            assert_eq!([text.get(0), text.get(1), text.get(2)], [Some("a"), None, None]);
        }
    }

    #[test]
    fn equal_codes_are_equal_values() {
        let values = [Some("a"), Some("b"), None, Some("a"), Some("a text longer than twelve bytes")];
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringViewArray::from_iter(values)),
            Arc::new(StringArray::from_iter(values)),
            Arc::new(values.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ];
        for array in arrays {
            let batch = batch(vec![("text", array)]);
            let text = Text::of(&batch, "text");
            let codes: Vec<u64> = (0..5).map(|row| text.code(row)).collect();
            assert_eq!((codes[0], codes[2]), (codes[3], 0));
            assert!(codes[0] != codes[1] && codes[0] != codes[4] && codes[0] != 0, "{codes:?}");
        }
    }

    #[test]
    fn a_missing_column_is_null_everywhere() {
        let batch = batch(vec![("other", Arc::new(Int64Array::from(vec![7])) as ArrayRef)]);
        assert_eq!(Text::of(&batch, "text").get(0), None);
        assert_eq!(Integers::of(&batch, "count").get(0), None);
        assert_eq!(Integers::of(&batch, "other").get(0), Some(7));
        assert_eq!(boolean(&batch, "flag")(0), None);
    }
}
