//! Numbers for people: three significant digits and a unit.

use meshlake_schema::UnixNanos;

/// `12.3/s`; below one a second by the minute, so that a slow service does not read as zero.
pub fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 0.1 {
        return format!("{}/min", digits(per_second * 60.0));
    }
    format!("{}/s", digits(per_second))
}

/// A ratio as percent; what is not zero never reads as zero.
pub fn percent(ratio: f64) -> String {
    if ratio > 0.0 && ratio < 0.0001 {
        return "<0.01 %".to_owned();
    }
    let percent = ratio * 100.0;
    if percent == 0.0 { "0 %".to_owned() } else { format!("{} %", digits(percent)) }
}

/// Milliseconds with the unit that fits; a dash where there is nothing.
pub fn duration(millis: Option<f64>) -> String {
    match millis {
        None => "–".to_owned(),
        Some(ms) if ms >= 60_000.0 => format!("{} min", digits(ms / 60_000.0)),
        Some(ms) if ms >= 1_000.0 => format!("{} s", digits(ms / 1_000.0)),
        Some(ms) if ms >= 1.0 || ms == 0.0 => format!("{} ms", digits(ms)),
        Some(ms) => format!("{} µs", digits(ms * 1_000.0)),
    }
}

/// An instant as people compare them in a list: `11-29 17:46:33.123`, UTC.
pub fn instant(time: UnixNanos) -> String {
    const SECOND: i64 = 1_000_000_000;
    let whole = UnixNanos::from_seconds(time.0.div_euclid(SECOND)).to_rfc3339();
    let millis = time.0.rem_euclid(SECOND) / 1_000_000;
    // `2026-11-29T17:46:33Z`, but for years of more digits.
    let text = whole.get(5..19).map_or(whole.clone(), |text| text.replace('T', " "));
    format!("{text}.{millis:03}")
}

/// An instant to the second, with its year: `2026-11-29 17:46:33`, UTC.
pub fn moment(time: UnixNanos) -> String {
    UnixNanos::from_seconds(time.seconds()).to_rfc3339().trim_end_matches('Z').replace('T', " ")
}

/// From when to when, UTC; the day of the end only where it is another one.
pub fn ends(from: UnixNanos, to: UnixNanos) -> [String; 2] {
    let [from, to] = [from, to].map(moment);
    let end = match (from.split_once(' '), to.split_once(' ')) {
        (Some((first, _)), Some((last, time))) if first == last => time.to_owned(),
        _ => to,
    };
    [from, end]
}

/// Bytes in decimal units; a dash where they are not known.
pub fn bytes(bytes: Option<f64>) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let Some(mut value) = bytes else { return "–".to_owned() };
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{} {}", digits(value), UNITS[unit])
}

/// Any number, in at most four digits that count: `1234`, `0.1235`, `1.235e9`.
pub fn any_number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = if size >= 1_000.0 {
        0
    } else if size >= 1.0 {
        3 - size.log10().floor() as usize
    } else {
        4
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// A whole number with thin spaces between thousands.
pub fn count(value: f64) -> String {
    let text = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) && !out.ends_with('-') {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

/// A number without a unit.
pub fn number(value: f64) -> String {
    digits(value)
}

/// At least three significant digits, no trailing zeros after the point.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 {
        return count(value);
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_once() {
        let at = UnixNanos::from_seconds;
        assert_eq!(ends(at(0), at(86_399)), ["1970-01-01 00:00:00", "23:59:59"]);
        assert_eq!(ends(at(0), at(86_400)), ["1970-01-01 00:00:00", "1970-01-02 00:00:00"]);
    }

    #[test]
    fn numbers_have_four_digits() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (1234.6, "1235"),
            (12.3456, "12.35"),
            (0.12345, "0.1235"),
            (1_234_567.0, "1234567"),
            (1.5e9, "1.500e9"),
            (0.00001, "1.000e-5"),
            (f64::NAN, "NaN"),
        ];
        for (value, want) in cases {
            assert_eq!(any_number(value), want);
        }
    }

    #[test]
    fn rates_never_read_as_zero() {
        let cases =
            [(0.0, "0/s"), (12.345, "12.3/s"), (0.05, "3/min"), (1234.5, "1\u{2009}234/s"), (0.1, "0.1/s")];
        for (value, want) in cases {
            assert_eq!(rate(value), want);
        }
    }

    #[test]
    fn percents_never_read_as_zero() {
        for (value, want) in [(0.0, "0 %"), (0.00001, "<0.01 %"), (0.0123, "1.23 %"), (1.0, "100 %")] {
            assert_eq!(percent(value), want);
        }
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        let cases = [
            (None, "–"),
            (Some(0.0), "0 ms"),
            (Some(0.25), "250 µs"),
            (Some(12.34), "12.3 ms"),
            (Some(1_500.0), "1.5 s"),
            (Some(90_000.0), "1.5 min"),
        ];
        for (value, want) in cases {
            assert_eq!(duration(value), want);
        }
    }

    /// 1,795,974,393 seconds after the epoch is 2026-11-29T17:46:33Z (`date -u -d @1795974393`).
    #[test]
    fn instants_are_told_to_the_millisecond() {
        let told = [1_795_974_393_123_999_999, -1].map(|nanos| instant(UnixNanos(nanos)));
        assert_eq!(told, ["11-29 17:46:33.123", "12-31 23:59:59.999"]);
    }

    #[test]
    fn bytes_take_the_unit_that_fits() {
        for (value, want) in
            [(None, "–"), (Some(999.0), "999 B"), (Some(1_200.0), "1.2 kB"), (Some(3e9), "3 GB")]
        {
            assert_eq!(bytes(value), want);
        }
    }
}
