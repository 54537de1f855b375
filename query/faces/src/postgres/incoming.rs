//! Messages of a client, cut out of its bytes.
//!
//! By hand, though a library writes what we answer: its reader takes a length of a gigabyte, reads on into the next
//! message where one is shorter than it says, and panics where there is none. Here a message is cut by its length first,
//! and nothing is read beyond it.
//!
//! ```text
//! opening   length i32 | code i32 | ...                      (no kind; the code tells them apart)
//! all else  kind u8 | length i32, itself included | ...
//! ```
//! All numbers are big-endian, texts end with a zero byte.
//! Source: PostgreSQL 16, "Frontend/Backend Protocol", "Message Formats".

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes of one message: a statement has at most 64 KiB, and its parameters as much.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of the first message, as PostgreSQL has it. Source: `MAX_STARTUP_PACKET_LENGTH` in `src/include/libpq/pqcomm.h`.
const OPENING_BYTES_MAX: usize = 10_000;

/// How much is read ahead while a statement runs, to learn that the client has gone.
const AHEAD_BYTES_MAX: usize = 64 << 10;

/// Codes that stand where a version would.
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// Why there is no message.
#[derive(Debug, Error)]
pub enum Unreadable {
    #[error("the client has gone")]
    Gone(#[from] io::Error),
    #[error("a message of {0} bytes is too long: at most {MESSAGE_BYTES_MAX}")]
    TooLong(usize),
    #[error("invalid message: {0}")]
    Malformed(&'static str),
}

/// The first message, and those before it.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// Encryption is asked for, by TLS or by GSSAPI.
    Encryption,
    Cancel {
        process_id: i32,
        key: Bytes,
    },
    Start {
        major: u16,
        minor: u16,
        parameters: Vec<(String, String)>,
    },
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Statement,
    Portal,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Query(String),
    Parse {
        statement: String,
        sql: String,
        /// Zero where the client leaves a type to us.
        parameter_types: Vec<u32>,
    },
    Bind {
        portal: String,
        statement: String,
        parameter_formats: Vec<i16>,
        parameters: Vec<Option<Bytes>>,
        row_formats: Vec<i16>,
    },
    Describe(Target, String),
    Execute {
        portal: String,
        /// All, when zero.
        rows_max: u32,
    },
    Close(Target, String),
    Flush,
    Sync,
    Terminate,
    /// Rows to copy in, which we never ask for; they can come after a statement that failed.
    Copy,
}

/// The reading half of a connection.
pub struct Incoming<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub fn new(from: R) -> Self {
        Incoming { from, buffer: BytesMut::new() }
    }

    /// The next message. Cancel: nothing is lost.
    ///
    /// # Errors
    /// [`Unreadable::Gone`] at the end of the connection; for the others, nothing that follows can be understood.
    pub async fn message(&mut self) -> Result<Message, Unreadable> {
        let (kind, body) = loop {
            if let [kind, length @ ..] = &self.buffer[..]
                && let Some(length) = length_of(length, MESSAGE_BYTES_MAX)?
                && self.buffer.len() > length
            {
                let kind = *kind;
                self.buffer.advance(1);
                break (kind, self.cut(length));
            }
            self.fill().await?;
        };
        message(kind, &mut Body(body))
    }

    /// The next message before the connection has begun. Cancel: nothing is lost.
    ///
    /// # Errors
    /// As [`Incoming::message`].
    pub async fn opening(&mut self) -> Result<Opening, Unreadable> {
        let body = loop {
            if let Some(length) = length_of(&self.buffer, OPENING_BYTES_MAX)?
                && self.buffer.len() >= length
            {
                break self.cut(length);
            }
            self.fill().await?;
        };
        opening(&mut Body(body))
    }

    /// Returns when the client has gone; never while it is there. Cancel: nothing is lost.
    pub async fn gone(&mut self) {
        while self.buffer.len() < AHEAD_BYTES_MAX {
            if self.fill().await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    async fn fill(&mut self) -> Result<(), Unreadable> {
        match self.from.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => Ok(()),
        }
    }

    /// What comes after the length, which includes itself.
    fn cut(&mut self, length: usize) -> Bytes {
        let mut message = self.buffer.split_to(length).freeze();
        message.advance(4);
        message
    }
}

/// The length that `bytes` begin with, if they are long enough for one.
fn length_of(bytes: &[u8], max: usize) -> Result<Option<usize>, Unreadable> {
    let Some(length) = bytes.first_chunk() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or_default();
    if length < 4 {
        return Err(Unreadable::Malformed("a length below 4"));
    }
    if length > max { Err(Unreadable::TooLong(length)) } else { Ok(Some(length)) }
}

fn opening(body: &mut Body) -> Result<Opening, Unreadable> {
    let code = body.u32()?;
    match code {
        SSL | GSS => Ok(Opening::Encryption),
        CANCEL => Ok(Opening::Cancel { process_id: body.i32()?, key: body.rest() }),
        version => {
            let mut parameters = Vec::new();
            loop {
                let name = body.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name, body.text()?));
            }
            let [major, minor] = [version >> 16, version & 0xffff].map(|half| half as u16);
            Ok(Opening::Start { major, minor, parameters })
        }
    }
}

fn message(kind: u8, body: &mut Body) -> Result<Message, Unreadable> {
    let message = match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => {
            let (statement, sql) = (body.text()?, body.text()?);
            let parameter_types = body.list(Body::u32)?;
            Message::Parse { statement, sql, parameter_types }
        }
        b'B' => {
            let (portal, statement) = (body.text()?, body.text()?);
            let parameter_formats = body.list(Body::i16)?;
            let parameters = body.list(Body::value)?;
            let row_formats = body.list(Body::i16)?;
            Message::Bind { portal, statement, parameter_formats, parameters, row_formats }
        }
        b'D' => Message::Describe(body.target()?, body.text()?),
        b'E' => Message::Execute { portal: body.text()?, rows_max: body.u32()? },
        b'C' => Message::Close(body.target()?, body.text()?),
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'd' | b'c' | b'f' => Message::Copy,
        _ => return Err(Unreadable::Malformed("a kind that nobody knows")),
    };
    Ok(message)
}

/// What is left of one message.
struct Body(Bytes);

const SHORT: Unreadable = Unreadable::Malformed("it is shorter than it says");

impl Body {
    fn u32(&mut self) -> Result<u32, Unreadable> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    fn i32(&mut self) -> Result<i32, Unreadable> {
        self.0.try_get_i32().map_err(|_| SHORT)
    }

    fn i16(&mut self) -> Result<i16, Unreadable> {
        self.0.try_get_i16().map_err(|_| SHORT)
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(SHORT)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.to_vec()).map_err(|_| Unreadable::Malformed("text that is not UTF-8"))
    }

    fn target(&mut self) -> Result<Target, Unreadable> {
        match self.0.try_get_u8() {
            Ok(b'S') => Ok(Target::Statement),
            Ok(b'P') => Ok(Target::Portal),
            _ => Err(Unreadable::Malformed("neither a statement nor a portal")),
        }
    }

    /// Values after their number.
    fn list<T>(&mut self, one: fn(&mut Body) -> Result<T, Unreadable>) -> Result<Vec<T>, Unreadable> {
        let count = self.0.try_get_u16().map_err(|_| SHORT)?;
        (0..count).map(|_| one(self)).collect()
    }

    /// A value after its length; null has a negative one.
    fn value(&mut self) -> Result<Option<Bytes>, Unreadable> {
        match usize::try_from(self.i32()?) {
            Err(_) => Ok(None),
            Ok(length) if length > self.0.len() => Err(SHORT),
            Ok(length) => Ok(Some(self.0.split_to(length))),
        }
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn first(bytes: &[u8]) -> Result<Message, Unreadable> {
        Incoming::new(bytes).message().await
    }

    #[tokio::test]
    async fn a_message_is_read_as_far_as_it_goes_and_no_further() {
        let two = b"Q\0\0\0\x09SELE\0Q\0\0\0\x05\0";
        let mut incoming = Incoming::new(&two[..]);
        assert_eq!(incoming.message().await.expect("a message"), Message::Query("SELE".to_owned()));
        assert_eq!(incoming.message().await.expect("a message"), Message::Query(String::new()));
        assert!(matches!(incoming.message().await, Err(Unreadable::Gone(_))));
    }

    #[tokio::test]
    async fn parameters_are_null_or_bytes() {
        let bind = b"B\0\0\0\x19p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x01a\0\0";
        let want = Message::Bind {
            portal: "p".to_owned(),
            statement: "s".to_owned(),
            parameter_formats: vec![1],
            parameters: vec![None, Some(Bytes::from_static(b"a"))],
            row_formats: Vec::new(),
        };
        assert_eq!(first(bind).await.expect("a message"), want);
    }

    #[tokio::test]
    async fn the_longest_message_is_read_and_one_byte_more_is_not() {
        let with_length = |length: usize| {
            let mut bytes = vec![b'Q'];
            bytes.extend(u32::try_from(length).expect("small").to_be_bytes());
            bytes.extend(std::iter::repeat_n(b'x', length - 5));
            bytes.push(0);
            bytes
        };
        assert!(first(&with_length(MESSAGE_BYTES_MAX)).await.is_ok());
        let refused = first(&with_length(MESSAGE_BYTES_MAX + 1)).await;
        assert!(matches!(refused, Err(Unreadable::TooLong(length)) if length == MESSAGE_BYTES_MAX + 1));
    }

    /// Each is cut short, lies about a length, or is no message at all; none may panic.
    #[tokio::test]
    async fn what_is_malformed_is_an_error() {
        let cases: [&[u8]; 9] = [
            b"Q\0\0\0\x03",
            b"Q\x80\0\0\0",
            b"Q\0\0\0\x04",
            b"Q\0\0\0\x06ab",
            b"Q\0\0\0\x06\xff\0",
            b"P\0\0\0\x06\0\0",
            b"B\0\0\0\x0e\0\0\0\0\0\x01\0\0\0\x09",
            b"D\0\0\0\x06X\0",
            b"!\0\0\0\x04",
        ];
        for bytes in cases {
            assert!(matches!(first(bytes).await, Err(Unreadable::Malformed(_))), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn openings_are_told_apart_by_their_code() {
        let read = async |bytes: &[u8]| Incoming::new(bytes).opening().await.expect("an opening");
        assert_eq!(read(b"\0\0\0\x08\x04\xd2\x16\x2f").await, Opening::Encryption);
        assert_eq!(read(b"\0\0\0\x08\x04\xd2\x16\x30").await, Opening::Encryption);
        let cancel = Opening::Cancel { process_id: 7, key: Bytes::from_static(b"abcd") };
        assert_eq!(read(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd").await, cancel);
        let start = Opening::Start { major: 3, minor: 2, parameters: vec![("user".into(), "x".into())] };
        assert_eq!(read(b"\0\0\0\x10\0\x03\0\x02user\0x\0\0").await, start);
    }
}
