//! `meshlake maintain` on a running server and on a stopped one: fewer files, the same rows.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use tokio::process::Command;

use crate::harness::{BINARY, Server, request};
use crate::payloads::{span, traces};

/// A flush a second, and nothing merged by itself.
const ENVIRONMENT: [(&str, &str); 2] =
    [("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "1"), ("MESHLAKE_MAINTAIN__ENABLED", "false")];

/// A flush comes once a second.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

const COUNT: &str = "SELECT count(*) FROM spans";

#[tokio::test(flavor = "multi_thread")]
async fn maintain_merges_files_and_changes_no_answer() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    for number in 0..3 {
        send_and_flush(&server, number).await?;
    }
    let output = maintain(&data, &[("MESHLAKE_ADMIN__HTTP", &server.addresses.admin)]).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("asking the process on"), "{text}");
    ensure!(text.contains("merged"), "{text}");
    // At least spans, traces and the ledger; all in one window, or in two around a quarter of an hour.
    ensure!(server.metric("meshlake_merges_total").await? >= 3.0, "{text}");
    ensure!(server.metric("meshlake_merged_files_total").await? >= 6.0, "{text}");
    ensure!(server.metric("meshlake_merge_failures_total").await? == 0.0, "{text}");
    ensure!(server.number(COUNT).await? == 3, "rows after merging");

    send_and_flush(&server, 3).await?;
    ensure!(server.terminate().await? == Some(0), "the server stops");
    let output = maintain(&data, &[]).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(!text.contains("asking") && text.contains("merged"), "{text}");
    let server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    ensure!(server.number(COUNT).await? == 4, "rows after merging on a stopped server");
    ensure!(server.number("SELECT sum(span_count) FROM traces").await? == 4, "traces count every span");
    Ok(())
}

/// Sends one span and waits until it is in a file, and what the ledger says of it, too.
async fn send_and_flush(server: &Server, number: u64) -> Result<()> {
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces("maintained", vec![span(number)]).encode_to_vec();
    let (status, _) =
        request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
    ensure!(status == 200, "{status}");
    // Rows are in the buffer before they are acknowledged.
    let flushed = async {
        while server.metric("meshlake_buffer_bytes").await? > 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(FLUSH_TIMEOUT, flushed).await.context("no flush came in time")?
}

/// Runs `meshlake maintain` on a data directory, which a server may be using.
pub async fn maintain(data: &Path, environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(BINARY);
    command.arg("maintain").arg("--data-dir").arg(data).envs(environment.iter().copied());
    let output = command.kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}
