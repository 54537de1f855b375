//! Many times more than the server can take, for long, while it may not have more memory than it should need.
//!
//! First a usual load tells what the server takes, then so many times as much is offered, at a steady rate and
//! whatever is refused: a sender that is told to come back goes on with its next request. The requests are a
//! few, sent again and again, so the server is told to store repeats.
//!
//! Limit: no more is offered than the generator can send. The page tells what was really offered.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;

use crate::cgroup::Cgroup;
use crate::client::{Answer, Connection};
use crate::load::{self, Sending};
use crate::payload::{Maker, Protocol, Shape};
use crate::process;
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, Server};

/// Different requests: 160 MB at a thousand spans each.
const BODIES: usize = 200;
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// Statuses of requests that were stored, or refused because there was no room.
const ANSWERED: [&str; 6] = ["ok", "partial", "repeat", "overloaded", "store_full", "over_quota"];

/// How much, and for how long.
#[derive(Debug, Clone, Args)]
pub struct OverloadArgs {
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["grpc", "http/protobuf"])]
    protocols: Vec<Protocol>,
    /// Seconds of overload, for each protocol.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many times of what the server takes is offered.
    #[arg(long, default_value_t = 10.0)]
    factor: f64,
    /// The most memory that the server may use, MiB: above it the kernel kills it.
    #[arg(long, default_value_t = 1_024)]
    memory_mib: u64,
    /// Requests in flight at most. More than fill its budget of 192 MiB, or nothing is refused.
    #[arg(long, default_value_t = 512)]
    senders: usize,
    /// Connections that they share, where the protocol lets them; a server allows 100 on one.
    #[arg(long, default_value_t = 16)]
    shared: usize,
}

/// What came of an overload.
#[derive(Debug, Default)]
struct Offered {
    acked: u64,
    records: u64,
    refused: u64,
    failed: u64,
    /// How often each was the reason.
    reasons: BTreeMap<String, u64>,
}

/// Overloads a fresh server by each protocol and writes the page.
///
/// # Errors
/// When there are no control groups, or the server cannot be started, asked or stopped.
pub async fn page(
    place: &Place,
    args: &OverloadArgs,
    sending: &Sending,
    shape: &Shape,
) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    let mut answers = String::new();
    for protocol in &args.protocols {
        let shape = Shape { protocol: *protocol, ..shape.clone() };
        let (row, counted) = overload(place, args, sending, &shape).await?;
        rows.push(row);
        answers.push_str(&format!("\n{}: {counted}.\n", protocol.name()));
    }
    let columns = [
        "protocol",
        "seconds",
        "requests/s it takes",
        "offered/s",
        "times that",
        "acknowledged",
        "refused",
        "failed",
        "records/s",
        "killed",
        "acknowledged of admitted",
        "accepted by the ledger : acknowledged",
        "peak RSS MiB",
        "budget MiB",
    ];
    Ok(format!(
        "# Overload\n\n\
         The server is alone in a memory cgroup of {} MiB, at which the kernel kills it, and has its defaults, but stores\n\
         repeats. Admitted is what it stored, by its ledger, and what it failed at without having refused it; acknowledged is\n\
         what the senders heard of. The budget is that of rows not in files and of requests on their way there.\n\n\
         {}Load: {BODIES} requests of {} {}s in turn, {}; {} in flight at most, over {} connections of gRPC or one of HTTP/1.1\n\
         each.\n\n{}{answers}",
        args.memory_mib,
        report::head(),
        shape.records_per_request,
        shape.signal.record(),
        shape.compression.name(),
        args.senders,
        args.shared,
        report::table(&columns, &rows),
    ))
}

async fn overload(
    place: &Place,
    args: &OverloadArgs,
    sending: &Sending,
    shape: &Shape,
) -> anyhow::Result<(Vec<String>, String)> {
    let directory = place.fresh_directory()?;
    let cgroup = Cgroup::make(args.memory_mib << 20)?;
    let launcher = directory.path().join("launcher");
    cgroup.launcher(&place.binary, &launcher)?;
    let limited = Place { binary: launcher, ..place.clone() };
    let settings = [("MESHLAKE_COLLECTOR__RETRY_WINDOW_SECONDS", "0".to_owned())];
    let server = Server::start(&limited, &directory.path().join("data"), &settings, START_TIME_MAX).await?;

    let address = server.address(shape.protocol).to_owned();
    let usual = load::send_in_parts(&Sending { address: address.clone(), ..sending.clone() }, shape).await?;
    let takes = usual.requests as f64 / usual.elapsed.as_secs_f64();
    let bodies = Maker::new(shape)?.take(BODIES)?.bodies;
    let sending = Sending { address, connections: args.shared, in_flight: args.senders };
    let time = Duration::from_secs(args.seconds);
    let offered = offer(&sending, shape, bodies, takes * args.factor, time).await?;
    let (kills, seconds) = (cgroup.kills()?, time.as_secs_f64());
    let requests = offered.acked + offered.refused + offered.failed;
    let mut row = vec![
        shape.protocol.name().to_owned(),
        args.seconds.to_string(),
        format!("{takes:.0}"),
        format!("{:.0}", requests as f64 / seconds),
        format!("{:.1}", requests as f64 / seconds / takes),
        offered.acked.to_string(),
        offered.refused.to_string(),
        offered.failed.to_string(),
        format!("{:.0}", offered.records as f64 / seconds),
        kills.to_string(),
    ];
    let failures = format!("failures as the senders saw them: {}", listed(&offered.reasons));
    if kills > 0 {
        // Nobody is left to ask.
        row.extend(["-"; 4].map(str::to_owned));
        return Ok((row, failures));
    }
    let metrics = server.metrics().await?;
    let (accepted, _) = server.ledger(shape.signal.name()).await?;
    // The usual load included.
    let mut statuses = metrics.by_label("meshlake_exports_total", "status");
    let failed: f64 =
        statuses.iter().filter(|(status, _)| !ANSWERED.contains(&status.as_str())).map(|(_, n)| n).sum();
    let acked = usual.accepted + offered.records;
    let admitted = accepted as f64 + failed * shape.records_per_request as f64;
    let budget = metrics.value("meshlake_buffer_bytes_max");
    row.push(format!("{:.2} %", acked as f64 * 100.0 / admitted));
    row.push(format!("{accepted} : {acked}"));
    row.push(format!("{:.0}", process::peak_memory(server.pid())? as f64 / MEBIBYTE));
    row.push(format!("{:.0}", budget / MEBIBYTE));
    server.stop().await?;
    statuses.insert(
        "connections refused".to_owned(),
        metrics.by_label("meshlake_connections_refused_total", "listener").values().sum(),
    );
    Ok((row, format!("answers as the server counts them: {}; {failures}", listed(&statuses))))
}

fn listed<N: Display>(counts: &BTreeMap<String, N>) -> String {
    let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

/// Sends the bodies in turn at a rate, whatever becomes of them, as far as senders are free.
async fn offer(
    sending: &Sending,
    shape: &Shape,
    bodies: Vec<Bytes>,
    requests_per_second: f64,
    time: Duration,
) -> anyhow::Result<Offered> {
    let mut connections = Vec::new();
    for _ in 0..sending.connections.max(1) {
        connections.push(Connection::open(&sending.address, shape).await?);
    }
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicU64::new(0)));
    let (begin, records) = (Instant::now(), shape.records_per_request as u64);
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..sending.in_flight.max(1) {
        let mut connection = connections[n % connections.len()].shared();
        let (bodies, next) = (Arc::clone(&bodies), Arc::clone(&next));
        senders.spawn(async move {
            let mut offered = Offered::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = Duration::from_secs_f64(number as f64 / requests_per_second);
                tokio::time::sleep_until((begin + due.min(time)).into()).await;
                if begin.elapsed() >= time {
                    return offered;
                }
                let body = bodies[number as usize % bodies.len()].clone();
                offered.count(connection.call(body).await, records);
            }
        });
    }
    let mut total = Offered::default();
    while let Some(offered) = senders.join_next().await {
        total.merge(offered.context("join a sender")?);
    }
    Ok(total)
}

impl Offered {
    fn count(&mut self, answer: Answer, records: u64) {
        match answer {
            Answer::Accepted { rejected } => {
                self.acked += 1;
                self.records += records.saturating_sub(rejected);
            }
            Answer::Unavailable(_) => self.refused += 1,
            Answer::Failed(why) => {
                self.failed += 1;
                *self.reasons.entry(why).or_default() += 1;
            }
        }
    }

    fn merge(&mut self, other: Offered) {
        self.acked += other.acked;
        self.records += other.records;
        self.refused += other.refused;
        self.failed += other.failed;
        for (why, count) in other.reasons {
            *self.reasons.entry(why).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_what_they_mean() {
        let mut offered = Offered::default();
        offered.count(Answer::Accepted { rejected: 1 }, 10);
        offered.count(Answer::Unavailable("busy".to_owned()), 10);
        let mut other = Offered::default();
        other.count(Answer::Failed("reset".to_owned()), 10);
        offered.merge(other);
        assert_eq!((offered.acked, offered.records), (1, 9));
        assert_eq!((offered.refused, offered.failed), (1, 1));
        assert_eq!(offered.reasons, BTreeMap::from([("reset".to_owned(), 1)]));
    }

    #[tokio::test]
    async fn no_more_is_offered_than_the_rate_for_the_time() {
        // Nothing listens, so that each call fails at once: 200 a second for half a second are 100.
        let shape = Shape {
            signal: crate::payload::Signal::Traces,
            requests: 1,
            records_per_request: 1,
            protocol: Protocol::HttpProtobuf,
            compression: crate::payload::Compression::None,
            seed: 1,
            now: 0,
        };
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr();
        let address = nobody.expect("bound").to_string();
        let sending = Sending { address, connections: 1, in_flight: 4 };
        let body = vec![Bytes::from_static(b"x")];
        let offered =
            offer(&sending, &shape, body, 200.0, Duration::from_millis(500)).await.expect("counted");
        assert_eq!((offered.acked, offered.refused), (0, 0));
        assert!((1..=100).contains(&offered.failed), "{}", offered.failed);
    }
}
