//! The load generator: sends a known load to any OTLP/gRPC receiver, or measures what it costs a fresh meshlake.
//!
//! `load` reports what a sender sees; `run` also starts the release binary on a core of its own and reads from the
//! kernel what it used. Results are kept in `bench/results/` with machine and command; nothing here asserts a
//! speed, because speeds belong to machines.

mod report;
mod measure;
mod server;
mod load;
mod client;
mod payload;
mod process;
mod random;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};

use load::Sending;
use payload::{Shape, Signal};
use server::Start;

/// Load generator and benchmark of meshlake.
#[derive(Debug, Parser)]
#[command(name = "meshlake-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a load to a receiver that is already running.
    Load {
        /// Its OTLP/gRPC address.
        #[arg(long, default_value = "127.0.0.1:4317")]
        address: String,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Start meshlake, send it a load, and print what it cost as Markdown.
    Run {
        /// The binary to measure.
        #[arg(long, default_value = "target/release/meshlake")]
        binary: PathBuf,
        /// CPU that it runs on; pin this program to another one.
        #[arg(long, default_value_t = 0)]
        cpu: usize,
        /// Measurements, each with a fresh server.
        #[arg(long, default_value_t = 1)]
        runs: usize,
        /// Where the data directories are made: the disk that is measured.
        #[arg(long, default_value = ".")]
        data_parent: PathBuf,
        /// Seconds after which the server writes rows to files at the latest (its default is 60).
        #[arg(long, default_value_t = 60)]
        flush_age: u64,
        /// File that the result is written to as well.
        #[arg(long)]
        result: Option<PathBuf>,
        #[command(flatten)]
        load: LoadArgs,
    },
}

#[derive(Debug, Clone, Args)]
struct LoadArgs {
    #[arg(long, value_enum, default_value = "traces")]
    signal: Signal,
    /// Requests, all different, made before the clock starts.
    #[arg(long, default_value_t = 1_000)]
    requests: usize,
    /// Spans, log records or data points of a request.
    #[arg(long, default_value_t = 1_000)]
    records: usize,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in flight over all connections; at least one for each.
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Compress the requests.
    #[arg(long)]
    gzip: bool,
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

impl LoadArgs {
    fn shape(&self) -> anyhow::Result<Shape> {
        ensure!(self.requests > 0 && self.records > 0, "a load needs at least one request of one record");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
        Ok(Shape {
            signal: self.signal,
            requests: self.requests,
            records_per_request: self.records,
            gzip: self.gzip,
            seed: self.seed,
            now: u64::try_from(now.as_nanos()).context("the clock stands after 2554")?,
        })
    }

    fn sending(&self, address: String) -> Sending {
        Sending { address, connections: self.connections, in_flight: self.in_flight }
    }
}

/// One thread: the generator has one core, and more threads would only take turns on it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Load { address, load } => {
            let shape = load.shape()?;
            let outcome = load::send(&load.sending(address), &shape, payload::payloads(&shape)?).await?;
            print!("{}", report::summary(&shape, &outcome));
        }
        Command::Run { binary, cpu, runs, data_parent, flush_age, result, load } => {
            let start = Start { binary, cpu, data_parent, flush_age: Duration::from_secs(flush_age) };
            let page = measured_page(&start, &load, runs).await?;
            print!("{page}");
            if let Some(path) = result {
                std::fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
            }
        }
    }
    Ok(())
}

async fn measured_page(start: &Start, load: &LoadArgs, runs: usize) -> anyhow::Result<String> {
    // The server chooses the address; see `measure`.
    let sending = load.sending(String::new());
    let mut measurements = Vec::new();
    for _ in 0..runs {
        measurements.push(measure::measure(start, &sending, &load.shape()?).await?);
    }
    for error in measurements.iter().filter_map(|measurement| measurement.outcome.first_error.as_ref()) {
        eprintln!("first error: {error}");
    }
    let command: Vec<_> = std::env::args().collect();
    Ok(report::page(&command.join(" "), &load.shape()?, &sending, &measurements))
}
