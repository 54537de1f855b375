//! A real Prometheus that takes OTLP, and what an answer of its API tells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::envoy::free_port;
use crate::harness::request;
use crate::sql::tools::{available, directory};

/// A start with an empty directory takes a second.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What it promotes is what Meshlake does.
const CONFIG: &str = "
otlp:
  promote_scope_metadata: true
  promote_resource_attributes: [service.instance.id, service.name, service.namespace, service.version, k8s.namespace.name, k8s.pod.name]
storage:
  tsdb:
    out_of_order_time_window: 1h
";

pub struct Prometheus {
    /// Killed when dropped.
    child: Child,
    pub address: String,
}

impl Prometheus {
    /// From the test tools. Its absence is a failure where tools are required (CI), else a notice.
    pub async fn start(dir: &Path) -> Result<Option<Prometheus>> {
        let Some(binary) = binary()? else { return Ok(None) };
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, CONFIG)?;
        let address = format!("127.0.0.1:{}", free_port().await?);
        let log = std::fs::File::create(dir.join("prometheus.log"))?;
        let child = Command::new(binary)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-otlp-receiver")
            .arg("--enable-feature=otlp-deltatocumulative")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("start Prometheus")?;
        let mut prometheus = Prometheus { child, address };
        tokio::time::timeout(START_TIMEOUT, prometheus.ready())
            .await
            .context("Prometheus is not ready")??;
        Ok(Some(prometheus))
    }

    async fn ready(&mut self) -> Result<()> {
        let url = format!("http://{}/-/ready", self.address);
        while request("GET", &url, &[], Bytes::new()).await.map_or(0, |(status, _)| status) != 200 {
            ensure!(self.child.try_wait()?.is_none(), "Prometheus ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

fn binary() -> Result<Option<PathBuf>> {
    let path = directory()?.join("bin/prometheus");
    available(path.exists().then_some(path), "prometheus is not installed: .ci/run says how")
}

/// Samples of each series, by labels: time in milliseconds, and a number or a histogram as JSON.
pub type Series = BTreeMap<String, BTreeMap<i64, Value>>;

/// All samples that a selector finds in the hour before `time`, in seconds.
pub async fn samples(api: &str, selector: &str, time: u64) -> Result<Series> {
    let query: String = format!("{selector}[1h]").bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = format!("{api}/api/v1/query?query={query}&time={time}");
    let (status, body) = request("GET", &url, &[], Bytes::new()).await?;
    ensure!(status == 200, "{url}: {status} {}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body)?;
    let rows = answer["data"]["result"].as_array().context("a matrix")?;
    let mut series = Series::new();
    for row in rows {
        let labels = serde_json::to_string(&row["metric"])?;
        let all = [&row["values"], &row["histograms"]];
        let pairs = all.into_iter().filter_map(Value::as_array).flatten();
        let samples = pairs.map(|pair| {
            let seconds = pair[0].as_f64().context("a time")?;
            Ok(((seconds * 1e3).round() as i64, pair[1].clone()))
        });
        let before = series.insert(labels.clone(), samples.collect::<Result<_>>()?);
        ensure!(before.is_none(), "{labels} comes twice");
    }
    Ok(series)
}
