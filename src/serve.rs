//! Puts the parts together: binds every socket, starts from the store outwards, stops in reverse order.
//!
//! There are two runtimes, so that a heavy query cannot take the threads that acknowledge data. All sockets
//! are bound before anything starts: a taken port ends the process before it has touched the data directory.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use meshlake_collector::{Collector, Listeners, NoRoom};
use meshlake_faces::{Endpoints, FaceState};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{Clock, SystemClock};
use meshlake_store::{InFlight, IntakeStatus, Store, StoreConfig, StoreStatus, give_way_to_flushes};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};
use tokio::sync::watch;

use crate::admin::{self, AdminState};
use crate::cli::DemoArgs;
use crate::config::{Config, ConfigProblems};
use crate::demo::{self, DemoOptions};
use crate::telemetry;

/// Answers that are being computed may finish for this long when the process stops.
const QUERY_STOP_DEADLINE: Duration = Duration::from_secs(2);

/// Exports in flight may finish for this long.
const COLLECTOR_STOP_DEADLINE: Duration = Duration::from_secs(5);

/// A whole stop stays below the 10 s that orchestrators commonly grant before SIGKILL. What queries and exports leave
/// of it is the store's, for a group at the disk and a flush of what is buffered.
const STOP_DEADLINE: Duration = Duration::from_secs(9);

const _: () =
    assert!(QUERY_STOP_DEADLINE.as_secs() + COLLECTOR_STOP_DEADLINE.as_secs() < STOP_DEADLINE.as_secs());

/// DataFusion plans recursively; its threads get the stack of a main thread instead of tokio's 2 MiB.
const QUERY_STACK_BYTES: usize = 8 * 1024 * 1024;

/// Serves until SIGTERM or Ctrl-C. On SIGHUP the configuration is taken from `reload`.
///
/// # Errors
/// A port is taken, the data directory cannot be used, or a part fails to start or stop.
pub fn run(config: &Config, reload: impl Fn() -> Result<Config, ConfigProblems>) -> Result<()> {
    with_server(config, reload, |_, mut stop| async move {
        stop.wait_for(|stopped| *stopped).await.ok();
        Ok(())
    })
}

/// Serves, and drives a live mesh through the server's own sockets.
///
/// # Errors
/// As [`run`]; also when the mesh could not send everything it counted.
pub fn demo(
    config: &Config,
    reload: impl Fn() -> Result<Config, ConfigProblems>,
    args: &DemoArgs,
) -> Result<()> {
    let args = args.clone();
    with_server(config, reload, |addresses, mut stop| async move {
        let seed = args.seed.unwrap_or_else(|| SystemClock.now().0.unsigned_abs());
        println!(
            "\n  demo mesh     seed {seed}, {} requests/s; look at http://{}/",
            args.rate, addresses.query
        );
        let endpoint = format!("http://{}", addresses.otlp_grpc);
        let options =
            DemoOptions { seed, requests_per_second: args.rate, requests: args.requests, truth: args.truth };
        let mut until = stop.clone();
        let mesh_stop = async move { until.wait_for(|stopped| *stopped).await.map(drop).unwrap_or_default() };
        let truth = demo::run(&endpoint, &options, mesh_stop).await?;
        println!("{}", serde_json::to_string_pretty(&truth)?);
        if !args.exit {
            stop.wait_for(|stopped| *stopped).await.ok();
        }
        Ok(())
    })
}

/// Where the server listens, as `ip:port`.
#[derive(Debug, Clone)]
struct Addresses {
    otlp_grpc: String,
    otlp_http: String,
    query: String,
    admin: String,
}

/// Sockets that are bound but not yet served.
#[derive(Debug)]
struct Sockets {
    otlp_grpc: TcpListener,
    otlp_http: TcpListener,
    query: TcpListener,
    admin: TcpListener,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Sockets> {
        Ok(Sockets {
            otlp_grpc: bind("collector.otlp_grpc", &config.collector.otlp_grpc)?,
            otlp_http: bind("collector.otlp_http", &config.collector.otlp_http)?,
            query: bind("query.http", &config.query.http)?,
            admin: bind("admin.http", &config.admin.http)?,
        })
    }

    fn addresses(&self) -> Result<Addresses> {
        let text = |listener: &TcpListener| Ok::<_, anyhow::Error>(listener.local_addr()?.to_string());
        Ok(Addresses {
            otlp_grpc: text(&self.otlp_grpc)?,
            otlp_http: text(&self.otlp_http)?,
            query: text(&self.query)?,
            admin: text(&self.admin)?,
        })
    }
}

fn bind(key: &str, address: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("bind {key} = {address}"))?;
    listener.set_nonblocking(true).with_context(|| format!("set up {key} = {address}"))?;
    Ok(listener)
}

fn runtimes() -> Result<(Runtime, Runtime)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ingest = Builder::new_multi_thread()
        .thread_name("ingest")
        .on_thread_start(give_way_to_flushes)
        .enable_all()
        .build()?;
    let query = Builder::new_multi_thread()
        .thread_name("query")
        .worker_threads(cores.saturating_sub(1).max(1))
        .thread_stack_size(QUERY_STACK_BYTES)
        .enable_all()
        .build()?;
    Ok((ingest, query))
}

/// Starts everything, runs `work` beside it until it ends or a signal comes, stops everything.
fn with_server<F, W>(
    config: &Config,
    reload: impl Fn() -> Result<Config, ConfigProblems>,
    work: F,
) -> Result<()>
where
    F: FnOnce(Addresses, watch::Receiver<bool>) -> W,
    W: Future<Output = Result<()>> + Send + 'static,
{
    let sockets = Sockets::bind(config)?;
    let addresses = sockets.addresses()?;
    let (ingest, query) = runtimes()?;
    let (stop, stopped) = watch::channel(false);
    let result = ingest.block_on(async {
        let telemetry = telemetry::start(&config.telemetry)?;
        let server = Server::start(config, sockets, query.handle().clone()).await?;
        // Standard output may be a file on a full disk; that must not end the process.
        if let Err(error) = announce(&addresses, &config.store.data_dir) {
            tracing::warn!(%error, ?addresses, "print the addresses");
        }
        let mut work = ingest.spawn(work(addresses, stopped));
        let mut signals = Signals::listen().context("listen to signals")?;
        let early = loop {
            tokio::select! {
                ended = &mut work => break Some(ended),
                signal = signals.next() => match signal {
                    Signal::Reload => server.reload(config, reload()),
                    Signal::Stop(signal) => {
                        tracing::info!(signal, "stop");
                        break None;
                    }
                },
            }
        };
        stop.send_replace(true);
        let worked = match early {
            Some(ended) => ended,
            None => work.await,
        };
        server.stop().await;
        telemetry.stop();
        worked.context("run")?
    });
    query.shutdown_timeout(Duration::ZERO);
    ingest.shutdown_timeout(Duration::ZERO);
    result
}

/// Everything that runs, in the order it was started.
struct Server {
    store: Store,
    collector: Collector,
    accepting: Arc<AtomicBool>,
    query_stop: watch::Sender<bool>,
    query: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(config: &Config, sockets: Sockets, query: tokio::runtime::Handle) -> Result<Server> {
        let addresses = sockets.addresses()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut store = Store::open(store_config(config)?, clock.clone()).await?;
        let listeners = Listeners {
            otlp_grpc: tokio::net::TcpListener::from_std(sockets.otlp_grpc)?,
            otlp_http: tokio::net::TcpListener::from_std(sockets.otlp_http)?,
        };
        let stored = store.take_recovered_requests();
        let collector = Collector::start(&config.collector, listeners, store.writer(), clock.clone(), stored)
            .context("start the collector")?;
        let status = store.status();
        collector.refuse_without(move |bytes_to_come| room_in(&status, bytes_to_come));

        let ledger = collector.ledger().clone();
        let intake = move || IntakeStatus {
            in_flight: ledger.in_flight().iter().map(in_flight_row).collect(),
            ..IntakeStatus::default()
        };
        let engine = Engine::new(store.reader_with(Arc::new(intake)), engine_config(config)?, clock)?;
        let endpoints =
            Endpoints { otlp_grpc: addresses.otlp_grpc.clone(), otlp_http: addresses.otlp_http.clone() };
        let state = FaceState { engine, endpoints };
        let (query_stop, mut stopped) = watch::channel(false);
        let query = query.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(sockets.query)?;
            let until = async move { stopped.wait_for(|stop| *stop).await.map(drop).unwrap_or_default() };
            axum::serve(listener, meshlake_faces::router(state)).with_graceful_shutdown(until).await
        });

        let accepting = Arc::new(AtomicBool::new(true));
        let state = AdminState {
            accepting: accepting.clone(),
            store: store.status(),
            maintenance: store.maintenance(),
            collector: collector.stats_handle(),
        };
        let admin = admin::router(state);
        let listener = tokio::net::TcpListener::from_std(sockets.admin)?;
        tokio::spawn(async move { axum::serve(listener, admin).await });
        Ok(Server { store, collector, accepting, query_stop, query })
    }

    /// Takes from the new configuration what can be taken while running.
    fn reload(&self, config: &Config, new: Result<Config, ConfigProblems>) {
        let new = match new {
            Ok(new) => new,
            Err(problems) => return tracing::error!(%problems, "keep the configuration as it was"),
        };
        self.collector.set_limits(&new.collector);
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

    /// Reverse order: answers end, then receivers, then the store, which puts into files what it buffers.
    async fn stop(self) {
        self.accepting.store(false, Ordering::Release);
        let started = Instant::now();
        self.query_stop.send_replace(true);
        if tokio::time::timeout(QUERY_STOP_DEADLINE, self.query).await.is_err() {
            tracing::warn!("queries were still running and are cut off");
        }
        tracing::info!(elapsed_ms = started.elapsed().as_millis(), "stopped the query service");
        let stopped = self.collector.stop(COLLECTOR_STOP_DEADLINE).await;
        if !stopped.connections_ended || !stopped.intake_drained {
            tracing::warn!(
                ?stopped,
                "the collector did not finish in time; what it had not acknowledged is cut off"
            );
        }
        tracing::info!(elapsed_ms = started.elapsed().as_millis(), "stopped the collector");
        let stopped = self.store.stop(STOP_DEADLINE.saturating_sub(started.elapsed())).await;
        tracing::info!(elapsed_ms = started.elapsed().as_millis(), ?stopped, "stopped the store");
    }
}

/// How the store is run, also by `meshlake maintain`.
///
/// # Errors
/// A size that this machine cannot address.
pub fn store_config(config: &Config) -> Result<StoreConfig> {
    Ok(StoreConfig {
        data_dir: config.store.data_dir.clone(),
        buffer_bytes_max: usize::try_from(config.store.buffer_bytes_max).context("store.buffer_bytes_max")?,
        flush_age_max: Duration::from_secs(config.store.flush_age_max_seconds),
        free_bytes_min: config.store.free_bytes_min,
        maintain: config.maintain.store_config(),
        ..StoreConfig::default()
    })
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

fn engine_config(config: &Config) -> Result<EngineConfig> {
    Ok(EngineConfig {
        memory_bytes_max: usize::try_from(config.query.memory_bytes_max).context("query.memory_bytes_max")?,
        timeout_seconds: config.query.timeout_seconds,
        rows_max: usize::try_from(config.query.rows_max).context("query.rows_max")?,
        ..EngineConfig::default()
    })
}

/// The store knows nothing of the collector, so what it says of itself is put in the store's words here.
fn in_flight_row(row: &meshlake_collector::InFlight) -> InFlight {
    InFlight {
        tenant: row.tenant.to_string(),
        signal: row.signal.name().to_owned(),
        source: row.source.name().to_owned(),
        records: row.records,
    }
}

fn announce(addresses: &Addresses, data_dir: &Path) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "meshlake {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  web page, API         http://{}/", addresses.query)?;
    writeln!(out, "  OTLP/gRPC, Envoy ALS  {}", addresses.otlp_grpc)?;
    writeln!(out, "  OTLP/HTTP             http://{}/v1/{{traces,logs,metrics}}", addresses.otlp_http)?;
    writeln!(out, "  data                  {}", data_dir.display())?;
    writeln!(out, "  admin                 http://{}/metrics", addresses.admin)?;
    out.flush()
}

/// What the process was told.
enum Signal {
    Reload,
    /// By the signal of this name.
    Stop(&'static str),
}

struct Signals {
    hangup: UnixSignal,
    terminate: UnixSignal,
    interrupt: UnixSignal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
        }
    }
}
