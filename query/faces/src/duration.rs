//! Durations as Go writes and reads them: `1.5s`, `2m3s`, `250ms`. Parameters of Jaeger's and Tempo's APIs hold
//! them, and people write them.
//!
//! Source: <https://pkg.go.dev/time#ParseDuration>, <https://pkg.go.dev/time#Duration.String>.

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000 * MICRO;
const SECOND: i64 = 1_000 * MILLI;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Units by the longest name first, so that `ms` is not read as minutes.
const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", MICRO),
    ("µs", MICRO),
    ("μs", MICRO),
    ("ms", MILLI),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];

/// Nanoseconds; none for text that is no duration, or one that 64 bits do not hold. A fraction below a nanosecond is cut.
pub fn parse(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos: i128 = 0;
    let mut is_empty = true;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let (unit, factor) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        nanos = nanos.checked_add(scaled(number, *factor)?)?;
        rest = &after[unit.len()..];
        is_empty = false;
    }
    let nanos = if is_negative { -nanos } else { nanos };
    i64::try_from(nanos).ok().filter(|_| !is_empty)
}

/// A decimal number of some unit, exact: doubles would lose the last digits of hours.
fn scaled(number: &str, factor: i64) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok() };
    // An hour is less than 4 * 10^12 ns: a digit beyond the twelfth is less than a nanosecond of any unit, or almost.
    let kept = &fraction[..fraction.len().min(12)];
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part = i128::from(digits(kept)?) * i128::from(factor) / 10_i128.pow(kept.len() as u32);
    Some(i128::from(digits(whole)?) * i128::from(factor) + part)
}

/// As Go writes it.
pub fn told(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let written = match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanos, 1_000_000)),
        _ => {
            let (minutes, rest) = (nanos / MINUTE as u64, nanos % MINUTE as u64);
            let seconds = decimal(rest, SECOND as u64);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{written}")
}

/// `nanos` of a unit, without zeros at the end.
fn decimal(nanos: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the documentation of Go's `ParseDuration` and `String`.
    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("0", Some(0)),
            ("300ms", Some(300 * MILLI)),
            ("-1.5h", Some(-90 * MINUTE)),
            ("2h45m", Some(2 * HOUR + 45 * MINUTE)),
            ("1h15m30.918s", Some(HOUR + 15 * MINUTE + 30_918 * MILLI)),
            ("1µs", Some(MICRO)),
            ("+.5s", Some(SECOND / 2)),
            ("1.s", Some(SECOND)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("9223372036854775808ns", None),
            ("1", None),
            ("", None),
            ("-", None),
            ("ms", None),
            (".s", None),
            ("1.2.3s", None),
            ("1 s", None),
            ("1d", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text), want, "{text}");
        }
    }

    #[test]
    fn durations_are_told_as_go_tells_them() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (-3_300 * MILLI, "-3.3s"),
            (4 * MINUTE + 5 * SECOND, "4m5s"),
            (4 * MINUTE + 5_001 * MILLI, "4m5.001s"),
            (5 * HOUR + 6 * MINUTE + 7_001 * MILLI, "5h6m7.001s"),
            (8 * MINUTE + 1, "8m0.000000001s"),
        ];
        for (nanos, want) in cases {
            assert_eq!(told(nanos), want);
            assert_eq!(parse(want), Some(nanos), "{want}");
        }
    }
}
