//! Mixes the values of a column into the numbers of rows, without a look at their texts where the encoding allows.
//!
//! A value that all rows of a batch have tells no two of them apart and is left out. Files are sorted by what rows say, so that
//! this is most columns of most batches.

use meshlake_schema::rows::{Integers, Text};

use crate::hashing::{NumberMap, mixed_pair};

/// Mixes in the texts themselves.
pub fn mix_texts(column: &Text<'_>, codes: &mut [u64]) {
    if !column.is_uniform() {
        for (row, code) in codes.iter_mut().enumerate() {
            *code = with_text(*code, column.code(row));
        }
    }
}

fn with_text(code: u64, (first, second): (u64, u64)) -> u64 {
    let code = mixed_pair(code, first);
    if second == 0 { code } else { mixed_pair(code, second) }
}

/// Mixes in numbers, of which null is one.
pub fn mix_numbers(column: &Integers<'_>, codes: &mut [u64]) {
    if !column.is_uniform() {
        for (row, code) in codes.iter_mut().enumerate() {
            // Null is another number than any that is there.
            *code = match column.get(row) {
                Some(number) => mixed_pair(*code, number.cast_unsigned()),
                None => mixed_pair(!*code, 0),
            };
        }
    }
}

/// Mixes in what texts mean, found out once for texts of one code.
pub fn mix_meanings(column: &Text<'_>, codes: &mut [u64], meaning: impl Fn(&str) -> u64) {
    if column.is_uniform() {
        return;
    }
    let mut known: NumberMap<(u64, u64), u64> = NumberMap::default();
    let mut last = ((0, 0), 0);
    for (row, code) in codes.iter_mut().enumerate() {
        let text = column.code(row);
        if text != last.0 {
            let found = known.entry(text).or_insert_with(|| column.named(row).map_or(0, &meaning));
            last = (text, *found);
        }
        *code = mixed_pair(*code, last.1);
    }
}
