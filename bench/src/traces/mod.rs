//! How long answers about traces and lines take where people look at them: the APIs of Tempo, Jaeger and Loki.
//!
//! A [`Day`] is stored and maintained, then each question is asked over HTTP, as its users do, once for warmth and then a number
//! of times. A Jaeger that keeps spans in memory may be sent the same spans, and is asked what its API can be asked.

mod questions;
mod jaeger;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use prost::Message as _;
use serde_json::Value;

use crate::load::{Sending, send};
use crate::payload::day::Day;
use crate::payload::{Compression, Payloads, Protocol, Shape, Signal, packed_message};
use crate::random::Random;
use crate::report;
use crate::server::{Place, Server, get};
use crate::settled::{maintain, now_seconds};
use jaeger::Jaeger;
use questions::{Question, Sample, found, questions};

const START_TIME_MAX: Duration = Duration::from_secs(300);
const RECORDS_A_REQUEST: usize = 1_000;
/// Requests that are made before they are sent.
const PART_REQUESTS: u64 = 200;

/// What is stored, and how often it is asked for.
#[derive(Debug, Clone, Args)]
pub struct TracesArgs {
    #[arg(long, default_value_t = 10_000_000)]
    spans: u64,
    #[arg(long, default_value_t = 10_000_000)]
    lines: u64,
    /// Directory that the day is left in, or was: then it is asked, and nothing is sent. A temporary one when not given.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Times that a question is asked.
    #[arg(long, default_value_t = 10)]
    times: usize,
    /// A Jaeger (all-in-one, version 1) that is sent the same spans.
    #[arg(long)]
    jaeger: Option<PathBuf>,
}

/// Stores the day, asks everything, and writes the page.
///
/// # Errors
/// When a server cannot be started, refuses something, or has no answer.
pub async fn page(place: &Place, args: &TracesArgs) -> anyhow::Result<String> {
    let temporary = place.fresh_directory()?;
    let directory = args.data_dir.clone().unwrap_or_else(|| temporary.path().join("data"));
    let jaeger = match &args.jaeger {
        Some(program) => Some(Jaeger::start(program, place).await?),
        None => None,
    };
    let is_stored = directory.exists();
    ensure!(!is_stored || jaeger.is_none(), "a Jaeger has only what is sent in this run");
    if !is_stored {
        fill(place, args, &directory, jaeger.as_ref()).await?;
        eprintln!("{}", maintain(place, &directory)?);
    }
    if let Some(jaeger) = &jaeger {
        jaeger.settle().await?;
    }
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, &directory, &settings, START_TIME_MAX).await?;
    let sample = Sample::of(&server).await?;
    let mut rows = Vec::new();
    for question in questions(&sample) {
        rows.push(row(&server, jaeger.as_ref(), &question, args.times).await?);
        eprintln!("{}", rows[rows.len() - 1].join(" | "));
    }
    let memory = report::peak_memory(&server)?;
    server.stop().await?;
    let columns = ["question", "found", "median ms", "p95 ms", "Jaeger: found", "median ms", "to reach ms"];
    Ok(format!(
        "# Questions about traces and lines\n\n\
         A day's spans and lines, asked over the APIs of Tempo, Jaeger and Loki one at a time, JSON included; Jaeger keeps spans in\n\
         memory. What is to be reached is for ten million of each.\n\n\
         {}{} spans, {} lines; CPUs {}; warm; {memory}.\n\n{}",
        report::head(),
        sample.spans,
        sample.lines,
        place.cpus,
        report::table(&columns, &rows)
    ))
}

/// Sends the day to a server that ends then, and its spans to the Jaeger.
async fn fill(
    place: &Place,
    args: &TracesArgs,
    directory: &Path,
    jaeger: Option<&Jaeger>,
) -> anyhow::Result<()> {
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, directory, &settings, START_TIME_MAX).await?;
    let until = now_seconds()? * 1_000_000_000;
    let to = |address: &str| Sending { address: address.to_owned(), connections: 4, in_flight: 8 };
    let mut random = Random::new(42);
    for (signal, records) in [(Signal::Traces, args.spans), (Signal::Logs, args.lines)] {
        let requests = records.div_ceil(RECORDS_A_REQUEST as u64);
        let day = Day { requests, records_per_request: RECORDS_A_REQUEST, until };
        for part in (0..requests).step_by(PART_REQUESTS as usize) {
            let numbers = part..(part + PART_REQUESTS).min(requests);
            let bodies = numbers.map(|number| {
                packed_message(&match signal {
                    Signal::Logs => day.lines(&mut random, number).encode_to_vec(),
                    _ => day.spans(&mut random, number).encode_to_vec(),
                })
            });
            let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
            let addresses =
                jaeger.filter(|_| signal == Signal::Traces).map(|jaeger| jaeger.otlp_grpc.as_str());
            for address in addresses.into_iter().chain([server.address(Protocol::Grpc)]) {
                let payloads = Payloads { bodies: bodies.clone(), message_bytes: 0 };
                let outcome = send(&to(address), &shape(signal), payloads).await?;
                let wrong = outcome.first_error.unwrap_or_default();
                ensure!(outcome.errors == 0 && outcome.rejected == 0, "{address} refused some: {wrong}");
            }
        }
    }
    server.stop().await
}

/// What sending looks at of a load.
fn shape(signal: Signal) -> Shape {
    Shape {
        signal,
        requests: 0,
        records_per_request: RECORDS_A_REQUEST,
        protocol: Protocol::Grpc,
        compression: Compression::None,
        seed: 0,
        now: 0,
    }
}

async fn row(
    server: &Server,
    jaeger: Option<&Jaeger>,
    question: &Question,
    times: usize,
) -> anyhow::Result<Vec<String>> {
    let ours = asked(server.query(), &question.paths, times).await.with_context(|| question.label)?;
    let theirs = match jaeger.filter(|_| !question.of_jaeger.is_empty()) {
        Some(jaeger) => Some(asked(&jaeger.query, &question.of_jaeger, times).await?),
        None => None,
    };
    let nothing = || "-".to_owned();
    Ok(vec![
        question.label.to_owned(),
        ours.found.to_string(),
        ms(ours.ranked(0.5)),
        ms(ours.ranked(0.95)),
        theirs.as_ref().map_or_else(nothing, |theirs| theirs.found.to_string()),
        theirs.as_ref().map_or_else(nothing, |theirs| ms(theirs.ranked(0.5))),
        question.reach_ms.map_or_else(nothing, |ms| ms.to_string()),
    ])
}

/// What the last answer had, and how long each took, sorted.
struct Asked {
    found: usize,
    times: Vec<Duration>,
}

impl Asked {
    /// The nearest rank.
    fn ranked(&self, ratio: f64) -> Duration {
        let rank = (ratio * self.times.len() as f64).ceil().max(1.0) as usize - 1;
        self.times.get(rank).copied().unwrap_or_default()
    }
}

/// Asks the paths in turn: the first for warmth, then so many.
async fn asked(address: &str, paths: &[String], times: usize) -> anyhow::Result<Asked> {
    let mut asked = Asked { found: 0, times: Vec::new() };
    for (number, path) in paths.iter().cycle().take(times.max(1) + 1).enumerate() {
        let begin = Instant::now();
        let body = get(address, path).await?;
        if number > 0 {
            asked.times.push(begin.elapsed());
        }
        let answer: Value =
            serde_json::from_slice(&body).with_context(|| format!("read the answer of {path}"))?;
        asked.found = found(&answer);
    }
    asked.times.sort_unstable();
    Ok(asked)
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nearest_ranks() {
        let asked = Asked { found: 0, times: (1..=10).map(Duration::from_millis).collect() };
        // Ranks ceil(0.5 * 10) = 5 and ceil(0.95 * 10) = 10.
        assert_eq!([0.5, 0.95].map(|ratio| ms(asked.ranked(ratio))), ["5.0", "10.0"]);
    }
}
