//! What decoding alone costs: the collector's own functions, in this process, without network, log or store.
//!
//! The payloads are those of a load, decoded again and again. Proving a payload well-formed and decoding it are
//! measured one after the other, as the collector does both. Rows are taken as a batch when as many payload
//! bytes are in the builder as the collector puts in a group.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;
use meshlake_collector::decode::otlp::logs::{LogBuilder, decode_logs};
use meshlake_collector::decode::otlp::metrics::decode_metrics;
use meshlake_collector::decode::otlp::traces::{SpanBuilder, decode_traces};
use meshlake_collector::metric_rows::MetricBuilders;
use meshlake_collector::protobuf::messages::Message;
use meshlake_collector::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
use meshlake_collector::protobuf::validate::validate;
use meshlake_collector::request_rows::RequestBuilder;
use meshlake_collector::tally::{Arrival, Tally};
use meshlake_schema::{TableBatch, UnixNanos};

use crate::decode_lines;
use crate::payload::{self, Compression, Protocol, Shape, Signal};
use crate::process;
use crate::report;

/// A group of the collector, which it closes at 4 MiB.
const BATCH_BYTES: usize = 4 << 20;
/// Different requests that are decoded in turn: 80 MB of spans, more than any cache of a processor.
const REQUESTS: usize = 100;

/// How long.
#[derive(Debug, Clone, Args)]
pub struct DecodeArgs {
    /// Seconds for each signal and each of the two steps; CPU time is known to 10 ms.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Debug, Default)]
struct Decoder {
    spans: SpanBuilder,
    logs: LogBuilder,
    /// Stays empty: the load has no access logs.
    requests: RequestBuilder,
    metrics: MetricBuilders,
    payload_bytes: usize,
}

/// What went through one step.
#[derive(Debug, Default)]
struct Step {
    records: u64,
    batches: u64,
    bytes: u64,
    cpu: Duration,
}

/// Measures every signal and writes the page.
///
/// # Errors
/// When a payload is refused, or a record in it.
pub fn page(args: &DecodeArgs, shape: &Shape) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let shape = Shape {
            signal,
            requests: REQUESTS,
            protocol: Protocol::HttpProtobuf,
            compression: Compression::None,
            ..shape.clone()
        };
        rows.push(measure(&shape, Duration::from_secs(args.seconds))?);
    }
    let columns = [
        "records",
        "bytes each",
        "decoded",
        "batches",
        "validate: CPU s per million",
        "decode: CPU s per million",
        "both",
        "both: MB/s",
    ];
    Ok(format!(
        "# Decoding alone\n\n\
         OTLP payloads, protobuf and not compressed, to finished Arrow batches of {} MiB of payload; one thread, in the\n\
         process of the benchmark.\n\n{}Load: {REQUESTS} different requests of {} records, in turn; seed {}.\n\n{}\n\
         Lines of access logs, no two alike, to finished Arrow batches:\n\n{}",
        BATCH_BYTES >> 20,
        report::head(),
        shape.records_per_request,
        shape.seed,
        report::table(&columns, &rows),
        report::table(
            &decode_lines::COLUMNS,
            &decode_lines::measure(shape.seed, Duration::from_secs(args.seconds))?
        ),
    ))
}

fn measure(shape: &Shape, time: Duration) -> anyhow::Result<Vec<String>> {
    let payloads = payload::payloads(shape)?.bodies;
    let message = message_of(shape.signal);
    let validated = step(&payloads, time, |payload| {
        validate(payload, message).context("validate a payload")?;
        Ok((shape.records_per_request as u64, 0))
    })?;
    let now = UnixNanos(i64::try_from(shape.now).context("the clock stands after 2262")?);
    let arrival =
        Arrival { tenant: "default", ingest_time: now, earliest: UnixNanos(0), latest: UnixNanos(i64::MAX) };
    let mut decoder = Decoder::default();
    let decoded = step(&payloads, time, |payload| {
        let tally = decoder.push(shape.signal, payload, &arrival)?;
        Ok((tally, decoder.batch_when_full().len() as u64))
    })?;
    let a_million = |step: &Step| step.cpu.as_secs_f64() * 1e6 / step.records.max(1) as f64;
    let both = a_million(&validated) + a_million(&decoded);
    let record_bytes = decoded.bytes as f64 / decoded.records.max(1) as f64;
    Ok(vec![
        format!("{}s", shape.signal.record()),
        format!("{record_bytes:.0}"),
        decoded.records.to_string(),
        decoded.batches.to_string(),
        format!("{:.2}", a_million(&validated)),
        format!("{:.2}", a_million(&decoded)),
        format!("{both:.2}"),
        format!("{:.0}", record_bytes / both),
    ])
}

/// Does the same to all payloads in turn, until the time is up; it says how many records and batches it made.
fn step(
    payloads: &[Bytes],
    time: Duration,
    mut each: impl FnMut(&[u8]) -> anyhow::Result<(u64, u64)>,
) -> anyhow::Result<Step> {
    let mut step = Step::default();
    let (begin, used) = (Instant::now(), process::cpu_time(std::process::id())?);
    while begin.elapsed() < time {
        for payload in payloads {
            let (records, batches) = each(payload)?;
            step.records += records;
            step.batches += batches;
            step.bytes += payload.len() as u64;
        }
    }
    step.cpu = process::cpu_time(std::process::id())?.saturating_sub(used);
    Ok(step)
}

impl Decoder {
    /// How many records it had; all of them must have become rows.
    fn push(&mut self, signal: Signal, payload: &[u8], arrival: &Arrival<'_>) -> anyhow::Result<u64> {
        let tally: Tally = match signal {
            Signal::Traces | Signal::Tracegen => decode_traces(payload, arrival, &mut self.spans),
            Signal::Logs => decode_logs(payload, None, arrival, &mut self.logs, &mut self.requests),
            Signal::Metrics => decode_metrics(payload, arrival, &mut self.metrics),
        }
        .context("decode a payload")?;
        ensure!(tally.accepted == tally.received, "{} of {} are accepted", tally.accepted, tally.received);
        self.payload_bytes += payload.len();
        Ok(tally.accepted)
    }

    fn batch_when_full(&mut self) -> Vec<TableBatch> {
        if self.payload_bytes < BATCH_BYTES {
            return Vec::new();
        }
        self.payload_bytes = 0;
        let single = [self.spans.finish(), self.logs.finish()];
        single.into_iter().flatten().chain(self.metrics.finish()).collect()
    }
}

fn message_of(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces | Signal::Tracegen => &EXPORT_TRACES,
        Signal::Logs => &EXPORT_LOGS,
        Signal::Metrics => &EXPORT_METRICS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_of_every_signal_becomes_a_row() {
        for signal in [Signal::Traces, Signal::Tracegen, Signal::Logs, Signal::Metrics] {
            let shape = Shape {
                signal,
                requests: 3,
                records_per_request: 100,
                protocol: Protocol::HttpProtobuf,
                compression: Compression::None,
                seed: 1,
                now: 1_700_000_000_000_000_000,
            };
            let latest = UnixNanos(i64::MAX);
            let arrival = Arrival { tenant: "default", ingest_time: latest, earliest: UnixNanos(0), latest };
            let mut decoder = Decoder::default();
            for payload in payload::payloads(&shape).expect("small requests").bodies {
                assert!(validate(&payload, message_of(signal)).is_ok());
                assert_eq!(decoder.push(signal, &payload, &arrival).expect("valid"), 100);
                assert!(decoder.batch_when_full().is_empty(), "4 MiB are more than 300 records");
            }
            decoder.payload_bytes = BATCH_BYTES;
            let batches = decoder.batch_when_full();
            assert_eq!(batches.iter().map(TableBatch::row_count).sum::<usize>(), 300);
            assert_eq!(decoder.payload_bytes, 0);
        }
    }
}
