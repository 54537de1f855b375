//! Starts a Prometheus that scrapes itself every second, and asks it what it has.

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
use crate::proxies::programs::snippet;

/// A start takes a second where there is no data.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// What a series has, by times in milliseconds: samples by their bits, histograms as count and the bits of the sum.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Series {
    pub samples: Vec<(i64, u64)>,
    pub histograms: Vec<(i64, u64, u64)>,
}

pub struct Prometheus {
    child: Child,
    port: u16,
    configuration: PathBuf,
    remote_write: String,
}

/// Where the program is; its absence is a failure where tools are required.
pub fn program() -> Result<Option<PathBuf>> {
    let cache = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/meshlake/test-tools"));
    let tools = std::env::var_os("MESHLAKE_TEST_TOOLS").map(PathBuf::from).or(cache);
    let program = tools.map(|tools| tools.join("bin/prometheus")).filter(|program| program.exists());
    if program.is_none() {
        let how = "go install github.com/prometheus/prometheus/cmd/prometheus@v0.316.0";
        ensure!(std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(), "no Prometheus: {how}");
        eprintln!("SKIPPED: a test with a real Prometheus needs it: {how}");
    }
    Ok(program)
}

impl Prometheus {
    /// It writes to `address` as `deploy/prometheus` says, in `message`.
    pub async fn start(program: &Path, dir: &Path, message: &str, address: &str) -> Result<Prometheus> {
        let places = [("127.0.0.1:4318", address), ("io.prometheus.write.v2.Request", message)];
        let remote_write = snippet("prometheus/prometheus.yml", &places)?;
        let (port, configuration) = (free_port().await?, dir.join("prometheus.yml"));
        std::fs::write(&configuration, scrape(&format!("'127.0.0.1:{port}'")) + &remote_write)?;
        let log = std::fs::File::create(dir.join("prometheus.out"))?;
        let child = Command::new(program)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-lifecycle")
            .arg("--enable-feature=exemplar-storage,metadata-wal-records")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("start Prometheus")?;
        let mut prometheus = Prometheus { child, port, configuration, remote_write };
        let ready = async {
            while prometheus.get("/-/ready").await.is_err() {
                let ended = prometheus.child.try_wait()?;
                ensure!(
                    ended.is_none(),
                    "it ended: {}",
                    std::fs::read_to_string(dir.join("prometheus.out"))?
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_TIME_MAX, ready).await.context("Prometheus does not start")??;
        Ok(prometheus)
    }

    /// Scrapes no more: the target is gone, which it tells two scrapes later. What was scraped is still sent.
    pub async fn end_scrapes(&self) -> Result<()> {
        std::fs::write(&self.configuration, scrape("") + &self.remote_write)?;
        let url = format!("http://127.0.0.1:{}/-/reload", self.port);
        let (status, body) = request("POST", &url, &[], Bytes::new()).await?;
        ensure!(status == 200, "reload: {status} {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    /// The sum of a counter of its own over all label sets, as it is now.
    pub async fn counter(&self, name: &str) -> Result<i64> {
        let page = self.get("/metrics").await?;
        let samples = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let values = samples.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<f64>());
        Ok(values.sum::<Result<f64, _>>()? as i64)
    }

    /// All samples of all series in its database, without stale markers.
    pub async fn series(&self) -> Result<BTreeMap<String, Series>> {
        let answer = self.get("/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D%5B1h%5D").await?;
        let answer: Value = serde_json::from_str(&answer)?;
        let result = answer["data"]["result"].as_array().context("a matrix")?;
        result.iter().map(|series| Ok((labels_of(series)?, series_of(series)?))).collect()
    }

    async fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let (status, body) = request("GET", &url, &[], Bytes::new()).await?;
        ensure!(status == 200, "GET {url}: {status} {}", String::from_utf8_lossy(&body));
        Ok(String::from_utf8(body.to_vec())?)
    }
}

/// The section that scrapes the targets of a list.
fn scrape(targets: &str) -> String {
    format!(
        "scrape_configs:\n- job_name: self\n  scrape_interval: 1s\n  scrape_native_histograms: true\n  \
         always_scrape_classic_histograms: true\n  static_configs:\n  - targets: [{targets}]\n"
    )
}

fn labels_of(series: &Value) -> Result<String> {
    let labels: BTreeMap<String, Value> = serde_json::from_value(series["metric"].clone())?;
    Ok(serde_json::to_string(&labels)?)
}

fn series_of(series: &Value) -> Result<Series> {
    let empty = Vec::new();
    let list = |name: &str| series[name].as_array().unwrap_or(&empty);
    let time =
        |point: &Value| Ok::<_, anyhow::Error>((point[0].as_f64().context("a time")? * 1e3).round() as i64);
    let number = |value: &Value| Ok::<_, anyhow::Error>(value.as_str().context("a value")?.parse::<f64>()?);
    let samples = list("values").iter().map(|point| Ok((time(point)?, number(&point[1])?.to_bits())));
    let histograms = list("histograms").iter().map(|point| {
        let count = number(&point[1]["count"])? as u64;
        Ok((time(point)?, count, number(&point[1]["sum"])?.to_bits()))
    });
    Ok(Series { samples: samples.collect::<Result<_>>()?, histograms: histograms.collect::<Result<_>>()? })
}
