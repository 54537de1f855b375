//! Lines of access logs, and formats in which they may be.

use super::{Builders, NOW, check_rows};
use crate::access_log::origin::LineOrigin;
use crate::access_log::rows::decode_lines;
use crate::access_log::syslog::Message;
use crate::access_log::{Language, LineFormat};
use crate::intake::FUTURE_MAX;
use crate::lines::CUT_LINE_BYTES;
use crate::receivers::syslog::framing::{BrokenFraming, Frames};
use crate::tally::{Arrival, Tally, Warning};
use meshlake_schema::UnixNanos;

/// Checks lines in whatever known formats they are.
///
/// # Panics
/// When a line is neither a row nor refused, or depends on more than the lines before it.
pub fn known(lines: &[u8]) {
    check(lines, &LineOrigin::default());
}

/// Checks a format of one's own, the first line, in the language that its first byte says, and lines in it.
///
/// # Panics
/// As [`known`].
pub fn formats(input: &[u8]) {
    let Some((language, rest)) = input.split_first() else { return };
    let language = Language::ALL[usize::from(*language) % Language::ALL.len()];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (format, lines) = rest.split_at(end);
    let format = String::from_utf8_lossy(format);
    match LineFormat::compile(language, &format) {
        Ok(format) => check(lines, &LineOrigin { format: Some(format), ..LineOrigin::default() }),
        Err(error) => assert!(error.position <= format.len(), "{error}"),
    }
}

/// Checks a stream of syslog over TCP, and each of its messages. Where the stream comes in two pieces, its first byte says.
///
/// # Panics
/// When the pieces tell other messages than the whole, when a message is longer than is kept, or when what is taken out of
/// one is not in it.
pub fn syslog(input: &[u8]) {
    let Some((cut, stream)) = input.split_first() else { return };
    let (first, second) = stream.split_at(stream.len() * usize::from(*cut) / 256);
    let messages = read(&[stream]);
    assert_eq!(read(&[first, second]), messages);
    for message in messages.0 {
        assert!(message.len() <= CUT_LINE_BYTES, "{} bytes", message.len());
        let told = Message::of(&message);
        for part in [told.host, told.app, told.text] {
            assert!(part.is_empty() || message.as_ptr_range().contains(&part.as_ptr()));
        }
    }
}

/// The messages of a stream that comes in these pieces, and whether it can be read to its end.
fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let (mut frames, mut messages) = (Frames::default(), Vec::new());
    for piece in pieces {
        frames.buffer.extend_from_slice(piece);
        loop {
            match frames.next() {
                Ok(Some(framed)) => messages.push(framed.message.to_vec()),
                Ok(None) => break,
                Err(BrokenFraming) => return (messages, false),
            }
        }
    }
    messages.extend(frames.rest().map(|framed| framed.message.to_vec()));
    (messages, true)
}

fn check(lines: &[u8], origin: &LineOrigin) {
    let (earliest, latest) = (UnixNanos(0), NOW.plus(FUTURE_MAX));
    let arrival = Arrival { tenant: "default", ingest_time: NOW, earliest, latest };
    let tally: Tally =
        check_rows(|out: &mut Builders| Ok(decode_lines(lines, origin, &arrival, &mut out.requests)));
    let unread: u64 = tally.unread.iter().map(|(_, lines)| lines).sum();
    assert!(unread <= tally.accepted, "{unread} of {} rows", tally.accepted);
    assert_eq!(unread, tally.warnings.count(Warning::LineUnread));
}
