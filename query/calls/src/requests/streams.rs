//! Knows streams of gRPC by what proxies say while they last.
//!
//! Nothing in the row that ends a request says that it was a stream, whose duration is no latency. But a proxy that is asked
//! to tells in between that a request goes on, and of requests of gRPC only streams last long enough for that.

use std::collections::HashSet;

use super::seen::Seen;
use crate::measure::Protocol;

/// Takes the words in between out of `rows`, and the latency of the streams that they are about.
pub fn tell_streams(rows: &mut Vec<Seen>) {
    let going_on = |row: &Seen| (row.request, row.stream, row.start);
    let lasting: HashSet<_> = rows.iter().filter(|row| row.is_progress).map(going_on).collect();
    if lasting.is_empty() {
        return;
    }
    rows.retain(|row| !row.is_progress);
    for row in rows.iter_mut().filter(|row| row.protocol == Protocol::Grpc) {
        let is_told = row.request != 0 || row.stream != 0;
        let is_lasting = is_told && lasting.contains(&going_on(row));
        row.is_timed &= !is_lasting;
        row.is_sized &= !is_lasting;
    }
}
