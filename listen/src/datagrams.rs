//! A UDP socket that serves: bound with all others, read by a protocol of its own, stopped like a listener.
//!
//! There are no connections to count and nobody to name: whoever can reach the socket is let in. What a protocol
//! remembers of senders, whose addresses anybody can write, it has to bound itself.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::address::{BindError, bind_datagrams};
use crate::listener::Served;
use crate::principal::Role;
use crate::stopping::Stopping;

/// A UDP socket that is bound and not yet served.
#[derive(Debug)]
pub struct DatagramListener {
    name: &'static str,
    socket: UdpSocket,
    address: SocketAddr,
}

/// What a protocol reads datagrams from.
#[derive(Debug)]
pub struct Datagrams {
    pub socket: tokio::net::UdpSocket,
    /// What the socket lets everybody do who reaches it.
    pub role: Role,
    /// When to read no more.
    pub stopping: Stopping,
}

impl DatagramListener {
    /// Takes datagrams to `address`, as [`bind`](crate::bind) reads it. `name` is its label in log lines.
    ///
    /// # Errors
    /// As [`bind`](crate::bind).
    pub fn bind(name: &'static str, address: &str) -> Result<DatagramListener, BindError> {
        let (socket, address) = bind_datagrams(address)?;
        Ok(DatagramListener { name, socket, address })
    }

    /// Where it listens; the port is the one that the system chose when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves it in the tokio runtime that this is called in: `serve` returns soon after [`Datagrams::stopping`] has
    /// said so.
    ///
    /// # Errors
    /// The runtime cannot watch the socket.
    pub fn serve<F>(self, role: Role, serve: impl FnOnce(Datagrams) -> F) -> io::Result<Served>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(self.socket)?;
        let (stop, stopping) = Stopping::channel();
        let serving = tokio::spawn(serve(Datagrams { socket, role, stopping }));
        Ok(Served::new(self.name, stop, serving))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn datagrams_are_read_until_a_stop() {
        let listener = DatagramListener::bind("syslog_udp", "127.0.0.1:0").expect("a free port");
        let address = listener.address();
        let (told, tell) = oneshot::channel();
        let serve = |Datagrams { socket, role, mut stopping }: Datagrams| async move {
            let mut bytes = [0; 16];
            let (length, _) = socket.recv_from(&mut bytes).await.expect("a datagram");
            told.send((bytes[..length].to_vec(), role)).expect("the test listens");
            stopping.wait().await;
        };
        let served = listener.serve(Role::Sender, serve).expect("in a runtime");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        client.send_to(b"hello", address).expect("sent");
        assert_eq!(tell.await, Ok((b"hello".to_vec(), Role::Sender)));
        assert!(served.stop(Instant::now() + Duration::from_secs(60)).await);
    }

    #[test]
    fn a_port_that_is_taken_is_told() {
        let taken = DatagramListener::bind("syslog_udp", "127.0.0.1:0").expect("a free port");
        let error =
            DatagramListener::bind("syslog_udp", &taken.address().to_string()).expect_err("it is taken");
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
