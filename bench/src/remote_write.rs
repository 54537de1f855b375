//! What remote write costs: samples per second and per second of CPU, durable, in the messages of 1.0 and 2.0.
//!
//! The load is what a Prometheus sends that scrapes nodes: series of eleven labels, one sample each a request, 2,000
//! series a request, scrape after scrape. Each row is a fresh server with its defaults under a closed loop. Messages are
//! encoded by structs of their own, before the clock starts.

use std::ops::Range;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;

use crate::measure::start_fresh;
use crate::process;
use crate::report::{self, MEBIBYTE};
use crate::server::Place;

/// The server's default: rows go to files as they do for its users.
const FLUSH_AGE: Duration = Duration::from_secs(60);

/// Between two scrapes, in milliseconds: Prometheus's default.
const SCRAPE_INTERVAL: i64 = 15_000;

/// Prometheus's default.
const SAMPLES_PER_REQUEST: usize = 2_000;

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
}

/// Scrapes of series, the last of them at `until`; milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub metric: &'static str,
    pub series: usize,
    pub scrapes: usize,
    pub interval: i64,
    pub until: i64,
}

/// Sends a load to the receiver of remote write at `address`, 2,000 samples a request over one connection. Requests are made as
/// they are sent.
///
/// # Errors
/// When a request is refused.
pub async fn send_all(address: &str, load: &Load) -> anyhow::Result<()> {
    for scrape in 0..load.scrapes {
        let bodies = bodies_of(load, scrape..scrape + 1, SAMPLES_PER_REQUEST, Version::One)?;
        send(address.to_owned(), bodies, Version::One).await?;
    }
    Ok(())
}

/// Before a request that was refused for want of room is sent once more.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
enum Version {
    One,
    Two,
}

#[derive(Clone, PartialEq, Message)]
pub struct Request1 {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<Series1>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Series1 {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Request2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<Series2>,
}

#[derive(Clone, PartialEq, Message)]
struct Series2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    metric_type: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
}

struct Measured {
    samples: u64,
    body_bytes: u64,
    elapsed: Duration,
    cpu: Duration,
    peak_memory: u64,
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
        rows.push(row(version, &measure(place, args, version).await?));
    }
    let columns = [
        "message",
        "samples/s",
        "samples per CPU second",
        "bytes a sample as sent",
        "bytes a sample in the WAL",
        "peak RSS MiB",
        "in the ledger",
    ];
    Ok(format!(
        "# Remote write\n\n\
         {} series of 11 labels, {} scrapes, requests of {} samples packed with Snappy, {} connections with one request in flight\n\
         each. Every answer waits for an fdatasync.\n\n{}{}",
        args.series,
        args.scrapes,
        args.samples_per_request,
        args.shards,
        report::head(),
        report::table(&columns, &rows),
    ))
}

fn row(version: Version, measured: &Measured) -> Vec<String> {
    let samples = measured.samples as f64;
    let per = |value: f64, unit: f64| format!("{:.0}", value / unit.max(f64::MIN_POSITIVE));
    vec![
        format!("{version:?}"),
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
    let bodies = bodies(args, version)?;
    let body_bytes = bodies.iter().map(|body| body.len() as u64).sum();
    let server = start_fresh(place, directory.path(), FLUSH_AGE).await?;
    let address = server.address(crate::payload::Protocol::HttpProtobuf).to_owned();
    let cpu = process::cpu_time(server.pid())?;
    let begin = Instant::now();
    let mut shards = tokio::task::JoinSet::new();
    for shard in 0..args.shards {
        // Requests take turns among the connections.
        let own: Vec<Bytes> = bodies.iter().skip(shard).step_by(args.shards).cloned().collect();
        shards.spawn(send(address.clone(), own, version));
    }
    while let Some(sent) = shards.join_next().await {
        sent.context("join a shard")??;
    }
    let measured = Measured {
        samples: (args.series * args.scrapes) as u64,
        body_bytes,
        elapsed: begin.elapsed(),
        cpu: process::cpu_time(server.pid())?.saturating_sub(cpu),
        peak_memory: process::peak_memory(server.pid())?,
        wal_bytes: server.metrics().await?.value("meshlake_wal_written_bytes_total"),
        accepted: server.ledger("metrics").await?.0,
    };
    server.stop().await?;
    Ok(measured)
}

async fn send(address: String, bodies: Vec<Bytes>, version: Version) -> anyhow::Result<()> {
    let stream = TcpStream::connect(&address).await.context("connect")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("open HTTP/1.1")?;
    tokio::spawn(connection);
    let content_type = match version {
        Version::One => "application/x-protobuf",
        Version::Two => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    };
    let mut bodies = bodies.into_iter();
    let mut next = bodies.next();
    while let Some(body) = next.clone() {
        let request = Request::post("/api/v1/write")
            .header(header::HOST, &address)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONTENT_ENCODING, "snappy")
            .body(Full::new(body))?;
        sender.ready().await.context("wait for the connection")?;
        let answer = sender.send_request(request).await.context("send a request")?;
        let status = answer.status();
        let text = answer.into_body().collect().await.context("read an answer")?.to_bytes();
        // As Prometheus does: whoever has no room for now is asked again.
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tokio::time::sleep(ASKED_AGAIN_AFTER).await;
            continue;
        }
        ensure!(status == StatusCode::NO_CONTENT, "{status}: {}", String::from_utf8_lossy(&text));
        next = bodies.next();
    }
    Ok(())
}

/// All requests, packed, scrape after scrape; the last one was now.
fn bodies(args: &RemoteWriteArgs, version: Version) -> anyhow::Result<Vec<Bytes>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let until = i64::try_from(now.as_millis()).context("the clock stands after 2554")?;
    let (series, scrapes, interval) = (args.series, args.scrapes, SCRAPE_INTERVAL);
    let load = Load { metric: "node_cpu_seconds_total", series, scrapes, interval, until };
    bodies_of(&load, 0..scrapes, args.samples_per_request, version)
}

fn bodies_of(
    load: &Load,
    scrapes: Range<usize>,
    samples_per_request: usize,
    version: Version,
) -> anyhow::Result<Vec<Bytes>> {
    let series: Vec<_> = (0..load.series).map(|number| labels_of(load.metric, number)).collect();
    let mut encoder = snap::raw::Encoder::new();
    let mut bodies = Vec::new();
    for scrape in scrapes {
        let timestamp = load.until - load.interval * (load.scrapes - 1 - scrape) as i64;
        for (part, chunk) in series.chunks(samples_per_request).enumerate() {
            let first = part * samples_per_request;
            let sample = |at: usize| Sample { value: ((first + at) * 31 + scrape * 7) as f64, timestamp };
            let message = match version {
                Version::One => encoded_1(chunk, sample),
                Version::Two => encoded_2(chunk, sample),
            };
            bodies.push(encoder.compress_vec(&message).context("pack a request")?.into());
        }
    }
    Ok(bodies)
}

/// A counter of a CPU of a node.
fn labels_of(metric: &str, number: usize) -> Vec<(&'static str, String)> {
    const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
    let (node, cpu) = (number / 128, number / MODES.len() % 16);
    vec![
        ("__name__", metric.to_owned()),
        ("cluster", "production-eu-1".to_owned()),
        ("container", "node-exporter".to_owned()),
        ("cpu", cpu.to_string()),
        ("endpoint", "metrics".to_owned()),
        ("instance", format!("10.0.{}.{}:9100", node / 256, node % 256)),
        ("job", "node-exporter".to_owned()),
        ("mode", MODES[number % MODES.len()].to_owned()),
        ("namespace", "monitoring".to_owned()),
        ("pod", format!("node-exporter-{node:05}")),
        ("service", "node-exporter".to_owned()),
    ]
}

fn encoded_1(series: &[Vec<(&'static str, String)>], sample: impl Fn(usize) -> Sample) -> Vec<u8> {
    let timeseries = series.iter().enumerate().map(|(at, labels)| {
        let labels =
            labels.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: value.clone() });
        Series1 { labels: labels.collect(), samples: vec![sample(at)] }
    });
    Request1 { timeseries: timeseries.collect() }.encode_to_vec()
}

fn encoded_2(series: &[Vec<(&'static str, String)>], sample: impl Fn(usize) -> Sample) -> Vec<u8> {
    let mut symbols = vec![String::new(), "Seconds the CPUs spent in each mode.".to_owned()];
    let mut known = std::collections::HashMap::new();
    let mut timeseries = Vec::new();
    for (at, labels) in series.iter().enumerate() {
        let mut labels_refs = Vec::new();
        for text in labels.iter().flat_map(|(name, value)| [*name, value.as_str()]) {
            labels_refs.push(*known.entry(text).or_insert_with(|| {
                symbols.push(text.to_owned());
                symbols.len() as u32 - 1
            }));
        }
        let metadata = Some(Metadata { metric_type: 1, help_ref: 1 });
        timeseries.push(Series2 { labels_refs, samples: vec![sample(at)], metadata });
    }
    Request2 { symbols, timeseries }.encode_to_vec()
}
