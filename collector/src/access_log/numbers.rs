//! Numbers as logs write them: decimal fractions of seconds and of other units, exactly, never through floating point.

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    const fn nanos(self) -> i64 {
        10_i64.pow(9 - self.digits() as u32)
    }

    /// How many digits below the second it is.
    pub(super) const fn digits(self) -> u8 {
        match self {
            Unit::Seconds => 0,
            Unit::Millis => 3,
            Unit::Micros => 6,
            Unit::Nanos => 9,
        }
    }

    /// The unit in which an instant since the epoch has so many digits before the point; right from 1973 to 2286.
    pub(super) const fn of_epoch(digits: usize) -> Unit {
        match digits {
            0..=11 => Unit::Seconds,
            12..=14 => Unit::Millis,
            15..=17 => Unit::Micros,
            _ => Unit::Nanos,
        }
    }
}

/// The digits that a text begins with, and the rest.
pub(super) fn take_digits(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

/// Nanoseconds of a decimal number in `unit`, or in the unit that is written behind it (`13ms`, `1.5s`). The inner
/// `None` is a negative number, with which proxies say that something never happened; the outer one is no number.
pub(super) fn nanos(text: &str, unit: Unit) -> Option<Option<i64>> {
    let (is_negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        // HAProxy's mark of a line that was written before the end.
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, rest) = take_digits(text);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => take_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if suffix.starts_with(['e', 'E']) {
        // Go writes small numbers in JSON so; what a double holds of them is more than a nanosecond's worth.
        let nanos = text.parse::<f64>().ok()? * unit.nanos() as f64;
        return Some((!is_negative && nanos < i64::MAX as f64).then_some(nanos.round() as i64));
    }
    let unit = match suffix {
        "" => unit,
        "s" => Unit::Seconds,
        "ms" => Unit::Millis,
        "us" | "µs" | "μs" => Unit::Micros,
        "ns" => Unit::Nanos,
        _ => return None,
    };
    if is_negative {
        return Some(None);
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let mut sum = whole.checked_mul(unit.nanos())?;
    let mut worth = unit.nanos();
    for digit in fraction.bytes() {
        worth /= 10;
        sum = sum.checked_add(worth * i64::from(digit - b'0'))?;
    }
    Some(Some(sum))
}

/// A count; the inner `None` is a negative one, which stands for none.
pub(super) fn count(text: &str) -> Option<Option<u64>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.starts_with('-') {
        return Some(None);
    }
    digits.parse().ok().map(Some)
}
