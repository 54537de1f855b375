//! What the store writes on the page of metrics: its log, its buffer, its tables, its disk, and what maintenance did.
//!
//! The families stand beside the numbers, so that a number more is a line here and none elsewhere.

use meshlake_schema::metrics::Page;

use crate::maintain::{MaintainStats, Maintenance};
use crate::settle::SettleStats;
use crate::space::SpaceStats;
use crate::status::{StoreStats, StoreStatus};
use crate::writer::WriterStats;

impl StoreStatus {
    /// Writes how the store is doing.
    pub fn metrics(&self, page: &mut Page) {
        let stats = self.stats();
        log_metrics(page, &stats.wal);
        table_metrics(page, &stats);
        space_metrics(page, &stats.space);
        settle_metrics(page, &stats.settle);
    }
}

impl Maintenance {
    /// Writes how far the merging that runs is, and what all passes have done.
    pub fn metrics(&self, page: &mut Page) {
        maintain_metrics(page, self);
    }
}

fn log_metrics(page: &mut Page, wal: &WriterStats) {
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
    page.sample("meshlake_wal_fdatasync_seconds_sum", &[], wal.fdatasync_nano as f64 / 1e9);
    page.sample("meshlake_wal_fdatasync_seconds_count", &[], wal.fdatasyncs);
    page.single(
        "meshlake_wal_at_disk_seconds",
        "gauge",
        "How long the group now being written and synced has been at the disk; grows while the disk stalls.",
        wal.at_disk.as_secs_f64(),
    );
}

fn table_metrics(page: &mut Page, stats: &StoreStats) {
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

fn settle_metrics(page: &mut Page, settle: &SettleStats) {
    let gauges = [
        ("settled_minutes", "Minutes of calls whose cells are kept.", settle.minutes_settled as f64),
        (
            "settle_open_minutes",
            "Minutes that are over and whose cells do not say all.",
            settle.minutes_open as f64,
        ),
        (
            "settle_behind_seconds",
            "For how long the oldest minute that was never settled has been due.",
            settle.behind.as_secs_f64(),
        ),
    ];
    for (name, help, value) in gauges {
        page.single(&format!("meshlake_{name}"), "gauge", help, value);
    }
    let counters = [
        ("settle_rounds_total", "Rounds of settling that found something to do.", settle.rounds),
        ("settle_commits_total", "Commits of cells.", settle.commits),
        ("settle_windows_total", "Windows folded into cells.", settle.windows),
        ("settle_windows_anew_total", "Those of them that had been settled before.", settle.windows_anew),
        (
            "settle_cut_windows_total",
            "Windows with so many cells that all but the busiest were summed up as (other).",
            settle.windows_cut,
        ),
        ("settle_cells_total", "Rows of cells that folds made.", settle.cells),
        ("settle_failures_total", "Folds that failed and are tried again.", settle.failures),
    ];
    for (name, help, value) in counters {
        page.single(&format!("meshlake_{name}"), "counter", help, value);
    }
    page.single(
        "meshlake_settle_seconds_total",
        "counter",
        "Time spent settling.",
        settle.nanos as f64 / 1e9,
    );
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Store, StoreConfig};

    /// A family without samples, or samples without their family, are no page.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_family_has_samples_and_every_sample_its_family() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = StoreConfig { data_dir: directory.path().to_owned(), ..StoreConfig::default() };
        let store =
            Store::open(config, Arc::new(meshlake_schema::SystemClock)).await.expect("open the store");
        let mut page = Page::default();
        store.status().metrics(&mut page);
        store.maintenance().metrics(&mut page);
        let page = page.into_text();
        let (mut families, mut family) = (0, "");
        for line in page.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                family = declared.split(' ').next().expect("a name");
                families += 1;
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} below {family}");
            }
        }
        assert!(families > 30, "{families} families in\n{page}");
        store.close().await;
    }
}
