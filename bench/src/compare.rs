//! What one kind of load costs against another: signals, protocols, compressions, measured in turn.
//!
//! The machine is not the same from one minute to the next, so every round measures each kind once, on a fresh
//! server, and ratios are taken within a round: those of a signal are held against the first of that signal.

use std::time::Duration;

use clap::Args;

use crate::load::Sending;
use crate::measure::{self, Measurement};
use crate::payload::{Compression, Protocol, Shape, Signal};
use crate::report::{self, acknowledgements};
use crate::server::Place;

/// Which kinds: every combination, where what is not given is as for one load.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    #[arg(long, value_enum, value_delimiter = ',')]
    signals: Vec<Signal>,
    #[arg(long, value_enum, value_delimiter = ',')]
    protocols: Vec<Protocol>,
    #[arg(long, value_enum, value_delimiter = ',')]
    compressions: Vec<Compression>,
    /// Times that each is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds after which the server writes rows to files at the latest.
    #[arg(long, default_value_t = 5)]
    flush_age: u64,
}

/// Measures every kind in turn and writes the page.
///
/// # Errors
/// When a server cannot be started, asked or stopped, or requests cannot be made.
pub async fn page(
    place: &Place,
    args: &CompareArgs,
    sending: &Sending,
    shape: &Shape,
) -> anyhow::Result<String> {
    let flush_age = Duration::from_secs(args.flush_age);
    let shapes = args.shapes(shape);
    let mut measured: Vec<Vec<Measurement>> = vec![Vec::new(); shapes.len()];
    for _ in 0..args.rounds.max(1) {
        for (shape, measured) in shapes.iter().zip(&mut measured) {
            let directory = place.fresh_directory()?;
            let server = measure::start_fresh(place, directory.path(), flush_age).await?;
            measured.push(measure::measure(&server, flush_age, sending, shape).await?);
            server.stop().await?;
        }
    }
    let mut rows = Vec::new();
    for (shape, of) in shapes.iter().zip(&measured) {
        let first =
            shapes.iter().position(|first| first.signal == shape.signal).expect("itself at the latest");
        rows.push(row(shape, of, &measured[first]));
    }
    let columns = [
        "records",
        "protocol",
        "compression",
        "bytes a record",
        "as sent",
        "records/s",
        "against the first",
        "CPU s per million at ack",
        "against the first",
        "with the flush",
        "ack p50 / p99 ms",
        "sent again",
        "errors",
        "rejected",
    ];
    Ok(format!(
        "# Loads compared\n\n\
         Every round measures each row once, on a fresh server; figures are medians of {} rounds, and ratios those of one\n\
         round to the first row of the same records, with the least and the most.\n\n\
         {}Load: {} requests of {} records each; {} in flight, over {} connections of gRPC or one of HTTP/1.1 each; seed {}.\n\n{}",
        args.rounds.max(1),
        report::head(),
        shape.requests,
        shape.records_per_request,
        sending.in_flight,
        sending.connections,
        shape.seed,
        report::table(&columns, &rows),
    ))
}

impl CompareArgs {
    fn shapes(&self, shape: &Shape) -> Vec<Shape> {
        fn or_one<T: Copy>(given: &[T], one: T) -> Vec<T> {
            if given.is_empty() { vec![one] } else { given.to_vec() }
        }
        let mut shapes = Vec::new();
        for signal in or_one(&self.signals, shape.signal) {
            for protocol in or_one(&self.protocols, shape.protocol) {
                for compression in or_one(&self.compressions, shape.compression) {
                    shapes.push(Shape { signal, protocol, compression, ..shape.clone() });
                }
            }
        }
        shapes
    }
}

fn row(shape: &Shape, measured: &[Measurement], first: &[Measurement]) -> Vec<String> {
    let a_million =
        |m: &Measurement, cpu: Duration| cpu.as_secs_f64() * 1e6 / m.outcome.accepted.max(1) as f64;
    let at_ack = |m: &Measurement| a_million(m, m.cpu_at_ack);
    let settled = |m: &Measurement| a_million(m, m.cpu_settled);
    let speed = |m: &Measurement| m.outcome.records_per_second();
    let against = |of: &dyn Fn(&Measurement) -> f64| {
        let mut ratios: Vec<_> = measured.iter().zip(first).map(|(m, first)| of(m) / of(first)).collect();
        let middle = median(&mut ratios);
        format!("{middle:.2} ({:.2}-{:.2})", ratios[0], ratios[ratios.len() - 1])
    };
    let middle = |of: &dyn Fn(&Measurement) -> f64| median(&mut measured.iter().map(of).collect::<Vec<_>>());
    let sum = |of: fn(&Measurement) -> u64| measured.iter().map(of).sum::<u64>().to_string();
    let a_record = |bytes: u64| (bytes / (shape.requests * shape.records_per_request) as u64).to_string();
    let last = &measured[measured.len() - 1].outcome;
    vec![
        format!("{}s", shape.signal.record()),
        shape.protocol.name().to_owned(),
        shape.compression.name().to_owned(),
        a_record(last.message_bytes),
        a_record(last.body_bytes),
        format!("{:.0}", middle(&speed)),
        against(&speed),
        format!("{:.1}", middle(&at_ack)),
        against(&at_ack),
        format!("{:.1}", middle(&settled)),
        acknowledgements(last),
        sum(|m| m.outcome.retries),
        sum(|m| m.outcome.errors),
        sum(|m| m.outcome.rejected),
    ]
}

/// The middle, the upper one of two; sorts the values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Outcome;

    fn shape() -> Shape {
        Shape {
            signal: Signal::Traces,
            requests: 10,
            records_per_request: 100,
            protocol: Protocol::Grpc,
            compression: Compression::None,
            seed: 1,
            now: 0,
        }
    }

    fn measurement(cpu_seconds: u64) -> Measurement {
        Measurement {
            outcome: Outcome {
                accepted: 1_000_000,
                message_bytes: 800_000,
                body_bytes: 90_000,
                elapsed: Duration::from_secs(10),
                acknowledgements: vec![Duration::from_millis(2)],
                ..Outcome::default()
            },
            cpu_at_ack: Duration::from_secs(cpu_seconds),
            cpu_settled: Duration::from_secs(cpu_seconds + 1),
            peak_memory: 0,
            table_bytes: 0,
            wal_bytes: 0,
            ledger: (0, 0),
        }
    }

    #[test]
    fn every_combination_is_measured_and_what_is_not_given_is_as_for_one_load() {
        let args = CompareArgs {
            signals: vec![],
            protocols: vec![Protocol::HttpProtobuf, Protocol::HttpJson],
            compressions: vec![Compression::None, Compression::Zstd],
            rounds: 1,
            flush_age: 5,
        };
        let shapes = args.shapes(&shape());
        let names: Vec<_> = shapes.iter().map(|s| (s.protocol.name(), s.compression.name())).collect();
        let (protobuf, json) = ("http/protobuf", "http/json");
        assert_eq!(names, [(protobuf, "none"), (protobuf, "zstd"), (json, "none"), (json, "zstd")]);
        assert!(shapes.iter().all(|shape| shape.signal == Signal::Traces));
    }

    #[test]
    fn ratios_are_those_of_one_round() {
        let first = [measurement(5), measurement(10), measurement(20)];
        let measured = [measurement(10), measurement(15), measurement(80)];
        let row = row(&shape(), &measured, &first);
        // 10/5, 15/10, 80/20: 2, 1.5, 4. A million records in 10 s; 800,000 and 90,000 bytes of 1,000 records.
        assert_eq!(row[3..5], ["800", "90"]);
        assert_eq!(row[5..10], ["100000", "1.00 (1.00-1.00)", "15.0", "2.00 (1.50-4.00)", "16.0"]);
    }
}
