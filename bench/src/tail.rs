//! A file that is followed: how long it takes until the rows of all of its lines are durable, and what that costs.
//!
//! The file is there whole at once, moved into place while the server runs, so that no writer is waited for. Lines are those
//! of `lines`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::lines::{LinesArgs, MILLION, with_commas, write_file};
use crate::measure::settle;
use crate::process;
use crate::report;
use crate::server::{Place, Server};

const START_TIME_MAX: Duration = Duration::from_secs(30);
const FLUSH_AGE: Duration = Duration::from_secs(1);

/// Ten million lines take a minute.
const FOLLOW_TIME_MAX: Duration = Duration::from_secs(600);

/// Between two looks at how many rows there are, each of which costs the server some milliseconds.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Follows a file to its end and writes the page.
///
/// # Errors
/// The server cannot be started, or not every line became a row in time.
pub async fn page(place: &Place, args: &LinesArgs) -> anyhow::Result<String> {
    let directory = place.fresh_directory()?;
    let (written, followed) = (directory.path().join("written"), directory.path().join("access.log"));
    let file_bytes = write_file(&written, args.lines)?;
    let section = format!("[{{ path = \"{}\", format = \"nginx_combined\" }}]", followed.display());
    let settings = [
        ("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", FLUSH_AGE.as_secs().to_string()),
        ("MESHLAKE_COLLECTOR__TAIL", section),
    ];
    let server = Server::start(place, &directory.path().join("data"), &settings, START_TIME_MAX).await?;
    let before = process::cpu_time(server.pid())?;
    let began = Instant::now();
    std::fs::rename(&written, &followed)?;
    let all = async {
        while counted(&server).await? < args.lines as u64 {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(FOLLOW_TIME_MAX, all).await.context("not every line became a row in time")??;
    let (elapsed, cpu) = (began.elapsed(), process::cpu_time(server.pid())?.saturating_sub(before));
    settle(&server, FLUSH_AGE).await?;
    let cpu_settled = process::cpu_time(server.pid())?.saturating_sub(before);
    let peak = process::peak_memory(server.pid())? as f64 / report::MEBIBYTE;
    let rows = counted(&server).await?;
    ensure!(rows == args.lines as u64, "{rows} rows of {} lines", args.lines);
    server.stop().await?;
    let columns = ["lines/s durable", "CPU s per million when durable", "with the flush", "peak RSS MiB"];
    let per_million = |cpu: Duration| format!("{:.2}", cpu.as_secs_f64() * MILLION / args.lines as f64);
    let speed = format!("{:.0}", args.lines as f64 / elapsed.as_secs_f64());
    let row = vec![speed, per_million(cpu), per_million(cpu_settled), format!("{peak:.0}")];
    let title = "# A file that is followed\n\nFrom the moment when it is there to the last row that a query sees.\n\n";
    let load = format!("Load: {} lines, {:.0} MB.\n\n", with_commas(args.lines), file_bytes as f64 / MILLION);
    Ok(format!("{title}{}{load}{}", report::head(), report::table(&columns, &[row])))
}

async fn counted(server: &Server) -> anyhow::Result<u64> {
    let rows = server.sql("SELECT count(*) FROM requests WHERE counted").await?;
    rows.first().and_then(|row| row[0].as_u64()).context("read the count of rows")
}
