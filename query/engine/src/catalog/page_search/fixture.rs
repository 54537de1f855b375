//! What tests of single parts share: chance from a seed, streams of the hybrid encoding, pages made by hand.

use std::collections::VecDeque;

use datafusion::parquet::column::page::{Page, PageMetadata, PageReader};
use datafusion::parquet::errors::ParquetError;

/// Xorshift; the seed is all that a case depends on.
pub struct Random(pub u64);

impl Random {
    /// Less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        let mut x = self.0.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (left, right) in [(13, 7), (17, 5)] {
            x ^= x << left;
            x ^= x >> right;
        }
        self.0 = x;
        (x >> 16) % limit
    }
}

/// A stream of the hybrid encoding, written bit by bit, and its values, which are `some` or any of `width`
/// bits.
pub fn stream(random: &mut Random, width: usize, some: &[u32]) -> (Vec<u8>, Vec<u32>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for _ in 0..random.below(6) + 1 {
        let value = |random: &mut Random| some[random.below(some.len() as u64) as usize];
        let limit = [100, 10, 10, 10][random.below(4) as usize];
        let n = 1 + random.below(limit);
        let is_packed = random.below(2);
        let mut header = n << 1 | is_packed;
        while header >= 0x80 {
            bytes.push(header as u8 | 0x80);
            header >>= 7;
        }
        bytes.push(header as u8);
        if is_packed == 0 {
            let value = value(random);
            bytes.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8)]);
            values.extend(std::iter::repeat_n(value, n as usize));
            continue;
        }
        let packed: Vec<u32> = (0..8 * n).map(|_| value(random)).collect();
        let bits: Vec<bool> =
            packed.iter().flat_map(|value| (0..width).map(move |i| value >> i & 1 == 1)).collect();
        let byte =
            |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (i, bit)| byte | u8::from(*bit) << i);
        bytes.extend(bits.chunks(8).map(byte));
        values.extend(packed);
    }
    (bytes, values)
}

/// Pages made or damaged by hand.
pub struct Pages(pub VecDeque<Page>);

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.pop_front().map(Ok)
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        Ok(self.0.pop_front())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        panic!("the reader's own panics at some headers")
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.0.pop_front();
        Ok(())
    }
}
