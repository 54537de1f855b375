//! What holds for any payload of Prometheus remote write, beside what holds for rows of any format.

use bytes::Bytes;
use meshlake_schema::UnixNanos;

use super::{NOW, check_rows};
use crate::decode::Format;
use crate::decode::remote_write::{VERSION_1, VERSION_2};
use crate::intake::FUTURE_MAX;
use crate::tally::{Arrival, Written};

/// What a payload may take in columns here: far more than what is not a bomb, far less than would slow the fuzzer.
const COLUMN_BYTES_MAX: usize = 4 << 20;

/// Checks a `prometheus.WriteRequest`.
///
/// # Panics
/// As [`protobuf`](super::protobuf) says; also when what was written does not add up to what was accepted.
pub fn version_1(payload: &[u8]) {
    check(&VERSION_1, payload);
}

/// Checks an `io.prometheus.write.v2.Request`.
///
/// # Panics
/// As [`version_1`].
pub fn version_2(payload: &[u8]) {
    check(&VERSION_2, payload);
}

fn check(format: &Format, payload: &[u8]) {
    let Ok(valid) = (format.unpack)(Bytes::copy_from_slice(payload)) else { return };
    if valid.column_bytes > COLUMN_BYTES_MAX {
        return;
    }
    let (earliest, latest) = (UnixNanos(0), NOW.plus(FUTURE_MAX));
    let arrival = Arrival { tenant: "default", ingest_time: NOW, earliest, latest };
    let tally = check_rows(|out| (format.decode)(&valid.bytes, None, &arrival, out));
    let Written { samples, histograms, exemplars, .. } = tally.written;
    // A row that carries exemplars alone is accepted and is no sample.
    let alone = tally.accepted - samples - histograms;
    assert!(alone == 0 || exemplars + tally.written.exemplars_left_out > 0, "{alone} rows of nothing");
}
