//! Everything that listens, as one list: a name, the key that says where, and what is bound there.
//!
//! All of it is bound before anything starts, and served in the order of the list; sockets of the query side are bound
//! here and served by its process. A port more is a line here and, in `server` or `answering`, what is served on it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use meshlake_listen::{DatagramListener, Listener, ListenerStats};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// Which of the two roles of meshlake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Collector,
    Query,
    /// What of the query side only one that runs by itself has.
    QueryAlone,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Port {
    Admin,
    OtlpGrpc,
    OtlpHttp,
    Syslog,
    Query,
    FlightSql,
    Postgres,
    QueryAdmin,
}

impl Port {
    /// In the order in which they are served; they stop in the reverse. The admin port is the first, so that it tells
    /// also how the others stop.
    const ALL: [Port; 8] = [
        Port::Admin,
        Port::OtlpGrpc,
        Port::OtlpHttp,
        Port::Syslog,
        Port::Query,
        Port::FlightSql,
        Port::Postgres,
        Port::QueryAdmin,
    ];

    /// The label in metrics and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Port::Admin => "admin",
            Port::OtlpGrpc => "otlp_grpc",
            Port::OtlpHttp => "otlp_http",
            Port::Syslog => "syslog",
            Port::Query => "query",
            Port::FlightSql => "flight_sql",
            Port::Postgres => "postgres",
            Port::QueryAdmin => "query_admin",
        }
    }

    /// The role that serves it.
    pub fn side(self) -> Side {
        match self {
            Port::Admin | Port::OtlpGrpc | Port::OtlpHttp | Port::Syslog => Side::Collector,
            Port::Query | Port::FlightSql | Port::Postgres => Side::Query,
            Port::QueryAdmin => Side::QueryAlone,
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
            Port::FlightSql => ("query.flight_sql", &config.query.flight_sql),
            Port::Postgres => ("query.postgres", &config.query.postgres),
            Port::QueryAdmin => ("query.admin", &config.query.admin),
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
    /// Those of some sides.
    ///
    /// # Errors
    /// An address is none, its name cannot be resolved, or it is taken.
    pub fn bind(config: &Config, sides: &[Side]) -> Result<Sockets> {
        let wanted = Port::ALL.into_iter().filter(|port| sides.contains(&port.side()));
        let wanted = wanted.filter(|port| !port.configured(config).1.is_empty());
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

    /// Those that the query side serves.
    pub fn take_query(&mut self) -> Vec<(Port, Listener)> {
        self.listeners.extract_if(.., |(port, _)| port.side() == Side::Query).collect()
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
        let mut out = std::io::stdout().lock();
        writeln!(out, "meshlake {}", env!("CARGO_PKG_VERSION"))?;
        // The admin port comes last, for scripts.
        for port in
            [Port::Query, Port::FlightSql, Port::Postgres, Port::OtlpGrpc, Port::OtlpHttp, Port::Syslog]
        {
            let Some(address) = self.find(port) else { continue };
            match port {
                Port::Query => writeln!(out, "  web page, API         http://{address}/")?,
                Port::FlightSql => writeln!(out, "  Arrow Flight SQL      grpc://{address}")?,
                Port::Postgres => writeln!(out, "  PostgreSQL clients    postgres://{address}/default")?,
                Port::OtlpGrpc => writeln!(out, "  OTLP/gRPC, Envoy ALS  {address}")?,
                Port::OtlpHttp => {
                    writeln!(out, "  OTLP/HTTP             http://{address}/v1/{{traces,logs,metrics}}")?;
                    writeln!(out, "  access log lines      http://{address}/v1/access_logs")?;
                }
                Port::Syslog => writeln!(out, "  syslog, TCP and UDP   {address}")?,
                Port::Admin | Port::QueryAdmin => {}
            }
        }
        writeln!(out, "  data                  {}", data_dir.display())?;
        if let Some(admin) = self.find(Port::Admin).or_else(|| self.find(Port::QueryAdmin)) {
            writeln!(out, "  admin                 http://{admin}/metrics")?;
        }
        out.flush()
    }
}
