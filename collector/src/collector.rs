//! Starts the parts of the collector in the order of dependence and stops them in the reverse.
//!
//! It serves protocols and no sockets: those are bound by the caller before anything starts, so that a taken port ends
//! the process before it has taken in a single export, and stopped before what is behind them.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use meshlake_listen::{Cap, Door, Protocol, Role};
use meshlake_schema::Clock;
use meshlake_schema::metrics::Page;
use meshlake_store::{StoredExport, Writer};

use crate::admit::cors::Origins;
use crate::admit::quota::Quotas;
use crate::admit::stats::{Stats, StatsReading};
use crate::config::CollectorConfig;
use crate::intake::{Budget, Intake, IntakeThread};
use crate::ledger::{LedgerView, RecordTotals};
use crate::receivers::{NoRoom, Ports, Receivers};

/// The running collector.
pub struct Collector {
    receivers: Arc<Receivers>,
    ledger: LedgerView,
    /// Over both ports.
    connections: Cap,
    intake: IntakeThread,
}

/// A reading of what the collector has done since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorStats {
    /// Exports and bytes.
    pub exports: StatsReading,
    /// Records that became durable or were refused.
    pub records: Vec<RecordTotals>,
    pub in_flight_bytes: usize,
    pub in_flight_bytes_max: usize,
}

/// Reads [`CollectorStats`]; clones read the same.
#[derive(Clone)]
pub struct StatsHandle {
    stats: Arc<Stats>,
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
    /// is let in: senders come back with what was not answered as soon as the ports are open.
    ///
    /// # Errors
    /// When the intake thread cannot be started.
    pub fn start(
        config: &CollectorConfig,
        ports: Ports,
        writer: Writer,
        clock: Arc<dyn Clock>,
        stored: Vec<StoredExport>,
    ) -> io::Result<Collector> {
        let ledger = LedgerView::default();
        let retry_window = Duration::from_secs(config.retry_window_seconds);
        let (intake, thread) =
            Intake::start(writer, ledger.clone(), clock, config.retention(), retry_window)?;
        intake.remember(stored);
        let budget = Budget::new(bytes(config.in_flight_bytes_max));
        let receivers = Arc::new(Receivers {
            intake,
            quotas: Quotas::new(budget.clone(), config.tenant_limits()),
            budget,
            export_bytes_max: AtomicUsize::new(bytes(config.export_bytes_max)),
            stats: Arc::new(Stats::default()),
            origins: Origins::new(&config.cors_origins),
            ports,
            room: OnceLock::new(),
            fitness: OnceLock::new(),
        });
        let connections = Cap::new(config.connections_max.into());
        Ok(Collector { receivers, ledger, connections, intake: thread })
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
        let Receivers { stats, budget, .. } = self.receivers.as_ref();
        StatsHandle { stats: Arc::clone(stats), budget: budget.clone(), ledger: self.ledger.clone() }
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
        tokio::time::timeout(deadline, self.intake.stop()).await.is_ok()
    }
}

fn bytes(configured: u64) -> usize {
    usize::try_from(configured).unwrap_or(usize::MAX)
}
