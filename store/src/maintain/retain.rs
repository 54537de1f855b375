//! Chooses which files of a table are older than it keeps them.
//!
//! Whole dates go, because a file never crosses one. Age is counted from the newest row that the store has,
//! not from the clock: a clock that jumps ahead by years would delete everything, and nothing brings it back.
//! (Prometheus counts its retention from its newest block in the same way.) So a store that receives nothing
//! keeps what it has.

use crate::snapshot::DataFile;

/// The files whose date is more than `days` before the date `newest_days` (days since 1970-01-01).
pub(super) fn expired(files: &[DataFile], newest_days: i32, days: u32) -> Vec<DataFile> {
    let first_kept = i64::from(newest_days) - i64::from(days);
    files.iter().filter(|file| i64::from(file.date_days) < first_kept).cloned().collect()
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;

    fn dates(expired: &[DataFile]) -> Vec<i32> {
        expired.iter().map(|file| file.date_days).collect()
    }

    #[test]
    fn a_date_goes_when_it_is_more_than_so_many_days_old() {
        let file = |date_days| DataFile {
            path: Path::from(format!("{date_days}")),
            size_bytes: 1,
            rows: 1,
            date_days,
            time_min_micros: 0,
            time_max_micros: 0,
            is_in_traces: false,
        };
        let files = [file(69), file(70), file(71), file(100)];
        assert_eq!(dates(&expired(&files, 100, 30)), [69]);
        assert_eq!(dates(&expired(&files, 100, 0)), [69, 70, 71]);
        assert_eq!(dates(&expired(&files, i32::MIN, u32::MAX)), [0; 0]);
    }
}
