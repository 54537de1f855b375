//! A chunk of float samples: differences of differences of times, and of values the bits that changed.
//!
//! ```text
//! count u16 | time 0 varint | value 0, 64 bits | difference 1 uvarint | value 1 | (step n | value n) ..
//! step    0                                  the difference is as the one before
//!         10, 110, 1110, 1111 + 14, 17, 20, 64 bits by how much it is more
//! value   0                                  as the one before
//!         10 + bits                          its changed bits, where those of the last change were
//!         11 + leading zeros, 5 + length, 6 + bits
//! ```
//! Source: <https://github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md#xor-chunk-data>, and the paper
//! that it follows, "Gorilla: A Fast, Scalable, In-Memory Time Series Database" (VLDB 2015), 4.1. A length of 64 is
//! written as 0, and leading zeros as 31 at most.

use super::bits::{Bits, fits};

/// Samples of one chunk; as many as Prometheus's own have.
pub const SAMPLES_MAX: usize = 120;

/// Leading zeros that five bits hold.
const LEADING_MAX: u32 = 31;

/// The widths of a step that is not as the one before, with what marks them.
const STEPS: [(u64, u32, u32); 3] = [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)];

/// The chunk of samples in order of time, one at least and [`SAMPLES_MAX`] at most.
pub fn xor_chunk(times: &[i64], values: &[f64]) -> Vec<u8> {
    debug_assert!(times.len() <= SAMPLES_MAX && times.len() == values.len());
    let count = u16::try_from(times.len()).unwrap_or(u16::MAX);
    let mut writer = Writer { bits: Bits::after(count.to_be_bytes().to_vec()), window: None };
    let (mut time_before, mut value_before, mut step_before) = (0_i64, 0.0, 0_i64);
    for (at, (time, value)) in times.iter().zip(values).enumerate() {
        let step = time.wrapping_sub(time_before);
        match at {
            0 => {
                writer.bits.push_signed_varint(*time);
                writer.bits.push_float(*value);
            }
            1 => {
                writer.bits.push_varint(step.cast_unsigned());
                writer.push_value(*value, value_before);
            }
            _ => {
                writer.push_step(step.wrapping_sub(step_before));
                writer.push_value(*value, value_before);
            }
        }
        (time_before, value_before, step_before) = (*time, *value, step);
    }
    writer.bits.into_bytes()
}

struct Writer {
    bits: Bits,
    /// Where the last change was: zeros before and after it.
    window: Option<(u32, u32)>,
}

impl Writer {
    fn push_step(&mut self, more: i64) {
        if more == 0 {
            self.bits.push(0, 1);
            return;
        }
        let width = STEPS.into_iter().find(|(.., bits)| fits(more, *bits));
        let (mark, mark_bits, bits) = width.unwrap_or((0b1111, 4, u64::BITS));
        self.bits.push(mark, mark_bits);
        self.bits.push(more.cast_unsigned(), bits);
    }

    fn push_value(&mut self, value: f64, before: f64) {
        let changed = value.to_bits() ^ before.to_bits();
        if changed == 0 {
            self.bits.push(0, 1);
            return;
        }
        let (leading, trailing) = (changed.leading_zeros().min(LEADING_MAX), changed.trailing_zeros());
        if let Some((before, after)) =
            self.window.filter(|(before, after)| leading >= *before && trailing >= *after)
        {
            self.bits.push(0b10, 2);
            self.bits.push(changed >> after, u64::BITS - before - after);
            return;
        }
        self.window = Some((leading, trailing));
        let length = u64::BITS - leading - trailing;
        self.bits.push(0b11, 2);
        self.bits.push(leading.into(), 5);
        self.bits.push(u64::from(length % u64::BITS), 6);
        self.bits.push(changed >> trailing, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, after the format above. 1.0 is 0x3ff0 << 48, 2.0 is 0x4000 << 48, and what differs 0x7ff0 << 48: one zero
    /// before, 52 behind, 11 bits of ones.
    #[test]
    fn a_chunk_is_as_the_format_says() {
        let head = [0, 1, 0xd0, 0x0f, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0];
        assert_eq!(xor_chunk(&[1_000], &[1.0]), head);
        // 15,000 as a uvarint; no change; then a step that is 10 more (14 bits), and the change to 2.0:
        // 10 00000000001010 | 11 00001 001011 11111111111, after the bit 0.
        let chunk = xor_chunk(&[1_000, 16_000, 31_010], &[1.0, 1.0, 2.0]);
        let mut want = [&head[..], &[0x98, 0x75]].concat();
        want[1] = 3;
        want.extend([0b0100_0000, 0b0000_0101, 0b0110_0001, 0b0010_1111, 0b1111_1111, 0b1000_0000]);
        assert_eq!(chunk, want);
    }

    #[test]
    fn a_change_of_all_bits_has_the_length_zero() {
        let chunk = xor_chunk(&[0, 1], &[0.0, f64::from_bits(0x8000_0000_0000_0001)]);
        // 11 | 00000 | 000000 | 1, 62 zeros, 1
        let want =
            [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0b1100_0000, 0b0000_0100, 0, 0, 0, 0, 0, 0, 0, 0b0000_1000];
        assert_eq!(chunk, want);
    }
}
