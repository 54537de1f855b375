//! Processes as the system shows them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use tokio::process::Command;

use crate::harness::{Server, request};

/// For what takes a moment; a slow machine takes a tenth of it.
pub const TIMEOUT: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(5);

/// The query process that `server` has started; none between two of them.
pub fn query_process_of(server: &Server) -> Result<Option<u32>> {
    let parent = server.pid()?.to_string();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ends in between is none.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // proc_pid_stat(5): behind the name in parentheses come the state and the parent.
        let mut behind_name = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ')).into_iter().flatten();
        let (state, of) = (behind_name.next(), behind_name.next());
        if of == Some(parent.as_str()) && state != Some("Z") {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// The query process of `server`, when it is another than `before`.
pub async fn next_query_process(server: &Server, before: Option<u32>) -> Result<u32> {
    let found = async {
        loop {
            match query_process_of(server)? {
                Some(pid) if Some(pid) != before => return Ok(pid),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    };
    tokio::time::timeout(TIMEOUT, found).await.context("no query process was started in time")?
}

/// Waits until the collector has heard that its query process serves, which answers a moment before.
pub async fn until_serving(server: &Server) -> Result<()> {
    let url = format!("http://{}/readyz/query", server.addresses.admin);
    let serving = async {
        while request("GET", &url, &[], Bytes::new()).await?.0 != 200 {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(TIMEOUT, serving).await.context("the query process does not serve in time")?
}

pub async fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("kill").args([name, &pid.to_string()]).status().await?;
    ensure!(status.success(), "kill {name} {pid}: {status}");
    Ok(())
}

/// Waits until there is no such process any more.
pub async fn gone(pid: u32) -> Result<()> {
    let place = PathBuf::from(format!("/proc/{pid}"));
    let gone = async {
        while place.exists() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(TIMEOUT, gone).await.with_context(|| format!("process {pid} is still there"))
}

/// The value of a line of a file in `/proc/<pid>`, after the name that it begins with.
pub fn line_of(pid: u32, file: &str, name: &str) -> Result<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.with_context(|| format!("no {name} in\n{text}"))?.trim().to_owned())
}
