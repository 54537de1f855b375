//! Columns that rows are pushed into: text, repeating text, numbers and booleans that may be null.
//!
//! Arrow's own builders are general; these know that a value is already proven, intern repeating text once
//! per group, take runs of equal rows in one step, and keep their memory from one group to the
//! next. A group of requests shares one set of columns, so a request of five spans costs five rows and
//! nothing else.

pub mod origin;
pub mod attributes;
pub mod rows;
pub mod sparse;
mod same;

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, DictionaryArray, Int32Array, PrimitiveArray, StringArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type};
use hashbrown::{DefaultHashBuilder, HashTable};
use meshlake_schema::Kind;

use crate::columns::rows::Validity;
use crate::columns::same::is_same;
use crate::protobuf::wire;

/// The two lower-case hex digits of every byte.
pub(crate) const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// A `Kind::Text` column.
#[derive(Debug)]
pub struct TextColumn {
    offsets: Vec<i32>,
    text: Vec<u8>,
    validity: Validity,
}

impl Default for TextColumn {
    fn default() -> Self {
        TextColumn { offsets: vec![0], text: Vec::new(), validity: Validity::default() }
    }
}

impl TextColumn {
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
        self.end_row(true);
    }

    /// Pushes text as it lies on the wire; returns whether bytes that are no UTF-8 had to be replaced.
    #[inline]
    pub fn push_wire(&mut self, bytes: &[u8]) -> bool {
        // Short and ASCII is by far the most frequent, and cheaper to see than to validate.
        if bytes.is_ascii() {
            self.text.extend_from_slice(bytes);
            self.end_row(true);
            return false;
        }
        let text = wire::text(bytes);
        self.push(&text);
        matches!(text, Cow::Owned(_))
    }

    /// Pushes the lower-case hex digits of `bytes`.
    #[inline]
    pub fn push_hex(&mut self, bytes: &[u8]) {
        let begin = self.text.len();
        self.text.resize(begin + 2 * bytes.len(), b'0');
        let (pairs, _) = self.text[begin..].as_chunks_mut::<2>();
        pairs.iter_mut().zip(bytes).for_each(|(pair, byte)| *pair = HEX[usize::from(*byte)]);
        self.end_row(true);
    }

    #[inline]
    pub fn push_null(&mut self) {
        self.end_row(false);
    }

    pub fn push_option(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.push(text),
            None => self.push_null(),
        }
    }

    #[inline]
    fn end_row(&mut self, valid: bool) {
        let end = i32::try_from(self.text.len()).expect("a group is closed long before 2 GiB of text");
        self.offsets.push(end);
        self.validity.push(valid);
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a row; empty where that is null.
    fn bytes_at(&self, row: usize) -> &[u8] {
        &self.text[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// Drops all but the first `rows` rows. No row may be null.
    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.text.truncate(self.offsets[rows] as usize);
        self.validity = Validity::all_valid(rows);
    }

    fn finish_strings(&mut self) -> StringArray {
        // Exact copies: the array lives in the buffer until the flush, the spare room stays here.
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets.clone()));
        let text = self.text.as_slice().into();
        let strings = StringArray::try_new(offsets, text, self.validity.finish())
            .expect("offsets ascend and text was pushed as str");
        self.offsets.truncate(1);
        self.text.clear();
        strings
    }

    /// Takes all rows as an array and leaves the column empty.
    pub fn finish(&mut self) -> ArrayRef {
        Arc::new(self.finish_strings())
    }
}

/// A `Kind::Dictionary` column.
#[derive(Debug, Default)]
pub struct DictionaryColumn {
    keys: Vec<i32>,
    validity: Option<Validity>,
    values: TextColumn,
    index: HashTable<i32>,
    hasher: DefaultHashBuilder,
    /// The key interned last: in most columns the next row says the same again, and comparing is cheaper
    /// than hashing.
    last: Option<i32>,
}

impl DictionaryColumn {
    /// The key of text that is in the dictionary already; valid until the column is finished.
    #[inline]
    fn known(&mut self, text: &[u8]) -> Option<i32> {
        if let Some(last) = self.last
            && is_same(value_at(&self.values, last), text)
        {
            return Some(last);
        }
        let hash = self.hasher.hash_one(text);
        let found = self.index.find(hash, |key| is_same(value_at(&self.values, *key), text)).copied();
        self.last = found.or(self.last);
        found
    }

    fn intern(&mut self, text: &str) -> i32 {
        if let Some(key) = self.known(text.as_bytes()) {
            return key;
        }
        let key = i32::try_from(self.values.len()).expect("a group has fewer rows than 2^31");
        self.values.push(text);
        let hash = self.hasher.hash_one(text.as_bytes());
        let values = &self.values;
        self.index.insert_unique(hash, key, |key| self.hasher.hash_one(value_at(values, *key)));
        self.last = Some(key);
        key
    }

    #[inline]
    fn push_key(&mut self, key: i32) {
        self.keys.push(key);
        if let Some(validity) = &mut self.validity {
            validity.push(true);
        }
    }

    #[inline]
    pub fn push(&mut self, text: &str) {
        let key = self.intern(text);
        self.push_key(key);
    }

    /// Pushes text as it lies on the wire; returns whether bytes that are no UTF-8 had to be replaced.
    /// Text that is the same as before is proven by being so.
    #[inline]
    pub fn push_wire(&mut self, bytes: &[u8]) -> bool {
        if let Some(key) = self.known(bytes) {
            self.push_key(key);
            return false;
        }
        let text = wire::text(bytes);
        self.push(&text);
        matches!(text, Cow::Owned(_))
    }

    #[inline]
    pub fn push_null(&mut self) {
        match &mut self.validity {
            Some(validity) => {
                validity.push(false);
                self.keys.push(0);
            }
            None => self.push_nulls(1),
        }
    }

    /// Pushes one text, or null, for `rows` rows at once.
    pub fn push_run(&mut self, text: Option<&str>, rows: usize) {
        let key = self.key(text);
        self.push_key_run(key, rows);
    }

    /// What stands for a text, or null, until the column is finished.
    pub fn key(&mut self, text: Option<&str>) -> Option<i32> {
        text.map(|text| self.intern(text))
    }

    /// Pushes what a [`key`](Self::key) stands for, for `rows` rows at once.
    pub fn push_key_run(&mut self, key: Option<i32>, rows: usize) {
        let Some(key) = key else {
            return self.push_nulls(rows);
        };
        self.keys.resize(self.keys.len() + rows, key);
        if let Some(validity) = &mut self.validity {
            validity.push_n(true, rows);
        }
    }

    fn push_nulls(&mut self, rows: usize) {
        let before = self.keys.len();
        self.validity.get_or_insert_with(|| Validity::all_valid(before)).push_n(false, rows);
        self.keys.resize(before + rows, 0);
    }

    pub fn push_option(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.push(text),
            None => self.push_null(),
        }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes all rows as an array and leaves the column, and its dictionary, empty.
    pub fn finish(&mut self) -> ArrayRef {
        let nulls = self.validity.take().and_then(|mut validity| validity.finish());
        self.finish_with(Int32Array::new(ScalarBuffer::from(self.keys.clone()), nulls))
    }

    /// Like [`finish`](Self::finish), with keys that are those of the rows.
    fn finish_with(&mut self, keys: Int32Array) -> ArrayRef {
        if self.values.is_empty() {
            // All rows are null: the keys that stand for nothing still need a value to point at.
            self.values.push("");
        }
        let values = Arc::new(self.values.finish_strings());
        self.keys.clear();
        self.index.clear();
        self.last = None;
        Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values).expect("keys point into the values"))
    }
}

fn value_at(values: &TextColumn, key: i32) -> &[u8] {
    values.bytes_at(key as usize)
}

/// A column of numbers: `Kind::Int32`, `Int64`, `Float64`, `Timestamp`.
#[derive(Debug)]
pub struct NumberColumn<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    validity: Validity,
}

impl<T: ArrowPrimitiveType> Default for NumberColumn<T> {
    fn default() -> Self {
        NumberColumn { values: Vec::new(), validity: Validity::default() }
    }
}

impl<T: ArrowPrimitiveType> NumberColumn<T> {
    #[inline]
    pub fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.validity.push(true);
    }

    #[inline]
    pub fn push_option(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.validity.push(value.is_some());
    }

    /// Pushes one value for `rows` rows at once.
    pub fn push_run(&mut self, value: T::Native, rows: usize) {
        self.values.resize(self.values.len() + rows, value);
        self.validity.push_n(true, rows);
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn finish_numbers(&mut self) -> PrimitiveArray<T> {
        let values = ScalarBuffer::from(self.values.clone());
        self.values.clear();
        PrimitiveArray::new(values, self.validity.finish())
    }

    /// Takes all rows as an array and leaves the column empty.
    pub fn finish(&mut self) -> ArrayRef {
        Arc::new(self.finish_numbers())
    }

    /// Like [`finish`](Self::finish), with the time zone UTC, for timestamp columns.
    pub fn finish_utc(&mut self) -> ArrayRef {
        Arc::new(self.finish_numbers().with_data_type(Kind::Timestamp.hot_type()))
    }
}

/// A `Kind::Boolean` column.
#[derive(Debug)]
pub struct BooleanColumn {
    values: BooleanBufferBuilder,
    validity: Validity,
}

impl Default for BooleanColumn {
    fn default() -> Self {
        BooleanColumn { values: BooleanBufferBuilder::new(0), validity: Validity::default() }
    }
}

impl BooleanColumn {
    #[inline]
    pub fn push(&mut self, value: bool) {
        self.values.append(value);
        self.validity.push(true);
    }

    #[inline]
    pub fn push_option(&mut self, value: Option<bool>) {
        self.values.append(value.unwrap_or_default());
        self.validity.push(value.is_some());
    }

    /// Takes all rows as an array and leaves the column empty.
    pub fn finish(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.values.finish(), self.validity.finish()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

    use super::*;

    #[test]
    fn text_keeps_rows_nulls_and_hex() {
        let mut column = TextColumn::default();
        column.push("a");
        column.push_null();
        column.push_hex(&[0x00, 0xff, 0x1a]);
        let array = column.finish();
        let strings: Vec<_> = array.as_string::<i32>().iter().collect();
        assert_eq!(strings, [Some("a"), None, Some("00ff1a")]);
        assert!(column.is_empty(), "finishing empties the column");
        column.push("b");
        assert_eq!(column.finish().as_string::<i32>().value(0), "b");
    }

    #[test]
    fn a_dictionary_holds_each_text_once() {
        let mut column = DictionaryColumn::default();
        column.push("x");
        column.push("y");
        column.push_null();
        column.push("x");
        let array = column.finish();
        let dictionary = array.as_dictionary::<Int32Type>();
        assert_eq!(dictionary.values().len(), 2);
        let rows: Vec<_> = dictionary.downcast_dict::<StringArray>().expect("strings").into_iter().collect();
        assert_eq!(rows, [Some("x"), Some("y"), None, Some("x")]);
    }

    #[test]
    fn a_dictionary_of_nulls_only_is_valid() {
        let mut column = DictionaryColumn::default();
        column.push_null();
        assert_eq!(column.finish().null_count(), 1);
        assert_eq!(column.finish().len(), 0, "and an empty one too");
    }

    #[test]
    fn text_off_the_wire_is_proven_or_mended() {
        let sent = [b"a".as_slice(), "ä".as_bytes(), b"a\xff", b"a", b"a\xff", b""];
        let replaced = [false, false, true, false, true, false];
        let (mut texts, mut dictionary) = (TextColumn::default(), DictionaryColumn::default());
        assert_eq!(sent.map(|bytes| texts.push_wire(bytes)), replaced);
        assert_eq!(sent.map(|bytes| dictionary.push_wire(bytes)), replaced);
        let want = ["a", "ä", "a\u{fffd}", "a", "a\u{fffd}", ""].map(Some);
        assert_eq!(texts.finish().as_string::<i32>().iter().collect::<Vec<_>>(), want);
        let array = dictionary.finish();
        let rows = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().expect("strings");
        assert_eq!(rows.into_iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn hex_digits_are_lower_case_and_complete() {
        let mut column = TextColumn::default();
        let bytes: Vec<u8> = (0..=255).collect();
        column.push_hex(&bytes);
        let want: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(column.finish().as_string::<i32>().value(0), want);
    }

    #[test]
    fn runs_and_padding_keep_every_row() {
        let mut texts = DictionaryColumn::default();
        texts.pad_nulls(2);
        texts.push_run(Some("x"), 2);
        texts.push_run(None, 1);
        texts.pad_nulls(5);
        texts.push("y");
        let array = texts.finish();
        let dictionary = array.as_dictionary::<Int32Type>();
        let rows: Vec<_> = dictionary.downcast_dict::<StringArray>().expect("strings").into_iter().collect();
        assert_eq!(rows, [None, None, Some("x"), Some("x"), None, Some("y")]);

        let mut numbers = NumberColumn::<Int64Type>::default();
        numbers.push_run(7, 2);
        numbers.pad_nulls(3);
        numbers.push_run(8, 0);
        let array = numbers.finish();
        let rows: Vec<_> = array.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(rows, [Some(7), Some(7), None]);
    }

    #[test]
    fn interning_survives_the_end_of_a_group() {
        let mut column = DictionaryColumn::default();
        column.push("a");
        column.finish();
        column.push("a");
        let array = column.finish();
        let values = array.as_dictionary::<Int32Type>().values();
        assert_eq!(values.as_string::<i32>().value(0), "a", "no key of the last group is used again");
    }

    #[test]
    fn numbers_keep_nulls_and_time_zones() {
        let mut numbers = NumberColumn::<Int64Type>::default();
        numbers.push(1);
        numbers.push_option(None);
        assert_eq!(numbers.finish().null_count(), 1);
        let mut times = NumberColumn::<TimestampMicrosecondType>::default();
        times.push(1);
        assert_eq!(times.finish_utc().data_type(), &Kind::Timestamp.hot_type());
    }
}
