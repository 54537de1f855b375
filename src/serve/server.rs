//! The collector's side: its parts, started from the store outwards, and all that runs stopped in reverse order.
//!
//! Each step of a stop has a time of its own and a line in the log, so that a stop which is cut off by whoever asked for
//! it tells where it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use meshlake_collector::{Collector, ExportLabels, Heard, NoRoom, Ports, SenderKey};
use meshlake_listen::{ListenerStats, Protocol, Role, Served};
use meshlake_query::Engine;
use meshlake_remote::Server as RemoteServer;
use meshlake_schema::{Clock, SystemClock};
use meshlake_store::{Exports, InFlight, IntakeStatus, Sender, Stopped, Store, StoreStatus};
use tokio::runtime::Handle;

use super::listening::{Port, Sockets};
use super::settings::{engine_config, store_config};
use super::stopping::{ADMIN_CONNECTIONS_MAX, ADMIN_STOP_TIME_MAX, door, stop_ports, tell};
use super::supervisor::{self, Supervisor};
use crate::admin::{self, AdminState, Readiness};
use crate::config::{Config, ConfigProblems};
use crate::query_process::QueryProcess;
use crate::settling::Folds;

/// Exports in flight may be answered for this long; both ports have it together.
const EXPORTS_STOP_TIME_MAX: Duration = Duration::from_millis(2_500);

/// What was taken in without being answered may become durable for this long.
const INTAKE_STOP_TIME_MAX: Duration = Duration::from_secs(1);

/// A whole stop stays, with what the admin port has then, below the 10 s that orchestrators commonly grant before SIGKILL.
/// What the steps before leave of it is the store's: a group at the disk, and what is buffered goes to files.
const STOP_TIME_MAX: Duration = Duration::from_secs(9);

/// When every step takes its time, this is left to the store.
const STORE_STOP_TIME_MIN: Duration = Duration::from_secs(3);

const _: () = assert!(
    supervisor::STOP_TIME_MAX.as_millis()
        + EXPORTS_STOP_TIME_MAX.as_millis()
        + INTAKE_STOP_TIME_MAX.as_millis()
        + STORE_STOP_TIME_MIN.as_millis()
        <= STOP_TIME_MAX.as_millis()
);

/// How far files of lines are stored, in the data directory; see `docs/formats.md`.
const POSITIONS_FILE: &str = "positions";

/// How the query side reaches the collector.
#[derive(Debug, Clone)]
pub enum QuerySide {
    /// It is a process that this one starts.
    Ours(QueryProcess),
    /// Whoever connects to the socket in the data directory.
    Anybody,
}

/// Everything that runs, in the order it was started.
pub struct Server {
    store: Store,
    collector: Collector,
    remote: Arc<RemoteServer>,
    ports: Vec<(Port, Served)>,
    accepting: Arc<AtomicBool>,
    /// The configuration in use, for people.
    configuration: Arc<Mutex<String>>,
}

impl Server {
    /// Starts everything on `sockets`; what the query side asks is answered in the runtime of `readers`, the rest runs in
    /// the one that this is called in.
    ///
    /// # Errors
    /// The data directory cannot be used, or a part does not start.
    pub async fn start(
        config: &Config,
        mut sockets: Sockets,
        listeners: Vec<ListenerStats>,
        query: QuerySide,
        readers: &Handle,
    ) -> Result<Server> {
        let addresses = sockets.addresses();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut store = Store::open(store_config(config)?, clock.clone()).await?;
        let accepting = Arc::new(AtomicBool::new(true));
        let readiness = Readiness::new(Arc::clone(&accepting), store.status());

        let [grpc, http] = [Port::OtlpGrpc, Port::OtlpHttp].map(|port| addresses.of(port));
        let ports = Ports { grpc: grpc.port(), http: http.port() };
        let stored = store.take_recovered_exports();
        let positions = Some(config.store.data_dir.join(POSITIONS_FILE));
        let collector =
            Collector::start(&config.collector, ports, store.writer(), clock.clone(), stored, positions);
        let mut collector = collector.context("start the collector")?;
        let status = store.status();
        collector.refuse_without(move |bytes_to_come| room_in(&status, bytes_to_come));
        let ready = readiness.clone();
        collector.unfit_without(move || ready.check().is_ok());

        let configuration = Arc::new(Mutex::new(config.shown()));
        let process = match &query {
            QuerySide::Ours(process) => Some(process.clone()),
            QuerySide::Anybody => None,
        };
        let intake = intake_status(&collector, Arc::clone(&configuration), process.clone());
        let reader = store.reader_with(Arc::new(intake));
        let remote = {
            let _in_runtime = readers.enter();
            match &query {
                QuerySide::Ours(_) => RemoteServer::start(Arc::clone(&reader)),
                QuerySide::Anybody => RemoteServer::listen(Arc::clone(&reader), &config.store.data_dir)
                    .context("listen in the data directory")?,
            }
        };
        // Calls are settled here and not by the query process, so that they are also while that one is down.
        let engine = Engine::new(reader, engine_config(config, None)?, clock)?;
        store.settle_with(Arc::new(Folds::new(engine))).context("start the thread that settles")?;
        let admin = AdminState {
            readiness,
            store: store.status(),
            maintenance: store.maintenance(),
            collector: collector.stats_handle(),
            listeners,
            query: process,
        };

        let mut serving = Vec::new();
        if let Some(datagrams) = sockets.take_syslog_datagrams() {
            let served = datagrams.serve(Role::Sender, collector.syslog_datagrams());
            serving.push((Port::Syslog, served.context("serve a socket")?));
        }
        for (port, listener) in sockets.in_order() {
            let (door, protocol) = match port {
                Port::Admin => (
                    door(Role::Operator, ADMIN_CONNECTIONS_MAX),
                    Protocol::service(admin::router(admin.clone())),
                ),
                Port::OtlpGrpc => (collector.door(), collector.grpc()),
                Port::OtlpHttp => (collector.door(), collector.http()),
                Port::Syslog => (collector.door(), collector.syslog()),
                Port::Query | Port::FlightSql | Port::Postgres | Port::QueryAdmin => {
                    unreachable!("{} is the query side's", port.name())
                }
            };
            serving.push((port, listener.serve(door, protocol).context("serve a socket")?));
        }
        collector.follow(&config.collector.tail);
        let remote = Arc::new(remote);
        Ok(Server { store, collector, remote, ports: serving, accepting, configuration })
    }

    /// What the query process asks.
    pub fn remote(&self) -> Arc<RemoteServer> {
        Arc::clone(&self.remote)
    }

    /// Takes from the new configuration what can be taken while running.
    pub fn reload(&self, config: &Config, new: Result<Config, ConfigProblems>) {
        let new = match new {
            Ok(new) => new,
            Err(problems) => return tracing::error!(%problems, "keep the configuration as it was"),
        };
        self.collector.set_limits(&new.collector);
        *lock(&self.configuration) = config.with_live_keys_of(&new).shown();
        let need_restart = config.keys_to_restart_for(&new);
        if need_restart.is_empty() {
            tracing::info!("took the limits of the new configuration");
        } else {
            tracing::warn!(
                ?need_restart,
                "took the limits of the new configuration; other keys take a restart"
            );
        }
    }

    /// Reverse order: answers end, then receivers, then the store, which puts into files what it buffers. The admin port,
    /// which tells how it goes, is the last. Returns what became of the rows.
    pub async fn stop(self, query: Option<Supervisor>) -> Stopped {
        let Server { store, collector, mut ports, accepting, .. } = self;
        accepting.store(false, Ordering::Release);
        let began = Instant::now();
        if let Some(query) = query {
            tell("query", query.stop().await, began);
        }
        stop_ports(&mut ports, &[Port::Syslog, Port::OtlpHttp, Port::OtlpGrpc], EXPORTS_STOP_TIME_MAX, began)
            .await;
        tell("collector", collector.stop(INTAKE_STOP_TIME_MAX).await, began);
        let time_left = STOP_TIME_MAX.saturating_sub(began.elapsed());
        let stopped = store.stop(time_left).await;
        tell("store", stopped == Stopped::Flushed, began);
        stop_ports(&mut ports, &[Port::Admin], ADMIN_STOP_TIME_MAX, began).await;
        stopped
    }
}

/// The disk first: while it is full, the buffer may be full for no other reason.
fn room_in(status: &StoreStatus, bytes_to_come: usize) -> Result<(), NoRoom> {
    if !status.has_room() {
        return Err(NoRoom::Disk);
    }
    if status.is_over_budget(bytes_to_come) {
        return Err(NoRoom::Buffer { flush_time: status.flush_time() });
    }
    Ok(())
}

/// The store knows nothing of the collector, so what it says of itself is put in the store's words here.
fn intake_status(
    collector: &Collector,
    configuration: Arc<Mutex<String>>,
    query: Option<QueryProcess>,
) -> impl Fn() -> IntakeStatus + Send + Sync + 'static {
    let (ledger, stats) = (collector.ledger().clone(), collector.stats_handle());
    move || {
        let stats = stats.read();
        IntakeStatus {
            in_flight: ledger.in_flight().iter().map(in_flight_row).collect(),
            exports: stats.exports.exports.into_iter().map(exports_row).collect(),
            senders: stats.senders.into_iter().map(sender_row).collect(),
            configuration: lock(&configuration).clone(),
            query: query.as_ref().map(QueryProcess::status),
        }
    }
}

fn in_flight_row(row: &meshlake_collector::InFlight) -> InFlight {
    InFlight {
        tenant: row.tenant.to_string(),
        signal: row.signal.name().to_owned(),
        source: row.source.to_owned(),
        records: row.records,
    }
}

fn exports_row((labels, count): (ExportLabels, u64)) -> Exports {
    Exports {
        receiver: labels.receiver.to_owned(),
        signal: labels.signal.to_owned(),
        status: labels.status.to_owned(),
        count,
    }
}

fn sender_row((key, heard): (SenderKey, Heard)) -> Sender {
    Sender {
        peer: key.peer.to_string(),
        tenant: key.tenant.to_string(),
        signal: key.signal.to_owned(),
        source: key.source.to_owned(),
        agent: heard.agent,
        exports: heard.exports,
        refused: heard.refused,
        last: heard.last,
    }
}

/// What a panic leaves behind is whole: it is replaced in one step.
fn lock(text: &Mutex<String>) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}
