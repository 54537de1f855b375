//! Columns that few rows fill: what is null costs nothing until a row is not.
//!
//! Whoever pushes a row says nothing for a value that it does not have. The rows that were passed over become null all at once,
//! when the next value comes or the column is finished. Columns of text that say nothing in any row, or the same in all, are
//! half of those of a batch of requests; they share their keys, which are zeros.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::ArrowPrimitiveType;

use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn, TextColumn};

/// What the columns of a batch share.
#[derive(Debug)]
pub struct Zeros {
    rows: usize,
    /// One more than there are rows.
    zeros: ScalarBuffer<i32>,
    nulls: NullBuffer,
}

impl Zeros {
    /// For a batch of so many rows.
    pub fn new(rows: usize) -> Self {
        Zeros { rows, zeros: vec![0; rows + 1].into(), nulls: NullBuffer::new_null(rows) }
    }
}

impl TextColumn {
    /// Pushes the text of a row, if it has one; rows before it that were passed over are null.
    #[inline]
    pub fn fill(&mut self, row: usize, text: Option<&str>) {
        if let Some(text) = text {
            self.pad_nulls(row);
            self.push(text);
        }
    }

    /// Pushes nulls until the column has `rows` rows.
    #[inline]
    pub fn pad_nulls(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing > 0 {
            let end = self.offsets[self.len()];
            self.offsets.resize(rows + 1, end);
            self.validity.push_n(false, missing);
        }
    }

    /// Like [`finish`](Self::finish), with the rows of a batch, of which those that were passed over are null.
    pub fn finish_rows(&mut self, batch: &Zeros) -> ArrayRef {
        if self.is_empty() {
            let offsets = OffsetBuffer::new(batch.zeros.clone());
            return Arc::new(StringArray::new(
                offsets,
                Buffer::from_vec(Vec::<u8>::new()),
                Some(batch.nulls.clone()),
            ));
        }
        self.pad_nulls(batch.rows);
        self.finish()
    }
}

impl DictionaryColumn {
    /// Pushes the text of a row, if it has one; rows before it that were passed over are null.
    #[inline]
    pub fn fill(&mut self, row: usize, text: Option<&str>) {
        if let Some(text) = text {
            self.pad_nulls(row);
            self.push(text);
        }
    }

    /// Pushes nulls until the column has `rows` rows.
    #[inline]
    pub fn pad_nulls(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing > 0 {
            self.push_nulls(missing);
        }
    }

    /// Like [`finish`](Self::finish), with the rows of a batch, of which those that were passed over are null.
    pub fn finish_rows(&mut self, batch: &Zeros) -> ArrayRef {
        let nulls = match (self.len(), self.values.len(), &self.validity) {
            (0, ..) => Some(batch.nulls.clone()),
            (rows, 1, None) if rows == batch.rows => None,
            _ => {
                self.pad_nulls(batch.rows);
                return self.finish();
            }
        };
        self.finish_with(Int32Array::new(batch.zeros.slice(0, batch.rows), nulls))
    }
}

impl<T: ArrowPrimitiveType> NumberColumn<T> {
    /// Pushes the number of a row, if it has one; rows before it that were passed over are null.
    #[inline]
    pub fn fill(&mut self, row: usize, value: Option<T::Native>) {
        if let Some(value) = value {
            self.pad_nulls(row);
            self.push(value);
        }
    }

    /// Pushes nulls until the column has `rows` rows.
    #[inline]
    pub fn pad_nulls(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing > 0 {
            self.values.resize(rows, T::Native::default());
            self.validity.push_n(false, missing);
        }
    }

    /// Like [`finish`](Self::finish), with the rows of a batch, of which those that were passed over are null.
    pub fn finish_rows(&mut self, batch: &Zeros) -> ArrayRef {
        self.pad_nulls(batch.rows);
        self.finish()
    }
}

impl BooleanColumn {
    /// Pushes what is said of a row, if anything is; rows before it that were passed over are null.
    #[inline]
    pub fn fill(&mut self, row: usize, value: Option<bool>) {
        if let Some(value) = value {
            self.pad_nulls(row);
            self.push(value);
        }
    }

    fn pad_nulls(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.values.len());
        if missing > 0 {
            self.values.append_n(missing, false);
            self.validity.push_n(false, missing);
        }
    }

    /// Like [`finish`](Self::finish), with the rows of a batch, of which those that were passed over are null.
    pub fn finish_rows(&mut self, batch: &Zeros) -> ArrayRef {
        self.pad_nulls(batch.rows);
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, StringArray};
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    fn dictionary(array: &ArrayRef) -> Vec<Option<&str>> {
        let strings = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>();
        strings.expect("strings").into_iter().collect()
    }

    /// Rows 1, 2 and 4 of six say something, and nothing does in the next group.
    #[test]
    fn rows_that_are_passed_over_are_null() {
        let (mut texts, mut names) = (TextColumn::default(), DictionaryColumn::default());
        let (mut numbers, mut answers) = (NumberColumn::<Int64Type>::default(), BooleanColumn::default());
        let said = [None, Some("a"), Some(""), None, Some("a"), None];
        for (row, text) in said.into_iter().enumerate() {
            texts.fill(row, text);
            names.fill(row, text);
            numbers.fill(row, text.map(|text| text.len() as i64));
            answers.fill(row, text.map(str::is_empty));
        }
        let [six, two] = [6, 2].map(Zeros::new);
        assert_eq!(dictionary(&names.finish_rows(&six)), said);
        assert_eq!(texts.finish_rows(&six).as_string::<i32>().iter().collect::<Vec<_>>(), said);
        let lengths = [None, Some(1), Some(0), None, Some(1), None];
        assert_eq!(numbers.finish_rows(&six).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), lengths);
        let empty = [None, Some(false), Some(true), None, Some(false), None];
        assert_eq!(answers.finish_rows(&six).as_boolean().iter().collect::<Vec<_>>(), empty);
        let next = [
            texts.finish_rows(&two),
            names.finish_rows(&two),
            numbers.finish_rows(&two),
            answers.finish_rows(&two),
        ];
        assert!(next.iter().all(|column| (column.len(), column.null_count()) == (2, 2)));
    }

    /// Keys that are shared are those that would have been made: for a text that is in all rows, in some, or beside another.
    #[test]
    fn a_text_of_all_rows_is_in_all_rows() {
        for said in [[Some("a"), Some("a")], [Some("a"), None], [None, Some("a")], [Some("a"), Some("b")]] {
            let mut names = DictionaryColumn::default();
            for _ in 0..2 {
                said.into_iter().enumerate().for_each(|(row, text)| names.fill(row, text));
                assert_eq!(dictionary(&names.finish_rows(&Zeros::new(2))), said);
            }
        }
    }
}
