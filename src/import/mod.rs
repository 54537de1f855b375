//! `meshlake import`: access logs that somebody has, into the tables, and what they come to.
//!
//! ```text
//!  file or standard input -> inflate -> parts of whole lines -> POST /v1/access_logs -> counts
//!                                                                                        '-> golden metrics of what came in
//! ```
//! A data directory belongs to one process. When one runs on it, lines are posted to that one; otherwise this process
//! serves the directory itself for as long as it takes, on ports that nobody is told, and posts to itself: there is one
//! road in. A file is known by what it begins with, so that one that is imported twice is stored once.

mod input;
mod post;
mod counts;
mod figures;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use meshlake_collector::LinesConfig;
use meshlake_collector::lines::Part;
use meshlake_schema::{Clock as _, SystemClock};
use meshlake_store::{DataDirError, StoreError};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use crate::cli::ImportArgs;
use crate::config::Config;
use crate::maintain::reachable;
use crate::serve::{self, Interrupts};
use counts::Counts;
use figures::tell_figures;
use input::Input;
use post::Poster;

/// Posts that wait for their answers: one is read while others are decoded, written and synced.
const POSTS_MAX: usize = 4;

/// Parts that were read and wait to be posted.
const PARTS_READ_AHEAD: usize = 2;

/// Who takes the lines, and answers what they come to.
#[derive(Debug, Clone)]
struct Server {
    /// `http://host:port` of OTLP/HTTP.
    to: String,
    /// `host:port` of the query service; none where nobody has said it.
    query: Option<String>,
    /// The directory to serve afterwards, where this process alone serves it.
    alone: Option<PathBuf>,
}

/// Imports what `args` name.
///
/// # Errors
/// What is said of the lines cannot be, an input cannot be read, nobody takes the lines, or the data directory cannot be used.
pub fn run(config: &Config, args: &ImportArgs) -> Result<()> {
    args.files.iter().try_for_each(|name| input::check(name))?;
    let problems = lines_of(args).problems();
    ensure!(problems.is_empty(), "--{}", problems.join("\n--"));
    if let Some(to) = &args.to {
        return beside(Server { to: post::base_of(to)?, query: None, alone: None }, args);
    }
    let data_dir = &config.store.data_dir;
    let alone = serve::alone(config, Interrupts::Stop, |otlp_http, query| {
        let (to, query) = (format!("http://{otlp_http}"), Some(query.to_string()));
        import(Server { to, query, alone: Some(data_dir.clone()) }, args.clone())
    });
    let Err(error) = alone else { return Ok(()) };
    match error.downcast_ref() {
        Some(StoreError::DataDir(DataDirError::InUse { pid, .. })) => {
            eprintln!("posting to the process on {} (pid {pid})", data_dir.display());
            let to = format!("http://{}", reachable(&config.collector.otlp_http));
            beside(Server { to, query: Some(reachable(&config.query.http)), alone: None }, args)
        }
        _ => Err(error),
    }
}

/// What is said of all lines.
fn lines_of(args: &ImportArgs) -> LinesConfig {
    let text = |said: &Option<String>| said.clone().unwrap_or_default();
    LinesConfig {
        format: text(&args.format),
        language: text(&args.language),
        service: text(&args.service),
        namespace: text(&args.namespace),
        instance: text(&args.instance),
        zone: text(&args.zone),
        tenant: args.tenant.clone(),
        ..LinesConfig::default()
    }
}

/// Imports into a server that runs already.
fn beside(server: Server, args: &ImportArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(import(server, args.clone()))
}

async fn import(server: Server, args: ImportArgs) -> Result<()> {
    let began = SystemClock.now();
    let poster = Arc::new(Poster::new(&server.to, &args)?);
    let bar = bar(args.files.iter().map(|name| input::packed_bytes(name)).sum::<Option<u64>>());
    let (mut counts, mut failed) = (Counts::default(), 0);
    for name in &args.files {
        if let Err(error) = import_one(&poster, name, &bar, &mut counts).await {
            bar.suspend(|| eprintln!("meshlake: {name}: {error:#}"));
            failed += 1;
        }
    }
    bar.finish_and_clear();
    print!("{counts}");
    for advice in counts.advice() {
        println!("  {advice}");
    }
    if counts.parsed > 0
        && let Some(query) = &server.query
        && let Err(error) = tell_figures(query, began, server.alone.as_deref()).await
    {
        eprintln!("meshlake: all of it is stored, but what it comes to cannot be told: {error:#}");
    }
    if failed > 0 {
        bail!("{failed} of {} inputs could not be imported to their end", args.files.len());
    }
    Ok(())
}

/// Posts one input, part by part, as far as it was not stored before.
async fn import_one(poster: &Arc<Poster>, name: &str, bar: &ProgressBar, counts: &mut Counts) -> Result<()> {
    let (opened, bar) = (name.to_owned(), bar.clone());
    let input = spawn_blocking(move || Input::open(&opened, &bar)).await??;
    if input.head().is_empty() {
        return Ok(());
    }
    let known = poster.find(input.head()).await?;
    let (read, mut parts) = mpsc::channel::<Part>(PARTS_READ_AHEAD);
    let reading = spawn_blocking(move || input.read_from(known.position, &read));
    let mut posts: JoinSet<Result<Counts>> = JoinSet::new();
    let mut is_over = false;
    while !is_over || !posts.is_empty() {
        tokio::select! {
            part = parts.recv(), if !is_over && posts.len() < POSTS_MAX => match part {
                Some(part) => {
                    let (poster, file) = (Arc::clone(poster), known.file.clone());
                    posts.spawn(async move { poster.post(&file, part).await });
                }
                None => is_over = true,
            },
            Some(posted) = posts.join_next() => counts.add(&posted??),
        }
    }
    counts.stored_before += reading.await?.context("read")?;
    Ok(())
}

/// Draws nothing when standard error is no terminal.
fn bar(bytes: Option<u64>) -> ProgressBar {
    let template = match bytes {
        Some(_) => "{msg:32!} {wide_bar} {percent:>3} %  {bytes_per_sec}  {eta}",
        None => "{msg:32!} {spinner} {bytes}  {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style)
}
