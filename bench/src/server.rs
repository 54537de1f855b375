//! The measured meshlake: a process of its own on free ports, started on the CPUs it may use, asked, and ended.
//!
//! A separate process, so that its CPU time and memory are its own; the release binary, as users run it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::payload::Protocol;
use crate::process;

/// It promises to stop within 10 s.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Which meshlake is measured, and where.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The binary to measure.
    #[arg(long, default_value = "target/release/meshlake")]
    pub binary: PathBuf,
    /// CPUs that it runs on, as `taskset --cpu-list` takes them.
    #[arg(long, default_value = "0")]
    pub cpus: String,
    /// Where data directories are made: the disk that is measured.
    #[arg(long, default_value = ".")]
    pub data_parent: PathBuf,
}

impl Place {
    /// An empty data directory, removed when dropped.
    ///
    /// # Errors
    /// The world's.
    pub fn fresh_directory(&self) -> anyhow::Result<TempDir> {
        TempDir::with_prefix_in("meshlake-bench-", &self.data_parent).context("make a data directory")
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data_dir: PathBuf,
    pub otlp_grpc: String,
    otlp_http: String,
    query: String,
    admin: String,
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
}

impl Server {
    /// Starts the server on the data directory, with these environment variables as settings, and waits until
    /// it is ready, `ready_max` at most.
    ///
    /// # Errors
    /// When `taskset` or the binary is missing, or the server does not become ready.
    pub async fn start(
        place: &Place,
        data_dir: &Path,
        settings: &[(&str, String)],
        ready_max: Duration,
    ) -> anyhow::Result<Self> {
        let [otlp_grpc, otlp_http, query, admin] = free_addresses()?;
        let begin = Instant::now();
        let child = Command::new("taskset")
            .args(["--cpu-list", &place.cpus])
            .arg(&place.binary)
            .args(["run", "--data-dir"])
            .arg(data_dir)
            .env("MESHLAKE_COLLECTOR__OTLP_GRPC", &otlp_grpc)
            .env("MESHLAKE_COLLECTOR__OTLP_HTTP", &otlp_http)
            .env("MESHLAKE_QUERY__HTTP", &query)
            // Nobody asks here, and two benchmarks may run beside each other.
            .env("MESHLAKE_QUERY__POSTGRES", "127.0.0.1:0")
            .env("MESHLAKE_QUERY__FLIGHT_SQL", "127.0.0.1:0")
            .env("MESHLAKE_ADMIN__HTTP", &admin)
            .env("MESHLAKE_TELEMETRY__LOG", "warn")
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start {} by taskset", place.binary.display()))?;
        let ready_after = Duration::ZERO;
        let mut server =
            Server { child, data_dir: data_dir.to_owned(), otlp_grpc, otlp_http, query, admin, ready_after };
        server.wait_until_ready(begin, ready_max).await?;
        server.ready_after = begin.elapsed();
        Ok(server)
    }

    async fn wait_until_ready(&mut self, begin: Instant, ready_max: Duration) -> anyhow::Result<()> {
        // While it recovers the socket is bound and nobody answers, so a question may wait for long.
        while !matches!(tokio::time::timeout(POLL, get(&self.admin, "/readyz")).await, Ok(Ok(_))) {
            if let Some(status) = self.child.try_wait().context("look at the server")? {
                bail!("the server ended at its start: {status}");
            }
            ensure!(begin.elapsed() < ready_max, "the server is not ready after {ready_max:?}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// `taskset` becomes the server, so this is the server's own id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process that answers questions, which the server started. When it has been started again it is another.
    ///
    /// # Errors
    /// When there is none.
    pub fn questions_pid(&self) -> anyhow::Result<u32> {
        let children = process::children(self.pid())?;
        children.first().copied().context("find the process that answers questions")
    }

    /// CPU time of both processes.
    ///
    /// # Errors
    /// When one is gone.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        Ok(process::cpu_time(self.pid())? + process::cpu_time(self.questions_pid()?)?)
    }

    /// Where it takes requests of a protocol.
    pub fn address(&self, protocol: Protocol) -> &str {
        if protocol == Protocol::Grpc { &self.otlp_grpc } else { &self.otlp_http }
    }

    /// Where it is asked.
    pub fn query(&self) -> &str {
        &self.query
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
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

    /// The server's metrics as they are now.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        let body = get(&self.admin, "/metrics").await?;
        Ok(Metrics(String::from_utf8(body.into()).context("read the metrics")?))
    }

    /// The JSON behind a path of the query port.
    ///
    /// # Errors
    /// When the server does not answer, or with anything else.
    pub async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let body = get(&self.query, path).await?;
        serde_json::from_slice(&body).with_context(|| format!("read the answer of {path}"))
    }

    /// The text behind a path of the query port.
    ///
    /// # Errors
    /// When the server does not answer, or with anything else.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let body = get(&self.query, path).await?;
        String::from_utf8(body.into()).with_context(|| format!("read the answer of {path}"))
    }

    /// The rows that answer a statement.
    ///
    /// # Errors
    /// When the server refuses it or fails.
    pub async fn sql(&self, statement: &str) -> anyhow::Result<Vec<Value>> {
        let body = json!({ "sql": statement }).to_string();
        let answer = ask(&self.query, Method::POST, "/api/v1/sql", body).await;
        let answer = answer.with_context(|| format!("ask {statement}"))?;
        let mut answer: Value = serde_json::from_slice(&answer).context("read an answer")?;
        match answer["rows"].take() {
            Value::Array(rows) => Ok(rows),
            _ => bail!("the answer to {statement} has no rows"),
        }
    }

    /// The spans of a trace.
    ///
    /// # Errors
    /// When the server has no such trace or fails.
    pub async fn trace(&self, trace_id: &str) -> anyhow::Result<Vec<Value>> {
        let body = get(&self.query, &format!("/api/v1/traces/{trace_id}")).await?;
        let mut answer: Value = serde_json::from_slice(&body).context("read a trace")?;
        match answer["spans"].take() {
            Value::Array(spans) => Ok(spans),
            _ => bail!("the trace {trace_id} has no spans"),
        }
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

/// A page of metrics in Prometheus' text format.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// The value of a metric without labels; zero when it is not there.
    pub fn value(&self, name: &str) -> f64 {
        let sample = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        self.0.lines().find_map(sample).unwrap_or_default()
    }

    /// The value of a metric with exactly this label, as the page writes it: `table="spans"`.
    pub fn labelled(&self, name: &str, label: &str) -> f64 {
        self.value(&format!("{name}{{{label}}}"))
    }

    /// The sums of a metric by one of its labels, in the order of their names.
    pub fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for line in self.0.lines() {
            let sample = line.strip_prefix(name).and_then(|line| line.strip_prefix('{')?.split_once("} "));
            let Some((labels, value)) = sample else { continue };
            let of = labels.split(',').find_map(|pair| pair.strip_prefix(label)?.strip_prefix("=\""));
            if let (Some(of), Ok(value)) = (of, value.trim().parse::<f64>()) {
                *sums.entry(of.trim_end_matches('"').to_owned()).or_default() += value;
            }
        }
        sums
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

/// An address that was free a moment ago.
///
/// # Errors
/// The world's.
pub fn free_address() -> anyhow::Result<String> {
    let [address, ..] = free_addresses()?;
    Ok(address)
}

/// The body of a successful GET.
///
/// # Errors
/// When nobody answers, or with anything else.
pub async fn get(address: &str, path: &str) -> anyhow::Result<Bytes> {
    ask(address, Method::GET, path, String::new()).await
}

async fn ask(address: &str, method: Method, path: &str, body: String) -> anyhow::Result<Bytes> {
    ask_with(address, method, path, &[("content-type", "application/json")], body.into_bytes()).await
}

/// The body of a successful request, on a connection of its own.
///
/// # Errors
/// As [`get`].
pub async fn ask_with(
    address: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> anyhow::Result<Bytes> {
    let what = || format!("{method} http://{address}{path}");
    let stream = TcpStream::connect(address).await.with_context(what)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.with_context(what)?;
    tokio::spawn(connection);
    let request = Request::builder().method(method.clone()).uri(path).header(header::HOST, address);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(Bytes::from(body)));
    let response = sender.send_request(request.with_context(what)?).await.with_context(what)?;
    let status = response.status();
    let body = response.into_body().collect().await.with_context(what)?.to_bytes();
    ensure!(status.is_success(), "{}: {status}: {}", what(), String::from_utf8_lossy(&body));
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let page = "# HELP a_total Things.\na_total_more 7\na_total 3\nb{x=\"1\"} 9\nb 0.5\n";
        let metrics = Metrics(page.to_owned());
        assert_eq!((metrics.value("a_total"), metrics.value("b"), metrics.value("c")), (3.0, 0.5, 0.0));
        assert_eq!(metrics.labelled("b", "x=\"1\""), 9.0);
    }

    #[test]
    fn a_metric_is_summed_by_a_label() {
        let page = "a_total{x=\"1\",status=\"ok\"} 3\na_total{x=\"2\",status=\"ok\"} 4\na_total{x=\"2\",status=\"busy\"} 1\n";
        let sums = Metrics(page.to_owned()).by_label("a_total", "status");
        assert_eq!(sums, BTreeMap::from([("busy".to_owned(), 1.0), ("ok".to_owned(), 7.0)]));
    }
}
