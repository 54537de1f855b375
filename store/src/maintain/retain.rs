//! Chooses which files of a table are older than it keeps them.
//!
//! Whole dates go, because a file never crosses one. Age is counted from the newest row that the store has,
//! not from the clock: a clock that jumps ahead by years would delete everything, and nothing brings it back.
//! (Prometheus counts its retention from its newest block in the same way.) So a store that receives nothing
//! keeps what it has.
//!
//! Requests that came long after they were logged, as those of an imported file, are kept from when they came.
//!
//! Rows that are stamped while the clock is wrong would do the same, so a date counts only when another date of rows
//! lies before it, no further than the table keeps rows. After a pause of that length or more, therefore, the older
//! dates go on the second date of the new rows. Limit: rows of two such dates in a row, both wrong, are believed.

use std::collections::BTreeSet;

use crate::snapshot::DataFile;

/// The newest of `dates` (days since 1970-01-01) that has another within the `days` before it, one day at least;
/// none when every date stands alone.
pub(super) fn newest_days(dates: &BTreeSet<i32>, days: u32) -> Option<i32> {
    let mut pairs = dates.iter().zip(dates.iter().skip(1)).rev();
    pairs.find(|(before, date)| date.abs_diff(**before) <= days.max(1)).map(|(_, date)| *date)
}

/// The files whose date is more than `days` before the date `newest_days`, and whose rows came as long ago.
pub(super) fn expired(files: &[DataFile], newest_days: i32, days: u32) -> Vec<DataFile> {
    let first_kept = i64::from(newest_days) - i64::from(days);
    let aged_from = |file: &DataFile| file.date_days.max(file.came_days.unwrap_or(file.date_days));
    files.iter().filter(|file| i64::from(aged_from(file)) < first_kept).cloned().collect()
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;
    use crate::minutes::MinuteLsns;

    fn file(date_days: i32) -> DataFile {
        DataFile {
            path: Path::from(format!("{date_days}")),
            size_bytes: 1,
            rows: 1,
            date_days,
            time_min_micros: 0,
            time_max_micros: 0,
            is_in_traces: false,
            came_days: None,
            minutes: MinuteLsns::default(),
        }
    }

    fn dates(expired: &[DataFile]) -> Vec<i32> {
        expired.iter().map(|file| file.date_days).collect()
    }

    #[test]
    fn a_date_goes_when_it_is_more_than_so_many_days_old() {
        let files = [file(69), file(70), file(71), file(100)];
        assert_eq!(dates(&expired(&files, 100, 30)), [69]);
        assert_eq!(dates(&expired(&files, 100, 0)), [69, 70, 71]);
        assert_eq!(dates(&expired(&files, i32::MIN, u32::MAX)), [0; 0]);
    }

    #[test]
    fn what_came_late_is_kept_from_when_it_came() {
        let file = |came_days| DataFile { came_days, ..file(10) };
        let files = [file(None), file(Some(69)), file(Some(70)), file(Some(100))];
        let expired = expired(&files, 100, 30);
        assert_eq!(expired.iter().map(|file| file.came_days).collect::<Vec<_>>(), [None, Some(69)]);
    }

    #[test]
    fn a_date_counts_when_another_is_near_before_it() {
        let newest = |dates: &[i32], days| newest_days(&dates.iter().copied().collect(), days);
        assert_eq!(newest(&[69, 70, 100], 30), Some(100), "70 is 30 days before");
        assert_eq!(newest(&[68, 69, 100], 30), Some(69), "100 stands alone");
        assert_eq!(newest(&[68, 69, 100, 200], 30), Some(69), "so does 200");
        assert_eq!(newest(&[69, 100], 30), None);
        assert_eq!(newest(&[100], 30), None);
        assert_eq!(newest(&[], 30), None);
        assert_eq!(newest(&[98, 99, 100], 0), Some(100), "one day at least");
        assert_eq!(newest(&[i32::MIN, i32::MAX], u32::MAX), Some(i32::MAX));
    }
}
