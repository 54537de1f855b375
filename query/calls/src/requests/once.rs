//! Keeps each row once, whichever way it came: by ALS, by OTLP and in a file of the same Envoy.
//!
//! Rows of one proxy and one side are the same if they agree in their ids, start and duration: in the request id, or where
//! that is not told in the stream id, and in both where both are told. An id alone is not enough: Envoy's stream id of an HTTP
//! request is its `x-request-id`, and the tries of one call reach the callee's proxy with the same one, often within a
//! millisecond. Files have times in whole milliseconds, and Envoy's OTLP logger durations, so a row with such a time is the same as
//! one with a finer one of that millisecond. Rows with neither id are never merged: two calls may look alike in all else.

use std::cmp::Reverse;

use super::seen::{Seen, Side};
use crate::party::PartyId;

const MILLI: i64 = 1_000_000;

/// Removes all but one of rows that are the same.
pub fn keep_once(rows: &mut Vec<Seen>) {
    // Coarse rows come behind fine ones of their millisecond, rows without a stream id behind those with one.
    rows.sort_by_key(|row| {
        let coarse = (is_coarse(row.start) && is_coarse(row.duration), row.start, is_coarse(row.duration));
        (alike(row), coarse, row.duration, Reverse(row.stream))
    });
    rows.dedup_by(|next, before| {
        let told = next.request != 0 || next.stream != 0;
        let of_one_stream = next.stream == 0 || before.stream == 0 || next.stream == before.stream;
        let at_once = agree(next.start, before.start) && agree(next.duration, before.duration);
        told && alike(next) == alike(before) && of_one_stream && at_once
    });
}

/// Who saw which request, from when to when, in milliseconds.
fn alike(row: &Seen) -> ((u64, PartyId, Side), u64, i64, i64) {
    let id = if row.request == 0 { row.stream } else { row.request };
    (observer(row), id, row.start.div_euclid(MILLI), row.duration.div_euclid(MILLI))
}

/// Whether two times of one millisecond are the same, as far as both are known.
fn agree(one: i64, other: i64) -> bool {
    one == other || is_coarse(one) || is_coarse(other)
}

/// Whether a time is known to the millisecond only.
fn is_coarse(time: i64) -> bool {
    time % MILLI == 0
}

/// Who saw it: the proxy, or where it has no address and no id, whom it stands beside.
fn observer(row: &Seen) -> (u64, PartyId, Side) {
    let own = if row.side == Side::Made { row.source } else { row.destination };
    (row.proxy, if row.proxy == 0 { own } else { PartyId::NOBODY }, row.side)
}
