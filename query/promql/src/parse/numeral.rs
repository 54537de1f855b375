//! How far a number or a duration reaches.
//!
//! The two begin alike, and what follows decides: `5` is a number, `5m` a duration, `5x` neither. What they mean is
//! computed where they are used, as a duration is seconds in one place and a length of time in another. What is neither
//! reaches as far as Prometheus reads it before it knows, as its errors quote that.

/// What stands at the begin of a text, by its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numeral {
    Number(usize),
    Duration(usize),
    Neither(usize),
}

/// The number or duration that `text` begins with.
pub(super) fn numeral(text: &str) -> Numeral {
    let bytes = text.as_bytes();
    let (end, is_sound) = number_end(bytes);
    if is_sound && end > 0 && !is_word_part(bytes, end) {
        return Numeral::Number(end);
    }
    match units_end(bytes, end) {
        (end, false) => Numeral::Neither(end),
        (end, true) if is_word_part(bytes, end) => Numeral::Neither(end + 1),
        (end, true) => Numeral::Duration(end),
    }
}

fn is_word_part(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// How far a number reaches, decimal with `_` between digits or hexadecimal, and whether it is one so far: neither are
/// `1.2.`, `1__` and what ends in `e`.
fn number_end(bytes: &[u8]) -> (usize, bool) {
    let is_one_of = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    let is_hexadecimal = is_one_of(0, b"0") && is_one_of(1, b"xX");
    let is_digit = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|byte| if is_hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() })
    };
    let mut at = if is_hexadecimal { 2 + usize::from(is_one_of(2, b"_")) } else { 0 };
    at += usize::from(is_one_of(at, b"."));
    at += usize::from(is_digit(at));
    let (mut has_dot, mut has_exponent) = (false, false);
    loop {
        let sign = usize::from(is_one_of(at + 1, b"+-"));
        // What may not follow each, which ends what could be a number.
        let (length, unfit): (usize, &[u8]) = match bytes.get(at) {
            Some(b'.') if has_dot || is_hexadecimal => return (at + 1, false),
            Some(b'.') => (1, b"_."),
            Some(b'e' | b'E') if has_exponent => return (at + 1, false),
            Some(b'e' | b'E') => (1 + sign, b"._eE"),
            Some(b'_') => (1, b"._eE"),
            Some(_) if is_digit(at) => (1, b""),
            _ => return (at, true),
        };
        has_dot |= bytes[at] == b'.';
        has_exponent |= matches!(bytes[at], b'e' | b'E');
        let is_open = matches!(bytes[at], b'e' | b'E' | b'_');
        at += length;
        if is_one_of(at, unfit) {
            return (at + 1, false);
        }
        if is_open && at == bytes.len() {
            return (at, false);
        }
    }
}

/// How far units reach from `at` on, each but the last with a number behind it, and whether those are a duration's.
fn units_end(bytes: &[u8], mut at: usize) -> (usize, bool) {
    let is_one_of = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    // Years come first, so none follows another unit.
    let mut units: &[u8] = b"smhdwy";
    loop {
        if !is_one_of(at, units) {
            return (at, false);
        }
        at += 1 + usize::from(is_one_of(at + 1, b"s"));
        units = b"smhdw";
        if !bytes.get(at).is_some_and(u8::is_ascii_digit) {
            return (at, true);
        }
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_reach_as_far_as_they_can() {
        let check = |text: &str, want: usize| assert_eq!(numeral(text), Numeral::Number(want), "{text}");
        check("12", 2);
        check("1_000.5e-3+", 10);
        check("0x1F)", 4);
        check(".5", 2);
        check("1.", 2);
        check("0x", 2);
    }

    #[test]
    fn durations_need_a_unit_for_each_number() {
        let check = |text: &str, want: usize| assert_eq!(numeral(text), Numeral::Duration(want), "{text}");
        check("1h30m]", 5);
        check("5ms", 3);
        check("5m)", 2);
        // Refused when it is read.
        check("5_m", 3);
    }

    /// Quoted so by a Prometheus 0.316.0.
    #[test]
    fn what_is_neither_ends_where_reading_does() {
        let check =
            |text: &str, want: &str| assert_eq!(numeral(text), Numeral::Neither(want.len()), "{text}");
        check("0deadbeef", "0de");
        check("1e3start", "1e3st");
        check("1e3by", "1e3");
        check("5mwithout", "5mw");
        check("5m1e3", "5m1");
        check("5m3", "5m3");
        check("1h5y", "1h5");
        check("2.5.", "2.5.");
        check("1.2.3", "1.2.");
        check("5mx]", "5mx");
        check("1e", "1e");
        check("1e+x", "1e+");
        check("1ex", "1e");
        check("1e5e", "1e5e");
        check("1__0", "1__");
        check("1_", "1_");
        check("1._5", "1._");
        check("0xg", "0x");
        check("0x1.5", "0x1.");
    }
}
