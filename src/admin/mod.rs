//! `/healthz`, `/readyz`, `/metrics` and `/maintain` of this process.
//!
//! They have a listener of their own, so that they answer while the others are overloaded, and so that
//! metrics are not shown to whoever may send data.

mod maintain;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use meshlake_collector::{CollectorStats, StatsHandle};
use meshlake_listen::ListenerStats;
use meshlake_schema::metrics::{MEDIA_TYPE, Page};
use meshlake_store::{MaintainStats, Maintenance, SpaceStats, StoreStats, StoreStatus};

pub use maintain::MaintainStatus;

/// Says whether the process takes exports, to probes of every kind alike.
#[derive(Clone)]
pub struct Readiness {
    /// False from the moment the process is told to stop.
    accepting: Arc<AtomicBool>,
    store: StoreStatus,
}

/// What the handlers read.
#[derive(Clone)]
pub struct AdminState {
    pub readiness: Readiness,
    pub store: StoreStatus,
    pub maintenance: Maintenance,
    pub collector: StatsHandle,
    pub listeners: Vec<ListenerStats>,
}

pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/maintain", get(maintain::status).post(maintain::run))
        .with_state(state)
}

impl Readiness {
    pub fn new(accepting: Arc<AtomicBool>, store: StoreStatus) -> Readiness {
        Readiness { accepting, store }
    }

    /// # Errors
    /// Why no exports are taken.
    pub fn check(&self) -> Result<(), String> {
        if !self.accepting.load(Ordering::Acquire) {
            return Err("stopping".to_owned());
        }
        if !self.store.is_ready() {
            return Err("the write-ahead log has given up after disk errors".to_owned());
        }
        match self.store.space() {
            space if space.has_room => Ok(()),
            SpaceStats { free_bytes, free_bytes_resume, .. } => Err(format!(
                "the disk is full: {free_bytes} bytes are free, rows are taken again at {free_bytes_resume}"
            )),
        }
    }
}

async fn ready(State(state): State<AdminState>) -> (StatusCode, String) {
    match state.readiness.check() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(state): State<AdminState>) -> Response {
    let mut page = Page::default();
    collector_metrics(&mut page, &state.collector.read());
    let store = state.store.stats();
    store_metrics(&mut page, &store);
    space_metrics(&mut page, &store.space);
    maintain_metrics(&mut page, &state.maintenance);
    meshlake_listen::metrics(&state.listeners, &mut page);
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], page.into_text()).into_response()
}

fn collector_metrics(page: &mut Page, stats: &CollectorStats) {
    page.family("meshlake_requests_total", "counter", "Requests answered, by receiver, signal and status.");
    for (labels, count) in &stats.requests.requests {
        let labels = [("receiver", labels.receiver), ("signal", labels.signal), ("status", labels.status)];
        page.sample("meshlake_requests_total", &labels, count);
    }
    page.family(
        "meshlake_records_total",
        "counter",
        "Records by what became of them; the ledger has them for ever.",
    );
    for totals in &stats.records {
        let (signal, source) = (("signal", totals.signal.name()), ("source", totals.source));
        let tally = &totals.tally;
        let events = [
            ("received", tally.received),
            ("accepted", tally.accepted),
            ("deduplicated", tally.deduplicated),
        ];
        for (event, count) in events {
            page.sample("meshlake_records_total", &[signal, source, ("event", event)], count);
        }
        for (reason, count) in &tally.rejected {
            let labels = [signal, source, ("event", "rejected"), ("reason", reason.name())];
            page.sample("meshlake_records_total", &labels, count);
        }
    }
    page.family("meshlake_warnings_total", "counter", "What was cut, mended or odd in accepted records.");
    for totals in &stats.records {
        let (signal, source) = (("signal", totals.signal.name()), ("source", totals.source));
        for (warning, times) in totals.tally.warnings.given() {
            page.sample("meshlake_warnings_total", &[signal, source, ("warning", warning.name())], times);
        }
    }
    page.single(
        "meshlake_wire_bytes_total",
        "counter",
        "Bytes of requests as sent.",
        stats.requests.wire_bytes,
    );
    page.single(
        "meshlake_payload_bytes_total",
        "counter",
        "Bytes of requests, inflated.",
        stats.requests.payload_bytes,
    );
    page.single("meshlake_in_flight_bytes", "gauge", "Bytes of requests in memory.", stats.in_flight_bytes);
    page.single("meshlake_in_flight_bytes_max", "gauge", "Their budget.", stats.in_flight_bytes_max);
}

fn store_metrics(page: &mut Page, stats: &StoreStats) {
    let wal = &stats.wal;
    page.single("meshlake_wal_bytes", "gauge", "Bytes of WAL segments.", wal.wal.bytes);
    page.single("meshlake_wal_segments", "gauge", "WAL segments.", wal.wal.segments);
    page.single("meshlake_wal_last_durable_lsn", "gauge", "Last durable record.", wal.wal.last_durable_lsn);
    page.single("meshlake_wal_groups_total", "counter", "Groups made durable.", wal.groups);
    page.single(
        "meshlake_wal_groups_failed_total",
        "counter",
        "Groups refused by the disk.",
        wal.groups_failed,
    );
    page.single("meshlake_wal_written_bytes_total", "counter", "Bytes of durable records.", wal.bytes);
    page.family("meshlake_wal_fdatasync_seconds", "summary", "Time of fdatasync calls.");
    for quantile in [0.5, 0.99] {
        if let Some(nanos) = wal.fdatasync.quantile(quantile) {
            let label = quantile.to_string();
            page.sample("meshlake_wal_fdatasync_seconds", &[("quantile", &label)], nanos / 1e9);
        }
    }
    page.sample("meshlake_wal_fdatasync_seconds_sum", &[], wal.fdatasync.sum_nano() / 1e9);
    page.sample("meshlake_wal_fdatasync_seconds_count", &[], wal.fdatasyncs);
    page.single(
        "meshlake_wal_at_disk_seconds",
        "gauge",
        "How long the group now being written and synced has been at the disk; grows while the disk stalls.",
        wal.at_disk.as_secs_f64(),
    );
    page.single("meshlake_buffer_bytes", "gauge", "Memory of rows not yet in files.", stats.buffer_bytes);
    page.single("meshlake_buffer_bytes_max", "gauge", "Its budget.", stats.buffer_bytes_max);
    page.single("meshlake_commits_total", "counter", "Delta commits.", stats.flush.commits);
    page.single(
        "meshlake_flush_failures_total",
        "counter",
        "Flushes that failed and are retried.",
        stats.flush.failures,
    );
    page.single("meshlake_flushed_rows_total", "counter", "Rows written to files.", stats.flush.rows);
    page.single("meshlake_flushed_bytes_total", "counter", "Bytes of files written.", stats.flush.file_bytes);
    page.single(
        "meshlake_flush_seconds_total",
        "counter",
        "Time spent flushing.",
        stats.flush.nanos as f64 / 1e9,
    );
    page.family("meshlake_buffered_rows", "gauge", "Rows not yet in files, by table.");
    for table in &stats.tables {
        page.sample("meshlake_buffered_rows", &[("table", table.table.name())], table.buffered_rows);
    }
    page.family("meshlake_table_files", "gauge", "Parquet files, by table.");
    for table in &stats.tables {
        page.sample("meshlake_table_files", &[("table", table.table.name())], table.files);
    }
}

fn maintain_metrics(page: &mut Page, maintenance: &Maintenance) {
    let progress = maintenance.progress();
    page.single(
        "meshlake_merge_rows",
        "gauge",
        "Rows of the round of merges that runs.",
        progress.rows_total,
    );
    page.single("meshlake_merge_rows_done", "gauge", "Those that are merged.", progress.rows_done);
    let stats: MaintainStats = maintenance.stats();
    let counters = [
        ("merges_total", "Merges of files committed.", stats.merges),
        ("merge_failures_total", "Merges that failed; their files are as they were.", stats.failures),
        ("merged_files_total", "Files merged away.", stats.files_in),
        ("merged_rows_total", "Rows rewritten by merges.", stats.rows),
        ("merge_read_bytes_total", "Bytes of files merged away.", stats.bytes_in),
        ("merge_written_bytes_total", "Bytes of files that merges made.", stats.bytes_out),
        ("expired_rows_total", "Rows dropped for their age.", stats.rows_expired),
        ("deleted_files_total", "Unused files deleted.", stats.files_deleted),
        ("deleted_bytes_total", "Their bytes.", stats.bytes_deleted),
    ];
    for (name, help, value) in counters {
        page.single(&format!("meshlake_{name}"), "counter", help, value);
    }
    page.single("meshlake_merge_seconds_total", "counter", "Time spent merging.", stats.nanos as f64 / 1e9);
}

fn space_metrics(page: &mut Page, space: &SpaceStats) {
    page.single(
        "meshlake_disk_free_bytes",
        "gauge",
        "Free bytes of the data directory's disk.",
        space.free_bytes,
    );
    page.single(
        "meshlake_disk_free_bytes_min",
        "gauge",
        "Rows are refused at it and below.",
        space.free_bytes_min,
    );
    let resume = space.free_bytes_resume;
    page.single("meshlake_disk_free_bytes_resume", "gauge", "Then rows are taken again at it.", resume);
    page.single(
        "meshlake_disk_has_room",
        "gauge",
        "1 when rows are taken, else 0.",
        u8::from(space.has_room),
    );
    page.single("meshlake_disk_full_total", "counter", "How often room ran out.", space.times_full);
    let reserve = space.reserve_bytes;
    page.single(
        "meshlake_disk_reserve_bytes",
        "gauge",
        "Bytes of the reserve file, 0 while given up.",
        reserve,
    );
}
