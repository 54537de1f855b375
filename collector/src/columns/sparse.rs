//! Columns that few rows fill: what is null costs nothing until a row is not.
//!
//! Whoever pushes a row says nothing for a value that it does not have. The rows that were passed over become null all at once,
//! when the next value comes or the column is finished.

use arrow::datatypes::ArrowPrimitiveType;

use crate::columns::{DictionaryColumn, NumberColumn};

impl DictionaryColumn {
    /// Pushes nulls until the column has `rows` rows.
    #[inline]
    pub fn pad_nulls(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing > 0 {
            self.push_nulls(missing);
        }
    }
}

impl<T: ArrowPrimitiveType> NumberColumn<T> {
    /// Pushes nulls until the column has `rows` rows.
    #[inline]
    pub fn pad_nulls(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing > 0 {
            self.values.resize(rows, T::Native::default());
            self.validity.push_n(false, missing);
        }
    }
}
