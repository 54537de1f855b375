//! How long the answers for operators take on a stored load that is settled, each answer looked at.
//!
//! The directory is what any run has left whose minutes are settled (`meshlake maintain` settles them): a mesh of the demo,
//! or any load. The range is that of its cells, at most [`RANGE_MAX`], and the service the one that received most calls,
//! so that the dearest questions are asked.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::report;
use crate::server::{Place, Server};
use crate::stored;

const START_TIME_MAX: Duration = Duration::from_secs(300);

/// What is asked for at most: a day.
const RANGE_MAX: i64 = 86_400;

/// What is asked, and how often.
#[derive(Debug, Clone, Args)]
pub struct OperateArgs {
    /// Data directory whose minutes are settled.
    #[arg(long)]
    data_dir: PathBuf,
    /// Times that each question is asked, after one for warmth.
    #[arg(long, default_value_t = 9)]
    times: usize,
}

/// Starts a server on the directory, asks it everything, and writes the page.
///
/// # Errors
/// When the server cannot be started, nothing is settled, or an answer has no rows.
pub async fn page(place: &Place, args: &OperateArgs) -> anyhow::Result<String> {
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, &args.data_dir, &settings, START_TIME_MAX).await?;
    let bounds = server
        .sql("SELECT CAST(min(time) AS BIGINT) / 1000000, CAST(max(time) AS BIGINT) / 1000000 + 60 FROM calls_1m")
        .await?;
    let number = |value: &Value| value.as_i64().with_context(|| format!("{value}: nothing is settled"));
    let (first, to) = (number(&bounds[0][0])?, number(&bounds[0][1])?);
    let range = format!("from={}&to={to}", first.max(to - RANGE_MAX));
    let golden = server.json(&format!("/api/v1/golden?{range}")).await?;
    let rows = golden["rows"].as_array().context("rows of golden metrics")?;
    let busiest = rows.iter().max_by(|a, b| calls(a).total_cmp(&calls(b))).context("a service")?;
    let service = busiest["id"].as_str().context("the id of a service")?.to_owned();
    let mut table = Vec::new();
    for (label, list) in [
        ("versions", "versions"),
        ("balance", "instances"),
        ("policies", "rows"),
        ("gateways", "rows"),
        ("saturation", "instances"),
    ] {
        let path = format!("/api/v1/{label}?service={service}&{range}");
        table.push(question(&server, (label, &path, list), args.times).await?);
    }
    let memory = report::peak_memory(&server)?;
    server.stop().await?;
    let all: f64 = rows.iter().map(calls).sum();
    let files = stored::live_files(&args.data_dir.join("tables").join("calls_1m").join("_delta_log"))?.len();
    Ok(format!(
        "# Answers for operators, of settled cells\n\n\
         Asked over HTTP one at a time, JSON included, warm, of the busiest service.\n\n\
         {}{all} calls received by {} services in {} hours, {files} files of cells of a minute; CPUs {};\n\
         {memory}.\n\n{}",
        report::head(),
        rows.len(),
        (to - first.max(to - RANGE_MAX)) / 3_600,
        place.cpus,
        report::table(&["question", "rows", "median ms", "fastest ms", "CPU ms", "asked"], &table)
    ))
}

fn calls(row: &Value) -> f64 {
    row["requests"].as_f64().unwrap_or_default()
}

async fn question(
    server: &Server,
    (label, path, list): (&str, &str, &str),
    times: usize,
) -> anyhow::Result<Vec<String>> {
    let rows =
        |answer: &Value| answer[list].as_array().map(Vec::len).with_context(|| format!("{label}: {answer}"));
    let found = rows(&server.json(path).await?)?;
    let (mut taken, cpu) = (Vec::new(), server.cpu_time()?);
    for _ in 0..times.max(1) {
        let begin = Instant::now();
        let answer = server.json(path).await?;
        taken.push(begin.elapsed());
        ensure!(rows(&answer)? == found, "{label} was answered with another number of rows");
    }
    let cpu = (server.cpu_time()? - cpu) / taken.len() as u32;
    taken.sort_unstable();
    let ms = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e3);
    Ok(vec![
        label.to_owned(),
        found.to_string(),
        ms(taken[taken.len() / 2]),
        ms(taken[0]),
        ms(cpu),
        taken.len().to_string(),
    ])
}
