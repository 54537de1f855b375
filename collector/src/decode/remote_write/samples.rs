//! Float samples, and times of all that has one.
//!
//! Source: prompb/io/prometheus/write/v2/types.proto, `Sample`: times are milliseconds since the epoch, and a start of 0
//! is none.

use meshlake_schema::UnixNanos;

use crate::metric_rows::point::STALE_MARKER;
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::{Arrival, RejectReason};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Nanoseconds of milliseconds; the earliest and latest there are where it is beyond.
pub(super) fn nanoseconds(milliseconds: i64) -> i64 {
    milliseconds.saturating_mul(NANOS_PER_MILLI)
}

/// A `Sample` message.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sample {
    pub(super) value: f64,
    /// Milliseconds since the epoch.
    pub(super) time: i64,
    /// When it began to count, in milliseconds since the epoch; 0 where nobody says.
    pub(super) start: i64,
}

impl Sample {
    /// `start` is that of the whole series.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub(super) fn read(message: &[u8], start: i64) -> Result<Self, WireError> {
        let mut sample = Sample::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => sample.value = value.double(1)?,
                (2, value) => sample.time = value.varint(2)? as i64,
                (3, value) => sample.start = value.varint(3)? as i64,
                _ => {}
            }
        }
        if sample.start == 0 {
            sample.start = start;
        }
        Ok(sample)
    }

    /// Whether it ends the series. Any other NaN is a value.
    pub(super) fn is_stale(&self) -> bool {
        self.value.to_bits() == STALE_MARKER
    }
}

/// The time of an `Exemplar` message, in milliseconds since the epoch.
///
/// # Errors
/// Bytes that are no such message.
pub(super) fn exemplar_time(message: &[u8]) -> Result<i64, WireError> {
    let mut time = 0;
    for field in Fields::new(message) {
        if let (3, value) = field? {
            time = value.varint(3)? as i64;
        }
    }
    Ok(time)
}

/// The time of a row, from milliseconds since the epoch.
///
/// # Errors
/// [`RejectReason::TimeOutOfRange`] outside the accepted window.
pub(super) fn accepted_time(milliseconds: i64, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
    let unix_nano =
        u64::try_from(milliseconds).ok().and_then(|time| time.checked_mul(NANOS_PER_MILLI as u64));
    arrival.accepted_time(unix_nano.ok_or(RejectReason::TimeOutOfRange)?)
}
