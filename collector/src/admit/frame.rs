//! Reads the length-prefixed messages of a gRPC request.
//!
//! ```text
//! byte  0      flag: 0 = as is, 1 = packed with the call's grpc-encoding
//! bytes 1..5   length of the message, big-endian
//! bytes 5..    the message
//! ```
//! Ours and not tonic's, because the declared length must meet the size limit and the byte budget before a
//! byte of the message is buffered, and because tonic answers OUT_OF_RANGE for a large message, which makes
//! OTLP clients send it again for ever.
//!
//! Source: gRPC over HTTP/2, "Length-Prefixed-Message".

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Body;

use super::body::{BODY_TIME_MAX, Chunks, too_large, within};
use super::media::Encoding;
use super::refusal::Refusal;
use crate::intake::{Budget, Tickets};

const PREFIX_BYTES: usize = 5;

/// One message as sent.
#[derive(Debug)]
pub struct Message {
    pub bytes: Bytes,
    /// How `bytes` are packed.
    pub encoding: Encoding,
    /// Pays for `bytes`.
    pub tickets: Tickets,
}

/// What a message's prefix says of it.
struct Announced {
    encoding: Encoding,
    bytes: usize,
}

/// The messages of one call.
#[derive(Debug)]
pub struct FrameReader<'a, B> {
    chunks: Chunks<B>,
    /// Read and not yet used.
    left: BytesMut,
    encoding: Encoding,
    limit_bytes: &'a AtomicUsize,
}

impl<'a, B> FrameReader<'a, B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    /// `encoding` is the call's grpc-encoding, `limit_bytes` the longest message; it is asked for each, because it may
    /// change while a stream lives.
    pub fn new(body: B, encoding: Encoding, limit_bytes: &'a AtomicUsize) -> Self {
        FrameReader { chunks: Chunks::new(body), left: BytesMut::new(), encoding, limit_bytes }
    }

    /// The one message of a unary call, which may take `time_max`. `take` gives tickets for its length before it is
    /// read, or refuses it: its sender knows how to come back.
    ///
    /// # Errors
    /// That of `take`; [`Refusal::BrokenFrame`], also when there is no message or a second one; [`Refusal::TooLarge`];
    /// [`Refusal::TimedOut`] when the whole takes longer than `time_max`; [`Refusal::Undecodable`] when the stream is
    /// reset.
    pub async fn only(
        mut self,
        take: impl FnOnce(usize) -> Result<Tickets, Refusal>,
        time_max: Duration,
    ) -> Result<Message, Refusal> {
        within(time_max, async {
            let announced = self.begin().await?.ok_or(Refusal::BrokenFrame("no message"))?;
            let tickets = take(announced.bytes)?;
            let message = self.read(announced, tickets).await?;
            if !self.left.is_empty() || self.chunks.next().await?.is_some() {
                return Err(Refusal::BrokenFrame("more than one message in a unary call"));
            }
            Ok(message)
        })
        .await
    }

    /// The next message; `None` at the end of the stream. Waits as long as it takes for a message to begin, and
    /// [`BODY_TIME_MAX`] from then on. When the budget is used up, the stream is not read on; HTTP/2 flow control makes
    /// its sender wait.
    ///
    /// # Errors
    /// [`Refusal::BrokenFrame`], [`Refusal::TooLarge`] (also for more than the whole budget), [`Refusal::TimedOut`],
    /// [`Refusal::Undecodable`] when the stream is reset. After an error the place in the stream is lost.
    ///
    /// Cancel: the place in the stream may be lost; use it only to end the stream.
    pub async fn next(&mut self, budget: &Budget) -> Result<Option<Message>, Refusal> {
        let Some(announced) = self.begin().await? else {
            return Ok(None);
        };
        let tickets = budget.take_when_free(announced.bytes).await?;
        self.read(announced, tickets).await.map(Some)
    }

    /// Reads the prefix of the next message.
    async fn begin(&mut self) -> Result<Option<Announced>, Refusal> {
        if self.left.is_empty() && !self.read_more().await? {
            return Ok(None);
        }
        let (flag, length) = within(BODY_TIME_MAX, self.prefix()).await?;
        let encoding = match (flag, self.encoding) {
            (0, _) => Encoding::Identity,
            (1, Encoding::Identity) => return Err(Refusal::BrokenFrame("compressed without grpc-encoding")),
            (1, encoding) => encoding,
            _ => return Err(Refusal::BrokenFrame("flag is neither 0 nor 1")),
        };
        let limit_bytes = self.limit_bytes.load(Ordering::Relaxed);
        if length > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        Ok(Some(Announced { encoding, bytes: length }))
    }

    /// Reads the message that was announced.
    async fn read(&mut self, announced: Announced, tickets: Tickets) -> Result<Message, Refusal> {
        let bytes = within(BODY_TIME_MAX, self.message(announced.bytes)).await?;
        Ok(Message { bytes, encoding: announced.encoding, tickets })
    }

    async fn prefix(&mut self) -> Result<(u8, usize), Refusal> {
        while self.left.len() < PREFIX_BYTES {
            if !self.read_more().await? {
                return Err(Refusal::BrokenFrame("ends inside a prefix"));
            }
        }
        let prefix = self.left.split_to(PREFIX_BYTES);
        let length = prefix.iter().skip(1).fold(0usize, |length, byte| length << 8 | usize::from(*byte));
        Ok((prefix[0], length))
    }

    async fn message(&mut self, length: usize) -> Result<Bytes, Refusal> {
        self.left.reserve(length.saturating_sub(self.left.len()));
        while self.left.len() < length {
            if !self.read_more().await? {
                return Err(Refusal::BrokenFrame("ends inside a message"));
            }
        }
        Ok(self.left.split_to(length).freeze())
    }

    async fn read_more(&mut self) -> Result<bool, Refusal> {
        let Some(chunk) = self.chunks.next().await? else {
            return Ok(false);
        };
        self.left.extend_from_slice(&chunk);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    static LIMIT_BYTES: AtomicUsize = AtomicUsize::new(100);

    fn reader(bytes: &[u8], piece_bytes: usize, encoding: Encoding) -> FrameReader<'static, Pieces> {
        let pieces = bytes.chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
        FrameReader::new(Pieces(pieces), encoding, &LIMIT_BYTES)
    }

    #[tokio::test]
    async fn messages_are_read_whatever_the_pieces() {
        let bytes = b"\0\0\0\0\x03abc\0\0\0\0\0\x01\0\0\0\x02zz";
        for piece_bytes in 1..=bytes.len() {
            let budget = Budget::new(1000);
            let mut reader = reader(bytes, piece_bytes, Encoding::Gzip);
            let mut messages = Vec::new();
            while let Some(message) = reader.next(&budget).await.expect("well-formed") {
                messages.push((message.bytes, message.encoding));
            }
            let want: [(Bytes, Encoding); 3] = [
                (Bytes::from_static(b"abc"), Encoding::Identity),
                (Bytes::new(), Encoding::Identity),
                (Bytes::from_static(b"zz"), Encoding::Gzip),
            ];
            assert_eq!(messages, want, "in pieces of {piece_bytes}");
        }
    }

    #[tokio::test]
    async fn broken_frames_are_named() {
        let cases: [(&[u8], &str); 7] = [
            (b"", "no message"),
            (b"\0\0\0", "ends inside a prefix"),
            (b"\0\0\0\0\x03ab", "ends inside a message"),
            (b"\x02\0\0\0\0", "flag is neither 0 nor 1"),
            (b"\x01\0\0\0\0", "compressed without grpc-encoding"),
            (b"\0\0\0\0\0\0\0\0\0\0", "more than one message in a unary call"),
            (b"\0\0\0\0\0x", "more than one message in a unary call"),
        ];
        for (bytes, want) in cases {
            let take = |bytes| Ok(Budget::new(1000).take(bytes)?);
            let result = reader(bytes, 4, Encoding::Identity).only(take, BODY_TIME_MAX).await;
            assert_eq!(result.map(|_| ()), Err(Refusal::BrokenFrame(want)), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_declared_length_is_refused_before_it_is_read() {
        let budget = Budget::new(150);
        let held = budget.take(100).expect("free");
        let take = |bytes| Ok(budget.take(bytes)?);
        let result = |bytes: &'static [u8]| reader(bytes, 5, Encoding::Identity).only(take, BODY_TIME_MAX);
        assert_eq!(result(b"\0\xff\xff\xff\xff").await.map(|_| ()), Err(too_large(100)));
        assert_eq!(result(b"\0\0\0\0\x65").await.map(|_| ()), Err(too_large(100)), "101 of 100");
        assert!(matches!(result(b"\0\0\0\0\x64").await, Err(Refusal::Overloaded(_))), "100 of 50 free");
        assert_eq!(budget.used_bytes(), held.bytes());
    }

    #[tokio::test]
    async fn a_lower_limit_holds_from_the_next_message_on() {
        let budget = Budget::new(1000);
        let limit_bytes = AtomicUsize::new(3);
        let pieces = [b"\0\0\0\0\x03abc".as_slice(), b"\0\0\0\0\x03abc"].map(Bytes::from_static);
        let mut reader = FrameReader::new(Pieces(pieces.into()), Encoding::Identity, &limit_bytes);
        assert!(matches!(reader.next(&budget).await, Ok(Some(_))), "3 of 3");
        limit_bytes.store(2, Ordering::Relaxed);
        assert_eq!(reader.next(&budget).await.map(|_| ()), Err(too_large(2)), "3 of 2");
    }
}
