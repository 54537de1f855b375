//! SIGHUP makes a running server take new limits; a configuration that is not valid changes nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;

use crate::harness::{Server, request};
use crate::payloads::{span, traces};

/// A reload takes milliseconds.
const RELOAD_TIME_MAX: Duration = Duration::from_secs(20);

/// Waits until the log has a line with `text`, behind the first `from` bytes.
async fn logged(server: &Server, from: usize, text: &str) -> Result<()> {
    let seen = async {
        while !server.log()?.get(from..).is_some_and(|log| log.contains(text)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    tokio::time::timeout(RELOAD_TIME_MAX, seen).await.with_context(|| format!("{text:?} is not logged"))?
}

async fn reload(server: &Server, file: &Path, config: &str, logs: &str) -> Result<()> {
    std::fs::write(file, config)?;
    let from = server.log()?.len();
    server.hang_up().await?;
    logged(server, from, logs).await
}

async fn post(server: &Server, seed: u64) -> Result<(u16, Option<String>)> {
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces("reload", vec![span(seed)]).encode_to_vec();
    let (status, answer) =
        request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
    Ok((status, (status != 200).then(|| String::from_utf8_lossy(&answer).into_owned())))
}

/// Scenario: the limit of a request is lowered, set to nonsense, and raised again. Guarantee: each valid file holds
/// from its signal on, the other is reported and the limit before it stays.
#[tokio::test(flavor = "multi_thread")]
async fn limits_change_on_sighup_and_a_bad_file_changes_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("meshlake.toml");
    std::fs::write(&file, "")?;
    let config = file.to_str().context("a path in UTF-8")?;
    let server = Server::start_with(&["run", "--config", config], &dir.path().join("data"), &[]).await?;
    assert_eq!(post(&server, 1).await?.0, 200);
    reload(&server, &file, "[collector]\nexport_bytes_max = 10\n", "took the limits").await?;
    assert_eq!(post(&server, 2).await?.0, 413);
    reload(&server, &file, "[collector]\nexport_bytes_max = 0\n", "export_bytes_max: 0 is not").await?;
    assert_eq!(post(&server, 3).await?.0, 413, "the limit before stays");
    let restart = "[collector]\nretention_days = 3\n";
    reload(&server, &file, restart, "collector.retention_days").await?;
    let (status, answer) = post(&server, 4).await?;
    ensure!(status == 200, "{answer:?}");
    reload(&server, &file, "[collector]\ntenant_bytes_per_second_max = 1\n", "took the limits").await?;
    // The first overdraws two bytes a second by far, so the next one waits as long as anybody is told to.
    assert_eq!(post(&server, 5).await?.0, 200);
    assert_eq!(post(&server, 6).await?.0, 429);
    assert_eq!(server.number("SELECT count(*) FROM spans").await?, 3);
    assert_eq!(server.terminate().await?, Some(0));
    Ok(())
}
