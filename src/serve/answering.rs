//! The query side on its sockets: the engine over a reader of the collector, and what is served on each port.
//!
//! It knows nothing of processes: its sockets may have been bound by another one, and its reader may ask another one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use meshlake_faces::{Endpoints, FaceState};
use meshlake_listen::{Listener, ListenerStats, Protocol, Role, Served};
use meshlake_query::prometheus::Prometheus;
use meshlake_query::{Engine, EngineConfig, functions};
use meshlake_schema::SystemClock;
use meshlake_store::Reader;

use super::listening::Port;
use super::stopping::{door, stop_ports};

/// Connections to each port that answers: browsers open six each, and no more people or programs than this ask at
/// once what two cores answer.
const QUERY_CONNECTIONS_MAX: u64 = 256;

/// Connections of clients of PostgreSQL: pools keep some ten each, and PostgreSQL itself lets in as many.
const POSTGRES_CONNECTIONS_MAX: u64 = 100;

/// Answers that are being computed may finish for this long when the process stops.
pub const QUERY_STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// The query side while it serves.
pub struct Answering {
    ports: Vec<(Port, Served)>,
    listeners: Vec<ListenerStats>,
    engine: Engine,
}

impl Answering {
    /// Serves `sockets`, which are told beside `endpoints`, from what `reader` sees, in the runtime that this is called
    /// in. `calls_days` is for how long calls are kept, `promoted` which attributes of resources are labels of series.
    ///
    /// # Errors
    /// The engine cannot be made, or a socket not be watched.
    pub fn start(
        config: EngineConfig,
        sockets: Vec<(Port, Listener)>,
        reader: Arc<dyn Reader>,
        endpoints: Endpoints,
        calls_days: u32,
        promoted: &[String],
    ) -> Result<Answering> {
        let engine = Engine::with_functions(reader, config, Arc::new(SystemClock), functions::all())?;
        let prometheus = Prometheus::promoting(engine.clone(), promoted.to_vec());
        let address =
            |port| sockets.iter().find(|(of, _)| *of == port).map(|(_, at)| at.address().to_string());
        let (postgres, flight_sql) = (address(Port::Postgres), address(Port::FlightSql));
        let endpoints = Endpoints { postgres, flight_sql, ..endpoints };
        let faces = FaceState { endpoints, calls_days, prometheus, ..FaceState::new(engine.clone()) };
        let listeners = sockets.iter().map(|(_, listener)| listener.stats()).collect();
        let serve = |(port, listener): (Port, Listener)| {
            let (door, protocol) = match port {
                Port::Query => (
                    door(Role::Reader, QUERY_CONNECTIONS_MAX),
                    Protocol::service(meshlake_faces::router(faces.clone())),
                ),
                Port::FlightSql => (
                    door(Role::Reader, QUERY_CONNECTIONS_MAX),
                    Protocol::service(meshlake_faces::flight_service(faces.clone())),
                ),
                Port::Postgres => {
                    (door(Role::Reader, POSTGRES_CONNECTIONS_MAX), meshlake_faces::postgres(faces.clone()))
                }
                Port::Admin | Port::OtlpGrpc | Port::OtlpHttp | Port::Syslog | Port::QueryAdmin => {
                    unreachable!("{} answers no questions", port.name())
                }
            };
            Ok((port, listener.serve(door, protocol).context("serve a socket")?))
        };
        Ok(Answering { ports: sockets.into_iter().map(serve).collect::<Result<_>>()?, listeners, engine })
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Counts of its listeners.
    pub fn listeners(&self) -> &[ListenerStats] {
        &self.listeners
    }

    /// Takes no more connections, and lets those that are open finish what they are at.
    pub async fn stop(mut self) {
        let ports: Vec<Port> = self.ports.iter().map(|(port, _)| *port).collect();
        stop_ports(&mut self.ports, &ports, QUERY_STOP_TIME_MAX, Instant::now()).await;
    }
}
