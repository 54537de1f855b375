//! Reads trace and span ids, which are stored as hexadecimal text, eight digits at a time and without a branch.
//!
//! A digit's number is its low four bits, and nine more for a letter. Whether all eight were digits is asked by writing
//! the number out again. What reads otherwise is left to the standard library; it tells of no span that could be paired.

const LOW_NIBBLES: u64 = 0x0f0f_0f0f_0f0f_0f0f;
const ONES: u64 = 0x0101_0101_0101_0101;

/// A span id; 0 where there is none, or none that can be read.
pub fn span_id(text: Option<&str>) -> u64 {
    let Some(text) = text else { return 0 };
    let Ok(digits) = <&[u8; 16]>::try_from(text.as_bytes()) else { return u64_of(text) };
    sixteen(digits).unwrap_or_else(|| u64_of(text))
}

/// A trace id, its lower half first; 0 where there is none, or none that can be read.
pub fn trace_id(text: Option<&str>) -> [u64; 2] {
    let Some(text) = text else { return [0; 2] };
    let by_halves = || {
        let (high, low) = text.as_bytes().split_first_chunk::<16>()?;
        Some([sixteen(low.try_into().ok()?)?, sixteen(high)?])
    };
    by_halves().unwrap_or_else(|| {
        let number = u128::from_str_radix(text, 16).unwrap_or(0);
        [number as u64, (number >> 64) as u64]
    })
}

fn u64_of(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or(0)
}

/// The number that 16 lower-case digits write, the first one highest.
fn sixteen(digits: &[u8; 16]) -> Option<u64> {
    let (high, low) = digits.split_at(8);
    let word = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("half of 16 bytes"));
    let ((high, is_high), (low, is_low)) = (eight(word(high)), eight(word(low)));
    (is_high & is_low).then(|| u64::from(high) << 32 | u64::from(low))
}

/// The number that eight digits write, one in a byte and the first in the lowest; whether they are lower-case digits.
fn eight(digits: u64) -> (u32, bool) {
    let is_letter = digits >> 6 & ONES;
    let nibbles = (digits & LOW_NIBBLES) + is_letter * 9;
    // A number above 9 carries into the fifth bit when 6 is added.
    let above_nine = (nibbles + ONES * 6) >> 4 & ONES;
    let written = nibbles + ONES * u64::from(b'0') + above_nine * u64::from(b'a' - b'0' - 10);
    let pairs = nibbles << 4 | nibbles >> 8;
    let bytes = [pairs, pairs >> 16, pairs >> 32, pairs >> 48].map(|pair| pair as u8);
    (u32::from_be_bytes(bytes), written == digits && nibbles & !LOW_NIBBLES == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte in every place, against the standard library.
    #[test]
    fn ids_read_as_the_standard_library_reads_them() {
        for place in 0..32 {
            for byte in 0..=127u8 {
                let mut digits = *b"0123456789abcdef9876543210fedcba";
                digits[place] = byte;
                let text = std::str::from_utf8(&digits).expect("ASCII");
                let want = u128::from_str_radix(text, 16).unwrap_or(0);
                assert_eq!(trace_id(Some(text)), [want as u64, (want >> 64) as u64], "{text}");
                let half = &text[..16];
                assert_eq!(span_id(Some(half)), u64::from_str_radix(half, 16).unwrap_or(0), "{half}");
            }
        }
    }

    #[test]
    fn ids_of_other_lengths_read_as_numbers_and_what_is_no_number_is_none() {
        assert_eq!([None, Some(""), Some("x"), Some("00f"), Some("-1")].map(span_id), [0, 0, 0, 15, 0]);
        assert_eq!(
            [None, Some(""), Some("xyz"), Some("0ff")].map(trace_id),
            [[0, 0], [0, 0], [0, 0], [255, 0]]
        );
        assert_eq!(trace_id(Some("0123456789abcdef")), [0x0123_4567_89ab_cdef, 0]);
        assert_eq!(span_id(Some(&"f".repeat(17))), 0, "it does not fit");
    }
}
