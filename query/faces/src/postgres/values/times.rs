//! Dates, times and intervals as PostgreSQL writes them with `DateStyle` ISO and `IntervalStyle` postgres.
//!
//! By hand and not by a calendar's formatter: that one takes ten times as long as the rest of a row, and knows no years
//! before Christ.

use std::fmt::Write as _;

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{BufMut as _, BytesMut};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
const NANOS_PER_MICRO: i64 = 1_000;

/// `2026-11-29`, of days since 1970.
pub fn push_date(out: &mut BytesMut, days: i32) {
    let is_before_christ = push_day(out, days.into());
    push_era(out, is_before_christ);
}

/// `07:40:04.25`, of microseconds since midnight.
pub fn push_time(out: &mut BytesMut, micros: i64) {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    put(out, format_args!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60));
    push_fraction(out, fraction);
}

/// `2026-11-29 07:40:04.25+00`, of microseconds since 1970 in UTC.
pub fn push_timestamp(out: &mut BytesMut, micros: i64, with_zone: bool) {
    let is_before_christ = push_day(out, micros.div_euclid(MICROS_PER_DAY));
    out.put_u8(b' ');
    push_time(out, micros.rem_euclid(MICROS_PER_DAY));
    if with_zone {
        out.put_slice(b"+00");
    }
    push_era(out, is_before_christ);
}

/// `1 year 2 mons -3 days +04:05:06.7`
pub fn push_interval(out: &mut BytesMut, interval: IntervalMonthDayNano) {
    let IntervalMonthDayNano { months, days, nanoseconds } = interval;
    let start = out.len();
    let mut was_negative = false;
    for (count, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let sign = if was_negative && count > 0 { "+" } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        put(out, format_args!("{space}{sign}{count} {unit}{plural}"));
        was_negative = count < 0;
    }
    let micros = nanoseconds / NANOS_PER_MICRO;
    if micros == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.put_u8(b' ');
    }
    match (micros < 0, was_negative) {
        (true, _) => out.put_u8(b'-'),
        (false, true) => out.put_u8(b'+'),
        (false, false) => {}
    }
    push_time(out, micros.saturating_abs());
}

/// The day of the proleptic Gregorian calendar; true for one before Christ.
///
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn push_day(out: &mut BytesMut, days_since_1970: i64) -> bool {
    /// Days from 0000-03-01 to 1970-01-01, and in 400 years.
    const TO_EPOCH: i64 = 719_468;
    const IN_ERA: i64 = 146_097;
    let days = days_since_1970 + TO_EPOCH;
    let (era, day_of_era) = (days.div_euclid(IN_ERA), days.rem_euclid(IN_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year_of_era + era * 400 + next_year;
    let is_before_christ = year < 1;
    let year = if is_before_christ { 1 - year } else { year };
    put(out, format_args!("{year:04}-{month:02}-{day:02}"));
    is_before_christ
}

fn push_era(out: &mut BytesMut, is_before_christ: bool) {
    if is_before_christ {
        out.put_slice(b" BC");
    }
}

/// `.25`, of microseconds; nothing of none.
fn push_fraction(out: &mut BytesMut, micros: i64) {
    if micros == 0 {
        return;
    }
    put(out, format_args!(".{micros:06}"));
    while out.last() == Some(&b'0') {
        out.truncate(out.len() - 1);
    }
}

fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a buffer cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(push: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        push(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    /// As a PostgreSQL 16 shows `to_timestamp(seconds)` in UTC; 951,782,400 s is the leap day of 2000.
    #[test]
    fn timestamps_are_written_in_utc_without_needless_zeros() {
        let cases = [
            (0, "1970-01-01 00:00:00+00"),
            (-1, "1969-12-31 23:59:59.999999+00"),
            (951_782_400_250_000, "2000-02-29 00:00:00.25+00"),
            (253_402_300_800_000_000, "10000-01-01 00:00:00+00"),
            (-62_135_596_800_000_000, "0001-01-01 00:00:00+00"),
            (-62_135_596_800_000_001, "0001-12-31 23:59:59.999999+00 BC"),
        ];
        for (micros, want) in cases {
            assert_eq!(written(|out| push_timestamp(out, micros, true)), want);
        }
        assert_eq!(written(|out| push_timestamp(out, 1, false)), "1970-01-01 00:00:00.000001");
        assert_eq!(written(|out| push_date(out, 20_786)), "2026-11-29");
    }

    /// As a PostgreSQL 16 shows them.
    #[test]
    fn intervals_are_written_by_their_parts() {
        let cases = [
            ((0, 0, 0), "00:00:00"),
            ((14, 3, 0), "1 year 2 mons 3 days"),
            ((0, 1, 1_500_000_000), "1 day 00:00:01.5"),
            ((0, -1, 3_600_000_000_000), "-1 days +01:00:00"),
            ((-1, 2, 0), "-1 mons +2 days"),
            ((0, 0, -1_000_000_000), "-00:00:01"),
            ((0, 0, 360_000_000_000_000), "100:00:00"),
        ];
        for ((months, days, nanoseconds), want) in cases {
            let interval = IntervalMonthDayNano { months, days, nanoseconds };
            assert_eq!(written(|out| push_interval(out, interval)), want);
        }
    }
}
