//! Starts the parts of the collector in the order of dependence and stops them in the reverse.
//!
//! It serves protocols and no sockets: those are bound by the caller before anything starts, so that a taken port ends
//! the process before it has taken in a single export, and stopped before what is behind them.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use meshlake_listen::{Cap, Datagrams, Door, Protocol, Role, Stopping};
use meshlake_schema::Clock;
use meshlake_schema::metrics::Page;
use meshlake_store::{StoredExport, Writer};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::access_log::origin::LineOrigin;
use crate::admit::cors::Origins;
use crate::admit::quota::Quotas;
use crate::admit::senders::{Heard, SenderKey, Senders};
use crate::admit::stats::{Stats, StatsReading};
use crate::config::CollectorConfig;
use crate::decode::Sender;
use crate::decode::remote_write::families::Families;
use crate::intake::{Budget, Intake, IntakeThread};
use crate::ledger::{LedgerView, RecordTotals};
use crate::positions::Positions;
use crate::receivers::syslog::Syslog;
use crate::receivers::{NoRoom, Ports, Receivers, TailConfig, tail};

/// What reads datagrams of syslog.
type SyslogDatagrams = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running collector.
pub struct Collector {
    receivers: Arc<Receivers>,
    ledger: LedgerView,
    /// Over both ports.
    connections: Cap,
    intake: IntakeThread,
    syslog: Syslog,
    following: Option<Following>,
}

/// Files that are being followed.
struct Following {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A reading of what the collector has done since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorStats {
    /// Exports and bytes.
    pub exports: StatsReading,
    /// Records that became durable or were refused.
    pub records: Vec<RecordTotals>,
    /// Who sent something, those heard of last first.
    pub senders: Vec<(SenderKey, Heard)>,
    pub in_flight_bytes: usize,
    pub in_flight_bytes_max: usize,
}

/// Reads [`CollectorStats`]; clones read the same.
#[derive(Clone)]
pub struct StatsHandle {
    stats: Arc<Stats>,
    senders: Arc<Senders>,
    budget: Budget,
    ledger: LedgerView,
}

impl StatsHandle {
    /// Writes what the collector has done, each part its own.
    pub fn metrics(&self, page: &mut Page) {
        self.stats.metrics(page);
        self.ledger.metrics(page);
        self.budget.metrics(page);
    }

    pub fn read(&self) -> CollectorStats {
        CollectorStats {
            exports: self.stats.read(),
            records: self.ledger.totals(),
            senders: self.senders.read(),
            in_flight_bytes: self.budget.used_bytes(),
            in_flight_bytes_max: self.budget.limit_bytes(),
        }
    }
}

impl Collector {
    /// Starts what is behind the ports, which are served as [`grpc`](Self::grpc) and [`http`](Self::http) with the
    /// numbers of `ports`.
    ///
    /// `stored` are exports that an earlier process stored, oldest first. They are known before the first one
    /// is let in: senders come back with what was not answered as soon as the ports are open. How far files are stored is
    /// written down in the file `positions`; without one it is known until the process ends.
    ///
    /// # Errors
    /// When the intake thread cannot be started, or the file `positions` cannot be read.
    pub fn start(
        config: &CollectorConfig,
        ports: Ports,
        writer: Writer,
        clock: Arc<dyn Clock>,
        stored: Vec<StoredExport>,
        positions: Option<PathBuf>,
    ) -> io::Result<Collector> {
        let ledger = LedgerView::default();
        let positions = Positions::open(positions, &stored, Arc::clone(&clock))?;
        let retry_window = Duration::from_secs(config.retry_window_seconds);
        let (intake, thread) =
            Intake::start(writer, ledger.clone(), Arc::clone(&clock), config.retention(), retry_window)?;
        intake.remember(stored);
        let budget = Budget::new(bytes(config.in_flight_bytes_max));
        let receivers = Arc::new(Receivers {
            intake,
            quotas: Quotas::new(budget.clone(), config.tenant_limits()),
            positions,
            budget,
            export_bytes_max: AtomicUsize::new(bytes(config.export_bytes_max)),
            stats: Arc::new(Stats::default()),
            senders: Arc::new(Senders::default()),
            clock,
            sender_of_logs: config.otlp_access_logs.then(|| Arc::new(Sender::Lines(LineOrigin::default()))),
            sender_of_samples: Arc::new(Sender::Families(Families::default())),
            origins: Origins::new(&config.cors_origins),
            ports,
            room: OnceLock::new(),
            fitness: OnceLock::new(),
        });
        let connections = Cap::new(config.connections_max.into());
        let syslog = Syslog::new(Arc::clone(&receivers), &config.syslog_apps);
        Ok(Collector { receivers, ledger, connections, intake: thread, syslog, following: None })
    }

    /// Who is let in on both ports, which share one cap.
    pub fn door(&self) -> Door {
        Door { role: Role::Sender, cap: self.connections.clone(), wrap: None }
    }

    /// OTLP/gRPC and Envoy's access log service.
    pub fn grpc(&self) -> Protocol {
        let receivers = Arc::clone(&self.receivers);
        Protocol::http(move |request, caller| Arc::clone(&receivers).answer_grpc(request, caller))
    }

    /// OTLP/HTTP.
    pub fn http(&self) -> Protocol {
        let receivers = Arc::clone(&self.receivers);
        Protocol::http(move |request, caller| Arc::clone(&receivers).answer_http(request, caller))
    }

    /// Syslog over TCP.
    pub fn syslog(&self) -> Protocol {
        let syslog = self.syslog.clone();
        Protocol::raw(move |connection| syslog.clone().serve_connection(connection))
    }

    /// Syslog over UDP.
    pub fn syslog_datagrams(&self) -> impl FnOnce(Datagrams) -> SyslogDatagrams {
        let syslog = self.syslog.clone();
        move |datagrams| Box::pin(syslog.serve_datagrams(datagrams))
    }

    /// Follows the files of `sections` until the collector stops. Called in a runtime, once.
    pub fn follow(&mut self, sections: &[TailConfig]) {
        if sections.is_empty() {
            return;
        }
        let (stop, stopping) = Stopping::channel();
        let (receivers, sections) = (Arc::clone(&self.receivers), sections.to_vec());
        let task = tokio::spawn(async move { tail::follow(receivers, &sections, stopping).await });
        self.following = Some(Following { stop, task });
    }

    /// Takes the limits of `config` from now on: bytes in flight, of an export, of a tenant, and connections. What
    /// is over a lower limit already is let be until it ends; the other keys take a restart.
    pub fn set_limits(&self, config: &CollectorConfig) {
        let receivers = &self.receivers;
        receivers.budget.set_limit(bytes(config.in_flight_bytes_max));
        receivers.quotas.set_limits(config.tenant_limits());
        receivers.export_bytes_max.store(bytes(config.export_bytes_max), Ordering::Relaxed);
        self.connections.set(config.connections_max.into());
    }

    /// Refuses exports, with a delay after which to come back, whenever `room` says that there is none beside the
    /// bytes of exports in flight, which become rows. It is asked once per export and must be quick. Only the
    /// first call counts.
    pub fn refuse_without(&self, room: impl Fn(usize) -> Result<(), NoRoom> + Send + Sync + 'static) {
        let _ = self.receivers.room.set(Box::new(room));
    }

    /// Tells health checks that nothing is taken while `is_fit` says so; it must be quick. Only the first call counts.
    pub fn unfit_without(&self, is_fit: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.receivers.fitness.set(Box::new(is_fit));
    }

    /// What was done since start.
    pub fn stats(&self) -> CollectorStats {
        self.stats_handle().read()
    }

    /// A handle that reads the stats from anywhere, also after the collector has stopped.
    pub fn stats_handle(&self) -> StatsHandle {
        let Receivers { stats, senders, budget, .. } = self.receivers.as_ref();
        let (stats, senders) = (Arc::clone(stats), Arc::clone(senders));
        StatsHandle { stats, senders, budget: budget.clone(), ledger: self.ledger.clone() }
    }

    /// The part of the ledger that is in memory.
    pub fn ledger(&self) -> &LedgerView {
        &self.ledger
    }

    /// Returns when all that was taken in has been answered, which it then is durably; false when `deadline` came
    /// first. The ports are stopped before, so that nothing more comes.
    ///
    /// Cancel: nothing more is taken in; the rest goes on by itself.
    pub async fn stop(self, deadline: Duration) -> bool {
        let Collector { receivers, intake, following, .. } = self;
        let stopping = async {
            if let Some(Following { stop, task }) = following {
                stop.send_replace(true);
                // One that has panicked has ended as well.
                let _ = task.await;
            }
            intake.stop().await;
        };
        let in_time = tokio::time::timeout(deadline, stopping).await.is_ok();
        let saved = spawn_blocking(move || receivers.positions.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, "write down how far files of lines are stored");
        }
        in_time
    }
}

fn bytes(configured: u64) -> usize {
    usize::try_from(configured).unwrap_or(usize::MAX)
}
