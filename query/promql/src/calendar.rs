//! Dates of times, in UTC.
//!
//! Source: the proleptic Gregorian calendar, by the algorithm of H. Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms" (<https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`).

/// The parts of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    /// From 0, a Sunday.
    pub weekday: i64,
    /// From 1.
    pub year_day: i64,
    pub days_in_month: i64,
}

impl Date {
    /// The date of seconds since the epoch, of which there are at most 2^63 on either side.
    pub(crate) fn of(seconds: i128) -> Date {
        const DAY_SECONDS: i128 = 86_400;
        // Lossless: below 2^47, and below a day.
        let days = seconds.div_euclid(DAY_SECONDS) as i64;
        let second_of_day = seconds.rem_euclid(DAY_SECONDS) as i64;
        // Years begin in March here, so that the day that leap years have is the last. An era is 400 years.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let lengths = month_lengths(year);
        let before: i64 = lengths.iter().take(usize::try_from(month - 1).unwrap_or(0)).sum();
        Date {
            year,
            month,
            day,
            hour: second_of_day / 3_600,
            minute: second_of_day / 60 % 60,
            // 1970-01-01 was a Thursday.
            weekday: (days + 4).rem_euclid(7),
            year_day: before + day,
            days_in_month: lengths[usize::try_from(month - 1).unwrap_or(0)],
        }
    }
}

fn month_lengths(year: i64) -> [i64; 12] {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds: i128, want: [i64; 8]| {
            let date = Date::of(seconds);
            let got = [
                date.year,
                date.month,
                date.day,
                date.hour,
                date.minute,
                date.weekday,
                date.year_day,
                date.days_in_month,
            ];
            assert_eq!(got, want, "{seconds}");
        };
        check(0, [1970, 1, 1, 0, 0, 4, 1, 31]);
        // 2000-02-29 23:59:59 was a Tuesday, `date -u -d @951868799`.
        check(951_868_799, [2000, 2, 29, 23, 59, 2, 60, 29]);
        // 2100 is no leap year: 2100-03-01 is its 60th day, a Monday.
        check(4_107_542_400, [2100, 3, 1, 0, 0, 1, 60, 31]);
        check(-1, [1969, 12, 31, 23, 59, 3, 365, 31]);
        // Go: `time.Unix(math.MinInt64, 0).UTC()` is Sunday, 4 December 292277026596, 15:30:08.
        check(1 << 63, [292_277_026_596, 12, 4, 15, 30, 0, 339, 31]);
    }
}
