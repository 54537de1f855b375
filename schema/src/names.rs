//! Numbers the distinct texts of many dictionaries, so that rows are compared, merged and written by number.
//!
//! Each batch has dictionaries of its own. A value is looked up once per batch and only when a row needs it:
//! of the names of operations, only those of roots ever are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

/// Not looked up yet.
const UNKNOWN: u32 = u32::MAX;

/// Texts by number, each once.
#[derive(Default)]
pub(crate) struct Names<'a> {
    numbers: HashMap<&'a str, u32>,
    texts: Vec<&'a str>,
}

impl<'a> Names<'a> {
    pub fn number(&mut self, text: &'a str) -> u32 {
        let next = u32::try_from(self.texts.len()).expect("batches in memory hold fewer than 2^32 texts");
        *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push(text);
            next
        })
    }

    pub fn text(&self, number: u32) -> &'a str {
        self.texts[number as usize]
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// A dictionary column with these rows, its values in the order of their first row.
    pub fn dictionary(&self, rows: impl Iterator<Item = Option<u32>>) -> ArrayRef {
        let mut places = vec![None; self.texts.len()];
        let mut values = Vec::new();
        let keys = rows.map(|number| {
            let number = number? as usize;
            Some(*places[number].get_or_insert_with(|| {
                values.push(self.texts[number]);
                i32::try_from(values.len() - 1).expect("Arrow dictionaries gave these texts, by i32 keys")
            }))
        });
        let keys: Int32Array = keys.collect();
        let values = Arc::new(StringArray::from_iter_values(values));
        Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values).expect("keys count the values"))
    }
}

/// One dictionary column of one batch.
pub(crate) struct Keys<'a> {
    keys: &'a Int32Array,
    values: &'a StringArray,
    numbers: Vec<u32>,
}

impl<'a> Keys<'a> {
    pub fn of(rows: &'a RecordBatch, name: &str) -> Self {
        let column = rows.column_by_name(name).expect("a proven batch has its table's columns");
        let column = column.as_dictionary::<Int32Type>();
        let values = column.values().as_string::<i32>();
        Keys { keys: column.keys(), values, numbers: vec![UNKNOWN; values.len()] }
    }

    /// The number of a row's text; none when the row has none.
    pub fn number(&mut self, row: usize, names: &mut Names<'a>) -> Option<u32> {
        if self.keys.is_null(row) {
            return None;
        }
        let key = usize::try_from(self.keys.value(row)).expect("Arrow checks that keys are positions");
        if self.numbers[key] == UNKNOWN {
            // A dictionary may hold a null as a value too.
            if self.values.is_null(key) {
                return None;
            }
            self.numbers[key] = names.number(self.values.value(key));
        }
        Some(self.numbers[key])
    }
}
