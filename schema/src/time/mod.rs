//! Points in time as the wire and the tables hold them.
//!
//! OTLP carries unsigned nanoseconds since the Unix epoch; Arrow and Delta want signed numbers, and
//! the retention window keeps every stored time far inside `i64` (which ends in the year 2262), so
//! one signed type serves both. The clock is a trait because crash simulations replay time from a seed.

mod text;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use text::parse_duration;

/// Nanoseconds since the Unix epoch, UTC. Negative values (before 1970) can be represented but are
/// outside every retention window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct UnixNanos(pub i64);

const NANOS_PER_MICRO: i64 = 1_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// The stretch of time that one file of a table holds, microseconds: 15 minutes. 96 windows a day is as fine
/// as a query's range usually is, and as many files as a day of a table should keep after compaction.
/// Windows are counted from the epoch, so none crosses a date.
pub const WINDOW_MICROS: i64 = 15 * 60 * 1_000_000;

const _: () = assert!(SECONDS_PER_DAY * 1_000_000 % WINDOW_MICROS == 0, "a window never crosses a date");

impl UnixNanos {
    /// The same instant in whole microseconds, rounded towards the past, as the `time` columns hold it.
    pub fn micros(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MICRO)
    }

    /// Days since 1970-01-01 (UTC), the unit of Arrow's `Date32` and of the `date` partition.
    pub fn days(self) -> i32 {
        let days = self.0.div_euclid(NANOS_PER_SECOND * SECONDS_PER_DAY);
        i32::try_from(days).expect("an i64 of nanoseconds spans less than 107,000 days either way")
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// The instant so many seconds after the epoch; saturates at the ends of the representable range.
    pub fn from_seconds(seconds: i64) -> Self {
        UnixNanos(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// The instant so many microseconds after the epoch; saturates at the ends of the representable range.
    pub fn from_micros(micros: i64) -> Self {
        UnixNanos(micros.saturating_mul(NANOS_PER_MICRO))
    }

    /// The instant in RFC 3339, UTC, with as many of 0, 3, 6 or 9 decimals as it needs.
    pub fn to_rfc3339(self) -> String {
        text::rfc3339(self)
    }

    /// The instant that is written as RFC 3339 (UTC where no zone is named), or as seconds since the epoch with
    /// or without decimals; exact to the nanosecond. None for other text and for times outside of the
    /// representable range.
    pub fn parse(text: &str) -> Option<Self> {
        text::parse(text)
    }

    /// This instant moved into the future; saturates at the end of the representable range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        UnixNanos(self.0.saturating_add(nanos))
    }

    /// This instant moved into the past; saturates at the start of the representable range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        UnixNanos(self.0.saturating_sub(nanos))
    }
}

/// Instants from `from` on and before `to`.
///
/// Columns of times hold microseconds: a row is in the range when its microsecond is not before that of `from`
/// and before that of `to`, both rounded down, so that ranges that touch never share a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    pub from: UnixNanos,
    pub to: UnixNanos,
}

impl TimeRange {
    /// All times but the last representable microsecond, which no stored row has.
    pub const ALL: TimeRange = TimeRange { from: UnixNanos(i64::MIN), to: UnixNanos(i64::MAX) };

    /// Whether rows whose times lie between these two, both inclusive, may be in the range.
    pub fn meets(self, first_micros: i64, last_micros: i64) -> bool {
        last_micros >= self.from.micros() && first_micros < self.to.micros()
    }
}

/// Where the current time comes from.
pub trait Clock: Send + Sync {
    /// The current wall-clock time. It may step backwards; nothing durable is ordered by it.
    fn now(&self) -> UnixNanos;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixNanos {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_micros_round_towards_the_past() {
        // One nanosecond before the epoch is the last microsecond and the last day of 1969.
        assert_eq!(UnixNanos(-1).micros(), -1);
        assert_eq!(UnixNanos(-1).days(), -1);
        assert_eq!(UnixNanos(0).days(), 0);
        // 2026-11-23 is 20,780 days after 1970-01-01 (`date -d 2026-11-23 +%s` / 86,400).
        assert_eq!(UnixNanos(20_780 * 86_400 * 1_000_000_000).days(), 20_780);
        assert_eq!(UnixNanos(20_780 * 86_400 * 1_000_000_000 - 1).days(), 20_779);
    }

    #[test]
    fn a_range_meets_what_begins_before_its_end_and_ends_after_its_beginning() {
        let range = TimeRange { from: UnixNanos(5_999), to: UnixNanos(9_000) };
        // In microseconds: from 5 on, before 9.
        let cases = [((0, 4), false), ((0, 5), true), ((8, 20), true), ((9, 20), false), ((0, 20), true)];
        for ((first, last), want) in cases {
            assert_eq!(range.meets(first, last), want, "{first}..={last}");
        }
        assert!(TimeRange::ALL.meets(0, 0));
    }

    #[test]
    fn moving_past_the_range_saturates() {
        assert_eq!(UnixNanos(i64::MAX).plus(Duration::from_secs(1)), UnixNanos(i64::MAX));
        assert_eq!(UnixNanos(i64::MIN).minus(Duration::MAX), UnixNanos(i64::MIN));
    }
}
