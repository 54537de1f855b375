//! Stops in order that cannot do all they should: what whoever stopped the process is told, and that nothing is lost.
//!
//! Standard error of all processes on one data directory goes to one file, which `Server::log` reads.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::answers::{Answer, post};
use crate::harness::{Server, Starting};
use crate::payloads::{span, traces};

/// Everything that is waited for, on a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How long the start waits at a point of it: longer than any stop takes, if it does not wait for the start.
const START: &str = "before_seal=sleep(30000)";

const SPANS: u64 = 5;

/// Part of the line that tells of rows that are in no file.
const LEFT: &str = "rows are in the write-ahead log alone";

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_cannot_write_files_says_which_rows_are_in_the_log_alone() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    // At a level at which the log itself says nothing.
    let environment =
        [("FAILPOINTS", "before_parquet_put=return(error)"), ("MESHLAKE_TELEMETRY__LOG", "off")];
    let server = Server::start_with(&["run"], &data, &environment).await?;
    let sent = traces("stops", (0..SPANS).map(span).collect());
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    ensure!(post(&url, &sent).await? == Answer::Acked);
    let log = crate::harness::log_path(&data);
    ensure!(server.terminate().await? == Some(0), "nothing is lost, so the stop is a success");
    let told = std::fs::read_to_string(&log)?;
    let last = told.lines().last().context("something is said")?;
    ensure!(last.contains(&format!("{SPANS} {LEFT} (spans {SPANS})")), "the last line is {last:?}");

    let server = Server::start(&data).await?;
    ensure!(server.number("SELECT count(*) FROM spans").await? == SPANS as i64, "the next start has them");
    ensure!(server.terminate().await? == Some(0));
    let told = std::fs::read_to_string(&log)?;
    ensure!(told.matches(LEFT).count() == 1, "a stop that writes all says nothing of it:\n{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_starting_is_a_stop() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let starting = Server::spawn(&["run"], &data, &[("FAILPOINTS", START)])?;
    wait_for(&data.join("LOCK"), &starting).await?;
    // That the configuration is to be read again must not end a start either, as a SIGHUP does by itself.
    starting.signal("HUP").await?;
    ensure!(starting.terminate().await? == Some(0));
    let told = std::fs::read_to_string(crate::harness::log_path(&data))?;
    ensure!(told.contains("stop while starting"), "{told}");
    let server = Server::start(&data).await?;
    ensure!(server.number("SELECT count(*) FROM spans").await? == 0);
    Ok(())
}

/// Waits until the start has come to make the file at `path`.
async fn wait_for(path: &Path, starting: &Starting) -> Result<()> {
    let there = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(WAIT_MAX, there).await;
    waited.with_context(|| format!("no {} was made by {starting:?}", path.display()))
}
