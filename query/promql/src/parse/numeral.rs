//! How far a number or a duration reaches.
//!
//! The two begin alike, and what follows decides: `5` is a number, `5m` a duration, `5x` neither. What they mean is
//! computed where they are used, as a duration is seconds in one place and a length of time in another.

/// The length of a decimal number, with `_` between digits, or of a hexadecimal one.
pub(super) fn number_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if text.starts_with("0x") || text.starts_with("0X") {
        let digits = bytes[2..].iter().take_while(|b| b.is_ascii_hexdigit() || **b == b'_').count();
        return (digits > 0 && bytes[1 + digits] != b'_').then_some(2 + digits);
    }
    let digits = |from: usize| -> Option<usize> {
        let end = from + bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count();
        let is_sound = !bytes[from..end].starts_with(b"_") && !bytes[from..end].ends_with(b"_");
        (is_sound && !bytes[from..end].windows(2).any(|pair| pair == b"__")).then_some(end)
    };
    let mut end = digits(0)?;
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
        if bytes.get(end) == Some(&b'.') {
            return None;
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let from = end + 1 + sign;
        let exponent_end = digits(from)?;
        return (exponent_end > from).then_some(exponent_end);
    }
    Some(end)
}

/// The length of a duration: numbers with units, whether or not in a sensible order.
pub(super) fn duration_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return (at > 0).then_some(at);
        }
        at += digits;
        if !matches!(bytes.get(at), Some(b's' | b'm' | b'h' | b'd' | b'w' | b'y')) {
            return None;
        }
        at += 1 + usize::from(bytes.get(at + 1) == Some(&b's'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_reach_as_far_as_they_can() {
        let check = |text: &str, want: Option<usize>| assert_eq!(number_length(text), want, "{text}");
        check("12", Some(2));
        check("1_000.5e-3+", Some(10));
        check("0x1F)", Some(4));
        check(".5", Some(2));
        check("1.2.3", None);
        check("1e", None);
        check("1__0", None);
        check("0x", None);
        check("0x_", None);
    }

    #[test]
    fn durations_need_a_unit_for_each_number() {
        let check = |text: &str, want: Option<usize>| assert_eq!(duration_length(text), want, "{text}");
        check("1h30m]", Some(5));
        check("5ms", Some(3));
        check("5", None);
        check("5m3", None);
        check("m", None);
    }
}
