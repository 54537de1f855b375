//! What a server needs that is sent nothing: memory, and CPU time for its own timers.

use std::time::Duration;

use clap::Args;

use crate::measure::start_fresh;
use crate::process;
use crate::report::{self, MEBIBYTE};
use crate::server::Place;

/// The server's default.
const FLUSH_AGE: Duration = Duration::from_secs(60);

/// How long.
#[derive(Debug, Clone, Args)]
pub struct IdleArgs {
    /// Seconds that the server is left alone; more than its flush age.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// Leaves a fresh server alone and writes the page.
///
/// # Errors
/// When the server cannot be started or stopped.
pub async fn page(place: &Place, args: &IdleArgs) -> anyhow::Result<String> {
    let directory = place.fresh_directory()?;
    let server = start_fresh(place, directory.path(), FLUSH_AGE).await?;
    let (at_start, used) = (process::memory(server.pid())?, process::cpu_time(server.pid())?);
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let cpu = process::cpu_time(server.pid())?.saturating_sub(used);
    let mebibytes = |bytes: u64| format!("{:.1}", bytes as f64 / MEBIBYTE);
    let row = vec![
        args.seconds.to_string(),
        mebibytes(at_start),
        mebibytes(process::memory(server.pid())?),
        mebibytes(process::peak_memory(server.pid())?),
        format!("{:.2}", cpu.as_secs_f64() * 60.0 / args.seconds.max(1) as f64),
    ];
    server.stop().await?;
    let columns = ["seconds", "RSS MiB when ready", "RSS MiB at the end", "peak RSS MiB", "CPU s a minute"];
    Ok(format!(
        "# A server that is sent nothing\n\nRelease binary with its defaults, on an empty data directory.\n\n{}{}",
        report::head(),
        report::table(&columns, &[row]),
    ))
}
