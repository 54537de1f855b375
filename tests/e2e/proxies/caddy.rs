//! Caddy, by file.

use anyhow::{Context as _, Result};

use super::backend;
use super::client::{REQUESTS, check_agents, check_golden, check_rows, send};
use super::programs::{listening, meshlake, snippet, start};
use crate::envoy::free_port;
use crate::sql::tools::program;

#[tokio::test(flavor = "multi_thread")]
async fn caddy_by_file() -> Result<()> {
    let Some(program) = program("caddy", "caddy")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let logs = format!("{}/", dir.path().display());
    let places = [("/var/log/caddy/", logs.as_str())];
    let server = meshlake(dir.path(), &snippet("caddy/meshlake.toml", &places)?).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let configuration = format!(
        "{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {logs}storage\n}}\nhttp://127.0.0.1:{listen} {{\n{}\
         \treverse_proxy 127.0.0.1:{upstream}\n}}\n",
        snippet("caddy/Caddyfile", &places)?
    );
    let file = dir.path().join("Caddyfile");
    std::fs::write(&file, configuration)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let mut child = start(&program, &["run", "--adapter", "caddyfile", "--config", file], dir.path())?;
    listening(&mut child, listen, dir.path()).await?;
    let log = send(listen).await?;
    check_rows(&server, "true", &log).await?;
    check_agents(&server, REQUESTS).await?;
    check_golden(&server, "edge").await
}
