//! The column of attributes that have no column of their own: a map of text to text per row.
//!
//! Keys and values are two text columns side by side, so that an entry costs two appends whatever the row.

use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, StructArray};
use arrow::datatypes::DataType;
use meshlake_schema::Kind;

use crate::columns::TextColumn;
use crate::columns::rows::offsets_from_ends;

/// A `Kind::Attributes` column: a map of text to text per row.
#[derive(Debug, Default)]
pub struct AttributesColumn {
    ends: Vec<i32>,
    keys: TextColumn,
    values: TextColumn,
}

impl AttributesColumn {
    /// Adds one entry to the row that is being built.
    #[inline]
    pub fn push_entry(&mut self, key: &str, value: &str) {
        self.keys.push(key);
        self.values.push(value);
    }

    /// Adds one entry whose key and value are text as it lies on the wire; returns how many of the two had
    /// bytes that are no UTF-8, which are replaced.
    #[inline]
    pub fn push_wire_entry(&mut self, key: &[u8], value: &[u8]) -> u64 {
        u64::from(self.keys.push_wire(key)) + u64::from(self.values.push_wire(value))
    }

    /// Adds one entry whose key alone is text as it lies on the wire; returns 1 when it had to be mended.
    #[inline]
    pub fn push_wire_key(&mut self, key: &[u8], value: &str) -> u64 {
        self.values.push(value);
        u64::from(self.keys.push_wire(key))
    }

    /// Ends the row; entries pushed from here on belong to the next one.
    #[inline]
    pub fn end_row(&mut self) {
        self.ends.push(i32::try_from(self.keys.len()).expect("a group has fewer attributes than 2^31"));
    }

    /// Entries held, over all rows.
    pub fn entry_count(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of text held.
    pub fn text_bytes(&self) -> usize {
        self.keys.text_bytes() + self.values.text_bytes()
    }

    /// Takes all rows as an array and leaves the column empty.
    pub fn finish(&mut self) -> ArrayRef {
        let DataType::Map(entry_field, _) = Kind::Attributes.hot_type() else {
            unreachable!("attributes are a map by definition");
        };
        let DataType::Struct(fields) = entry_field.data_type() else {
            unreachable!("map entries are a struct by definition");
        };
        let entries =
            StructArray::try_new(fields.clone(), vec![self.keys.finish(), self.values.finish()], None)
                .expect("one value per key");
        let offsets = offsets_from_ends(&mut self.ends);
        Arc::new(MapArray::try_new(entry_field, offsets, entries, None, false).expect("offsets ascend"))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _};

    use super::*;

    #[test]
    fn attributes_have_the_tables_type() {
        let mut column = AttributesColumn::default();
        column.push_entry("k", "v");
        column.push_entry("k2", "v2");
        column.end_row();
        column.end_row();
        let array = column.finish();
        assert_eq!(array.data_type(), &Kind::Attributes.hot_type());
        assert_eq!((array.as_map().value(0).len(), array.as_map().value(1).len()), (2, 0));
    }
}
