//! The measured meshlake: started on one core with an empty data directory and free ports, and ended.
//!
//! A separate process, so that its CPU time and memory are its own; the release binary, as users run it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// The server recovers an empty directory in milliseconds.
const START_TIME_MAX: Duration = Duration::from_secs(30);
/// It promises to stop within 10 s.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// How the server is started.
#[derive(Debug, Clone)]
pub struct Start {
    pub binary: PathBuf,
    /// The CPU it is pinned to.
    pub cpu: usize,
    /// Below this directory the data directory is made.
    pub data_parent: PathBuf,
    /// `store.flush_age_max_seconds`.
    pub flush_age: Duration,
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data: TempDir,
    pub otlp_grpc: String,
    query: String,
    admin: String,
}

impl Server {
    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// When `taskset` or the binary is missing, or the server does not become ready.
    pub async fn start(start: &Start) -> anyhow::Result<Self> {
        let data = TempDir::with_prefix_in("meshlake-bench-", &start.data_parent)
            .context("make a data directory")?;
        let [otlp_grpc, otlp_http, query, admin] = free_addresses()?;
        let child = Command::new("taskset")
            .args(["--cpu-list", &start.cpu.to_string()])
            .arg(&start.binary)
            .args(["run", "--data-dir"])
            .arg(data.path())
            .env("MESHLAKE_COLLECTOR__OTLP_GRPC", &otlp_grpc)
            .env("MESHLAKE_COLLECTOR__OTLP_HTTP", &otlp_http)
            .env("MESHLAKE_QUERY__HTTP", &query)
            .env("MESHLAKE_ADMIN__HTTP", &admin)
            .env("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", start.flush_age.as_secs().to_string())
            .env("MESHLAKE_TELEMETRY__LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start {} by taskset", start.binary.display()))?;
        let mut server = Server { child, data, otlp_grpc, query, admin };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while get(&self.admin, "/readyz").await.is_err() {
            if let Some(status) = self.child.try_wait().context("look at the server")? {
                bail!("the server ended at its start: {status}");
            }
            ensure!(begin.elapsed() < START_TIME_MAX, "the server is not ready after {START_TIME_MAX:?}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// `taskset` becomes the server, so this is the server's own id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Accepted and flushed records of a signal, by the server's ledger.
    ///
    /// # Errors
    /// When the server does not answer, or not in the shape of its API.
    pub async fn ledger(&self, signal: &str) -> anyhow::Result<(u64, u64)> {
        let body = get(&self.query, "/api/v1/ledger").await?;
        let ledger: Value = serde_json::from_slice(&body).context("read the ledger")?;
        let rows = ledger["rows"].as_array().context("the ledger has no rows")?;
        let rows: Vec<_> = rows.iter().filter(|row| row["signal"] == signal).collect();
        let sum = |field: &str| rows.iter().filter_map(|row| row[field].as_u64()).sum();
        Ok((sum("accepted"), sum("flushed")))
    }

    /// Asks the server to stop and waits for it.
    ///
    /// # Errors
    /// When it does not stop in time, or not with success.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        ensure!(asked.context("run kill")?.success(), "the server is gone before its end");
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("wait for the server")? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            ensure!(begin.elapsed() < STOP_TIME_MAX, "the server has not stopped after {STOP_TIME_MAX:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Addresses that were free a moment ago, all different.
fn free_addresses() -> anyhow::Result<[String; 4]> {
    let mut bound = Vec::new();
    for _ in 0..4 {
        bound.push(TcpListener::bind("127.0.0.1:0").context("find a free port")?);
    }
    let addresses: Result<Vec<_>, _> = bound.iter().map(|l| l.local_addr().map(|a| a.to_string())).collect();
    let addresses = addresses.context("find a free port")?;
    Ok(addresses.try_into().expect("four were bound"))
}

/// The body of a successful GET.
async fn get(address: &str, path: &str) -> anyhow::Result<Bytes> {
    let what = || format!("get http://{address}{path}");
    let stream = TcpStream::connect(address).await.with_context(what)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.with_context(what)?;
    tokio::spawn(connection);
    let request = Request::get(path).header(http::header::HOST, address).body(Empty::<Bytes>::new());
    let response = sender.send_request(request.with_context(what)?).await.with_context(what)?;
    let status = response.status();
    let body = response.into_body().collect().await.with_context(what)?.to_bytes();
    ensure!(status.is_success(), "get http://{address}{path}: {status}");
    Ok(body)
}
