//! The query side in a process of its own. The one that `meshlake run` starts takes over its sockets and answers until
//! it is told to stop; `meshlake query` has its own, and a collector that others run.
//!
//! The first lives no longer than the process that started it: a thread of its own waits for what that one says, and ends the
//! process at once when it is gone, whatever else goes on here. So a port is never kept from a collector that starts anew.
//! SIGINT and SIGHUP are for the other process, which a terminal sends them to as well.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use meshlake_faces::Endpoints;
use meshlake_listen::{Listener, Protocol, Role, Served};
use meshlake_remote::{RemoteReader, socket_path};
use meshlake_store::{Reader, tables_of};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_seqpacket::UnixSeqpacket;

use super::answering::Answering;
use super::confine::{Confined, Left, confine};
use super::handover::{Handover, Said, Told, counts_of, hear, say};
use super::listening::{Port, Side, Sockets};
use super::settings::engine_config;
use super::signals::{Interrupts, Signal, Signals};
use super::spill;
use super::stopping::{ADMIN_CONNECTIONS_MAX, ADMIN_STOP_TIME_MAX, door, stop_ports};
use super::watching::watch;
use crate::admin::query_side::{self, QuerySideState};
use crate::config::Config;
use crate::telemetry;

/// DataFusion plans recursively; its threads get the stack of a main thread instead of tokio's 2 MiB.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Threads that read files; each has a stack. Two cores wait for no more reads at once.
const BLOCKING_THREADS_MAX: usize = 64;

/// How a process ends whose collector is gone.
const EXIT_COLLECTOR_GONE: i32 = 1;

/// How a process ends in which too many questions do not.
const EXIT_STUCK: i32 = 2;

/// Answers as the process on standard input says, until it is told to stop, or alone gets SIGTERM.
///
/// # Errors
/// Standard input is no such process's, or what it handed down cannot be served.
pub fn query_process() -> Result<()> {
    let parent = io::stdin().as_fd().try_clone_to_owned().context("take standard input")?;
    let (parent, (handover, connection, sockets)) = alone()?.block_on(async {
        let parent = UnixSeqpacket::try_from(parent).context("standard input is no socket of meshlake")?;
        let handover = Handover::receive(&parent).await?;
        anyhow::Ok((OwnedFd::from(parent), handover))
    })?;
    let config = engine_config(&handover.config, Some(&handover.spill_dir))?;
    let data_dir = &handover.config.store.data_dir;
    let files = tables_of(data_dir).context("open the data directory")?;
    let left = Left::of(&handover.config, data_dir, &handover.spill_dir);
    // Before there are threads.
    let Confined { words: confinement, memory } = confine(&left, config.memory_bytes_max);
    let runtime = runtime()?;
    runtime.block_on(async {
        let telemetry = telemetry::start(&handover.config.telemetry)?;
        let reader = RemoteReader::over(connection, files).context("connect to the collector")?;
        let calls_days = handover.config.maintain.calls_10m_days;
        let promoted = &handover.config.query.promoted_resource_attributes;
        let answering =
            Answering::start(config, sockets, Arc::new(reader), handover.endpoints(), calls_days, promoted)?;
        let spill_dir = handover.spill_dir.clone();
        let _watching = watch(answering.engine().clone(), memory, move || end(&spill_dir, EXIT_STUCK))
            .context("start the thread that watches queries")?;
        let (stop, mut stopped) = watch::channel(false);
        let counts = answering.listeners().to_vec();
        let counted =
            move || Said::Counted(counts.iter().map(|counts| counts_of(counts.counted())).collect());
        let serving = Said::Serving { confinement };
        heed(parent, stop, serving, counted, handover.spill_dir)
            .context("start the thread that hears of the collector")?;
        let mut terminate = signal(SignalKind::terminate())?;
        let _for_the_other = [signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => {}
            _ = terminate.recv() => {}
        }
        answering.stop().await;
        telemetry.stop();
        anyhow::Ok(())
    })?;
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(())
}

/// Answers from the collector on the data directory, or behind the socket, `collector`, until SIGTERM or Ctrl-C.
///
/// # Errors
/// A port is taken, or there is no such directory.
pub fn query(config: &Config, collector: &Path) -> Result<()> {
    let (data_dir, socket) = place_of(collector)?;
    let mut sockets = Sockets::bind(config, &[Side::Query, Side::QueryAlone])?;
    let (addresses, listeners) = (sockets.addresses(), sockets.stats());
    let spill = spill::make(&data_dir)?;
    let engine = engine_config(config, Some(spill.path()))?;
    let files = tables_of(&data_dir).with_context(|| format!("open {}", data_dir.display()))?;
    let left = Left { connects_to_collector: true, ..Left::of(config, &data_dir, spill.path()) };
    let Confined { words: confinement, memory } = confine(&left, engine.memory_bytes_max);
    let runtime = runtime()?;
    runtime.block_on(async {
        let telemetry = telemetry::start(&config.telemetry)?;
        tracing::info!(confinement, "the query process is confined");
        let reader: Arc<dyn Reader> = Arc::new(RemoteReader::at(&socket, files));
        if let Err(error) = reader.status().await {
            let socket = socket.display();
            tracing::warn!(
                %error,
                %socket,
                "no collector answers yet (`meshlake run` has a query side of its own and none listens)"
            );
        }
        let (otlp_grpc, otlp_http) = (config.collector.otlp_grpc.clone(), config.collector.otlp_http.clone());
        let endpoints = Endpoints { otlp_grpc, otlp_http, postgres: None, flight_sql: None };
        let admin = QuerySideState { collector: Arc::clone(&reader), listeners };
        let calls_days = config.maintain.calls_10m_days;
        let promoted = &config.query.promoted_resource_attributes;
        let answering =
            Answering::start(engine, sockets.take_query(), reader, endpoints, calls_days, promoted)?;
        let spill_dir = spill.path().to_owned();
        let _watching = watch(answering.engine().clone(), memory, move || end(&spill_dir, EXIT_STUCK))
            .context("start the thread that watches queries")?;
        let mut admin_ports = serve_admin(sockets, &admin)?;
        let mut signals = Signals::listen(Interrupts::Stop).context("listen to signals")?;
        if let Err(error) = addresses.announce(&data_dir) {
            tracing::warn!(%error, ?addresses, "print the addresses");
        }
        loop {
            match signals.next().await {
                Signal::Reload => tracing::warn!("the keys of the query side take a restart"),
                Signal::Stop(signal) => break tracing::info!(signal, "stop"),
            }
        }
        answering.stop().await;
        stop_ports(&mut admin_ports, &[Port::QueryAdmin], ADMIN_STOP_TIME_MAX, Instant::now()).await;
        telemetry.stop();
        anyhow::Ok(())
    })?;
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(())
}

/// Serves what is left of `sockets`: health and metrics, which tell also how the other ports stop.
fn serve_admin(sockets: Sockets, state: &QuerySideState) -> Result<Vec<(Port, Served)>> {
    let serve = |(port, listener): (Port, Listener)| {
        let service = Protocol::service(query_side::router(state.clone()));
        let served = listener.serve(door(Role::Operator, ADMIN_CONNECTIONS_MAX), service);
        Ok((port, served.context("serve a socket")?))
    };
    sockets.in_order().map(serve).collect()
}

/// The data directory and the socket that `collector`, one or the other, stands for.
fn place_of(collector: &Path) -> Result<(PathBuf, PathBuf)> {
    let data_dir = if collector.is_dir() {
        collector
    } else {
        let data_dir = collector.parent().and_then(Path::parent);
        data_dir.filter(|dir| socket_path(dir) == collector).with_context(|| {
            format!("{} is neither a data directory nor the socket in one", collector.display())
        })?
    };
    Ok((data_dir.to_owned(), socket_path(data_dir)))
}

fn alone() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .thread_name("query")
        .worker_threads(cores.saturating_sub(1).max(1))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
}

/// Hears what the collector's process says, on a thread that nothing else can keep busy.
fn heed(
    parent: OwnedFd,
    stop: watch::Sender<bool>,
    serving: Said,
    counted: impl Fn() -> Said + Send + 'static,
    spill_dir: PathBuf,
) -> Result<()> {
    let runtime = alone()?;
    let hear_all = async move {
        let parent = UnixSeqpacket::try_from(parent)?;
        say(&parent, &serving).await?;
        while let Some(told) = hear(&parent).await? {
            match told {
                Told::Count => say(&parent, &counted()).await?,
                Told::Stop => _ = stop.send_replace(true),
            }
        }
        anyhow::Ok(())
    };
    let thread = move || {
        if let Err(error) = runtime.block_on(hear_all) {
            tracing::error!(%error, "hear of the collector");
        }
        end(&spill_dir, EXIT_COLLECTOR_GONE);
    };
    std::thread::Builder::new().name("parent".to_owned()).spawn(thread)?;
    Ok(())
}

/// Ends this process at once. Nobody is there any more to remove what was spilled; the directory itself is not this process's
/// to remove.
fn end(spill_dir: &Path, exit: i32) -> ! {
    spill::empty(spill_dir);
    std::process::exit(exit)
}
