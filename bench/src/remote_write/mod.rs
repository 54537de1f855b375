//! What remote write costs: samples per second and per second of CPU, durable, in the messages of 1.0 and 2.0.
//!
//! The load is what a Prometheus sends that scrapes nodes: series of eleven labels, one sample each a request, 2,000
//! series a request, scrape after scrape. Each row is a fresh server with its defaults under a closed loop. Messages are
//! encoded by structs of their own, before the clock starts.

pub mod sending;
pub mod messages;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;

use crate::measure::start_fresh;
use crate::process;
use crate::prometheus::{Kind, Prometheus};
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, get};
use messages::{Load, SAMPLES_PER_REQUEST, Version, bodies_of};
use sending::send;

/// The server's default: rows go to files as they do for its users.
const FLUSH_AGE: Duration = Duration::from_secs(60);

/// Between two scrapes, in milliseconds: Prometheus's default.
const SCRAPE_INTERVAL: i64 = 15_000;

/// How much is sent.
#[derive(Debug, Clone, Args)]
pub struct RemoteWriteArgs {
    #[arg(long, default_value_t = 20_000)]
    series: usize,
    #[arg(long, default_value_t = 100)]
    scrapes: usize,
    #[arg(long, default_value_t = SAMPLES_PER_REQUEST)]
    samples_per_request: usize,
    /// Connections, each with one request in flight, as Prometheus's shards.
    #[arg(long, default_value_t = 4)]
    shards: usize,
    /// The binary of a Prometheus that is sent the same; without one, only meshlake is.
    #[arg(long)]
    prometheus: Option<PathBuf>,
}

struct Measured {
    who: &'static str,
    version: Version,
    samples: u64,
    body_bytes: u64,
    elapsed: Duration,
    cpu: Duration,
    peak_memory: u64,
    /// Bytes of the log, and samples that are counted as taken.
    wal_bytes: f64,
    accepted: u64,
}

/// Measures both messages and writes the page.
///
/// # Errors
/// When a server cannot be started, asked or stopped, or refuses a request.
pub async fn page(place: &Place, args: &RemoteWriteArgs) -> anyhow::Result<String> {
    ensure!(args.series > 0 && args.samples_per_request > 0 && args.shards > 0, "nothing to send");
    let mut rows = Vec::new();
    for version in [Version::One, Version::Two] {
        rows.push(row(&measure(place, args, version).await?));
    }
    for version in [Version::One, Version::Two] {
        if let Some(program) = &args.prometheus {
            rows.push(row(&measure_prometheus(place, args, version, program).await?));
        }
    }
    let columns = [
        "receiver",
        "message",
        "samples/s",
        "samples per CPU second",
        "bytes a sample as sent",
        "bytes a sample in the WAL",
        "peak RSS MiB",
        "counted by the receiver",
    ];
    Ok(format!(
        "# Remote write\n\n\
         {} series of 11 labels, {} scrapes, requests of {} samples packed with Snappy, {} connections with one request in flight\n\
         each. Every answer of meshlake waits for an fdatasync; a Prometheus answers when its log is written, not synced.\n\n{}{}",
        args.series,
        args.scrapes,
        args.samples_per_request,
        args.shards,
        report::head(),
        report::table(&columns, &rows),
    ))
}

fn row(measured: &Measured) -> Vec<String> {
    let samples = measured.samples as f64;
    let per = |value: f64, unit: f64| format!("{:.0}", value / unit.max(f64::MIN_POSITIVE));
    vec![
        measured.who.to_owned(),
        format!("{:?}", measured.version),
        per(samples, measured.elapsed.as_secs_f64()),
        per(samples, measured.cpu.as_secs_f64()),
        format!("{:.1}", measured.body_bytes as f64 / samples),
        format!("{:.1}", measured.wal_bytes / samples),
        per(measured.peak_memory as f64, MEBIBYTE),
        format!("{} of {}", measured.accepted, measured.samples),
    ]
}

async fn measure(place: &Place, args: &RemoteWriteArgs, version: Version) -> anyhow::Result<Measured> {
    let directory = place.fresh_directory()?;
    let server = start_fresh(place, directory.path(), FLUSH_AGE).await?;
    let address = server.address(crate::payload::Protocol::HttpProtobuf);
    let mut measured = measure_at(args, version, ("meshlake", address, server.pid())).await?;
    measured.wal_bytes = server.metrics().await?.value("meshlake_wal_written_bytes_total");
    measured.accepted = server.ledger("metrics").await?.0;
    server.stop().await?;
    Ok(measured)
}

/// Of what it says of itself, as of the last whole scrape of it, only how many samples it took is read.
async fn measure_prometheus(
    place: &Place,
    args: &RemoteWriteArgs,
    version: Version,
    program: &Path,
) -> anyhow::Result<Measured> {
    let prometheus = Prometheus::start(place, Kind::Prometheus, program).await?;
    let who = (Kind::Prometheus.name(), prometheus.address(), prometheus.pid());
    let mut measured = measure_at(args, version, who).await?;
    measured.wal_bytes = process::bytes_below(&prometheus.directory().join("data/wal"))? as f64;
    let metrics = get(prometheus.address(), "/metrics").await?;
    measured.accepted = samples_taken(&String::from_utf8_lossy(&metrics)).context("it tells no samples")?;
    Ok(measured)
}

/// Floats that a Prometheus says that it appended, in order or not.
fn samples_taken(metrics: &str) -> Option<u64> {
    let samples = metrics.lines().filter_map(|line| {
        let value = line.strip_prefix("prometheus_tsdb_head_samples_appended_total{type=\"float\"} ")?;
        value.parse::<f64>().ok()
    });
    // Whole numbers far below 2^53.
    samples.reduce(|a, b| a + b).map(|samples| samples as u64)
}

async fn measure_at(
    args: &RemoteWriteArgs,
    version: Version,
    (who, address, pid): (&'static str, &str, u32),
) -> anyhow::Result<Measured> {
    let bodies = bodies(args, version)?;
    let body_bytes = bodies.iter().map(|body| body.len() as u64).sum();
    let cpu = process::cpu_time(pid)?;
    let begin = Instant::now();
    let mut shards = tokio::task::JoinSet::new();
    for shard in 0..args.shards {
        // Requests take turns among the connections.
        let own: Vec<Bytes> = bodies.iter().skip(shard).step_by(args.shards).cloned().collect();
        shards.spawn(send(address.to_owned(), own, version));
    }
    while let Some(sent) = shards.join_next().await {
        sent.context("join a shard")??;
    }
    Ok(Measured {
        who,
        version,
        samples: (args.series * args.scrapes) as u64,
        body_bytes,
        elapsed: begin.elapsed(),
        cpu: process::cpu_time(pid)?.saturating_sub(cpu),
        peak_memory: process::peak_memory(pid)?,
        wal_bytes: 0.0,
        accepted: 0,
    })
}

/// All requests, packed, scrape after scrape; the last one was now.
fn bodies(args: &RemoteWriteArgs, version: Version) -> anyhow::Result<Vec<Bytes>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let until = i64::try_from(now.as_millis()).context("the clock stands after 2554")?;
    let (series, scrapes, interval) = (args.series, args.scrapes, SCRAPE_INTERVAL);
    let load = Load { metric: "node_cpu_seconds_total", series, scrapes, interval, until };
    bodies_of(&load, 0..scrapes, args.samples_per_request, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page as Prometheus 0.316.0 writes it.
    #[test]
    fn samples_that_a_prometheus_took_are_read() {
        let page = "# TYPE prometheus_tsdb_head_samples_appended_total counter\n\
                    prometheus_tsdb_head_samples_appended_total{type=\"float\"} 2e+06\n\
                    prometheus_tsdb_head_samples_appended_total{type=\"histogram\"} 0\n";
        assert_eq!(samples_taken(page), Some(2_000_000));
        assert_eq!(samples_taken("up 1\n"), None);
    }
}
