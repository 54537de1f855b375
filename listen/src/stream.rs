//! The bytes of a connection, whatever carries them, and what turns them into others.
//!
//! A protocol reads and writes a [`Stream`] and cannot tell a socket from what a [`Wrap`] has made of one. What was
//! read to find out how to go on can be given back, so that the next reader finds the stream as it came.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What bytes come from and go to.
pub trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// A connection's bytes in both directions.
pub struct Stream {
    /// Read already, and to be read again first.
    given_back: Bytes,
    carrier: Box<dyn Carrier>,
}

/// What [`Wrap::wrap`] comes to.
pub type Wrapping<'a> = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + 'a>>;

/// Makes another stream of a connection's, as TLS does.
pub trait Wrap: Send + Sync {
    /// The stream as the protocol is to see it.
    ///
    /// # Errors
    /// The peer broke off or does not agree; the connection is over.
    fn wrap(&self, stream: Stream) -> Wrapping<'_>;
}

impl Stream {
    pub fn new(carrier: impl Carrier + 'static) -> Stream {
        Stream { given_back: Bytes::new(), carrier: Box::new(carrier) }
    }

    /// Lets `bytes` be read before what is still to come.
    pub fn give_back(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.given_back = match self.given_back.is_empty() {
            true => bytes,
            false => [bytes, std::mem::take(&mut self.given_back)].concat().into(),
        };
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given_back.is_empty() {
            return Pin::new(&mut self.carrier).poll_read(context, buffer);
        }
        let length = self.given_back.len().min(buffer.remaining());
        buffer.put_slice(&self.given_back[..length]);
        self.given_back.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_was_given_back_is_read_first_in_pieces_of_any_size() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"fgh").await.expect("room");
        drop(client);
        let mut stream = Stream::new(server);
        stream.give_back(b"de".as_slice());
        stream.give_back(b"abc".as_slice());
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.expect("given back");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.expect("text");
        assert_eq!((&two, rest.as_str()), (b"ab", "cdefgh"));
    }
}
