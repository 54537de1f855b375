//! A socket that serves: bound first, served later, stopped with a deadline.
//!
//! All listeners of a process are bound before anything starts, so that a taken port ends it before it has touched
//! a data directory. One may be bound by another process and served here: whoever connects waits in the socket's own
//! queue for as long as anybody holds it. Limits: no cap per address.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meshlake_schema::metrics::Page;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::{BindError, bind};
use crate::cap::{Cap, Place};
use crate::connection::Connection;
use crate::principal::Role;
use crate::protocol::Protocol;
use crate::stopping::Stopping;
use crate::stream::{Stream, Wrap, Wrapping};

/// How long accepting pauses after an error such as "too many open files", which would repeat at once.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// How long a peer may take for what comes before the protocol, a handshake of TLS: a round trip or two and some
/// milliseconds of arithmetic.
const WRAP_TIME_MAX: Duration = Duration::from_secs(5);

/// A socket that is bound and not yet served.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    address: SocketAddr,
    counts: Arc<Counts>,
}

/// What holds for everybody who comes to a listener.
#[derive(Clone)]
pub struct Door {
    /// What they may do.
    pub role: Role,
    /// How many may be in at once, of this listener and those that share the cap.
    pub cap: Cap,
    /// What their connections are wrapped in.
    pub wrap: Option<(WrapStart, Arc<dyn Wrap>)>,
}

/// When a connection is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrapStart {
    /// Before the protocol sees its first byte.
    AtOnce,
    /// When the protocol asks for it, by [`Connection::wrapped`].
    WhenAsked,
}

/// Counts the connections of one listener. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct ListenerStats {
    name: &'static str,
    counts: Arc<Counts>,
}

/// Connections of one listener since it was first served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    pub open: u64,
    pub accepted: u64,
    /// Closed at once because too many were open.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// A listener that is served.
#[derive(Debug)]
pub struct Served {
    name: &'static str,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Listens on `address`, as [`bind`] does. `name` is its label in metrics and log lines.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn bind(name: &'static str, address: &str) -> Result<Listener, BindError> {
        let (socket, address) = bind(address)?;
        Ok(Listener { name, socket, address, counts: Arc::default() })
    }

    /// A listener whose socket another process has bound and handed down.
    ///
    /// # Errors
    /// The socket has no address.
    pub fn inherited(name: &'static str, socket: OwnedFd) -> io::Result<Listener> {
        let socket = TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok(Listener { name, socket, address, counts: Arc::default() })
    }

    /// Its socket, to be handed down to a process that serves it.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens; the port is the one that the system chose when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its counts, which can be read before it is served and after it has stopped.
    pub fn stats(&self) -> ListenerStats {
        ListenerStats { name: self.name, counts: Arc::clone(&self.counts) }
    }

    /// Serves it in the tokio runtime that this is called in.
    ///
    /// # Errors
    /// The runtime cannot watch the socket.
    pub fn serve(self, door: Door, protocol: Protocol) -> io::Result<Served> {
        self.socket.set_nonblocking(true)?;
        let socket = tokio::net::TcpListener::from_std(self.socket)?;
        let (stop, stopping) = Stopping::channel();
        let accepting = tokio::spawn(accept(socket, door, protocol, self.counts, stopping));
        Ok(Served::new(self.name, stop, accepting))
    }
}

impl Served {
    pub(crate) fn new(name: &'static str, stop: watch::Sender<bool>, accepting: JoinHandle<()>) -> Served {
        Served { name, stop, accepting }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Begins to stop: no new connections, and those that are open say goodbye.
    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops. Whatever has not ended by itself at `deadline` is cut off, and then this is false.
    ///
    /// Cancel: connections are no longer accepted; those that are open end by themselves.
    pub async fn stop(mut self, deadline: Instant) -> bool {
        self.begin_stop();
        let ended = timeout_at(deadline, &mut self.accepting).await.is_ok();
        if !ended {
            self.accepting.abort();
        }
        ended
    }
}

impl ListenerStats {
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is counted.
    pub fn counted(&self) -> Connections {
        let [open, accepted, refused] = [&self.counts.open, &self.counts.accepted, &self.counts.refused]
            .map(|count| count.load(Ordering::Relaxed));
        Connections { open, accepted, refused }
    }

    /// Takes over what the process counts that serves the socket.
    pub fn set(&self, counted: Connections) {
        let Connections { open, accepted, refused } = counted;
        self.counts.open.store(open, Ordering::Relaxed);
        self.counts.accepted.store(accepted, Ordering::Relaxed);
        self.counts.refused.store(refused, Ordering::Relaxed);
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Connections that were closed at once because too many were open.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }
}

/// Writes what is counted of `listeners`.
pub fn metrics(listeners: &[ListenerStats], page: &mut Page) {
    type Count = fn(&Counts) -> &AtomicU64;
    let families: [(&str, &str, &str, Count); 3] = [
        ("meshlake_connections", "gauge", "Open connections, by listener.", |counts| &counts.open),
        ("meshlake_connections_accepted_total", "counter", "Connections let in, by listener.", |counts| {
            &counts.accepted
        }),
        (
            "meshlake_connections_refused_total",
            "counter",
            "Connections over the limit, by listener.",
            |counts| &counts.refused,
        ),
    ];
    for (name, kind, help, count) in families {
        page.family(name, kind, help);
        for listener in listeners {
            let count = count(&listener.counts).load(Ordering::Relaxed);
            page.sample(name, &[("listener", listener.name)], count);
        }
    }
}

/// Accepts connections until told to stop; returns when the last one has ended.
///
/// Cancel: all its connections are dropped.
async fn accept(
    socket: tokio::net::TcpListener,
    door: Door,
    protocol: Protocol,
    counts: Arc<Counts>,
    mut stopping: Stopping,
) {
    let mut connections = JoinSet::new();
    let told = stopping.clone();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((socket, peer)) => {
                    if let Some(open) = Open::within_cap(&door.cap, &counts) {
                        let serving = connection(socket, peer, door.clone(), protocol.clone(), told.clone());
                        connections.spawn(async move {
                            serving.await;
                            drop(open);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection");
                    tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopping.wait() => break,
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection.
async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    door: Door,
    protocol: Protocol,
    mut stopping: Stopping,
) {
    // Answers are small and must not wait for more bytes to share a packet with. If the socket has gone
    // already, serving it finds out.
    let _ = socket.set_nodelay(true);
    let stream = Stream::new(socket);
    let (stream, wrap) = match door.wrap {
        None => (stream, None),
        Some((WrapStart::WhenAsked, wrap)) => (stream, Some(wrap)),
        Some((WrapStart::AtOnce, wrap)) => {
            let wrapped = tokio::select! {
                wrapped = within(WRAP_TIME_MAX, wrap.wrap(stream)) => wrapped,
                () = stopping.wait() => return,
            };
            match wrapped {
                Ok(stream) => (stream, None),
                Err(error) => return tracing::debug!(%error, %peer, "a connection could not be wrapped"),
            }
        }
    };
    protocol.serve(Connection { stream, peer, role: door.role, stopping, wrap }).await;
}

/// What `wrapping` comes to, unless it takes longer than `time_max`.
async fn within(time_max: Duration, wrapping: Wrapping<'_>) -> io::Result<Stream> {
    timeout(time_max, wrapping).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A connection that counts as open while this lives.
struct Open {
    counts: Arc<Counts>,
    _place: Place,
}

impl Open {
    /// `None`, and counted as refused, when as many are open as may be.
    fn within_cap(cap: &Cap, counts: &Arc<Counts>) -> Option<Open> {
        let Some(place) = cap.place() else {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        counts.open.fetch_add(1, Ordering::Relaxed);
        Some(Open { counts: Arc::clone(counts), _place: place })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
