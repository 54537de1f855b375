//! Times as the APIs take them and people read them: RFC 3339 in UTC, whole seconds.
//!
//! Twenty lines instead of a date library, which the binary has no other use for.
//! Source of the calendar: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.

const SECONDS_PER_DAY: i64 = 86_400;

/// The text of a time given in seconds since the epoch, e.g. `2026-11-23T19:07:41Z`.
pub fn text(unix_seconds: i64) -> String {
    let (days, second) = (unix_seconds.div_euclid(SECONDS_PER_DAY), unix_seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day given as days since 1970-01-01. Years begin in March here, so that the
/// leap day is the last of its year; an era is 400 years, 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_date_prints_them() {
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
            assert_eq!(text(seconds), want, "{seconds}");
        }
    }
}
