//! Finds proxies, starts them with a snippet of `deploy/`, and waits until they listen.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::harness::Server;

/// Lines come within a second of being written, and proxies start within one; far more than that is a failure, not
/// slowness.
pub const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(30);

/// A snippet of `deploy/` with what stands in its place here: pairs of what is written and what it becomes.
///
/// # Errors
/// It cannot be read, or one of the pairs is about something that is not in it.
pub fn snippet(path: &str, substitutions: &[(&str, &str)]) -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    let mut text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    for (written, here) in substitutions {
        ensure!(text.contains(written), "{path} does not say {written}");
        text = text.replace(written, here);
    }
    Ok(text)
}

/// Starts meshlake with the configuration of a snippet in `dir`.
pub async fn meshlake(dir: &Path, configuration: &str) -> Result<Server> {
    let file = dir.join("meshlake.toml");
    std::fs::write(&file, configuration)?;
    let file = file.to_str().context("a path in UTF-8")?;
    Server::start_with(&["run", "--config", file], &dir.join("data"), &[]).await
}

/// Starts a program that ends with the test; what it says goes to a file in `dir`.
pub fn start<A: AsRef<OsStr>>(program: &Path, arguments: &[A], dir: &Path) -> Result<Child> {
    let name = program.file_name().context("a program has a name")?;
    let log = std::fs::File::create(dir.join(name).with_extension("out"))?;
    Command::new(program)
        .args(arguments)
        .current_dir(dir)
        // Times without a zone are in UTC, as the snippets say.
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}

/// Waits until something listens on `port`, as long as `child` lives.
pub async fn listening(child: &mut Child, port: u16, dir: &Path) -> Result<()> {
    let listens = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            ensure!(child.try_wait()?.is_none(), "it ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let listened = tokio::time::timeout(ARRIVAL_TIME_MAX, listens).await.context("it does not listen");
    listened.and_then(|listened| listened).with_context(|| said(dir))
}

/// What the programs in `dir` have said.
fn said(dir: &Path) -> String {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let outputs = files.filter(|path| path.extension().is_some_and(|end| end == "out" || end == "log"));
    outputs.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect()
}
