//! How long an acknowledgement takes, by how many senders wait for one, and what group commit makes of them.
//!
//! Each row is a fresh server with its defaults under a closed loop, a connection per sender. The counts of
//! groups, syncs and bytes are the server's; what reached the disk is the kernel's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::load::{self, Outcome, Sending};
use crate::measure::start_fresh;
use crate::payload::{self, Compression, Protocol, Shape, Signal};
use crate::process;
use crate::report::{self, acknowledgements};
use crate::server::{Metrics, Place};

/// The server's default: rows go to files as they do for its users.
const FLUSH_AGE: Duration = Duration::from_secs(60);

/// A number of senders and what they send; the requests take some seconds each.
#[derive(Debug, Clone, Copy)]
struct Case {
    in_flight: usize,
    spans: usize,
    requests: usize,
}

/// 5 spans a request is what Envoy exports, 1,000 what a gateway does.
const CASES: [Case; 5] = [
    Case { in_flight: 1, spans: 5, requests: 5_000 },
    Case { in_flight: 16, spans: 5, requests: 40_000 },
    Case { in_flight: 256, spans: 5, requests: 100_000 },
    Case { in_flight: 1, spans: 1_000, requests: 500 },
    Case { in_flight: 8, spans: 1_000, requests: 1_000 },
];

struct Measured {
    case: Case,
    outcome: Outcome,
    cpu: Duration,
    before: Metrics,
    after: Metrics,
    disk_bytes: u64,
}

/// Measures every case and writes the page.
///
/// # Errors
/// When a server cannot be started, asked or stopped.
pub async fn page(place: &Place) -> anyhow::Result<String> {
    let mut measured = Vec::new();
    for case in CASES {
        measured.push(measure(place, case).await?);
    }
    let rows: Vec<_> = measured.iter().map(row).collect();
    let columns = [
        "in flight",
        "spans a request",
        "requests/s",
        "spans/s",
        "ack p50 / p99 ms",
        "requests a group",
        "fdatasyncs/s",
        "ms each",
        "MB/s into the WAL",
        "MB/s to disk in all",
        "CPU s per million spans",
        "sent again",
        "errors",
    ];
    let per_second = |m: &Measured| m.outcome.requests as f64 / m.outcome.elapsed.as_secs_f64();
    let ratio = per_second(&measured[2]) / per_second(&measured[0]);
    Ok(format!(
        "# Acknowledgements\n\n\
         Every acknowledgement waits for an fdatasync. Closed loop over OTLP/gRPC, a connection per sender, a fresh server with\n\
         its defaults for each row. \"To disk in all\" is what the kernel wrote for the server: WAL, tables, file system.\n\n\
         {}{}\n{} small senders together have {ratio:.1} times the throughput of one.\n",
        report::head(),
        report::table(&columns, &rows),
        CASES[2].in_flight,
    ))
}

async fn measure(place: &Place, case: Case) -> anyhow::Result<Measured> {
    let directory = place.fresh_directory()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let shape = Shape {
        signal: Signal::Traces,
        requests: case.requests,
        records_per_request: case.spans,
        protocol: Protocol::Grpc,
        compression: Compression::None,
        seed: 42,
        now: u64::try_from(now.as_nanos()).context("the clock stands after 2554")?,
    };
    let payloads = payload::payloads(&shape)?;
    let server = start_fresh(place, directory.path(), FLUSH_AGE).await?;
    let sending =
        Sending { address: server.otlp_grpc.clone(), connections: case.in_flight, in_flight: case.in_flight };
    let before = server.metrics().await?;
    let (cpu, written) = (process::cpu_time(server.pid())?, process::written_bytes(server.pid())?);
    let outcome = load::send(&sending, &shape, payloads).await?;
    let measured = Measured {
        case,
        outcome,
        cpu: process::cpu_time(server.pid())?.saturating_sub(cpu),
        before,
        after: server.metrics().await?,
        disk_bytes: process::written_bytes(server.pid())?.saturating_sub(written),
    };
    server.stop().await?;
    Ok(measured)
}

fn row(measured: &Measured) -> Vec<String> {
    let Measured { case, outcome, cpu, before, after, disk_bytes } = measured;
    let grown = |name: &str| after.value(name) - before.value(name);
    let seconds = outcome.elapsed.as_secs_f64();
    let syncs = grown("meshlake_wal_fdatasync_seconds_count");
    let one = |value: f64| format!("{value:.1}");
    vec![
        case.in_flight.to_string(),
        case.spans.to_string(),
        format!("{:.0}", outcome.requests as f64 / seconds),
        format!("{:.0}", outcome.records_per_second()),
        acknowledgements(outcome),
        one(outcome.requests as f64 / grown("meshlake_wal_groups_total")),
        format!("{:.0}", syncs / seconds),
        format!("{:.2}", grown("meshlake_wal_fdatasync_seconds_sum") * 1e3 / syncs),
        one(grown("meshlake_wal_written_bytes_total") / 1e6 / seconds),
        one(*disk_bytes as f64 / 1e6 / seconds),
        one(cpu.as_secs_f64() * 1e6 / outcome.accepted.max(1) as f64),
        outcome.retries.to_string(),
        outcome.errors.to_string(),
    ]
}
