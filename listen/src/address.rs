//! Addresses to listen on, `host:port`: what is one, and the socket that is bound to it.
//!
//! A configuration is checked without asking anybody, so writing and looking up are two steps: [`check_address`]
//! reads the text alone, [`bind`] also resolves the name. A name with several addresses is bound to one of them, an
//! IPv4 address when it has one, as Go's servers do: `localhost` is both `::1` and `127.0.0.1`, and the address that
//! documents and scripts say is the second. Falling back to the other when the first is taken would hide that
//! another process has it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _, UdpSocket};

use thiserror::Error;

/// The longest host name: RFC 1035, 2.3.4.
const HOST_BYTES_MAX: usize = 253;

/// The error number of a family of addresses that the kernel does not have. Source: Linux, `asm-generic/errno.h`.
const EAFNOSUPPORT: i32 = 97;

/// Why a text is no address to listen on. Whoever wrote it has to write another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error("it is empty, want host:port")]
    Empty,
    #[error("it is a URL, want host:port without {0}")]
    Url(String),
    #[error("it has no port, want host:port, as {0}:4317")]
    NoPort(String),
    #[error("{0:?} is no port, want a number from 0 to 65535")]
    Port(String),
    #[error("the address of IPv6 stands without brackets, want [{0}]:{1}")]
    Brackets(String, u16),
    #[error("{0:?} is no name of a host and no address")]
    Host(String),
}

/// Why nothing listens on an address.
#[derive(Debug, Error)]
pub enum BindError {
    /// Trying again cannot help.
    #[error("{address:?} is not an address to listen on: {error}")]
    Address { address: String, error: AddressError },
    /// The name is not known, or nobody could be asked.
    #[error("{address}: the name {host} cannot be resolved: {error}")]
    Name { address: String, host: String, error: io::Error },
    /// The port is taken, or the address is not one of this machine.
    #[error("{address}: {error}", address = shown(.address, *.resolved))]
    Socket { address: String, resolved: SocketAddr, error: io::Error },
}

/// Says whether `text` is an address to listen on, without looking its name up.
///
/// ```
/// assert!(meshlake_listen::check_address("localhost:4317").is_ok());
/// assert!(meshlake_listen::check_address(":4317").is_ok());
/// assert!(meshlake_listen::check_address("localhost").is_err());
/// ```
///
/// # Errors
/// What is wrong with it, worded to stand behind the text.
pub fn check_address(text: &str) -> Result<(), AddressError> {
    parts(text).map(drop)
}

/// A socket that listens on `text`, and where it does; nothing is accepted yet. Without a host, as in `:4317`, it listens on every
/// address of the machine, of IPv6 and of IPv4.
///
/// # Errors
/// The text is no address, the name cannot be resolved, or the address cannot be had.
pub fn bind(text: &str) -> Result<(TcpListener, SocketAddr), BindError> {
    bind_by(text, |address| {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    })
}

/// A UDP socket that is bound to `text`, as [`bind`] reads it, and where it is.
///
/// # Errors
/// As [`bind`].
pub(crate) fn bind_datagrams(text: &str) -> Result<(UdpSocket, SocketAddr), BindError> {
    bind_by(text, |address| {
        let socket = UdpSocket::bind(address)?;
        let bound = socket.local_addr()?;
        Ok((socket, bound))
    })
}

fn bind_by<T>(text: &str, bound: impl Fn(SocketAddr) -> io::Result<T>) -> Result<T, BindError> {
    let wrong = |error| BindError::Address { address: text.to_owned(), error };
    let (host, port) = parts(text).map_err(wrong)?;
    let failed = |resolved| move |error| BindError::Socket { address: text.to_owned(), resolved, error };
    if !host.is_empty() {
        let unknown = |error| BindError::Name { address: text.to_owned(), host: host.to_owned(), error };
        let resolved = resolve(host, port).map_err(unknown)?;
        return bound(resolved).map_err(failed(resolved));
    }
    let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let every_ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    match bound(every) {
        // A kernel without IPv6.
        Err(error) if error.raw_os_error() == Some(EAFNOSUPPORT) => {
            bound(every_ipv4).map_err(failed(every_ipv4))
        }
        bound => bound.map_err(failed(every)),
    }
}

/// The address that a name stands for, of IPv4 if it has one.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let resolved: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let first = resolved.iter().find(|address| address.is_ipv4()).or(resolved.first());
    first.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address"))
}

/// Host, without brackets, and port.
fn parts(text: &str) -> Result<(&str, u16), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(AddressError::Url(format!("{scheme}://")));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or_else(|| AddressError::Host(text.to_owned()))?;
            host.parse::<Ipv6Addr>().map_err(|_| AddressError::Host(host.to_owned()))?;
            let port = behind.strip_prefix(':').ok_or_else(|| AddressError::NoPort(format!("[{host}]")))?;
            (host, port)
        }
        None if text.parse::<Ipv6Addr>().is_ok() => {
            // `::1:4317` is an address of IPv6 as a whole; who writes it nearly always means a port.
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            return Err(match (host.parse::<Ipv6Addr>(), port.parse()) {
                (Ok(_), Ok(port)) => AddressError::Brackets(host.to_owned(), port),
                _ => AddressError::NoPort(format!("[{text}]")),
            });
        }
        None => {
            let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
            if !host.is_empty() && !is_host(host) {
                return Err(AddressError::Host(host.to_owned()));
            }
            (host, port)
        }
    };
    // `parse` alone would take `+1`.
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse().ok().filter(|_| is_number);
    Ok((host, number.ok_or_else(|| AddressError::Port(port.to_owned()))?))
}

/// Letters, digits, `-`, `_` and `.`: RFC 1123, 2.1, and the underscore that service names in containers have.
fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    host.len() <= HOST_BYTES_MAX && host.bytes().all(allowed)
}

/// What was written, and what it stands for where that is something else.
fn shown(written: &str, resolved: SocketAddr) -> String {
    if written == resolved.to_string() { written.to_owned() } else { format!("{written} ({resolved})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        let cases = [
            ("127.0.0.1:4317", None),
            ("localhost:4317", None),
            ("otel_collector.mesh-1.svc:0", None),
            (":4317", None),
            ("[::1]:65535", None),
            ("", Some("it is empty, want host:port")),
            ("http://localhost:4318", Some("it is a URL, want host:port without http://")),
            ("localhost", Some("it has no port, want host:port, as localhost:4317")),
            ("[::1]", Some("it has no port, want host:port, as [::1]:4317")),
            ("::", Some("it has no port, want host:port, as [::]:4317")),
            ("localhost:", Some("\"\" is no port, want a number from 0 to 65535")),
            ("localhost:+1", Some("\"+1\" is no port, want a number from 0 to 65535")),
            ("127.0.0.1:65536", Some("\"65536\" is no port, want a number from 0 to 65535")),
            ("localhost:4317/v1", Some("\"4317/v1\" is no port, want a number from 0 to 65535")),
            ("::1:4317", Some("the address of IPv6 stands without brackets, want [::1]:4317")),
            ("a b:1", Some("\"a b\" is no name of a host and no address")),
            ("[::1:4317", Some("\"[::1:4317\" is no name of a host and no address")),
            ("[localhost]:1", Some("\"localhost\" is no name of a host and no address")),
        ];
        for (text, want) in cases {
            let found = check_address(text).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn a_name_of_the_longest_length_is_one() {
        let host = |bytes| format!("{}:1", "a".repeat(bytes));
        assert!(check_address(&host(HOST_BYTES_MAX)).is_ok());
        assert!(check_address(&host(HOST_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn names_and_every_address_can_be_bound() {
        let (_localhost, address) = bind("localhost:0").expect("a free port");
        assert!(address.ip().is_loopback() && address.port() != 0, "{address}");
        let (_every, every) = bind(":0").expect("a free port");
        assert!(every.ip().is_unspecified());
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, every.port())).expect("IPv4 reaches it as well");
    }

    #[test]
    fn who_cannot_bind_is_told_the_address_and_why() {
        let (_taken, address) = bind("127.0.0.1:0").expect("a free port");
        let said = |text: &str| bind(text).err().map(|error| error.to_string()).unwrap_or_default();
        let in_use = said(&address.to_string());
        assert!(in_use.starts_with(&format!("{address}: ")) && in_use.contains("in use"), "{in_use}");
        // RFC 6761, 6.4: names below `invalid` are never resolved.
        let unknown = said("nowhere.invalid:1");
        assert!(unknown.starts_with("nowhere.invalid:1: the name nowhere.invalid cannot"), "{unknown}");
        assert!(said("nowhere").starts_with("\"nowhere\" is not an address to listen on: it has no port"));
    }
}
