//! Runs a client to its end, with a deadline.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::host_and_port;
use crate::harness::Server;

/// A client that takes longer hangs: each is done in seconds on a laptop that does nothing else.
const CLIENT_TIME_MAX: Duration = Duration::from_secs(240);

/// What a client wrote to standard output; it must have ended well.
pub async fn output(client: Command) -> Result<String> {
    output_within(client, CLIENT_TIME_MAX).await
}

/// The same of one that does much.
pub async fn output_within(mut client: Command, time: Duration) -> Result<String> {
    let running = client.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(time, running).await.context("the client hangs")??;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{client:?} failed with {}:\n{out}\n{err}", output.status);
    Ok(format!("{out}{err}"))
}

/// `program`, told by libpq's variables where to connect to.
pub fn client(program: PathBuf, server: &Server) -> Result<Command> {
    let (host, port) = host_and_port(server)?;
    let mut command = Command::new(program);
    command.env("PGHOST", host).env("PGPORT", port).env("PGUSER", "tester").env("PGDATABASE", "default");
    Ok(command)
}

/// The directory of the test tools.
pub fn directory() -> Result<PathBuf> {
    Ok(match std::env::var_os("MESHLAKE_TEST_TOOLS") {
        Some(tools) => PathBuf::from(tools),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME")?).join(".cache/meshlake/test-tools"),
    })
}

/// Python with `packages`, from the test tools. Their absence is a failure where tools are required (CI), else a notice.
pub fn python(packages: &[&str]) -> Result<Option<PathBuf>> {
    let tools = directory()?;
    let libraries = std::fs::read_dir(tools.join("lib")).into_iter().flatten().flatten();
    let mut libraries = libraries.map(|library| library.path().join("site-packages"));
    let is_complete = libraries.any(|path| packages.iter().all(|name| path.join(name).exists()));
    let how = format!("for {packages:?}: {}/bin/pip install -r tests/requirements.txt", tools.display());
    available(is_complete.then(|| tools.join("bin/python")), &how)
}

/// `tool`; its absence is a failure where tools are required (CI), else a notice of `how` to get it.
pub fn available<T>(tool: Option<T>, how: &str) -> Result<Option<T>> {
    if tool.is_none() {
        ensure!(std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(), "a test tool is missing: {how}");
        eprintln!("SKIPPED: a test tool is missing: {how}");
    }
    Ok(tool)
}
