//! Finds the messages in a stream of syslog over TCP: counted, or ended by a line feed.
//!
//! ```text
//! 177 <190>1 2026-11-23T07:07:07Z ...     counted: length in bytes, a space, the message
//! <190>Nov 23 07:07:07 vm nginx: ...\n    ended by a line feed (or, as some write it, a NUL)
//! ```
//! The first bytes of a connection tell which: a counted stream begins with digits and a space, of which more than
//! [`COUNT_DIGITS`] are a count only where a priority follows, as lines may begin with seconds since the epoch. It stays with that: behind a count that is none nobody can say where a message begins, and
//! the connection is over. A message that is longer than is kept is read to its end and kept cut.
//!
//! Source: RFC 6587, 3.4.1 and 3.4.2.

use bytes::{Buf as _, BytesMut};
use thiserror::Error;

use crate::lines::CUT_LINE_BYTES;

/// Less than 1 GB: so many digits are a count whatever follows. Seconds since the epoch have had one more since 2001.
const COUNT_DIGITS: usize = 9;

/// Less than 1 TB; more digits are no count.
const COUNT_DIGITS_MAX: usize = 12;

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("what should be the length of a message is none")]
pub(crate) struct BrokenFraming;

/// How messages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Counted,
    Lines,
}

/// A message, perhaps cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    pub(crate) message: BytesMut,
    pub(crate) is_cut: bool,
}

/// The messages of one connection.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    framing: Option<Framing>,
    /// What has come and is not given out.
    pub(crate) buffer: BytesMut,
    /// How many bytes of the buffer have no line feed.
    searched: usize,
    /// Of a message that was given out cut: bytes still to come, or `None` up to the line feed.
    skipping: Option<Option<usize>>,
}

impl Frames {
    /// Whether a message has begun and not ended.
    pub(crate) fn has_begun(&self) -> bool {
        !self.buffer.is_empty() || self.skipping.is_some()
    }

    /// The next message that is there.
    ///
    /// # Errors
    /// [`BrokenFraming`]; nothing more can be told apart.
    pub(crate) fn next(&mut self) -> Result<Option<Framed>, BrokenFraming> {
        if !self.skip() {
            return Ok(None);
        }
        let framing = match self.framing {
            Some(framing) => framing,
            None => match self.count() {
                Ok(None) => return Ok(None),
                Ok(Some(_)) => *self.framing.insert(Framing::Counted),
                Err(BrokenFraming) => *self.framing.insert(Framing::Lines),
            },
        };
        match framing {
            Framing::Counted => self.next_counted(),
            Framing::Lines => Ok(self.next_line()),
        }
    }

    /// What stands behind the last message that has ended, when nothing more comes.
    pub(crate) fn rest(&mut self) -> Option<Framed> {
        let is_line = self.framing == Some(Framing::Lines) && self.skipping.is_none();
        (is_line && !self.buffer.is_empty()).then(|| Framed { message: self.buffer.split(), is_cut: false })
    }

    /// Drops what is left of a message that was cut; whether that is over.
    fn skip(&mut self) -> bool {
        let Some(skipping) = self.skipping else { return true };
        let skipped = match skipping {
            Some(bytes) => bytes.min(self.buffer.len()),
            None => self.buffer.iter().position(|byte| is_end(*byte)).map_or(self.buffer.len(), |at| at + 1),
        };
        let ended_line = skipped > 0 && self.buffer.get(skipped - 1).is_some_and(|byte| is_end(*byte));
        self.buffer.advance(skipped);
        self.skipping = match skipping {
            Some(bytes) => (bytes > skipped).then_some(Some(bytes - skipped)),
            None => (!ended_line).then_some(None),
        };
        self.skipping.is_none()
    }

    /// The count that the buffer begins with, and the bytes that it takes; `None` when it may still become one.
    fn count(&self) -> Result<Option<(usize, usize)>, BrokenFraming> {
        let digits = self.buffer.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > COUNT_DIGITS_MAX || self.buffer.first() == Some(&b'0') {
            return Err(BrokenFraming);
        }
        match self.buffer.get(digits) {
            None => Ok(None),
            Some(b' ') if digits > COUNT_DIGITS && self.buffer.len() == digits + 1 => Ok(None),
            Some(b' ') if digits > COUNT_DIGITS && self.buffer[digits + 1] != b'<' => Err(BrokenFraming),
            Some(b' ') if digits > 0 => {
                let add = |number, digit: &u8| 10 * number + usize::from(digit - b'0');
                Ok(Some((self.buffer[..digits].iter().fold(0, add), digits + 1)))
            }
            Some(_) => Err(BrokenFraming),
        }
    }

    fn next_counted(&mut self) -> Result<Option<Framed>, BrokenFraming> {
        // Some senders end a counted message with a line feed that they have not counted.
        while self.buffer.first().is_some_and(|byte| is_end(*byte)) {
            self.buffer.advance(1);
        }
        let Some((message_bytes, count_bytes)) = self.count()? else { return Ok(None) };
        let kept = message_bytes.min(CUT_LINE_BYTES);
        if self.buffer.len() < count_bytes + kept {
            return Ok(None);
        }
        self.buffer.advance(count_bytes);
        let message = self.buffer.split_to(kept);
        let is_cut = kept < message_bytes;
        self.skipping = is_cut.then_some(Some(message_bytes - kept));
        Ok(Some(Framed { message, is_cut }))
    }

    fn next_line(&mut self) -> Option<Framed> {
        let end = self.buffer[self.searched..].iter().position(|byte| is_end(*byte));
        let (message, is_cut) = match end.map(|end| self.searched + end) {
            Some(end) if end <= CUT_LINE_BYTES => {
                let message = self.buffer.split_to(end);
                self.buffer.advance(1);
                (message, false)
            }
            None if self.buffer.len() <= CUT_LINE_BYTES => {
                self.searched = self.buffer.len();
                return None;
            }
            _ => {
                self.skipping = Some(None);
                (self.buffer.split_to(CUT_LINE_BYTES), true)
            }
        };
        self.searched = 0;
        Some(Framed { message, is_cut })
    }
}

fn is_end(byte: u8) -> bool {
    byte == b'\n' || byte == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (Vec<(String, bool)>, Result<Option<String>, BrokenFraming>);

    /// What is told of `stream` that comes in pieces of `piece_bytes`, and what is left at its end.
    fn told(stream: &[u8], piece_bytes: usize) -> Told {
        let text = |framed: &Framed| String::from_utf8_lossy(&framed.message).into_owned();
        let (mut frames, mut messages) = (Frames::default(), Vec::new());
        for piece in stream.chunks(piece_bytes) {
            frames.buffer.extend_from_slice(piece);
            loop {
                match frames.next() {
                    Ok(Some(framed)) => messages.push((text(&framed), framed.is_cut)),
                    Ok(None) => break,
                    Err(broken) => return (messages, Err(broken)),
                }
            }
        }
        let rest = frames.rest().as_ref().map(text);
        (messages, Ok(rest))
    }

    /// However the bytes come, the same is told.
    fn check(stream: &str, messages: &[&str], rest: Result<Option<&str>, BrokenFraming>) {
        let messages: Vec<_> = messages.iter().map(|message| ((*message).to_owned(), false)).collect();
        let want = (messages, rest.map(|rest| rest.map(str::to_owned)));
        for piece_bytes in [1, 2, 3, 7, 1000] {
            assert_eq!(told(stream.as_bytes(), piece_bytes), want, "{stream:?} by {piece_bytes}");
        }
    }

    #[test]
    fn messages_are_counted_or_end_with_the_line() {
        check("", &[], Ok(None));
        check("<1>a\n<1>b\n", &["<1>a", "<1>b"], Ok(None));
        check("<1>a\0<1>b", &["<1>a"], Ok(Some("<1>b")));
        check("\n<1>a\n", &["", "<1>a"], Ok(None));
        check("4 <1>a5 <1>bc", &["<1>a", "<1>bc"], Ok(None));
        check("4 <1>a\n4 <1>b\n", &["<1>a", "<1>b"], Ok(None));
        check("6 <1>a\nb4 <1>c", &["<1>a\nb", "<1>c"], Ok(None));
        check("9 <1>a", &[], Ok(None));
    }

    #[test]
    fn what_looks_like_no_count_at_first_is_a_line() {
        check("10.0.0.1 - -\n2 x\n", &["10.0.0.1 - -", "2 x"], Ok(None));
        check("12a x\n", &["12a x"], Ok(None));
        check("0 x\n", &["0 x"], Ok(None));
        check("9999999999 x\n", &["9999999999 x"], Ok(None));
    }

    /// Ten digits may be a gigabyte or a second since the epoch: what stands behind them tells.
    #[test]
    fn a_message_of_a_gigabyte_is_counted_where_a_priority_follows() {
        let long = format!("<1>{}", "x".repeat(CUT_LINE_BYTES));
        for digits in ["999999999", "1000000000", "999999999999"] {
            let want = vec![(long[..CUT_LINE_BYTES].to_owned(), true)];
            for piece_bytes in [11, 4096] {
                assert_eq!(
                    told(format!("{digits} {long}").as_bytes(), piece_bytes),
                    (want.clone(), Ok(None))
                );
            }
        }
        check("1795417627 vm nginx\n<1>a\n", &["1795417627 vm nginx", "<1>a"], Ok(None));
        check("1234567890123 <1>a\n", &["1234567890123 <1>a"], Ok(None));
    }

    #[test]
    fn a_counted_stream_ends_with_the_first_count_that_is_none() {
        for broken in ["<1>b\n", "0 x", "01 x", "12a", "9999999999 x", "-1 x", " x"] {
            check(&format!("4 <1>a{broken}"), &["<1>a"], Err(BrokenFraming));
        }
    }

    #[test]
    fn long_messages_are_kept_cut_and_those_behind_them_found() {
        for extra in [0, 1, 3 * CUT_LINE_BYTES] {
            let long = "x".repeat(CUT_LINE_BYTES + extra);
            let want = [(long[..CUT_LINE_BYTES].to_owned(), extra > 0), ("next".to_owned(), false)];
            let counted = format!("{} {long}4 next", long.len());
            let lines = format!("{long}\nnext\n");
            for stream in [counted, lines] {
                for piece_bytes in [4096, 10 * CUT_LINE_BYTES] {
                    assert_eq!(told(stream.as_bytes(), piece_bytes), (want.to_vec(), Ok(None)), "{extra}");
                }
            }
        }
    }
}
