//! Times as people and APIs write them: RFC 3339 in UTC, or seconds since the epoch; and lengths of time.
//!
//! The calendar is Arrow's, which the process needs anyway.

use std::time::Duration;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::temporal_conversions::timestamp_ns_to_datetime;

use super::{NANOS_PER_SECOND, UnixNanos};

const NANO_DIGITS: usize = 9;

/// `at` in RFC 3339, UTC, with as many of 0, 3, 6 or 9 decimals as it needs.
pub(super) fn rfc3339(at: UnixNanos) -> String {
    let time = timestamp_ns_to_datetime(at.0).expect("every i64 of nanoseconds is a date from 1677 to 2262");
    format!("{}Z", time.format("%Y-%m-%dT%H:%M:%S%.f"))
}

/// The time that is written as RFC 3339, or as seconds since the epoch with or without decimals.
pub(super) fn parse(text: &str) -> Option<UnixNanos> {
    unix_seconds(text).or_else(|| string_to_timestamp_nanos(text).ok()).map(UnixNanos)
}

/// Nanoseconds of `seconds[.decimals]`, exact to nine decimals.
fn unix_seconds(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits =
        !whole.is_empty() && [whole, decimals].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if !digits {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(NANO_DIGITS)];
    let nanos: i64 = format!("{decimals:0<NANO_DIGITS$}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
}

/// A length of time as a number of seconds, or with one of the units s, m, h and d.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(unit_seconds)?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        for (text, want) in [
            ("30", Some(30)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h", Some(3_600)),
            ("1d", Some(86_400)),
        ] {
            assert_eq!(parse_duration(text).map(|duration| duration.as_secs()), want, "{text}");
        }
        for text in ["", "m", "5x", "-5", "1.5m", "99999999999999999999", "18446744073709551615d"] {
            assert!(parse_duration(text).is_none(), "{text}");
        }
    }

    #[test]
    fn times_are_rfc_3339_or_unix_seconds() {
        let cases = [
            ("1700000000", Some(1_700_000_000_000_000_000)),
            ("1700000000.5", Some(1_700_000_000_500_000_000)),
            ("0.1234567891", Some(123_456_789)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000_000_000)),
            ("2023-11-14T23:13:20.000000001+01:00", Some(1_700_000_000_000_000_001)),
            ("", None),
            (".", None),
            ("now", None),
            ("-5", None),
            ("99999999999999999999", None),
            ("9999999999999", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text).map(|time| time.0), want, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_date_writes_them() {
        // `date -u -d @SECONDS +%FT%TZ`
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_795_460_861, "2026-11-23T19:07:41Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ];
        for (seconds, want) in cases {
            assert_eq!(rfc3339(UnixNanos(seconds * NANOS_PER_SECOND)), want, "{seconds}");
        }
    }

    #[test]
    fn times_are_written_with_the_decimals_they_need() {
        assert_eq!(rfc3339(UnixNanos(1)), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(rfc3339(UnixNanos(500_000_000)), "1970-01-01T00:00:00.500Z");
        assert!(rfc3339(UnixNanos(i64::MAX)).starts_with("2262-"));
        assert!(rfc3339(UnixNanos(i64::MIN)).starts_with("1677-"));
    }
}
