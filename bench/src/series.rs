//! What it costs to be asked of many series, beside a Prometheus and a VictoriaMetrics that were sent the same bytes in the
//! same run.
//!
//! An hour of a counter of 100,000 series, a sample a minute, then one sample of each of a million series more; when all is in
//! files all are asked the same questions, one after the other, and have to answer alike. The first time that a question is
//! asked is told apart, because what it learns is kept.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::measure::start_fresh;
use crate::payload::Protocol;
use crate::process;
use crate::prometheus::{Kind, Prometheus};
use crate::remote_write::messages::Load;
use crate::remote_write::sending::send_all;
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, get};

/// Rows are in files soon after the last was sent.
const FLUSH_AGE: Duration = Duration::from_secs(2);
/// All encode what they were sent for some seconds.
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

/// How much is sent, and to whom beside the server.
#[derive(Debug, Clone, Args)]
pub struct SeriesArgs {
    /// The binary of Prometheus.
    #[arg(long)]
    prometheus: PathBuf,
    /// That of VictoriaMetrics; without one, it is left out.
    #[arg(long)]
    victoria_metrics: Option<PathBuf>,
    /// Series of one sample.
    #[arg(long, default_value_t = 1_000_000)]
    series: usize,
    /// Series of an hour.
    #[arg(long, default_value_t = 100_000)]
    long_series: usize,
}

/// A question, by what it measures.
struct Question {
    name: &'static str,
    path: String,
}

/// Who is asked.
struct Asked<'a> {
    name: &'static str,
    /// Of the receiver of remote write, and of the API.
    write: &'a str,
    address: &'a str,
    base: &'static str,
    /// Its process that answers.
    pid: u32,
}

/// Measures all and writes the page.
///
/// # Errors
/// When one cannot be started, asked or stopped, refuses a request, or answers otherwise than the first.
pub async fn page(place: &Place, args: &SeriesArgs) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let now = now.as_secs() / 60 * 60;
    let until = i64::try_from(now * 1_000).context("the clock stands after 2554")?;
    let long = Load { metric: LONG, series: args.long_series, scrapes: 61, interval: 60_000, until };
    let many = Load { metric: MANY, series: args.series, scrapes: 1, interval: 60_000, until };
    let directory = place.fresh_directory()?;
    let server = start_fresh(place, directory.path(), FLUSH_AGE).await?;
    let others = others(place, args).await?;
    let query = process::children(server.pid())?.first().copied().context("there is no query process")?;
    let (write, address) = (server.address(Protocol::HttpProtobuf), server.query());
    let mut all = vec![Asked { name: "Meshlake", write, address, base: "/prometheus", pid: query }];
    all.extend(others.iter().map(|(kind, other)| Asked {
        name: kind.name(),
        write: other.address(),
        address: other.address(),
        base: "",
        pid: other.pid(),
    }));
    let sent = sent(&all, &[long, many]).await?;
    wait_until_flushed(&server).await?;
    for (_, other) in others.iter().filter(|(kind, _)| *kind == Kind::VictoriaMetrics) {
        get(other.address(), "/internal/force_flush").await.context("make what was sent visible")?;
    }
    let rows = answers(&all, now).await?;
    let mut memory = vec![vec!["Meshlake, collector".to_owned(), mebibytes(server.pid())?]];
    for asked in &all {
        memory.push(vec![asked.name.to_owned(), mebibytes(asked.pid)?]);
    }
    let mut columns = vec!["question"];
    for asked in &all {
        columns.extend([asked.name, "then, ms"]);
    }
    let page = format!(
        "# Questions over many series\n\n{} series of a sample, {} of an hour at a sample a minute, by remote write. In milliseconds: the \
         first time, and the median of {REPEATS} times more. Answers of Meshlake and Prometheus are equal, of \
         VictoriaMetrics as long.\n\n{}{}\n{}\n{}",
        args.series,
        args.long_series,
        report::head(),
        report::table(&columns, &rows),
        report::table(&["sent to", "seconds", "requests sent again for want of room"], &sent),
        report::table(&["process", "peak RSS MiB"], &memory),
    );
    drop(others);
    server.stop().await?;
    Ok(page)
}

async fn others(place: &Place, args: &SeriesArgs) -> anyhow::Result<Vec<(Kind, Prometheus)>> {
    let programs =
        [(Kind::Prometheus, Some(&args.prometheus)), (Kind::VictoriaMetrics, args.victoria_metrics.as_ref())];
    let mut others = Vec::new();
    for (kind, program) in programs {
        if let Some(program) = program {
            others.push((kind, Prometheus::start(place, kind, program).await?));
        }
    }
    Ok(others)
}

/// Sends the loads to each; a row about each.
async fn sent(all: &[Asked<'_>], loads: &[Load]) -> anyhow::Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for asked in all {
        let (begin, mut repeats) = (Instant::now(), 0);
        for load in loads {
            let sent = send_all(asked.write, load).await;
            repeats += sent.with_context(|| format!("send to {}", asked.name))?;
        }
        let seconds = format!("{:.1}", begin.elapsed().as_secs_f64());
        rows.push(vec![asked.name.to_owned(), seconds, repeats.to_string()]);
    }
    Ok(rows)
}

/// Asks each all questions; a row a question.
async fn answers(all: &[Asked<'_>], now: u64) -> anyhow::Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for Question { name, path } in questions(now) {
        let mut row = vec![name.to_owned()];
        let mut first = None;
        for asked in all {
            let asking = ask(asked.address, &format!("{}{path}", asked.base)).await?;
            match &first {
                None => first = Some(asking.answer),
                Some(ours) if asked.name == Kind::VictoriaMetrics.name() => {
                    check_length(name, ours, &asking.answer)?;
                }
                Some(ours) => check(name, ours, &asking.answer)?,
            }
            row.extend([asking.first, asking.known].map(|time| format!("{:.1}", time.as_secs_f64() * 1e3)));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn mebibytes(pid: u32) -> anyhow::Result<String> {
    Ok(format!("{:.0}", process::peak_memory(pid)? as f64 / MEBIBYTE))
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

async fn ask(address: &str, path: &str) -> anyhow::Result<Asking> {
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

/// As many names, values or series: rates there are not extrapolated, and are others.
fn check_length(name: &str, ours: &Value, theirs: &Value) -> anyhow::Result<()> {
    let length = |answer: &Value| answer.as_array().or_else(|| answer["result"].as_array()).map(Vec::len);
    let (ours, theirs) = (length(ours), length(theirs));
    ensure!(ours == theirs && ours > Some(0), "{name}: the answers have {ours:?} and {theirs:?} parts");
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
        assert!(check_length("sums", &matrix("1.0"), &matrix("2.0")).is_ok());
        assert!(check_length("nothing", &json!({"result": []}), &json!({"result": []})).is_err());
        assert!(check_length("names", &json!(["a", "b"]), &json!(["a"])).is_err());
        let series = |count: usize| Value::from(vec![json!({"a": "b"}); count]);
        assert!(check("series", &series(2), &series(2)).is_ok());
        assert!(check("series", &series(2), &series(3)).is_err());
    }
}
