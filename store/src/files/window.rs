//! Splits the rows of a flush by date and 15-minute window of their `time`.
//!
//! Late rows can be of any window within retention. A file for each would be a flood of tiny files, so
//! the windows with the most rows get their own and the rest of a date share one.

use std::collections::BTreeMap;

use arrow::array::AsArray as _;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::temporal_conversions::date32_to_datetime;
use meshlake_schema::time::WINDOW_MICROS;
use meshlake_schema::{Table, TableBatch};

use super::{FileError, RowIndex};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Windows that get a file of their own in one flush: 16 hours of late rows. Guess, not measured.
pub(super) const WINDOWS_MAX: usize = 64;

/// Where a file belongs: a date, and a window of it unless the file is mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Days since 1970-01-01.
    pub date_days: i32,
    /// Minutes from midnight to the start of the window.
    window_minutes: Option<i64>,
}

impl Place {
    /// Where a file with times in `min_micros..=max_micros` of one date belongs.
    pub fn of_times(min_micros: i64, max_micros: i64) -> Place {
        let window = min_micros.div_euclid(WINDOW_MICROS);
        let is_one_window = max_micros.div_euclid(WINDOW_MICROS) == window;
        let date_days = min_micros.div_euclid(MICROS_PER_DAY);
        Place {
            // No time in a table is further from 1970 than this counts.
            date_days: i32::try_from(date_days).unwrap_or(i32::MAX),
            window_minutes: is_one_window.then(|| minutes_of_day(window * WINDOW_MICROS)),
        }
    }

    /// The first microsecond after the file's window, or after its date.
    pub fn end_micros(&self) -> i64 {
        let midnight = i64::from(self.date_days) * MICROS_PER_DAY;
        match self.window_minutes {
            Some(minutes) => midnight + minutes * 60_000_000 + WINDOW_MICROS,
            None => midnight + MICROS_PER_DAY,
        }
    }

    /// The date without the window.
    pub fn whole_date(self) -> Place {
        Place { window_minutes: None, ..self }
    }

    pub fn is_mixed(&self) -> bool {
        self.window_minutes.is_none()
    }

    /// `YYYY-MM-DD`; none for dates beyond the calendar, which no microsecond count in `time` reaches.
    pub fn date_text(&self) -> Option<String> {
        date32_to_datetime(self.date_days).map(|datetime| datetime.date().to_string())
    }

    /// `HHMM` of the window's start, or `mixed`.
    pub fn window_text(&self) -> String {
        match self.window_minutes {
            Some(minutes) => format!("{:02}{:02}", minutes / 60, minutes % 60),
            None => "mixed".to_owned(),
        }
    }
}

/// The rows of one file, in the order they came.
#[derive(Debug)]
pub(super) struct Piece {
    pub place: Place,
    pub rows: Vec<RowIndex>,
    /// Both inclusive.
    pub time_min_micros: i64,
    pub time_max_micros: i64,
}

/// Pieces in time order, mixed ones first within their date. Every row is in exactly one.
///
/// # Errors
/// [`FileError::Rows`] for more batches or rows than a `u32` counts, or times beyond the calendar.
pub(super) fn split(batches: &[TableBatch]) -> Result<Vec<Piece>, FileError> {
    let mut windows: BTreeMap<i64, Vec<RowIndex>> = BTreeMap::new();
    for (batch_index, batch) in batches.iter().enumerate() {
        let batch_index = index(batch_index)?;
        let times = times(batch);
        // Rows of one batch are mostly of one window: look it up once per run of them.
        let mut start = 0;
        while start < times.len() {
            let window = times[start].div_euclid(WINDOW_MICROS);
            let run = times[start..].iter().take_while(|time| time.div_euclid(WINDOW_MICROS) == window);
            let end = start + run.count();
            let rows = index(start)?..index(end)?;
            windows.entry(window).or_default().extend(rows.map(|row| (batch_index, row)));
            start = end;
        }
    }
    let places = merge_stragglers(windows)?.into_iter();
    Ok(places.map(|(place, rows)| piece(batches, place, rows)).collect())
}

/// One piece of all rows, which are of one date; none of no rows.
///
/// # Errors
/// As [`split`].
pub(super) fn whole(batches: &[TableBatch]) -> Result<Option<Piece>, FileError> {
    let mut rows: Vec<RowIndex> = Vec::new();
    for (batch_index, batch) in batches.iter().enumerate() {
        let batch_index = index(batch_index)?;
        rows.extend((0..index(batch.row_count())?).map(|row| (batch_index, row)));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let (time_min_micros, time_max_micros) = bounds(batches, &rows);
    let place = Place::of_times(time_min_micros, time_max_micros);
    Ok(Some(Piece { place, rows, time_min_micros, time_max_micros }))
}

/// The `time` column, microseconds.
pub(super) fn times(batch: &TableBatch) -> &[i64] {
    const {
        assert!(Table::ALL.len() == 16, "every table has a `time` column; check that a new one does");
    }
    let column = batch.rows().column_by_name("time").expect("every table has a column `time`");
    column.as_primitive::<TimestampMicrosecondType>().values()
}

fn minutes_of_day(micros: i64) -> i64 {
    micros.rem_euclid(MICROS_PER_DAY) / 60_000_000
}

fn merge_stragglers(
    windows: BTreeMap<i64, Vec<RowIndex>>,
) -> Result<BTreeMap<Place, Vec<RowIndex>>, FileError> {
    let mut sizes: Vec<(usize, i64)> = windows.iter().map(|(window, rows)| (rows.len(), *window)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let smallest_kept = sizes.get(WINDOWS_MAX - 1).copied();
    let mut places: BTreeMap<Place, Vec<RowIndex>> = BTreeMap::new();
    for (window, rows) in windows {
        let start_micros = window * WINDOW_MICROS;
        let date_days = i32::try_from(start_micros.div_euclid(MICROS_PER_DAY))
            .map_err(|_| FileError::Rows(format!("time {start_micros} is beyond the calendar")))?;
        let is_kept = smallest_kept.is_none_or(|smallest| (rows.len(), window) >= smallest);
        let place = Place { date_days, window_minutes: is_kept.then(|| minutes_of_day(start_micros)) };
        places.entry(place).or_default().extend(rows);
    }
    Ok(places)
}

fn piece(batches: &[TableBatch], place: Place, rows: Vec<RowIndex>) -> Piece {
    let (time_min_micros, time_max_micros) = bounds(batches, &rows);
    Piece { place, rows, time_min_micros, time_max_micros }
}

/// The earliest and the latest time of `rows`.
fn bounds(batches: &[TableBatch], rows: &[RowIndex]) -> (i64, i64) {
    let times: Vec<&[i64]> = batches.iter().map(times).collect();
    let times = rows.iter().map(|(batch, row)| times[*batch as usize][*row as usize]);
    times.fold((i64::MAX, i64::MIN), |(min, max), time| (min.min(time), max.max(time)))
}

/// A piece without rows that belongs where `time_micros` does.
pub(super) fn empty(time_micros: i64) -> Piece {
    let place = Place::of_times(time_micros, time_micros);
    Piece { place, rows: Vec::new(), time_min_micros: time_micros, time_max_micros: time_micros }
}

fn index(value: usize) -> Result<u32, FileError> {
    u32::try_from(value).map_err(|_| FileError::Rows(format!("{value} rows in one flush")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rows::{MIDNIGHT, span_rows};

    fn places(times: &[i64]) -> Vec<(i32, String, usize)> {
        let pieces = split(&[span_rows(times)]).expect("few rows");
        let text = |piece: &Piece| (piece.place.date_days, piece.place.window_text(), piece.rows.len());
        pieces.iter().map(text).collect()
    }

    #[test]
    fn a_window_begins_at_its_first_microsecond() {
        let noon = MIDNIGHT + 12 * 4 * WINDOW_MICROS;
        assert_eq!(
            places(&[noon - 1, noon, noon + WINDOW_MICROS - 1]),
            [(20_780, "1145".to_owned(), 1), (20_780, "1200".to_owned(), 2)]
        );
    }

    #[test]
    fn times_before_1970_belong_to_the_window_they_are_in() {
        assert_eq!(places(&[-1]), [(-1, "2345".to_owned(), 1)]);
    }

    #[test]
    fn sixty_four_windows_keep_their_own_file() {
        let times: Vec<i64> = (0..64).map(|i| MIDNIGHT + i * WINDOW_MICROS).collect();
        let places = places(&times);
        assert_eq!(places.len(), 64);
        assert!(places.iter().all(|(_, window, _)| window != "mixed"));
    }

    #[test]
    fn the_smallest_windows_beyond_sixty_four_share_a_file_per_date() {
        // 64 windows of two rows on two dates, and three of one row: two on the first date, one on the second.
        let two = (0..64).map(|i| MIDNIGHT - 32 * WINDOW_MICROS + i * WINDOW_MICROS);
        let mut times: Vec<i64> = two.flat_map(|time| [time, time]).collect();
        times.extend([
            MIDNIGHT - 40 * WINDOW_MICROS,
            MIDNIGHT - 41 * WINDOW_MICROS,
            MIDNIGHT + 40 * WINDOW_MICROS,
        ]);
        let places = places(&times);
        let mixed: Vec<_> = places.iter().filter(|(_, window, _)| window == "mixed").cloned().collect();
        assert_eq!(mixed, [(20_779, "mixed".to_owned(), 2), (20_780, "mixed".to_owned(), 1)]);
        assert_eq!(places.iter().map(|(_, _, rows)| rows).sum::<usize>(), times.len());
    }

    #[test]
    fn dates_are_written_as_delta_partitions_are() {
        let place = |date_days| Place { date_days, window_minutes: Some(0) };
        assert_eq!(place(20_780).date_text().as_deref(), Some("2026-11-23"));
        assert_eq!(place(-1).date_text().as_deref(), Some("1969-12-31"));
    }
}
