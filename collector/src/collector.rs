//! Starts the parts of the collector in the order of dependence and stops them in the reverse.
//!
//! Sockets are bound by the caller before anything starts, so that a taken port ends the process before it
//! has taken in a single request.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use meshlake_schema::Clock;
use meshlake_store::Writer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

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
    /// # Errors
    /// When the intake thread cannot be started.
    pub fn start(
        config: &CollectorConfig,
        listeners: Listeners,
        writer: Writer,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Collector> {
        let ledger = LedgerView::default();
        let (intake, thread) = Intake::start(writer, ledger.clone(), clock, config.retention())?;
        let (stop, stopping) = watch::channel(false);
        let receivers = Arc::new(Receivers {
            intake,
            budget: Budget::new(bytes(config.in_flight_bytes_max)),
            request_bytes_max: bytes(config.request_bytes_max),
            stats: Arc::new(Stats::default()),
            room: OnceLock::new(),
            stopping: stopping.clone(),
        });
        let connections_max = usize::try_from(config.connections_max).unwrap_or(usize::MAX);
        let room = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        let sockets = [(listeners.otlp_grpc, Port::Grpc), (listeners.otlp_http, Port::Http)];
        let ports = sockets.map(|(listener, port)| {
            tokio::spawn(serve(listener, port, Arc::clone(&receivers), Arc::clone(&room), stopping.clone()))
        });
        Ok(Collector { receivers, ledger, stop, ports: ports.into(), intake: thread })
    }

    /// Refuses requests, with a delay after which to come back, whenever `room` says that there is none. It
    /// is asked once per request and must be quick. Only the first call counts.
    pub fn refuse_without(&self, room: impl Fn() -> Result<(), NoRoom> + Send + Sync + 'static) {
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
    /// not done after `deadline` is cut off; what was answered is durable in any case.
    ///
    /// Cancel: connections are no longer accepted; the rest goes on by itself.
    pub async fn stop(self, deadline: Duration) -> StopReport {
        let deadline = Instant::now() + deadline;
        self.stop.send_replace(true);
        let mut connections_ended = true;
        for mut port in self.ports {
            if tokio::time::timeout_at(deadline, &mut port).await.is_err() {
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
