//! Times as text, as every answer and every generated statement writes them.

use arrow::temporal_conversions::timestamp_ns_to_datetime;
use meshlake_schema::UnixNanos;

/// `at` in RFC 3339, UTC, with as many of 0, 3, 6 or 9 decimals as it needs.
pub fn rfc3339(at: UnixNanos) -> String {
    let time = timestamp_ns_to_datetime(at.0).expect("every i64 of nanoseconds is a date from 1677 to 2262");
    format!("{}Z", time.format("%Y-%m-%dT%H:%M:%S%.f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_the_decimals_they_need() {
        assert_eq!(rfc3339(UnixNanos(1_700_000_000_000_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(UnixNanos(1)), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(rfc3339(UnixNanos(500_000_000)), "1970-01-01T00:00:00.500Z");
        assert!(rfc3339(UnixNanos(i64::MAX)).starts_with("2262-"));
        assert!(rfc3339(UnixNanos(i64::MIN)).starts_with("1677-"));
    }
}
