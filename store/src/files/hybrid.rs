//! Parquet's "Run Length Encoding / Bit-Packing Hybrid", as levels and numbers of dictionary pages have it.
//!
//! ```text
//!   run of one value   count << 1 (varint), the value in as many bytes as its width needs, little-endian
//!   groups of eight    groups << 1 | 1 (varint), the values one after the other, the lowest bits first
//! ```
//! The last group may be padded; how many values there are is told elsewhere. The `parquet` crate has an
//! encoder, which it keeps to itself. Limits: values of at most 32 bits.

/// Shorter runs are packed: at any width up to eight a run of eight takes no less room than its group.
const RUN_MIN: usize = 8;

/// Appends `values`, none of which has more than `width` bits.
pub(super) fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < values.len() {
        let value = values[at];
        let run = values[at..].iter().take_while(|other| **other == value).count();
        // A run begins where a group of eight ends.
        let to_group_end = (at - packed_from).next_multiple_of(8) - (at - packed_from);
        if run >= to_group_end + RUN_MIN {
            at += to_group_end;
            push_groups(&values[packed_from..at], width, out);
            push_run(value, run - to_group_end, width, out);
            packed_from = at + run - to_group_end;
            at = packed_from;
        } else {
            at += run;
        }
    }
    push_groups(&values[packed_from..], width, out);
}

fn push_run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    push_varint(count << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn push_groups(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    push_varint(groups << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    let (mut bits, mut count) = (0_u64, 0);
    for value in values {
        bits |= u64::from(*value) << count;
        count += width;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    out.push(bits as u8);
    out.resize(end, 0);
}

/// Seven bits a byte, the lowest first.
pub(super) fn push_varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[u32], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, width, &mut out);
        out
    }

    /// The format's own example of 0 to 7 in three bits.
    #[test]
    fn groups_of_eight_are_packed_from_the_lowest_bit() {
        let values: Vec<u32> = (0..8).collect();
        assert_eq!(encoded(&values, 3), [1 << 1 | 1, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
    }

    #[test]
    fn a_run_is_a_count_and_a_value() {
        assert_eq!(encoded(&[5; 100], 3), [200, 1, 5]);
        assert_eq!(encoded(&[0x0123; 8], 9), [16, 0x23, 0x01]);
        assert_eq!(encoded(&[0; 9], 0), [18]);
        assert!(encoded(&[], 3).is_empty());
    }

    #[test]
    fn shorter_than_eight_is_packed_and_padded() {
        assert_eq!(encoded(&[1; 7], 1), [3, 0b0111_1111]);
        assert_eq!(encoded(&[1, 0, 1], 1), [3, 0b0000_0101]);
        assert_eq!(encoded(&[3], 2), [3, 3, 0]);
    }

    /// A zero, then ones: seven of them fill the group, and what is left is a run only if there are eight.
    #[test]
    fn a_run_waits_for_the_end_of_its_group() {
        let values = |ones: usize| [&[0][..], &vec![1; ones]].concat();
        assert_eq!(encoded(&values(15), 1), [3, 0b1111_1110, 16, 1]);
        assert_eq!(encoded(&values(14), 1), [5, 0b1111_1110, 0b0111_1111]);
    }

    #[test]
    fn packing_goes_on_after_a_run() {
        let values = [&[1; 8][..], &[0, 1, 0]].concat();
        assert_eq!(encoded(&values, 1), [16, 1, 3, 0b0000_0010]);
    }
}
