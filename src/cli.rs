//! What the user typed. What it means is decided in `main.rs` and `config/`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use meshlake_schema::time::parse_duration;
use meshlake_schema::{TimeRange, UnixNanos};

/// Requests a second that one process could make at all; a larger number is a typing error.
const RATE_MAX: f64 = 100_000.0;

/// Longest past of a demo mesh: four million visits at the default rate, some half an hour to live through.
const HISTORY_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Telemetry for service meshes: OTLP and access logs in; SQL, golden metrics and the service graph out.
#[derive(Debug, Parser)]
#[command(name = "meshlake", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector and the query service.
    Run(ServeArgs),
    /// Run the collector alone; a query service of its own asks it through a socket in the data directory.
    Collector(ServeArgs),
    /// Run the query service alone, on a collector of this machine.
    Query(QueryArgs),
    /// What `run` starts.
    #[command(hide = true)]
    QueryProcess,
    /// Run everything and drive a live mesh through it.
    Demo(DemoArgs),
    /// Import access logs and show what they come to.
    Import(ImportArgs),
    /// Ask in SQL: one statement, a file of them, or in a shell.
    Sql(SqlArgs),
    /// Merge the files of every window, drop old rows, delete unused files and settle calls, now.
    Maintain(MaintainArgs),
    /// Show what a data directory holds: log, tables, watermarks, damage. Changes nothing.
    Inspect(InspectArgs),
    /// Check the configuration and print it as it would be used.
    CheckConfig(ServeArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Directory of the WAL and the tables [default: meshlake-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// Data directory of the collector, or the socket in it.
    #[arg(long, value_name = "PATH")]
    pub collector: PathBuf,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl QueryArgs {
    /// What of it is the configuration's.
    pub fn serve(&self) -> ServeArgs {
        ServeArgs { data_dir: None, config: self.config.clone() }
    }
}

#[derive(Debug, Clone, Args)]
pub struct MaintainArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Instead, count the calls of every minute whose rows are still there anew (calls_10s, calls_1m, calls_10m).
    #[arg(long)]
    pub rederive: bool,
    /// Only minutes from here on: RFC 3339, or seconds since the epoch.
    #[arg(long, value_name = "TIME", requires = "rederive", value_parser = time)]
    pub from: Option<UnixNanos>,
    /// Only minutes before here.
    #[arg(long, value_name = "TIME", requires = "rederive", value_parser = time)]
    pub to: Option<UnixNanos>,
}

impl MaintainArgs {
    /// What is to be counted anew; none when nothing is.
    pub fn rederived(&self) -> Option<TimeRange> {
        let TimeRange { from, to } = TimeRange::ALL;
        self.rederive.then(|| TimeRange { from: self.from.unwrap_or(from), to: self.to.unwrap_or(to) })
    }
}

#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Seed of the mesh; the same seed makes the same calls [default: drawn and printed].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Requests per second that enter the mesh.
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    pub rate: f64,
    /// Stop the mesh (not the server) after this many requests.
    #[arg(long)]
    pub requests: Option<u64>,
    /// Begin so long ago, as 15m, and live through that first, as fast as it is taken.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = history)]
    pub history: Duration,
    /// Write what was really sent to this file as JSON when the mesh stops.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Exit when the mesh stops instead of serving on.
    #[arg(long)]
    pub exit: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Files of access logs, plain or packed with gzip or zstd; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// A known format's name, or its text as in the proxy's configuration [default: each line is recognised].
    #[arg(long)]
    pub format: Option<String>,
    /// The language of that text: envoy, envoy_json, nginx, apache, haproxy, fields [default: as it looks].
    #[arg(long)]
    pub language: Option<String>,
    /// The service that logs.
    #[arg(long)]
    pub service: Option<String>,
    /// Its namespace.
    #[arg(long)]
    pub namespace: Option<String>,
    /// Its pod or host.
    #[arg(long)]
    pub instance: Option<String>,
    /// Of times that are written without one, as +02:00 [default: UTC].
    #[arg(long)]
    pub zone: Option<String>,
    /// Tenant whose lines they are.
    #[arg(long, default_value = "default")]
    pub tenant: String,
    /// Post to the meshlake at this address, as http://127.0.0.1:4318, instead of the one on the data directory.
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub to: Option<String>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SqlArgs {
    /// The statement, e.g. "SELECT count(*) FROM spans", or several with semicolons [default: standard input; a shell
    /// where that is a terminal].
    pub statement: Option<String>,
    /// File of statements; - is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    pub file: Option<PathBuf>,
    /// Ask the meshlake at this address, as http://127.0.0.1:7070 [default: the one that runs here, else the data directory].
    #[arg(long, alias = "address", value_name = "URL", conflicts_with = "data_dir")]
    pub server: Option<String>,
    /// Tenant to ask for.
    #[arg(long, default_value = "default")]
    pub tenant: String,
    /// How answers are written [default: table in a terminal, else csv].
    #[arg(long, value_enum)]
    pub format: Option<SqlFormat>,
    /// File to write answers to.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SqlFormat {
    Table,
    Json,
    Ndjson,
    Csv,
    Arrow,
    Parquet,
}

impl SqlFormat {
    /// The server's name for it; none where it is made here.
    pub fn of_server(self) -> Option<&'static str> {
        match self {
            SqlFormat::Table => None,
            SqlFormat::Json => Some("json"),
            SqlFormat::Ndjson => Some("ndjson"),
            SqlFormat::Csv => Some("csv"),
            SqlFormat::Arrow => Some("arrow"),
            SqlFormat::Parquet => Some("parquet"),
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Show every window of every table, not only the newest.
    #[arg(long)]
    pub windows: bool,
}

fn time(text: &str) -> Result<UnixNanos, String> {
    UnixNanos::parse(text).ok_or_else(|| "neither RFC 3339 nor seconds since the epoch".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let is_possible = rate > 0.0 && rate <= RATE_MAX;
    if is_possible { Ok(rate) } else { Err(format!("must be above 0 and at most {RATE_MAX}")) }
}

fn history(text: &str) -> Result<Duration, String> {
    let history = parse_duration(text).ok_or_else(|| "not a number of seconds, or 30s, 5m, 1h".to_owned())?;
    if history <= HISTORY_MAX { Ok(history) } else { Err("must be at most 24h".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_belongs_to_rederive() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["meshlake", "maintain"], args].concat());
        let range = |args: &[&str]| match parse(args).expect("well-formed").command {
            Command::Maintain(args) => args.rederived(),
            other => panic!("{other:?}"),
        };
        assert_eq!(range(&[]), None);
        assert_eq!(range(&["--rederive"]), Some(TimeRange::ALL));
        let to = UnixNanos::from_seconds(1_795_392_000);
        assert_eq!(
            range(&["--rederive", "--to", "2026-11-23T00:00:00Z"]),
            Some(TimeRange { to, ..TimeRange::ALL })
        );
        assert_eq!(
            range(&["--rederive", "--from", "1795392000"]),
            Some(TimeRange { from: to, ..TimeRange::ALL })
        );
        assert!(parse(&["--from", "1795392000"]).is_err(), "without --rederive");
        assert!(parse(&["--rederive", "--from", "yesterday"]).is_err());
    }

    #[test]
    fn a_past_is_at_most_a_day() {
        assert_eq!(history("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(history("24h"), Ok(HISTORY_MAX));
        for text in ["86401", "-1", "long"] {
            assert!(history(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_that_make_no_sense_are_refused() {
        assert_eq!(rate("0.5"), Ok(0.5));
        assert_eq!(rate("100000"), Ok(RATE_MAX));
        for text in ["0", "-1", "NaN", "inf", "100000.1", "fast"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
