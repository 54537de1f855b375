//! Tells for how long rows are kept, and which files are older.
//!
//! Whole dates go, but of the finest cells, because a file never crosses one. Age is counted from the newest row that the store has,
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
use std::time::Duration;

use meshlake_schema::{PerTable, Table};

use crate::minutes::{FOLDED, MICROS_PER_MINUTE, MINUTES_PER_DAY};
use crate::snapshot::{DataFile, TableSnapshot};

/// For how long rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// For how many days of a row's `time` each table keeps it, in the order of [`Table::ALL`]; none keeps for ever.
    /// Default 30, the ledger for ever; cells of a minute a week, of ten minutes 13 months.
    pub days: [Option<u32>; Table::ALL.len()],
    /// For how many hours cells of ten seconds are kept, which are too many for days; none keeps them for as long as
    /// `days` says. Default 6.
    pub calls_10s_hours: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |table| match table {
            Table::Ledger | Table::Calls10s => None,
            Table::Calls1m => Some(7),
            Table::Calls10m => Some(396),
            _ => Some(30),
        };
        Retention { days: Table::ALL.map(days), calls_10s_hours: Some(6) }
    }
}

impl Retention {
    /// For how long rows of a table are kept, by the shorter of its days and its hours; none for ever.
    pub(crate) fn kept_for(&self, table: Table) -> Option<Duration> {
        let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3_600);
        let by_days = self.days[table.index()].map(|days| hours(24) * days);
        let by_hours = self.calls_10s_hours.filter(|_| table == Table::Calls10s).map(hours);
        by_days.into_iter().chain(by_hours).min()
    }

    /// The first minute since the epoch of which `table` keeps rows, by what there is in `tables`.
    pub(crate) fn kept_from_minute(
        &self,
        table: Table,
        tables: &PerTable<TableSnapshot>,
        now_micros: i64,
    ) -> i64 {
        let today = now_micros.div_euclid(MICROS_PER_MINUTE * MINUTES_PER_DAY);
        let by_days = self.days[table.index()].and_then(|days| {
            let newest = newest_days(&dates(tables, i32::try_from(today).unwrap_or(i32::MAX)), days)?;
            Some((i64::from(newest) - i64::from(days)) * MINUTES_PER_DAY)
        });
        let hours = self.calls_10s_hours.filter(|_| table == Table::Calls10s);
        let by_hours =
            hours.map(|hours| first_micros_kept(tables, hours, now_micros).div_euclid(MICROS_PER_MINUTE));
        by_days.max(by_hours).unwrap_or(i64::MIN)
    }
}

/// The dates of rows in files of all tables whose times are those of telemetry, none after `today`.
pub(crate) fn dates(tables: &PerTable<TableSnapshot>, today: i32) -> BTreeSet<i32> {
    let files =
        tables.iter().filter(|(table, _)| *table != Table::Ledger).flat_map(|(_, table)| table.files.iter());
    files.map(|file| file.date_days).filter(|days| *days <= today).collect()
}

/// The first time of which cells of ten seconds are kept. A clock that jumps ahead may drop them all: they are made
/// again, from rows that are still there.
fn first_micros_kept(tables: &PerTable<TableSnapshot>, hours: u32, now_micros: i64) -> i64 {
    let files = FOLDED.into_iter().flat_map(|table| tables[table].files.iter());
    let newest = files.map(|file| file.time_max_micros).filter(|time| *time <= now_micros).max();
    newest.map_or(i64::MIN, |newest| newest - i64::from(hours) * 60 * MICROS_PER_MINUTE)
}

/// Files of cells of ten seconds of which every cell is older than `hours`.
pub(crate) fn expired_cells(tables: &PerTable<TableSnapshot>, hours: u32, now_micros: i64) -> Vec<DataFile> {
    let first_kept = first_micros_kept(tables, hours, now_micros);
    let files = tables[Table::Calls10s].files.iter();
    files.filter(|file| file.time_max_micros < first_kept).cloned().collect()
}

/// The newest of `dates` (days since 1970-01-01) that has another within the `days` before it, one day at least;
/// none when every date stands alone.
pub(crate) fn newest_days(dates: &BTreeSet<i32>, days: u32) -> Option<i32> {
    let mut pairs = dates.iter().zip(dates.iter().skip(1)).rev();
    pairs.find(|(before, date)| date.abs_diff(**before) <= days.max(1)).map(|(_, date)| *date)
}

/// The files whose date is more than `days` before the date `newest_days`, and whose rows came as long ago.
pub(crate) fn expired(files: &[DataFile], newest_days: i32, days: u32) -> Vec<DataFile> {
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
            is_derived_from: false,
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
