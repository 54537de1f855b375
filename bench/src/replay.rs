//! How long a start takes after a crash that left a long log: until it is ready, and how much memory.
//!
//! The log is made of a load that a server took and never flushed, then grown (see `wal`). Before the start the
//! log is dropped from the kernel's cache, as after a power cut. The server has its defaults.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::load::{self, Sending};
use crate::payload::{Compression, Protocol, Shape, Signal};
use crate::process;
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, Server};
use crate::wal;

/// Spans that the log is made of, some 160 MB in it: longer than what a server flushes at a time.
const SPANS: usize = 500_000;
const SPANS_PER_REQUEST: usize = 1_000;
/// Large enough that the server which makes the log never flushes.
const BUFFER_BYTES: u64 = 4 << 30;
const FLUSH_AGE_SECONDS: u64 = 86_400;
const GIBIBYTE: f64 = (1u64 << 30) as f64;
const START_TIME_MAX: Duration = Duration::from_secs(30);
const REPLAY_TIME_MAX: Duration = Duration::from_secs(1_800);

const TITLE: &str = "# A start on a long write-ahead log\n\n\
    Release binary with its defaults; the log is not in the kernel's cache. Ready is when `/readyz` says so: every\n\
    record is read by then, and all but the last buffer is in files.\n\n";

/// How long a log.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Length of the log, GiB.
    #[arg(long, default_value_t = 10.0)]
    gib: f64,
}

/// Makes the log, starts a server on it, and writes the page.
///
/// # Errors
/// When a server cannot be started, or what it holds after the start is not what the log held.
pub async fn page(place: &Place, args: &ReplayArgs) -> anyhow::Result<String> {
    let directory = place.fresh_directory()?;
    let taken_bytes = fill(place, directory.path()).await?;
    let wanted_bytes = (args.gib * GIBIBYTE) as u64;
    let grown = wal::grow(directory.path(), wanted_bytes.saturating_sub(taken_bytes))?;
    let log_bytes = (taken_bytes + grown.bytes) as f64;
    drop_from_cache(&directory.path().join("wal/0"))?;
    let server = Server::start(place, directory.path(), &[], REPLAY_TIME_MAX).await?;
    let cpu = process::cpu_time(server.pid())?;
    let memory = process::peak_memory(server.pid())?;
    let metrics = server.metrics().await?;
    let counted = server.sql("SELECT count(*) FROM spans").await?;
    let counted = counted.first().and_then(|row| row[0].as_u64()).context("read the count of spans")?;
    let ready_after = server.ready_after;
    server.stop().await?;
    let columns = [
        "log GiB",
        "records",
        "spans",
        "ready after s",
        "CPU s",
        "peak RSS MiB",
        "MB/s",
        "rows written to files meanwhile",
        "spans there afterwards",
    ];
    let row = vec![
        format!("{:.2}", log_bytes / GIBIBYTE),
        grown.records.to_string(),
        grown.spans.to_string(),
        format!("{:.1}", ready_after.as_secs_f64()),
        format!("{:.1}", cpu.as_secs_f64()),
        format!("{:.0}", memory as f64 / MEBIBYTE),
        format!("{:.0}", log_bytes / 1e6 / ready_after.as_secs_f64()),
        format!("{:.0}", metrics.value("meshlake_flushed_rows_total")),
        counted.to_string(),
    ];
    ensure!(counted == grown.spans, "the log held {} spans, the server has {counted}", grown.spans);
    Ok(format!("{TITLE}{}{}", report::head(), report::table(&columns, &[row])))
}

/// Leaves a log of [`SPANS`] spans in the directory, and nothing in files; says how many bytes it has.
async fn fill(place: &Place, directory: &Path) -> anyhow::Result<u64> {
    let settings = [
        ("MESHLAKE_STORE__BUFFER_BYTES_MAX", BUFFER_BYTES.to_string()),
        ("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", FLUSH_AGE_SECONDS.to_string()),
    ];
    let server = Server::start(place, directory, &settings, START_TIME_MAX).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let shape = Shape {
        signal: Signal::Traces,
        requests: SPANS / SPANS_PER_REQUEST,
        records_per_request: SPANS_PER_REQUEST,
        protocol: Protocol::Grpc,
        compression: Compression::None,
        seed: 42,
        now: u64::try_from(now.as_nanos()).context("the clock stands after 2554")?,
    };
    let sending = Sending { address: server.otlp_grpc.clone(), connections: 4, in_flight: 8 };
    let outcome = load::send_in_parts(&sending, &shape).await?;
    ensure!(outcome.accepted == SPANS as u64, "only {} of {SPANS} spans were accepted", outcome.accepted);
    let bytes = server.metrics().await?.value("meshlake_wal_written_bytes_total");
    // A stop leaves what is buffered in the log, as a crash would.
    server.stop().await?;
    Ok(bytes as u64)
}

/// Makes the kernel forget its copies of the files: `dd` asks for nothing but that.
fn drop_from_cache(directory: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry.with_context(|| format!("list {}", directory.display()))?.path();
        let input = format!("if={}", path.display());
        let asked = Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]).status();
        ensure!(asked.context("run dd")?.success(), "dd cannot read {}", path.display());
    }
    Ok(())
}
