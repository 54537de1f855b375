//! A chunk of one native histogram.
//!
//! Prometheus puts samples of one layout into a chunk and writes their differences. A chunk of one sample is as sound,
//! and needs no differences: its layout and its numbers, as they are. It is larger by the layout, some ten bytes beside
//! eight a bucket.
//!
//! ```text
//! count u16 = 1 | hint, 2 bits of a byte | zero threshold | schema | positive spans | negative spans | custom bounds
//! | time | count | zero count | sum | counts of positive buckets | of negative ones
//! zero threshold  a byte 0 for zero, else 255 and 64 bits
//! spans           their number, then length and offset of each
//! custom bounds   only of that schema: their number, then a bit 0 and 64 bits of each
//! ```
//! Whole numbers are "varbit": a mark of as many ones as the width is in the list of widths, and so many bits. Source:
//! <https://github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md#float-histogram-chunk-data>.

use meshlake_query::promql::{Histogram, ResetHint, is_stale};

use super::bits::{Bits, fits};
use super::spans::spans;

/// Widths of whole numbers, by how many ones stand before them, and a zero but for the last; zero is a bit alone.
const WIDTHS: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];

/// Says that a zero threshold is written out.
const WRITTEN_OUT: u64 = 255;

/// The chunk of one sample. Of one that says that its series ended only that is kept.
pub fn float_histogram_chunk(time: i64, histogram: &Histogram) -> Vec<u8> {
    if is_stale(histogram.sum) {
        return chunk(time, &Histogram { sum: histogram.sum, ..Histogram::default() });
    }
    chunk(time, histogram)
}

fn chunk(time: i64, histogram: &Histogram) -> Vec<u8> {
    let hint = match histogram.hint {
        ResetHint::Unknown => 0b00,
        ResetHint::NoReset => 0b01,
        ResetHint::Reset => 0b10,
        ResetHint::Gauge => 0b11,
    };
    let mut bits = Bits::default();
    bits.push(1, u16::BITS);
    bits.push(hint << 6, u8::BITS);
    if histogram.zero_threshold == 0.0 {
        bits.push(0, u8::BITS);
    } else {
        bits.push(WRITTEN_OUT, u8::BITS);
        bits.push_float(histogram.zero_threshold);
    }
    push_signed(&mut bits, histogram.schema.into());
    for buckets in [&histogram.positive, &histogram.negative] {
        let spans = spans(buckets);
        push_unsigned(&mut bits, spans.len() as u64);
        for (offset, length) in spans {
            push_unsigned(&mut bits, length.into());
            push_signed(&mut bits, offset.into());
        }
    }
    if histogram.uses_custom_buckets() {
        push_unsigned(&mut bits, histogram.custom_bounds.len() as u64);
        for bound in histogram.custom_bounds.iter() {
            bits.push(0, 1);
            bits.push_float(*bound);
        }
    }
    push_signed(&mut bits, time);
    let counts = histogram.positive.iter().chain(&histogram.negative).map(|(_, count)| *count);
    let numbers = [histogram.count, histogram.zero_count, histogram.sum].into_iter().chain(counts);
    numbers.for_each(|number| bits.push_float(number));
    bits.into_bytes()
}

fn push_signed(bits: &mut Bits, value: i64) {
    let at = WIDTHS.iter().position(|width| *width == u64::BITS || fits(value, *width));
    push_wide(bits, value.cast_unsigned(), at);
}

fn push_unsigned(bits: &mut Bits, value: u64) {
    let at = WIDTHS.iter().position(|width| *width == u64::BITS || value < 1 << width);
    push_wide(bits, value, at);
}

fn push_wide(bits: &mut Bits, value: u64, at: Option<usize>) {
    let at = at.filter(|_| value != 0);
    let Some(at) = at else { return bits.push(0, 1) };
    // Of the last width the mark is eight ones.
    let ones = at + 1;
    if ones == WIDTHS.len() {
        bits.push(u64::MAX, u8::BITS);
    } else {
        bits.push((1 << (ones + 1)) - 2, ones as u32 + 1);
    }
    bits.push(value, WIDTHS[at]);
}

#[cfg(test)]
mod tests {
    use meshlake_query::promql::stale_marker;

    use super::*;

    fn written(push: impl Fn(&mut Bits)) -> Vec<u8> {
        let mut bits = Bits::default();
        push(&mut bits);
        bits.into_bytes()
    }

    #[test]
    fn whole_numbers_have_a_mark_of_their_width() {
        assert_eq!(written(|bits| push_signed(bits, 0)), [0]);
        // 10 | 100, and 110 | 000101
        assert_eq!(written(|bits| push_signed(bits, 4)), [0b1010_0000]);
        assert_eq!(written(|bits| push_signed(bits, 5)), [0b1100_0010, 0b1000_0000]);
        assert_eq!(written(|bits| push_unsigned(bits, 7)), [0b1011_1000]);
        assert_eq!(written(|bits| push_unsigned(bits, 8)), [0b1100_0100, 0]);
        assert_eq!(
            written(|bits| push_signed(bits, i64::MAX)),
            [255, 127, 255, 255, 255, 255, 255, 255, 255]
        );
    }

    /// By hand: count 1, hint unknown, threshold 0, schema 0, one positive span of length 1 and offset 2, no negative ones,
    /// time 1, then count 1, zero count 0, sum 3, and one bucket of 1.
    #[test]
    fn a_chunk_is_as_the_format_says() {
        let histogram = Histogram { count: 1.0, sum: 3.0, positive: vec![(2, 1.0)], ..Histogram::default() };
        let want = written(|bits| {
            bits.push(1, 16);
            bits.push(0, 16);
            bits.push(0, 1);
            bits.push(0b10_001, 5);
            bits.push(0b10_001, 5);
            bits.push(0b10_010, 5);
            bits.push(0, 1);
            bits.push(0b10_001, 5);
            [1.0, 0.0, 3.0, 1.0].into_iter().for_each(|number| bits.push_float(number));
        });
        assert_eq!(float_histogram_chunk(1, &histogram), want);
    }

    #[test]
    fn of_an_end_only_that_is_kept() {
        let stale = Histogram { sum: stale_marker(), positive: vec![(2, 1.0)], ..Histogram::default() };
        let empty = Histogram { sum: stale_marker(), ..Histogram::default() };
        assert_eq!(float_histogram_chunk(1, &stale), float_histogram_chunk(1, &empty));
    }
}
