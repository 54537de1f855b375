//! The load generator and the benchmarks: send a known load to any OTLP receiver, or measure what meshlake makes of it.
//!
//! `load` reports what a sender sees; the other commands but `decode` also start the release binary as a process of its
//! own and read from the kernel what it used. Results are kept in `bench/results/` with machine, commit and
//! command; nothing here asserts a speed, because speeds belong to machines.

mod ack;
mod compare;
mod decode;
mod decode_lines;
mod tail;
mod lines;
mod dashboards;
mod als;
mod series;
mod remote_write;
mod overload;
mod idle;
mod replay;
mod questions;
mod calls;
mod operate;
mod pages;
mod traces;
mod settled;
mod size;
mod wal;
mod stored;
mod report;
mod measure;
mod prometheus;
mod server;
mod cgroup;
mod load;
mod client;
mod payload;
mod process;
mod random;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};

use als::AlsArgs;
use calls::CallsArgs;
use compare::CompareArgs;
use dashboards::DashboardsArgs;
use decode::DecodeArgs;
use idle::IdleArgs;
use lines::LinesArgs;
use load::Sending;
use operate::OperateArgs;
use overload::OverloadArgs;
use pages::PagesArgs;
use payload::{Compression, Protocol, Shape, Signal};
use questions::QuestionsArgs;
use remote_write::RemoteWriteArgs;
use replay::ReplayArgs;
use series::SeriesArgs;
use server::Place;
use settled::SettledArgs;
use size::SizeArgs;
use tail::TailArgs;
use traces::TracesArgs;

/// The allocator of meshlake, because `decode` measures its code here.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Load generator and benchmarks of meshlake.
#[derive(Debug, Parser)]
#[command(name = "meshlake-bench")]
struct Cli {
    /// File that the result is written to as well.
    #[arg(long, global = true)]
    result: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a load to a receiver that is already running.
    Load {
        /// Its address, for the protocol.
        #[arg(long, default_value = "127.0.0.1:4317")]
        address: String,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Start meshlake, send it a load, and print what it cost.
    Run {
        #[command(flatten)]
        place: Place,
        /// Measurements, each with a fresh server.
        #[arg(long, default_value_t = 1)]
        runs: usize,
        /// Seconds after which the server writes rows to files at the latest (its default is 60).
        #[arg(long, default_value_t = 60)]
        flush_age: u64,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Measure acknowledgements: small and large requests, one sender and many.
    Ack {
        #[command(flatten)]
        place: Place,
    },
    /// Measure one kind of load against another, in turn.
    Compare {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        compare: CompareArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Measure decoding alone, in this process.
    Decode {
        #[command(flatten)]
        decode: DecodeArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Offer many times what the server can take, within a limit of memory. Needs root.
    Overload {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        overload: OverloadArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Measure a server that is sent nothing.
    Idle {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        idle: IdleArgs,
    },
    /// Measure a start on a long write-ahead log.
    Replay {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        replay: ReplayArgs,
    },
    /// Measure the disk bytes of a load, after the flushes and after compaction.
    Size {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        size: SizeArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Measure an import of an access log of nginx.
    Import {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        lines: LinesArgs,
    },
    /// Measure access logs by syslog over TCP.
    Syslog {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        lines: LinesArgs,
    },
    /// Measure a file of access logs that is followed.
    Tail {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        tail: TailArgs,
    },
    /// Measure Envoy's access log service.
    Als {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        als: AlsArgs,
    },
    /// Ask meshlake and a Prometheus of a million series.
    Series {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        series: SeriesArgs,
    },
    /// Measure Prometheus remote write, 1.0 and 2.0.
    RemoteWrite {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        remote_write: RemoteWriteArgs,
    },
    /// Measure answers on what `size --signal tracegen --data-dir DIR` has left.
    Questions {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        questions: QuestionsArgs,
    },
    /// Measure golden metrics and the graph on what `size --signal tracegen --data-dir DIR` has left.
    Calls {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        calls: CallsArgs,
    },
    /// Measure answers for operators on a day that is settled.
    Operate {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        operate: OperateArgs,
    },
    /// Measure the web pages on a day that is settled.
    Pages {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        pages: PagesArgs,
    },
    /// Measure Istio's service dashboard and a refresh of Kiali's graph, and a Prometheus beside them.
    Dashboards {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        dashboards: DashboardsArgs,
    },
    /// Measure answers about traces and lines of a day over the APIs of Tempo, Jaeger and Loki, and a Jaeger beside them.
    Traces {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        traces: TracesArgs,
    },
    /// Measure golden metrics and the graph of a day that is settled, and while spans come in.
    Settled {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        settled: SettledArgs,
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
    /// How the requests are written and carried.
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Protocol,
    /// How they are packed.
    #[arg(long, value_enum, default_value = "none")]
    compression: Compression,
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
            protocol: self.protocol,
            compression: self.compression,
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
    let Cli { result, command } = Cli::parse();
    let page = match command {
        Command::Load { address, load } => {
            let shape = load.shape()?;
            let outcome = load::send_in_parts(&load.sending(address), &shape).await?;
            report::summary(&shape, &outcome)
        }
        Command::Run { place, runs, flush_age, load } => {
            measured_page(&place, Duration::from_secs(flush_age), &load, runs).await?
        }
        Command::Ack { place } => ack::page(&place).await?,
        Command::Compare { place, compare, load } => {
            compare::page(&place, &compare, &load.sending(String::new()), &load.shape()?).await?
        }
        Command::Decode { decode, load } => decode::page(&decode, &load.shape()?)?,
        Command::Overload { place, overload, load } => {
            overload::page(&place, &overload, &load.sending(String::new()), &load.shape()?).await?
        }
        Command::Idle { place, idle } => idle::page(&place, &idle).await?,
        Command::Replay { place, replay } => replay::page(&place, &replay).await?,
        Command::Size { place, size, load } => {
            size::page(&place, &size, &load.sending(String::new()), &load.shape()?).await?
        }
        Command::Import { place, lines } => lines::import_page(&place, &lines)?,
        Command::Syslog { place, lines } => lines::syslog_page(&place, &lines).await?,
        Command::Tail { place, tail } => tail::page(&place, &tail).await?,
        Command::Als { place, als } => als::page(&place, &als).await?,
        Command::Series { place, series } => series::page(&place, &series).await?,
        Command::RemoteWrite { place, remote_write } => remote_write::page(&place, &remote_write).await?,
        Command::Questions { place, questions } => questions::page(&place, &questions).await?,
        Command::Calls { place, calls } => calls::page(&place, &calls).await?,
        Command::Operate { place, operate } => operate::page(&place, &operate).await?,
        Command::Pages { place, pages } => pages::page(&place, &pages).await?,
        Command::Dashboards { place, dashboards } => dashboards::page(&place, &dashboards).await?,
        Command::Traces { place, traces } => traces::page(&place, &traces).await?,
        Command::Settled { place, settled } => settled::page(&place, &settled).await?,
    };
    print!("{page}");
    if let Some(path) = result {
        std::fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

async fn measured_page(
    place: &Place,
    flush_age: Duration,
    load: &LoadArgs,
    runs: usize,
) -> anyhow::Result<String> {
    // The server chooses the address; see `measure`.
    let sending = load.sending(String::new());
    let mut measurements = Vec::new();
    for _ in 0..runs {
        let directory = place.fresh_directory()?;
        let server = measure::start_fresh(place, directory.path(), flush_age).await?;
        measurements.push(measure::measure(&server, flush_age, &sending, &load.shape()?).await?);
        server.stop().await?;
    }
    for error in measurements.iter().filter_map(|measurement| measurement.outcome.first_error.as_ref()) {
        eprintln!("first error: {error}");
    }
    Ok(report::page(&load.shape()?, &sending, &measurements))
}
