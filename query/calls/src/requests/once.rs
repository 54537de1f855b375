//! Keeps each row once, whichever way it came: by ALS, by OTLP and in a file of the same Envoy.
//!
//! Rows of one proxy and one side are the same if they agree in start and duration (in milliseconds, as files have them)
//! and in the stream id, or, where one of them has none, in the request id. Neither id is enough by itself: Envoy's stream
//! id of an HTTP request is its `x-request-id`, and the tries of one call reach the callee's proxy with the same one. Rows
//! with neither id are never merged: two calls may look alike in all else.

use super::seen::{Seen, Side};
use crate::party::PartyId;

const MILLI: i64 = 1_000_000;

/// Removes all but one of rows that are the same.
pub fn keep_once(rows: &mut Vec<Seen>) {
    let by_stream = |row: &Seen| (when(row), row.stream);
    rows.sort_by_key(|row| (by_stream(row), row.start));
    rows.dedup_by(|next, before| before.stream != 0 && by_stream(next) == by_stream(before));
    let by_request = |row: &Seen| (when(row), row.request);
    rows.sort_by_key(|row| (by_request(row), row.stream == 0));
    // Rows with a stream id come first; one without is the same as the one before it.
    rows.dedup_by(|next, before| {
        next.request != 0 && next.stream == 0 && by_request(next) == by_request(before)
    });
}

/// Who saw it, from when to when, in milliseconds.
fn when(row: &Seen) -> ((u64, PartyId, Side), i64, i64) {
    (observer(row), row.start.div_euclid(MILLI), row.duration.div_euclid(MILLI))
}

/// Who saw it: the proxy, or where it has no address and no id, whom it stands beside.
fn observer(row: &Seen) -> (u64, PartyId, Side) {
    let own = if row.side == Side::Made { row.source } else { row.destination };
    (row.proxy, if row.proxy == 0 { own } else { PartyId::NOBODY }, row.side)
}
