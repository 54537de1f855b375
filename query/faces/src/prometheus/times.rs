//! Times and durations as parameters give them, in milliseconds.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview>.

use meshlake_query::prometheus::{EARLIEST, LATEST};
use meshlake_query::promql::duration_seconds;
use meshlake_schema::UnixNanos;

/// Go's clients write "no start" and "no end" like this.
const GO_EARLIEST: &str = "-292273086-05-16T16:47:06Z";
const GO_LATEST: &str = "292277025-08-18T07:12:54.999999999Z";

const NANOS_PER_MILLI: i64 = 1_000_000;

/// The time that `text` is: seconds since the epoch with or without decimals, or RFC 3339.
///
/// # Errors
/// What is wrong, in Prometheus's words.
pub fn time(text: &str) -> Result<i64, String> {
    if let Some(seconds) = finite(text) {
        // Saturates, as times beyond any sample do not differ.
        return Ok(((seconds.trunc() * 1e3) as i64).saturating_add((seconds.fract() * 1e3).round() as i64));
    }
    let of_go = match text {
        GO_EARLIEST => Some(EARLIEST),
        GO_LATEST => Some(LATEST),
        _ => rfc3339(text),
    };
    of_go.ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp"))
}

/// A date with a time and a zone, of any year of four digits; years that nanoseconds cannot hold are the ends of time.
fn rfc3339(text: &str) -> Option<i64> {
    let has_zone = text.ends_with('Z') || text.get(19..).is_some_and(|rest| rest.contains(['+', '-']));
    let is_date = text.as_bytes().get(10) == Some(&b'T');
    let is_leap_second = text.get(17..19) == Some("60");
    if !is_date || !has_zone || is_leap_second {
        return None;
    }
    if let Some(time) = UnixNanos::parse(text) {
        return Some(time.0.div_euclid(NANOS_PER_MILLI));
    }
    // A year with a 29th of February.
    let (year, rest) = text.split_at_checked(4)?;
    UnixNanos::parse(&format!("2000{rest}"))?;
    Some(if year.parse::<u16>().ok()? < 1970 { EARLIEST } else { LATEST })
}

/// The length that `text` is: seconds with or without decimals, or units as `1h30m`.
///
/// # Errors
/// What is wrong, in Prometheus's words.
pub fn duration(text: &str) -> Result<i64, String> {
    /// Prometheus holds nanoseconds.
    const SECONDS_END: f64 = i64::MAX as f64 / 1e9;
    let overflows = || format!("cannot parse {text:?} to a valid duration. It overflows int64");
    // Digits of an infinite number are no number to Go.
    let is_number = |seconds: &f64| !seconds.is_infinite() || !text.contains(|c: char| c.is_ascii_digit());
    let seconds = match text.parse().ok().filter(is_number) {
        Some(seconds) => seconds,
        None => duration_seconds(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))?,
    };
    if seconds.is_nan() || seconds.abs() >= SECONDS_END {
        return Err(overflows());
    }
    let millis = (seconds * 1e3).round() as i64;
    // Finer than there are times: the finest.
    Ok(if millis == 0 && seconds > 0.0 { 1 } else { millis })
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        let cases = [
            ("1700000000", 1_700_000_000_000),
            ("1700000000.289", 1_700_000_000_289),
            ("1.7e9", 1_700_000_000_000),
            ("-1.5", -1_500),
            ("4", 4_000),
            // Milliseconds by mistake: some day in 55,840.
            ("1700000000000", 1_700_000_000_000_000),
            ("1e30", i64::MAX),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500),
            ("0001-01-01T00:00:00Z", EARLIEST),
            ("9999-12-31T23:59:59Z", LATEST),
            (GO_EARLIEST, EARLIEST),
            (GO_LATEST, LATEST),
        ];
        for (text, want) in cases {
            assert_eq!(time(text), Ok(want), "{text}");
        }
        for text in [
            "",
            "now",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "NaN",
            "Inf",
            "0001-13-01T00:00:00Z",
            "2023-11-14T23:59:60Z",
        ] {
            assert_eq!(time(text), Err(format!("cannot parse {text:?} to a valid timestamp")));
        }
    }

    #[test]
    fn durations_are_seconds_or_units() {
        let cases = [
            ("15", 15_000),
            ("0.5", 500),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("10ms", 10),
            ("-1", -1_000),
            ("1e-9", 1),
            ("0", 0),
        ];
        for (text, want) in cases {
            assert_eq!(duration(text), Ok(want), "{text}");
        }
        for text in ["", "m", "5x", "1m1h", "1.5m", "1e400"] {
            assert_eq!(duration(text), Err(format!("cannot parse {text:?} to a valid duration")));
        }
        for text in ["NaN", "1e10", "-1e10"] {
            assert!(duration(text).is_err_and(|error| error.ends_with("It overflows int64")), "{text}");
        }
    }
}
