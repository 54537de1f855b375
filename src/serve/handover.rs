//! What the process that stays hands down to the query process, and what the two say to each other afterwards.
//!
//! ```text
//! collector's process                                    query process
//!   Handover, with the sockets beside it         ->      its standard input, read before anything else
//!                                                <-      Said::Serving, when it answers
//!   Told::Count                                  ->
//!                                                <-      Said::Counted
//!   Told::Stop                                   ->      answers what it is at, and ends
//!   the end of the socket: the collector is gone ->      ends at once
//! ```
//! Descriptors are handed down as messages and not by number (as `LISTEN_FDS` does), because a number that was inherited
//! cannot be made a socket again without unsafe code. The socket keeps the bounds of messages (`SOCK_SEQPACKET`), so
//! each is JSON without a frame of its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use meshlake_faces::Endpoints;
use meshlake_listen::{Connections, Listener};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_seqpacket::UnixSeqpacket;
use tokio_seqpacket::ancillary::{AncillaryMessageWriter, OwnedAncillaryMessage};

use super::listening::Port;
use crate::config::Config;

/// Longest message: a configuration of some thousand lines. The kernel takes no longer ones by default
/// (`net.core.wmem_default`, 208 KiB).
const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// Room for descriptors beside a message: more than there are ports.
const ANCILLARY_BYTES_MAX: usize = 256;

/// All that the query process needs to know; beside it come the connection to the collector and the sockets of `ports`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Handover {
    pub config: Config,
    /// Where the collector listens: OTLP/gRPC and OTLP/HTTP.
    pub otlp_grpc: String,
    pub otlp_http: String,
    /// In the order in which their sockets come.
    pub ports: Vec<Port>,
    /// The only directory that it may write to.
    pub spill_dir: PathBuf,
}

/// What the query process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    Count,
    Stop,
}

/// What the query process says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// It serves its sockets; and what it has renounced, in words for people.
    Serving { confinement: String },
    /// Connections open, accepted and refused, in the order of its ports.
    Counted(Vec<(u64, u64, u64)>),
}

impl Handover {
    /// Those of the collector; the others are known by their sockets.
    pub fn endpoints(&self) -> Endpoints {
        let (otlp_grpc, otlp_http) = (self.otlp_grpc.clone(), self.otlp_http.clone());
        Endpoints { otlp_grpc, otlp_http, postgres: None, flight_sql: None }
    }

    /// Sends it through `to`, with the connection and one socket a port.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn send(
        &self,
        to: &UnixSeqpacket,
        connection: &OwnedFd,
        sockets: &[(Port, Listener)],
    ) -> io::Result<()> {
        let mut room = [0; ANCILLARY_BYTES_MAX];
        let mut beside = AncillaryMessageWriter::new(&mut room);
        let sockets = sockets.iter().map(|(_, listener)| listener.socket());
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(connection.as_fd()).chain(sockets).collect();
        beside.add_fds(&descriptors).map_err(io::Error::other)?;
        to.send_with_ancillary(&encode(self), &mut beside).await.map(drop)
    }

    /// Waits for it on `from`; with it come the connection and the sockets, in the order of its ports.
    ///
    /// # Errors
    /// What comes is no handover, or not whole.
    pub async fn receive(from: &UnixSeqpacket) -> Result<(Handover, OwnedFd, Vec<(Port, Listener)>)> {
        let (mut message, mut room) = (vec![0; MESSAGE_BYTES_MAX], [0; ANCILLARY_BYTES_MAX]);
        let received = from.recv_with_ancillary(&mut message, &mut room).await;
        let (info, beside) = received.context("read standard input")?;
        if info.truncated() || info.ancillary_truncated() {
            bail!("the handover is longer than {MESSAGE_BYTES_MAX} bytes");
        }
        let handover: Handover = decode(&message[..info.bytes_read()]).context("read the handover")?;
        let descriptors = beside.into_messages().flat_map(|message| match message {
            OwnedAncillaryMessage::FileDescriptors(descriptors) => descriptors.collect::<Vec<OwnedFd>>(),
            _ => Vec::new(),
        });
        let mut descriptors: Vec<OwnedFd> = descriptors.collect();
        if descriptors.len() != handover.ports.len() + 1 {
            bail!("{} descriptors came for {} ports", descriptors.len(), handover.ports.len());
        }
        let connection = descriptors.remove(0);
        let sockets = handover.ports.iter().zip(descriptors);
        let sockets = sockets.map(|(port, socket)| Ok((*port, Listener::inherited(port.name(), socket)?)));
        let sockets = sockets.collect::<io::Result<_>>().context("take over the sockets")?;
        Ok((handover, connection, sockets))
    }
}

/// # Errors
/// The other side is gone.
pub async fn say(to: &UnixSeqpacket, message: &impl Serialize) -> io::Result<()> {
    to.send(&encode(message)).await.map(drop)
}

/// The next message; none when the other side is gone.
///
/// # Errors
/// What comes is no such message.
pub async fn hear<T: DeserializeOwned>(from: &UnixSeqpacket) -> Result<Option<T>> {
    let mut message = vec![0; MESSAGE_BYTES_MAX];
    match from.recv(&mut message).await {
        Ok(info) if info.bytes_read() > 0 => decode(&message[..info.bytes_read()]).map(Some),
        // The peer's end was closed, with messages of ours unread or without.
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error).context("hear of the other process"),
    }
}

/// `counted` as it is sent.
pub fn counts_of(counted: Connections) -> (u64, u64, u64) {
    (counted.open, counted.accepted, counted.refused)
}

/// The counts that were sent.
pub fn counted_of((open, accepted, refused): (u64, u64, u64)) -> Connections {
    Connections { open, accepted, refused }
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("names, numbers and texts")
}

fn decode<T: DeserializeOwned>(message: &[u8]) -> Result<T> {
    Ok(serde_json::from_slice(message)?)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn handover() -> Handover {
        Handover {
            config: Config::default(),
            otlp_grpc: "127.0.0.1:4317".to_owned(),
            otlp_http: "127.0.0.1:4318".to_owned(),
            ports: vec![Port::Query],
            spill_dir: "/tmp/spill".into(),
        }
    }

    fn socket() -> (Port, Listener) {
        (Port::Query, Listener::bind(Port::Query.name(), "127.0.0.1:0").expect("a free port"))
    }

    fn connection() -> OwnedFd {
        std::os::unix::net::UnixStream::pair().expect("two sockets").0.into()
    }

    #[tokio::test]
    async fn what_is_handed_down_is_what_is_taken_over() {
        let (ours, theirs) = UnixSeqpacket::pair().expect("two sockets");
        let (sockets, connection) = ([socket()], connection());
        handover().send(&ours, &connection, &sockets).await.expect("the other side is there");
        let (taken, _, mut taken_sockets) = Handover::receive(&theirs).await.expect("a handover");
        assert_eq!((taken.config.shown(), &taken.ports), (Config::default().shown(), &handover().ports));
        let (port, listener) = taken_sockets.remove(0);
        assert_eq!((port, listener.address()), (Port::Query, sockets[0].1.address()));
        let address = listener.address();
        drop(sockets);
        assert!(TcpStream::connect(address).is_ok(), "it listens on without the one that bound it");
    }

    #[tokio::test]
    async fn what_is_no_handover_is_refused() {
        let refused = async |message: &[u8], sockets: &[(Port, Listener)]| {
            let (ours, theirs) = UnixSeqpacket::pair().expect("two sockets");
            match message {
                [] => handover().send(&ours, &connection(), sockets).await.expect("the other side is there"),
                text => _ = ours.send(text).await.expect("the other side is there"),
            }
            Handover::receive(&theirs).await.err().map(|error| format!("{error:#}")).unwrap_or_default()
        };
        assert_eq!(refused(&[], &[]).await, "1 descriptors came for 1 ports");
        assert!(refused(b"{}", &[]).await.starts_with("read the handover: missing field"));
        let long = vec![b' '; MESSAGE_BYTES_MAX + 1];
        assert_eq!(refused(&long, &[]).await, "the handover is longer than 131072 bytes");
    }

    #[tokio::test]
    async fn messages_keep_their_bounds_and_the_end_is_told() {
        let (ours, theirs) = UnixSeqpacket::pair().expect("two sockets");
        for told in [Told::Count, Told::Stop] {
            say(&ours, &told).await.expect("the other side is there");
        }
        assert_eq!(hear(&theirs).await.expect("a message"), Some(Told::Count));
        let said = Said::Counted(vec![(1, 20, 300)]);
        say(&theirs, &said).await.expect("the other side is there");
        assert_eq!(hear(&ours).await.expect("a message"), Some(said));
        drop(ours);
        assert_eq!(hear(&theirs).await.expect("a message"), Some(Told::Stop));
        assert_eq!(hear::<Told>(&theirs).await.expect("an end"), None);
    }

    /// The kernel tells of a reset then, before what the dead one had said.
    #[tokio::test]
    async fn one_that_dies_without_having_read_is_gone_as_well() {
        let (ours, theirs) = UnixSeqpacket::pair().expect("two sockets");
        say(&theirs, &Told::Count).await.expect("the other side is there");
        drop(ours);
        assert_eq!(hear::<Told>(&theirs).await.expect("an end"), None);
    }
}
