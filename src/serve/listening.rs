//! Everything that listens, as one list: a name, the key that says where, and what is bound there.
//!
//! All of it is bound before anything starts, and served in the order of the list. A port more is a line here and, in
//! `server`, what is served on it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use meshlake_listen::{Listener, ListenerStats};

use crate::config::Config;

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    Admin,
    OtlpGrpc,
    OtlpHttp,
    Query,
}

impl Port {
    /// In the order in which they are served; they stop in the reverse. The admin port is the first, so that it tells
    /// also how the others stop.
    const ALL: [Port; 4] = [Port::Admin, Port::OtlpGrpc, Port::OtlpHttp, Port::Query];

    /// The label in metrics and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Port::Admin => "admin",
            Port::OtlpGrpc => "otlp_grpc",
            Port::OtlpHttp => "otlp_http",
            Port::Query => "query",
        }
    }

    /// The key of the configuration, and what it says.
    fn configured(self, config: &Config) -> (&'static str, &str) {
        match self {
            Port::Admin => ("admin.http", &config.admin.http),
            Port::OtlpGrpc => ("collector.otlp_grpc", &config.collector.otlp_grpc),
            Port::OtlpHttp => ("collector.otlp_http", &config.collector.otlp_http),
            Port::Query => ("query.http", &config.query.http),
        }
    }
}

/// Sockets that are bound and not yet served, in the order of [`Port::ALL`].
#[derive(Debug)]
pub struct Sockets(Vec<(Port, Listener)>);

/// Where the server listens.
#[derive(Debug, Clone)]
pub struct Addresses(Vec<(Port, SocketAddr)>);

impl Sockets {
    /// # Errors
    /// An address is none, its name cannot be resolved, or it is taken.
    pub fn bind(config: &Config) -> Result<Sockets> {
        let bound = Port::ALL.map(|port| {
            let (key, address) = port.configured(config);
            let listener =
                Listener::bind(port.name(), address).with_context(|| format!("listen on {key}"))?;
            Ok((port, listener))
        });
        bound.into_iter().collect::<Result<_>>().map(Sockets)
    }

    pub fn addresses(&self) -> Addresses {
        Addresses(self.0.iter().map(|(port, listener)| (*port, listener.address())).collect())
    }

    pub fn stats(&self) -> Vec<ListenerStats> {
        self.0.iter().map(|(_, listener)| listener.stats()).collect()
    }

    /// The sockets, in the order in which they are served.
    pub fn in_order(self) -> impl Iterator<Item = (Port, Listener)> {
        self.0.into_iter()
    }
}

impl Addresses {
    /// Where `port` listens.
    ///
    /// # Panics
    /// Never: every port is bound.
    pub fn of(&self, port: Port) -> SocketAddr {
        let of = self.0.iter().find(|(bound, _)| *bound == port);
        of.map(|(_, address)| *address).expect("every port of the list is bound")
    }

    /// Prints them for people, and for scripts that look for the last line.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn announce(&self, data_dir: &Path) -> std::io::Result<()> {
        let [admin, otlp_grpc, otlp_http, query] = Port::ALL.map(|port| self.of(port));
        let mut out = std::io::stdout().lock();
        writeln!(out, "meshlake {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "  web page, API         http://{query}/")?;
        writeln!(out, "  OTLP/gRPC, Envoy ALS  {otlp_grpc}")?;
        writeln!(out, "  OTLP/HTTP             http://{otlp_http}/v1/{{traces,logs,metrics}}")?;
        writeln!(out, "  data                  {}", data_dir.display())?;
        writeln!(out, "  admin                 http://{admin}/metrics")?;
        out.flush()
    }
}
