//! Varnish, by the file that varnishncsa writes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Child;

use super::backend;
use super::client::{REQUESTS, check_agents, check_golden, check_rows, send};
use super::programs::{ARRIVAL_TIME_MAX, listening, meshlake, snippet, start};
use crate::envoy::free_port;
use crate::sql::tools::program;

#[tokio::test(flavor = "multi_thread")]
async fn varnish_by_file() -> Result<()> {
    let Some(varnishd) = program("varnishd", "varnish")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (logs, work) = (format!("{}/", dir.path().display()), format!("{}/work", dir.path().display()));
    let places = [("/var/log/varnish/", logs.as_str())];
    let server = meshlake(dir.path(), &snippet("varnish/meshlake.toml", &places)?).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let (address, behind) = (format!("127.0.0.1:{listen}"), format!("127.0.0.1:{upstream}"));
    let arguments = ["-F", "-n", &work, "-a", &address, "-b", &behind, "-s", "malloc,8m"];
    let mut child = start(&varnishd, &arguments, dir.path())?;
    listening(&mut child, listen, dir.path()).await?;
    // The directory of the instance is that of the test; else the script is as it stands.
    let instance = format!("exec varnishncsa -n {work}");
    let script = snippet("varnish/varnishncsa.sh", &[places[0], ("exec varnishncsa", &instance)])?;
    let file = dir.path().join("varnishncsa.sh");
    std::fs::write(&file, script)?;
    let script = file.to_str().context("a path in UTF-8")?;
    let writer = start(Path::new("/bin/sh"), &[script], dir.path())?;
    wait_until_it_reads(&writer).await?;
    let log = send(listen).await?;
    check_rows(&server, "true", &log).await?;
    check_agents(&server, REQUESTS).await?;
    check_golden(&server, "cache").await
}

/// varnishncsa writes what comes after it has begun to read the log, which is memory that it shares with varnishd.
async fn wait_until_it_reads(writer: &Child) -> Result<()> {
    let maps = format!("/proc/{}/maps", writer.id().context("varnishncsa runs")?);
    let reads = async {
        while !std::fs::read_to_string(&maps).is_ok_and(|maps| maps.contains("_.vsm_child/_.Log")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(ARRIVAL_TIME_MAX, reads).await.context("varnishncsa does not read the log")
}
