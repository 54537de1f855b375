//! Puts the parts together: binds every socket, starts from the store outwards, stops in reverse order.
//!
//! ```text
//!  meshlake run        this process: every socket, the collector, the supervisor
//!                        '- meshlake query-process: the query side, on sockets that were handed down
//!  meshlake collector  the collector alone, and a socket in the data directory
//!  meshlake query      the query side alone, on that socket
//! ```
//! Questions are answered in a process of their own, because a statement can end the one that runs it. All sockets
//! are bound before anything starts: a taken port ends the process before it has touched the data directory.

mod server;
mod supervisor;
mod worker;
mod watching;
mod confine;
mod handover;
mod answering;
mod stopping;
mod listening;
mod spill;
mod settings;
mod signals;

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use meshlake_schema::{Clock as _, SystemClock};
use meshlake_store::{Stopped, give_way_to_flushes};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::cli::DemoArgs;
use crate::config::{Config, ConfigProblems};
use crate::demo::{self, DemoOptions};
use crate::query_process::QueryProcess;
use crate::telemetry;
use listening::{Addresses, Port, Side, Sockets};
use server::{QuerySide, Server};
use signals::{Signal, Signals};
use stopping::rows_left;
use supervisor::Supervisor;

pub use settings::{engine_config, store_config};
pub use signals::Interrupts;
pub use worker::{query, query_process};

/// A free port, that only this machine reaches.
const ANY_PORT: &str = "127.0.0.1:0";

/// What one process is responsible for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Roles {
    /// The collector, and a process for the query side.
    Both,
    Collector,
}

/// Who is told where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announce {
    All,
    Nobody,
}

/// Serves until SIGTERM or Ctrl-C. On SIGHUP the configuration is taken from `reload`.
///
/// # Errors
/// A port is taken, the data directory cannot be used, or a part fails to start or stop.
pub fn run(config: &Config, reload: impl Fn() -> Result<Config, ConfigProblems>) -> Result<()> {
    with_server(config, Roles::Both, Announce::All, Interrupts::Stop, reload, until_stopped)
}

/// Serves the collector's side alone, as [`run`] does, and whoever connects to the socket in the data directory.
///
/// # Errors
/// As [`run`].
pub fn collector(config: &Config, reload: impl Fn() -> Result<Config, ConfigProblems>) -> Result<()> {
    with_server(config, Roles::Collector, Announce::All, Interrupts::Stop, reload, until_stopped)
}

async fn until_stopped(_: Addresses, mut stop: watch::Receiver<bool>) -> Result<()> {
    stop.wait_for(|stopped| *stopped).await.ok();
    Ok(())
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
    with_server(
        config,
        Roles::Both,
        Announce::All,
        Interrupts::Stop,
        reload,
        |addresses, mut stop| async move {
            let (query, otlp_grpc) = (addresses.of(Port::Query), addresses.of(Port::OtlpGrpc));
            let seed = args.seed.unwrap_or_else(|| SystemClock.now().0.unsigned_abs());
            tell(&format!(
                "\n  demo mesh     seed {seed}, {} requests/s; look at http://{query}/",
                args.rate
            ));
            let endpoint = format!("http://{otlp_grpc}");
            let options = DemoOptions {
                seed,
                requests_per_second: args.rate,
                requests: args.requests,
                history: args.history,
                truth: args.truth,
            };
            let mut until = stop.clone();
            let mesh_stop =
                async move { until.wait_for(|stopped| *stopped).await.map(drop).unwrap_or_default() };
            let truth = demo::run(&endpoint, &options, mesh_stop).await?;
            tell(&serde_json::to_string_pretty(&truth)?);
            if !args.exit {
                stop.wait_for(|stopped| *stopped).await.ok();
            }
            Ok(())
        },
    )
}

/// Serves the data directory of `config` for as long as `work` takes, which is told where OTLP/HTTP and the query service
/// listen: on ports that nobody else is told.
///
/// # Errors
/// As [`run`], a [`StoreError`](meshlake_store::StoreError) while another process has the directory; or the error of `work`,
/// which also ends when a signal says so.
pub fn alone<W>(
    config: &Config,
    interrupts: Interrupts,
    work: impl FnOnce(SocketAddr, SocketAddr) -> W,
) -> Result<()>
where
    W: Future<Output = Result<()>> + Send + 'static,
{
    let mut config = config.clone();
    let collector = &mut config.collector;
    let addresses =
        [&mut collector.otlp_grpc, &mut collector.otlp_http, &mut config.query.http, &mut config.admin.http];
    addresses.into_iter().for_each(|address| ANY_PORT.clone_into(address));
    collector.syslog.clear();
    config.query.postgres.clear();
    collector.tail.clear();
    config.query.flight_sql.clear();
    with_server(
        &config,
        Roles::Both,
        Announce::Nobody,
        interrupts,
        || Ok(config.clone()),
        |addresses, mut stop| {
            let work = work(addresses.of(Port::OtlpHttp), addresses.of(Port::Query));
            async move {
                tokio::select! {
                    done = work => done,
                    _ = stop.wait_for(|stopped| *stopped) => bail!("stopped"),
                }
            }
        },
    )
}

/// Prints a line. Standard output may be a pipe that nobody reads any more; that must not end the process.
fn tell(line: &str) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}") {
        tracing::warn!(%error, "print to standard output");
    }
}

/// For the collector, and for what the query side asks of it: a large answer to that must not take the threads that
/// acknowledge data.
fn runtimes() -> Result<(Runtime, Runtime)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ingest = Builder::new_multi_thread()
        .thread_name("ingest")
        .on_thread_start(give_way_to_flushes)
        .enable_all()
        .build()?;
    let readers = Builder::new_multi_thread()
        .thread_name("readers")
        .worker_threads(cores.saturating_sub(1).max(1))
        .on_thread_start(give_way_to_flushes)
        .enable_all()
        .build()?;
    Ok((ingest, readers))
}

/// Starts everything, runs `work` beside it until it ends or a signal comes, stops everything.
fn with_server<F, W>(
    config: &Config,
    roles: Roles,
    announce: Announce,
    interrupts: Interrupts,
    reload: impl Fn() -> Result<Config, ConfigProblems>,
    work: F,
) -> Result<()>
where
    F: FnOnce(Addresses, watch::Receiver<bool>) -> W,
    W: Future<Output = Result<()>> + Send + 'static,
{
    let sides: &[Side] = match roles {
        Roles::Both => &[Side::Collector, Side::Query],
        Roles::Collector => &[Side::Collector],
    };
    let sockets = Sockets::bind(config, sides)?;
    let addresses = sockets.addresses();
    let (ingest, readers) = runtimes()?;
    let (stop, stopped) = watch::channel(false);
    let result = ingest.block_on(async {
        let telemetry = telemetry::start(&config.telemetry)?;
        // Before the start, which may read a long log: a signal must not end the process by the system's hand then.
        let mut signals = Signals::listen(interrupts).context("listen to signals")?;
        let starting = start(config, roles, sockets, &readers);
        let Some(started) = unless_stopped(&mut signals, starting).await else {
            // A server that was told to stop did; work that was to be done was not.
            return if announce == Announce::All { Ok(()) } else { bail!("stopped") };
        };
        let (server, query) = started?;
        // Standard output may be a file on a full disk; that must not end the process.
        if announce == Announce::All
            && let Err(error) = addresses.announce(&config.store.data_dir)
        {
            tracing::warn!(%error, ?addresses, "print the addresses");
        }
        let mut work = ingest.spawn(work(addresses, stopped));
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
        if let Stopped::InLog(left) = server.stop(query).await
            && !left.is_empty()
        {
            // Whatever is logged: who reads the tables next must know. Where standard error is full, it cannot be told.
            writeln!(std::io::stderr(), "{}", rows_left(&left)).ok();
        }
        telemetry.stop();
        worked.context("run")?
    });
    readers.shutdown_timeout(Duration::ZERO);
    ingest.shutdown_timeout(Duration::ZERO);
    result
}

/// What `starting` comes to; none when a signal says to stop first. A start that is left in the middle leaves what a crash
/// leaves: everything that was acknowledged is in the log or in files. A SIGHUP waits for the end of the start.
async fn unless_stopped<T>(signals: &mut Signals, starting: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        started = starting => Some(started),
        signal = signals.stop() => {
            tracing::info!(signal, "stop while starting");
            None
        }
    }
}

/// Starts the collector's side, and the process of the query side where that is one of `roles`.
async fn start(
    config: &Config,
    roles: Roles,
    mut sockets: Sockets,
    readers: &Runtime,
) -> Result<(Server, Option<Supervisor>)> {
    let (addresses, listeners, for_query) = (sockets.addresses(), sockets.stats(), sockets.take_query());
    let (process, asked) = QueryProcess::new();
    let query = match roles {
        Roles::Both => QuerySide::Ours(process.clone()),
        Roles::Collector => QuerySide::Anybody,
    };
    let server = Server::start(config, sockets, listeners, query, readers.handle()).await?;
    let supervisor = match roles {
        Roles::Both => {
            Some(Supervisor::start(config, &addresses, for_query, server.remote(), (process, asked))?)
        }
        Roles::Collector => None,
    };
    Ok((server, supervisor))
}
