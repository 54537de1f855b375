//! One end of a connection, as proxies report it: an IP address with its port, a Unix socket, or a listener inside
//! Envoy.
//!
//! In ambient mode Envoy hands calls from one of its listeners to another, and what it reports for such a hop is
//! `envoy://connect_originate/10.40.2.7:9080` or `envoy://internal_client_address/`: a listener's name and an id, which
//! Istio makes the address of the pod that is meant, or leaves empty. Taken for an address or a name it would make nodes
//! of Envoy's inside. So it is read here, before anything else sees it, to the IP inside or to nothing.
//!
//! One address has several spellings, too: a socket for both versions of IP reports a caller of version 4 as
//! `::ffff:10.0.0.1` (nginx, HAProxy, Node.js), and a link-local address is followed by its zone, `fe80::1%eth0`, which
//! is the name of an interface of that machine alone. Both ends of a connection must read the same, so that the two rows
//! of one call meet: they are read as `10.0.0.1` and `fe80::1`.
//!
//! Sources: Envoy `source/common/network/address_impl.cc` (`EnvoyInternalInstance`), envoy/config/core/v3/address.proto;
//! Istio `pilot/pkg/networking/util` (`BuildInternalEndpoint`); RFC 4291 2.5.5.2 (mapped addresses), RFC 4007 11.2 (zones).
//! Limits: other spellings, capital digits or zeros that could be left out, are taken as they stand; nobody writes them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meshlake_schema::attributes::push_unsigned;

/// How the text of an address begins that is a listener inside Envoy.
const INTERNAL: &str = "envoy://";

/// How an address of IP version 4 begins that is written as one of version 6.
const MAPPED: &str = "::ffff:";

/// One end of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address<'a> {
    /// An IP address, a host, or a path for a Unix socket; empty when unknown.
    pub host: Cow<'a, str>,
    pub port: Option<u16>,
}

impl<'a> Address<'a> {
    /// Reads an address as text: `1.2.3.4:80`, `[::1]:80`, `::1`, `reviews:9080`, `/run/app.sock`, `envoy://listener/id`.
    /// What is none of these is a host as a whole; `-`, which proxies write for nothing, is unknown.
    pub fn parse(text: &'a str) -> Self {
        match text.strip_prefix(INTERNAL) {
            Some(internal) => {
                internal.split_once('/').map_or_else(Address::default, |(_, id)| Self::inside(id))
            }
            None if text == "-" => Address::default(),
            None => Self::split(text),
        }
    }

    /// The address inside the endpoint id of a listener inside Envoy; unknown where the id is anything else.
    pub fn inside(endpoint_id: &'a str) -> Self {
        let address = Self::split(endpoint_id);
        if address.ip().is_empty() { Address::default() } else { address }
    }

    fn split(text: &'a str) -> Self {
        let whole = || Address { host: one_spelling(text).into(), port: None };
        if let Some(rest) = text.strip_prefix('[') {
            // Without its bracket or port it is broken, or a name of some other kind.
            let Some((host, port)) = rest.split_once(']') else { return whole() };
            let port = match port.strip_prefix(':') {
                None if port.is_empty() => None,
                port => match port.and_then(|port| port.parse().ok()) {
                    None => return whole(),
                    port => port,
                },
            };
            return Address { host: one_spelling(host).into(), port };
        }
        match memchr::memchr(b':', text.as_bytes()).map(|at| (&text[..at], &text[at + 1..])) {
            // A second colon is of IP version 6, or of a URL.
            Some((host, port)) if !host.is_empty() && !host.starts_with(['/', '@']) => match port.parse() {
                Ok(port) => Address { host: host.into(), port: Some(port) },
                Err(_) => whole(),
            },
            _ => whole(),
        }
    }

    pub fn is_known(&self) -> bool {
        !self.host.is_empty()
    }

    /// The host where it is an IP address, else nothing: paths and names are no addresses.
    pub fn ip(&self) -> &str {
        if is_ip(&self.host) { &self.host } else { "" }
    }

    /// Writes it as Envoy does: `1.2.3.4:80`, `[::1]:80`, `/run/app.sock`.
    pub fn write(&self, out: &mut String) {
        let Some(port) = self.port else { return out.push_str(&self.host) };
        let is_v6 = memchr::memchr(b':', self.host.as_bytes()).is_some();
        if is_v6 {
            out.push('[');
        }
        out.push_str(&self.host);
        if is_v6 {
            out.push(']');
        }
        out.push(':');
        push_unsigned(out, port.into());
    }
}

/// A host, an IP address of version 6 without its zone and one that stands for version 4 as that.
pub fn one_spelling(host: &str) -> &str {
    if !host.contains(':') {
        return host;
    }
    if let Some(mapped) = host.strip_prefix(MAPPED).filter(|rest| rest.parse::<Ipv4Addr>().is_ok()) {
        return mapped;
    }
    match host.split_once('%') {
        Some((address, _)) if address.parse::<Ipv6Addr>().is_ok() => address,
        _ => host,
    }
}

/// Whether text is that of a listener inside Envoy.
pub fn is_internal(text: &[u8]) -> bool {
    text.starts_with(INTERNAL.as_bytes())
}

/// Whether a host is an IP address.
pub fn is_ip(host: &str) -> bool {
    // The names of services, most hosts of all, begin with a letter and have no colon; parsing them takes longer than this.
    let may_be_one = host.starts_with(|first: char| first.is_ascii_digit()) || host.contains(':');
    may_be_one && host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        let cases = [
            ("10.0.0.1:80", "10.0.0.1", Some(80)),
            ("10.0.0.1", "10.0.0.1", None),
            ("[fd00::7]:9080", "fd00::7", Some(9080)),
            ("[::1]", "::1", None),
            ("fd00::7", "fd00::7", None),
            ("::1", "::1", None),
            // A caller of version 4 on a socket of both, and a zone, which RFC 6874 escapes in URLs.
            ("::ffff:10.0.0.1", "10.0.0.1", None),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1", Some(80)),
            ("::ffff:cafe", "::ffff:cafe", None),
            ("::ffff:10.0.0.256", "::ffff:10.0.0.256", None),
            ("fe80::1%eth0", "fe80::1", None),
            ("[fe80::1%25eth0]:9080", "fe80::1", Some(9080)),
            ("a:b%c", "a:b%c", None),
            ("reviews.default.svc:9080", "reviews.default.svc", Some(9080)),
            ("reviews", "reviews", None),
            ("/run/app.sock", "/run/app.sock", None),
            ("@/run/app:80", "@/run/app:80", None),
            ("", "", None),
            ("-", "", None),
            // No port, so no address with one.
            ("reviews:http", "reviews:http", None),
            ("10.0.0.1:65536", "10.0.0.1:65536", None),
            ("[::1", "[::1", None),
            ("[::1]x", "[::1]x", None),
            ("[::1]:", "[::1]:", None),
            (":80", ":80", None),
            ("nacos://127.0.0.1:8848/a::gray", "nacos://127.0.0.1:8848/a::gray", None),
        ];
        for (text, host, port) in cases {
            assert_eq!(Address::parse(text), Address { host: host.into(), port }, "{text}");
        }
    }

    #[test]
    fn an_internal_address_is_the_ip_inside_or_nothing() {
        let cases = [
            ("envoy://connect_originate/10.40.2.7:9080", "10.40.2.7", Some(9080)),
            ("envoy://inner_connect_originate/[fd00::7]:9080", "fd00::7", Some(9080)),
            ("envoy://connect_originate/10.40.2.7", "10.40.2.7", None),
            ("envoy://connect_originate/fd00::7", "fd00::7", None),
            ("envoy://connect_originate/[::ffff:10.40.2.7]:9080", "10.40.2.7", Some(9080)),
            ("envoy://internal_client_address/", "", None),
            ("envoy://internal_client_address", "", None),
            ("envoy://main_internal/main_internal", "", None),
            ("envoy://connect_originate/reviews.default.svc.cluster.local:9080", "", None),
            ("envoy://connect_originate//run/app.sock", "", None),
            ("envoy:///10.40.2.7:9080", "10.40.2.7", Some(9080)),
            ("envoy://", "", None),
        ];
        for (text, host, port) in cases {
            assert!(is_internal(text.as_bytes()));
            assert_eq!(Address::parse(text), Address { host: host.into(), port }, "{text}");
        }
        assert!(!is_internal(b"10.40.2.7") && !is_internal(b"envoy:/") && !is_internal(b""));
    }

    #[test]
    fn only_an_ip_address_is_an_address() {
        let cases =
            [("10.0.0.1:80", "10.0.0.1"), ("[::1]:80", "::1"), ("/run/app.sock", ""), ("reviews:80", "")];
        for (text, want) in cases {
            assert_eq!(Address::parse(text).ip(), want, "{text}");
        }
    }

    #[test]
    fn addresses_are_written_as_envoy_does() {
        for text in ["10.0.0.1:80", "[::1]:80", "/run/app.sock", "::1"] {
            let mut written = String::new();
            Address::parse(text).write(&mut written);
            assert_eq!(written, text);
        }
    }
}
