//! Messages of remote write 1.0 and 2.0, as a Prometheus that scrapes nodes sends them.
//!
//! Structs of their own, so that what is sent does not depend on the code that reads it.
//!
//! Source: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>, `prometheus/prompb/io/prometheus/write/v2/types.proto`.

use std::ops::Range;

use anyhow::Context as _;
use bytes::Bytes;
use prost::Message;

/// Prometheus's default.
pub const SAMPLES_PER_REQUEST: usize = 2_000;

/// Scrapes of series, the last of them at `until`; milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub metric: &'static str,
    pub series: usize,
    pub scrapes: usize,
    pub interval: i64,
    pub until: i64,
}

#[derive(Debug, Clone, Copy)]
pub enum Version {
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

/// All requests of some scrapes, packed.
///
/// # Errors
/// A message is too large to be packed.
pub fn bodies_of(
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
