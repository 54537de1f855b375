//! Keeps each row once, whichever way it came: by ALS, by OTLP and in a file of the same Envoy.
//!
//! Rows of one proxy and one side are the same if their stream id is, or else, where one of them has none, if the
//! request id, the start and the duration (in milliseconds, as files have them) are. Rows with neither id are never
//! merged: two calls may look alike in all else.

use super::seen::{Seen, Side};
use crate::party::PartyId;

const MILLI: i64 = 1_000_000;

/// Removes all but one of rows that are the same.
pub fn keep_once(rows: &mut Vec<Seen>) {
    let by_stream = |row: &Seen| (observer(row), row.stream);
    rows.sort_by_key(|row| (by_stream(row), row.start, row.duration));
    rows.dedup_by(|next, before| before.stream != 0 && by_stream(next) == by_stream(before));
    rows.sort_by_key(|row| (by_call(row), row.stream == 0));
    // Rows with a stream id come first; one without is the same as the one before it.
    rows.dedup_by(|next, before| next.request != 0 && next.stream == 0 && by_call(next) == by_call(before));
}

fn by_call(row: &Seen) -> ((u64, PartyId, Side), u64, i64, i64) {
    let (start, duration) = (row.start.div_euclid(MILLI), row.duration.div_euclid(MILLI));
    (observer(row), row.request, start, duration)
}

/// Who saw it: the proxy, or where it has no address and no id, whom it stands beside.
fn observer(row: &Seen) -> (u64, PartyId, Side) {
    let own = if row.side == Side::Made { row.source } else { row.destination };
    (row.proxy, if row.proxy == 0 { own } else { PartyId::NOBODY }, row.side)
}
