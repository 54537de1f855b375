//! Lines of access logs as a payload: text, a line each, from whoever reads files, takes syslog or is posted to.
//!
//! Any bytes are such a payload, so nothing is proven before they are decoded. Who logged comes with the payload.

use bytes::Bytes;

use super::{Format, LINE_COLUMN_BYTES, Sender, Valid};
use crate::access_log::rows::{Line, decode_each, decode_lines, lines};
use crate::signal::Signal;

/// Lines, separated by line feeds. The same lines again may be other calls, so that whoever knows where they stand (a
/// file and an offset) gives their payload a name of its own.
pub static FORMAT: Format = Format {
    name: "access_log_lines",
    signal: Signal::Requests,
    source: "access_log",
    resends: |_| false,
    rewrites: false,
    tells_written: false,
    unpack: |bytes| Ok(unpacked(bytes)),
    decode: |bytes, sender, arrival, out| {
        Ok(decode_lines(bytes, &Sender::lines(sender), arrival, &mut out.requests))
    },
};

/// Texts of syslog messages, separated as lines are, each behind the time of its header and a [`HEADER_END`].
pub static SYSLOG_FORMAT: Format = Format {
    name: "syslog_lines",
    decode: |bytes, sender, arrival, out| {
        let line = |line| {
            let end = memchr::memchr(HEADER_END, line).unwrap_or_default();
            let (header_time, text) = line.split_at(end);
            Line { header_time, text: text.strip_prefix(&[HEADER_END]).unwrap_or(text) }
        };
        let lines = lines(bytes).map(line);
        Ok(decode_each(lines, &Sender::lines(sender), arrival, &mut out.requests))
    },
    ..FORMAT
};

/// Stands in no time of a header.
pub const HEADER_END: u8 = b'\t';

fn unpacked(bytes: Bytes) -> Valid {
    let column_bytes = lines(&bytes).count().saturating_mul(LINE_COLUMN_BYTES);
    Valid { bytes, column_bytes, found_instead: None }
}
