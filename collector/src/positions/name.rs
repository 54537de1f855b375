//! The name under which a part of a file is remembered by the log, and how a start reads it back.
//!
//! The log keeps 128 bits of every payload beside its rows, durable in the same write. For a payload of lines they are
//! not a hash of its bytes but say which file it is of, where it starts and where it ends:
//! ```text
//!  high 64 bits   hash of (file, start): found by whoever knows the file and how far it was read
//!  low 64 bits    another hash of (file, start), xor the end: tells that reader where to go on
//! ```
//! So the position that was written down last need not be the newest: from it, a start walks from part to part through
//! what the log remembers, and ends where the rows end. No write has to happen between a group's sync and its answer.
//!
//! Limits: two payloads of 10^6 that are remembered share their high half by chance once in 10^7 stores.

use std::collections::HashMap;
use std::ops::Range;

use meshlake_store::StoredExport;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::FileIdentity;

/// The most bytes of a file that one payload is of: a part that claims more is another payload that shares its high
/// half by chance. A line of this length is read on to its end and kept cut.
const PART_BYTES_MAX: u64 = 1 << 40;

/// Tell the halves apart; any two numbers do.
const SEEDS: [u64; 2] = [0, 1];

/// The name of `part` of `file`.
pub fn name_of(file: FileIdentity, part: &Range<u64>) -> u128 {
    let [high, low] = halves(file, part.start);
    u128::from(high) << 64 | u128::from(low ^ part.end)
}

/// What the log remembers, to be walked.
#[derive(Debug)]
pub struct Remembered(HashMap<u64, u64>);

impl Remembered {
    pub fn of(stored: &[StoredExport]) -> Remembered {
        Remembered(stored.iter().map(|stored| ((stored.hash >> 64) as u64, stored.hash as u64)).collect())
    }

    /// Where the rows of `file` end that follow on one another from `position`.
    pub fn walk(&self, file: FileIdentity, mut position: u64) -> u64 {
        loop {
            let [high, low] = halves(file, position);
            let end = self.0.get(&high).map_or(position, |stored| stored ^ low);
            if end <= position || end - position > PART_BYTES_MAX {
                return position;
            }
            position = end;
        }
    }
}

fn halves(file: FileIdentity, start: u64) -> [u64; 2] {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&file.0.to_le_bytes());
    bytes[16..].copy_from_slice(&start.to_le_bytes());
    SEEDS.map(|seed| xxh3_64_with_seed(&bytes, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(parts: &[(u128, Range<u64>)]) -> Vec<StoredExport> {
        let request = |(file, part): &(u128, Range<u64>)| StoredExport {
            hash: name_of(FileIdentity(*file), part),
            rows: 1,
            seconds: 0,
        };
        parts.iter().map(request).collect()
    }

    #[test]
    fn a_walk_goes_from_part_to_part_and_ends_at_the_first_gap() {
        let remembered = Remembered::of(&stored(&[(7, 0..10), (7, 10..25), (7, 30..40), (8, 25..99)]));
        let cases = [(0, 25), (10, 25), (25, 25), (30, 40), (5, 5)];
        for (from, want) in cases {
            assert_eq!(remembered.walk(FileIdentity(7), from), want, "from {from}");
        }
        assert_eq!(remembered.walk(FileIdentity(8), 0), 0, "another file");
    }

    #[test]
    fn what_is_no_part_is_not_walked() {
        let too_long = PART_BYTES_MAX + 1;
        let remembered = Remembered::of(&stored(&[
            (7, 0..too_long),
            (7, 5..5),
            (7, Range { start: 9, end: 3 }),
            (8, 0..PART_BYTES_MAX),
        ]));
        for from in [0, 5, 9] {
            assert_eq!(remembered.walk(FileIdentity(7), from), from);
        }
        assert_eq!(remembered.walk(FileIdentity(8), 0), PART_BYTES_MAX);
    }
}
