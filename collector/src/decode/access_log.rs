//! Lines of access logs as a payload: text, a line each, from whoever reads files, takes syslog or is posted to.
//!
//! Any bytes are such a payload, so nothing is proven before they are decoded. Who logged comes with the payload.

use super::{Format, Sender, Valid};
use crate::access_log::origin::LineOrigin;
use crate::access_log::rows::{decode_lines, lines};
use crate::signal::Signal;

/// What a row takes in columns beside its text: as one of Envoy's log service.
const ROW_COLUMN_BYTES: usize = 340;

/// Lines, separated by line feeds. The same lines again may be other calls, so that whoever knows where they stand (a
/// file and an offset) gives their payload a name of its own.
pub static FORMAT: Format = Format {
    name: "access_log_lines",
    signal: Signal::Requests,
    source: "access_log",
    resends: |_| false,
    rewrites: false,
    tells_written: false,
    unpack: |bytes| {
        let column_bytes = lines(&bytes).count().saturating_mul(ROW_COLUMN_BYTES);
        Ok(Valid { bytes, column_bytes, found_instead: None })
    },
    decode: |bytes, sender, arrival, out| {
        let unsaid = LineOrigin::default();
        let origin = match sender {
            Some(Sender::Lines(origin)) => origin,
            Some(Sender::Proxy(_) | Sender::Families(_)) | None => &unsaid,
        };
        Ok(decode_lines(bytes, origin, arrival, &mut out.requests))
    },
};
