//! A quick hash for keys made of numbers.
//!
//! Keys here are numbers that this crate gave out itself or ids that are random already, so the keyed hash of
//! the standard library would cost more than it protects; text that a sender chose is never hashed with this.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from numbers.
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

/// The hash of two numbers, in this order: the halves of their product, one upon the other, which takes one
/// multiplication where a hash of each number by itself would take four.
/// Source: Wang Yi, wyhash, public domain, `_wymix`, with two of its constants.
pub const fn mixed_pair(first: u64, second: u64) -> u64 {
    let product = (first ^ 0xa076_1d64_78bd_642f) as u128 * (second ^ 0xe703_7ed1_a0b4_28db) as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A hash of a text; 0 where there is none, and only there.
pub fn text_hash(text: Option<&str>) -> u64 {
    text.map_or(0, |text| {
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        text.as_bytes().chunks(8).fold(text.len() as u64 + 1, |hash, chunk| mixed_pair(hash, word(chunk))) | 1
    })
}

/// Mixes every number written into one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mixed_pair(self.0, number);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
        self.write_u64((number >> 64) as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn numbers_in_a_row_are_spread() {
        let hasher = BuildHasherDefault::<Mixer>::default();
        let hashes = (0u32..10_000).map(|number| hasher.hash_one((number / 100, number % 100)));
        let top: HashSet<u64> = hashes.map(|hash| hash >> 48).collect();
        // 10,000 balls in 65,536 bins leave about 9,270 of them taken; order would leave a handful.
        assert!(top.len() > 9_000, "{}", top.len());
    }
}
