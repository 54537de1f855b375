//! What every table of points tells of a row beside its numbers: when it was, and whether it is the end of its series.

use meshlake_schema::rows::{Integers, Rows, RowsError};

/// The columns that are read of all tables.
pub const COLUMNS: [&str; 3] = ["time_unix_nano", "start_time_unix_nano", "flags"];

/// Set in `flags` of a point that has no value: a stale marker. Source: metrics.proto, `DataPointFlags`.
const NO_RECORDED_VALUE: i64 = 1;

/// When a point was, and when its counting began; nanoseconds, zero for an unknown start.
#[derive(Debug, Clone, Copy)]
pub struct When {
    pub time: i64,
    pub start: i64,
}

/// Those columns of one batch.
pub struct Stamps<'a> {
    times: Integers<'a>,
    starts: Integers<'a>,
    flags: Integers<'a>,
}

impl<'a> Stamps<'a> {
    pub fn of(rows: &Rows<'a>) -> Result<Self, RowsError> {
        Ok(Stamps {
            times: rows.read(COLUMNS[0])?,
            starts: rows.read(COLUMNS[1])?,
            flags: rows.read(COLUMNS[2])?,
        })
    }

    pub fn when(&self, row: usize) -> When {
        When { time: self.times.or_zero(row), start: self.starts.or_zero(row) }
    }

    /// The times of all rows and their starts, if any is known; none where some rows have to be looked at, as ends of
    /// series do.
    pub fn all(&self) -> Option<(&'a [i64], Option<&'a [i64]>)> {
        let has_ends = self.flags.has_values() && !self.flags.all()?.iter().all(|flags| *flags == 0);
        let starts = if self.starts.has_values() { Some(self.starts.all()?) } else { None };
        let starts = starts.filter(|starts| starts.iter().any(|start| *start != 0));
        self.times.all().filter(|_| !has_ends).map(|times| (times, starts))
    }

    pub fn is_stale(&self, row: usize) -> bool {
        self.flags.or_zero(row) & NO_RECORDED_VALUE != 0
    }
}
