//! Runs the built binary as its users do, on free ports and a temporary directory, and speaks to it over HTTP.
//!
//! The process is killed when the harness is dropped, also when a test fails. Its log goes to a file in
//! the data directory's parent and is printed when a start fails.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// A start includes replaying the WAL; the slowest seen in tests is far below.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// signal(7)
const SIGKILL: i32 = 9;

pub const BINARY: &str = env!("CARGO_BIN_EXE_meshlake");

/// Where the process listens, read from what it prints at start.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    pub otlp_grpc: String,
    pub otlp_http: String,
    pub query: String,
    pub flight_sql: String,
    pub postgres: String,
    pub admin: String,
}

#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
    pub addresses: Addresses,
}

/// A process that was started and may not be ready yet.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    stdout: ChildStdout,
    log: PathBuf,
}

/// Environment under which what runs in the background of a store runs all the time: a buffer that is full
/// after some thousand rows, and no row older than a second.
pub const BUSY_STORE: [(&str, &str); 2] =
    [("MESHLAKE_STORE__BUFFER_BYTES_MAX", "1048576"), ("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "1")];

/// Environment that puts every listener on a free port.
pub const FREE_PORTS: [(&str, &str); 7] = [
    ("MESHLAKE_COLLECTOR__OTLP_GRPC", "127.0.0.1:0"),
    ("MESHLAKE_COLLECTOR__OTLP_HTTP", "127.0.0.1:0"),
    ("MESHLAKE_QUERY__HTTP", "127.0.0.1:0"),
    ("MESHLAKE_QUERY__FLIGHT_SQL", "127.0.0.1:0"),
    ("MESHLAKE_QUERY__POSTGRES", "127.0.0.1:0"),
    ("MESHLAKE_QUERY__ADMIN", "127.0.0.1:0"),
    ("MESHLAKE_ADMIN__HTTP", "127.0.0.1:0"),
];

impl Server {
    /// Starts `meshlake run` on `data_dir` and waits until it is ready.
    pub async fn start(data_dir: &Path) -> Result<Server> {
        Server::start_with(&["run"], data_dir, &[]).await
    }

    /// Starts the binary with a subcommand and further environment, and waits until it is ready.
    pub async fn start_with(
        arguments: &[&str],
        data_dir: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Server> {
        Server::spawn(arguments, data_dir, environment)?.ready().await
    }

    /// Starts the binary and does not wait for it.
    pub fn spawn(arguments: &[&str], data_dir: &Path, environment: &[(&str, &str)]) -> Result<Starting> {
        let log = log_path(data_dir);
        let log_file = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut child = Command::new(BINARY)
            .args(arguments)
            .arg("--data-dir")
            .arg(data_dir)
            .envs(FREE_PORTS)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .kill_on_drop(true)
            .spawn()
            .context("start the meshlake binary")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        Ok(Starting { child, stdout, log })
    }

    /// True while the process has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let url = format!("http://{}/readyz", self.addresses.admin);
        let ready = async {
            while request("GET", &url, &[], Bytes::new()).await.map_or(0, |(status, _)| status) != 200 {
                ensure!(self.is_alive(), "the server ended before it was ready");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_TIMEOUT, ready).await.context("the server did not become ready in time")?
    }

    /// True when the process ends by itself before `timeout` is over.
    pub async fn dies_within(mut self, timeout: Duration) -> Result<bool> {
        match tokio::time::timeout(timeout, self.child.wait()).await {
            Ok(status) => status.map(|_| true).context("wait for the server"),
            Err(_) => Ok(false),
        }
    }

    /// Fails unless the server says that it is ready.
    pub async fn check_ready(&self) -> Result<()> {
        let url = format!("http://{}/readyz", self.addresses.admin);
        let (status, body) = request("GET", &url, &[], Bytes::new()).await?;
        ensure!(status == 200, "/readyz: {status} {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    /// SIGKILL, as a crash does it; returns when the process is gone.
    ///
    /// # Errors
    /// Also when the process had ended by itself before, which no server may.
    pub async fn kill(self) -> Result<()> {
        kill(self.child).await
    }

    /// SIGTERM, as an orchestrator does it; returns the exit code.
    pub async fn terminate(self) -> Result<Option<i32>> {
        terminate(self.child).await
    }

    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the server runs")
    }

    /// SIGHUP: the configuration is to be read again.
    pub async fn hang_up(&self) -> Result<()> {
        signal(&self.child, "HUP").await
    }

    /// The log so far.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// GET on the query API; the answer must be 200 and JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) =
            request("GET", &format!("http://{}{path}", self.addresses.query), &[], Bytes::new()).await?;
        ensure!(status == 200, "GET {path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).with_context(|| format!("GET {path}: no JSON"))
    }

    /// Fails when a thread of this process, or of an earlier one on the data directory, has panicked: most are
    /// caught, and then nothing else may tell.
    pub fn check_for_panics(&self) -> Result<()> {
        let log = self.log()?;
        let panic = log.lines().find(|line| line.contains("panicked at"));
        ensure!(panic.is_none(), "the server panicked:\n{log}");
        Ok(())
    }

    /// A number of `/metrics` that has no labels.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let url = format!("http://{}/metrics", self.addresses.admin);
        let (status, page) = request("GET", &url, &[], Bytes::new()).await?;
        ensure!(status == 200, "GET {url}: {status}");
        let page = String::from_utf8(page.to_vec())?;
        let sample = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        sample.with_context(|| format!("no {name} in\n{page}"))?.parse().context("a number")
    }

    /// Rows of a SQL answer.
    pub async fn sql(&self, statement: &str) -> Result<Vec<Vec<Value>>> {
        let body = serde_json::to_vec(&serde_json::json!({ "sql": statement }))?;
        let url = format!("http://{}/api/v1/sql", self.addresses.query);
        let (status, body) =
            request("POST", &url, &[("content-type", "application/json")], body.into()).await?;
        ensure!(status == 200, "{statement}: {status} {}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body)?;
        let rows = answer["rows"].as_array().context("rows are an array")?;
        rows.iter().map(|row| Ok(row.as_array().context("a row is an array")?.clone())).collect()
    }

    /// The one number that a SQL statement asks for.
    pub async fn number(&self, statement: &str) -> Result<i64> {
        let rows = self.sql(statement).await?;
        let value = rows.first().and_then(|row| row.first()).context("one row with one column")?;
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        number.with_context(|| format!("{statement}: {value} is no number"))
    }
}

impl Starting {
    /// Waits until the server is ready.
    pub async fn ready(self) -> Result<Server> {
        let mut server = self.listening().await?;
        server.wait_ready().await?;
        Ok(server)
    }

    /// Waits until the server listens, ready or not.
    pub async fn listening(self) -> Result<Server> {
        let Starting { child, stdout, log } = self;
        let addresses = tokio::time::timeout(START_TIMEOUT, read_addresses(stdout))
            .await
            .context("no addresses were printed in time")
            .and_then(|read| read)
            .with_context(|| format!("log:\n{}", std::fs::read_to_string(&log).unwrap_or_default()))?;
        Ok(Server { child, log, addresses })
    }

    /// As [`Server::kill`].
    pub async fn kill(self) -> Result<()> {
        kill(self.child).await
    }

    /// As [`Server::terminate`].
    pub async fn terminate(self) -> Result<Option<i32>> {
        terminate(self.child).await
    }

    /// Sends the signal of this name.
    pub async fn signal(&self, name: &str) -> Result<()> {
        signal(&self.child, name).await
    }

    /// As [`Server::kill`], of a process that may have given up before with the exit code of a failed start.
    pub async fn kill_or_failed(mut self) -> Result<()> {
        // An error means that it has ended, which the status tells.
        self.child.start_kill().ok();
        let status = self.child.wait().await?;
        ensure!(
            status.signal() == Some(SIGKILL) || status.code() == Some(1),
            "the start ended with {status}"
        );
        Ok(())
    }
}

async fn terminate(mut child: Child) -> Result<Option<i32>> {
    signal(&child, "TERM").await?;
    Ok(child.wait().await?.code())
}

async fn signal(child: &Child, name: &str) -> Result<()> {
    let pid = child.id().context("the process runs")?;
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().await?;
    ensure!(status.success(), "kill -{name} failed");
    Ok(())
}

async fn kill(mut child: Child) -> Result<()> {
    child.start_kill().context("kill the server")?;
    let status = child.wait().await?;
    ensure!(status.signal() == Some(SIGKILL), "the server ended by itself: {status}");
    Ok(())
}

/// The log of the processes that ran on `data_dir`.
pub fn log_path(data_dir: &Path) -> PathBuf {
    data_dir.with_extension("log")
}

async fn read_addresses(stdout: ChildStdout) -> Result<Addresses> {
    let mut addresses = Addresses::default();
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        let Some((name, rest)) = line.trim().split_once("  ") else { continue };
        let address = rest
            .trim()
            .trim_start_matches("http://")
            .trim_start_matches("grpc://")
            .trim_start_matches("postgres://")
            .split(['/', ' '])
            .next()
            .unwrap_or_default()
            .to_owned();
        match name {
            "OTLP/gRPC, Envoy ALS" => addresses.otlp_grpc = address,
            "OTLP/HTTP" => addresses.otlp_http = address,
            "web page, API" => addresses.query = address,
            "Arrow Flight SQL" => addresses.flight_sql = address,
            "PostgreSQL clients" => addresses.postgres = address,
            "admin" => {
                addresses.admin = address;
                // The last address; what follows on stdout must still be read, or the pipe would fill.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(addresses);
            }
            _ => {}
        }
    }
    bail!("the server ended before it had printed its addresses")
}

/// A client that keeps its connections.
pub type HttpClient = Client<HttpConnector, Full<Bytes>>;

pub fn http_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// One HTTP/1.1 request on a connection of its own; status and whole body.
pub async fn request(method: &str, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<(u16, Bytes)> {
    request_with(&http_client(), method, url, headers, body).await
}

/// One HTTP/1.1 request; status and whole body.
pub async fn request_with(
    client: &HttpClient,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<(u16, Bytes)> {
    let mut request = hyper::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Full::new(body))?).await?;
    let status = response.status().as_u16();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
