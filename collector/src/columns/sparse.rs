//! Columns that few rows fill: what is null costs nothing until a row is not.
//!
//! Whoever pushes a row says nothing for a value that it does not have. The rows that were passed over become null all at once,
//! when the next value comes or the column is finished.

use arrow::array::ArrayRef;
use arrow::datatypes::ArrowPrimitiveType;

use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn, TextColumn};

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

    /// Like [`finish`](Self::finish), with as many rows, of which those that were passed over are null.
    pub fn finish_rows(&mut self, rows: usize) -> ArrayRef {
        self.pad_nulls(rows);
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

    /// Like [`finish`](Self::finish), with as many rows, of which those that were passed over are null.
    pub fn finish_rows(&mut self, rows: usize) -> ArrayRef {
        self.pad_nulls(rows);
        self.finish()
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

    /// Like [`finish`](Self::finish), with as many rows, of which those that were passed over are null.
    pub fn finish_rows(&mut self, rows: usize) -> ArrayRef {
        self.pad_nulls(rows);
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

    /// Like [`finish`](Self::finish), with as many rows, of which those that were passed over are null.
    pub fn finish_rows(&mut self, rows: usize) -> ArrayRef {
        self.pad_nulls(rows);
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, StringArray};
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

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
        let names_array = names.finish_rows(6);
        let names_read = names_array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>();
        assert_eq!(names_read.expect("strings").into_iter().collect::<Vec<_>>(), said);
        assert_eq!(texts.finish_rows(6).as_string::<i32>().iter().collect::<Vec<_>>(), said);
        let lengths = [None, Some(1), Some(0), None, Some(1), None];
        assert_eq!(numbers.finish_rows(6).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), lengths);
        let empty = [None, Some(false), Some(true), None, Some(false), None];
        assert_eq!(answers.finish_rows(6).as_boolean().iter().collect::<Vec<_>>(), empty);
        let next =
            [texts.finish_rows(2), names.finish_rows(2), numbers.finish_rows(2), answers.finish_rows(2)];
        assert!(next.iter().all(|column| (column.len(), column.null_count()) == (2, 2)));
    }
}
