//! The column of attributes that have no column of their own: a map of text to text per row.
//!
//! Keys and values are two text columns side by side, so that an entry costs two appends whatever the row.
//! Parquet wants each key of a map once, and OTLP asks the same of its senders. A key that comes again is noticed
//! by a small filter while entries are pushed, so that rows without one, nearly all, pay some twenty
//! instructions an entry for it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, StructArray};
use arrow::datatypes::DataType;
use meshlake_schema::Kind;

use crate::columns::TextColumn;
use crate::columns::rows::offsets_from_ends;
use crate::protobuf::wire;

/// Bits of the filter, by a hash of the key: with 20 entries two of them share one in one row of three.
const SEEN_BITS_LOG2: u32 = 9;
const SEEN_WORDS: usize = (1 << SEEN_BITS_LOG2) / u64::BITS as usize;

/// How many keys of a row that share a bit with an earlier one are compared with all earlier ones. Above, the row
/// is looked through by hashing, lest many keys made to share bits cost the square of their number.
const COMPARED_MAX: u32 = 8;

/// A `Kind::Attributes` column: a map of text to text per row.
#[derive(Debug, Default)]
pub struct AttributesColumn {
    ends: Vec<i32>,
    keys: TextColumn,
    values: TextColumn,
    /// Where the open row begins.
    row_start: usize,
    /// The filter of the open row.
    seen: [u64; SEEN_WORDS],
    compared: u32,
    may_repeat: bool,
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
        let replaced = u64::from(self.keys.push_wire(key)) + u64::from(self.values.push_wire(value));
        self.note(key);
        replaced
    }

    /// Adds one entry whose key alone is text as it lies on the wire; returns 1 when it had to be mended.
    #[inline]
    pub fn push_wire_key(&mut self, key: &[u8], value: &str) -> u64 {
        self.values.push(value);
        let replaced = u64::from(self.keys.push_wire(key));
        self.note(key);
        replaced
    }

    /// Entries of the row that is being built.
    #[inline]
    pub fn open_entries(&self) -> usize {
        self.keys.len() - self.row_start
    }

    /// Whether the row that is being built may have a key twice. Only entries off the wire are looked at.
    #[inline]
    pub fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Leaves of the entries of the open row that have one key the last. Says of each entry whether it stayed.
    pub fn keep_last_of_each(&mut self) -> Vec<bool> {
        let mut keys = HashSet::with_capacity(self.open_entries());
        let mut kept: Vec<bool> =
            (self.row_start..self.keys.len()).rev().map(|at| keys.insert(self.keys.bytes_at(at))).collect();
        kept.reverse();
        let first_gone = self.row_start + kept.iter().position(|kept| !kept).unwrap_or(kept.len());
        let staying = (first_gone..self.keys.len()).filter(|at| kept[at - self.row_start]);
        let text = |column: &TextColumn, at| wire::text(column.bytes_at(at)).into_owned();
        let staying: Vec<_> = staying.map(|at| (text(&self.keys, at), text(&self.values, at))).collect();
        self.keys.truncate(first_gone);
        self.values.truncate(first_gone);
        for (key, value) in staying {
            self.push_entry(&key, &value);
        }
        kept
    }

    /// Ends the row; entries pushed from here on belong to the next one.
    #[inline]
    pub fn end_row(&mut self) {
        self.ends.push(i32::try_from(self.keys.len()).expect("a group has fewer attributes than 2^31"));
        self.row_start = self.keys.len();
        self.seen = [0; SEEN_WORDS];
        (self.compared, self.may_repeat) = (0, false);
    }

    /// Notes the key of the entry that was just pushed.
    #[inline]
    fn note(&mut self, key: &[u8]) {
        let bit = seen_bit(key);
        let (word, mask) = (&mut self.seen[bit / u64::BITS as usize], 1 << (bit % u64::BITS as usize));
        let is_new = *word & mask == 0;
        *word |= mask;
        if !is_new {
            self.compare_last();
        }
    }

    #[inline(never)]
    fn compare_last(&mut self) {
        self.compared += 1;
        // Compared as stored: bytes that were mended may have become another key of the row.
        let last = self.keys.len() - 1;
        self.may_repeat |= self.compared > COMPARED_MAX
            || (self.row_start..last).any(|at| self.keys.bytes_at(at) == self.keys.bytes_at(last));
    }

    /// Entries held, over all rows.
    #[cfg(test)]
    pub fn entry_count(&self) -> usize {
        self.keys.len()
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
        self.row_start = 0;
        Arc::new(MapArray::try_new(entry_field, offsets, entries, None, false).expect("offsets ascend"))
    }
}

/// The bit of a key: its length and its last eight bytes, in which keys that begin alike differ, mixed (Knuth's
/// multiplicative hash). Of a shorter one the first, middle and last byte.
#[inline]
fn seen_bit(key: &[u8]) -> usize {
    let end = match (key.last_chunk(), key) {
        (Some(end), _) => u64::from_le_bytes(*end),
        (None, [first, .., last]) => {
            u64::from(*first) << 16 | u64::from(key[key.len() / 2]) << 8 | u64::from(*last)
        }
        (None, [only]) => u64::from(*only),
        (None, []) => 0,
    };
    let features = end.wrapping_add(key.len() as u64);
    (features.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SEEN_BITS_LOG2)) as usize
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

    /// Pushes rows of keys off the wire, each with its place as its value; what is left of each, where a key may repeat.
    fn kept(rows: &[Vec<&[u8]>]) -> Vec<String> {
        let mut column = AttributesColumn::default();
        for keys in rows {
            for (at, key) in keys.iter().enumerate() {
                column.push_wire_key(key, &at.to_string());
            }
            assert_eq!(column.open_entries(), keys.len());
            if column.may_repeat() {
                column.keep_last_of_each();
            }
            column.end_row();
        }
        let array = column.finish();
        let row = |row| {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            let entries = keys.iter().flatten().zip(values.iter().flatten());
            entries.map(|(key, value)| format!("{key}={value} ")).collect()
        };
        (0..rows.len()).map(row).collect()
    }

    #[test]
    fn of_a_key_that_comes_again_the_last_stays_in_its_row() {
        let rows: [Vec<&[u8]>; 5] = [
            vec![b"a", b"b", b"a", b"c", b"a", b""],
            vec![b"a", b"b"],
            vec![b"", b"x", b""],
            // What is no UTF-8 is compared as it is stored.
            vec![b"k\xff", b"k\xff", b"k\xfe"],
            vec![],
        ];
        let want = ["b=1 c=3 a=4 =5 ", "a=0 b=1 ", "x=1 =2 ", "k\u{fffd}=2 ", ""];
        assert_eq!(kept(&rows), want);
    }

    #[test]
    fn keys_that_share_a_bit_are_told_apart() {
        // Of equal length and end, as many as are compared, and more.
        for count in [2, COMPARED_MAX as usize + 1, COMPARED_MAX as usize + 2, 100] {
            let keys: Vec<String> = (0..count).map(|number| format!("{number:03}-the-end")).collect();
            assert!(keys.iter().all(|key| seen_bit(key.as_bytes()) == seen_bit(keys[0].as_bytes())));
            let mut row: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
            let alone = kept(&[row.clone()]);
            assert_eq!(alone[0].split_terminator(' ').count(), count);
            row.push(row[0]);
            let again = kept(&[row]);
            assert_eq!(again[0].split_terminator(' ').count(), count, "the first went, the last stayed");
            assert!(again[0].ends_with(&format!("{}={count} ", keys[0])));
        }
    }
}
