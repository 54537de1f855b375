//! What a mesh's own pages cost: Istio's service dashboard, and a refresh of Kiali's graph, over an hour of fifty services.
//!
//! An hour of calls is stored as spans and access logs of a mesh with namespaces of its own, and settled by `meshlake
//! maintain`. Every query of the page is asked over HTTP one after the other, as Kiali does and a browser with one connection
//! would, in whole passes. With `--prometheus` a Prometheus is given the same series by remote write and asked the same in
//! the same run. The dashboard's file is an argument and no part of the repository.

mod questions;
mod copied;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::payload::mesh::Mesh;
use crate::process;
use crate::prometheus::{Kind, Prometheus};
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, Server, get};
use crate::settled::{Stretch, fill, maintain, now_seconds};
use questions::Question;

const START_TIME_MAX: Duration = Duration::from_secs(300);
const HOUR_SECONDS: u64 = 3_600;

/// Ends of cells of ten minutes.
const GRID_SECONDS: u64 = 600;

/// What is asked, and of how much.
#[derive(Debug, Clone, Args)]
pub struct DashboardsArgs {
    /// `istio-service-dashboard.json` of an Istio release.
    #[arg(long)]
    dashboard: PathBuf,
    /// A Prometheus to be asked the same; without one, only meshlake is.
    #[arg(long)]
    prometheus: Option<PathBuf>,
    /// Calls of the hour, each of two spans and two access logs.
    #[arg(long, default_value_t = 300_000)]
    calls: u64,
    /// Each in a namespace of its own.
    #[arg(long, default_value_t = 50)]
    services: u64,
    #[arg(long, default_value_t = 100)]
    operations: u64,
    /// Times that each page is asked for, after one for warmth.
    #[arg(long, default_value_t = 5)]
    times: usize,
}

/// A page that is asked for.
struct Page {
    label: &'static str,
    questions: Vec<Question>,
}

/// Fills a mesh, asks for both pages, and writes the result.
///
/// # Errors
/// When a server cannot be started, has no answer, or two have answers to different questions.
pub async fn page(place: &Place, args: &DashboardsArgs) -> anyhow::Result<String> {
    let mesh =
        Mesh { services: args.services, operations: args.operations, namespaces: args.services, in_a_row: 1 };
    let directory = place.fresh_directory()?;
    let from = (now_seconds()? / GRID_SECONDS - 1) * GRID_SECONDS - HOUR_SECONDS;
    let hour = Stretch { mesh, calls: args.calls, from, seconds: HOUR_SECONDS };
    fill(place, directory.path(), &hour).await?;
    let settling = maintain(place, directory.path())?;
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, directory.path(), &settings, START_TIME_MAX).await?;
    let to = from + HOUR_SECONDS;
    let text = std::fs::read_to_string(&args.dashboard)
        .with_context(|| format!("read {}", args.dashboard.display()))?;
    let dashboard: Value = serde_json::from_str(&text).context("read the dashboard")?;
    let namespaces: Vec<String> = (0..args.services).map(|service| mesh.namespace(service)).collect();
    let pages = [
        Page {
            label: "Istio's service dashboard",
            questions: questions::of_dashboard(&dashboard, &mesh.host(0), from, to)?,
        },
        Page { label: "a refresh of Kiali's graph", questions: questions::of_kiali(&namespaces, to) },
    ];
    let base = "/prometheus";
    let mut rows = Vec::new();
    let mut answered = Vec::new();
    for page in &pages {
        let (row, with_samples) = measured("meshlake", server.query(), base, page, args.times).await?;
        rows.push(row);
        answered.push(with_samples);
    }
    ensure!(answered.iter().all(|count| *count > 0), "no query of a page has samples");
    let memory = process::peak_memory(server.pid())? as f64 / MEBIBYTE;
    let mut copied = String::new();
    if let Some(program) = &args.prometheus {
        let prometheus = Prometheus::start(place, Kind::Prometheus, program).await?;
        let samples = copied::copy(&prometheus, &server, from, to).await?;
        copied = format!(" The Prometheus was given {samples} samples of them by remote write.");
        for (page, with_samples) in pages.iter().zip(answered) {
            let (row, theirs) = measured("Prometheus", prometheus.address(), "", page, args.times).await?;
            rows.push(row);
            ensure!(
                theirs == with_samples,
                "{}: {theirs} queries have samples there, {with_samples} here",
                page.label
            );
        }
    }
    server.stop().await?;
    let columns = [
        "page",
        "asked of",
        "queries",
        "with samples",
        "together, median ms",
        "fastest ms",
        "slowest query ms",
    ];
    Ok(format!(
        "# Dashboards\n\n{}{} calls of {} services in as many namespaces, {} operations, within an hour. {settling}\n\
         Asked over HTTP one query after the other, a connection each; CPUs {}; peak RSS of meshlake {memory:.0} MiB.{copied}\n\n{}",
        report::head(),
        args.calls,
        args.services,
        args.operations,
        place.cpus,
        report::table(&columns, &rows)
    ))
}

/// Asks for a page so many times; its row, and how many queries have samples.
async fn measured(
    who: &str,
    address: &str,
    base: &str,
    page: &Page,
    times: usize,
) -> anyhow::Result<(Vec<String>, usize)> {
    let mut with_samples = 0;
    for question in &page.questions {
        let body = get(address, &format!("{base}{}", question.path)).await?;
        let answer: Value = serde_json::from_slice(&body).context("read an answer")?;
        let result =
            answer["data"]["result"].as_array().with_context(|| format!("{}: {answer}", question.path))?;
        with_samples += usize::from(!result.is_empty());
    }
    let (mut passes, mut slowest) = (Vec::new(), Duration::ZERO);
    for _ in 0..times.max(1) {
        let begin = Instant::now();
        for question in &page.questions {
            let asked = Instant::now();
            get(address, &format!("{base}{}", question.path)).await?;
            slowest = slowest.max(asked.elapsed());
        }
        passes.push(begin.elapsed());
    }
    passes.sort_unstable();
    let ms = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e3);
    let row = [
        page.label.to_owned(),
        who.to_owned(),
        page.questions.len().to_string(),
        with_samples.to_string(),
        ms(passes[passes.len() / 2]),
        ms(passes[0]),
        ms(slowest),
    ];
    Ok((row.to_vec(), with_samples))
}

/// The first service is the one whose dashboard is asked for.
#[test]
fn the_service_asked_for_is_one_of_the_mesh() {
    let mesh = Mesh { services: 50, operations: 100, namespaces: 50, in_a_row: 1 };
    assert_eq!(mesh.host(0), "svc-00000.mesh-00.svc.cluster.local");
}
