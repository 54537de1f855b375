//! Messages to a client, gathered and sent in large pieces.
//!
//! What is sent seldom is written by a library. Rows are written here, straight from columns into the bytes that are
//! sent: a message of its own for each row, to be encoded by somebody else, would cost more than finding the row.

use std::io;

use bytes::{BufMut as _, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

/// How much is gathered before it is sent: enough that system calls do not count, little enough that the first rows are
/// on their way soon.
pub const GATHERED_BYTES: usize = 64 << 10;

/// The writing half of a connection.
pub struct Outgoing<W> {
    to: W,
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    pub fn new(to: W) -> Self {
        Outgoing { to, buffer: BytesMut::with_capacity(2 * GATHERED_BYTES) }
    }

    /// Adds a message to what is gathered.
    pub fn push(&mut self, message: &PgWireBackendMessage) {
        let start = self.buffer.len();
        if let Err(error) = message.encode(&mut self.buffer) {
            // Only a message over the library's own limits, as a label of 30,000 bytes.
            self.buffer.truncate(start);
            tracing::warn!(%error, "leave out a message of the Postgres protocol");
        }
    }

    /// What is gathered, for messages that are written by hand.
    pub fn gathered(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Adds bytes that are no message: the answer to a request for encryption.
    pub fn push_byte(&mut self, byte: u8) {
        self.buffer.put_u8(byte);
    }

    /// Whether it is time to send.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= GATHERED_BYTES
    }

    /// Sends what is gathered, if the client takes it before `deadline`.
    ///
    /// # Errors
    /// The client has gone, or does not read: the connection is over.
    pub async fn flush(&mut self, deadline: Instant) -> io::Result<()> {
        let send = async {
            self.to.write_all(&self.buffer).await?;
            self.to.flush().await
        };
        timeout_at(deadline, send).await.map_err(|_| io::ErrorKind::TimedOut)??;
        self.buffer.clear();
        Ok(())
    }
}
