//! Where a page of rows begins, newest first: at an instant, behind some of the rows of that instant.
//!
//! Rows have no number of their own, and many share one time where a sender tells seconds only. So a place is a time and a
//! count of rows of that very time, in an order that their own values fix. It stays right when newer rows arrive.

use std::fmt;

use meshlake_schema::UnixNanos;

/// Rows of one instant that a place can lie behind: they are read and sorted to find it.
pub const SKIP_MAX: usize = 10_000;

/// A place among rows: written `1700000000000000000.2` for what comes after the first two rows of that nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Rows of this time and before.
    pub time: UnixNanos,
    /// Without the first so many of this very time; at most [`SKIP_MAX`].
    pub skip: usize,
}

impl Cursor {
    /// Before all rows.
    pub const NEWEST: Cursor = Cursor { time: UnixNanos(i64::MAX), skip: 0 };

    /// None for text that is no place.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (time, skip) = text.split_once('.')?;
        let skip = skip.parse().ok().filter(|skip| *skip <= SKIP_MAX)?;
        Some(Cursor { time: UnixNanos(time.parse().ok()?), skip })
    }

    /// The places of rows that begin here, whose times are given newest first.
    pub fn places(self, times: impl IntoIterator<Item = UnixNanos>) -> Vec<Cursor> {
        let mut next = self;
        let place = |time: UnixNanos| {
            if time != next.time {
                next = Cursor { time, skip: 0 };
            }
            let place = next;
            next.skip += 1;
            place
        };
        times.into_iter().map(place).collect()
    }

    /// The place behind the row at this one.
    #[must_use]
    pub fn next(self) -> Cursor {
        Cursor { skip: self.skip + 1, ..self }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time.0, self.skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_was_written() {
        let place = Cursor { time: UnixNanos(-7), skip: SKIP_MAX };
        assert_eq!(place.to_string(), "-7.10000");
        assert_eq!(Cursor::parse("-7.10000"), Some(place));
        for bad in ["", "5", "5.", ".5", "5.10001", "5.-1", "x.1", "5.1.1", "99999999999999999999.0"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn rows_of_one_instant_have_places_of_their_own() {
        let at = |time, skip| Cursor { time: UnixNanos(time), skip };
        let times = [9, 9, 8, 7, 7].map(UnixNanos);
        assert_eq!(at(9, 2).places(times), [at(9, 2), at(9, 3), at(8, 0), at(7, 0), at(7, 1)]);
        assert_eq!(Cursor::NEWEST.places([UnixNanos(9)]), [at(9, 0)]);
        assert_eq!(at(7, 1).next(), at(7, 2));
    }
}
