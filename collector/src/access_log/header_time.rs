//! When a syslog header says that a message was logged, for lines that do not say it themselves.
//!
//! A header of RFC 3164 has neither year nor zone: the year is the one that brings it nearest to now, so that what is logged
//! before midnight of New Year's Eve and taken in after it is a second old, and the zone is what is configured. Limits: a
//! day that none of the years around now has (29 February) is no time.
//!
//! Sources: RFC 3164, 4.1.2; RFC 5424, 6.2.3. Some write a year behind the day or behind the clock, or digits below the
//! second.

use meshlake_schema::UnixNanos;

use super::moment::{MONTHS, Moment, TimeFormat, number, read_clock};

/// The mean year of the calendar, 365.2425 days, in nanoseconds: good enough to begin the search for the nearest year.
const YEAR_NANOS: i64 = 31_556_952 * 1_000_000_000;

/// Nanoseconds since the epoch of the time that a header has in `text`; none where it is none. `offset_seconds` east of UTC
/// is for times without a zone.
pub(super) fn header_time(text: &str, offset_seconds: i32, now: UnixNanos) -> Option<i64> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    let Some(month) = MONTHS.iter().position(|name| *name == first) else {
        let mut moment = Moment::default();
        TimeFormat::Any.read(first, &mut moment)?;
        return moment.unix_nano(offset_seconds);
    };
    let month = month as i64 + 1;
    let day = number(words.next()?)?;
    let (second, third) = (words.next()?, words.next());
    // A clock has colons, so that a number is the year.
    let (clock, year) = match (number(second), third) {
        (Some(year), Some(clock)) => (clock, Some(year)),
        (_, third) => (second, third.and_then(number)),
    };
    let in_year = |year: i64| {
        let mut moment = Moment::default();
        moment.set_date(year, month, day).filter(|()| day <= days_of(year, month))?;
        read_clock(clock, &mut moment)?;
        moment.unix_nano(offset_seconds)
    };
    if let Some(year) = year {
        return in_year(year);
    }
    let about = 1970 + now.0.div_euclid(YEAR_NANOS);
    (about - 1..=about + 1).filter_map(in_year).min_by_key(|time| time.abs_diff(now.0))
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d TIME +%s` of GNU coreutils, in seconds.
    const NEW_YEAR_2027: i64 = 1_798_761_600;
    const NOVEMBER_23: i64 = 1_795_417_627;

    fn at(text: &str, offset_seconds: i32, now_seconds: i64) -> Option<i64> {
        let now = UnixNanos(now_seconds * 1_000_000_000);
        header_time(text, offset_seconds, now).map(|nanos| nanos / 1_000_000)
    }

    #[test]
    fn a_header_without_a_year_is_of_the_nearest_one() {
        let check = |text: &str, now: i64, want: Option<i64>| {
            assert_eq!(at(text, 0, now), want.map(|seconds| seconds * 1000), "{text} at {now}");
        };
        check("Nov 23 07:07:07", NOVEMBER_23 + 5, Some(NOVEMBER_23));
        check("Dec 31 23:59:59", NEW_YEAR_2027 + 1, Some(NEW_YEAR_2027 - 1));
        check("Jan  1 00:00:01", NEW_YEAR_2027 - 1, Some(NEW_YEAR_2027 + 1));
        check("Dec 31 23:59:59", NEW_YEAR_2027 - 2, Some(NEW_YEAR_2027 - 1));
        check("Jan  1 00:00:00", NEW_YEAR_2027 + 86_400, Some(NEW_YEAR_2027));
        // 29 February 2028 is 1,835,395,200 s; the years around 2026 have none.
        check("Feb 29 00:00:00", 1_835_395_200 + 60, Some(1_835_395_200));
        check("Feb 29 00:00:00", NOVEMBER_23, None);
    }

    #[test]
    fn a_zone_is_the_headers_or_the_configured_one() {
        for (text, offset, want) in [
            ("Nov 23 07:07:07", 7200, NOVEMBER_23 * 1000 - 7_200_000),
            ("2026-11-23T07:07:07.5Z", 7200, NOVEMBER_23 * 1000 + 500),
            ("2026-11-23T08:07:07+01:00", 0, NOVEMBER_23 * 1000),
            ("Nov 23 07:07:07.250", 0, NOVEMBER_23 * 1000 + 250),
            ("Nov 23 2026 07:07:07.123", 0, NOVEMBER_23 * 1000 + 123),
            ("Nov 23 07:07:07 2026", 0, NOVEMBER_23 * 1000),
        ] {
            // Nine years later, where a year that is written still counts.
            let now = if text.contains("2026") { NOVEMBER_23 + 9 * 31_556_952 } else { NOVEMBER_23 };
            assert_eq!(at(text, offset, now), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "-", "Nov", "Nov 23", "Nov 32 07:07:07", "Nov 23 24:07:07", "Nov 31 07:07:07", "Nox 1 1:1:1"]
        {
            assert_eq!(at(text, 0, NOVEMBER_23), None, "{text}");
        }
    }
}
