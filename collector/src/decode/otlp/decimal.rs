//! Decimal text as integers, exactly.
//!
//! ProtoJSON lets a sender write an integer with a fraction of zeros or an exponent (`5.0`, `1.5e3`), in quotes or not,
//! and proxies send attributes that are integers as text. Going through a double would round every time in nanoseconds,
//! which has 19 digits where a double holds 15, so digits are moved, not multiplied.
//!
//! Source: the grammar of numbers of RFC 8259, section 6, but that zeros may lead.

/// Doubles hold every integer up to here.
pub const EXACT_DOUBLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Digits of the longest integer of 64 bits.
const INTEGER_DIGITS_MAX: usize = 20;

/// Why text is no integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotInteger {
    /// It is no number at all.
    NotNumber,
    HasFraction,
    /// It has more digits than any integer of 64 bits.
    TooLarge,
}

/// The integer that `text` writes. It may be beyond 64 bits, by less than one digit.
///
/// # Errors
/// [`NotInteger`].
pub fn integer_of(text: &str) -> Result<i128, NotInteger> {
    let number = Decimal::read(text).ok_or(NotInteger::NotNumber)?;
    let magnitude = number.magnitude()?;
    Ok(if number.is_negative { -magnitude } else { magnitude })
}

/// A number as text that is cut at its marks.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let is_number = !whole.is_empty() && are_digits(whole) && are_digits(fraction);
        is_number.then_some(Decimal { is_negative, whole, fraction, exponent })
    }

    fn magnitude(&self) -> Result<i128, NotInteger> {
        // Zeros at either end say nothing but where the point is.
        let fraction = self.fraction.trim_end_matches('0');
        let whole = if fraction.is_empty() { self.whole.trim_end_matches('0') } else { self.whole };
        let zeros = self.whole.len() - whole.len();
        let digits = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
        let count = digits.clone().count();
        if count == 0 {
            return Ok(0);
        }
        // How many zeros follow the last digit that is none; negative where it stands behind the point.
        let shift = self.exponent.saturating_add(zeros as i64).saturating_sub(fraction.len() as i64);
        let Ok(shift) = u32::try_from(shift) else {
            return Err(if shift < 0 { NotInteger::HasFraction } else { NotInteger::TooLarge });
        };
        if count.saturating_add(shift as usize) > INTEGER_DIGITS_MAX {
            return Err(NotInteger::TooLarge);
        }
        // At most 10^20, which takes 67 bits.
        let value = digits.fold(0, |value: i128, digit| value * 10 + i128::from(digit - b'0'));
        Ok(value * 10_i128.pow(shift))
    }
}

/// An exponent; one beyond 64 bits is as good as the largest.
fn exponent_of(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !are_digits(digits) {
        return None;
    }
    let magnitude = digits.parse().unwrap_or(i64::MAX);
    Some(if is_negative { -magnitude } else { magnitude })
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::NotInteger::{HasFraction, NotNumber, TooLarge};
    use super::*;

    #[test]
    fn integers_in_every_form_are_exact() {
        let cases = [
            ("0", 0),
            ("-0", 0),
            ("-0.000e-7", 0),
            ("0e99999999999999999999", 0),
            ("007", 7),
            ("1e3", 1_000),
            ("1E+3", 1_000),
            ("-1.5e3", -1_500),
            ("1500e-2", 15),
            ("100.00", 100),
            ("0.001e3", 1),
            ("1795901115163074601.0", 1_795_901_115_163_074_601),
            ("1.795901115163074601e18", 1_795_901_115_163_074_601),
            ("179590111516307460100e-2", 1_795_901_115_163_074_601),
            ("18446744073709551615", i128::from(u64::MAX)),
            ("1.8446744073709551615e19", i128::from(u64::MAX)),
            ("18446744073709551616", i128::from(u64::MAX) + 1),
            ("-9223372036854775808.0", i128::from(i64::MIN)),
            ("-9.223372036854775808E18", i128::from(i64::MIN)),
            ("99999999999999999999", 99_999_999_999_999_999_999),
            ("0000000000000000000000000000001", 1),
        ];
        for (text, want) in cases {
            assert_eq!(integer_of(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer_is_told_by_kind() {
        let cases = [
            ("1.5", HasFraction),
            ("-0.1", HasFraction),
            ("15e-1", HasFraction),
            ("1e-99999999999999999999", HasFraction),
            ("100000000000000000000", TooLarge),
            ("1e20", TooLarge),
            ("1e99999999999999999999", TooLarge),
            ("-1e4294967296", TooLarge),
            ("1.00000000000000000001e20", TooLarge),
        ];
        for (text, want) in cases {
            assert_eq!(integer_of(text), Err(want), "{text}");
        }
        for text in [
            "", "-", "+1", " 1", "1 ", ".5", "5.", "1e", "1e+", "1e1.5", "e5", "1_0", "0x1", "NaN", "--1",
            "1-",
        ] {
            assert_eq!(integer_of(text), Err(NotNumber), "{text:?}");
        }
    }

    #[test]
    fn long_texts_cost_no_more_than_reading_them() {
        let zeros = "0".repeat(1 << 20);
        assert_eq!(integer_of(&format!("{zeros}7.{zeros}")), Ok(7));
        assert_eq!(integer_of(&format!("7{zeros}e-{}", zeros.len())), Ok(7));
        assert_eq!(integer_of(&format!("0.{zeros}7e{}", zeros.len() + 1)), Ok(7));
        assert_eq!(integer_of(&"9".repeat(1 << 20)), Err(TooLarge));
    }
}
