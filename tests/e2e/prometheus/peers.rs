//! A Prometheus beside us: it evaluates queries over samples that it reads from us, and scrapes our federation. What it
//! answers is compared with what we answer to the same question.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{base, data, program, server_with_metrics};
use crate::harness::{Server, request};

/// For a Prometheus to listen, and to have scraped once.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A Prometheus that is killed when it is dropped.
pub struct Peer {
    _child: Child,
    pub base: String,
}

impl Peer {
    /// Starts one with a configuration, and waits until it is ready.
    async fn start(prometheus: &Path, dir: &Path, configuration: &str) -> Result<Peer> {
        Peer::start_with(prometheus, dir, configuration, &[]).await
    }

    /// The same, with further flags.
    pub async fn start_with(
        prometheus: &Path,
        dir: &Path,
        configuration: &str,
        flags: &[&str],
    ) -> Result<Peer> {
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, configuration)?;
        let mut child = Command::new(prometheus)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start Prometheus")?;
        let mut log = BufReader::new(child.stderr.take().context("it is piped")?).lines();
        let address = async {
            while let Some(line) = log.next_line().await? {
                if line.contains("msg=\"Listening on\"") {
                    let address = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
                    return Ok(address.context("it says where")?.to_owned());
                }
            }
            anyhow::bail!("Prometheus ended before it listened")
        };
        let address =
            tokio::time::timeout(TIME_MAX, address).await.context("Prometheus does not listen")??;
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let peer = Peer { _child: child, base: format!("http://{address}") };
        let url = format!("{}/-/ready", peer.base);
        let ready = async {
            while request("GET", &url, &[], Bytes::new()).await.map_or(0, |(status, _)| status) != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIME_MAX, ready).await.context("Prometheus is not ready")?;
        Ok(peer)
    }
}

/// What is asked of both, over samples of every kind, at instants and over ranges.
const QUERIES: [&str; 9] = [
    "queue_length",
    "{__name__=~\"queue.*\",zone!=\"b\"}",
    "rate(jobs_total[1m])",
    "sum by (job) (increase(jobs_total[45s]))",
    "latency_seconds",
    "histogram_quantile(0.9, rate(latency_seconds[1m]))",
    "histogram_fraction(0, 2, latency_seconds)",
    "max_over_time(queue_length[1m:15s] offset 15s)",
    "absent(nothing)",
];

async fn compare(server: &Server, peer: &Peer, newest: u64) -> Result<()> {
    let (start, end) = ((newest - 60).to_string(), newest.to_string());
    for query in QUERIES {
        let instant = [("query", query), ("time", end.as_str())];
        let range = [("query", query), ("start", start.as_str()), ("end", end.as_str()), ("step", "15")];
        for (path, parameters) in [("query", &instant[..]), ("query_range", &range[..])] {
            let ours = data(&base(server), path, parameters).await?;
            let theirs = data(&peer.base, path, parameters).await?;
            ensure!(
                is_alike(&sorted(&ours), &sorted(&theirs)),
                "{path} {query}\nours   {ours}\ntheirs {theirs}"
            );
            ensure!(!ours["result"].as_array().context("a list")?.is_empty(), "{path} {query}: {ours}");
        }
    }
    Ok(())
}

/// The rows of an answer, by their labels: an instant vector has no order.
fn sorted(data: &Value) -> Value {
    let mut rows = data["result"].as_array().cloned().unwrap_or_default();
    rows.sort_by_key(|row| row["metric"].to_string());
    Value::from(rows)
}

/// Whether two answers are the same, numbers to 1e-9: bounds of buckets are powers that differ in the last digit.
pub fn is_alike(a: &Value, b: &Value) -> bool {
    const RELATIVE_ERROR: f64 = 1e-9;
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_alike(a, b)))
        }
        (Value::String(a), Value::String(b)) => match (number(a), number(b)) {
            (Some(a), Some(b)) => (a - b).abs() <= RELATIVE_ERROR * a.abs().max(b.abs()),
            _ => a == b,
        },
        _ => a == b,
    }
}

/// Frames of chunks are what a Prometheus asks for.
#[tokio::test]
async fn a_prometheus_evaluates_over_what_it_reads_from_us() -> Result<()> {
    let Some(prometheus) = program("prometheus")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (server, newest) = server_with_metrics(&dir.path().join("data")).await?;
    let url = base(&server) + "/api/v1/read";
    let configuration = format!("remote_read:\n- url: {url}\n  read_recent: true\n");
    let peer = Peer::start(&prometheus, dir.path(), &configuration).await?;
    compare(&server, &peer, newest).await
}

/// Names, labels and times as they were sent; a native histogram has no text.
#[tokio::test]
async fn a_prometheus_federates_text_from_us() -> Result<()> {
    federates("scrape_protocols: [PrometheusText1.0.0]", &["queue_length", "jobs_total"]).await
}

#[tokio::test]
async fn a_prometheus_federates_messages_from_us() -> Result<()> {
    let queries = ["queue_length", "jobs_total", "latency_seconds"];
    federates("scrape_native_histograms: true", &queries).await
}

/// Scenario: a Prometheus scrapes our federation in a way that its configuration says. Guarantee: it has the same.
async fn federates(way: &str, queries: &[&str]) -> Result<()> {
    let Some(prometheus) = program("prometheus")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (server, newest) = server_with_metrics(&dir.path().join("data")).await?;
    let configuration = format!(
        "scrape_configs:\n- job_name: federate\n  honor_labels: true\n  scrape_interval: 1s\n  {way}\n  \
         metrics_path: /prometheus/federate\n  params: {{'match[]': ['{{job=\"shop\"}}']}}\n  \
         static_configs: [{{targets: ['{}']}}]\n",
        server.addresses.query
    );
    let peer = Peer::start(&prometheus, dir.path(), &configuration).await?;
    let newest = newest.to_string();
    for query in queries {
        let parameters = [("query", *query), ("time", newest.as_str())];
        let ours = data(&base(&server), "query", &parameters).await?;
        let scraped = async {
            loop {
                let theirs = data(&peer.base, "query", &parameters).await?;
                if sorted(&theirs) != Value::Array(Vec::new()) {
                    return anyhow::Ok(theirs);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let theirs = tokio::time::timeout(TIME_MAX, scraped).await.context("nothing was scraped")??;
        ensure!(is_alike(&sorted(&ours), &sorted(&theirs)), "{query}\nours   {ours}\ntheirs {theirs}");
    }
    Ok(())
}
