//! Times and lengths as parameters give them, in nanoseconds.
//!
//! A whole number of more than ten digits is nanoseconds, a shorter one and one with decimals seconds, as Loki reads them. But what can
//! only be milliseconds or microseconds, as nanoseconds a time of 1970, is read as that, as on the other faces.
//!
//! Source: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#timestamps>.

use meshlake_query::promql::duration_seconds;
use meshlake_schema::UnixNanos;

/// Digits at most of seconds, milliseconds and microseconds until the year 2286, and the nanoseconds of each.
const SCALES: [(usize, i64); 3] = [(10, 1_000_000_000), (13, 1_000_000), (16, 1_000)];

const NANOS_PER_SECOND: f64 = 1e9;

/// Nanoseconds since the epoch.
pub fn time(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        let digits = text.trim_start_matches('-').len();
        let scale = SCALES.into_iter().find(|(digits_max, _)| digits <= *digits_max).map(|(_, scale)| scale);
        return whole.checked_mul(scale.unwrap_or(1));
    }
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => {
            // Apart, since a double holds no nanoseconds of this century.
            let (whole, fraction) = (seconds.trunc(), seconds.fract());
            let nanos = || whole as i64 * 1_000_000_000 + (fraction * NANOS_PER_SECOND).round() as i64;
            (whole.abs() < 9e9).then(nanos)
        }
        Ok(_) => None,
        Err(_) => UnixNanos::parse(text).map(|time| time.0),
    }
}

/// A length: seconds with or without decimals, or units as `1h30m`.
pub fn length(text: &str) -> Option<i64> {
    let seconds = text.parse::<f64>().ok().or_else(|| duration_seconds(text).ok())?;
    let nanos = seconds * NANOS_PER_SECOND;
    (nanos.abs() < i64::MAX as f64).then_some(nanos.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nanoseconds_seconds_or_dates() {
        let check = |text: &str, want: Option<i64>| assert_eq!(time(text), want, "{text}");
        check("1700000000", Some(1_700_000_000_000_000_000));
        check("1700000000123456789", Some(1_700_000_000_123_456_789));
        check("1700000000123", Some(1_700_000_000_123_000_000));
        check("1700000000123456", Some(1_700_000_000_123_456_000));
        check("-1", Some(-1_000_000_000));
        check("1700000000.5", Some(1_700_000_000_500_000_000));
        check("4000000000", Some(4_000_000_000_000_000_000));
        check("2023-11-14T22:13:20.1Z", Some(1_700_000_000_100_000_000));
        check("2023-11-14", Some(1_699_920_000_000_000_000));
        for wrong in ["", "x", "NaN", "1e30", "99999999999999999999"] {
            check(wrong, None);
        }
    }

    #[test]
    fn lengths_are_seconds_or_have_units() {
        let check = |text: &str, want: Option<i64>| assert_eq!(length(text), want, "{text}");
        check("15", Some(15_000_000_000));
        check("0.5", Some(500_000_000));
        check("1500ms", Some(1_500_000_000));
        check("1h30m", Some(5_400_000_000_000));
        check("x", None);
        check("1e30", None);
    }
}
