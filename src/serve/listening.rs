//! Everything that listens, as one list: a name, the key that says where, and what is bound there.
//!
//! All of it is bound before anything starts, and served in the order of the list. A port more is a line here and, in
//! `server`, what is served on it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use meshlake_listen::{DatagramListener, Listener, ListenerStats};

use crate::config::Config;

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    Admin,
    OtlpGrpc,
    OtlpHttp,
    Syslog,
    Query,
    Postgres,
}

impl Port {
    /// In the order in which they are served; they stop in the reverse. The admin port is the first, so that it tells
    /// also how the others stop.
    const ALL: [Port; 6] =
        [Port::Admin, Port::OtlpGrpc, Port::OtlpHttp, Port::Syslog, Port::Query, Port::Postgres];

    /// The label in metrics and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Port::Admin => "admin",
            Port::OtlpGrpc => "otlp_grpc",
            Port::OtlpHttp => "otlp_http",
            Port::Syslog => "syslog",
            Port::Query => "query",
            Port::Postgres => "postgres",
        }
    }

    /// The key of the configuration, and what it says; empty where nothing is to listen.
    fn configured(self, config: &Config) -> (&'static str, &str) {
        match self {
            Port::Admin => ("admin.http", &config.admin.http),
            Port::OtlpGrpc => ("collector.otlp_grpc", &config.collector.otlp_grpc),
            Port::OtlpHttp => ("collector.otlp_http", &config.collector.otlp_http),
            Port::Syslog => ("collector.syslog", &config.collector.syslog),
            Port::Query => ("query.http", &config.query.http),
            Port::Postgres => ("query.postgres", &config.query.postgres),
        }
    }
}

/// Sockets that are bound and not yet served, in the order of [`Port::ALL`].
#[derive(Debug)]
pub struct Sockets {
    listeners: Vec<(Port, Listener)>,
    /// Syslog comes to the same port by UDP.
    syslog_datagrams: Option<DatagramListener>,
}

/// Where the server listens.
#[derive(Debug, Clone)]
pub struct Addresses(Vec<(Port, SocketAddr)>);

impl Sockets {
    /// # Errors
    /// An address is none, its name cannot be resolved, or it is taken.
    pub fn bind(config: &Config) -> Result<Sockets> {
        let wanted = Port::ALL.into_iter().filter(|port| !port.configured(config).1.is_empty());
        let bound = wanted.map(|port| {
            let (key, address) = port.configured(config);
            let listener =
                Listener::bind(port.name(), address).with_context(|| format!("listen on {key}"))?;
            Ok((port, listener))
        });
        let listeners = bound.collect::<Result<Vec<_>>>()?;
        let syslog = listeners.iter().find(|(port, _)| *port == Port::Syslog);
        // The same number, also where the system chose it.
        let datagrams = |(_, listener): &(Port, Listener)| {
            let address = listener.address().to_string();
            DatagramListener::bind("syslog_udp", &address).context("take datagrams on collector.syslog")
        };
        let syslog_datagrams = syslog.map(datagrams).transpose()?;
        Ok(Sockets { listeners, syslog_datagrams })
    }

    pub fn addresses(&self) -> Addresses {
        Addresses(self.listeners.iter().map(|(port, listener)| (*port, listener.address())).collect())
    }

    pub fn stats(&self) -> Vec<ListenerStats> {
        self.listeners.iter().map(|(_, listener)| listener.stats()).collect()
    }

    /// What takes syslog's datagrams.
    pub fn take_syslog_datagrams(&mut self) -> Option<DatagramListener> {
        self.syslog_datagrams.take()
    }

    /// The sockets, in the order in which they are served.
    pub fn in_order(self) -> impl Iterator<Item = (Port, Listener)> {
        self.listeners.into_iter()
    }
}

impl Addresses {
    /// Where `port` listens.
    ///
    /// # Panics
    /// For a port that may listen nowhere.
    pub fn of(&self, port: Port) -> SocketAddr {
        self.find(port).expect("every other port is bound")
    }

    fn find(&self, port: Port) -> Option<SocketAddr> {
        let found = self.0.iter().find(|(bound, _)| *bound == port);
        found.map(|(_, address)| *address)
    }

    /// Prints them for people, and for scripts that look for the last line.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn announce(&self, data_dir: &Path) -> std::io::Result<()> {
        let ports = [Port::Admin, Port::OtlpGrpc, Port::OtlpHttp, Port::Query];
        let [admin, otlp_grpc, otlp_http, query] = ports.map(|port| self.of(port));
        let mut out = std::io::stdout().lock();
        writeln!(out, "meshlake {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "  web page, API         http://{query}/")?;
        writeln!(out, "  OTLP/gRPC, Envoy ALS  {otlp_grpc}")?;
        writeln!(out, "  OTLP/HTTP             http://{otlp_http}/v1/{{traces,logs,metrics}}")?;
        writeln!(out, "  access log lines      http://{otlp_http}/v1/access_logs")?;
        if let Some(syslog) = self.find(Port::Syslog) {
            writeln!(out, "  syslog, TCP and UDP   {syslog}")?;
        }
        if let Some(postgres) = self.find(Port::Postgres) {
            writeln!(out, "  PostgreSQL clients    postgres://{postgres}/default")?;
        }
        writeln!(out, "  data                  {}", data_dir.display())?;
        writeln!(out, "  admin                 http://{admin}/metrics")?;
        out.flush()
    }
}
