//! What it costs to be asked of many series, beside a Prometheus that was sent the same bytes in the same run.
//!
//! An hour of a counter of 100,000 series, a sample a minute, then one sample of each of a million series more; when all is in
//! files both are asked the same questions, one after the other, and have to answer alike. The first time that a question is
//! asked is told apart, because what it learns is kept.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::measure::start_fresh;
use crate::payload::Protocol;
use crate::process;
use crate::remote_write::{self, Load};
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, get};

/// Rows are in files soon after the last was sent.
const FLUSH_AGE: Duration = Duration::from_secs(2);
/// Both encode what they were sent for some seconds.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);
/// Times that a question is asked once it is known; the middle one is told.
const REPEATS: usize = 5;
/// Series that are asked for where there is a limit.
const LIMIT: usize = 1_000;
/// Answers are equal to this share: both add doubles, in orders of their own.
const EQUAL: f64 = 1e-9;

const MANY: &str = "node_cpu_seconds_total";
const LONG: &str = "node_disk_io_time_seconds_total";

/// How much is sent, and to which Prometheus.
#[derive(Debug, Clone, Args)]
pub struct SeriesArgs {
    /// The binary of Prometheus.
    #[arg(long)]
    prometheus: PathBuf,
    /// Series of one sample.
    #[arg(long, default_value_t = 1_000_000)]
    series: usize,
    /// Series of an hour.
    #[arg(long, default_value_t = 100_000)]
    long_series: usize,
}

/// A Prometheus that takes remote write; killed when dropped.
struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already; nothing is left to be done about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    async fn start(binary: &Path, place: &Place, directory: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
        let address = listener.local_addr().context("read the port")?.to_string();
        drop(listener);
        let config = directory.join("prometheus.yml");
        fs::write(&config, "storage:\n  tsdb:\n    out_of_order_time_window: 2h\n")
            .context("write its configuration")?;
        let child = Command::new("taskset")
            .args(["--cpu-list", &place.cpus])
            .arg(binary)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=error"])
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start {} by taskset", binary.display()))?;
        let prometheus = Prometheus { child, address };
        let begin = Instant::now();
        while !matches!(tokio::time::timeout(POLL, get(&prometheus.address, "/-/ready")).await, Ok(Ok(_))) {
            ensure!(begin.elapsed() < SETTLE_TIME_MAX, "Prometheus is not ready");
            tokio::time::sleep(POLL).await;
        }
        Ok(prometheus)
    }
}

/// A question, by what it measures.
struct Question {
    name: &'static str,
    path: String,
}

/// Measures both and writes the page.
///
/// # Errors
/// When one of both cannot be started, asked or stopped, refuses a request, or answers otherwise than the other.
pub async fn page(place: &Place, args: &SeriesArgs) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let now = now.as_secs() / 60 * 60;
    let until = i64::try_from(now * 1_000).context("the clock stands after 2554")?;
    let long = Load { metric: LONG, series: args.long_series, scrapes: 61, interval: 60_000, until };
    let many = Load { metric: MANY, series: args.series, scrapes: 1, interval: 60_000, until };
    let directories = [place.fresh_directory()?, place.fresh_directory()?];
    let server = start_fresh(place, directories[0].path(), FLUSH_AGE).await?;
    let prometheus = Prometheus::start(&args.prometheus, place, directories[1].path()).await?;
    for load in [&long, &many] {
        for address in [server.address(Protocol::HttpProtobuf), prometheus.address.as_str()] {
            remote_write::send_all(address, load).await?;
        }
    }
    wait_until_flushed(&server).await?;
    let mut rows = Vec::new();
    for Question { name, path } in questions(now) {
        let ours = asked(server.query(), &format!("/prometheus{path}")).await?;
        let theirs = asked(&prometheus.address, &path).await?;
        check(name, &ours.answer, &theirs.answer)?;
        let millis = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e3);
        rows.push(vec![
            name.to_owned(),
            millis(ours.first),
            millis(ours.known),
            millis(theirs.first),
            millis(theirs.known),
        ]);
    }
    let memory =
        |pid: u32| Ok::<_, anyhow::Error>(format!("{:.0}", process::peak_memory(pid)? as f64 / MEBIBYTE));
    let query = process::children(server.pid())?.first().copied().context("there is no query process")?;
    let memory = vec![
        vec!["Meshlake, collector".to_owned(), memory(server.pid())?],
        vec!["Meshlake, queries".to_owned(), memory(query)?],
        vec!["Prometheus".to_owned(), memory(prometheus.child.id())?],
    ];
    drop(prometheus);
    server.stop().await?;
    let columns = ["question", "first, ms", "then, ms", "Prometheus, first, ms", "then, ms"];
    Ok(format!(
        "# Questions over many series\n\n{} series of a sample, {} of an hour at a sample a minute, by remote write to both. Answers are equal.\n\n{}{}\n{}",
        args.series,
        args.long_series,
        report::head(),
        report::table(&columns, &rows),
        report::table(&["process", "peak RSS MiB"], &memory),
    ))
}

fn questions(now: u64) -> Vec<Question> {
    let hour = format!("start={}&end={now}", now - 3_600);
    let question = |name, path| Question { name, path };
    vec![
        question("values of a label", format!("/api/v1/label/instance/values?{hour}")),
        question("values of a label of a metric", format!("/api/v1/label/pod/values?match[]={MANY}&{hour}")),
        question("names of labels", format!("/api/v1/labels?{hour}")),
        question("1,000 series of a metric", format!("/api/v1/series?match[]={MANY}&limit={LIMIT}&{hour}")),
        question(
            "sum by (mode) (rate(m[5m])) over an hour",
            format!("/api/v1/query_range?query=sum%20by%20(mode)%20(rate({LONG}[5m]))&step=60&{hour}"),
        ),
    ]
}

struct Asking {
    answer: Value,
    first: Duration,
    known: Duration,
}

async fn asked(address: &str, path: &str) -> anyhow::Result<Asking> {
    let mut times = Vec::new();
    let mut answer = Value::Null;
    for _ in 0..=REPEATS {
        let begin = Instant::now();
        let body = get(address, path).await.with_context(|| format!("ask {address} for {path}"))?;
        times.push(begin.elapsed());
        answer = serde_json::from_slice(&body).context("read an answer")?;
    }
    let first = times.remove(0);
    times.sort();
    Ok(Asking { answer: answer["data"].take(), first, known: times[REPEATS / 2] })
}

/// The same values; of series with a limit as many, since any will do.
fn check(name: &str, ours: &Value, theirs: &Value) -> anyhow::Result<()> {
    let is_alike = match (ours.as_array(), theirs.as_array()) {
        (Some(ours), Some(theirs)) if ours.first().is_some_and(Value::is_object) => {
            ours.len() == theirs.len()
        }
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => sums(ours).zip(sums(theirs)).is_some_and(|(ours, theirs)| are_equal(&ours, &theirs)),
    };
    ensure!(
        is_alike,
        "{name}: the answers differ: {:.300} and {:.300}",
        ours.to_string(),
        theirs.to_string()
    );
    Ok(())
}

fn are_equal(ours: &[(String, f64)], theirs: &[(String, f64)]) -> bool {
    let is_equal =
        |(a, b): (&(String, f64), &(String, f64))| a.0 == b.0 && (a.1 - b.1).abs() <= EQUAL * b.1.abs();
    ours.len() == theirs.len() && !ours.is_empty() && ours.iter().zip(theirs).all(is_equal)
}

/// Samples of a matrix, each with what it is of, sorted.
fn sums(matrix: &Value) -> Option<Vec<(String, f64)>> {
    let mut all = Vec::new();
    for series in matrix["result"].as_array()? {
        for sample in series["values"].as_array()? {
            let value = sample[1].as_str()?.parse().ok()?;
            all.push((format!("{} {}", series["metric"], sample[0].as_f64()?), value));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Some(all)
}

async fn wait_until_flushed(server: &crate::server::Server) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let (accepted, flushed) = server.ledger("metrics").await?;
        if accepted == flushed {
            return Ok(());
        }
        ensure!(begin.elapsed() < SETTLE_TIME_MAX, "{flushed} of {accepted} samples are in files");
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_that_differ_are_told_apart() {
        let matrix = |value: &str| json!({"result": [{"metric": {"mode": "idle"}, "values": [[60, value]]}]});
        assert!(check("sums", &matrix("1.0"), &matrix("1.0000000001")).is_ok());
        assert!(check("sums", &matrix("1.0"), &matrix("1.00000001")).is_err());
        assert!(check("nothing", &json!({"result": []}), &json!({"result": []})).is_err());
        assert!(check("names", &json!(["a", "b"]), &json!(["a", "c"])).is_err());
        let series = |count: usize| Value::from(vec![json!({"a": "b"}); count]);
        assert!(check("series", &series(2), &series(2)).is_ok());
        assert!(check("series", &series(2), &series(3)).is_err());
    }
}
