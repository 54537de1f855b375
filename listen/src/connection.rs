//! One connection that was accepted, as a protocol gets it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::principal::Role;
use crate::stopping::Stopping;
use crate::stream::{Stream, Wrap};

/// A connection and what is known of whoever opened it.
pub struct Connection {
    pub stream: Stream,
    pub peer: SocketAddr,
    /// What the listener lets everybody do who reaches it.
    pub role: Role,
    /// When to say goodbye.
    pub stopping: Stopping,
    pub(crate) wrap: Option<Arc<dyn Wrap>>,
}

impl Connection {
    /// Whether [`wrapped`](Self::wrapped) can succeed: what a protocol answers when its peer asks for encryption.
    pub fn can_be_wrapped(&self) -> bool {
        self.wrap.is_some()
    }

    /// The same connection behind what its listener wraps connections in, from the next byte on.
    ///
    /// # Errors
    /// The listener has nothing to wrap it in, or the peer does not agree; the connection is over.
    pub async fn wrapped(self) -> io::Result<Connection> {
        let Connection { stream, peer, role, stopping, wrap } = self;
        let wrap = wrap.ok_or(io::ErrorKind::Unsupported)?;
        Ok(Connection { stream: wrap.wrap(stream).await?, peer, role, stopping, wrap: None })
    }
}
