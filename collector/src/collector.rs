//! Starts the parts of the collector in the order of dependence and stops them in the reverse.
//!
//! Sockets are bound by the caller before anything starts, so that a taken port ends the process before it
//! has taken in a single request.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use meshlake_schema::Clock;
use meshlake_store::{StoredRequest, Writer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::admit::quota::Quotas;
use crate::admit::stats::{Stats, StatsReading};
use crate::config::CollectorConfig;
use crate::intake::{Budget, Intake, IntakeThread};
use crate::ledger::{LedgerView, RecordTotals};
use crate::receivers::listen::{Port, serve};
use crate::receivers::{NoRoom, Receivers};

/// Sockets that are bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    /// OTLP/gRPC and Envoy's access log service.
    pub otlp_grpc: TcpListener,
    /// OTLP/HTTP.
    pub otlp_http: TcpListener,
}

/// The running collector.
pub struct Collector {
    receivers: Arc<Receivers>,
    ledger: LedgerView,
    stop: watch::Sender<bool>,
    ports: Vec<JoinHandle<()>>,
    intake: IntakeThread,
}

/// A reading of what the collector has done since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorStats {
    /// Requests, bytes and connections.
    pub requests: StatsReading,
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
    pub fn read(&self) -> CollectorStats {
        CollectorStats {
            requests: self.stats.read(),
            records: self.ledger.totals(),
            in_flight_bytes: self.budget.used_bytes(),
            in_flight_bytes_max: self.budget.limit_bytes(),
        }
    }
}

/// How a collector stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// Every connection ended before the deadline; otherwise some were cut, unanswered.
    pub connections_ended: bool,
    /// Every request that was taken in has been answered; otherwise the disk did not come back in time.
    pub intake_drained: bool,
}

impl Collector {
    /// Starts to serve `listeners`. Must be called inside the tokio runtime that is to serve them.
    ///
    /// `stored` are requests that an earlier process stored, oldest first. They are known before the first one
    /// is let in: senders come back with what was not answered as soon as the ports are open.
    ///
    /// # Errors
    /// When the intake thread cannot be started.
    pub fn start(
        config: &CollectorConfig,
        listeners: Listeners,
        writer: Writer,
        clock: Arc<dyn Clock>,
        stored: Vec<StoredRequest>,
    ) -> io::Result<Collector> {
        let ledger = LedgerView::default();
        let retry_window = Duration::from_secs(config.retry_window_seconds);
        let (intake, thread) =
            Intake::start(writer, ledger.clone(), clock, config.retention(), retry_window)?;
        intake.remember(stored);
        let (stop, stopping) = watch::channel(false);
        let budget = Budget::new(bytes(config.in_flight_bytes_max));
        let receivers = Arc::new(Receivers {
            intake,
            quotas: Quotas::new(budget.clone(), config.tenant_limits()),
            budget,
            request_bytes_max: AtomicUsize::new(bytes(config.request_bytes_max)),
            connections_max: AtomicU64::new(config.connections_max.into()),
            stats: Arc::new(Stats::default()),
            room: OnceLock::new(),
            stopping: stopping.clone(),
        });
        let sockets = [(listeners.otlp_grpc, Port::Grpc), (listeners.otlp_http, Port::Http)];
        let ports = sockets.map(|(listener, port)| {
            tokio::spawn(serve(listener, port, Arc::clone(&receivers), stopping.clone()))
        });
        Ok(Collector { receivers, ledger, stop, ports: ports.into(), intake: thread })
    }

    /// Takes the limits of `config` from now on: bytes in flight, of a request, of a tenant, and connections. What
    /// is over a lower limit already is let be until it ends; the other keys take a restart.
    pub fn set_limits(&self, config: &CollectorConfig) {
        let receivers = &self.receivers;
        receivers.budget.set_limit(bytes(config.in_flight_bytes_max));
        receivers.quotas.set_limits(config.tenant_limits());
        receivers.request_bytes_max.store(bytes(config.request_bytes_max), Ordering::Relaxed);
        receivers.connections_max.store(config.connections_max.into(), Ordering::Relaxed);
    }

    /// Refuses requests, with a delay after which to come back, whenever `room` says that there is none beside the
    /// bytes of requests in flight, which become rows. It is asked once per request and must be quick. Only the
    /// first call counts.
    pub fn refuse_without(&self, room: impl Fn(usize) -> Result<(), NoRoom> + Send + Sync + 'static) {
        let _ = self.receivers.room.set(Box::new(room));
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

    /// Stops: no new connections, then GOAWAY and the requests in flight, then the last group. Whatever is
    /// not done after `deadline` is cut off, connections a fifth of it earlier, so that a peer that does not leave takes
    /// no time from the last group; what was answered is durable in any case.
    ///
    /// Cancel: connections are no longer accepted; the rest goes on by itself.
    pub async fn stop(self, deadline: Duration) -> StopReport {
        let now = Instant::now();
        let (connections_deadline, deadline) = (now + deadline * 4 / 5, now + deadline);
        self.stop.send_replace(true);
        let mut connections_ended = true;
        for mut port in self.ports {
            if tokio::time::timeout_at(connections_deadline, &mut port).await.is_err() {
                port.abort();
                connections_ended = false;
            }
        }
        let intake_drained = tokio::time::timeout_at(deadline, self.intake.stop()).await.is_ok();
        StopReport { connections_ended, intake_drained }
    }
}

fn bytes(configured: u64) -> usize {
    usize::try_from(configured).unwrap_or(usize::MAX)
}
